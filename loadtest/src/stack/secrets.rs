//! The secrets of one stack: made anew for it, in files that only we can read.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::scratch::Scratch;

const BYTES: usize = 32;

/// What tokens and webhooks are signed with.
#[derive(Clone, Debug)]
pub struct Secrets {
    jwt_file: PathBuf,
    webhook_file: PathBuf,
}

impl Secrets {
    /// New random ones in the scratch folder.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn make(scratch: &Scratch) -> Result<Self> {
        let folder = scratch.folder("secrets")?;
        let jwt_file = write(folder.join("jwt-hs256"))?;
        let webhook_file = write(folder.join("webhook"))?;
        Ok(Self { jwt_file, webhook_file })
    }

    /// The file with the HS256 secret of the tokens.
    #[must_use]
    pub fn jwt_file(&self) -> &Path {
        &self.jwt_file
    }

    /// The file with the webhook secret, in one line.
    #[must_use]
    pub fn webhook_file(&self) -> &Path {
        &self.webhook_file
    }

    /// The HS256 secret of the tokens.
    ///
    /// # Errors
    /// If its file is gone.
    pub fn jwt(&self) -> Result<String> {
        read(&self.jwt_file)
    }

    /// The webhook secret.
    ///
    /// # Errors
    /// If its file is gone.
    pub fn webhook(&self) -> Result<String> {
        read(&self.webhook_file)
    }
}

/// Without a newline: whoever reads the whole file and whoever reads its line get the same secret.
fn write(path: PathBuf) -> Result<PathBuf> {
    let secret = hex::encode(rand::random::<[u8; BYTES]>());
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(secret.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
