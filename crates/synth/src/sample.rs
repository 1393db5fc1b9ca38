//! The demo's clip: who speaks, in which room, which words and when.

use units::{FrameRate, RateError, Seconds};

use crate::background::Background;
use crate::clip::{Clip, ClipFormat, Scene};
use crate::config::{Clothing, HairStyle, HeadConfig};
use crate::error::SynthError;
use crate::light::Lighting;
use crate::motion::MotionStyle;
use crate::mouth::Phone;
use crate::occluder::Occluder;

/// A word with its time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleWord {
    /// The word with its punctuation.
    pub text: &'static str,
    /// Start of its first sound.
    pub start: Seconds,
    /// End of its last sound.
    pub end: Seconds,
}

/// Everything that makes the demo's clip.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What is said. It has a filler ("um") to remove and a weekday to replace.
    pub text: &'static str,
    /// The flite voice that says it; its sound lasts [`Self::duration`].
    pub voice: &'static str,
    /// Length of sound and picture.
    pub duration: Seconds,
    /// The person.
    pub person: HeadConfig,
    /// The room, light and movement.
    pub scene: Scene,
    /// Width and height in pixels.
    pub size: (usize, usize),
    /// Words with their times.
    pub words: Vec<SampleWord>,
    /// Phones with their times, silence included.
    pub phones: Vec<Phone>,
}

const TEXT: &str = "Hello and welcome. Our next meeting is on Tuesday, um, at nine in the morning. \
                    Please bring the blue report.";

/// What `flite -voice slt -psdur` prints for the text: phones and their ends.
#[rustfmt::skip]
const PHONES: [(&str, f64); 76] = [
    ("pau", 0.164), ("hh", 0.255), ("ax", 0.304), ("l", 0.412), ("ow", 0.584), ("ae", 0.646),
    ("n", 0.697), ("d", 0.724), ("w", 0.778), ("eh", 0.834), ("l", 0.915), ("k", 1.016),
    ("ax", 1.121), ("m", 1.267), ("pau", 1.395), ("aw", 1.495), ("er", 1.625), ("n", 1.707),
    ("eh", 1.815), ("k", 1.902), ("s", 1.968), ("t", 2.045), ("m", 2.115), ("iy", 2.239),
    ("t", 2.269), ("ih", 2.332), ("ng", 2.449), ("ih", 2.493), ("z", 2.572), ("aa", 2.653),
    ("n", 2.722), ("t", 2.854), ("uw", 2.951), ("z", 3.026), ("d", 3.081), ("iy", 3.292),
    ("pau", 3.493), ("ah", 3.656), ("m", 3.726), ("pau", 3.844), ("ae", 3.940), ("t", 3.991),
    ("n", 4.069), ("ay", 4.248), ("n", 4.304), ("ih", 4.374), ("n", 4.453), ("dh", 4.489),
    ("ax", 4.520), ("m", 4.599), ("ao", 4.699), ("r", 4.761), ("n", 4.836), ("ih", 4.973),
    ("ng", 5.066), ("pau", 5.170), ("p", 5.271), ("l", 5.311), ("iy", 5.437), ("z", 5.521),
    ("b", 5.589), ("r", 5.649), ("ih", 5.711), ("ng", 5.846), ("dh", 5.875), ("ax", 5.909),
    ("b", 5.996), ("l", 6.103), ("uw", 6.165), ("r", 6.294), ("iy", 6.341), ("p", 6.490),
    ("ao", 6.750), ("r", 6.898), ("t", 7.019), ("pau", 7.176),
];

/// The words of the text by the same phones.
const WORDS: [(&str, f64, f64); 20] = [
    ("Hello", 0.164, 0.584),
    ("and", 0.584, 0.724),
    ("welcome.", 0.724, 1.267),
    ("Our", 1.395, 1.625),
    ("next", 1.625, 2.045),
    ("meeting", 2.045, 2.449),
    ("is", 2.449, 2.572),
    ("on", 2.572, 2.722),
    ("Tuesday,", 2.722, 3.292),
    ("um,", 3.493, 3.726),
    ("at", 3.844, 3.991),
    ("nine", 3.991, 4.304),
    ("in", 4.304, 4.453),
    ("the", 4.453, 4.520),
    ("morning.", 4.520, 5.066),
    ("Please", 5.170, 5.521),
    ("bring", 5.521, 5.846),
    ("the", 5.846, 5.909),
    ("blue", 5.909, 6.165),
    ("report.", 6.165, 7.019),
];

/// The demo's clip.
pub fn sample() -> Sample {
    let mut start = Seconds::ZERO;
    let phones = PHONES
        .iter()
        .map(|&(label, end)| {
            let phone = Phone {
                label: label.into(),
                start,
                end: Seconds(end),
            };
            start = Seconds(end);
            phone
        })
        .collect();
    Sample {
        text: TEXT,
        voice: "slt",
        duration: start,
        person: person(),
        scene: scene(),
        size: (640, 640),
        words: WORDS
            .iter()
            .map(|&(text, start, end)| SampleWord {
                text,
                start: Seconds(start),
                end: Seconds(end),
            })
            .collect(),
        phones,
    }
}

/// A woman with chin-length brown hair.
fn person() -> HeadConfig {
    HeadConfig {
        skin_tone: 0.22,
        ruddy: 0.55,
        freckles: 0.25,
        age: 0.2,
        lip_colour: 0.62,
        hair: HairStyle::Bob,
        hair_colour: [0.105, 0.052, 0.026],
        eye_colour: [0.10, 0.16, 0.15],
        clothing: Clothing::Tee,
        cloth_colour: [0.05, 0.17, 0.20],
        ..HeadConfig::from_seed(6)
    }
}

/// A bright room, light from the upper left.
fn scene() -> Scene {
    Scene {
        lighting: Lighting::portrait(),
        background: Background::Room { seed: 6 },
        motion: MotionStyle::calm(6),
        field: 35.5,
        offset: [0.0, 0.06],
        occluder: Occluder::None,
        grain: 1.2,
        samples: 2,
    }
}

impl Sample {
    /// 25 pictures per second at the sample's size.
    ///
    /// # Errors
    /// Never for the values here; passed on from [`FrameRate::new`].
    pub fn format(&self) -> Result<ClipFormat, RateError> {
        Ok(ClipFormat {
            width: self.size.0,
            height: self.size.1,
            rate: FrameRate::new(25, 1)?,
            duration: self.duration,
        })
    }

    /// The clip, ready to be rendered.
    ///
    /// # Errors
    /// As [`Clip::new`].
    pub fn clip(&self) -> Result<Clip, SynthError> {
        Clip::new(&self.person, &self.scene, &self.phones, self.format()?)
    }
}
