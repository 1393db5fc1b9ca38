//! How loud a clip is, frame by frame.

use crate::MeasureError;
use crate::statistics::percentile;
use media::sound::MonoReader;
use media::{Clip, VideoInfo};
use units::{FrameIndex, SampleRate};

/// Below this level (RMS of full scale, -60 dB) a track is silence as a whole.
const SILENT_TRACK: f64 = 1e-3;
/// So far below the loud frames (their 95th percentile) a frame is silent: 30 dB.
const SILENT: f64 = 0.031_622_8;
/// Above this part of the loud frames a frame is voiced: -20 dB.
const VOICED: f64 = 0.1;
/// A frame counts as silent when so many frames before and after it are silent too: lips run ahead of the sound
/// and behind it.
const MARGIN: usize = 2;

/// The level of every frame.
#[derive(Clone, Debug)]
pub(crate) enum Loudness {
    /// The clip has no sound.
    None,
    /// RMS of every frame, 0..1.
    Levels(Vec<f64>),
}

impl Loudness {
    /// Reads a clip's sound once, block by block.
    pub(crate) fn read(clip: &Clip, video: &VideoInfo) -> Result<Self, MeasureError> {
        let Ok(audio) = clip.sound() else {
            return Ok(Self::None);
        };
        let rate = SampleRate::SPEECH;
        let mut reader = MonoReader::new(clip, rate)?;
        let count = video.frames as usize;
        let (mut sums, mut counts) = (vec![0.0; count], vec![0_u64; count]);
        let mut frame = 0;
        let mut position = 0_u64;
        while let Some(block) = reader.next_block()? {
            for sample in block {
                let time = audio.start.0 + position as f64 / f64::from(rate.hertz());
                position += 1;
                while frame < count && time >= video.times.end_of(FrameIndex(frame as u64)).0 {
                    frame += 1;
                }
                let (Some(sum), Some(number)) = (sums.get_mut(frame), counts.get_mut(frame)) else {
                    break;
                };
                if time >= video.times.start(FrameIndex(frame as u64)).0 {
                    *sum += f64::from(sample) * f64::from(sample);
                    *number += 1;
                }
            }
        }
        Ok(Self::Levels(
            sums.iter()
                .zip(&counts)
                .map(|(sum, count)| (sum / (*count).max(1) as f64).sqrt())
                .collect(),
        ))
    }

    /// Energy of each frame, for the choice of the speaking face.
    pub(crate) fn envelope(&self) -> Option<Vec<f32>> {
        match self {
            Self::None => None,
            Self::Levels(levels) => Some(levels.iter().map(|level| *level as f32).collect()),
        }
    }

    /// Which frames are silent; why not, where the clip has no sound.
    pub(crate) fn silent(&self) -> Result<Vec<bool>, String> {
        let levels = self.levels()?;
        let loud = percentile(levels, 0.95).unwrap_or(0.0);
        if loud < SILENT_TRACK {
            return Ok(vec![true; levels.len()]);
        }
        let low: Vec<bool> = levels.iter().map(|level| *level < SILENT * loud).collect();
        Ok((0..low.len())
            .map(|frame| {
                let around = frame.saturating_sub(MARGIN)..(frame + MARGIN + 1).min(low.len());
                low.get(around).unwrap_or_default().iter().all(|low| *low)
            })
            .collect())
    }

    /// Which frames have sound well above the clip's silence.
    pub(crate) fn voiced(&self) -> Result<Vec<bool>, String> {
        let levels = self.levels()?;
        let loud = percentile(levels, 0.95).unwrap_or(0.0);
        if loud < SILENT_TRACK {
            return Err("the sound is silence".to_owned());
        }
        Ok(levels.iter().map(|level| *level > VOICED * loud).collect())
    }

    fn levels(&self) -> Result<&[f64], String> {
        match self {
            Self::None => Err("there is no sound".to_owned()),
            Self::Levels(levels) => Ok(levels),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Loudness;

    #[test]
    fn silence_needs_silent_neighbours() {
        let mut levels = vec![0.2; 30];
        levels[10..20].fill(0.0001);
        let loudness = Loudness::Levels(levels);
        let silent = loudness.silent().unwrap();
        assert_eq!(silent.iter().filter(|s| **s).count(), 6);
        assert!(silent[12] && silent[17] && !silent[11] && !silent[18]);
        assert_eq!(
            loudness.voiced().unwrap().iter().filter(|v| **v).count(),
            20
        );
    }

    #[test]
    fn a_silent_track_is_silent_everywhere_and_no_track_is_none() {
        let hush = Loudness::Levels(vec![1e-5; 9]);
        assert!(hush.silent().unwrap().iter().all(|s| *s));
        assert!(hush.voiced().unwrap_err().contains("silence"));
        assert!(Loudness::None.silent().is_err());
        assert_eq!(Loudness::None.envelope(), None);
    }
}
