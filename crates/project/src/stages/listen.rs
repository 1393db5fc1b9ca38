//! What the sound tells: loudness for cuts and for choosing faces, mel frames for lips. Streamed, never held whole.

use super::media_error;
use crate::ProjectError;
use edit::cuts::Energy;
use media::{Clip, sound::MonoReader};
use methods::BoxError;
use methods::edit_yourself::MelSource;
use speech::energy::envelope;
use speech::mel::{GAIN_FRAME, MEL_BANDS, MelConfig, MelStream, frame_level, gain_of_levels};
use speech::vad::{VadOptions, VadStream};
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use units::{SampleRate, Seconds};

/// Samples of a hop of the energy envelope at 16 kHz: 5 ms.
const HOP: usize = 80;

/// Hops that are worked out at once.
const HOPS: usize = 2000;

/// The loudness of a clip's sound on the clip's time axis.
pub(crate) fn energy(clip: &Clip) -> Result<Energy, ProjectError> {
    let start = clip.sound().map_err(media_error)?.start;
    let mut reader = MonoReader::new(clip, SampleRate::SPEECH).map_err(media_error)?;
    let lead = (start.0 * 200.0).round() as i64;
    let mut values = vec![0.0; lead.max(0) as usize];
    let mut held: Vec<f32> = Vec::new();
    // One hop before the held samples is needed by the first window; at the very start there is none.
    let mut before = 0;
    loop {
        let block = reader.next_block().map_err(media_error)?;
        let ended = block.is_none();
        held.extend(block.unwrap_or_default());
        let whole = held.len() / HOP;
        let ready = if ended {
            held.len().div_ceil(HOP)
        } else {
            whole.saturating_sub(2)
        };
        if ended || ready > HOPS {
            let levels = envelope(&held, SampleRate::SPEECH).values;
            values.extend(levels.get(before..ready).unwrap_or_default());
            if ended {
                break;
            }
            held.drain(..(ready - 1) * HOP);
            before = 1;
        }
    }
    if lead < 0 {
        values.drain(..values.len().min(lead.unsigned_abs() as usize));
    }
    Ok(Energy {
        hop: Seconds(HOP as f64 / 16_000.0),
        values,
    })
}

/// Where somebody speaks, on the clip's time axis.
pub(crate) fn speech(clip: &Clip) -> Result<Vec<Range<Seconds>>, ProjectError> {
    let start = clip.sound().map_err(media_error)?.start;
    let mut reader = MonoReader::new(clip, SampleRate::SPEECH).map_err(media_error)?;
    let mut stream = VadStream::new();
    while let Some(block) = reader.next_block().map_err(media_error)? {
        stream.push(&block);
    }
    Ok(stream
        .spans(&VadOptions::default())
        .into_iter()
        .map(|span| span.start + start..span.end + start)
        .collect())
}

/// The mel frames of a whole track, in a file.
pub(crate) struct MelFile {
    path: PathBuf,
    frames: usize,
    file: Mutex<File>,
}

impl MelFile {
    /// Writes the mel frames of a clip's sound to `path`, as the embedded model takes them: first the gain over the
    /// whole track, then the frames.
    pub(crate) fn write(clip: &Clip, path: &Path) -> Result<Self, ProjectError> {
        Self::write_as(MelConfig::EMBEDDED, clip, path)
    }

    /// The same of another kind; Whisper's without their floor, which depends on the window that is looked through.
    pub(crate) fn write_as(
        config: MelConfig,
        clip: &Clip,
        path: &Path,
    ) -> Result<Self, ProjectError> {
        let files = |action| {
            move |source| ProjectError::Files {
                action,
                path: path.to_owned(),
                source,
            }
        };
        let gain = if config.normalise_gain {
            gain(clip)?
        } else {
            1.0
        };
        let mut stream = MelStream::new(config.compression, gain);
        let mut target = BufWriter::new(File::create(path).map_err(files("create"))?);
        let mut frames = 0;
        let mut put = |mel: Vec<[f32; MEL_BANDS]>| -> Result<(), ProjectError> {
            frames += mel.len();
            for value in mel.iter().flatten() {
                target
                    .write_all(&value.to_le_bytes())
                    .map_err(files("write"))?;
            }
            Ok(())
        };
        let mut reader = MonoReader::new(clip, SampleRate::SPEECH).map_err(media_error)?;
        while let Some(block) = reader.next_block().map_err(media_error)? {
            put(stream.push(&block))?;
        }
        put(stream.finish())?;
        target.flush().map_err(files("write"))?;
        drop(target);
        let file = File::open(path).map_err(files("open"))?;
        Ok(Self {
            path: path.to_owned(),
            frames,
            file: Mutex::new(file),
        })
    }
}

impl MelSource for MelFile {
    fn frames(&self) -> usize {
        self.frames
    }

    fn read(&self, frames: Range<usize>) -> Result<Vec<f32>, BoxError> {
        let mut file = self
            .file
            .lock()
            .map_err(|_| format!("{} is in use", self.path.display()))?;
        file.seek(SeekFrom::Start((frames.start * MEL_BANDS * 4) as u64))?;
        let mut bytes = vec![0; frames.len() * MEL_BANDS * 4];
        file.read_exact(&mut bytes)?;
        Ok(bytes
            .chunks_exact(4)
            .filter_map(|four| four.try_into().ok())
            .map(f32::from_le_bytes)
            .collect())
    }
}

/// The gain that brings a track's speech to the level of the training data.
fn gain(clip: &Clip) -> Result<f32, ProjectError> {
    let mut reader = MonoReader::new(clip, SampleRate::SPEECH).map_err(media_error)?;
    let mut levels = Vec::new();
    let mut held: Vec<f32> = Vec::new();
    while let Some(block) = reader.next_block().map_err(media_error)? {
        held.extend_from_slice(&block);
        let frames = held.chunks_exact(GAIN_FRAME);
        levels.extend(frames.map(frame_level));
        held.drain(..held.len() / GAIN_FRAME * GAIN_FRAME);
    }
    Ok(gain_of_levels(levels))
}
