//! The model hub and its cache, as every other program on this machine sees them.
//!
//! `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE` mean what they
//! mean elsewhere, so that a model is fetched once for all programs.

use std::path::{Path, PathBuf};

use hf_hub::api::sync::{Api, ApiBuilder};
use hf_hub::{Cache, Repo};
use models::registry::{PublishedModel, RemoteFile};

use crate::failure::Failure;

/// Where models come from and lie.
pub(crate) struct Hub {
    cache: Cache,
}

impl Hub {
    pub(crate) fn from_env() -> Self {
        let cache = match std::env::var_os("HF_HUB_CACHE") {
            Some(folder) if !folder.is_empty() => Cache::new(PathBuf::from(folder)),
            _ => Cache::from_env(),
        };
        Self { cache }
    }

    /// The cache's folder.
    pub(crate) fn folder(&self) -> &Path {
        self.cache.path()
    }

    /// Where a file lies, if it was fetched.
    pub(crate) fn cached(&self, file: &RemoteFile) -> Option<PathBuf> {
        self.cache
            .repo(Repo::model(file.repository.to_owned()))
            .get(file.path)
    }

    /// `here`, `not here`, or how much of it is.
    pub(crate) fn place(&self, model: &PublishedModel) -> String {
        let total = model.files().count();
        let here = model.files().filter(|f| self.cached(f).is_some()).count();
        match here {
            0 => "not here".to_owned(),
            n if n == total => "here".to_owned(),
            n => format!("{n} of {total} files here"),
        }
    }

    /// A connection.
    pub(crate) fn connect(&self) -> Result<Api, Failure> {
        if offline() {
            return Err(
                Failure::missing("HF_HUB_OFFLINE is set, so nothing can be fetched")
                    .with_hint("unset it, or copy the files into the hub's cache"),
            );
        }
        let token = std::env::var("HF_TOKEN")
            .ok()
            .filter(|token| !token.trim().is_empty());
        let mut builder = ApiBuilder::from_cache(self.cache.clone())
            .with_progress(false)
            .with_retries(3);
        if let Ok(endpoint) = std::env::var("HF_ENDPOINT")
            && !endpoint.is_empty()
        {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
        }
        if token.is_some() {
            builder = builder.with_token(token);
        }
        builder
            .build()
            .map_err(|error| Failure::fault(format!("can't set up the connection: {error}")))
    }
}

/// Whether `HF_HUB_OFFLINE` forbids the network.
fn offline() -> bool {
    std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| {
        !matches!(
            value.to_lowercase().as_str(),
            "" | "0" | "false" | "no" | "off"
        )
    })
}

/// The checksum that a cached file should have: large files are kept under theirs.
pub(crate) fn expected_checksum(path: &Path) -> Option<String> {
    let blob = path.canonicalize().ok()?;
    let name = blob.file_name()?.to_str()?;
    let is_sha256 = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_sha256.then(|| name.to_lowercase())
}

/// SHA-256 of a file, in hexadecimal, read in pieces.
pub(crate) fn checksum(path: &Path) -> std::io::Result<String> {
    use sha2::Digest as _;
    let mut file = std::fs::File::open(path)?;
    let mut hash = sha2::Sha256::new();
    std::io::copy(&mut file, &mut hash)?;
    let digest = hash.finalize();
    Ok(digest.iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Bytes as people read them: decimal, as the hub shows them.
pub(crate) fn human(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "kB", "MB", "GB"];
    let mut value = bytes as f64;
    let mut unit = UNITS[0];
    for next in UNITS.iter().skip(1) {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if value < 10.0 && unit != "B" {
        format!("{value:.1} {unit}")
    } else {
        format!("{value:.0} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        for (bytes, wanted) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_500, "1.5 kB"),
            (505_000_000, "505 MB"),
            (28_600_000_000, "29 GB"),
        ] {
            assert_eq!(human(bytes), wanted);
        }
    }
}
