//! One sale: its state, which is a fold of its events, and what each command does to it.
//!
//! Every write is one step: time acts first (time.rs), then the command is decided against the state as it
//! stands (`decide` looks, may refuse, changes nothing), then the decided event is applied (apply.rs, which
//! cannot fail on it) and noted in a [`Log`] for the stream, the replicas and the AOF.
//!
//! Follow an acquire: acquire.rs → apply.rs → state.rs; the module's store.rs carries the log on.

mod acquire;
mod admin;
mod apply;
mod audit;
mod blob;
mod log;
mod pay;
mod reclaim;
mod settle;
mod state;
mod time;
mod view;

pub use acquire::AcquireAsk;
pub use admin::{AlterAsk, CreateAsk, DEFAULT_TTL, MAX_STOCK};
pub use apply::Refused;
pub use blob::BLOB_VERSION;
pub use log::{Entry, Log};
pub use pay::PayAsk;
pub use state::Sale;
pub use time::STEP_LIMIT;

#[cfg(test)]
mod tests;
