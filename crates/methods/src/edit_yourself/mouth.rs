//! Mouths as numbers: what a sound says, what a picture shows, and how one person's differ from
//! what the model expects.

use std::ops::Range;

use candle_core::{DType, Tensor};
use models::mel_encoder::MouthSpace;
use units::{FrameIndex, FrameRate};

use super::job::MelSource;
use super::model::EditYourself;
use super::sound::Sound;
use crate::error::Result;

/// Numbers of a mouth that are looked at: the opening and the first components of the shape,
/// which carry nearly all of it.
pub const MOUTH: usize = 7;

/// A mouth: the opening first, then components of the shape of lips and jaw, each in spreads of
/// the training data.
pub type Mouth = [f32; MOUTH];

/// Features a second.
const FEATURES: f64 = 50.0;

/// Features that are encoded at once.
const CHUNK: usize = 1500;

/// Mouths of output frames that the sound is to say.
#[derive(Debug, Clone, PartialEq)]
pub struct SaidMouths {
    pub frames: Range<FrameIndex>,
    /// One a frame.
    pub mouths: Vec<Mouth>,
}

impl SaidMouths {
    /// Between two frames; `None` outside.
    fn at(&self, frame: f64) -> Option<Mouth> {
        let place = frame - self.frames.start.0 as f64;
        if place < 0.0 {
            return None;
        }
        let low = place.floor();
        let first = self.mouths.get(low as usize)?;
        let next = self.mouths.get(low as usize + 1).unwrap_or(first);
        let share = (place - low) as f32;
        Some(std::array::from_fn(|k| {
            first[k] * (1.0 - share) + next[k] * share
        }))
    }
}

/// What a whole sound says about the mouth, 50 times a second.
#[derive(Debug, Clone, PartialEq)]
pub struct HeardMouths {
    mouths: Vec<Mouth>,
}

impl HeardMouths {
    /// From mouths 50 times a second.
    pub fn of(mouths: Vec<Mouth>) -> Self {
        Self { mouths }
    }

    /// The mouth at a time from the sound's start; the first and the last go on. `None` for no
    /// sound at all.
    pub fn at(&self, seconds: f64) -> Option<Mouth> {
        let last = self.mouths.len().checked_sub(1)?;
        let place = (seconds * FEATURES).clamp(0.0, last as f64);
        let low = place.floor() as usize;
        let (first, next) = (self.mouths.get(low)?, self.mouths.get((low + 1).min(last))?);
        let share = (place - place.floor()) as f32;
        Some(std::array::from_fn(|k| {
            first[k] * (1.0 - share) + next[k] * share
        }))
    }
}

impl EditYourself {
    /// What a sound says about the mouth; `None` from a model that cannot tell.
    ///
    /// # Errors
    /// When the sound can't be read.
    pub fn hear(&self, mel: &dyn MelSource) -> Result<Option<HeardMouths>> {
        let Some(head) = self.mel_encoder.mouth_head() else {
            return Ok(None);
        };
        let sound = Sound::new(mel, &self.mel_encoder)?;
        let total = sound.features();
        let mut mouths = Vec::with_capacity(total);
        for start in (0..total).step_by(CHUNK) {
            let wanted = start..(start + CHUNK).min(total);
            let said = head.read(&sound.encode(&self.mel_encoder, &wanted)?)?;
            let said = said.to_dtype(DType::F32)?.to_vec2::<f32>()?;
            mouths.extend(said.iter().map(|row| first_of(row)));
        }
        Ok(Some(HeardMouths { mouths }))
    }

    /// The numbers of a mouth that is seen: `opening` as a share of the face's height, `positions`
    /// of the points of lips and jaw in tenths of the crop, x and y by turns. `None` from a model
    /// that does not tell what its numbers mean.
    pub fn see(&self, opening: f32, positions: &[f32]) -> Option<Mouth> {
        let space = self.mel_encoder.mouth_head()?.space()?;
        Some(mouth_of(space, opening, positions))
    }

    /// Features `[N, C]`, the first of which is the sound's number `first`, made to say the mouths
    /// of a job.
    pub(super) fn say(
        &self,
        features: &Tensor,
        first: usize,
        said: &[SaidMouths],
        rate: FrameRate,
    ) -> Result<Tensor> {
        let Some(head) = self.mel_encoder.mouth_head().filter(|_| !said.is_empty()) else {
            return Ok(features.clone());
        };
        let own = head.read(features)?.to_dtype(DType::F32)?;
        let (count, width) = own.dims2()?;
        let mut change = own.to_vec2::<f32>()?;
        for (index, row) in change.iter_mut().enumerate() {
            let frame = (first + index) as f64 / FEATURES * rate.per_second();
            let wanted = said.iter().find_map(|run| run.at(frame));
            for (k, value) in row.iter_mut().enumerate() {
                let wanted = wanted.as_ref().and_then(|mouth| mouth.get(k));
                *value = wanted.map_or(0.0, |wanted| wanted - *value);
            }
        }
        let change = Tensor::from_vec(change.concat(), (count, width), features.device())?;
        Ok(head.say(features, &change)?)
    }
}

/// A seen mouth in an encoder's numbers, see [`EditYourself::see`].
pub fn mouth_of(space: &MouthSpace, opening: f32, positions: &[f32]) -> Mouth {
    first_of(&space.place(opening, positions))
}

fn first_of(row: &[f32]) -> Mouth {
    std::array::from_fn(|k| row.get(k).copied().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mouths_are_read_between_frames_and_features() {
        let mouth = |opening: f32| {
            let mut mouth = [0.0; MOUTH];
            mouth[0] = opening;
            mouth
        };
        let said = SaidMouths {
            frames: FrameIndex(10)..FrameIndex(13),
            mouths: vec![mouth(0.0), mouth(1.0), mouth(3.0)],
        };
        assert_eq!(said.at(9.9), None);
        let near = |found: Option<Mouth>, wanted: f32| (found.unwrap()[0] - wanted).abs() < 1e-6;
        assert!(near(said.at(10.5), 0.5));
        assert!(near(said.at(12.0), 3.0));
        assert_eq!(said.at(13.0), None);
        let heard = HeardMouths {
            mouths: vec![mouth(0.0), mouth(1.0), mouth(2.0), mouth(3.0)],
        };
        assert!(near(heard.at(0.04), 2.0));
        assert!(near(heard.at(0.01), 0.5));
        assert!(near(heard.at(9.0), 3.0));
    }
}
