//! The job folder: finished steps, kept so that a killed run can go on.
//!
//! A job's key is a hash of everything that its result depends on. The folder lies beside the output
//! (`.NAME.reword`), so that it is on the same disk and easy to find. Each finished step is one file, written
//! under another name and renamed: a step is there whole or not at all. When the output stands, the folder goes.

use crate::{ProjectError, RenderRequest};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Hashes what a job depends on.
#[derive(Clone, Default)]
pub struct JobKey(Sha256);

impl JobKey {
    /// Starts with the program's version: another version may compute differently.
    pub fn new() -> Self {
        let mut key = Self(Sha256::new());
        key.add("version", env!("CARGO_PKG_VERSION").as_bytes());
        key
    }

    /// Adds one named ingredient.
    pub fn add(&mut self, name: &str, value: &[u8]) {
        // Lengths are hashed too, so that two ingredients can't run into each other.
        for part in [name.as_bytes(), value] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }

    /// Adds a file by its content.
    pub fn add_file(&mut self, name: &str, path: &Path) -> Result<(), ProjectError> {
        let failed = |source| ProjectError::Files {
            action: "read",
            path: path.to_owned(),
            source,
        };
        let mut file = fs::File::open(path).map_err(failed)?;
        let mut hash = Sha256::new();
        std::io::copy(&mut file, &mut hash).map_err(failed)?;
        self.add(name, &hash.finalize());
        Ok(())
    }

    /// Adds what every rendering job depends on.
    pub(crate) fn add_request(&mut self, request: &RenderRequest) -> Result<(), ProjectError> {
        let RenderRequest {
            clip,
            output: _,
            model,
            video,
            loras,
            steps,
            seed,
            audio_guidance,
            region,
            face,
            preview,
            from,
            to,
            // How much memory a job has changes how fast it is, not what it makes.
            memory: _,
            precision,
            device,
            resume: _,
        } = request;
        self.add_file("clip", clip)?;
        match (video, model) {
            (Some(video), _) => crate::stages::video::add_to_key(self, video)?,
            (None, Some(model)) => self.add_file("model", model)?,
            (None, None) => self.add(
                "model",
                crate::stages::model::embedded_checksum().as_bytes(),
            ),
        }
        for lora in loras {
            self.add(
                "lora",
                crate::stages::video::fingerprint(&lora.path)?.as_bytes(),
            );
            self.add("strength", &lora.strength.to_le_bytes());
        }
        self.add(
            "settings",
            format!(
                "{steps:?} {seed} {audio_guidance:?} {region:?} {face:?} {preview} {from:?} {to:?} {precision:?}"
            )
            .as_bytes(),
        );
        // Another device rounds differently. The processor adds nothing, as in earlier keys.
        if !device.is_cpu() {
            self.add("device", format!("{:?}", device.location()).as_bytes());
        }
        Ok(())
    }

    /// The key in hexadecimal.
    pub fn finish(&self) -> String {
        crate::stages::model::hex(&self.0.clone().finalize())
    }
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    key: String,
}

/// An open job folder.
#[derive(Debug)]
pub struct Job {
    folder: PathBuf,
    resumed: bool,
}

impl Job {
    /// Opens the folder of `output`'s job. With `resume`, finished steps of a job with the same key are kept;
    /// anything else found there is cleared.
    pub fn open(output: &Path, key: &JobKey, resume: bool) -> Result<Self, ProjectError> {
        let folder = Self::folder_for(output);
        let manifest = folder.join("job.json");
        let key = key.finish();
        let found: Option<Manifest> = fs::read(&manifest)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let resumed = resume && found.is_some_and(|found| found.key == key);
        if !resumed {
            if folder.exists() {
                fs::remove_dir_all(&folder).map_err(|source| ProjectError::Files {
                    action: "clear",
                    path: folder.clone(),
                    source,
                })?;
            }
            fs::create_dir_all(&folder).map_err(|source| ProjectError::Files {
                action: "create",
                path: folder.clone(),
                source,
            })?;
        }
        if resumed {
            // Outputs that were being written; their names are never used again.
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(".reword-") {
                    // What can't be removed is in nobody's way.
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
        let job = Self { folder, resumed };
        if !resumed {
            let bytes = serde_json::to_vec(&Manifest { key })
                .map_err(|error| ProjectError::fault("job", error))?;
            job.write("job.json", &bytes)?;
        }
        Ok(job)
    }

    /// Where the job of an output keeps its steps.
    pub fn folder_for(output: &Path) -> PathBuf {
        let name = output
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        output.with_file_name(format!(".{name}.reword"))
    }

    /// True when steps of an earlier run are being used.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// The path of a step's file. Names are ours, never the user's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A finished step's content.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.path(name)).ok()
    }

    /// True when a step is finished.
    pub fn has(&self, name: &str) -> bool {
        self.path(name).is_file()
    }

    /// Keeps a finished step: whole, on disk, then under its name.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), ProjectError> {
        let path = self.path(name);
        let partial = self.path(&format!("{name}.partial"));
        let failed = |source| ProjectError::Files {
            action: "write",
            path: path.clone(),
            source,
        };
        let mut file = fs::File::create(&partial).map_err(failed)?;
        file.write_all(content).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&partial, &path).map_err(failed)
    }

    /// Removes the folder: the output stands.
    pub fn finish(self) -> Result<(), ProjectError> {
        fs::remove_dir_all(&self.folder).map_err(|source| ProjectError::Files {
            action: "remove",
            path: self.folder.clone(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: &str) -> JobKey {
        let mut key = JobKey::new();
        key.add("value", value.as_bytes());
        key
    }

    #[test]
    fn finished_steps_survive_only_with_the_same_key_and_resume() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("a file.mp4");
        let job = Job::open(&output, &key("one"), false).unwrap();
        job.write("block-0", b"latents").unwrap();
        drop(job);

        let job = Job::open(&output, &key("one"), true).unwrap();
        assert!(job.resumed());
        assert_eq!(job.read("block-0").as_deref(), Some(&b"latents"[..]));
        drop(job);

        let job = Job::open(&output, &key("two"), true).unwrap();
        assert!(!job.resumed() && !job.has("block-0"));
        job.write("block-0", b"other").unwrap();
        drop(job);

        let job = Job::open(&output, &key("two"), false).unwrap();
        assert!(!job.has("block-0"));
        job.finish().unwrap();
        assert!(!Job::folder_for(&output).exists());
    }

    #[test]
    fn a_half_written_step_is_not_a_step() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.mp4");
        let job = Job::open(&output, &key("one"), false).unwrap();
        fs::write(job.path("block-3.partial"), b"lat").unwrap();
        assert!(!job.has("block-3"));
    }

    #[test]
    fn ingredients_do_not_run_into_each_other() {
        let mut one = JobKey::new();
        one.add("a", b"bc");
        let mut two = JobKey::new();
        two.add("ab", b"c");
        assert_ne!(one.finish(), two.finish());
    }
}
