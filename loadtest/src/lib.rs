//! Starts a whole local stack, loads it, audits the result.
//!
//! The other crates' tests use [`stack`] to get real servers that are gone when the test is.
//! Next: [`stack`].

pub mod stack;
