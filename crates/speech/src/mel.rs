//! Log-mel spectra: the form that the embedded model's sound encoder was trained on, and Whisper's.
//!
//! Both share the front end of Whisper (`openai/whisper`, `whisper/audio.py`): mono 16 kHz, periodic Hann window of
//! 400 samples, hop 160, frames centred with reflected ends, power spectrum, 80 triangles of unit area on Slaney's mel
//! scale from 0 to 8000 Hz, and the last frame dropped, so that `n` samples give `n / 160` frames (100 per second).
//! They differ in gain and compression: see [`MelConfig`].

mod filters;
mod stream;

pub use filters::{MEL_BINS, filter_bank};
pub use stream::MelStream;

/// Bands of a mel frame.
pub const MEL_BANDS: usize = 80;
/// Samples between two frames (10 ms at 16 kHz).
pub const MEL_HOP: usize = 160;
/// Samples of one window.
pub const MEL_WINDOW: usize = 400;

/// One mel frame, lowest band first.
pub type MelFrame = [f32; MEL_BANDS];

/// How power is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `(log10(max(p, 1e-7)) + 4) / 4`, each frame on its own: what the embedded model takes.
    Local,
    /// `(max(log10(max(p, 1e-10)), loudest - 8) + 4) / 4`, where `loudest` is the largest value of the whole input:
    /// what Whisper takes.
    Whisper,
}

/// A kind of log-mel spectrum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MelConfig {
    /// How power is compressed.
    pub compression: Compression,
    /// Whether the input is first scaled by [`speech_gain`].
    pub normalise_gain: bool,
}

impl MelConfig {
    /// What the embedded model takes.
    pub const EMBEDDED: Self = Self {
        compression: Compression::Local,
        normalise_gain: true,
    };
    /// What Whisper takes.
    pub const WHISPER: Self = Self {
        compression: Compression::Whisper,
        normalise_gain: false,
    };

    /// The spectrum of a whole input of 16 kHz samples in -1..1: `samples.len() / 160` frames (two for anything
    /// shorter than a window, which is padded with silence; none for no samples).
    pub fn compute(self, samples: &[f32]) -> Vec<MelFrame> {
        if samples.is_empty() {
            return Vec::new();
        }
        let gain = if self.normalise_gain {
            speech_gain(samples)
        } else {
            1.0
        };
        let mut stream = MelStream::new(self.compression, gain);
        let mut frames = stream.push(samples);
        frames.extend(stream.finish());
        if self.compression == Compression::Whisper {
            clamp_to_loudest(&mut frames);
        }
        frames
    }
}

/// The log-mel spectrum that the embedded model takes: [`MelConfig::EMBEDDED`].
pub fn log_mel(samples: &[f32]) -> Vec<MelFrame> {
    MelConfig::EMBEDDED.compute(samples)
}

/// The factor that brings speech to the level of the training data: the 95th percentile (linearly interpolated) of the
/// RMS of 20 ms frames becomes 0.1, with a gain of at most 20. `samples` are at 16 kHz; the last part frame is left
/// out, and without a whole frame the factor is 1.
pub fn speech_gain(samples: &[f32]) -> f32 {
    gain_of_levels(samples.chunks_exact(GAIN_FRAME).map(frame_level).collect())
}

/// Samples in the 20 ms frames whose levels [`speech_gain`] looks at.
pub const GAIN_FRAME: usize = 320;

/// The RMS of one frame of [`GAIN_FRAME`] samples.
pub fn frame_level(frame: &[f32]) -> f64 {
    let power: f64 = frame.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    (power / GAIN_FRAME as f64).sqrt()
}

/// [`speech_gain`] from the levels of all whole frames, for sound that is never held at once.
pub fn gain_of_levels(mut levels: Vec<f64>) -> f32 {
    let Some(last) = levels.len().checked_sub(1) else {
        return 1.0;
    };
    levels.sort_by(f64::total_cmp);
    let place = 0.95 * last as f64;
    let below = place.floor() as usize;
    let low = levels.get(below).copied().unwrap_or(0.0);
    let high = levels.get(below + 1).copied().unwrap_or(low);
    let level = low + (high - low) * (place - below as f64);
    (0.1 / level.max(1e-6)).min(20.0) as f32
}

/// Whisper's floor: nothing lies more than 8 decades (2 in the compressed scale) below the loudest value.
fn clamp_to_loudest(frames: &mut [MelFrame]) {
    let loudest = frames
        .iter()
        .flatten()
        .fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    for value in frames.iter_mut().flatten() {
        *value = value.max(loudest - 2.0);
    }
}

#[cfg(test)]
mod tests;
