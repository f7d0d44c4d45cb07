//! The JSON that buyers and admins see (DESIGN §6, openapi.yaml), made from the module's replies. Times are
//! ISO 8601 UTC with milliseconds, amounts are decimal major units.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use slot_core::ids::{ProductId, UserId};
use slot_core::units::{Millis, UnixMillis};
use slot_core::wire::{Held, PaymentStatus, PaymentView, SaleStatus, SaleView, SlotView};

use crate::money;

/// A point in time as `2026-11-22T10:00:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Iso(pub(crate) UnixMillis);

impl Iso {
    /// Reads an ISO 8601 time with an offset or Z.
    pub(crate) fn parse(field: &str, text: &str) -> Result<UnixMillis, String> {
        text.parse::<Timestamp>()
            .ok()
            .and_then(|time| u64::try_from(time.as_millisecond()).ok())
            .map(UnixMillis)
            .ok_or_else(|| {
                format!("{field} must be an ISO 8601 time since 1970 such as 2026-11-22T10:00:00Z")
            })
    }
}

impl Serialize for Iso {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
        let time = i64::try_from(self.0.0)
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .unwrap_or(Timestamp::MAX);
        serializer.serialize_str(&PRINTER.timestamp_to_string(&time))
    }
}

fn shown<T: std::fmt::Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Product {
    #[serde(serialize_with = "shown")]
    pub(crate) id: ProductId,
    name: String,
    description: String,
    /// Units not held by anyone.
    stock: u32,
    /// All units; grows and shrinks with the admin's increments.
    initial_stock: u32,
    sale_date: Iso,
    #[serde(serialize_with = "shown")]
    pub(crate) status: SaleStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    active: u32,
    completed: u32,
    waiting: u32,
    ttl_seconds: f64,
    waitlist: u32,
    limit: u32,
    payment_window_seconds: f64,
    expiring_soon_seconds: f64,
    created_at: Iso,
    updated_at: Iso,
}

fn seconds(span: Millis) -> f64 {
    // Spans are at most 366 days: far below what an f64 holds exactly in milliseconds.
    std::time::Duration::from_millis(span.0).as_secs_f64()
}

impl Product {
    pub(crate) fn of(sale: &SaleView, status: SaleStatus) -> Self {
        Self {
            id: sale.id,
            name: sale.name.clone(),
            description: sale.description.clone(),
            stock: sale.stock,
            initial_stock: sale.total,
            sale_date: Iso(sale.sale_date),
            status,
            price: sale.price.zip(sale.currency).and_then(|(p, c)| money::major(p, c)),
            currency: sale.currency.map(|currency| currency.as_str().to_owned()),
            active: sale.active,
            completed: sale.completed,
            waiting: sale.waiting,
            ttl_seconds: seconds(sale.ttl),
            waitlist: sale.waitlist,
            limit: sale.limit,
            payment_window_seconds: seconds(sale.payment_window),
            expiring_soon_seconds: seconds(sale.expiring_soon),
            created_at: Iso(sale.created),
            updated_at: Iso(sale.updated),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Slot {
    id: String,
    #[serde(serialize_with = "shown")]
    product_id: ProductId,
    product_name: String,
    user_id: String,
    acquisition_timestamp: Option<Iso>,
    expiration_timestamp: Option<Iso>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reclaim_status: Option<String>,
    /// Whole seconds, rounded down, so that nobody is promised time that is gone.
    remaining_time_seconds: u64,
    paying: bool,
    created_at: Iso,
}

impl Slot {
    pub(crate) fn of(slot: &SlotView, product_name: &str) -> Self {
        Self {
            id: slot.id.to_string(),
            product_id: slot.product,
            product_name: product_name.to_owned(),
            user_id: slot.user.to_string(),
            acquisition_timestamp: slot.acquired.map(Iso),
            expiration_timestamp: slot.deadline.map(Iso),
            status: slot.status.word(),
            reclaim_status: slot.reclaim.clone(),
            remaining_time_seconds: slot.remaining.0 / 1_000,
            paying: slot.paying,
            created_at: Iso(slot.created),
        }
    }

    /// A slot granted just now: it was asked for in the moment it was acquired.
    pub(crate) fn granted(held: &Held, user: &UserId, product_name: &str) -> Self {
        Self {
            id: held.slot.to_string(),
            product_id: held.slot.product,
            product_name: product_name.to_owned(),
            user_id: user.to_string(),
            acquisition_timestamp: Some(Iso(held.acquired)),
            expiration_timestamp: Some(Iso(held.deadline)),
            status: held.status.word(),
            reclaim_status: None,
            remaining_time_seconds: held.remaining.0 / 1_000,
            paying: held.paying,
            created_at: Iso(held.acquired),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payment {
    pub(crate) id: String,
    purchase_slot_id: String,
    /// The gateway's reference, null before it is known.
    payment_id: Option<String>,
    payment_status: &'static str,
    amount: Option<Box<RawValue>>,
    currency: String,
    payment_method: &'static str,
    confirmation_timestamp: Option<Iso>,
    failure_reason: Option<String>,
    created_at: Iso,
    updated_at: Iso,
}

impl Payment {
    pub(crate) fn of(payment: &PaymentView) -> Self {
        let confirmed = payment.status == PaymentStatus::Success;
        Self {
            id: payment.id.to_string(),
            purchase_slot_id: payment.slot.to_string(),
            payment_id: payment.reference.clone(),
            payment_status: payment.status.word(),
            amount: money::major(payment.amount, payment.currency),
            currency: payment.currency.as_str().to_owned(),
            payment_method: payment.method.word(),
            confirmation_timestamp: confirmed.then_some(Iso(payment.updated)),
            failure_reason: payment.reason.clone(),
            created_at: Iso(payment.created),
            updated_at: Iso(payment.updated),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_milliseconds() {
        let json = |ms| serde_json::to_string(&Iso(UnixMillis(ms))).expect("JSON");
        assert_eq!(json(0), r#""1970-01-01T00:00:00.000Z""#);
        assert_eq!(json(1_763_827_200_120), r#""2025-11-22T16:00:00.120Z""#);
        assert_eq!(
            Iso::parse("saleDate", "2025-11-23T01:00:00.12+09:00"),
            Ok(UnixMillis(1_763_827_200_120))
        );
        for bad in [
            "",
            "tomorrow",
            "2025-11-22",
            "2025-11-22T10:00:00",
            "1969-12-31T23:59:59Z",
            "1763827200",
        ] {
            assert!(Iso::parse("saleDate", bad).is_err(), "{bad}");
        }
    }
}
