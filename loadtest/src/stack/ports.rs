//! Free ports that stay ours while a server is killed and started again.
//!
//! Ports below the system's ephemeral range, so that no outgoing connection takes one while its
//! server is down, each with a lock file, so that no other test binary does. A program that knows
//! nothing of the locks may still be faster: whoever starts a server tries another port then.

use std::fmt;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use rand::Rng;

const LOWEST: u16 = 11_000;
const TRIES_TO_FIND: u32 = 1_000;
const TRIES_TO_START: u32 = 5;

/// Somebody else has the port: worth another try with another one.
#[derive(Debug)]
pub(super) struct PortTaken;

impl fmt::Display for PortTaken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the port is taken")
    }
}

/// Starts a server on the port that the user chose, else on a free one, and on another if somebody
/// was faster.
pub(super) async fn on_free_port<T>(
    fixed: Option<u16>,
    mut start: impl AsyncFnMut(Port) -> Result<T>,
) -> Result<T> {
    if let Some(number) = fixed {
        return start(Port::fixed(number)).await;
    }
    let mut tries = 1;
    loop {
        match start(Port::free()?).await {
            Err(error) if error.is::<PortTaken>() && tries < TRIES_TO_START => tries += 1,
            done => return done,
        }
    }
}

/// A port of 127.0.0.1 that no other stack will take.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    /// Holds the port until just before the server takes it.
    listener: Option<TcpListener>,
    /// Held until the server's owner is done with the port; none for a port that the user chose.
    _lock: Option<Flock<File>>,
}

impl Port {
    /// A free port.
    pub(super) fn free() -> Result<Self> {
        let folder = lock_folder()?;
        let highest = first_ephemeral().saturating_sub(1).max(LOWEST + 1_000);
        for _ in 0..TRIES_TO_FIND {
            let number = rand::rng().random_range(LOWEST..=highest);
            let file = File::create(folder.join(number.to_string()))
                .with_context(|| format!("cannot make a lock in {}", folder.display()))?;
            let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else { continue };
            let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, number)) else { continue };
            return Ok(Self { number, listener: Some(listener), _lock: Some(lock) });
        }
        bail!("no free port between {LOWEST} and {highest} in {TRIES_TO_FIND} tries")
    }

    /// A port that the user asked for.
    pub(super) fn fixed(number: u16) -> Self {
        Self { number, listener: None, _lock: None }
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }

    /// Lets go of the port for its server to bind; the lock stays.
    pub(super) fn release(&mut self) -> u16 {
        self.listener = None;
        self.number
    }
}

fn lock_folder() -> Result<PathBuf> {
    let name = format!("dopamine-slots-ports-{}", nix::unistd::getuid());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn first_ephemeral() -> u16 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next().and_then(|low| low.parse().ok()))
        .unwrap_or(32_768)
}
