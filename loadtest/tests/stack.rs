//! The whole stack starts, answers and stops; left running, it is found by its record and stopped.

use std::path::Path;

use anyhow::Result;
use slot_loadtest::stack::{Lifetime, Role, Stack, StackOptions, StackRecord, stop_recorded};

async fn health(edge_url: &str) -> Result<u16> {
    Ok(reqwest::get(format!("{edge_url}/product/v1/health")).await?.status().as_u16())
}

fn quick() -> StackOptions {
    let options = StackOptions::default();
    StackOptions { postgres: options.postgres.clone().fsync(false), ..options }
}

#[tokio::test]
async fn starts_answers_and_stops() -> Result<()> {
    let stack = Stack::start(quick(), |progress| println!("{progress:?}")).await?;
    assert_eq!(health(&stack.edge.url()).await?, 200);
    let token = stack.edge.token("ana", Role::Buyer).await?;
    assert_eq!(token.split('.').count(), 3, "no JWT: {token}");

    let scratch = stack.scratch.path().to_path_buf();
    stack.stop().await?;
    assert!(!scratch.exists());
    Ok(())
}

#[tokio::test]
async fn left_running_it_is_found_by_its_record_and_stopped() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("stack.json");
    let options = StackOptions {
        scratch: Some(folder.path().join("stack")),
        lifetime: Lifetime::Detached,
        ..quick()
    };
    let stack = Stack::start(options, |_| ()).await?;
    stack.record().await?.write(&file)?;
    stack.leave_running();

    let record = StackRecord::read(&file)?;
    assert_eq!(record.running(), ["edge", "kafka", "persister", "postgres", "redis"]);
    assert_eq!(health(&record.edge_url).await?, 200);

    stop_recorded(&record).await?;
    assert!(record.running().is_empty());
    assert!(!Path::new(&record.scratch).exists());
    stop_recorded(&record).await?;
    Ok(())
}
