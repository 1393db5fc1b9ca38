//! What a model makes, kept in the job folder as it comes: a file of records, one a made frame, in order. `NAME.state`
//! says how much of the file counts and lets the model go on behind it; what lies further belongs to work that was cut
//! off.

use crate::{Job, ProjectError};
use diffusion::State;
use media::image::Rgb8;
use methods::{BoxError, MethodError};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use units::FrameIndex;

/// Records that are being made.
pub(crate) struct Recorder<'a> {
    job: &'a Job,
    state_name: String,
    file: File,
    /// The model's own state behind what is kept.
    pub(crate) state: Option<Vec<u8>>,
    /// How much progress is kept, in the stage's own count.
    pub(crate) done: u64,
}

/// The first line of a state file; the model's own state follows.
#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    bytes: u64,
    done: u64,
}

impl<'a> Recorder<'a> {
    /// Goes on behind the records `name` that are kept, or starts.
    pub(crate) fn open(job: &'a Job, name: &str) -> Result<Self, ProjectError> {
        let path = job.path(name);
        let failed = |action| {
            let path = path.clone();
            move |source| ProjectError::Files {
                action,
                path,
                source,
            }
        };
        let state_name = format!("{name}.state");
        let (kept, state) = match job.read(&state_name).and_then(|bytes| split(&bytes)) {
            Some((kept, state)) => (kept, Some(state)),
            None => (Kept { bytes: 0, done: 0 }, None),
        };
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed("create"))?;
        // Fewer bytes than the state speaks of: somebody else's hand was here, nothing can be trusted.
        let there = file.metadata().map_err(failed("read"))?.len();
        let (kept, state) = if there < kept.bytes {
            (Kept { bytes: 0, done: 0 }, None)
        } else {
            (kept, state)
        };
        file.set_len(kept.bytes).map_err(failed("shorten"))?;
        file.seek(SeekFrom::End(0)).map_err(failed("read"))?;
        Ok(Self {
            job,
            state_name,
            file,
            state,
            done: kept.done,
        })
    }

    /// Appends a record; it counts once it is kept.
    pub(crate) fn push(&mut self, record: &[u8]) -> Result<(), BoxError> {
        Ok(self.file.write_all(record)?)
    }

    /// Keeps everything that was appended, with progress `done` and the model's state behind it.
    pub(crate) fn keep(&mut self, done: u64, state: &State) -> Result<(), BoxError> {
        self.file.sync_all()?;
        let kept = Kept {
            bytes: self.file.stream_position()?,
            done,
        };
        let mut bytes = serde_json::to_vec(&kept)?;
        bytes.push(b'\n');
        bytes.extend(state.to_bytes()?);
        self.job.write(&self.state_name, &bytes)?;
        self.done = done;
        Ok(())
    }
}

fn split(bytes: &[u8]) -> Option<(Kept, Vec<u8>)> {
    let line = bytes.iter().position(|&byte| byte == b'\n')?;
    let kept = serde_json::from_slice(bytes.get(..line)?).ok()?;
    Some((kept, bytes.get(line + 1..)?.to_vec()))
}

/// Finished records of the frames in some ranges.
pub(crate) struct Records {
    file: File,
    ranges: Vec<Range<FrameIndex>>,
    /// Bytes of a record.
    size: usize,
}

impl Records {
    /// Opens the records `name` of `ranges`, ascending.
    pub(crate) fn open(
        job: &Job,
        name: &str,
        size: usize,
        ranges: Vec<Range<FrameIndex>>,
    ) -> Result<Self, ProjectError> {
        let path = job.path(name);
        let file = File::open(&path).map_err(|source| ProjectError::Files {
            action: "open",
            path,
            source,
        })?;
        Ok(Self { file, ranges, size })
    }

    /// The record of an output frame, if it has one.
    pub(crate) fn at(&mut self, output: FrameIndex) -> Result<Option<Vec<u8>>, ProjectError> {
        let mut record = 0;
        for range in &self.ranges {
            if range.contains(&output) {
                record += output.since(range.start);
                return self.read(record).map(Some);
            }
            record += range.end.since(range.start);
        }
        Ok(None)
    }

    fn read(&mut self, record: u64) -> Result<Vec<u8>, ProjectError> {
        let mut bytes = vec![0; self.size];
        self.file
            .seek(SeekFrom::Start(record * self.size as u64))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|error| {
                ProjectError::fault(
                    "render",
                    format!("a made picture can't be read back: {error}"),
                )
            })?;
        Ok(bytes)
    }
}

/// A picture as models take it: planar `[3, height, width]` in 0..1.
pub(crate) fn planar(picture: &Rgb8) -> Vec<f32> {
    let pixels = picture.width * picture.height;
    let mut planar = vec![0.0; pixels * 3];
    for (channel, plane) in planar.chunks_exact_mut(pixels.max(1)).enumerate() {
        for (value, pixel) in plane.iter_mut().zip(picture.data.chunks_exact(3)) {
            *value = pixel.get(channel).copied().map_or(0.0, f32::from) / 255.0;
        }
    }
    planar
}

/// A method's failure: the caller's own ones come back as they were, those of files as such.
pub(crate) fn method_error(error: MethodError) -> ProjectError {
    let (MethodError::Source { source, .. } | MethodError::Sink(source)) = error else {
        return ProjectError::fault("generate", error);
    };
    super::boxed_error("generate", "what the model made", source)
}
