//! The audit log's rows, by COPY in Postgres's binary format, and the events that could not be decoded.
//!
//! Binary format: header, then for each row the number of fields and each field as length and bytes, then −1
//! (PostgreSQL manual, COPY, "Binary Format"). Lengths and integers are big-endian.

use sqlx::PgConnection;

use slot_core::event::Event;
use slot_core::ids::ProductId;

use crate::history::Recorded;
use crate::postgres::column;
use crate::sink::{Batch, SinkError};

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
const FIELDS: i16 = 7;
const NULL: [u8; 4] = (-1_i32).to_be_bytes();
/// From 1970 to 2000, where Postgres counts from, in microseconds.
const EPOCH_2000_US: i64 = 946_684_800_000_000;

/// Appends the batch's events to the log, and those that can't be read to the quarantine.
///
/// # Errors
/// Of the database.
pub async fn append(transaction: &mut PgConnection, batch: &Batch) -> Result<(), SinkError> {
    let (rows, count) = encode(batch);
    if count > 0 {
        let mut copy = transaction
            .copy_in_raw(
                "COPY slot_audit_log
                     (product_id, event_number, type, at, line, chain_hash, trace_id)
                 FROM STDIN (FORMAT binary)",
            )
            .await?;
        if let Err(error) = copy.send(rows).await {
            // A COPY left open would make the connection unusable; the transaction ends with it anyway.
            let _aborted = copy.abort("the rows could not be sent").await;
            return Err(error.into());
        }
        let copied = copy.finish().await?;
        if copied != count {
            return Err(SinkError::Retry(format!("postgres: {copied} of {count} rows copied")));
        }
    }
    for (product, recorded) in batch.events() {
        if let Err(reason) = &recorded.event {
            quarantine(transaction, &product, recorded, reason).await?;
        }
    }
    Ok(())
}

async fn quarantine(
    transaction: &mut PgConnection,
    product: &ProductId,
    recorded: &Recorded,
    reason: &str,
) -> Result<(), SinkError> {
    tracing::error!(
        product = %product, event = %recorded.mark.number, reason,
        "an event can't be decoded and goes to quarantined_events"
    );
    sqlx::query(
        "INSERT INTO quarantined_events (product_id, event_number, line, chain_hash, reason)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(column::product(product))
    .bind(column::number(recorded.mark.number.0))
    .bind(&recorded.line)
    .bind(recorded.mark.hash.as_bytes().as_slice())
    .bind(reason)
    .execute(transaction)
    .await?;
    Ok(())
}

fn encode(batch: &Batch) -> (Vec<u8>, u64) {
    let mut rows = Vec::with_capacity(batch.len().saturating_mul(256).saturating_add(64));
    rows.extend_from_slice(HEADER);
    let mut count = 0_u64;
    for (product, recorded) in batch.events() {
        if let Ok(event) = &recorded.event {
            encode_row(&mut rows, &product, recorded, event);
            count = count.saturating_add(1);
        }
    }
    rows.extend_from_slice(&TRAILER);
    (rows, count)
}

fn encode_row(rows: &mut Vec<u8>, product: &ProductId, recorded: &Recorded, event: &Event) {
    rows.extend_from_slice(&FIELDS.to_be_bytes());
    field(rows, product.as_bytes());
    field(rows, &column::number(event.number.0).to_be_bytes());
    field(rows, event.change.type_word().as_bytes());
    let at = column::ms(event.at).saturating_mul(1000).saturating_sub(EPOCH_2000_US);
    field(rows, &at.to_be_bytes());
    field(rows, &recorded.line);
    field(rows, recorded.mark.hash.as_bytes());
    match &event.trace {
        Some(trace) => field(rows, trace.as_str().as_bytes()),
        None => rows.extend_from_slice(&NULL),
    }
}

fn field(rows: &mut Vec<u8>, bytes: &[u8]) {
    let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    rows.extend_from_slice(&length.to_be_bytes());
    rows.extend_from_slice(bytes);
}
