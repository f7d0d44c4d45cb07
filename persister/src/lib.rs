//! Carries every event of every sale from Redis to Postgres and Kafka, exactly once in each; asks the gateway for
//! charges; trims the streams; audits the books. It is never on the path of a buyer's request.
//!
//! Reading order: [`run`] → [`shared`] → [`drain`] → [`source`] → [`history`] → [`sink`] → [`postgres`], [`kafka`]; then
//! [`gateway`], [`trim`], [`audit`].

pub mod audit;
pub mod config;
pub mod drain;
pub mod failure;
pub mod gateway;
pub mod health;
pub mod history;
pub mod kafka;
pub mod marks;
pub mod metrics;
pub mod migrate;
pub mod postgres;
pub mod retry;
pub mod run;
pub mod share;
pub mod shared;
pub mod sink;
pub mod source;
pub mod trim;
