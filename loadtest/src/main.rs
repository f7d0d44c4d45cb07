//! The command line: which of the local jobs to do.
//!
//! Owns the arguments and the exit code alone. Next: `demo/show.rs`, `up.rs`, and `stack/mock_kafka.rs` for
//! the broker that a stack without Java runs as a process of its own.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use slot_loadtest::demo::{DemoOptions, demo};
use slot_loadtest::stack::MockKafka;
use slot_loadtest::up::{down, up};

#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    /// Sells two products on a local stack of real parts and audits the result from the outside
    Demo {
        /// Buyers of the first product (1,000 units)
        #[arg(long, default_value_t = 20_000)]
        buyers: u32,
        /// Buyers of the second product (200 units, slots live 3 s)
        #[arg(long, default_value_t = 2_000)]
        hasty_buyers: u32,
        /// Over how many seconds they come
        #[arg(long, default_value_t = 5)]
        seconds: u32,
        /// What the crowd's choices follow from
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where the report goes
        #[arg(long, default_value = ".run/report.json")]
        report: PathBuf,
    },
    /// Starts a stack with a sale and leaves it running
    Up {
        /// Where to write how it is reached
        #[arg(long, default_value = ".run/stack.json")]
        record: PathBuf,
    },
    /// Stops what `up` started
    Down {
        /// What `up` wrote
        #[arg(long, default_value = ".run/stack.json")]
        record: PathBuf,
    },
    /// Runs librdkafka's mock broker until killed, for a stack that outlives its starter
    #[command(hide = true)]
    MockKafka {
        /// Where to write the broker's address once it listens
        #[arg(long)]
        address_file: PathBuf,
    },
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    match Arguments::parse().job {
        Job::Demo { buyers, hasty_buyers, seconds, seed, report } => {
            let options = DemoOptions { buyers, hasty_buyers, seconds, seed, report };
            let report = demo(&options).await?;
            return Ok(verdict(&report.violations, &options.report));
        }
        Job::Up { record } => up(&record).await?,
        Job::Down { record } => down(&record).await?,
        Job::MockKafka { address_file } => {
            let broker = MockKafka::start().await?;
            broker.write_address(&address_file)?;
            std::future::pending::<()>().await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn verdict(violations: &[String], report: &std::path::Path) -> ExitCode {
    if violations.is_empty() {
        println!("No violation. The report is {}", report.display());
        return ExitCode::SUCCESS;
    }
    println!("{} VIOLATIONS (the report is {}):", violations.len(), report.display());
    violations.iter().for_each(|violation| println!("  {violation}"));
    ExitCode::FAILURE
}
