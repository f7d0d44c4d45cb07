//! `slot-loadtest demo`: two sales from their creation to an audit from the outside, on a whole local stack.
//!
//! Reading order: `show.rs` runs the five steps; `market.rs` creates the products; `buyers.rs` sends the
//! load through `client.rs`; `settled.rs` waits for the sinks; `witness.rs` reads what each part says,
//! `audit.rs` compares, `report.rs` tells.

mod audit;
mod buyers;
mod client;
mod ledger;
mod market;
mod report;
mod settled;
mod show;
mod witness;

pub use client::Shop;
pub use market::{ProductAsk, create_product};
pub use report::Report;
pub(crate) use show::say;
pub use show::{DemoOptions, demo};
