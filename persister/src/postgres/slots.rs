//! The rows of `purchase_slots`: each slot's events in the batch folded into one row first, because ON CONFLICT takes a
//! key only once, then one upsert.
//!
//! A field that the batch says nothing about keeps what the row has; but how a slot ended goes with its status, since a
//! late success revives it (R8). A row of another holder is never
//! overwritten: its sale contradicts what Postgres has.

use sqlx::PgConnection;
use std::collections::BTreeMap;

use slot_core::event::{Change, Event, Grant};
use slot_core::ids::{AnyId, ProductId, SlotId, TraceId, UserId};
use slot_core::units::{ArrivalNumber, UnixMillis};
use slot_core::wire::SlotStatus;

use crate::postgres::column;
use crate::sink::{Batch, SinkError};

/// What the batch says of a slot.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotRow {
    user: String,
    status: SlotStatus,
    reclaim: Option<&'static str>,
    granted: Option<Grant>,
    arrived: Option<UnixMillis>,
    queued: Option<UnixMillis>,
    acquired: Option<UnixMillis>,
    deadline: Option<UnixMillis>,
    warned: Option<UnixMillis>,
    completed: Option<UnixMillis>,
    ended: Option<UnixMillis>,
    trace: Option<String>,
    updated: UnixMillis,
    last_event: u64,
}

/// Brings what the batch changes of slots.
///
/// # Errors
/// Of the database; [`SinkError::Contradicted`] where a slot has another holder there.
pub async fn apply(transaction: &mut PgConnection, batch: &Batch) -> Result<(), SinkError> {
    let rows = fold(batch);
    if !rows.is_empty() {
        upsert(transaction, &rows).await?;
    }
    for (product, recorded) in batch.events() {
        if let Ok(Event { change: Change::SaleClosed(_), at, number, .. }) = &recorded.event {
            // Closing empties the waitlist without an event per place (R11).
            sqlx::query(
                "UPDATE purchase_slots
                 SET status = 'LEFT', ended_at = at_ms($2), updated_at = at_ms($2), last_event = $3
                 WHERE product_id = $1 AND status = 'WAITING'",
            )
            .bind(column::product(&product))
            .bind(column::ms(*at))
            .bind(column::number(number.0))
            .execute(&mut *transaction)
            .await?;
        }
    }
    Ok(())
}

/// The slots that the batch names, each with what it came to.
#[must_use]
pub fn fold(batch: &Batch) -> BTreeMap<SlotId, SlotRow> {
    let mut rows = BTreeMap::new();
    for (product, recorded) in batch.events() {
        if let Ok(event) = &recorded.event {
            fold_event(&mut rows, product, event);
        }
    }
    rows
}

fn fold_event(rows: &mut BTreeMap<SlotId, SlotRow>, product: ProductId, event: &Event) {
    let at = event.at;
    let mut row = |arrival: ArrivalNumber, user: &UserId, status, change: &dyn Fn(&mut SlotRow)| {
        let row = rows.entry(product.slot(arrival)).or_insert_with(|| SlotRow::of(user, event));
        row.status = status;
        row.reclaim = None;
        row.ended = None;
        row.updated = at;
        row.last_event = event.number.0;
        change(row);
    };
    let trace = || event.trace.as_ref().map(TraceId::to_string);
    match &event.change {
        Change::SlotQueued(e) => row(e.arrival, &e.user, SlotStatus::Waiting, &|row| {
            row.queued = Some(at);
            row.arrived = e.arrived;
            row.trace = trace();
        }),
        Change::SlotLeft(e) => row(e.arrival, &e.user, SlotStatus::Left, &|row| {
            row.ended = Some(at);
        }),
        Change::SlotAcquired(e) => row(e.arrival, &e.user, SlotStatus::Active, &|row| {
            row.acquired = Some(at);
            row.deadline = Some(e.deadline);
            row.arrived = e.arrived.or(row.arrived);
            row.granted = Some(e.how);
            row.trace = row.trace.take().or_else(trace);
        }),
        Change::SlotExpiringSoon(e) => row(e.arrival, &e.user, SlotStatus::Active, &|row| {
            row.warned = Some(at);
        }),
        Change::SlotExpired(e) => row(e.arrival, &e.user, SlotStatus::Expired, &|row| {
            row.reclaim = Some(e.status.word());
            row.ended = Some(at);
        }),
        Change::PaymentStarted(e) => row(e.arrival, &e.user, SlotStatus::Active, &|row| {
            row.deadline = Some(e.until);
        }),
        Change::PaymentFailed(e) => row(e.arrival, &e.user, SlotStatus::Active, &|row| {
            row.deadline = Some(e.deadline);
        }),
        Change::PaymentCompleted(e) => row(e.arrival, &e.user, SlotStatus::Completed, &|row| {
            row.completed = Some(at);
        }),
        _ => {}
    }
}

impl SlotRow {
    fn of(user: &UserId, event: &Event) -> Self {
        Self {
            user: user.to_string(),
            status: SlotStatus::Active,
            reclaim: None,
            granted: None,
            arrived: None,
            queued: None,
            acquired: None,
            deadline: None,
            warned: None,
            completed: None,
            ended: None,
            trace: None,
            updated: event.at,
            last_event: event.number.0,
        }
    }
}

const UPSERT: &str = "
    INSERT INTO purchase_slots AS s
        (id, product_id, arrival_number, user_id, status, reclaim_status, granted, arrived_at,
         queued_at, acquired_at, deadline, warned_at, completed_at, ended_at, trace_id, updated_at,
         last_event)
    SELECT id, product, arrival, holder, status, reclaim, granted, at_ms(arrived), at_ms(queued),
           at_ms(acquired), at_ms(deadline), at_ms(warned), at_ms(completed), at_ms(ended), trace,
           at_ms(updated), last_event
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[],
                $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[],
                $12::bigint[], $13::bigint[], $14::bigint[], $15::text[], $16::bigint[],
                $17::bigint[])
         AS t (id, product, arrival, holder, status, reclaim, granted, arrived, queued, acquired,
               deadline, warned, completed, ended, trace, updated, last_event)
    ON CONFLICT (id) DO UPDATE SET
        status = excluded.status,
        reclaim_status = excluded.reclaim_status,
        granted = COALESCE(excluded.granted, s.granted),
        arrived_at = COALESCE(s.arrived_at, excluded.arrived_at),
        queued_at = COALESCE(s.queued_at, excluded.queued_at),
        acquired_at = COALESCE(excluded.acquired_at, s.acquired_at),
        deadline = COALESCE(excluded.deadline, s.deadline),
        warned_at = COALESCE(excluded.warned_at, s.warned_at),
        completed_at = COALESCE(excluded.completed_at, s.completed_at),
        ended_at = excluded.ended_at,
        trace_id = COALESCE(s.trace_id, excluded.trace_id),
        updated_at = excluded.updated_at,
        last_event = excluded.last_event
    WHERE s.user_id = excluded.user_id AND s.last_event < excluded.last_event";

async fn upsert(
    transaction: &mut PgConnection,
    rows: &BTreeMap<SlotId, SlotRow>,
) -> Result<(), SinkError> {
    let ids: Vec<_> = rows.keys().map(|id| column::slot(*id)).collect();
    let times = |of: fn(&SlotRow) -> Option<UnixMillis>| -> Vec<Option<i64>> {
        rows.values().map(|row| of(row).map(column::ms)).collect()
    };
    let texts =
        |of: fn(&SlotRow) -> Option<&str>| -> Vec<Option<&str>> { rows.values().map(of).collect() };
    let done = sqlx::query(UPSERT)
        .bind(&ids)
        .bind(rows.keys().map(|id| column::product(&id.product)).collect::<Vec<_>>())
        .bind(rows.keys().map(|id| i64::from(id.arrival.0)).collect::<Vec<_>>())
        .bind(texts(|row| Some(&row.user)))
        .bind(texts(|row| Some(row.status.word())))
        .bind(texts(|row| row.reclaim))
        .bind(texts(|row| row.granted.map(Grant::word)))
        .bind(times(|row| row.arrived))
        .bind(times(|row| row.queued))
        .bind(times(|row| row.acquired))
        .bind(times(|row| row.deadline))
        .bind(times(|row| row.warned))
        .bind(times(|row| row.completed))
        .bind(times(|row| row.ended))
        .bind(texts(|row| row.trace.as_deref()))
        .bind(times(|row| Some(row.updated)))
        .bind(rows.values().map(|row| column::number(row.last_event)).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    if done == u64::try_from(rows.len()).unwrap_or(u64::MAX) {
        return Ok(());
    }
    let holders: Vec<_> = rows.values().map(|row| row.user.as_str()).collect();
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar(
        "SELECT s.id FROM purchase_slots s
         JOIN unnest($1::uuid[], $2::text[]) AS t (id, holder) USING (id)
         WHERE s.user_id <> t.holder",
    )
    .bind(&ids)
    .bind(&holders)
    .fetch_all(transaction)
    .await?;
    Err(contradicted(&ids, "postgres has another holder for slot"))
}

/// The sales of these slots or payments contradict what Postgres has.
#[must_use]
pub fn contradicted(ids: &[uuid::Uuid], what: &str) -> SinkError {
    let products: std::collections::BTreeSet<_> = ids
        .iter()
        .filter_map(|id| AnyId::from_bytes(id.into_bytes()).ok())
        .map(|id| id.product())
        .collect();
    match ids.first() {
        Some(first) => {
            SinkError::Contradicted(products.into_iter().collect(), format!("{what} {first}"))
        }
        None => {
            SinkError::Retry(format!("{what}, but none could be found; reading the marks again"))
        }
    }
}
