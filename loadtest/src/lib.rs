//! Starts a whole local stack, loads it, audits the result.
//!
//! The other crates' tests use [`stack`] to get real servers that are gone when the test is; `make demo` is
//! [`demo`], `make up` and `make down` are [`up`]. Next: [`stack`].

pub mod demo;
pub mod stack;
pub mod up;
