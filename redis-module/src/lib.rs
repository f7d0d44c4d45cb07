//! The sale as a native Redis type with commands of its own: parse → decide (in `slot-core`) → apply →
//! append to the sale's stream → replicate, one atomic step (DESIGN §4).
//!
//! This crate owns what needs Redis: keys, the stream, replication, persistence, the node's clock and the
//! sweeper's timer. It deliberately decides nothing about who gets a slot.
//!
//! Follow an acquire: command/table.rs lists it → border.rs lets it in → command/acquire.rs parses it →
//! core's sale/acquire.rs decides → store.rs carries what happened to the stream, replicas and AOF.
//! Underneath, server/ wraps the server's C interface, and nothing else in here does: kind.rs (the type),
//! border.rs and sweeper.rs are what the server calls.

mod args;
mod border;
mod clock;
mod command;
mod failure;
mod info;
mod kind;
mod load;
mod registry;
mod reply;
mod server;
mod store;
mod sweeper;

use redis_module::alloc::RedisAlloc;
use redis_module::redis_module;

redis_module! {
    name: "slot",
    version: 1,
    allocator: (RedisAlloc, RedisAlloc),
    data_types: [],
    init: on_load,
}

use load::on_load;
