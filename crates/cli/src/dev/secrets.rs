//! Secrets of the development stack: made once, at random, and kept in files that only their owner reads.

use std::fs;

use anyhow::Context;
use rand::{TryRngCore, rngs::OsRng};

use super::layout::{Layout, write_private};

const SECRET_BYTES: usize = 32;

/// The secret of that name as 64 hexadecimal digits; made at the first call.
pub(crate) fn secret(layout: &Layout, name: &str) -> anyhow::Result<String> {
    let path = layout.secret(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut bytes = [0; SECRET_BYTES];
            OsRng.try_fill_bytes(&mut bytes).context("the system gives no random bytes")?;
            let text = blake3::Hash::from_bytes(bytes).to_hex().to_string();
            write_private(&path, text.as_bytes())?;
            Ok(text)
        }
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}
