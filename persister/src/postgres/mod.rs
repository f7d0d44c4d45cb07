//! The Postgres sink: rows, states and marks in one transaction.
//!
//! Reading order: [`sink`] → [`writer`] → [`marks`] → [`log`] → [`products`] → [`slots`] → [`purchases`]; [`mod@column`] is
//! what they all write with.

pub mod column;
pub mod log;
pub mod marks;
pub mod products;
pub mod purchases;
pub mod sink;
pub mod slots;
pub mod writer;
