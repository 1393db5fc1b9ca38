//! The sound as the encoder wants it: mel frames of any part, without the recording's own colour.

use std::ops::Range;

use candle_core::Tensor;
use models::mel_encoder::MelEncoder;

use super::job::MelSource;
use crate::error::{MethodError, Result};

/// Mel frames that are read at once when a whole sound is looked at.
const CHUNK: usize = 4096;

/// Share of the frames that are louder than the level from which frames count as loud.
const LOUDEST: f64 = 0.05;

/// How far below that level a frame is still loud, in the units of mel frames.
const BELOW: f32 = 0.5;

/// A sound with what has to be taken out of its mel frames.
pub(crate) struct Sound<'a> {
    mel: &'a dyn MelSource,
    /// One value a band.
    colour: Option<Vec<f32>>,
}

impl<'a> Sound<'a> {
    /// Looks at the whole sound, if the encoder wants its mean spectrum taken out.
    pub(crate) fn new(mel: &'a dyn MelSource, encoder: &MelEncoder) -> Result<Self> {
        let config = encoder.config();
        let colour = if config.mean_norm {
            Some(mean_spectrum(mel, config.mel_bands)?)
        } else {
            None
        };
        Ok(Self { mel, colour })
    }

    /// A sound as it is, whatever its mel frames are.
    pub(crate) const fn plain(mel: &'a dyn MelSource) -> Self {
        Self { mel, colour: None }
    }

    /// Mel frames that the sound has.
    pub(crate) fn frames(&self) -> usize {
        self.mel.frames()
    }

    /// The bands of some mel frames as they come, frame after frame.
    pub(crate) fn read(&self, frames: Range<usize>) -> Result<Vec<f32>> {
        self.mel.read(frames).map_err(MethodError::Sound)
    }

    /// Features that the sound has.
    pub(crate) fn features(&self) -> usize {
        self.mel.frames() / 2
    }

    /// Some of the features, `[wanted, C]`.
    pub(crate) fn encode(&self, encoder: &MelEncoder, wanted: &Range<usize>) -> Result<Tensor> {
        let range = encoder.mel_range(self.mel.frames(), wanted)?;
        let mut mel = self.mel.read(range).map_err(MethodError::Sound)?;
        if let Some(colour) = &self.colour {
            for frame in mel.chunks_exact_mut(colour.len().max(1)) {
                for (value, colour) in frame.iter_mut().zip(colour) {
                    *value -= colour;
                }
            }
        }
        Ok(encoder.features(self.mel.frames(), wanted, mel)?)
    }
}

/// The mean of the loud frames' bands, without the mean over the bands: a sound's level stays. One value a band, which
/// encoders with `mean_norm` want taken off.
///
/// # Errors
/// When the sound can't be read.
pub fn mean_spectrum(mel: &dyn MelSource, bands: usize) -> Result<Vec<f32>> {
    let floor = loud(&levels(mel, bands)?).unwrap_or(0.0) - BELOW;
    let mut sums = vec![0.0_f64; bands];
    let mut count = 0_u64;
    each_chunk(mel, |part| {
        for frame in part
            .chunks_exact(bands)
            .filter(|frame| level(frame) > floor)
        {
            count += 1;
            for (sum, value) in sums.iter_mut().zip(frame) {
                *sum += f64::from(*value);
            }
        }
    })?;
    let whole = sums.iter().sum::<f64>() / bands as f64;
    let count = count.max(1) as f64;
    Ok(sums
        .iter()
        .map(|sum| ((sum - whole) / count) as f32)
        .collect())
}

/// The mean over the bands of every mel frame.
pub(super) fn levels(mel: &dyn MelSource, bands: usize) -> Result<Vec<f32>> {
    let mut levels = Vec::with_capacity(mel.frames());
    each_chunk(mel, |part| {
        levels.extend(part.chunks_exact(bands.max(1)).map(level));
    })?;
    Ok(levels)
}

/// The level above which the loudest frames are.
pub(super) fn loud(levels: &[f32]) -> Option<f32> {
    let mut sorted = levels.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let at = (sorted.len().saturating_sub(1) as f64 * (1.0 - LOUDEST)).round() as usize;
    sorted.get(at).copied()
}

fn level(frame: &[f32]) -> f32 {
    frame.iter().sum::<f32>() / frame.len().max(1) as f32
}

fn each_chunk(mel: &dyn MelSource, mut take: impl FnMut(&[f32])) -> Result<()> {
    let total = mel.frames();
    for start in (0..total).step_by(CHUNK) {
        let part = mel
            .read(start..(start + CHUNK).min(total))
            .map_err(MethodError::Sound)?;
        take(&part);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_spectrum_is_that_of_the_loud_frames_and_leaves_the_level() {
        // Loud frames rise by 0.01 a band around 0.5, quiet ones fall around -1.
        let mel: Vec<[f32; 80]> = (0..9000)
            .map(|t| {
                std::array::from_fn(|band| {
                    let slope = (band as f32 - 39.5) * 0.01;
                    if t % 2 == 0 {
                        0.5 + slope
                    } else {
                        -1.0 - slope
                    }
                })
            })
            .collect();
        let colour = mean_spectrum(&mel, 80).unwrap();
        for (band, value) in colour.iter().enumerate() {
            assert!(
                (value - (band as f32 - 39.5) * 0.01).abs() < 1e-4,
                "{band} {value}"
            );
        }
        assert!(colour.iter().sum::<f32>().abs() < 1e-3);
    }
}
