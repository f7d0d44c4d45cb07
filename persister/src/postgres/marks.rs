//! The marks in Postgres. They move by compare-and-set in the transaction that brings the events: whoever has
//! not read the current mark changes nothing.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use slot_core::chain::ChainHash;
use slot_core::ids::{AnyId, ProductId};
use slot_core::units::EventNumber;

use crate::marks::{Mark, Marks};
use crate::postgres::column;
use crate::share::Share;
use crate::sink::{Batch, SinkError};

/// The marks of this writer's sales.
///
/// # Errors
/// Of the database, and where a row is not one of ours.
pub async fn read(pool: &PgPool, share: Share) -> Result<Marks, SinkError> {
    let rows: Vec<(Uuid, i64, Vec<u8>)> =
        sqlx::query_as("SELECT product_id, event_number, chain_hash FROM sink_marks")
            .fetch_all(pool)
            .await?;
    let mut marks = Marks::with_capacity(rows.len());
    for (id, number, hash) in rows {
        let (product, mark) = mark_of(id, number, &hash).ok_or_else(|| {
            SinkError::Retry(format!(
                "postgres: the mark of {id} can't be read; look at sink_marks"
            ))
        })?;
        if share.owns(&product) {
            marks.insert(product, mark);
        }
    }
    Ok(marks)
}

fn mark_of(id: Uuid, number: i64, hash: &[u8]) -> Option<(ProductId, Mark)> {
    let AnyId::Product(product) = AnyId::from_bytes(id.into_bytes()).ok()? else { return None };
    let number = EventNumber(u64::try_from(number).ok()?);
    let hash = ChainHash::from_bytes(hash.try_into().ok()?);
    Some((product, Mark { number, hash }))
}

/// Moves the marks of all sales in the batch.
///
/// # Errors
/// [`SinkError::Retry`] where one of them is not where this process read it.
pub async fn advance(
    transaction: &mut PgConnection,
    batch: &Batch,
    writer: i32,
    epoch: i64,
) -> Result<(), SinkError> {
    let products: Vec<_> = batch.sales.iter().map(|sale| column::product(&sale.product)).collect();
    let numbers = |of: fn(&crate::sink::SaleBatch) -> Mark| -> (Vec<i64>, Vec<Vec<u8>>) {
        let mark = |sale| of(sale);
        batch
            .sales
            .iter()
            .map(|sale| {
                let mark = mark(sale);
                (column::number(mark.number.0), mark.hash.as_bytes().to_vec())
            })
            .unzip()
    };
    let (before, before_hash) = numbers(|sale| sale.before);
    let (after, after_hash) = numbers(|sale| sale.after);
    sqlx::query(
        "INSERT INTO sink_marks (product_id, writer, epoch, event_number, chain_hash, updated_at)
         SELECT product, $4, $5, 0, hash, now()
         FROM unnest($1::uuid[], $2::bigint[], $3::bytea[]) AS t (product, number, hash)
         WHERE number = 0
         ON CONFLICT (product_id) DO NOTHING",
    )
    .bind(&products)
    .bind(&before)
    .bind(&before_hash)
    .bind(writer)
    .bind(epoch)
    .execute(&mut *transaction)
    .await?;
    let moved = sqlx::query(
        "UPDATE sink_marks AS m
         SET event_number = t.after, chain_hash = t.after_hash,
             writer = $6, epoch = $7, updated_at = now()
         FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bytea[])
              AS t (product, before, before_hash, after, after_hash)
         WHERE m.product_id = t.product AND m.event_number = t.before
           AND m.chain_hash = t.before_hash AND (m.writer <> $6 OR m.epoch <= $7)",
    )
    .bind(&products)
    .bind(&before)
    .bind(&before_hash)
    .bind(&after)
    .bind(&after_hash)
    .bind(writer)
    .bind(epoch)
    .execute(transaction)
    .await?
    .rows_affected();
    let expected = u64::try_from(products.len()).unwrap_or(u64::MAX);
    if moved == expected {
        Ok(())
    } else {
        Err(SinkError::Retry(format!(
            "postgres: {moved} of {expected} marks were where this process had read them; nothing was \
             written, reading them again"
        )))
    }
}
