//! slot-persister: reads the command line, starts logging, runs the command, says why it ended. Next: config.rs.

use clap::Parser;
use std::process::ExitCode;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

use slot_persister::config::{Cli, Command};
use slot_persister::failure::Failure;
use slot_persister::{audit, migrate, run};

/// Calls that block, such as those to a Kafka that is away, can't be broken off; they are not waited for longer.
const LAST_CALLS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Log lines go through a queue, so that a slow reader never holds up a commit; the guard empties it at the end.
    let (writer, _guard) = tracing_appender::non_blocking(std::io::stderr());
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(
            EnvFilter::try_from_env("SLOT_PERSISTER_LOG")
                .unwrap_or_else(|_| EnvFilter::new("info,sqlx::postgres::notice=warn")),
        )
        .with_writer(writer)
        .init();
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(%failure, code = failure.code(), "ended");
            failure.into()
        }
    }
}

fn start(cli: Cli) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Unavailable(format!("no runtime: {error}")))?;
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Run(args) => run::run(*args).await,
            Command::Audit(args) => audit::run(args).await,
            Command::Migrate(args) => migrate::run(&args).await,
        }
    });
    runtime.shutdown_timeout(LAST_CALLS);
    outcome
}
