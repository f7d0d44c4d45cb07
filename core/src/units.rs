//! Times, amounts and numbers, each a type of its own so that none is taken for another.
//! Next: ids.rs.

use serde::{Deserialize, Serialize};

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// This point and `span` later; stops at the end of time instead of wrapping.
    #[must_use]
    pub const fn plus(self, span: Millis) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// The span from `earlier` to this point; zero where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

/// A span of time in milliseconds.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Millis(pub u64);

/// An amount of money in the currency's minor unit (ISO 4217: cents for EUR, won for KRW).
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct MinorUnits(pub u64);

/// An event's number in its sale: 1 for PRODUCT_CREATED, then without a gap (R13). 0 is "none yet".
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct EventNumber(pub u64);

impl EventNumber {
    /// The number of the event after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A request's number in the order in which its sale granted or queued it (R2), from 1.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ArrivalNumber(pub u32);

/// A payment's number among its slot's payments, from 1 to 255.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct AttemptNumber(pub u8);

macro_rules! shown_as_number {
    ($($name:ident),*) => {$(
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
shown_as_number!(UnixMillis, Millis, MinorUnits, EventNumber, ArrivalNumber, AttemptNumber);

/// A currency's three-letter code (ISO 4217), upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Currency([u8; 3]);

impl Currency {
    /// South Korean won, the currency of a payment that names none.
    pub const KRW: Self = Self(*b"KRW");

    /// Reads a code such as `KRW`.
    ///
    /// # Errors
    /// [`Invalid`] unless it is three upper-case letters A to Z.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Self(code)),
            _ => Err(Invalid("currency must be a three-letter ISO 4217 code such as KRW")),
        }
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

/// A price: an amount and its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// How much, in minor units.
    pub amount: MinorUnits,
    /// Of which currency.
    pub currency: Currency,
}

/// How a buyer pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PaymentMethod {
    /// A credit or debit card.
    Card,
    /// A transfer from a bank account.
    BankTransfer,
    /// A wallet such as a phone's.
    Wallet,
}

/// A text that is not what it should be; the message says what would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invalid(pub &'static str);

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Invalid {}

/// Gives an enum its words on the wire and in the line, one word per variant.
macro_rules! words {
    ($name:ident, $message:literal, { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word that stands for this value in lines, replies and rows.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// Reads a word.
            ///
            /// # Errors
            #[doc = concat!("`", $message, "` where it is none of them.")]
            pub fn parse(word: &str) -> Result<Self, $crate::units::Invalid> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => Err($crate::units::Invalid($message)),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}
pub(crate) use words;

words!(PaymentMethod, "payment method must be CARD, BANK_TRANSFER or WALLET", {
    Card = "CARD",
    BankTransfer = "BANK_TRANSFER",
    Wallet = "WALLET",
});
