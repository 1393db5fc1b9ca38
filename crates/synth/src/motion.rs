//! Movement that does not come from speech: the head, the eyes and the brows. It
//! depends on the seed and the time alone, so that two clips of one seed with
//! different words differ in the mouth only.

use units::Seconds;

use crate::noise::{cell, mix, over_time};
use crate::vec::smoothstep;

/// Where the head is and what the eyes and brows do at one time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct HeadPose {
    /// Turn to the head's left, radians.
    pub yaw: f32,
    /// Nod downwards, radians.
    pub pitch: f32,
    /// Lean to the head's right shoulder, radians.
    pub roll: f32,
    /// Shift in centimetres: to the head's left, up, towards the camera.
    pub shift: [f32; 3],
    /// Eyelids: 0 open, 1 closed.
    pub blink: f32,
    /// Direction of the gaze relative to the head in radians: to the left, up.
    pub gaze: [f32; 2],
    /// Brows raised, about -0.3..1.
    pub brows: f32,
    /// Corners of the mouth raised, 0..1.
    pub smile: f32,
}

/// How lively the head is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MotionStyle {
    /// Seed of the movement.
    pub seed: u64,
    /// Strength of turning, nodding and leaning; 1 is a calm speaker, 0 a still head.
    pub amount: f32,
    /// Pose that the head moves around: yaw, pitch, roll in radians.
    pub centre: [f32; 3],
}

impl MotionStyle {
    /// A calm speaker who faces the camera.
    pub fn calm(seed: u64) -> Self {
        Self {
            seed,
            amount: 1.0,
            centre: [0.0; 3],
        }
    }

    fn salt(&self, channel: u32) -> u32 {
        mix((self.seed as u32) ^ ((self.seed >> 32) as u32).rotate_left(13))
            .wrapping_add(channel.wrapping_mul(0x9e37_79b9))
    }

    /// The pose at `time`.
    pub fn at(&self, time: Seconds) -> HeadPose {
        let t = time.0;
        let n = |rate: f64, channel: u32| over_time(t, rate, self.salt(channel));
        let a = self.amount;
        let slow_and_quick = |channel: u32| 0.72 * n(0.33, channel) + 0.28 * n(1.1, channel + 50);
        let yaw = self.centre[0] + a * 0.13 * slow_and_quick(1);
        let pitch = self.centre[1] + a * (0.06 * slow_and_quick(2) + self.nod(t));
        let roll = self.centre[2] + a * 0.05 * slow_and_quick(3);
        let (gaze_x, gaze_y) = self.gaze(t);
        HeadPose {
            yaw,
            pitch,
            roll,
            shift: [
                a * 0.7 * n(0.27, 4),
                a * 0.35 * n(0.31, 5),
                a * 0.8 * n(0.23, 6),
            ],
            blink: self.blink(t),
            // Eyes keep to the camera while the head turns.
            gaze: [gaze_x - 0.85 * yaw, gaze_y + 0.85 * pitch],
            brows: (0.15 + 0.45 * n(0.45, 7) + 0.3 * n(1.3, 8)).clamp(-0.25, 0.9),
            smile: (0.36 + 0.25 * n(0.21, 9)).clamp(0.0, 0.65),
        }
    }

    /// Small downward nods, one in most stretches of 1.7 s.
    fn nod(&self, t: f64) -> f32 {
        let stretch = 1.7;
        let index = (t / stretch).floor();
        let salt = self.salt(20);
        let draw = |k: i32| cell(index.rem_euclid(1e9) as i32, k, 0, salt);
        let phase = (t / stretch - index) as f32;
        let at = 0.3 + 0.4 * draw(1);
        let d = (phase - at) / 0.16;
        draw(0) * 0.055 * (-d * d).exp()
    }

    /// Blinks of 0.2 s every 2 to 5 s.
    fn blink(&self, t: f64) -> f32 {
        let stretch = 3.1;
        let index = (t / stretch).floor();
        let salt = self.salt(21);
        let at = index * stretch
            + stretch * f64::from(0.12 + 0.7 * cell(index.rem_euclid(1e9) as i32, 0, 0, salt));
        let d = (t - at) as f32;
        // Lids fall twice as fast as they rise.
        if d < 0.0 {
            smoothstep(-0.085, -0.01, d)
        } else {
            smoothstep(0.17, 0.03, d)
        }
    }

    /// Steady looks with quick small jumps between them.
    fn gaze(&self, t: f64) -> (f32, f32) {
        let stretch = 0.9;
        let index = (t / stretch).floor();
        let salt = self.salt(22);
        let look = |i: f64| {
            let i = i.rem_euclid(1e9) as i32;
            (
                0.07 * (cell(i, 0, 1, salt) - 0.5),
                0.045 * (cell(i, 0, 2, salt) - 0.5),
            )
        };
        let (from, to) = (look(index - 1.0), look(index));
        let k = smoothstep(0.0, 0.05, (t / stretch - index) as f32);
        (from.0 + (to.0 - from.0) * k, from.1 + (to.1 - from.1) * k)
    }
}
