//! How many files the process may have open: every connection is one, and shells and service managers often
//! start a process with 1,024 of them while allowing far more.
//! Next: server.rs turns connections over --max-connections away.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit as far as the process may, and warns if it is too low for that many connections.
pub(crate) fn raise(connections: usize) {
    let files = Resource::RLIMIT_NOFILE;
    let raised = getrlimit(files).and_then(|(_, hard)| {
        setrlimit(files, hard, hard)?;
        Ok(hard)
    });
    match raised {
        Ok(hard) if u64::try_from(connections).is_ok_and(|wanted| wanted < hard) => {}
        Ok(hard) => tracing::warn!(
            event = "TOO_FEW_FILES",
            files = hard,
            connections,
            cause = "--max-connections needs more open files than this process may have; raise the hard limit (ulimit -Hn)"
        ),
        Err(error) => tracing::warn!(event = "TOO_FEW_FILES", connections, cause = %error),
    }
}
