//! A Redis of our own starts, answers, survives kill −9, follows, and is gone with its owner.

use std::path::Path;

use anyhow::{Context, Result};
use redis::AsyncCommands;
use slot_loadtest::stack::{AppendFsync, RedisServer, Scratch};

fn runs(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn starts_answers_and_is_gone_after_drop() -> Result<()> {
    let server = RedisServer::builder().without_module().start().await?;
    let (pid, folder) = (server.pid().context("no process")?, server.folder().to_path_buf());
    let mut connection = server.connect().await?;
    connection.set::<_, _, ()>("a", 1).await?;
    assert_eq!(connection.get::<_, i64>("a").await?, 1);
    assert!(runs(pid) && folder.exists());

    drop(server);
    assert!(!runs(pid), "the server outlived its owner");
    assert!(!folder.exists(), "the scratch folder outlived its owner");
    Ok(())
}

#[tokio::test]
async fn survives_kill9_and_restart_on_the_same_port_and_data() -> Result<()> {
    let builder = RedisServer::builder().without_module().append_only(true);
    let mut server = builder.append_fsync(AppendFsync::Always).start().await?;
    let port = server.port();
    server.connect().await?.set::<_, _, ()>("a", "kept").await?;

    server.kill9().await?;
    assert!(server.connect().await.is_err());
    server.restart().await?;
    assert_eq!(server.port(), port);
    assert_eq!(server.connect().await?.get::<_, String>("a").await?, "kept");

    server.restart().await?;
    assert_eq!(server.connect().await?.get::<_, String>("a").await?, "kept");
    Ok(())
}

#[tokio::test]
async fn a_replica_is_ready_when_it_has_the_primarys_data() -> Result<()> {
    let scratch = Scratch::temporary()?;
    let builder = RedisServer::builder().without_module().scratch(&scratch);
    let primary = builder.clone().start().await?;
    primary.connect().await?.set::<_, _, ()>("a", "both").await?;
    let replica = builder.replica_of(&primary).start().await?;
    assert_eq!(replica.connect().await?.get::<_, String>("a").await?, "both");
    Ok(())
}

#[tokio::test]
async fn a_failed_start_says_why_with_the_log() -> Result<()> {
    let builder = RedisServer::builder().without_module();
    let Err(error) = builder.option("maxmemory", &["much"]).start().await else {
        anyhow::bail!("it started");
    };
    let said = format!("{error:#}");
    assert!(said.contains("redis.log") && said.contains("maxmemory"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_missing_module_says_how_to_build_it() -> Result<()> {
    let Err(error) = RedisServer::builder().module("/nowhere/libslot.so").start().await else {
        anyhow::bail!("it started");
    };
    // Redis itself says it of a library that was named; ours is looked for before.
    assert!(format!("{error:#}").contains("/nowhere/libslot.so"));
    Ok(())
}

#[test]
fn a_server_outlives_the_thread_that_started_it() -> Result<()> {
    let starter = std::thread::spawn(|| {
        tokio::runtime::Runtime::new()?
            .block_on(async { RedisServer::builder().without_module().start().await })
    });
    let server = starter.join().map_err(|_| anyhow::anyhow!("the thread panicked"))??;
    tokio::runtime::Runtime::new()?.block_on(async {
        let mut connection = server.connect().await?;
        connection.set::<_, _, ()>("a", 1).await?;
        Ok(())
    })
}
