//! A Postgres cluster of our own, with the database `slots` and the workspace's migrations.
//! Next: `migrations/` is its schema.

use std::ffi::OsString;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User, chown};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection};

use super::binaries;
use super::child::{Child, Lifetime, Program, RunAs};
use super::ports::{Port, on_free_port};
use super::scratch::Scratch;
use super::until::until;

const DATABASE: &str = "slots";
const READY: Duration = Duration::from_secs(30);
/// Linux allows 107 bytes for a socket's path; the socket's own name takes up to 16.
const LONGEST_SOCKET_FOLDER: usize = 90;

/// What a [`Postgres`] is to be.
#[derive(Clone, Debug)]
pub struct PostgresBuilder {
    scratch: Option<Scratch>,
    lifetime: Lifetime,
    port: Option<u16>,
    fsync: bool,
    migrations: Option<PathBuf>,
    settings: Vec<(String, String)>,
}

impl PostgresBuilder {
    /// The folder to work in; without, a temporary one of its own.
    #[must_use]
    pub fn scratch(mut self, scratch: &Scratch) -> Self {
        self.scratch = Some(scratch.clone());
        self
    }

    /// Whether it ends with this process.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// A fixed port; without, a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Whether commits reach the disk before they are answered; they do unless switched off.
    #[must_use]
    pub fn fsync(mut self, on: bool) -> Self {
        self.fsync = on;
        self
    }

    /// Migrations to apply; without, those of the workspace.
    #[must_use]
    pub fn migrations(mut self, folder: impl Into<PathBuf>) -> Self {
        self.migrations = Some(folder.into());
        self
    }

    /// An empty database.
    #[must_use]
    pub fn without_migrations(mut self) -> Self {
        self.migrations = None;
        self
    }

    /// One more server setting.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_string(), value.to_string()));
        self
    }

    /// Makes the cluster, starts it, makes the database and applies the migrations.
    ///
    /// # Errors
    /// If Postgres is missing, no unprivileged user is there for root to run it as, or it does not
    /// get ready (with its log's last lines).
    pub async fn start(self) -> Result<Postgres> {
        let scratch = match &self.scratch {
            Some(scratch) => scratch.clone(),
            None => Scratch::temporary()?,
        };
        let binaries = binaries_folder()?;
        let run_as = unprivileged_user()?;
        let folder = scratch.folder_for_anyone("postgres")?;
        if let Some(RunAs { user, group }) = run_as {
            chown(&folder, Some(user), Some(group)).context("cannot give a folder to Postgres")?;
        }
        let data = folder.join("data");
        make_cluster(&binaries, &folder, &data, run_as, self.fsync).await?;
        let postgres = on_free_port(self.port, async |port| {
            let program = self.program(&binaries, &folder, &data, run_as, port.number());
            let (data, scratch) = (data.clone(), scratch.clone());
            let mut postgres = Postgres { child: None, program, data, port, scratch };
            postgres.launch().await?;
            Ok(postgres)
        })
        .await?;
        postgres.make_database().await?;
        if let Some(migrations) = &self.migrations {
            postgres.migrate(migrations).await?;
        }
        Ok(postgres)
    }

    fn program(
        &self,
        binaries: &Path,
        folder: &Path,
        data: &Path,
        run_as: Option<RunAs>,
        port: u16,
    ) -> Program {
        let mut program = Program::new("postgres", binaries.join("postgres"), folder);
        program.lifetime = self.lifetime;
        program.run_as = run_as;
        // The cluster goes away with its owner: end at once, but give back shared memory.
        program.drop_signal = Signal::SIGQUIT;
        program.environment.push(("LC_ALL", "C".into()));
        let sockets = match folder.as_os_str().len() {
            0..=LONGEST_SOCKET_FOLDER => folder.as_os_str().to_os_string(),
            _ => OsString::new(),
        };
        let on = |on| if on { "on" } else { "off" }.to_string();
        let mut settings = vec![
            ("listen_addresses".to_string(), Ipv4Addr::LOCALHOST.to_string()),
            ("port".to_string(), port.to_string()),
            ("max_connections".to_string(), "200".to_string()),
            ("fsync".to_string(), on(self.fsync)),
            ("synchronous_commit".to_string(), on(self.fsync)),
            ("full_page_writes".to_string(), on(self.fsync)),
            // In the data folder, so that a killed cluster leaves nothing in /dev/shm.
            ("dynamic_shared_memory_type".to_string(), "mmap".to_string()),
        ];
        settings.extend(self.settings.iter().cloned());
        program.option("-D", data).option("-k", sockets);
        for (name, value) in settings {
            program.option("-c", format!("{name}={value}"));
        }
        program
    }
}

/// A cluster of our own; ends when dropped.
#[derive(Debug)]
pub struct Postgres {
    // Dropped first: the server ends before its port is free and its folder goes.
    child: Option<Child>,
    program: Program,
    data: PathBuf,
    port: Port,
    scratch: Scratch,
}

impl Postgres {
    /// A durable cluster on a free port with the workspace's migrations.
    #[must_use]
    pub fn builder() -> PostgresBuilder {
        PostgresBuilder {
            scratch: None,
            lifetime: Lifetime::Tied,
            port: None,
            fsync: true,
            migrations: Some(binaries::workspace_folder().join("migrations")),
            settings: Vec::new(),
        }
    }

    /// `postgres://postgres@127.0.0.1:port/slots`; loopback needs no password.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(DATABASE)
    }

    /// Its TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::pid)
    }

    /// Where its output goes.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.program.log
    }

    /// The scratch folder it works in.
    #[must_use]
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// A pool of up to eight connections to the database.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn connect(&self) -> Result<PgPool> {
        let url = self.url();
        let pool = PgPoolOptions::new().max_connections(8).connect(&url).await;
        pool.with_context(|| format!("cannot connect to {url}"))
    }

    /// Applies the migrations in `folder` that the database does not have yet.
    ///
    /// # Errors
    /// If one cannot be read or applied.
    pub async fn migrate(&self, folder: &Path) -> Result<()> {
        let migrator = Migrator::new(folder)
            .await
            .with_context(|| format!("cannot read migrations in {}", folder.display()))?;
        let mut connection = PgConnection::connect(&self.url()).await?;
        migrator.run(&mut connection).await.context("a migration failed")?;
        connection.close().await.context("cannot close a connection")
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// If that takes longer than 30 s, or the server ends.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let url = self.url_of("postgres");
        let data = self.data.clone();
        let Some(child) = &mut self.child else { bail!("postgres is not running") };
        child.ready(READY, async || is_ready(&url, &data).await.unwrap_or(false)).await
    }

    /// kill −9 of the postmaster: what a crash does. Its other processes end by themselves.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub async fn kill9(&mut self) -> Result<()> {
        match self.child.take() {
            Some(mut child) => child.kill9().await,
            None => Ok(()),
        }
    }

    /// A fast shutdown: connections are closed, the data is complete.
    ///
    /// # Errors
    /// If it does not end within 20 s.
    pub async fn stop(&mut self) -> Result<()> {
        match self.child.take() {
            Some(mut child) => child.end(Signal::SIGINT).await,
            None => Ok(()),
        }
    }

    /// Stops it if it runs, and starts it again on the same port and data.
    ///
    /// # Errors
    /// Those of [`Self::stop`] and [`PostgresBuilder::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        // After a kill −9 the old backends need a moment to see that the postmaster is gone.
        until("the killed cluster's last processes to end", READY, async || {
            match self.launch().await {
                Err(_) if self.has_lingering_backends() => Ok(None),
                launched => launched.map(Some),
            }
        })
        .await
    }

    /// Leaves it running when dropped.
    pub(super) fn let_live(&mut self) {
        self.child.iter_mut().for_each(Child::let_live);
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@{}:{}/{database}", Ipv4Addr::LOCALHOST, self.port())
    }

    async fn launch(&mut self) -> Result<()> {
        self.port.release();
        self.child = Some(self.program.launch()?);
        self.wait_ready().await
    }

    fn has_lingering_backends(&self) -> bool {
        self.child.as_ref().is_some_and(|child| child.log_has("is still in use"))
    }

    async fn make_database(&self) -> Result<()> {
        let mut connection = PgConnection::connect(&self.url_of("postgres")).await?;
        sqlx::query("CREATE DATABASE slots")
            .execute(&mut connection)
            .await
            .context("cannot make the database")?;
        connection.close().await.context("cannot close a connection")
    }
}

/// Whether the server at `url` is ours (another may have been faster to take the port) and answers.
async fn is_ready(url: &str, data: &Path) -> Result<bool> {
    let mut connection = PgConnection::connect(url).await?;
    let folder: String =
        sqlx::query_scalar("SHOW data_directory").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(Path::new(&folder) == data)
}

/// The folder with `initdb` and `postgres`: on the PATH, else Debian's newest.
fn binaries_folder() -> Result<PathBuf> {
    if let Some(initdb) = binaries::on_path("initdb")
        && let Some(folder) = initdb.parent()
    {
        return Ok(folder.to_path_buf());
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let folder = entry.path().join("bin");
            folder.join("initdb").is_file().then_some((version, folder))
        })
        .max()
        .map(|(_, folder)| folder)
        .context("no Postgres on the PATH or in /usr/lib/postgresql: run scripts/install-deps")
}

/// Postgres refuses to run as root: whom it runs as instead, or none if we are not root.
fn unprivileged_user() -> Result<Option<RunAs>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name).context("cannot read the system's users")? {
            return Ok(Some(RunAs { user: user.uid, group: user.gid }));
        }
    }
    bail!("Postgres does not run as root, and there is no user postgres or nobody")
}

async fn make_cluster(
    binaries: &Path,
    folder: &Path,
    data: &Path,
    run_as: Option<RunAs>,
    fsync: bool,
) -> Result<()> {
    let mut initdb = Program::new("initdb", binaries.join("initdb"), folder);
    initdb.run_as = run_as;
    initdb.environment.push(("LC_ALL", "C".into()));
    initdb
        .option("-D", data)
        .option("-U", "postgres")
        .option("-E", "UTF8")
        .argument("--locale=C")
        .argument("--auth=trust")
        .argument("--no-instructions");
    if !fsync {
        initdb.argument("--no-sync");
    }
    let mut command: Command = initdb.command();
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .context("initdb was abandoned")?
        .context("cannot start initdb")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("initdb failed ({}):\n{}", output.status, said.trim_end());
    }
    Ok(())
}
