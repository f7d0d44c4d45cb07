//! What is not a story: bounds, big numbers, lines from outside.

use crate::chain::ChainHash;
use crate::ids::{ProductId, UserId};
use crate::sale::{AcquireAsk, AlterAsk, CreateAsk, Log, MAX_STOCK, Refused, STEP_LIMIT, Sale};
use crate::units::{EventNumber, Millis, UnixMillis};
use crate::wire::AcquireReply;

const NOW: UnixMillis = UnixMillis(1_763_827_200_000);

fn ask() -> CreateAsk {
    CreateAsk {
        name: "Shoe".into(),
        description: "Left and right".into(),
        stock: 1000,
        sale_date: NOW,
        ttl: None,
        waitlist: None,
        limit: None,
        payment_window: None,
        expiring_soon: None,
        price: None,
        by: None,
    }
}

fn product() -> ProductId {
    ProductId::new(NOW, 1)
}

fn open(ask: &CreateAsk) -> (Sale, Log) {
    let mut log = Log::default();
    (Sale::create(product(), ask, NOW, None, &mut log).unwrap(), log)
}

fn buyer(n: u32) -> AcquireAsk {
    AcquireAsk {
        user: UserId::parse(&format!("buyer-{n}")).unwrap(),
        wait: false,
        nth: 1,
        arrived: None,
        trace: None,
        backlog: false,
    }
}

#[test]
fn a_product_out_of_bounds_is_refused_with_the_bounds() {
    let long = "x".repeat(2001);
    let wrong = [
        CreateAsk { stock: 0, ..ask() },
        CreateAsk { stock: MAX_STOCK + 1, ..ask() },
        CreateAsk { name: String::new(), ..ask() },
        CreateAsk { description: long, ..ask() },
        CreateAsk { ttl: Some(Millis(0)), ..ask() },
        CreateAsk { limit: Some(0), ..ask() },
        CreateAsk { ttl: Some(Millis(10)), expiring_soon: Some(Millis(10)), ..ask() },
        CreateAsk { sale_date: UnixMillis(u64::MAX), ..ask() },
    ];
    for ask in wrong {
        let mut log = Log::default();
        assert!(Sale::create(product(), &ask, NOW, None, &mut log).is_err(), "{ask:?}");
        assert_eq!(log, Log::default());
    }
}

#[test]
fn r1_exactly_n_of_many_get_a_slot_in_the_order_of_asking() {
    let (mut sale, _) = open(&ask());
    for n in 1..=3000 {
        let reply = sale.acquire(&buyer(n), NOW, &mut Log::default());
        match reply {
            AcquireReply::Acquired(held) => assert_eq!((held.slot.arrival.0, n <= 1000), (n, true)),
            other => assert_eq!((other, n > 1000), (AcquireReply::SoldOut, true)),
        }
    }
    assert_eq!(sale.audit().violations, [""; 0]);
    assert_eq!((sale.audit().active, sale.audit().stock), (1000, 0));
}

#[test]
fn r5_a_step_reclaims_the_callers_own_slot_and_a_bounded_number_of_others() {
    let (mut sale, _) = open(&CreateAsk { ttl: Some(Millis(100)), ..ask() });
    for n in 1..=1000 {
        sale.acquire(&buyer(n), NOW, &mut Log::default());
    }
    let later = NOW.plus(Millis(100));
    let mut log = Log::default();
    let reply = sale.acquire(&buyer(1000), later, &mut log);
    assert!(matches!(reply, AcquireReply::Acquired(_)), "{reply:?}");
    let bound = usize::try_from(STEP_LIMIT).unwrap();
    assert_eq!(log.0.len(), 1 + bound + 1, "own, bounded others, the grant");
    // A batch is one step: the next item in it finds the bound used up.
    sale.acquire(&buyer(999), later, &mut log);
    assert_eq!(log.0.len(), 1 + bound + 1 + 2, "own and the grant");
    let mut steps = 0;
    while sale.next_due().is_some_and(|due| due <= later) {
        sale.advance(later, STEP_LIMIT, &mut Log::default());
        steps += 1;
    }
    assert_eq!(steps, 3);
    assert_eq!(sale.audit().stock, 998);
}

#[test]
fn r4_the_sales_time_never_goes_back() {
    let (mut sale, _) = open(&CreateAsk { ttl: Some(Millis(100)), ..ask() });
    sale.acquire(&buyer(1), NOW.plus(Millis(50)), &mut Log::default());
    let mut log = Log::default();
    sale.acquire(&buyer(2), NOW, &mut log);
    assert!(log.0[0].line.contains(&NOW.plus(Millis(50)).to_string()), "{:?}", log.0);
}

#[test]
fn r13_lines_from_outside_must_continue_the_sale() {
    let (mut sale, first) = open(&ask());
    let mut log = Log::default();
    sale.acquire(&buyer(1), NOW, &mut log);
    let (created, acquired) = (&first.0[0].line, &log.0[0].line);
    assert_eq!(
        log.0[0].hash,
        ChainHash::origin(&product()).next(created.as_bytes()).next(acquired.as_bytes())
    );

    let mut other = Sale::from_first_line(product(), created, &mut Log::default()).unwrap();
    let digest = other.digest();
    let refused = |other: &mut Sale, line: &str| other.replay(line, &mut Log::default());
    assert_eq!(
        refused(&mut other, created),
        Err(Refused::Number { expected: EventNumber(2), got: EventNumber(1) })
    );
    for wrong in [
        acquired.replace("SLOT_ACQUIRED", "SLOT_GIVEN"),
        acquired.replace(" 1 buyer-1", " 2 buyer-1"),
        acquired.replace(" 1 buyer-1", " 01 buyer-1"),
        acquired.replace("1763827200000", "1"),
        acquired.replace("DIRECT", "PROMOTED"),
        format!("{acquired} "),
        acquired.replacen('1', "2", 1),
    ] {
        assert!(refused(&mut other, &wrong).is_err(), "{wrong}");
        assert_eq!(other.digest(), digest, "{wrong}");
    }
    assert_eq!(refused(&mut other, acquired), Ok(()));
    assert_eq!(other.digest(), sale.digest());
    assert!(Sale::from_first_line(product(), acquired, &mut Log::default()).is_err());
}

#[test]
fn a_backlog_stops_grants_but_not_answers() {
    let (mut sale, _) = open(&CreateAsk { stock: 1, ..ask() });
    let behind = |n| AcquireAsk { backlog: true, ..buyer(n) };
    assert_eq!(sale.acquire(&behind(1), NOW, &mut Log::default()), AcquireReply::Backlog);
    sale.acquire(&buyer(1), NOW, &mut Log::default());
    let held = sale.acquire(&behind(1), NOW, &mut Log::default());
    assert!(matches!(held, AcquireReply::Held(_)));
    assert_eq!(sale.acquire(&behind(2), NOW, &mut Log::default()), AcquireReply::SoldOut);
}

#[test]
fn a_changed_or_cut_blob_is_refused() {
    let (mut sale, _) = open(&ask());
    sale.acquire(&buyer(1), NOW, &mut Log::default());
    let blob = sale.to_blob();
    assert!(Sale::from_blob(2, &blob).is_err());
    assert!(Sale::from_blob(1, &blob[..blob.len() - 1]).is_err());
    assert!(Sale::from_blob(1, &[&blob[..], b"x"].concat()).is_err());
    assert!(Sale::from_blob(1, b"").is_err());
}

#[test]
fn r5_no_newcomer_is_granted_while_promotions_are_left_over() {
    let (mut sale, _) = open(&CreateAsk { stock: 1, ..ask() });
    for n in 0..=600 {
        sale.acquire(&AcquireAsk { wait: true, ..buyer(n) }, NOW, &mut Log::default());
    }
    let more = AlterAsk { stock: Some(600), ..AlterAsk::default() };
    sale.alter(&more, None, NOW, &mut Log::default());
    let bound = STEP_LIMIT;
    let view = sale.view(NOW);
    assert_eq!((view.waiting, view.stock), (600 - bound, 600 - bound));
    let mut log = Log::default();
    assert_eq!(sale.acquire(&buyer(9999), NOW, &mut log), AcquireReply::SoldOut);
    assert_eq!(sale.view(NOW).stock, 600 - 2 * bound, "the step went on promoting");
    assert_eq!(sale.next_due(), Some(NOW), "the sweeper continues");
}
