//! Runs the rows of `stories/*.story` on the pure core. The same rows run on the module and over HTTP.

use std::collections::HashMap;

use crate::event::{Change, Event};
use crate::ids::{ChargeId, ChargeSeal, PaymentId, ProductId, UserId};
use crate::sale::{AcquireAsk, AlterAsk, CreateAsk, Log, PayAsk, Sale};
use crate::units::{
    ArrivalNumber, AttemptNumber, Currency, Millis, MinorUnits, PaymentMethod, Price, UnixMillis,
};
use crate::wire::{AcquireReply, GetReply, PayReply, SaleReply};

/// When `at=0` is.
const START: u64 = 1_763_827_200_000;

struct Row<'a> {
    command: &'a str,
    plain: Vec<&'a str>,
    options: HashMap<&'a str, &'a str>,
}

impl<'a> Row<'a> {
    fn parse(text: &'a str) -> Self {
        let mut words = text.split_whitespace();
        let command = words.next().unwrap();
        let (options, plain) = words.partition::<Vec<_>, _>(|word| word.contains('='));
        let options = options.into_iter().map(|o| o.split_once('=').unwrap()).collect();
        Self { command, plain, options }
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.options.get(name).map(|n| n.parse().unwrap())
    }

    fn now(&self) -> UnixMillis {
        UnixMillis(START + self.number("at").unwrap_or(0))
    }

    fn user(&self) -> UserId {
        UserId::parse(self.plain[0]).unwrap()
    }

    fn arrival(&self) -> ArrivalNumber {
        ArrivalNumber(self.number("slot").unwrap().try_into().unwrap())
    }
}

fn ago(at: UnixMillis) -> u64 {
    at.0 - START
}

fn product() -> ProductId {
    ProductId::new(UnixMillis(START), 42)
}

fn open(row: &Row<'_>) -> Sale {
    let small = |name| row.number(name).map(|n| u32::try_from(n).unwrap());
    let ask = CreateAsk {
        name: "Concert".into(),
        description: "One evening only".into(),
        stock: small("stock").unwrap(),
        sale_date: UnixMillis(START + row.number("date").unwrap_or(0)),
        ttl: row.number("ttl").map(Millis),
        waitlist: small("waitlist"),
        limit: small("limit"),
        payment_window: row.number("window").map(Millis),
        expiring_soon: row.number("soon").map(Millis),
        price: None,
        by: None,
    };
    Sale::create(product(), &ask, UnixMillis(START), None, &mut Log::default()).unwrap()
}

fn charge(sale: &Sale, row: &Row<'_>) -> ChargeId {
    let (arrival, attempt) = row.plain[0].split_once('.').unwrap();
    let slot = sale.product().slot(ArrivalNumber(arrival.parse().unwrap()));
    let payment: PaymentId = slot.payment(AttemptNumber(attempt.parse().unwrap()));
    match row.options.get("seal") {
        Some(seal) => ChargeId { payment, seal: ChargeSeal::parse(seal).unwrap() },
        None => sale.payment_view(slot.arrival, payment.attempt, row.now()).unwrap().charge,
    }
}

fn show_acquire(reply: &AcquireReply) -> String {
    let word = reply.word().to_lowercase();
    match reply {
        AcquireReply::Acquired(held) => {
            format!("{word} slot={} until={}", held.slot.arrival, ago(held.deadline))
        }
        AcquireReply::Held(held) => {
            format!("{word} slot={} {}", held.slot.arrival, held.status.word().to_lowercase())
        }
        AcquireReply::Waiting { position, slot } => {
            format!("{word} position={position} slot={}", slot.arrival)
        }
        AcquireReply::NotOpen { opens } => format!("{word} opens={}", ago(*opens)),
        _ => word,
    }
}

fn show_pay(reply: &PayReply, started: bool) -> String {
    match reply {
        PayReply::Payment(payment, _) if started => {
            let id = payment.id;
            let (arrival, attempt, until) = (id.slot.arrival, id.attempt, ago(payment.until));
            let status = payment.status.word().to_lowercase();
            format!("{status} payment={arrival}.{attempt} until={until}")
        }
        PayReply::Payment(payment, slot) => {
            format!("{} {}", payment.status.word(), slot.status.word()).to_lowercase()
        }
        PayReply::UnknownCharge => "refund_due unknown".into(),
        PayReply::Refused(refusal) => refusal.word().to_lowercase(),
    }
}

fn show_event(line: &str) -> String {
    match Event::from_line(line).unwrap().change {
        Change::SlotExpired(e) => {
            format!("expired slot={} {}", e.arrival, e.status.word().to_lowercase())
        }
        Change::SlotAcquired(e) => {
            format!("acquired slot={} until={}", e.arrival, ago(e.deadline))
        }
        Change::SlotExpiringSoon(e) => {
            format!("expiring_soon slot={} until={}", e.arrival, ago(e.deadline))
        }
        Change::PaymentFailed(e) => {
            let cause = e.cause.word().to_lowercase();
            format!("payment_failed {}.{} {cause} until={}", e.arrival, e.attempt, ago(e.deadline))
        }
        other => other.type_word().to_lowercase(),
    }
}

fn run(sale: &mut Sale, row: &Row<'_>) -> String {
    let (now, mut log) = (row.now(), Log::default());
    match row.command {
        "acquire" => {
            let ask = AcquireAsk {
                user: row.user(),
                wait: row.plain.contains(&"wait"),
                nth: row.number("nth").unwrap_or(1).try_into().unwrap(),
                arrived: None,
                trace: None,
                backlog: false,
            };
            show_acquire(&sale.acquire(&ask, now, &mut log))
        }
        "pay" => {
            let amount = MinorUnits(row.number("amount").unwrap_or(100));
            let ask = PayAsk {
                slot: sale.product().slot(row.arrival()),
                user: row.user(),
                key: row.options["key"].into(),
                price: Price { amount, currency: Currency::KRW },
                method: PaymentMethod::Card,
                trace: None,
            };
            show_pay(&sale.pay(&ask, now, &mut log), true)
        }
        "consume" => show_pay(&sale.consume(&charge(sale, row), "g", None, now, &mut log), false),
        "decline" => show_pay(&sale.decline(&charge(sale, row), "no", None, now, &mut log), false),
        "expire" => {
            sale.advance(now, 256, &mut log);
            let events: Vec<_> = log.0.iter().map(|entry| show_event(&entry.line)).collect();
            if events.is_empty() { "nothing".into() } else { events.join(", ") }
        }
        "release" => {
            let slot = sale.product().slot(row.arrival());
            sale.release(&slot, &row.user(), None, now, &mut log).word().to_lowercase()
        }
        "leave" => sale.leave(&row.user(), None, now, &mut log).word().to_lowercase(),
        "pause" => sale.pause(None, "", None, now, &mut log).word().to_lowercase(),
        "resume" => sale.resume(None, None, now, &mut log).word().to_lowercase(),
        "close" => sale.close(None, None, now, &mut log).word().to_lowercase(),
        "drop" => sale.drop_product(None, None, now, &mut log).word().to_lowercase(),
        "stock" => {
            let ask = AlterAsk { stock: row.plain[0].parse().ok(), ..AlterAsk::default() };
            match sale.alter(&ask, None, now, &mut log) {
                SaleReply::Sale(_) => "ok".into(),
                SaleReply::Stock { least } => format!("stock least={least}"),
                other => format!("{other:?}"),
            }
        }
        "get" => {
            let id = crate::ids::AnyId::Slot(sale.product().slot(row.arrival()));
            match sale.get(id, now) {
                Some(GetReply::Slot(slot)) => {
                    let status = slot.status.word().to_lowercase();
                    let paying = if slot.paying { " paying" } else { "" };
                    format!("{status} remaining={}{paying}", slot.remaining)
                }
                other => format!("{other:?}"),
            }
        }
        "sale" => {
            let view = sale.view(now);
            let status = view.status.word().to_lowercase();
            let (stock, active, completed) = (view.stock, view.active, view.completed);
            let waiting = view.waiting;
            format!(
                "{status} stock={stock} active={active} completed={completed} waiting={waiting}"
            )
        }
        "audit" => format!("refunds={}", sale.audit().refunds),
        other => panic!("no such command: {other}"),
    }
}

#[test]
fn the_stories_go_as_told() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("stories");
    let mut rows = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut sale = None;
        for (number, line) in (1..).zip(text.lines()) {
            let Some((ask, expected)) = line.split_once("=>") else {
                assert!(line.is_empty() || line.starts_with('#'), "{line}");
                continue;
            };
            let row = Row::parse(ask);
            let got = if row.command == "open" {
                sale = Some(open(&row));
                "ok".into()
            } else {
                run(sale.as_mut().unwrap(), &row)
            };
            assert_eq!(got, expected.trim(), "{}:{number}: {line}", path.display());
            assert_eq!(sale.as_ref().unwrap().audit().violations, [""; 0]);
            rows += 1;
        }
    }
    assert!(rows > 80, "only {rows} rows were found");
}
