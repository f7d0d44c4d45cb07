//! Every shape is read back from what was written, over RESP2 (flat arrays) as over RESP3 (maps).

use std::fmt::Debug;

use super::{
    AcquireReply, ChangedReply, ChangedSale, Done, GetReply, Held, PayRefusal, PayReply, SaleReply,
    SlotStatus, Value, Wire,
};
use crate::ids::{AnyId, ProductId, UserId};
use crate::sale::{AcquireAsk, CreateAsk, Log, PayAsk, Sale};
use crate::units::{
    ArrivalNumber, Currency, EventNumber, Millis, MinorUnits, PaymentMethod, Price, UnixMillis,
};

fn flat(value: Value) -> Value {
    match value {
        Value::Map(pairs) => Value::List(
            pairs.into_iter().flat_map(|(k, v)| [Value::Text(k.to_owned()), flat(v)]).collect(),
        ),
        Value::List(items) => Value::List(items.into_iter().map(flat).collect()),
        other => other,
    }
}

fn both_ways<T: Wire + PartialEq + Debug>(shape: &T) {
    for value in [shape.to_value(), flat(shape.to_value())] {
        assert_eq!(T::from_value(value).as_ref(), Ok(shape));
    }
}

#[test]
fn every_shape_reads_back_over_both_protocols() {
    let (now, product) = (UnixMillis(1_763_827_200_000), ProductId::new(UnixMillis(1), 2));
    let ask = CreateAsk {
        name: "name".into(),
        description: "a description".into(),
        stock: 1,
        sale_date: now,
        ttl: None,
        waitlist: None,
        limit: None,
        payment_window: None,
        expiring_soon: None,
        price: Some(Price { amount: MinorUnits(5), currency: Currency::KRW }),
        by: None,
    };
    let mut log = Log::default();
    let mut sale = Sale::create(product, &ask, now, None, &mut log).unwrap();
    let user = UserId::parse("ana").unwrap();
    let (nth, wait, arrived, trace) = (1, false, Some(now), None);
    let ask = AcquireAsk { user: user.clone(), wait, nth, arrived, trace, backlog: false };
    let acquired = sale.acquire(&ask, now, &mut log);
    let slot = product.slot(ArrivalNumber(1));
    let price = Price { amount: MinorUnits(5), currency: Currency::KRW };
    let (key, method, trace) = ("k".into(), PaymentMethod::Card, None);
    let pay = PayAsk { slot, user: user.clone(), key, price, method, trace };
    let paid = sale.pay(&pay, now, &mut log);
    let PayReply::Payment(payment, _) = &paid else { panic!("{paid:?}") };

    both_ways(&acquired);
    both_ways(&paid);
    both_ways(&sale.get(AnyId::Slot(slot), now).unwrap());
    both_ways(&GetReply::Payment(payment.clone()));
    both_ways(&sale.view(now));
    both_ways(&sale.audit());
    both_ways(&sale.user_view(&user, now));
    both_ways(&SaleReply::Exists(Box::new(sale.view(now))));
    both_ways(&ChangedReply {
        cursor: "a.1".into(),
        sales: vec![ChangedSale { product, events: EventNumber(3), head: sale.head() }],
    });
}

#[test]
fn every_outcome_has_a_word_of_its_own() {
    let held = Held {
        slot: ProductId::new(UnixMillis(1), 2).slot(ArrivalNumber(3)),
        status: SlotStatus::Completed,
        acquired: UnixMillis(4),
        deadline: UnixMillis(5),
        remaining: Millis(0),
        paying: false,
    };
    let outcomes = [
        AcquireReply::Acquired(held),
        AcquireReply::Held(held),
        AcquireReply::Waiting { position: 7, slot: held.slot },
        AcquireReply::SoldOut,
        AcquireReply::WaitlistFull,
        AcquireReply::NotOpen { opens: UnixMillis(9) },
        AcquireReply::Paused,
        AcquireReply::Closed,
        AcquireReply::Limit,
        AcquireReply::Backlog,
        AcquireReply::NoSale,
        AcquireReply::Full,
    ];
    outcomes.iter().for_each(both_ways);
    Done::ALL.iter().for_each(both_ways);
    PayRefusal::ALL.iter().for_each(|refusal| both_ways(&PayReply::Refused(*refusal)));
    both_ways(&PayReply::UnknownCharge);
    for sale in [
        SaleReply::NoSale,
        SaleReply::Stock { least: 4 },
        SaleReply::SlotsExist,
        SaleReply::Changed(EventNumber(5)),
        SaleReply::Closed,
    ] {
        both_ways(&sale);
    }
}

#[test]
fn another_shape_is_refused_and_says_what_it_was() {
    let word = Value::List(vec![Value::Text("GRANTED".into())]);
    assert!(AcquireReply::from_value(word).unwrap_err().to_string().contains("GRANTED"));
    let early = Value::List(vec![Value::Text("WAITING".into()), Value::Int(1)]);
    assert!(AcquireReply::from_value(early).unwrap_err().to_string().contains("ends early"));
    assert!(GetReply::from_value(Value::Null).is_err());
    assert!(u32::from_value(Value::Int(-1)).is_err());
}
