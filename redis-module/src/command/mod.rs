//! The commands, one file each with the same four steps: parse everything, read the clock once, let core
//! decide through store.rs, answer. table.rs lists them.

mod acquire;
mod alter;
mod apply;
mod audit;
mod changed;
mod close;
mod consume;
mod create;
mod decline;
mod drop;
mod expire;
mod fence;
mod forget;
mod get;
mod leave;
mod load;
mod macquire;
mod mine;
mod pause;
mod pay;
mod reclaim;
mod release;
mod resume;
mod sale;
pub(crate) mod table;
mod trim;
mod user;
