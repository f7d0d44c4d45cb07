//! The shapes of the module's replies, in one table: the module writes them, edge, persister and loadtest
//! read them.
//!
//! A write answers an array `[WORD, fields…]`; the word is the outcome, errors are for misuse. A read
//! answers a map (RESP3) or the same as a flat array (RESP2), or null where there is nothing by that
//! name. Map keys are lower case with hyphens, as in Redis's own XINFO; times are milliseconds.

mod replies;
mod value;
mod views;

pub use replies::{
    AcquireReply, ChangedReply, ChangedSale, Done, GetReply, Held, PayRefusal, PayReply, SaleReply,
};
pub use value::{Misshapen, Value, Wire};
pub use views::{
    AuditView, PaymentStatus, PaymentView, SaleStatus, SaleView, SlotStatus, SlotView, UserView,
};

#[cfg(test)]
mod tests;
