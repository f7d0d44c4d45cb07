//! Ids that carry their place: from a payment's id one reads its slot, from a slot's its product, and
//! from a product's the Redis key, without a lookup (DESIGN §2).
//!
//! A product id is a UUIDv8 (RFC 9562 §5.8) whose low 40 bits are zero; a slot id has its arrival
//! number in the upper 32 of those, a payment id its attempt number in the lower 8.
//! Next: event.rs.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

use crate::chain::ChainHash;
use crate::units::{ArrivalNumber, AttemptNumber, Invalid, UnixMillis};

const NOT_A_UUID: Invalid =
    Invalid("an id must be a UUID such as 019a0000-0000-8000-8000-000000000000");

/// The id of a product and of its one sale.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProductId([u8; 16]);

impl ProductId {
    /// Makes an id from its creation time and 34 random bits (the upper bits of `random` are not used).
    #[must_use]
    pub fn new(created: UnixMillis, random: u64) -> Self {
        let time = created.0.to_be_bytes();
        let bits = random.to_be_bytes();
        let [_, _, t0, t1, t2, t3, t4, t5] = time;
        let [_, _, _, r0, r1, r2, r3, r4] = bits;
        Self([
            t0,
            t1,
            t2,
            t3,
            t4,
            t5,
            0x80 | (r0 & 0x0f),
            r1,
            0x80 | (r2 & 0x3f),
            r3,
            r4,
            0,
            0,
            0,
            0,
            0,
        ])
    }

    /// Reads an id in its canonical form (36 characters, lower case or upper case).
    ///
    /// # Errors
    /// [`Invalid`] where it is not a UUIDv8 with zeros for arrival and attempt.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match AnyId::parse(text)? {
            AnyId::Product(id) => Ok(id),
            AnyId::Slot(_) | AnyId::Payment(_) => {
                Err(Invalid("this id names a slot or a payment, not a product"))
            }
        }
    }

    /// The id's 16 bytes, as in the database.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id of the slot with this arrival number.
    #[must_use]
    pub const fn slot(self, arrival: ArrivalNumber) -> SlotId {
        SlotId { product: self, arrival }
    }

    /// The Redis key of the sale: `slot:{<product id>}` (DESIGN §4).
    #[must_use]
    pub fn sale_key(&self) -> String {
        format!("slot:{{{self}}}")
    }

    /// The Redis key of the sale's event stream: `slot:{<product id>}:events`.
    #[must_use]
    pub fn stream_key(&self) -> String {
        format!("slot:{{{self}}}:events")
    }

    /// Reads the product out of a sale's key.
    ///
    /// # Errors
    /// [`Invalid`] where the key is not of the form `slot:{<product id>}`.
    pub fn from_sale_key(key: &str) -> Result<Self, Invalid> {
        key.strip_prefix("slot:{")
            .and_then(|rest| rest.strip_suffix('}'))
            .ok_or(Invalid("the sale's key must be slot:{<product id>}"))
            .and_then(Self::parse)
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

/// The id of a slot, or of a place on the waitlist that may become one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId {
    /// The product.
    pub product: ProductId,
    /// The slot's arrival number in the sale, from 1.
    pub arrival: ArrivalNumber,
}

impl SlotId {
    /// Reads an id in its canonical form.
    ///
    /// # Errors
    /// [`Invalid`] where it is not a slot's id.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match AnyId::parse(text)? {
            AnyId::Slot(id) => Ok(id),
            AnyId::Product(_) | AnyId::Payment(_) => {
                Err(Invalid("this id names a product or a payment, not a slot"))
            }
        }
    }

    /// The id of this slot's payment with this attempt number.
    #[must_use]
    pub const fn payment(self, attempt: AttemptNumber) -> PaymentId {
        PaymentId { slot: self, attempt }
    }

    /// The id's 16 bytes, as in the database.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.payment(AttemptNumber(0)).to_bytes()
    }
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.to_bytes()).hyphenated().fmt(f)
    }
}

/// The id of one attempt to pay for a slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentId {
    /// The slot paid for.
    pub slot: SlotId,
    /// Which attempt, from 1.
    pub attempt: AttemptNumber,
}

impl PaymentId {
    /// Reads an id in its canonical form.
    ///
    /// # Errors
    /// [`Invalid`] where it is not a payment's id.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match AnyId::parse(text)? {
            AnyId::Payment(id) => Ok(id),
            AnyId::Product(_) | AnyId::Slot(_) => {
                Err(Invalid("this id names a product or a slot, not a payment"))
            }
        }
    }

    /// The id's 16 bytes, as in the database.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        let [p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, ..] = self.slot.product.0;
        let [a0, a1, a2, a3] = self.slot.arrival.0.to_be_bytes();
        [p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, a0, a1, a2, a3, self.attempt.0]
    }
}

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.to_bytes()).hyphenated().fmt(f)
    }
}

/// An id of which only the text is known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnyId {
    /// Arrival and attempt are zero.
    Product(ProductId),
    /// Only the attempt is zero.
    Slot(SlotId),
    /// Neither is zero.
    Payment(PaymentId),
}

impl AnyId {
    /// Reads any of our ids in its canonical form.
    ///
    /// # Errors
    /// [`Invalid`] where it is not a hyphenated UUIDv8 or has an attempt without an arrival.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.len() != 36 {
            return Err(NOT_A_UUID);
        }
        Self::from_bytes(Uuid::try_parse(text).map_err(|_| NOT_A_UUID)?.into_bytes())
    }

    /// Reads any of our ids from its 16 bytes.
    ///
    /// # Errors
    /// As [`AnyId::parse`].
    pub fn from_bytes(bytes: [u8; 16]) -> Result<Self, Invalid> {
        let [p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, a0, a1, a2, a3, attempt] = bytes;
        if p6 & 0xf0 != 0x80 || p8 & 0xc0 != 0x80 {
            return Err(Invalid("an id must be a UUID of version 8"));
        }
        let product = ProductId([p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, 0, 0, 0, 0, 0]);
        let arrival = ArrivalNumber(u32::from_be_bytes([a0, a1, a2, a3]));
        match (arrival.0, attempt) {
            (0, 0) => Ok(Self::Product(product)),
            (0, _) => Err(Invalid("an id with an attempt number must have an arrival number")),
            (_, 0) => Ok(Self::Slot(product.slot(arrival))),
            (_, attempt) => {
                Ok(Self::Payment(product.slot(arrival).payment(AttemptNumber(attempt))))
            }
        }
    }

    /// The product that the id names.
    #[must_use]
    pub const fn product(&self) -> ProductId {
        match self {
            Self::Product(id) => *id,
            Self::Slot(id) => id.product,
            Self::Payment(id) => id.slot.product,
        }
    }
}

/// The gateway's idempotency key of a payment: `<payment id>.<16 hex of the chain hash of its
/// PAYMENT_STARTED>`. A payment id can be made again after a failover that lost events, a charge id
/// never.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChargeId {
    /// The payment.
    pub payment: PaymentId,
    /// The first 8 bytes of the chain hash of its PAYMENT_STARTED.
    pub seal: ChargeSeal,
}

impl ChargeId {
    /// Reads a charge id.
    ///
    /// # Errors
    /// [`Invalid`] where it is not `<payment id>.<16 lower-case hex digits>`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const FORM: Invalid = Invalid("a charge id must be <payment id>.<16 hex digits>");
        let (payment, seal) = text.split_once('.').ok_or(FORM)?;
        let payment = PaymentId::parse(payment).map_err(|_| FORM)?;
        Ok(Self { payment, seal: ChargeSeal::parse(seal).map_err(|_| FORM)? })
    }
}

impl fmt::Display for ChargeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.payment, self.seal)
    }
}

/// What ties a charge to the one history in which its payment was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChargeSeal(u64);

impl ChargeSeal {
    /// The seal that the PAYMENT_STARTED with this chain hash gives its charge.
    #[must_use]
    pub const fn of(hash: &ChainHash) -> Self {
        let [h0, h1, h2, h3, h4, h5, h6, h7, ..] = *hash.as_bytes();
        Self(u64::from_be_bytes([h0, h1, h2, h3, h4, h5, h6, h7]))
    }

    /// Reads 16 lower-case hex digits.
    ///
    /// # Errors
    /// [`Invalid`] where it is anything else.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 16 || !text.bytes().all(lower_hex) {
            return Err(Invalid("a charge's seal must be 16 lower-case hex digits"));
        }
        u64::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| Invalid("a charge's seal must be 16 lower-case hex digits"))
    }
}

impl fmt::Display for ChargeSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

macro_rules! debug_as_display {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    )*};
}
debug_as_display!(ProductId, SlotId, PaymentId, ChargeId);

/// A text of limited length and alphabet, checked once where it comes in.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $allowed:expr, $message:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "Box<str>")]
        pub struct $name(Box<str>);

        impl TryFrom<Box<str>> for $name {
            type Error = Invalid;

            fn try_from(text: Box<str>) -> Result<Self, Invalid> {
                Self::check(&text).map(|()| Self(text))
            }
        }

        impl $name {
            /// Takes a text over.
            ///
            /// # Errors
            #[doc = concat!("`", $message, "`")]
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                Self::check(text).map(|()| Self(text.into()))
            }

            /// Looks at a text without taking it over.
            ///
            /// # Errors
            /// As `parse`.
            pub fn check(text: &str) -> Result<(), Invalid> {
                let allowed: fn(u8) -> bool = $allowed;
                if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
                    Ok(())
                } else {
                    Err(Invalid($message))
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_text!(
    /// A buyer or an admin, as the token's `sub` names them; opaque to us.
    UserId,
    |b| b.is_ascii_graphic(),
    "a user id must be 1 to 64 bytes of printable ASCII without space"
);
checked_text!(
    /// Follows one request through every event and log line that it causes.
    TraceId,
    |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'),
    "a trace id must be 1 to 64 of A-Z a-z 0-9 . _ -"
);

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixMillis = UnixMillis(1_763_827_200_123);

    #[test]
    fn a_product_id_is_a_uuid_of_version_8_with_time_first() {
        let id = ProductId::new(AT, 0x3_ffff_ffff_ffff);
        assert_eq!(id.to_string(), "019aac4b-307b-8fff-bfff-ff0000000000");
        assert_eq!(ProductId::parse(&id.to_string()), Ok(id));
        assert_eq!(Uuid::from_bytes(*id.as_bytes()).get_version_num(), 8);
    }

    #[test]
    fn ids_name_their_slot_product_and_key() {
        let product = ProductId::new(AT, 7);
        let payment = product.slot(ArrivalNumber(258)).payment(AttemptNumber(3));
        assert_eq!(payment.to_string(), "019aac4b-307b-8000-8000-070000010203");
        assert_eq!(AnyId::parse(&payment.to_string()), Ok(AnyId::Payment(payment)));
        assert_eq!(SlotId::parse(&payment.slot.to_string()), Ok(payment.slot));
        assert_eq!(ProductId::from_sale_key(&product.sale_key()), Ok(product));
        assert!(product.stream_key().starts_with(&product.sale_key()));
    }

    #[test]
    fn ids_sort_by_arrival() {
        let product = ProductId::new(AT, 7);
        let [a, b] = [255, 256].map(|n| product.slot(ArrivalNumber(n)).to_string());
        assert!(a < b);
    }

    #[test]
    fn other_uuids_are_refused() {
        for text in [
            "",
            "019aac4b-307b-4000-8000-070000000000",
            "019aac4b-307b-8000-0000-070000000000",
            "019aac4b-307b-8000-8000-070000000001",
            "019aac42887b80008000070000000000",
            "{019aac4b-307b-8000-8000-07000000000}",
        ] {
            assert!(AnyId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_charge_id_holds_the_payment_and_the_seal() {
        let text = "019aac4b-307b-8000-8000-070000010203.00ff00ff00ff00aa";
        assert_eq!(ChargeId::parse(text).map(|c| c.to_string()).as_deref(), Ok(text));
        for bad in [&text[..50], &text.replace("aa", "AA"), &text.replace('.', ":"), "."] {
            assert!(ChargeId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn users_and_traces_have_their_alphabets() {
        let long = "x".repeat(65);
        for bad in ["", "a b", "ümlaut", "tab\t", long.as_str()] {
            assert!(UserId::parse(bad).is_err(), "{bad}");
        }
        assert!(UserId::parse("ana@example.org|%").is_ok());
        assert!(TraceId::parse("a/b").is_err());
        assert!(TraceId::parse("A.b_c-9").is_ok());
    }
}
