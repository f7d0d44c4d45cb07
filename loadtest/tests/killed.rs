//! A test that is killed leaves no server running, and its folder is swept.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use slot_loadtest::stack::{Postgres, RedisServer, Scratch, until};

const SOON: Duration = Duration::from_secs(20);

fn runs(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// What the next test kills: not a test of its own.
#[tokio::test]
#[ignore = "started by a_killed_test_leaves_nothing_running"]
async fn started_to_be_killed() -> Result<()> {
    let file = std::env::var("PIDS_FILE")?;
    let scratch = Scratch::temporary()?;
    let redis = RedisServer::builder().without_module().scratch(&scratch).start().await?;
    // Run by root, Postgres changes its user, which makes the kernel forget such wishes.
    let builder = Postgres::builder().without_migrations().fsync(false);
    let postgres = builder.scratch(&scratch).start().await?;
    let pids = [redis.pid().context("no pid")?, postgres.pid().context("no pid")?];
    fs::write(&file, format!("{} {} {}", pids[0], pids[1], scratch.path().display()))?;
    std::future::pending().await
}

#[tokio::test]
async fn a_killed_test_leaves_nothing_running() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("pids");
    let mut test = Command::new(std::env::current_exe()?)
        .args(["--ignored", "--exact", "started_to_be_killed"])
        .env("PIDS_FILE", &file)
        .stdout(Stdio::null())
        .spawn()?;
    let text = until("the other test's servers", SOON, async || {
        Ok(fs::read_to_string(&file).ok().filter(|text| text.contains('/')))
    })
    .await?;
    let words: Vec<&str> = text.split(' ').collect();
    let pids: Vec<u32> = words[..2].iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
    assert!(pids.iter().all(|pid| runs(*pid)));

    test.kill()?;
    test.wait()?;
    let gone = async || Ok((!pids.iter().any(|pid| runs(*pid))).then_some(()));
    until("the orphans to be killed", SOON, gone).await?;

    // Whichever test makes the next scratch folder sweeps what the killed one left.
    drop(Scratch::temporary()?);
    let swept = async || Ok((!Path::new(words[2]).exists()).then_some(()));
    until("the orphans' folder to be swept", SOON, swept).await?;
    Ok(())
}
