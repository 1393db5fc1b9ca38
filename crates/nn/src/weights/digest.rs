//! Checksums of weight files.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::WeightsError;

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// When it cannot be read.
pub fn sha256(path: impl AsRef<Path>) -> Result<String, WeightsError> {
    let path = path.as_ref();
    let read = |e| WeightsError::read(path, e);
    let mut file = File::open(path).map_err(read)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer).map_err(read)?;
        match buffer.get(..count) {
            Some(part) if count > 0 => hasher.update(part),
            _ => return Ok(hex(&hasher.finalize())),
        }
    }
}

pub(super) fn of_slices<'a>(slices: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for slice in slices {
        hasher.update(slice);
    }
    hex(&hasher.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
