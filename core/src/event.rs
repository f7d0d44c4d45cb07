//! The one vocabulary of events (DESIGN §5): what streams, replication, Kafka, Postgres and replay use.
//!
//! The table at the end is the canonical order of each event's fields; line.rs writes and reads them in
//! that order, and ARCHITECTURE.md repeats it. A format once landed only grows by a new version.
//! Next: line.rs.

use serde::{Deserialize, Serialize};

use crate::chain::ChainHash;
use crate::ids::{ChargeSeal, TraceId, UserId};
use crate::line::{Field, LineError, Tokens};
use crate::units::{
    ArrivalNumber, AttemptNumber, EventNumber, Millis, PaymentMethod, Price, UnixMillis, words,
};

/// One change of a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the sale's history, from 1 without a gap (R13).
    pub number: EventNumber,
    /// When the sale decided it; never before the event before it.
    pub at: UnixMillis,
    /// The trace of the request that caused it; for events made by time, that of the slot's acquire.
    pub trace: Option<TraceId>,
    /// What changed.
    pub change: Change,
}

/// How a slot came to its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Grant {
    /// At once, when it was asked for.
    Direct,
    /// From the waitlist, when a unit became free (R5).
    Promoted,
}
words!(Grant, "a grant must be DIRECT or PROMOTED", { Direct = "DIRECT", Promoted = "PROMOTED" });

/// Why a slot ended without being paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ReclaimStatus {
    /// Its deadline came (R4).
    AutoExpired,
    /// An admin took it back.
    ManualReclaimed,
    /// Its holder gave it back.
    Released,
}
words!(ReclaimStatus, "a reclaim status must be AUTO_EXPIRED, MANUAL_RECLAIMED or RELEASED", {
    AutoExpired = "AUTO_EXPIRED",
    ManualReclaimed = "MANUAL_RECLAIMED",
    Released = "RELEASED",
});

/// Why a payment failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FailureCause {
    /// The gateway said no.
    Declined,
    /// The payment window passed without an outcome (R7).
    Timeout,
}
words!(FailureCause, "a failure's cause must be DECLINED or TIMEOUT", {
    Declined = "DECLINED",
    Timeout = "TIMEOUT",
});

/// How a payment's money met its slot (R8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Completion {
    /// While the payment was pending.
    OnTime,
    /// After the payment had failed, while the slot was still active.
    Late,
    /// After the slot had expired; a free unit was taken for it.
    Revived,
}
words!(Completion, "a completion must be ON_TIME, LATE or REVIVED", {
    OnTime = "ON_TIME",
    Late = "LATE",
    Revived = "REVIVED",
});

/// Why money that arrived has to go back (R8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RefundReason {
    /// The sale knows no payment with this charge id.
    UnknownCharge,
    /// Another payment had completed the slot.
    SlotCompleted,
    /// Another payment for the slot is pending.
    PaymentPending,
    /// The slot has expired and the sale is closed.
    SaleClosed,
    /// The slot has expired and somebody waits.
    SomebodyWaits,
    /// The slot has expired and no unit is free.
    SoldOut,
    /// The slot has expired and its buyer holds as many others as the limit allows (R3).
    LimitReached,
}
words!(RefundReason, "not a refund reason", {
    UnknownCharge = "UNKNOWN_CHARGE",
    SlotCompleted = "SLOT_COMPLETED",
    PaymentPending = "PAYMENT_PENDING",
    SaleClosed = "SALE_CLOSED",
    SomebodyWaits = "SOMEBODY_WAITS",
    SoldOut = "SOLD_OUT",
    LimitReached = "LIMIT_REACHED",
});

/// Declares each event's record, its word, and the order of its fields in the line, once.
macro_rules! changes {
    ($($(#[$doc:meta])* $name:ident = $word:literal {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $type,)*
            }
        )*

        /// What an event changed, by type.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Change {
            $($(#[$doc])* $name($name),)*
        }

        impl Change {
            /// Every event type's word.
            pub const TYPES: &'static [&'static str] = &[$($word),*];

            /// The event type's word, such as `SLOT_ACQUIRED`.
            #[must_use]
            pub const fn type_word(&self) -> &'static str {
                match self { $(Self::$name(_) => $word),* }
            }

            /// The names of the type's fields, in the order of the line.
            #[must_use]
            pub fn field_names(type_word: &str) -> Option<&'static [&'static str]> {
                match type_word {
                    $($word => Some(&[$(stringify!($field)),*]),)*
                    _ => None,
                }
            }

            pub(crate) fn put(&self, line: &mut String) {
                match self {
                    $(Self::$name($name { $($field),* }) => { $($field.put(line);)* })*
                }
            }

            pub(crate) fn take(type_word: &str, tokens: &mut Tokens<'_>) -> Result<Self, LineError> {
                match type_word {
                    $($word => Ok(Self::$name($name {
                        $($field: Field::take(tokens, stringify!($field))?,)*
                    })),)*
                    _ => Err(LineError::UnknownType),
                }
            }
        }

        $(
            impl From<$name> for Change {
                fn from(change: $name) -> Self {
                    Self::$name(change)
                }
            }
        )*
    };
}

changes! {
    /// The sale was set up; every option is spelled out.
    ProductCreated = "PRODUCT_CREATED" {
        /// What buyers see.
        name: Box<str>,
        /// What buyers see below the name.
        description: Box<str>,
        /// How many units are sold.
        total: u32,
        /// When the sale opens.
        sale_date: UnixMillis,
        /// How long a slot lasts.
        ttl: Millis,
        /// How many may wait at once.
        waitlist: u32,
        /// How many ACTIVE and COMPLETED slots one user may have (R3).
        limit: u32,
        /// How long a payment may take (R7).
        payment_window: Millis,
        /// How long before its deadline a slot's holder is warned (R12).
        expiring_soon: Millis,
        /// What a unit costs, where the sale checks it.
        price: Option<Price>,
        /// Which admin created it.
        by: Option<UserId>,
        /// The hash algorithm of the chain.
        hash: Box<str>,
    }
    /// An admin changed the product; a field that did not change is empty.
    ProductChanged = "PRODUCT_CHANGED" {
        /// The new name.
        name: Option<Box<str>>,
        /// The new description.
        description: Option<Box<str>>,
        /// Units added, or taken away where negative (R10).
        delta: i64,
        /// The number of units after the change.
        total: u32,
        /// The new opening time (R11).
        sale_date: Option<UnixMillis>,
        /// Which admin changed it.
        by: Option<UserId>,
    }
    /// An admin deleted the product.
    ProductDeleted = "PRODUCT_DELETED" {
        /// Which admin deleted it.
        by: Option<UserId>,
    }
    /// Grants and promotions stop; payments go on (R11).
    SalePaused = "SALE_PAUSED" {
        /// Who paused it.
        by: Option<UserId>,
        /// Why.
        reason: Box<str>,
    }
    /// Grants and promotions go on.
    SaleResumed = "SALE_RESUMED" {
        /// Which admin resumed it.
        by: Option<UserId>,
    }
    /// Grants end for good and the waitlist is emptied (R11).
    SaleClosed = "SALE_CLOSED" {
        /// Which admin closed it.
        by: Option<UserId>,
        /// How many were waiting.
        waiting: u32,
    }
    /// An operator chose between two histories of the sale.
    SaleReconciled = "SALE_RECONCILED" {
        /// The last event that both histories have.
        fork: EventNumber,
        /// The last event of the history that was kept.
        kept_number: EventNumber,
        /// Its chain hash.
        kept_hash: ChainHash,
        /// The last event of the history that was given up.
        other_number: EventNumber,
        /// Its chain hash.
        other_hash: ChainHash,
        /// Who chose.
        by: Option<UserId>,
    }
    /// A buyer joined the waitlist (R6).
    SlotQueued = "SLOT_QUEUED" {
        /// The arrival number taken; a promotion keeps it.
        arrival: ArrivalNumber,
        /// Who waits.
        user: UserId,
        /// When the request reached the edge, by its clock.
        arrived: Option<UnixMillis>,
        /// The place on the waitlist at that moment, from 1.
        position: u32,
        /// Which of the user's slots was asked for (R9).
        nth: u32,
    }
    /// A buyer left the waitlist.
    SlotLeft = "SLOT_LEFT" {
        /// The arrival number given up.
        arrival: ArrivalNumber,
        /// Who left.
        user: UserId,
    }
    /// A buyer got a slot.
    SlotAcquired = "SLOT_ACQUIRED" {
        /// The slot's arrival number (R2).
        arrival: ArrivalNumber,
        /// The holder.
        user: UserId,
        /// When the slot ends if nothing else happens (R4).
        deadline: UnixMillis,
        /// When the request reached the edge, by its clock.
        arrived: Option<UnixMillis>,
        /// At once or from the waitlist.
        how: Grant,
        /// Which of the user's slots was asked for (R9).
        nth: u32,
    }
    /// A slot's deadline is near (R12).
    SlotExpiringSoon = "SLOT_EXPIRING_SOON" {
        /// The slot.
        arrival: ArrivalNumber,
        /// Its holder.
        user: UserId,
        /// When it ends.
        deadline: UnixMillis,
    }
    /// A slot ended unpaid and its unit is free (R5).
    SlotExpired = "SLOT_EXPIRED" {
        /// The slot.
        arrival: ArrivalNumber,
        /// Its last holder.
        user: UserId,
        /// The deadline it had.
        deadline: UnixMillis,
        /// Why it ended.
        status: ReclaimStatus,
        /// Which admin reclaimed it.
        by: Option<UserId>,
    }
    /// A buyer started to pay (R7).
    PaymentStarted = "PAYMENT_STARTED" {
        /// The slot paid for.
        arrival: ArrivalNumber,
        /// Which attempt.
        attempt: AttemptNumber,
        /// The holder.
        user: UserId,
        /// The buyer's idempotency key (R9).
        key: Box<str>,
        /// Amount and currency.
        price: Price,
        /// How it is paid.
        method: PaymentMethod,
        /// What was left of the slot's time; the slot gets it back if the payment fails.
        remaining: Millis,
        /// Until when the slot is held for this payment.
        until: UnixMillis,
    }
    /// A payment failed; its slot goes on until the new deadline.
    PaymentFailed = "PAYMENT_FAILED" {
        /// The slot.
        arrival: ArrivalNumber,
        /// Which attempt.
        attempt: AttemptNumber,
        /// The holder.
        user: UserId,
        /// Refused or timed out.
        cause: FailureCause,
        /// The gateway's words.
        reason: Box<str>,
        /// The slot's deadline from now on.
        deadline: UnixMillis,
    }
    /// A payment succeeded and its slot is completed.
    PaymentCompleted = "PAYMENT_COMPLETED" {
        /// The slot.
        arrival: ArrivalNumber,
        /// Which attempt.
        attempt: AttemptNumber,
        /// The holder.
        user: UserId,
        /// The gateway's reference.
        reference: Box<str>,
        /// Amount and currency.
        price: Price,
        /// How it was paid.
        method: PaymentMethod,
        /// In time, late, or after the slot had expired (R8).
        how: Completion,
    }
    /// Money arrived that no slot can take (R8).
    RefundDue = "REFUND_DUE" {
        /// The slot that the charge id names.
        arrival: ArrivalNumber,
        /// The attempt that the charge id names.
        attempt: AttemptNumber,
        /// The charge id's last part.
        seal: ChargeSeal,
        /// Who paid, where the sale knows the charge.
        user: Option<UserId>,
        /// The gateway's reference.
        reference: Box<str>,
        /// Amount and currency, where the sale knows the charge.
        price: Option<Price>,
        /// Why.
        reason: RefundReason,
    }
}
