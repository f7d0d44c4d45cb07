//! One server process: how it is launched, watched and ended.
//!
//! A server that belongs to this process is launched through `setpriv --pdeathsig KILL` (util-linux),
//! so that the kernel kills it if we are killed. The kernel means the *thread* that launched it, and a
//! test's thread ends with the test: so one thread that lives as long as the process launches all.
//! Each server is in a process group of its own, so that a Ctrl-C reaches us and not them.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid};

use super::ports::PortTaken;
use super::until::until;

/// How long a server lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// Until its owner is dropped, or this process ends, however it ends.
    #[default]
    Tied,
    /// Until its owner is dropped, but not with this process: for a stack that is left running.
    Detached,
}

/// Another user to run a server as; only root can.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunAs {
    pub(super) user: Uid,
    pub(super) group: Gid,
}

/// What to launch, and how it is to be ended when its owner drops it.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(&'static str, OsString)>,
    pub(super) folder: PathBuf,
    pub(super) log: PathBuf,
    pub(super) run_as: Option<RunAs>,
    pub(super) lifetime: Lifetime,
    /// Sent by the drop, which then waits [`DROP_GRACE`] and kills.
    pub(super) drop_signal: Signal,
}

const DROP_GRACE: Duration = Duration::from_secs(5);
const STOP_GRACE: Duration = Duration::from_secs(20);
const TAIL_BYTES: u64 = 4_096;

impl Program {
    pub(super) fn new(name: &'static str, path: PathBuf, folder: &Path) -> Self {
        Self {
            name,
            path,
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: folder.to_path_buf(),
            log: folder.join(format!("{name}.log")),
            run_as: None,
            lifetime: Lifetime::Tied,
            drop_signal: Signal::SIGTERM,
        }
    }

    pub(super) fn argument(&mut self, value: impl AsRef<OsStr>) -> &mut Self {
        self.arguments.push(value.as_ref().to_os_string());
        self
    }

    pub(super) fn option(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.argument(name).argument(value)
    }

    /// The command as it is launched, with `setpriv` in front where needed.
    pub(super) fn command(&self) -> Command {
        let mut launcher: Vec<OsString> = Vec::new();
        if let Some(RunAs { user, group }) = self.run_as {
            launcher.push(format!("--reuid={user}").into());
            launcher.push(format!("--regid={group}").into());
            launcher.push("--clear-groups".into());
        }
        if self.lifetime == Lifetime::Tied {
            launcher.push("--pdeathsig=KILL".into());
        }
        let mut command = if launcher.is_empty() {
            Command::new(&self.path)
        } else {
            let mut command = Command::new("setpriv");
            command.args(launcher).arg("--").arg(&self.path);
            command
        };
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (*name, value)))
            .current_dir(&self.folder);
        command
    }

    /// Launches it; its output is appended to its log.
    pub(super) fn launch(&self) -> Result<Child> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let log_start = log.metadata().map_or(0, |metadata| metadata.len());
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("cannot share a log file")?)
            .stderr(log)
            .process_group(0);
        let process = spawn_from_lasting_thread(command)
            .with_context(|| format!("cannot start {}", self.path.display()))?;
        Ok(Child {
            name: self.name,
            process,
            log: self.log.clone(),
            log_start,
            drop_signal: self.drop_signal,
            end_on_drop: true,
        })
    }
}

/// A running server.
#[derive(Debug)]
pub(super) struct Child {
    name: &'static str,
    process: std::process::Child,
    log: PathBuf,
    /// Where this run begins in the log.
    log_start: u64,
    drop_signal: Signal,
    end_on_drop: bool,
}

impl Child {
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// How it ended, or none while it runs.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.try_wait().with_context(|| format!("cannot watch {}", self.name))
    }

    /// Waits until `probe` answers, or the process ends: then the error has the log's last lines.
    /// An end because of a taken port is the error [`PortTaken`].
    pub(super) async fn ready<P>(&mut self, limit: Duration, mut probe: P) -> Result<()>
    where
        P: AsyncFnMut() -> bool,
    {
        let what = format!("{} to get ready", self.name);
        let waited = until(&what, limit, async || {
            if probe().await {
                return Ok(Some(()));
            }
            let Some(status) = self.ended()? else { return Ok(None) };
            let error = anyhow!("{} ended ({status}) before it was ready", self.name);
            Err(if self.log_has("already in use") { error.context(PortTaken) } else { error })
        })
        .await;
        waited.with_context(|| self.log_tail())
    }

    /// Whether this run wrote `words` to its log.
    pub(super) fn log_has(&self, words: &str) -> bool {
        read_from(&self.log, self.log_start).is_ok_and(|log| log.contains(words))
    }

    /// The end of what this run wrote, with the file's name: for error messages.
    pub(super) fn log_tail(&self) -> String {
        let start = fs::metadata(&self.log)
            .map_or(0, |metadata| metadata.len().saturating_sub(TAIL_BYTES))
            .max(self.log_start);
        let tail = read_from(&self.log, start).unwrap_or_default();
        format!("the end of {}:\n{}", self.log.display(), tail.trim_end())
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub(super) async fn kill9(&mut self) -> Result<()> {
        self.end(Signal::SIGKILL).await
    }

    /// Asks it to end with `signal`; after [`STOP_GRACE`] that is an error, and it is killed.
    pub(super) async fn end(&mut self, signal: Signal) -> Result<()> {
        self.signal(signal)?;
        let what = format!("{} to end after {signal}", self.name);
        let ended = until(&what, STOP_GRACE, async || self.ended()).await;
        if ended.is_err() {
            let tail = self.log_tail();
            self.signal(Signal::SIGKILL)?;
            self.process.wait().with_context(|| format!("cannot watch {}", self.name))?;
            return ended.map(drop).context(tail);
        }
        Ok(())
    }

    /// Leaves it running when its owner is dropped.
    pub(super) fn let_live(&mut self) {
        self.end_on_drop = false;
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        // Until it is waited for, its pid cannot be another process.
        if self.ended()?.is_none() {
            let pid = Pid::from_raw(self.pid().cast_signed());
            kill(pid, signal).with_context(|| format!("cannot send {signal} to {}", self.name))?;
        }
        Ok(())
    }
}

impl Drop for Child {
    /// Blocks for at most [`DROP_GRACE`]; a drop has nobody to tell that a process resists.
    fn drop(&mut self) {
        if !self.end_on_drop || self.signal(self.drop_signal).is_err() {
            return;
        }
        let end = Instant::now() + DROP_GRACE;
        while let Ok(None) = self.ended() {
            if Instant::now() >= end {
                let _ = self.signal(Signal::SIGKILL);
                let _ = self.process.wait();
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn read_from(path: &Path, start: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

type Launch = (Command, mpsc::Sender<io::Result<std::process::Child>>);

/// See the file's head: the launching thread must outlive its children.
fn spawn_from_lasting_thread(command: Command) -> io::Result<std::process::Child> {
    static LAUNCHER: OnceLock<mpsc::Sender<Launch>> = OnceLock::new();
    let launcher = LAUNCHER.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<Launch>();
        thread::spawn(move || {
            for (mut command, answer) in receiver {
                // Who asked waits for the answer; if it is gone, so is the wish for the child.
                if let Err(mpsc::SendError(Ok(mut orphan))) = answer.send(command.spawn()) {
                    let _ = orphan.kill();
                    let _ = orphan.wait();
                }
            }
        });
        sender
    });
    let (answer, launched) = mpsc::channel();
    launcher.send((command, answer)).map_err(io::Error::other)?;
    launched.recv().map_err(io::Error::other)?
}
