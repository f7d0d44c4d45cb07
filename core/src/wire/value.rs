//! A reply in the form that RESP2 and RESP3 share, and the types that have such a form. Next: views.rs.

use std::fmt;

use super::views::{PaymentStatus, SaleStatus, SlotStatus};
use crate::chain::ChainHash;
use crate::ids::{ChargeId, PaymentId, ProductId, SlotId, UserId};
use crate::units::{
    ArrivalNumber, AttemptNumber, Currency, EventNumber, Invalid, Millis, MinorUnits,
    PaymentMethod, UnixMillis,
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
    pub(super) fn text(self) -> Result<String, Misshapen> {
        match self {
            Self::Text(text) => Ok(text),
            other @ (Self::Null | Self::Int(_) | Self::List(_) | Self::Map(_) | Self::Error(_)) => {
                Err(Misshapen(format!("text expected, got {other:?}")))
            }
        }
    }

    pub(super) fn list(self) -> Result<Vec<Self>, Misshapen> {
        match self {
            Self::List(items) => Ok(items),
            other @ (Self::Null | Self::Int(_) | Self::Text(_) | Self::Map(_) | Self::Error(_)) => {
                Err(Misshapen(format!("array expected, got {other:?}")))
            }
        }
    }

    /// Takes the value of a key out of a map that came over RESP2 or RESP3.
    pub(super) fn take(map: &mut [Self], key: &str) -> Result<Self, Misshapen> {
        let (pairs, _) = map.as_chunks_mut::<2>();
        pairs
            .iter_mut()
            .find(|[name, _]| matches!(name, Self::Text(name) if name == key))
            .map(|[_, value]| std::mem::replace(value, Self::Null))
            .ok_or_else(|| Misshapen(format!("the map has no key {key}")))
    }

    /// A map as a flat list, whichever protocol it came by.
    pub(super) fn flat(self) -> Result<Vec<Self>, Misshapen> {
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

/// Reads the next item of an array.
pub(super) fn next<T: Wire>(items: &mut impl Iterator<Item = Value>) -> Result<T, Misshapen> {
    T::from_value(items.next().ok_or_else(|| Misshapen("the reply ends early".into()))?)
}

/// `[WORD]`
pub(super) fn only(word: &str) -> Value {
    Value::List(vec![Value::Text(word.to_owned())])
}
