//! One sale's books: the log folded again from its first event, its chain checked (R13), its rules (R1 to R3), its
//! rows and its mark compared, and the live sale's head and digest.
//!
//! All of it is read in one transaction that sees one moment. Next: recount.rs.

use futures_util::TryStreamExt;
use sqlx::{PgConnection, PgPool};
use std::collections::BTreeMap;
use uuid::Uuid;

use slot_core::chain::ChainHash;
use slot_core::event::Event;
use slot_core::ids::{AnyId, ProductId};
use slot_core::sale::{Log, Sale};
use slot_core::wire::AuditView;

use crate::audit::recount::{Recount, Slot};
use crate::audit::report::SaleReport;
use crate::postgres::column;

type LogRow = (i64, String, i64, String, Vec<u8>, Option<String>);

/// What the log folds to.
struct Fold {
    product: ProductId,
    sale: Option<Sale>,
    recount: Recount,
    head: ChainHash,
    number: i64,
    scratch: Log,
    /// False after an event that does not fold: what follows from it would only be noise.
    sound: bool,
}

/// Checks a sale's books. `live` is none where nobody was asked, and `Some(None)` where Redis has no such sale.
///
/// # Errors
/// Of the database.
pub async fn check(
    pool: &PgPool,
    product: &ProductId,
    live: Option<Option<AuditView>>,
) -> sqlx::Result<SaleReport> {
    let mut report = SaleReport::new(product);
    let mut transaction = pool.begin().await?;
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .execute(&mut *transaction)
        .await?;
    let compare = live.as_ref().and_then(Option::as_ref);
    let fold = fold_log(&mut transaction, product, compare, &mut report).await?;
    check_mark(&mut transaction, &fold, &mut report).await?;
    check_quarantine(&mut transaction, product, &mut report).await?;
    if fold.sound {
        check_slots(&mut transaction, &fold, &mut report).await?;
        check_payments(&mut transaction, &fold, &mut report).await?;
        tell_state(&fold, &mut report);
    }
    let deleted = fold.sale.as_ref().is_some_and(Sale::is_deleted);
    if matches!(live, Some(None)) && !deleted {
        report.differ("redis has no such sale, though it was never deleted");
    }
    Ok(report)
}

async fn fold_log(
    transaction: &mut PgConnection,
    product: &ProductId,
    live: Option<&AuditView>,
    report: &mut SaleReport,
) -> sqlx::Result<Fold> {
    let mut fold = Fold {
        product: *product,
        sale: None,
        recount: Recount::default(),
        head: ChainHash::origin(product),
        number: 0,
        scratch: Log::default(),
        sound: true,
    };
    let mut rows = sqlx::query_as::<_, LogRow>(
        "SELECT event_number, type, (EXTRACT(EPOCH FROM at) * 1000)::bigint, line, chain_hash, trace_id
         FROM slot_audit_log WHERE product_id = $1 ORDER BY event_number",
    )
    .bind(column::product(product))
    .fetch(transaction);
    while let Some(row) = rows.try_next().await? {
        fold.take(&row, report);
        if let Some(live) = live.filter(|live| column::number(live.events.0) == fold.number) {
            fold.compare(live, report);
        }
    }
    if let Some(live) = live.filter(|_| report.compared_live_at.is_none()) {
        report.differ(format!("the log ends at event {}, redis has {}", fold.number, live.events));
    }
    Ok(fold)
}

impl Fold {
    fn take(&mut self, row: &LogRow, report: &mut SaleReport) {
        let (number, kind, at, line, hash, trace) = row;
        let expected = self.number.saturating_add(1);
        if *number != expected {
            self.sound = false;
            report.differ(format!("R13: the log goes from event {} to {number}", self.number));
        }
        self.number = *number;
        report.events = report.events.saturating_add(1);
        self.head = self.head.next(line.as_bytes());
        if self.head.as_bytes().as_slice() != hash.as_slice() {
            report.differ(format!(
                "R13: event {number} has another hash than its line and the chain give"
            ));
            if let Ok(stored) = <[u8; 16]>::try_from(hash.as_slice()) {
                // Told once, not for every event after it.
                self.head = ChainHash::from_bytes(stored);
            }
        }
        let event = match Event::from_line(line) {
            Ok(event) => event,
            Err(error) => {
                self.sound = false;
                return report.differ(format!("event {number}: {error}"));
            }
        };
        let columns = (kind.as_str(), *at, trace.as_deref());
        let told = event.trace.as_ref().map(slot_core::ids::TraceId::as_str);
        if columns != (event.change.type_word(), column::ms(event.at), told) {
            report.differ(format!("event {number}: its columns say other than its line"));
        }
        self.recount.take(&event);
        if !self.sound {
            return;
        }
        self.scratch.0.clear();
        let folded = match &mut self.sale {
            Some(sale) => sale.replay(line, &mut self.scratch),
            None => Sale::from_first_line(self.product, line, &mut self.scratch)
                .map(|sale| self.sale = Some(sale)),
        };
        if let Err(refused) = folded {
            self.sound = false;
            report.differ(format!(
                "R13: event {number} does not follow from those before: {refused}"
            ));
        }
    }

    /// At the event that the live sale was at, the fold must have its head and digest.
    fn compare(&self, live: &AuditView, report: &mut SaleReport) {
        report.compared_live_at = Some(live.events.0);
        report.same("chain head in log and redis", self.head.to_string(), live.head.to_string());
        for violation in &live.violations {
            report.differ(format!("the live sale says of itself: {violation}"));
        }
        if let Some(sale) = self.sale.as_ref().filter(|_| self.sound) {
            report.same(
                "digest of log and redis",
                &sale.digest().to_hex().to_string(),
                &live.digest,
            );
        }
    }
}

fn tell_state(fold: &Fold, report: &mut SaleReport) {
    for violation in &fold.recount.violations {
        report.differ(violation.clone());
    }
    let Some(sale) = &fold.sale else {
        return report.differ("the log has no event");
    };
    let audit = sale.audit();
    for violation in audit.violations {
        report.differ(violation);
    }
    let count = |status| {
        let slots = fold.recount.slots.values();
        u32::try_from(slots.filter(|slot| slot.status == status).count()).unwrap_or(u32::MAX)
    };
    report.same("ACTIVE slots, by state and by events", audit.active, count("ACTIVE"));
    report.same("COMPLETED slots, by state and by events", audit.completed, count("COMPLETED"));
    report.same("EXPIRED slots, by state and by events", audit.expired, count("EXPIRED"));
    report.same(
        "R1: units",
        audit.total,
        audit.stock.saturating_add(audit.active).saturating_add(audit.completed),
    );
    report.head = audit.head.to_string();
    report.digest = audit.digest;
    report.total = audit.total;
    report.stock = audit.stock;
    report.active = audit.active;
    report.completed = audit.completed;
    report.expired = audit.expired;
}

async fn check_mark(
    transaction: &mut PgConnection,
    fold: &Fold,
    report: &mut SaleReport,
) -> sqlx::Result<()> {
    let mark: Option<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT event_number, chain_hash FROM sink_marks WHERE product_id = $1")
            .bind(column::product(&fold.product))
            .fetch_optional(transaction)
            .await?;
    match mark {
        None => report.differ("postgres has no mark of this sale"),
        Some((number, hash)) => {
            report.same("last event and mark", fold.number, number);
            report.same(
                "chain head and mark",
                hex::encode(fold.head.as_bytes()),
                hex::encode(hash),
            );
        }
    }
    Ok(())
}

async fn check_quarantine(
    transaction: &mut PgConnection,
    product: &ProductId,
    report: &mut SaleReport,
) -> sqlx::Result<()> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT event_number, reason FROM quarantined_events WHERE product_id = $1 ORDER BY 1",
    )
    .bind(column::product(product))
    .fetch_all(transaction)
    .await?;
    for (number, reason) in rows {
        report.differ(format!("event {number} is in quarantine: {reason}"));
    }
    Ok(())
}

async fn check_slots(
    transaction: &mut PgConnection,
    fold: &Fold,
    report: &mut SaleReport,
) -> sqlx::Result<()> {
    let rows: Vec<(Uuid, i64, String, String, Option<String>)> = sqlx::query_as(
        "SELECT id, arrival_number, user_id, status, reclaim_status
         FROM purchase_slots WHERE product_id = $1",
    )
    .bind(column::product(&fold.product))
    .fetch_all(transaction)
    .await?;
    let mut expected: BTreeMap<u32, &Slot> =
        fold.recount.slots.iter().map(|(arrival, slot)| (*arrival, slot)).collect();
    for (id, arrival, user, status, reclaim) in rows {
        let named = match AnyId::from_bytes(id.into_bytes()) {
            Ok(AnyId::Slot(slot)) if i64::from(slot.arrival.0) == arrival => {
                expected.remove(&slot.arrival.0)
            }
            _ => None,
        };
        let row = (user.as_str(), status.as_str(), reclaim.as_deref());
        match named {
            None => report.differ(format!("slot {arrival} has a row but no event")),
            Some(slot) if row != (slot.user.as_str(), slot.status, slot.reclaim) => {
                report.differ(format!(
                    "slot {arrival} is {slot:?} by its events, its row says {row:?}"
                ));
            }
            Some(_) => {}
        }
    }
    for arrival in expected.keys() {
        report.differ(format!("slot {arrival} has events but no row"));
    }
    Ok(())
}

async fn check_payments(
    transaction: &mut PgConnection,
    fold: &Fold,
    report: &mut SaleReport,
) -> sqlx::Result<()> {
    let rows: Vec<(Uuid, String)> =
        sqlx::query_as("SELECT id, status FROM purchases WHERE product_id = $1")
            .bind(column::product(&fold.product))
            .fetch_all(&mut *transaction)
            .await?;
    let mut expected = fold.recount.payments.clone();
    for (id, status) in rows {
        let named = match AnyId::from_bytes(id.into_bytes()) {
            Ok(AnyId::Payment(id)) => expected.remove(&(id.slot.arrival.0, id.attempt.0)),
            _ => None,
        };
        if named != Some(status.as_str()) {
            report
                .differ(format!("payment {id} is {named:?} by its events, its row says {status}"));
        }
    }
    for (arrival, attempt) in expected.keys() {
        report.differ(format!("payment {attempt} of slot {arrival} has events but no row"));
    }
    let refunds: i64 = sqlx::query_scalar("SELECT count(*) FROM refunds WHERE product_id = $1")
        .bind(column::product(&fold.product))
        .fetch_one(transaction)
        .await?;
    let events = i64::try_from(fold.recount.refunds).unwrap_or(i64::MAX);
    report.same("refunds, by events and rows", events, refunds);
    Ok(())
}
