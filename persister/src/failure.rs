//! Where what goes wrong becomes an exit code and a message, once. What can be tried again never gets here: it is
//! a [`crate::sink::SinkError::Retry`] and stays in the drain.

use std::process::ExitCode;

/// Why the process ends before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line or a file that it names is wrong.
    #[error("{0}")]
    Usage(String),
    /// Another process writes in this one's place.
    #[error("{0}")]
    Fenced(String),
    /// The audit found differences.
    #[error("the audit found {0} difference(s); see the report")]
    Differences(usize),
    /// Something that this process needs can't be had.
    #[error("{0}")]
    Unavailable(String),
}

impl Failure {
    /// The process's exit code: 1 differences, 2 usage, 3 fenced, 4 unavailable.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Differences(_) => 1,
            Self::Usage(_) => 2,
            Self::Fenced(_) => 3,
            Self::Unavailable(_) => 4,
        }
    }
}

impl From<Failure> for ExitCode {
    fn from(failure: Failure) -> Self {
        Self::from(failure.code())
    }
}
