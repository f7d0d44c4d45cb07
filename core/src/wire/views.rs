//! What reads answer: maps (RESP3) or the same as flat arrays (RESP2). Next: replies.rs.

use super::value::{Misshapen, Value, Wire};
use crate::chain::ChainHash;
use crate::ids::{ChargeId, PaymentId, ProductId, SlotId, UserId};
use crate::units::{Currency, EventNumber, Millis, MinorUnits, PaymentMethod, UnixMillis, words};

/// What a slot, or a place on the waitlist, has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SlotStatus {
    /// On the waitlist.
    Waiting,
    /// Was on the waitlist and left, or the sale closed.
    Left,
    /// Held, until its deadline.
    Active,
    /// Paid.
    Completed,
    /// Ended unpaid.
    Expired,
}
words!(SlotStatus, "a slot status must be WAITING, LEFT, ACTIVE, COMPLETED or EXPIRED", {
    Waiting = "WAITING",
    Left = "LEFT",
    Active = "ACTIVE",
    Completed = "COMPLETED",
    Expired = "EXPIRED",
});

/// What a sale is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SaleStatus {
    /// Before its sale date.
    Upcoming,
    /// Open, with stock.
    OnSale,
    /// Open, without grants for now.
    Paused,
    /// Open, without stock.
    SoldOut,
    /// Over for good.
    Closed,
}
words!(SaleStatus, "a sale status must be UPCOMING, ON_SALE, PAUSED, SOLD_OUT or CLOSED", {
    Upcoming = "UPCOMING",
    OnSale = "ON_SALE",
    Paused = "PAUSED",
    SoldOut = "SOLD_OUT",
    Closed = "CLOSED",
});

/// What a payment has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PaymentStatus {
    /// No outcome yet.
    Pending,
    /// The slot is paid.
    Success,
    /// Refused, or out of time.
    Failed,
    /// The money came too late and has to go back.
    RefundDue,
}
words!(PaymentStatus, "a payment status must be PENDING, SUCCESS, FAILED or REFUND_DUE", {
    Pending = "PENDING",
    Success = "SUCCESS",
    Failed = "FAILED",
    RefundDue = "REFUND_DUE",
});

/// Declares a map reply: its keys, in order, and their types.
macro_rules! maps {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident = $key:literal: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Wire for $name {
            fn to_value(&self) -> Value {
                Value::Map(vec![$(($key, self.$field.to_value())),*])
            }
            fn from_value(value: Value) -> Result<Self, Misshapen> {
                let mut map = value.flat()?;
                Ok(Self { $($field: Wire::from_value(Value::take(&mut map, $key)?)?,)* })
            }
        }
    )*};
}

maps! {
    /// A slot or a place on the waitlist, as of the moment of the answer.
    SlotView {
        /// Its id.
        id = "id": SlotId,
        /// The product.
        product = "product": ProductId,
        /// The holder.
        user = "user": UserId,
        /// What it has come to, by the clock.
        status = "status": SlotStatus,
        /// Why it ended, where it has: AUTO_EXPIRED, MANUAL_RECLAIMED or RELEASED.
        reclaim = "reclaim": Option<String>,
        /// When it was granted; null while waiting.
        acquired = "acquired": Option<UnixMillis>,
        /// The time that counts: its deadline, or while paying until when it is held.
        deadline = "deadline": Option<UnixMillis>,
        /// From the answer to the deadline; 0 unless ACTIVE.
        remaining = "remaining": Millis,
        /// Whether a payment is in flight.
        paying = "paying": bool,
        /// When the request reached the edge, by its clock.
        arrived = "arrived": Option<UnixMillis>,
        /// When it was asked for, by the sale's clock.
        created = "created": UnixMillis,
    }
    /// A payment, as of the moment of the answer.
    PaymentView {
        /// Its id.
        id = "id": PaymentId,
        /// The slot.
        slot = "slot": SlotId,
        /// Who pays.
        user = "user": UserId,
        /// What it has come to, by the clock.
        status = "status": PaymentStatus,
        /// The gateway's idempotency key.
        charge = "charge": ChargeId,
        /// How much, in minor units.
        amount = "amount": MinorUnits,
        /// Of which currency.
        currency = "currency": Currency,
        /// How.
        method = "method": PaymentMethod,
        /// The gateway's reference, once it is known.
        reference = "reference": Option<String>,
        /// Why it failed or is to be refunded.
        reason = "reason": Option<String>,
        /// When it was started.
        created = "created": UnixMillis,
        /// When its status changed last.
        updated = "updated": UnixMillis,
        /// Until when the gateway may answer.
        until = "until": UnixMillis,
        /// From the answer to `until`; 0 unless PENDING.
        remaining = "remaining": Millis,
    }
    /// A sale, as of the moment of the answer.
    SaleView {
        /// The product's id.
        id = "id": ProductId,
        /// What buyers see.
        name = "name": String,
        /// What buyers see below the name.
        description = "description": String,
        /// What the sale is doing.
        status = "status": SaleStatus,
        /// Units not held by anyone.
        stock = "stock": u32,
        /// All units: stock + active + completed (R1).
        total = "total": u32,
        /// Units held.
        active = "active": u32,
        /// Units paid.
        completed = "completed": u32,
        /// Buyers on the waitlist.
        waiting = "waiting": u32,
        /// Payments in flight.
        paying = "paying": u32,
        /// When it opens.
        sale_date = "sale-date": UnixMillis,
        /// How long a slot lasts.
        ttl = "ttl": Millis,
        /// How many may wait.
        waitlist = "waitlist": u32,
        /// How many slots a user may have.
        limit = "limit": u32,
        /// How long a payment may take.
        payment_window = "payment-window": Millis,
        /// How long before its deadline a slot's holder is warned.
        expiring_soon = "expiring-soon": Millis,
        /// What a unit costs, in minor units.
        price = "price": Option<MinorUnits>,
        /// Of which currency.
        currency = "currency": Option<Currency>,
        /// When it was created.
        created = "created": UnixMillis,
        /// When it last changed.
        updated = "updated": UnixMillis,
        /// The last event's number.
        events = "events": EventNumber,
        /// The last event's chain hash.
        head = "head": ChainHash,
        /// The sale's time of this answer.
        now = "now": UnixMillis,
    }
    /// The sale recounted from its slots, not from its counters.
    AuditView {
        /// The product's id.
        id = "id": ProductId,
        /// All units.
        total = "total": u32,
        /// Units not held by anyone.
        stock = "stock": u32,
        /// ACTIVE slots.
        active = "active": u32,
        /// COMPLETED slots.
        completed = "completed": u32,
        /// EXPIRED slots.
        expired = "expired": u32,
        /// Places on the waitlist.
        waiting = "waiting": u32,
        /// Arrival numbers given out.
        arrivals = "arrivals": u32,
        /// Payments in flight.
        paying = "paying": u32,
        /// Payments to be refunded.
        refunds = "refunds": u32,
        /// The last event's number.
        events = "events": EventNumber,
        /// The last event's chain hash.
        head = "head": ChainHash,
        /// A hash over the whole state; equal on primary, replica, reload and replay.
        digest = "digest": String,
        /// What does not hold, in words; empty in a sound sale.
        violations = "violations": Vec<String>,
    }
    /// One user in one sale.
    UserView {
        /// The user.
        user = "user": UserId,
        /// The user's slots, in the order of arrival.
        slots = "slots": Vec<SlotView>,
        /// The place on the waitlist, from 1.
        position = "position": Option<u32>,
        /// How many wait before this user.
        ahead = "ahead": Option<u32>,
    }
}
