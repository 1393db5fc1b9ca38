//! A clip as the sound encoder's training sees it: mel frames and mouths at 25 Hz.

use candle_core::{Device, Tensor};
use models::mel_encoder::MelEncoder;

use super::{BANDS, MELS};
use crate::data::Faces;
use crate::error::{Result, TrainError};
use crate::gradients::values;
use crate::stage::edit_yourself::series_correlation;

/// A clip as this stage sees it.
#[derive(Debug, Clone)]
pub struct SoundClip {
    /// Its name.
    pub id: String,
    /// How often it is drawn.
    pub weight: f64,
    /// Mel frames from the first target on, 80 values each.
    pub(super) mel: Vec<f32>,
    /// Mouth openings at 25 Hz, without the clip's mean.
    pub(super) openings: Vec<f32>,
    /// Lips and jaw at 25 Hz, without the clip's mean.
    pub(super) shapes: Vec<Vec<f32>>,
    /// What is read: opening, then components, each of deviation one.
    pub(super) targets: Vec<Vec<f32>>,
}

impl SoundClip {
    /// Targets at 25 Hz from a clip's faces.
    ///
    /// # Errors
    /// When it is too short.
    pub fn new(id: &str, weight: f64, faces: &Faces) -> Result<Self> {
        let Course {
            mel,
            mut openings,
            mut shapes,
        } = at_25(id, faces)?;
        let count = openings.len();
        centre(&mut openings);
        let width = shapes.first().map_or(0, Vec::len);
        for k in 0..width {
            let of = |shape: &Vec<f32>| shape.get(k).copied().unwrap_or(0.0);
            let mean = shapes.iter().map(of).sum::<f32>() / count as f32;
            for shape in &mut shapes {
                if let Some(value) = shape.get_mut(k) {
                    *value -= mean;
                }
            }
        }
        Ok(Self {
            id: id.to_owned(),
            weight,
            mel,
            openings,
            shapes,
            targets: Vec::new(),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.openings.len()
    }

    /// Where the mouth goes with what an encoder reads best.
    ///
    /// # Errors
    /// When the encoder has no mouth head.
    pub fn offset(&self, encoder: &MelEncoder) -> Result<BestOffset> {
        Ok(best_offset(&self.reading(encoder)?, &self.openings))
    }

    /// Correlation of what an encoder reads with the mouth.
    ///
    /// # Errors
    /// When the encoder has no mouth head.
    pub fn agreement(&self, encoder: &MelEncoder) -> Result<f64> {
        Ok(series_correlation(&self.reading(encoder)?, &self.openings))
    }

    /// The encoder's reading of the opening.
    fn reading(&self, encoder: &MelEncoder) -> Result<Vec<f32>> {
        let shape = (1, self.len() * MELS, BANDS);
        let mel = Tensor::from_slice(&self.mel, shape, &Device::Cpu)?;
        values(
            &readings(encoder, &mel, None)?
                .narrow(2, 0, 1)?
                .contiguous()?,
        )
    }
}

/// A clip at 25 Hz, whatever its rate.
pub(crate) struct Course {
    /// Mel frames from the first frame on, four a frame, 80 values each.
    pub(crate) mel: Vec<f32>,
    /// Mouth openings.
    pub(crate) openings: Vec<f32>,
    /// Lips and jaw, tenths of the crop.
    pub(crate) shapes: Vec<Vec<f32>>,
}

/// Faces and sound at 25 Hz.
pub(crate) fn at_25(id: &str, faces: &Faces) -> Result<Course> {
    let seconds = faces.len().saturating_sub(1) as f64 / faces.rate;
    let count = (seconds * 25.0) as usize + 1;
    let first = (faces.first as f64 / faces.rate * 100.0).round() as usize;
    let at = |n: usize| {
        let place = (n as f64 / 25.0 * faces.rate).min((faces.len() - 1) as f64);
        let low = place.floor();
        (low as usize, (place - low) as f32)
    };
    let mix = |a: f32, b: f32, share: f32| a + (b - a) * share;
    let mut openings = Vec::with_capacity(count);
    let mut shapes = Vec::with_capacity(count);
    for n in 0..count {
        let (low, share) = at(n);
        let high = (low + 1).min(faces.len() - 1);
        let opening = |n: usize| faces.openings.get(n).copied().unwrap_or(0.0);
        openings.push(mix(opening(low), opening(high), share));
        let shape = |n: usize| faces.shapes.get(n).map_or(&[][..], Vec::as_slice);
        let pairs = shape(low).iter().zip(shape(high));
        shapes.push(pairs.map(|(a, b)| mix(*a, *b, share)).collect::<Vec<f32>>());
    }
    let mel = faces.mel.get(first * BANDS..).unwrap_or(&[]);
    let length = count * MELS * BANDS;
    if count < 2 || mel.len() < length {
        return Err(TrainError::Data(format!(
            "{id}: its sound ends before its picture"
        )));
    }
    Ok(Course {
        mel: mel.get(..length).unwrap_or(&[]).to_vec(),
        openings,
        shapes,
    })
}

/// Where mouth and sound go together best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BestOffset {
    /// Their correlation there.
    pub agreement: f64,
    /// By how much the sound is late, seconds.
    pub seconds: f64,
}

/// The offset, within 0.2 s, at which `read` (from the sound) follows `shown` (from the picture) best, both at 25 Hz; finer
/// than a frame by the parabola through the three best values.
fn best_offset(read: &[f32], shown: &[f32]) -> BestOffset {
    const MOST: i64 = 5;
    let at = |late: i64| {
        let (read_from, shown_from) = (late.max(0) as usize, (-late).max(0) as usize);
        let count = read
            .len()
            .min(shown.len())
            .saturating_sub(late.unsigned_abs() as usize);
        let part = |x: &'_ [f32], from: usize| x.get(from..from + count).unwrap_or(&[]).to_vec();
        series_correlation(&part(read, read_from), &part(shown, shown_from))
    };
    let values: Vec<f64> = (-MOST..=MOST).map(at).collect();
    let best = (0..values.len())
        .max_by(|a, b| {
            let value = |n: &usize| values.get(*n).copied().unwrap_or(-1.0);
            // Of equals the one nearer to zero.
            let near = |n: &usize| std::cmp::Reverse((*n as i64 - MOST).abs());
            value(a).total_cmp(&value(b)).then(near(a).cmp(&near(b)))
        })
        .unwrap_or(MOST as usize);
    let value = |n: usize| values.get(n).copied();
    let peak = value(best).unwrap_or(0.0);
    let fine = match (best.checked_sub(1).and_then(value), value(best + 1)) {
        (Some(before), Some(after)) if before + after < 2.0 * peak => {
            0.5 * (before - after) / (before - 2.0 * peak + after)
        }
        _ => 0.0,
    };
    BestOffset {
        agreement: peak,
        seconds: (best as f64 - MOST as f64 + fine) / 25.0,
    }
}

/// Readings at 25 Hz `[B, T, K]` of mel `[B, 4 T, 80]`; `dropout` multiplies the features.
pub(super) fn readings(
    encoder: &MelEncoder,
    mel: &Tensor,
    dropout: Option<&Tensor>,
) -> Result<Tensor> {
    let mut features = encoder.forward(mel)?;
    if let Some(mask) = dropout {
        features = (features * mask)?;
    }
    let readings = encoder
        .mouth(&features)?
        .ok_or_else(|| TrainError::Recipe("the sound encoder has no mouth head".to_owned()))?;
    let (batch, count, width) = readings.dims3()?;
    // Every second feature: 50 Hz to 25 Hz.
    Ok(readings
        .reshape((batch, count / 2, 2, width))?
        .narrow(2, 0, 1)?
        .contiguous()?
        .reshape((batch, count / 2, width))?)
}

fn centre(values: &mut [f32]) {
    let mean = values.iter().sum::<f32>() / values.len().max(1) as f32;
    for value in values {
        *value -= mean;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_found_to_a_part_of_a_frame() {
        let wave = |t: f64| ((0.9 * t).sin() + 0.5 * (0.37 * t).cos()) as f32;
        let shown: Vec<f32> = (0..100).map(|n| wave(f64::from(n))).collect();
        for late in [-3.0, -0.4, 0.0, 1.0, 2.25] {
            let read: Vec<f32> = (0..100)
                .map(|n| 3.0 * wave(f64::from(n) - late) + 1.0)
                .collect();
            let found = best_offset(&read, &shown);
            assert!(
                (found.seconds * 25.0 - late).abs() < 0.12,
                "{late}: {found:?}"
            );
            assert!(found.agreement > 0.9, "{late}: {found:?}");
        }
    }
}
