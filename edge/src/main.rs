//! The HTTP door of Dopamine Slots: authentication, validation, problem details, batching and load
//! shedding. It never decides who gets a slot, keeps no state that matters and writes to no database.
//!
//! The path of one acquire: [`server`] accepts → [`router`] finds the route → routes/slots.rs checks
//! the request → [`batch`] sends it with its neighbours → the module decides (redis-module/).

mod auth;
mod batch;
mod breaker;
mod catalogue;
mod clock;
mod config;
mod door;
mod failure;
mod farewell;
mod idempotency;
mod intake;
mod journal;
mod limits;
mod metrics;
mod money;
mod offer;
mod router;
mod routes;
mod server;
mod shapes;
mod shard;
mod signature;
mod trace;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    match config::Cli::parse().command {
        config::Command::Serve(serve) => server::serve(&serve),
        config::Command::Token(token) => auth::mint::print_token(&token),
    }
}
