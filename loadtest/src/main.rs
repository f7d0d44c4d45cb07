//! The command line: which of the local jobs to do.
//!
//! Owns the arguments and the exit code alone. Next: `stack/mock_kafka.rs` for the broker that a
//! stack without Java runs as a process of its own.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use slot_loadtest::stack::MockKafka;

#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    /// Runs librdkafka's mock broker until killed, for a stack that outlives its starter
    #[command(hide = true)]
    MockKafka {
        /// Where to write the broker's address once it listens
        #[arg(long)]
        address_file: PathBuf,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    match Arguments::parse().job {
        Job::MockKafka { address_file } => {
            let broker = MockKafka::start().await?;
            broker.write_address(&address_file)?;
            std::future::pending().await
        }
    }
}
