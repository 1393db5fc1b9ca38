//! Things in front of the face.

use units::Seconds;

use crate::vec::Vec3;

/// Something between the camera and the face.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Occluder {
    /// Nothing.
    #[default]
    None,
    /// A microphone on a stand.
    Microphone {
        /// Height of its top against the chin in centimetres: 0 hides a little of the
        /// chin, 5 the mouth.
        height: f32,
        /// Shift to the head's left in centimetres.
        side: f32,
    },
    /// A card that is moved across the face and back.
    Card {
        /// Time of one way and back.
        period: Seconds,
    },
}

impl Occluder {
    /// Where the middle of the thing is at a time, in the world.
    pub(crate) fn place(&self, time: Seconds) -> Vec3 {
        match *self {
            Self::None => Vec3::ZERO,
            Self::Microphone { height, side } => Vec3::new(side, height - 11.5, 13.0),
            Self::Card { period } => {
                let phase = (time.0 / period.0.max(0.1) * std::f64::consts::TAU).sin();
                Vec3::new(24.0 * phase as f32, -5.5 + 1.5 * phase as f32, 14.0)
            }
        }
    }
}
