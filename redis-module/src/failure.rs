//! Errors, which are for misuse; outcomes are words and no errors. The one place where an error gets its
//! code and its text. Next: reply.rs sends it.

use slot_core::units::Invalid;
use std::fmt;

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// `ERR …`: the command was not written as it should be; the text says how.
    Misuse(String),
    /// `WRONGTYPE …`: a key holds something that is not ours.
    WrongType(&'static str),
    /// `TRYAGAIN …`: the sale's stream is not here (yet).
    NoStream,
    /// `DIVERGED …`: stream, chain and state do not fit together; nothing was written.
    Diverged(String),
    /// `ERR internal …`: our mistake, caught at the border.
    Internal(String),
}

impl Failure {
    pub(crate) fn misuse(text: impl Into<String>) -> Self {
        Self::Misuse(text.into())
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::Misuse(invalid.0.to_owned())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misuse(text) => write!(f, "ERR {text}"),
            Self::WrongType(text) => write!(f, "WRONGTYPE {text}"),
            Self::NoStream => f.write_str(
                "TRYAGAIN the sale's event stream is not on this node: ask again, a migration may be under way",
            ),
            Self::Diverged(text) => write!(f, "DIVERGED {text}"),
            Self::Internal(text) => write!(f, "ERR internal error, see the server's log: {text}"),
        }
    }
}

/// What a client sent, fit to be shown in an error's one line.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 64;
    let mut text: String = bytes
        .iter()
        .take(MOST)
        .map(|&b| if b.is_ascii_graphic() || b == b' ' { char::from(b) } else { '?' })
        .collect();
    if bytes.len() > MOST {
        text.push('…');
    }
    text
}
