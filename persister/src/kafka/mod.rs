//! The Kafka sink: events and marks in one Kafka transaction.
//!
//! Reading order: [`sink`] → [`transactions`] → [`records`] → [`avro`] → [`marks`] → [`topics`].

pub mod avro;
pub mod marks;
pub mod records;
pub mod sink;
pub mod topics;
pub mod transactions;
