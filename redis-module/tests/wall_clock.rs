//! Steps of the server's wall clock move no deadline and stop no sweep (R4, T12).

mod shop;

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use shop::{Sale, command, until_audit};
use slot_core::wire::{SlotStatus, UserView, Wire};
use slot_loadtest::stack::{RedisServer, Scratch, workspace_folder};

const TTL: Duration = Duration::from_secs(2);

/// A server whose wall clock is the machine's plus the seconds in the file.
async fn server_that_steps(scratch: &Scratch, seconds: &Path) -> Result<RedisServer> {
    let library = scratch.path().join("step.so");
    let source = workspace_folder().join("redis-module/tests/wall_clock/step.c");
    let compiler = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status()?;
    ensure!(compiler.success(), "cc can't build {}", source.display());
    let script = scratch.path().join("redis-server-that-steps");
    let server = std::env::var("SLOT_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
    let (library, seconds) = (library.display(), seconds.display());
    let text =
        format!("#!/bin/sh\nLD_PRELOAD='{library}' STEP_FILE='{seconds}' exec {server} \"$@\"\n");
    fs::write(&script, text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    RedisServer::builder().scratch(scratch).server(&script).start().await
}

#[tokio::test]
async fn t12_a_step_of_an_hour_either_way_expires_nobody_early_and_nobody_late() -> Result<()> {
    let scratch = Scratch::temporary()?;
    let seconds = scratch.path().join("seconds");
    fs::write(&seconds, 0_i64.to_ne_bytes())?;
    let file = fs::File::options().write(true).open(&seconds)?;
    let server = server_that_steps(&scratch, &seconds).await?;
    let mut sale = Sale::open(&server, 9, "TTL 2000 EXPIRINGSOON 0").await?;
    let start = wall(&mut sale).await?;
    for (number, step) in [(1_u32, -3600_i64), (2, 3600), (3, 0)] {
        let granted = Instant::now();
        sale.acquire(&format!("buyer-{number}")).await?;
        file.write_all_at(&step.to_ne_bytes(), 0)?;
        let moved = wall(&mut sale).await? - start;
        ensure!((moved - step).abs() < 60, "the wall moved by {moved} s, not by {step}");

        tokio::time::sleep_until((granted + TTL.mul_f32(0.7)).into()).await;
        let view = sale.read("SLOT.USER", &[&format!("buyer-{number}")]).await?;
        let slots = UserView::from_value(view)?.slots;
        // On a machine that stood still for so long the slot may have ended in its own time.
        if granted.elapsed() < TTL {
            assert_eq!(slots[0].status, SlotStatus::Active, "early, after a step of {step} s");
        }
        let what = format!("the sweep after a step of {step} s");
        until_audit(&sale, &what, |audit| audit.expired == number).await?;
        let late = granted.elapsed().saturating_sub(TTL);
        assert!(late < Duration::from_secs(1), "{late:?} late, after a step of {step} s");
    }
    Ok(())
}

/// The server's wall clock, in seconds.
async fn wall(sale: &mut Sale) -> Result<i64> {
    let (seconds, _): (i64, i64) =
        redis::from_redis_value(command(&mut sale.connection, &["TIME"]).await?)?;
    Ok(seconds)
}
