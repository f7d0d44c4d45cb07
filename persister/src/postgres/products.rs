//! The rows of `products`: a sale's options as of its last event. They change seldom, so each event is a statement.

use sqlx::PgConnection;

use slot_core::event::{Change, Event, ProductChanged, ProductCreated};
use slot_core::ids::ProductId;

use crate::postgres::column;
use crate::sink::{Batch, SinkError};

/// Brings the batch's changes of products.
///
/// # Errors
/// Of the database.
pub async fn apply(transaction: &mut PgConnection, batch: &Batch) -> Result<(), SinkError> {
    for (product, recorded) in batch.events() {
        let Ok(event) = &recorded.event else { continue };
        match &event.change {
            Change::ProductCreated(created) => {
                create(transaction, &product, event, created).await?;
            }
            Change::ProductChanged(changed) => {
                change(transaction, &product, event, changed).await?;
            }
            Change::ProductDeleted(_) => state(transaction, &product, event, "DELETED").await?,
            Change::SalePaused(_) => state(transaction, &product, event, "PAUSED").await?,
            Change::SaleResumed(_) => state(transaction, &product, event, "OPEN").await?,
            Change::SaleClosed(_) => state(transaction, &product, event, "CLOSED").await?,
            _ => {}
        }
    }
    Ok(())
}

async fn create(
    transaction: &mut PgConnection,
    product: &ProductId,
    event: &Event,
    created: &ProductCreated,
) -> Result<(), SinkError> {
    sqlx::query(
        "INSERT INTO products
             (id, name, description, total, sale_date, ttl_ms, waitlist, slot_limit,
              payment_window_ms, expiring_soon_ms, price_minor, currency, state, created_by,
              created_at, updated_at, last_event)
         VALUES ($1, $2, $3, $4, at_ms($5), $6, $7, $8, $9, $10, $11, $12, 'OPEN', $13,
                 at_ms($14), at_ms($14), $15)",
    )
    .bind(column::product(product))
    .bind(column::text(&created.name))
    .bind(column::text(&created.description))
    .bind(i64::from(created.total))
    .bind(column::ms(created.sale_date))
    .bind(column::number(created.ttl.0))
    .bind(i64::from(created.waitlist))
    .bind(i64::from(created.limit))
    .bind(column::number(created.payment_window.0))
    .bind(column::number(created.expiring_soon.0))
    .bind(created.price.map(|price| column::number(price.amount.0)))
    .bind(created.price.map(|price| price.currency.as_str().to_owned()))
    .bind(created.by.as_ref().map(slot_core::ids::UserId::as_str))
    .bind(column::ms(event.at))
    .bind(column::number(event.number.0))
    .execute(transaction)
    .await?;
    Ok(())
}

async fn change(
    transaction: &mut PgConnection,
    product: &ProductId,
    event: &Event,
    changed: &ProductChanged,
) -> Result<(), SinkError> {
    sqlx::query(
        "UPDATE products SET name = COALESCE($2, name), description = COALESCE($3, description),
             total = $4, sale_date = COALESCE(at_ms($5), sale_date),
             updated_at = at_ms($6), last_event = $7
         WHERE id = $1",
    )
    .bind(column::product(product))
    .bind(changed.name.as_deref().map(column::text))
    .bind(changed.description.as_deref().map(column::text))
    .bind(i64::from(changed.total))
    .bind(changed.sale_date.map(column::ms))
    .bind(column::ms(event.at))
    .bind(column::number(event.number.0))
    .execute(transaction)
    .await?;
    Ok(())
}

async fn state(
    transaction: &mut PgConnection,
    product: &ProductId,
    event: &Event,
    state: &str,
) -> Result<(), SinkError> {
    sqlx::query(
        "UPDATE products SET state = $2, updated_at = at_ms($3), last_event = $4 WHERE id = $1",
    )
    .bind(column::product(product))
    .bind(state)
    .bind(column::ms(event.at))
    .bind(column::number(event.number.0))
    .execute(transaction)
    .await?;
    Ok(())
}
