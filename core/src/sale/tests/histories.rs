//! Random histories: after every step the rules hold, and the lines alone give the same state again.

use proptest::prelude::*;

use crate::ids::{ChargeId, ProductId, UserId};
use crate::sale::{AcquireAsk, AlterAsk, BLOB_VERSION, CreateAsk, Log, PayAsk, STEP_LIMIT, Sale};
use crate::units::{
    ArrivalNumber, AttemptNumber, Currency, EventNumber, Millis, MinorUnits, PaymentMethod, Price,
    UnixMillis,
};
use crate::wire::{AcquireReply, SlotStatus};

#[derive(Debug, Clone)]
enum Step {
    Acquire { user: u8, wait: bool, nth: u32 },
    Pay { user: u8, slot: u32, key: u8 },
    Consume { slot: u32, attempt: u8 },
    Decline { slot: u32, attempt: u8 },
    Release { user: u8, slot: u32 },
    Reclaim { slot: u32 },
    Leave { user: u8 },
    Sweep,
    Stock(i64),
    Pause,
    Resume,
    Close,
}

fn step() -> impl Strategy<Value = (u64, Step)> {
    let user = 0..8_u8;
    let slot = 1..14_u32;
    let step = prop_oneof![
        12 => (user.clone(), any::<bool>(), 1..3_u32)
            .prop_map(|(user, wait, nth)| Step::Acquire { user, wait, nth }),
        6 => (user.clone(), slot.clone(), 0..3_u8)
            .prop_map(|(user, slot, key)| Step::Pay { user, slot, key }),
        4 => (slot.clone(), 1..3_u8).prop_map(|(slot, attempt)| Step::Consume { slot, attempt }),
        3 => (slot.clone(), 1..3_u8).prop_map(|(slot, attempt)| Step::Decline { slot, attempt }),
        2 => (user.clone(), slot.clone()).prop_map(|(user, slot)| Step::Release { user, slot }),
        1 => slot.prop_map(|slot| Step::Reclaim { slot }),
        1 => user.prop_map(|user| Step::Leave { user }),
        3 => Just(Step::Sweep),
        1 => (-3..4_i64).prop_map(Step::Stock),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        1 => Just(Step::Close),
    ];
    (prop_oneof![4 => 0..40_u64, 1 => 0..400_u64], step)
}

fn user(n: u8) -> UserId {
    UserId::parse(&format!("user-{n}")).unwrap()
}

fn create(stock: u32, limit: u32, log: &mut Log) -> Sale {
    let ask = CreateAsk {
        name: "name".into(),
        description: "with spaces, % and –".into(),
        stock,
        sale_date: UnixMillis(0),
        ttl: Some(Millis(200)),
        waitlist: Some(3),
        limit: Some(limit),
        payment_window: Some(Millis(60)),
        expiring_soon: Some(Millis(50)),
        price: None,
        by: None,
    };
    Sale::create(ProductId::new(UnixMillis(1), 9), &ask, UnixMillis(1000), None, log).unwrap()
}

fn charge(sale: &Sale, slot: u32, attempt: u8, now: UnixMillis) -> Option<ChargeId> {
    sale.payment_view(ArrivalNumber(slot), AttemptNumber(attempt), now).map(|p| p.charge)
}

/// Does a step; true if it was refused or only told what is.
fn act(sale: &mut Sale, step: &Step, now: UnixMillis, log: &mut Log) -> Option<AcquireReply> {
    let product = sale.product();
    match step {
        Step::Acquire { user: u, wait, nth } => {
            let (user, arrived, trace) = (user(*u), None, None);
            let ask = AcquireAsk { user, wait: *wait, nth: *nth, arrived, trace, backlog: false };
            return Some(sale.acquire(&ask, now, log));
        }
        Step::Pay { user: u, slot, key } => {
            let ask = PayAsk {
                slot: product.slot(ArrivalNumber(*slot)),
                user: user(*u),
                key: format!("k{key}").into(),
                price: Price { amount: MinorUnits(7), currency: Currency::KRW },
                method: PaymentMethod::Wallet,
                trace: None,
            };
            sale.pay(&ask, now, log);
        }
        Step::Consume { slot, attempt } => {
            if let Some(charge) = charge(sale, *slot, *attempt, now) {
                let first = sale.consume(&charge, "ref", None, now, log);
                let events = log.0.len();
                let again = sale.consume(&charge, "ref", None, now, log);
                assert_eq!((first, events), (again, log.0.len()), "R9: told twice");
            }
        }
        Step::Decline { slot, attempt } => {
            if let Some(charge) = charge(sale, *slot, *attempt, now) {
                sale.decline(&charge, "no", None, now, log);
            }
        }
        Step::Release { user: u, slot } => {
            sale.release(&product.slot(ArrivalNumber(*slot)), &user(*u), None, now, log);
        }
        Step::Reclaim { slot } => {
            sale.reclaim(&product.slot(ArrivalNumber(*slot)), None, None, now, log);
        }
        Step::Leave { user: u } => {
            sale.leave(&user(*u), None, now, log);
        }
        Step::Sweep => {
            sale.advance(now, STEP_LIMIT, log);
        }
        Step::Stock(delta) => {
            let ask = AlterAsk { stock: Some(*delta), ..AlterAsk::default() };
            sale.alter(&ask, None, now, log);
        }
        Step::Pause => {
            sale.pause(None, "test", None, now, log);
        }
        Step::Resume => {
            sale.resume(None, None, now, log);
        }
        Step::Close => {
            sale.close(None, None, now, log);
        }
    }
    None
}

fn check(sale: &Sale, now: UnixMillis) {
    let audit = sale.audit();
    assert_eq!(audit.violations, [""; 0]);
    assert_eq!(audit.stock + audit.active + audit.completed, audit.total, "R1");
    for arrival in (1..=sale.arrivals()).map(ArrivalNumber) {
        let slot = sale.slot_view(arrival, now).unwrap();
        assert_eq!(slot.status == SlotStatus::Active, slot.remaining > Millis(0), "R4: {slot:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn r1_to_r13_hold_after_every_step(
        stock in 1..5_u32,
        limit in 1..3_u32,
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut first = Log::default();
        let mut sale = create(stock, limit, &mut first);
        let mut follower =
            Sale::from_first_line(sale.product(), &first.0[0].line, &mut Log::default()).unwrap();
        let mut now = 1000;
        for (wait, step) in &steps {
            now += wait;
            let at = UnixMillis(now);
            let before = sale.clone();
            let mut log = Log::default();
            let reply = act(&mut sale, step, at, &mut log);
            let waited = before.view(at).waiting;
            if matches!(reply, Some(AcquireReply::Acquired(_))) && waited > 0 && log.0.len() == 1 {
                panic!("R5: a newcomer was granted while {waited} were waiting");
            }
            if log.0.is_empty() {
                prop_assert_eq!(sale.digest(), before.digest(), "R13: a change without an event");
            }
            for entry in &log.0 {
                let mut copy = Log::default();
                follower.replay(&entry.line, &mut copy).unwrap();
                prop_assert_eq!(&copy.0[0], entry);
            }
            prop_assert_eq!(sale.digest(), follower.digest(), "R13: the fold differs");
            let loaded = Sale::from_blob(BLOB_VERSION, &sale.to_blob()).unwrap();
            prop_assert_eq!(loaded.digest(), sale.digest());
            prop_assert_eq!(loaded.next_due(), sale.next_due());
            check(&sale, at);
            check(&loaded, at);
        }
        prop_assert!(sale.last_number() >= EventNumber(1));
    }

    #[test]
    fn no_bytes_make_from_blob_panic(mut blob in prop::collection::vec(any::<u8>(), 0..300), cut in 0..300_usize) {
        let _ = Sale::from_blob(BLOB_VERSION, &blob);
        let mut log = Log::default();
        let whole = create(2, 1, &mut log).to_blob();
        blob.splice(..0, whole.iter().copied().take(cut.min(whole.len() - 1)));
        let _ = Sale::from_blob(BLOB_VERSION, &blob);
    }

    #[test]
    fn no_text_makes_from_line_panic(text in "[ -~]{0,120}") {
        let _ = crate::event::Event::from_line(&text);
        let _ = crate::event::Event::from_line(&format!("1 2 SLOT_ACQUIRED {text}"));
    }
}
