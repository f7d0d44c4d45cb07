//! Apache Kafka's jars: fetched from Maven Central once per user, then kept.
//!
//! A folder under the cache is complete by its name: jars are fetched next to it and the folder is
//! renamed when all are there. A lock file lets one of many test binaries do it.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};

use super::binaries;

/// Kafka 4's brokers need at least this Java.
const OLDEST_JAVA: u32 = 17;

/// What Apache Kafka is run with.
#[derive(Clone, Debug)]
pub(super) struct Jars {
    pub(super) java: PathBuf,
    /// The folder with all jars.
    pub(super) folder: PathBuf,
}

/// The jars, fetched first if need be; the error says in plain words what is missing.
pub(super) async fn fetched() -> Result<Jars> {
    tokio::task::spawn_blocking(fetched_blocking).await.context("the fetch was abandoned")?
}

fn fetched_blocking() -> Result<Jars> {
    let java = java()?;
    let pom = binaries::workspace_folder().join("loadtest/kafka/pom.xml");
    let folder = cache_folder()?.join(format!("kafka-{}", version(&pom)?));
    if folder.is_dir() {
        return Ok(Jars { java, folder });
    }
    let cache = folder.parent().context("the cache has no folder")?;
    fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let _only_one = lock(&cache.join("kafka.lock"))?;
    // Another process may have fetched while we waited for the lock.
    if !folder.is_dir() {
        fetch(&pom, cache, &folder)?;
    }
    Ok(Jars { java, folder })
}

fn fetch(pom: &Path, cache: &Path, folder: &Path) -> Result<()> {
    let maven = binaries::on_path("mvn").context("Apache Kafka is not fetched yet, and no mvn")?;
    let temporary = tempfile::Builder::new()
        .prefix("kafka-fetch-")
        .tempdir_in(cache)
        .context("cannot make a folder to fetch Kafka into")?;
    // A copy, so that Maven writes nothing into the checkout.
    let copy = temporary.path().join("pom.xml");
    fs::copy(pom, &copy).context("cannot copy Kafka's pom.xml")?;
    let jars = temporary.path().join("libs");
    let output = Command::new(maven)
        .args(["--quiet", "--batch-mode", "--no-transfer-progress", "--file"])
        .arg(&copy)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", jars.display()))
        .output()
        .context("cannot start mvn")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        let first = said.lines().find(|line| line.contains("ERROR")).unwrap_or("no reason given");
        bail!("mvn could not fetch Apache Kafka: {first}");
    }
    fs::rename(&jars, folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// The pinned Kafka version, read from the pom so that it stands in one place.
fn version(pom: &Path) -> Result<String> {
    let text = fs::read_to_string(pom).with_context(|| format!("cannot read {}", pom.display()))?;
    text.split_once("<kafka.version>")
        .and_then(|(_, rest)| rest.split_once("</kafka.version>"))
        .map(|(version, _)| version.to_string())
        .with_context(|| format!("no kafka.version in {}", pom.display()))
}

/// `SLOT_CACHE`, else the user's cache folder.
fn cache_folder() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("SLOT_CACHE") {
        return Ok(PathBuf::from(folder));
    }
    let user = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .context("no home folder to keep Apache Kafka in: set SLOT_CACHE")?;
    Ok(user.join("dopamine-slots"))
}

fn lock(path: &Path) -> Result<Flock<File>> {
    let file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, errno)| errno)
        .with_context(|| format!("cannot lock {}", path.display()))
}

fn java() -> Result<PathBuf> {
    let java = env::var_os("JAVA_HOME")
        .map(|home| PathBuf::from(home).join("bin/java"))
        .filter(|java| java.is_file())
        .or_else(|| binaries::on_path("java"))
        .context("no java")?;
    let output = Command::new(&java).arg("-version").output().context("cannot start java")?;
    let said = String::from_utf8_lossy(&output.stderr);
    match java_version(&said) {
        Some(version) if version >= OLDEST_JAVA => Ok(java),
        Some(version) => bail!("Apache Kafka needs Java {OLDEST_JAVA}, this is {version}"),
        None => bail!("cannot tell the version of {}", java.display()),
    }
}

/// The feature version in what `java -version` says: `… version "17.0.15" …`.
fn java_version(said: &str) -> Option<u32> {
    let (_, rest) = said.split_once("version \"")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
