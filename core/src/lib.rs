//! The sale as a pure state machine: commands in, events out.
//!
//! This crate owns the ids, the events with their line and hash chain, the state of a sale with its
//! rules (R1–R13), and the words and shapes that cross a process. It deliberately has no I/O, no
//! clock, no randomness and no async: `now` is always an argument, so a replica, a replay and a test
//! get the same bytes as the primary did.
//!
//! Reading order: [`ids`] → [`event`] → [`mod@line`] → [`chain`] → [`sale`] → [`wire`].

#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::wildcard_enum_match_arm,
        clippy::too_many_lines,
        reason = "a test that overflows fails, which is what it is for"
    )
)]

pub mod chain;
pub mod event;
pub mod ids;
pub mod line;
pub mod sale;
pub mod units;
pub mod wire;
