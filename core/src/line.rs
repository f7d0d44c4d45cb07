//! The line: an event's canonical form, which is hashed, shown by redis-cli and kept by the audit log.
//!
//! `1 n type ms trace` (format version, event number, type, time, trace id), then the fields of event.rs's
//! table in order. Single spaces; strings percent-encoded; what is empty is `-`. A text has exactly one
//! line: whatever is not the canonical form is refused. Next: chain.rs.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use std::fmt;

use crate::chain::ChainHash;
use crate::event::{Change, Completion, Event, FailureCause, Grant, ReclaimStatus, RefundReason};
use crate::ids::{ChargeSeal, TraceId, UserId};
use crate::units::{
    ArrivalNumber, AttemptNumber, Currency, EventNumber, Millis, MinorUnits, PaymentMethod, Price,
    UnixMillis,
};

/// The version of the format that this build writes.
const VERSION: &str = "1";

/// What a string may not hold as it is: the separator, the escape, controls; bytes over 127 always are
/// encoded.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// Why a text is not an event's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineError {
    /// It does not begin with a format version that this build reads.
    Version,
    /// The type is none of DESIGN §5.
    UnknownType,
    /// This field is missing.
    Missing(&'static str),
    /// This field is not what it should be.
    Bad(&'static str),
    /// There is more after the last field.
    Trailing,
    /// The fields can be read, but this is not the one way to write them.
    NotCanonical,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version => f.write_str("the line's format version must be 1"),
            Self::UnknownType => f.write_str("the line's event type is unknown"),
            Self::Missing(field) => write!(f, "the line ends before its field {field}"),
            Self::Bad(field) => write!(f, "the line's field {field} can't be read"),
            Self::Trailing => f.write_str("the line goes on after its last field"),
            Self::NotCanonical => f.write_str("the line is not in its canonical form"),
        }
    }
}

impl std::error::Error for LineError {}

impl Event {
    /// The event's line.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut line = String::with_capacity(192);
        line.push_str(VERSION);
        self.number.put(&mut line);
        line.push(' ');
        line.push_str(self.change.type_word());
        self.at.put(&mut line);
        self.trace.put(&mut line);
        self.change.put(&mut line);
        line
    }

    /// Reads a line.
    ///
    /// # Errors
    /// [`LineError`] where the text is not an event's one line.
    pub fn from_line(line: &str) -> Result<Self, LineError> {
        let mut tokens = Tokens(line.split(' '));
        if tokens.next("version")? != VERSION {
            return Err(LineError::Version);
        }
        let number = Field::take(&mut tokens, "number")?;
        let type_word = tokens.next("type")?;
        let at = Field::take(&mut tokens, "ms")?;
        let trace = Field::take(&mut tokens, "trace")?;
        let change = Change::take(type_word, &mut tokens)?;
        if tokens.0.next().is_some() {
            return Err(LineError::Trailing);
        }
        let event = Self { number, at, trace, change };
        if event.to_line() == line { Ok(event) } else { Err(LineError::NotCanonical) }
    }
}

/// The parts of a line that are still unread.
pub(crate) struct Tokens<'a>(std::str::Split<'a, char>);

impl<'a> Tokens<'a> {
    fn next(&mut self, field: &'static str) -> Result<&'a str, LineError> {
        self.0.next().ok_or(LineError::Missing(field))
    }
}

/// A value that has a place in a line.
pub(crate) trait Field: Sized {
    /// Writes a space and the value.
    fn put(&self, line: &mut String);
    /// Reads the value from the next part or parts.
    fn take(tokens: &mut Tokens<'_>, field: &'static str) -> Result<Self, LineError>;
}

fn put_number(line: &mut String, number: impl itoa::Integer) {
    line.push(' ');
    line.push_str(itoa::Buffer::new().format(number));
}

fn put_text(line: &mut String, text: &str) {
    line.push(' ');
    match text {
        "" => line.push('-'),
        "-" => line.push_str("%2D"),
        text => line.extend(utf8_percent_encode(text, ESCAPED)),
    }
}

fn take_text<'a>(
    tokens: &mut Tokens<'a>,
    field: &'static str,
) -> Result<std::borrow::Cow<'a, str>, LineError> {
    match tokens.next(field)? {
        "" => Err(LineError::Bad(field)),
        "-" => Ok("".into()),
        text => percent_decode_str(text).decode_utf8().map_err(|_| LineError::Bad(field)),
    }
}

macro_rules! number_fields {
    ($($name:ident),*) => {$(
        impl Field for $name {
            fn put(&self, line: &mut String) {
                put_number(line, self.0);
            }
            fn take(tokens: &mut Tokens<'_>, field: &'static str) -> Result<Self, LineError> {
                tokens.next(field)?.parse().map(Self).map_err(|_| LineError::Bad(field))
            }
        }
    )*};
}
number_fields!(UnixMillis, Millis, MinorUnits, EventNumber, ArrivalNumber, AttemptNumber);

macro_rules! plain_number_fields {
    ($($name:ident),*) => {$(
        impl Field for $name {
            fn put(&self, line: &mut String) {
                put_number(line, *self);
            }
            fn take(tokens: &mut Tokens<'_>, field: &'static str) -> Result<Self, LineError> {
                tokens.next(field)?.parse().map_err(|_| LineError::Bad(field))
            }
        }
    )*};
}
plain_number_fields!(u32, i64);

macro_rules! word_fields {
    ($($name:ident),*) => {$(
        impl Field for $name {
            fn put(&self, line: &mut String) {
                line.push(' ');
                line.push_str(self.word());
            }
            fn take(tokens: &mut Tokens<'_>, field: &'static str) -> Result<Self, LineError> {
                Self::parse(tokens.next(field)?).map_err(|_| LineError::Bad(field))
            }
        }
    )*};
}
word_fields!(PaymentMethod, Grant, ReclaimStatus, FailureCause, Completion, RefundReason);

impl Field for Box<str> {
    fn put(&self, line: &mut String) {
        put_text(line, self);
    }
    fn take(tokens: &mut Tokens<'_>, field: &'static str) -> Result<Self, LineError> {
        take_text(tokens, field).map(|text| text.into())
    }
}

impl Field for Option<Box<str>> {
    fn put(&self, line: &mut String) {
        put_text(line, self.as_deref().unwrap_or_default());
    }
    fn take(tokens: &mut Tokens<'_>, field: &'static str) -> Result<Self, LineError> {
        let text: Box<str> = Field::take(tokens, field)?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }
}

macro_rules! name_fields {
    ($($name:ident),*) => {$(
        impl Field for $name {
            fn put(&self, line: &mut String) {
                put_text(line, self.as_str());
            }
            fn take(tokens: &mut Tokens<'_>, field: &'static str) -> Result<Self, LineError> {
                Self::parse(&take_text(tokens, field)?).map_err(|_| LineError::Bad(field))
            }
        }
        impl Field for Option<$name> {
            fn put(&self, line: &mut String) {
                put_text(line, self.as_ref().map_or("", $name::as_str));
            }
            fn take(tokens: &mut Tokens<'_>, field: &'static str) -> Result<Self, LineError> {
                match take_text(tokens, field)?.as_ref() {
                    "" => Ok(None),
                    text => $name::parse(text).map(Some).map_err(|_| LineError::Bad(field)),
                }
            }
        }
    )*};
}
name_fields!(UserId, TraceId);

impl Field for Option<UnixMillis> {
    fn put(&self, line: &mut String) {
        match self {
            Some(at) => at.put(line),
            None => line.push_str(" -"),
        }
    }
    fn take(tokens: &mut Tokens<'_>, field: &'static str) -> Result<Self, LineError> {
        match tokens.next(field)? {
            "-" => Ok(None),
            at => at.parse().map(|at| Some(UnixMillis(at))).map_err(|_| LineError::Bad(field)),
        }
    }
}

/// Two parts: the amount and the currency.
impl Field for Option<Price> {
    fn put(&self, line: &mut String) {
        match self {
            Some(price) => price.put(line),
            None => line.push_str(" - -"),
        }
    }
    fn take(tokens: &mut Tokens<'_>, field: &'static str) -> Result<Self, LineError> {
        match (tokens.next(field)?, tokens.next(field)?) {
            ("-", "-") => Ok(None),
            (amount, currency) => Ok(Some(Price {
                amount: amount.parse().map(MinorUnits).map_err(|_| LineError::Bad(field))?,
                currency: Currency::parse(currency).map_err(|_| LineError::Bad(field))?,
            })),
        }
    }
}

impl Field for Price {
    fn put(&self, line: &mut String) {
        self.amount.put(line);
        line.push(' ');
        line.push_str(self.currency.as_str());
    }
    fn take(tokens: &mut Tokens<'_>, field: &'static str) -> Result<Self, LineError> {
        <Option<Self> as Field>::take(tokens, field)?.ok_or(LineError::Bad(field))
    }
}

impl Field for ChainHash {
    fn put(&self, line: &mut String) {
        put_text(line, &self.to_string());
    }
    fn take(tokens: &mut Tokens<'_>, field: &'static str) -> Result<Self, LineError> {
        Self::parse(tokens.next(field)?).map_err(|_| LineError::Bad(field))
    }
}

impl Field for ChargeSeal {
    fn put(&self, line: &mut String) {
        put_text(line, &self.to_string());
    }
    fn take(tokens: &mut Tokens<'_>, field: &'static str) -> Result<Self, LineError> {
        Self::parse(tokens.next(field)?).map_err(|_| LineError::Bad(field))
    }
}

#[cfg(test)]
mod tests;
