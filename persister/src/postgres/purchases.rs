//! The rows of `purchases` and `refunds`: each payment's events in the batch folded into one row, then one upsert; a
//! refund row for each REFUND_DUE.
//!
//! `settled_at` stays empty until the gateway's own word is in: a payment that failed by time may still have moved
//! money (R8), and gateway/charges.rs keeps asking.

use sqlx::PgConnection;
use std::collections::BTreeMap;

use slot_core::event::{Change, Event, FailureCause, RefundReason};
use slot_core::ids::{ChargeId, ChargeSeal, PaymentId, TraceId, UserId};
use slot_core::units::{ArrivalNumber, AttemptNumber, PaymentMethod, Price, UnixMillis};
use slot_core::wire::PaymentStatus;

use crate::postgres::{column, slots};
use crate::sink::{Batch, SinkError};

/// What the batch says of a payment.
#[derive(Debug, Clone, PartialEq)]
struct PurchaseRow {
    user: String,
    status: PaymentStatus,
    charge: Option<String>,
    key: Option<String>,
    price: Option<Price>,
    method: Option<PaymentMethod>,
    cause: Option<FailureCause>,
    reason: Option<String>,
    reference: Option<String>,
    started: Option<UnixMillis>,
    until: Option<UnixMillis>,
    completed: Option<UnixMillis>,
    settled: Option<UnixMillis>,
    trace: Option<String>,
    updated: UnixMillis,
    last_event: u64,
}

/// Brings what the batch changes of payments; whether it starts any.
///
/// # Errors
/// Of the database; [`SinkError::Contradicted`] where a payment is another one there.
pub async fn apply(transaction: &mut PgConnection, batch: &Batch) -> Result<bool, SinkError> {
    let mut rows = BTreeMap::new();
    for (product, recorded) in batch.events() {
        let Ok(event) = &recorded.event else { continue };
        let payment =
            |arrival: ArrivalNumber, attempt: AttemptNumber| product.slot(arrival).payment(attempt);
        let seal = ChargeSeal::of(&recorded.mark.hash);
        fold_event(&mut rows, event, &payment, seal);
        if let Change::RefundDue(refund) = &event.change {
            let charge =
                ChargeId { payment: payment(refund.arrival, refund.attempt), seal: refund.seal };
            insert_refund(transaction, charge, event, refund).await?;
        }
    }
    if !rows.is_empty() {
        upsert(transaction, &rows).await?;
    }
    Ok(rows.values().any(|row| row.status == PaymentStatus::Pending))
}

fn fold_event(
    rows: &mut BTreeMap<PaymentId, PurchaseRow>,
    event: &Event,
    payment: &dyn Fn(ArrivalNumber, AttemptNumber) -> PaymentId,
    seal: ChargeSeal,
) {
    let at = event.at;
    let mut row = |id: PaymentId, user: &UserId, status, change: &dyn Fn(&mut PurchaseRow)| {
        let row = rows.entry(id).or_insert_with(|| PurchaseRow::of(user, event));
        row.status = status;
        row.updated = at;
        row.last_event = event.number.0;
        row.cause = None;
        row.reason = None;
        change(row);
    };
    match &event.change {
        Change::PaymentStarted(e) => {
            let id = payment(e.arrival, e.attempt);
            row(id, &e.user, PaymentStatus::Pending, &|row| {
                row.charge = Some(ChargeId { payment: id, seal }.to_string());
                row.key = Some(column::text(&e.key));
                row.price = Some(e.price);
                row.method = Some(e.method);
                row.started = Some(at);
                row.until = Some(e.until);
                row.trace = event.trace.as_ref().map(TraceId::to_string);
            });
        }
        Change::PaymentFailed(e) => {
            row(payment(e.arrival, e.attempt), &e.user, PaymentStatus::Failed, &|row| {
                row.cause = Some(e.cause);
                row.reason = Some(column::text(&e.reason));
                row.settled = (e.cause == FailureCause::Declined).then_some(at);
            });
        }
        Change::PaymentCompleted(e) => {
            row(payment(e.arrival, e.attempt), &e.user, PaymentStatus::Success, &|row| {
                row.reference = Some(column::text(&e.reference));
                row.price = Some(e.price);
                row.method = Some(e.method);
                row.completed = Some(at);
                row.settled = Some(at);
            });
        }
        Change::RefundDue(e) if e.reason != RefundReason::UnknownCharge => {
            if let Some(user) = &e.user {
                row(payment(e.arrival, e.attempt), user, PaymentStatus::RefundDue, &|row| {
                    row.reason = Some(e.reason.word().to_owned());
                    row.reference = Some(column::text(&e.reference));
                    row.settled = Some(at);
                });
            }
        }
        _ => {}
    }
}

impl PurchaseRow {
    fn of(user: &UserId, event: &Event) -> Self {
        Self {
            user: user.to_string(),
            status: PaymentStatus::Pending,
            charge: None,
            key: None,
            price: None,
            method: None,
            cause: None,
            reason: None,
            reference: None,
            started: None,
            until: None,
            completed: None,
            settled: None,
            trace: None,
            updated: event.at,
            last_event: event.number.0,
        }
    }
}

async fn insert_refund(
    transaction: &mut PgConnection,
    charge: ChargeId,
    event: &Event,
    refund: &slot_core::event::RefundDue,
) -> Result<(), SinkError> {
    sqlx::query(
        "INSERT INTO refunds
             (product_id, event_number, payment_id, charge_id, user_id, gateway_reference,
              amount_minor, currency, reason, at, trace_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, at_ms($10), $11)",
    )
    .bind(column::product(&charge.payment.slot.product))
    .bind(column::number(event.number.0))
    .bind(column::payment(charge.payment))
    .bind(charge.to_string())
    .bind(refund.user.as_ref().map(UserId::as_str))
    .bind(column::text(&refund.reference))
    .bind(refund.price.map(|price| column::number(price.amount.0)))
    .bind(refund.price.map(|price| price.currency.as_str().to_owned()))
    .bind(refund.reason.word())
    .bind(column::ms(event.at))
    .bind(event.trace.as_ref().map(TraceId::as_str))
    .execute(transaction)
    .await?;
    Ok(())
}

const UPSERT: &str = "
    INSERT INTO purchases AS p
        (id, slot_id, product_id, attempt, charge_id, user_id, idempotency_key, amount_minor,
         currency, method, status, cause, reason, gateway_reference, started_at, until_at,
         completed_at, settled_at, trace_id, updated_at, last_event)
    SELECT id, slot, product, attempt, charge, payer, key, amount, currency, method, status, cause,
           reason, reference, at_ms(started), at_ms(until), at_ms(completed), at_ms(settled), trace,
           at_ms(updated), last_event
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::smallint[], $5::text[], $6::text[],
                $7::text[], $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[],
                $13::text[], $14::text[], $15::bigint[], $16::bigint[], $17::bigint[],
                $18::bigint[], $19::text[], $20::bigint[], $21::bigint[])
         AS t (id, slot, product, attempt, charge, payer, key, amount, currency, method, status,
               cause, reason, reference, started, until, completed, settled, trace, updated,
               last_event)
    ON CONFLICT (id) DO UPDATE SET
        charge_id = COALESCE(p.charge_id, excluded.charge_id),
        idempotency_key = COALESCE(p.idempotency_key, excluded.idempotency_key),
        amount_minor = COALESCE(p.amount_minor, excluded.amount_minor),
        currency = COALESCE(p.currency, excluded.currency),
        method = COALESCE(p.method, excluded.method),
        status = excluded.status,
        cause = excluded.cause,
        reason = excluded.reason,
        gateway_reference = COALESCE(excluded.gateway_reference, p.gateway_reference),
        started_at = COALESCE(p.started_at, excluded.started_at),
        until_at = COALESCE(p.until_at, excluded.until_at),
        completed_at = COALESCE(excluded.completed_at, p.completed_at),
        settled_at = COALESCE(excluded.settled_at, p.settled_at),
        trace_id = COALESCE(p.trace_id, excluded.trace_id),
        updated_at = excluded.updated_at,
        last_event = excluded.last_event
    WHERE p.user_id = excluded.user_id AND p.last_event < excluded.last_event
      AND COALESCE(p.charge_id = excluded.charge_id, true)";

async fn upsert(
    transaction: &mut PgConnection,
    rows: &BTreeMap<PaymentId, PurchaseRow>,
) -> Result<(), SinkError> {
    let ids: Vec<_> = rows.keys().map(|id| column::payment(*id)).collect();
    let times = |of: fn(&PurchaseRow) -> Option<UnixMillis>| -> Vec<Option<i64>> {
        rows.values().map(|row| of(row).map(column::ms)).collect()
    };
    let texts = |of: fn(&PurchaseRow) -> Option<&str>| -> Vec<Option<&str>> {
        rows.values().map(of).collect()
    };
    let done = sqlx::query(UPSERT)
        .bind(&ids)
        .bind(rows.keys().map(|id| column::slot(id.slot)).collect::<Vec<_>>())
        .bind(rows.keys().map(|id| column::product(&id.slot.product)).collect::<Vec<_>>())
        .bind(rows.keys().map(|id| i16::from(id.attempt.0)).collect::<Vec<_>>())
        .bind(texts(|row| row.charge.as_deref()))
        .bind(texts(|row| Some(&row.user)))
        .bind(texts(|row| row.key.as_deref()))
        .bind(
            rows.values().map(|r| r.price.map(|p| column::number(p.amount.0))).collect::<Vec<_>>(),
        )
        .bind(texts(|row| row.price.as_ref().map(|price| price.currency.as_str())))
        .bind(texts(|row| row.method.map(PaymentMethod::word)))
        .bind(texts(|row| Some(row.status.word())))
        .bind(texts(|row| row.cause.map(FailureCause::word)))
        .bind(texts(|row| row.reason.as_deref()))
        .bind(texts(|row| row.reference.as_deref()))
        .bind(times(|row| row.started))
        .bind(times(|row| row.until))
        .bind(times(|row| row.completed))
        .bind(times(|row| row.settled))
        .bind(texts(|row| row.trace.as_deref()))
        .bind(times(|row| Some(row.updated)))
        .bind(rows.values().map(|row| column::number(row.last_event)).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    if done == u64::try_from(rows.len()).unwrap_or(u64::MAX) {
        return Ok(());
    }
    let payers: Vec<_> = rows.values().map(|row| row.user.as_str()).collect();
    let charges: Vec<_> = rows.values().map(|row| row.charge.as_deref()).collect();
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar(
        "SELECT p.id FROM purchases p
         JOIN unnest($1::uuid[], $2::text[], $3::text[]) AS t (id, payer, charge) USING (id)
         WHERE p.user_id <> t.payer OR p.charge_id <> t.charge",
    )
    .bind(&ids)
    .bind(&payers)
    .bind(&charges)
    .fetch_all(transaction)
    .await?;
    Err(slots::contradicted(&ids, "postgres has another payment by the id"))
}
