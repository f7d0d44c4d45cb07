//! Where our own binaries, the module, and programs of the system are found.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The folder with this build's binaries: `target/<profile>`, whether the caller is a binary in it
/// or a test in its `deps`.
///
/// # Errors
/// If the running program has no folder.
pub fn target_folder() -> Result<PathBuf> {
    let program = env::current_exe().context("cannot tell where the running program lies")?;
    let folder = program.parent().context("the running program has no folder")?;
    let inside = ["deps", "examples"].iter().any(|name| folder.ends_with(name));
    let folder = if inside { folder.parent().unwrap_or(folder) } else { folder };
    Ok(folder.to_path_buf())
}

/// The checkout this program was built from; migrations and Kafka's pom are read from it.
#[must_use]
pub fn workspace_folder() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

/// One of the workspace's own binaries.
pub(super) fn own_binary(name: &str) -> Result<PathBuf> {
    built(target_folder()?.join(name), name)
}

/// The slot module: `SLOT_MODULE`, else `libslot_module.so` of this build.
pub(super) fn module() -> Result<PathBuf> {
    match env::var_os("SLOT_MODULE") {
        Some(path) => built(PathBuf::from(path), "slot-module"),
        None => built(target_folder()?.join("libslot_module.so"), "slot-module"),
    }
}

fn built(path: PathBuf, package: &str) -> Result<PathBuf> {
    if !path.is_file() {
        bail!("{} is missing: build it with `cargo build -p {package}`", path.display());
    }
    Ok(path)
}

/// A program on the PATH, if there.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}
