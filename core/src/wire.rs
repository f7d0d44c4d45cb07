//! The shapes of the module's replies, in one table: the module writes them, edge, persister and loadtest
//! read them.
//!
//! A write answers an array `[WORD, fields…]`; the word is the outcome, errors are for misuse. A read
//! answers a map (RESP3) or the same as a flat array (RESP2), or null where there is nothing by that
//! name. Map keys are lower case with hyphens, as in Redis's own XINFO; times are milliseconds.

use std::fmt;

use crate::chain::ChainHash;
use crate::ids::{AnyId, ChargeId, PaymentId, ProductId, SlotId, UserId};
use crate::units::{
    ArrivalNumber, AttemptNumber, Currency, EventNumber, Invalid, Millis, MinorUnits,
    PaymentMethod, UnixMillis, words,
};

/// A reply, or a part of one, in the form that RESP2 and RESP3 share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// An integer.
    Int(i64),
    /// A bulk string.
    Text(String),
    /// An array.
    List(Vec<Value>),
    /// A map; a flat array in RESP2.
    Map(Vec<(&'static str, Value)>),
    /// An error in place of one item's reply.
    Error(String),
}

/// A reply that does not have the shape it should have: module and client are of different versions, or
/// the key is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misshapen(pub String);

impl fmt::Display for Misshapen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the module's reply has an unexpected shape: {}", self.0)
    }
}

impl std::error::Error for Misshapen {}

impl From<Invalid> for Misshapen {
    fn from(invalid: Invalid) -> Self {
        Self(invalid.0.into())
    }
}

/// A type with a form on the wire.
pub trait Wire: Sized {
    /// What the module answers.
    fn to_value(&self) -> Value;

    /// What the client reads.
    ///
    /// # Errors
    /// [`Misshapen`] where the value is of another shape.
    fn from_value(value: Value) -> Result<Self, Misshapen>;
}

impl Value {
    fn text(self) -> Result<String, Misshapen> {
        match self {
            Self::Text(text) => Ok(text),
            other @ (Self::Null | Self::Int(_) | Self::List(_) | Self::Map(_) | Self::Error(_)) => {
                Err(Misshapen(format!("text expected, got {other:?}")))
            }
        }
    }

    fn list(self) -> Result<Vec<Self>, Misshapen> {
        match self {
            Self::List(items) => Ok(items),
            other @ (Self::Null | Self::Int(_) | Self::Text(_) | Self::Map(_) | Self::Error(_)) => {
                Err(Misshapen(format!("array expected, got {other:?}")))
            }
        }
    }

    /// Takes the value of a key out of a map that came over RESP2 or RESP3.
    fn take(map: &mut [Self], key: &str) -> Result<Self, Misshapen> {
        let (pairs, _) = map.as_chunks_mut::<2>();
        pairs
            .iter_mut()
            .find(|[name, _]| matches!(name, Self::Text(name) if name == key))
            .map(|[_, value]| std::mem::replace(value, Self::Null))
            .ok_or_else(|| Misshapen(format!("the map has no key {key}")))
    }

    /// A map as a flat list, whichever protocol it came by.
    fn flat(self) -> Result<Vec<Self>, Misshapen> {
        match self {
            Self::Map(pairs) => Ok(pairs
                .into_iter()
                .flat_map(|(key, value)| [Self::Text(key.to_owned()), value])
                .collect()),
            other
            @ (Self::Null | Self::Int(_) | Self::Text(_) | Self::List(_) | Self::Error(_)) => {
                other.list()
            }
        }
    }
}

#[cfg(feature = "client")]
impl From<redis::Value> for Value {
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "redis::Value may grow; we use none of the rest"
    )]
    fn from(value: redis::Value) -> Self {
        match value {
            redis::Value::Int(n) => Self::Int(n),
            redis::Value::BulkString(bytes) => Self::Text(
                String::from_utf8(bytes)
                    .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()),
            ),
            redis::Value::SimpleString(text) => Self::Text(text),
            redis::Value::VerbatimString { text, .. } => Self::Text(text),
            redis::Value::Okay => Self::Text("OK".to_owned()),
            redis::Value::Boolean(yes) => Self::Int(i64::from(yes)),
            redis::Value::Double(n) => Self::Text(n.to_string()),
            redis::Value::Array(items) | redis::Value::Set(items) => {
                Self::List(items.into_iter().map(Self::from).collect())
            }
            redis::Value::Map(pairs) => Self::List(
                pairs.into_iter().flat_map(|(k, v)| [Self::from(k), Self::from(v)]).collect(),
            ),
            redis::Value::ServerError(error) => Self::Error(error.to_string()),
            _ => Self::Null,
        }
    }
}

macro_rules! int_wire {
    ($($name:ident),*) => {$(
        impl Wire for $name {
            fn to_value(&self) -> Value {
                Value::Int(i64::try_from(self.0).unwrap_or(i64::MAX))
            }
            fn from_value(value: Value) -> Result<Self, Misshapen> {
                u64::from_value(value)?
                    .try_into()
                    .map($name)
                    .map_err(|_| Misshapen(concat!(stringify!($name), " out of range").into()))
            }
        }
    )*};
}
int_wire!(UnixMillis, Millis, MinorUnits, EventNumber, ArrivalNumber, AttemptNumber);

impl Wire for u64 {
    fn to_value(&self) -> Value {
        Value::Int(i64::try_from(*self).unwrap_or(i64::MAX))
    }
    fn from_value(value: Value) -> Result<Self, Misshapen> {
        let number = match &value {
            Value::Int(n) => Self::try_from(*n).ok(),
            Value::Text(text) => text.parse().ok(),
            Value::Null | Value::List(_) | Value::Map(_) | Value::Error(_) => None,
        };
        number.ok_or_else(|| Misshapen(format!("number expected, got {value:?}")))
    }
}

impl Wire for u32 {
    fn to_value(&self) -> Value {
        Value::Int(i64::from(*self))
    }
    fn from_value(value: Value) -> Result<Self, Misshapen> {
        Self::try_from(u64::from_value(value)?).map_err(|_| Misshapen("number too large".into()))
    }
}

impl Wire for bool {
    fn to_value(&self) -> Value {
        Value::Int(i64::from(*self))
    }
    fn from_value(value: Value) -> Result<Self, Misshapen> {
        Ok(u64::from_value(value)? != 0)
    }
}

impl Wire for String {
    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
    fn from_value(value: Value) -> Result<Self, Misshapen> {
        value.text()
    }
}

macro_rules! text_wire {
    ($($name:ident),*) => {$(
        impl Wire for $name {
            fn to_value(&self) -> Value {
                Value::Text(self.to_string())
            }
            fn from_value(value: Value) -> Result<Self, Misshapen> {
                Ok($name::parse(&value.text()?)?)
            }
        }
    )*};
}
text_wire!(ProductId, SlotId, PaymentId, ChargeId, ChainHash, UserId, PaymentMethod);
text_wire!(SlotStatus, SaleStatus, PaymentStatus);

impl Wire for Currency {
    fn to_value(&self) -> Value {
        Value::Text(self.as_str().to_owned())
    }
    fn from_value(value: Value) -> Result<Self, Misshapen> {
        Ok(Self::parse(&value.text()?)?)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_value)
    }
    fn from_value(value: Value) -> Result<Self, Misshapen> {
        if value == Value::Null { Ok(None) } else { T::from_value(value).map(Some) }
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn to_value(&self) -> Value {
        Value::List(self.iter().map(T::to_value).collect())
    }
    fn from_value(value: Value) -> Result<Self, Misshapen> {
        value.list()?.into_iter().map(T::from_value).collect()
    }
}

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

/// What SLOT.ACQUIRE answers, and SLOT.MACQUIRE for each item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcquireReply {
    /// `[ACQUIRED, slot, status, acquired, deadline, remaining, paying]`: the slot is the caller's.
    Acquired(Held),
    /// `[HELD, …]`, fields as above: the caller had it already (R9).
    Held(Held),
    /// `[WAITING, position, slot]`: on the waitlist; the id is the slot's if it comes to one.
    Waiting {
        /// From 1.
        position: u32,
        /// The id of the place and of the slot it may become.
        slot: SlotId,
    },
    /// `[SOLD_OUT]`
    SoldOut,
    /// `[WAITLIST_FULL]`
    WaitlistFull,
    /// `[NOT_OPEN, opens]`
    NotOpen {
        /// The sale date.
        opens: UnixMillis,
    },
    /// `[PAUSED]`
    Paused,
    /// `[CLOSED]`
    Closed,
    /// `[LIMIT]`: NTH asks for more than the sale's limit.
    Limit,
    /// `[BACKLOG]`: the sinks are too far behind; nothing was decided.
    Backlog,
    /// `[NO_SALE]`
    NoSale,
    /// `[FULL]`: the sale has no arrival number left.
    Full,
}

/// A slot as SLOT.ACQUIRE tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The slot.
    pub slot: SlotId,
    /// ACTIVE or COMPLETED.
    pub status: SlotStatus,
    /// When it was granted.
    pub acquired: UnixMillis,
    /// The time that counts.
    pub deadline: UnixMillis,
    /// From the answer to the deadline.
    pub remaining: Millis,
    /// Whether a payment is in flight.
    pub paying: bool,
}

impl Held {
    fn to_list(self, word: &str) -> Value {
        Value::List(vec![
            Value::Text(word.to_owned()),
            self.slot.to_value(),
            self.status.to_value(),
            self.acquired.to_value(),
            self.deadline.to_value(),
            self.remaining.to_value(),
            self.paying.to_value(),
        ])
    }

    fn from_items(mut items: impl Iterator<Item = Value>) -> Result<Self, Misshapen> {
        Ok(Self {
            slot: next(&mut items)?,
            status: next(&mut items)?,
            acquired: next(&mut items)?,
            deadline: next(&mut items)?,
            remaining: next(&mut items)?,
            paying: next(&mut items)?,
        })
    }
}

fn next<T: Wire>(items: &mut impl Iterator<Item = Value>) -> Result<T, Misshapen> {
    T::from_value(items.next().ok_or_else(|| Misshapen("the reply ends early".into()))?)
}

fn only(word: &str) -> Value {
    Value::List(vec![Value::Text(word.to_owned())])
}

impl AcquireReply {
    /// The outcome's word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Acquired(_) => "ACQUIRED",
            Self::Held(_) => "HELD",
            Self::Waiting { .. } => "WAITING",
            Self::SoldOut => "SOLD_OUT",
            Self::WaitlistFull => "WAITLIST_FULL",
            Self::NotOpen { .. } => "NOT_OPEN",
            Self::Paused => "PAUSED",
            Self::Closed => "CLOSED",
            Self::Limit => "LIMIT",
            Self::Backlog => "BACKLOG",
            Self::NoSale => "NO_SALE",
            Self::Full => "FULL",
        }
    }
}

impl Wire for AcquireReply {
    fn to_value(&self) -> Value {
        match self {
            Self::Acquired(held) | Self::Held(held) => held.to_list(self.word()),
            Self::Waiting { position, slot } => Value::List(vec![
                Value::Text(self.word().to_owned()),
                position.to_value(),
                slot.to_value(),
            ]),
            Self::NotOpen { opens } => {
                Value::List(vec![Value::Text(self.word().to_owned()), opens.to_value()])
            }
            Self::SoldOut
            | Self::WaitlistFull
            | Self::Paused
            | Self::Closed
            | Self::Limit
            | Self::Backlog
            | Self::NoSale
            | Self::Full => only(self.word()),
        }
    }

    fn from_value(value: Value) -> Result<Self, Misshapen> {
        let mut items = value.list()?.into_iter();
        let word: String = next(&mut items)?;
        Ok(match word.as_str() {
            "ACQUIRED" => Self::Acquired(Held::from_items(items)?),
            "HELD" => Self::Held(Held::from_items(items)?),
            "WAITING" => Self::Waiting { position: next(&mut items)?, slot: next(&mut items)? },
            "SOLD_OUT" => Self::SoldOut,
            "WAITLIST_FULL" => Self::WaitlistFull,
            "NOT_OPEN" => Self::NotOpen { opens: next(&mut items)? },
            "PAUSED" => Self::Paused,
            "CLOSED" => Self::Closed,
            "LIMIT" => Self::Limit,
            "BACKLOG" => Self::Backlog,
            "NO_SALE" => Self::NoSale,
            "FULL" => Self::Full,
            _ => return Err(Misshapen(format!("unknown outcome {word}"))),
        })
    }
}

/// What SLOT.PAY, SLOT.CONSUME and SLOT.DECLINE answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayReply {
    /// `[PENDING|SUCCESS|FAILED|REFUND_DUE, payment, slot]`, the word being the payment's status.
    Payment(Box<PaymentView>, Box<SlotView>),
    /// `[REFUND_DUE, null, null]`: CONSUME of a charge that the sale does not know (R8).
    UnknownCharge,
    /// A refusal, in one word.
    Refused(PayRefusal),
}

/// Why a payment is not started or settled; in the order in which they are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PayRefusal {
    /// There is no such sale.
    NoSale,
    /// The sale has no such slot, or it is still waiting.
    NoSlot,
    /// The slot is another user's.
    NotHolder,
    /// DECLINE of a charge that the sale does not know.
    NoPayment,
    /// The idempotency key was used with other content (R9).
    IdempotencyMismatch,
    /// The slot is paid already.
    SlotCompleted,
    /// The slot has expired.
    SlotExpired,
    /// Another payment is in flight (R7).
    PaymentInProgress,
    /// All 255 attempts are used up.
    TooManyPayments,
    /// Amount or currency is not the price.
    AmountMismatch,
}
words!(PayRefusal, "not a refusal of a payment", {
    NoSale = "NO_SALE",
    NoSlot = "NO_SLOT",
    NotHolder = "NOT_HOLDER",
    NoPayment = "NO_PAYMENT",
    IdempotencyMismatch = "IDEMPOTENCY_MISMATCH",
    SlotCompleted = "SLOT_COMPLETED",
    SlotExpired = "SLOT_EXPIRED",
    PaymentInProgress = "PAYMENT_IN_PROGRESS",
    TooManyPayments = "TOO_MANY_PAYMENTS",
    AmountMismatch = "AMOUNT_MISMATCH",
});

impl Wire for PayReply {
    fn to_value(&self) -> Value {
        match self {
            Self::Payment(payment, slot) => {
                Value::List(vec![payment.status.to_value(), payment.to_value(), slot.to_value()])
            }
            Self::UnknownCharge => {
                Value::List(vec![Value::Text("REFUND_DUE".to_owned()), Value::Null, Value::Null])
            }
            Self::Refused(refusal) => only(refusal.word()),
        }
    }

    fn from_value(value: Value) -> Result<Self, Misshapen> {
        let mut items = value.list()?.into_iter();
        let word: String = next(&mut items)?;
        if PaymentStatus::parse(&word).is_err() {
            return Ok(Self::Refused(PayRefusal::parse(&word)?));
        }
        let payment: Option<PaymentView> = next(&mut items)?;
        let slot: Option<SlotView> = next(&mut items)?;
        Ok(match payment.zip(slot) {
            Some((payment, slot)) => Self::Payment(Box::new(payment), Box::new(slot)),
            None => Self::UnknownCharge,
        })
    }
}

/// What SLOT.RELEASE, SLOT.LEAVE, SLOT.RECLAIM, SLOT.PAUSE, SLOT.RESUME, SLOT.CLOSE and SLOT.DROP answer:
/// `[WORD]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Done {
    /// It is so now, whether it was before or not.
    Ok,
    /// There is no such sale.
    NoSale,
    /// The sale has no such slot.
    NoSlot,
    /// The slot is another user's.
    NotHolder,
    /// The slot is not ACTIVE.
    NotActive,
    /// A payment for the slot is in flight (R7).
    PaymentInProgress,
    /// The user does not wait.
    NotWaiting,
    /// The sale is closed.
    Closed,
    /// The product has ACTIVE slots, a PENDING payment or an open refund (R11).
    InUse,
}
words!(Done, "not an outcome of this command", {
    Ok = "OK",
    NoSale = "NO_SALE",
    NoSlot = "NO_SLOT",
    NotHolder = "NOT_HOLDER",
    NotActive = "NOT_ACTIVE",
    PaymentInProgress = "PAYMENT_IN_PROGRESS",
    NotWaiting = "NOT_WAITING",
    Closed = "CLOSED",
    InUse = "IN_USE",
});

impl Wire for Done {
    fn to_value(&self) -> Value {
        only(self.word())
    }
    fn from_value(value: Value) -> Result<Self, Misshapen> {
        Ok(Self::parse(&next::<String>(&mut value.list()?.into_iter())?)?)
    }
}

/// What SLOT.CREATE and SLOT.ALTER answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaleReply {
    /// `[OK, sale]`
    Sale(Box<SaleView>),
    /// `[EXISTS, sale]`: CREATE of a product that is there already; nothing changed.
    Exists(Box<SaleView>),
    /// `[NO_SALE]`
    NoSale,
    /// `[STOCK, least]`: fewer units than are active and completed (R10).
    Stock {
        /// active + completed.
        least: u32,
    },
    /// `[SLOTS_EXIST]`: the sale date can't change any more (R11).
    SlotsExist,
    /// `[CHANGED, event-number]`: IF names another event number.
    Changed(EventNumber),
    /// `[CLOSED]`
    Closed,
}

impl Wire for SaleReply {
    fn to_value(&self) -> Value {
        let word = |word: &str| Value::Text(word.to_owned());
        match self {
            Self::Sale(sale) => Value::List(vec![word("OK"), sale.to_value()]),
            Self::Exists(sale) => Value::List(vec![word("EXISTS"), sale.to_value()]),
            Self::NoSale => only("NO_SALE"),
            Self::Stock { least } => Value::List(vec![word("STOCK"), least.to_value()]),
            Self::SlotsExist => only("SLOTS_EXIST"),
            Self::Changed(number) => Value::List(vec![word("CHANGED"), number.to_value()]),
            Self::Closed => only("CLOSED"),
        }
    }

    fn from_value(value: Value) -> Result<Self, Misshapen> {
        let mut items = value.list()?.into_iter();
        let word: String = next(&mut items)?;
        Ok(match word.as_str() {
            "OK" => Self::Sale(Box::new(next(&mut items)?)),
            "EXISTS" => Self::Exists(Box::new(next(&mut items)?)),
            "NO_SALE" => Self::NoSale,
            "STOCK" => Self::Stock { least: next(&mut items)? },
            "SLOTS_EXIST" => Self::SlotsExist,
            "CHANGED" => Self::Changed(next(&mut items)?),
            "CLOSED" => Self::Closed,
            _ => return Err(Misshapen(format!("unknown outcome {word}"))),
        })
    }
}

/// What SLOT.GET answers: null, a slot's map or a payment's map. Which of the two follows from the id asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GetReply {
    /// A slot or a place on the waitlist.
    Slot(Box<SlotView>),
    /// A payment.
    Payment(Box<PaymentView>),
}

impl Wire for GetReply {
    fn to_value(&self) -> Value {
        match self {
            Self::Slot(slot) => slot.to_value(),
            Self::Payment(payment) => payment.to_value(),
        }
    }

    fn from_value(value: Value) -> Result<Self, Misshapen> {
        let mut map = value.flat()?;
        let id = Value::take(&mut map.clone(), "id")?.text()?;
        let whole = Value::List(std::mem::take(&mut map));
        match AnyId::parse(&id)? {
            AnyId::Payment(_) => Ok(Self::Payment(Box::new(Wire::from_value(whole)?))),
            AnyId::Slot(_) => Ok(Self::Slot(Box::new(Wire::from_value(whole)?))),
            AnyId::Product(_) => Err(Misshapen("a product's id where a slot's was asked".into())),
        }
    }
}

/// What SLOT.CHANGED answers: `[cursor, [[product, events, head], …]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedReply {
    /// What to ask with next time: `run-id.counter`.
    pub cursor: String,
    /// The sales that changed since the cursor asked with, the longest unchanged first.
    pub sales: Vec<ChangedSale>,
}

/// A sale that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangedSale {
    /// The product's id.
    pub product: ProductId,
    /// The last event's number.
    pub events: EventNumber,
    /// The last event's chain hash.
    pub head: ChainHash,
}

impl Wire for ChangedSale {
    fn to_value(&self) -> Value {
        Value::List(vec![self.product.to_value(), self.events.to_value(), self.head.to_value()])
    }
    fn from_value(value: Value) -> Result<Self, Misshapen> {
        let mut items = value.list()?.into_iter();
        Ok(Self { product: next(&mut items)?, events: next(&mut items)?, head: next(&mut items)? })
    }
}

impl Wire for ChangedReply {
    fn to_value(&self) -> Value {
        Value::List(vec![self.cursor.to_value(), self.sales.to_value()])
    }
    fn from_value(value: Value) -> Result<Self, Misshapen> {
        let mut items = value.list()?.into_iter();
        Ok(Self { cursor: next(&mut items)?, sales: next(&mut items)? })
    }
}
