//! What writes answer: `[WORD, fields…]`, the word being the outcome; and the replies of SLOT.GET and
//! SLOT.CHANGED.

use super::value::{Misshapen, Value, Wire, next, only};
use super::views::{PaymentStatus, PaymentView, SaleView, SlotStatus, SlotView};
use crate::chain::ChainHash;
use crate::ids::{AnyId, ProductId, SlotId};
use crate::units::{EventNumber, Millis, UnixMillis, words};

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
