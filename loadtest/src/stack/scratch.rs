//! The folder that holds everything a stack writes.
//!
//! A temporary one goes away with its last user. What a killed process left behind is swept by the
//! next one that makes a scratch folder; the folder's name says whose it is.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use tempfile::TempDir;

const PREFIX: &str = "dopamine-slots-";

/// A folder for the files of one or more servers; clones share it.
#[derive(Clone, Debug)]
pub struct Scratch {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// Removes the folder when the last clone goes.
    _temporary: Option<TempDir>,
}

impl Scratch {
    /// A new folder under the system's temporary folder, removed with the last clone.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn temporary() -> Result<Self> {
        sweep(&std::env::temp_dir());
        let folder = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", std::process::id()))
            .tempdir()
            .context("cannot make a scratch folder")?;
        open_to_all(folder.path())?;
        Ok(Self::new(folder.path().to_path_buf(), Some(folder)))
    }

    /// The given folder, made if need be and left in place.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn at(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
        open_to_all(path)?;
        let path = path.canonicalize().with_context(|| format!("no {}", path.display()))?;
        Ok(Self::new(path, None))
    }

    fn new(path: PathBuf, temporary: Option<TempDir>) -> Self {
        let inner = Inner { path, _temporary: temporary };
        Self { inner: Arc::new(inner) }
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Removes the folder now, with everything in it, whichever kind it is.
    ///
    /// # Errors
    /// If something in it cannot be removed.
    pub fn remove(self) -> Result<()> {
        remove(self.path())
    }

    /// A new, empty folder for one server: `redis`, then `redis-2`, ….
    pub(super) fn folder(&self, server: &str) -> Result<PathBuf> {
        let mut path = self.path().join(server);
        for number in 2.. {
            match fs::create_dir(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    path = self.path().join(format!("{server}-{number}"));
                }
                made => {
                    made.with_context(|| format!("cannot make {}", path.display()))?;
                    break;
                }
            }
        }
        Ok(path)
    }

    /// Like [`Self::folder`], for a server that runs as another user than we do: where that user
    /// cannot reach the scratch folder (a home folder, say), the server's folder lies in the
    /// system's temporary folder and the scratch folder has a link to it.
    pub(super) fn folder_for_anyone(&self, server: &str) -> Result<PathBuf> {
        if self.path().ancestors().all(reachable_by_all) {
            return self.folder(server);
        }
        let elsewhere = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{server}-"))
            .tempdir_in("/var/tmp")
            .context("cannot make a folder in /var/tmp")?
            .keep();
        open_to_all(&elsewhere)?;
        let link = self.folder(server)?;
        fs::remove_dir(&link)?;
        symlink(&elsewhere, &link).with_context(|| {
            format!("cannot link {} to {}", link.display(), elsewhere.display())
        })?;
        Ok(elsewhere)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self._temporary.is_some() {
            remove_linked(&self.path);
        }
    }
}

/// Removes a scratch folder with what it links to.
pub(super) fn remove(path: &Path) -> Result<()> {
    remove_linked(path);
    fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))
}

fn remove_linked(path: &Path) {
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        let ours = |target: &Path| {
            target.parent() == Some(Path::new("/var/tmp"))
                && target.file_name().is_some_and(|n| n.to_string_lossy().starts_with(PREFIX))
        };
        if let Ok(target) = fs::read_link(entry.path())
            && ours(&target)
        {
            // A folder that stays behind does no harm, and a drop cannot report it.
            let _ = fs::remove_dir_all(target);
        }
    }
}

/// Lets an unprivileged server walk into the folder; what lies in it has its own permissions.
fn open_to_all(path: &Path) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot open {} to all users", path.display()))
}

fn reachable_by_all(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
}

/// Removes the scratch folders of processes that are no more.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|rest| rest.split_once('-'))
            .and_then(|(pid, _)| pid.parse::<u32>().ok());
        if let Some(pid) = owner
            && !Path::new(&format!("/proc/{pid}")).exists()
        {
            remove_linked(&entry.path());
            // Another process may sweep at the same time, or it is another user's.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
