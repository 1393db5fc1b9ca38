//! What a head looks like, coarsely: enough to tell people of one clip apart.

use crate::geometry::Square;
use crate::sample;
use media::image::Rgb8;

/// Levels a colour channel.
const LEVELS: usize = 6;
/// Side of the picture that is looked at.
const SIDE: usize = 32;

/// Shares of coarse colours in the upper and the lower half of a head, each half summing to 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Appearance {
    shares: Vec<f32>,
}

impl Appearance {
    /// Of the head in `place` (the square that the landmark network looks at).
    pub(super) fn of(frame: &Rgb8, place: &Square) -> Self {
        let ratio = place.side / SIDE as f32;
        let picture = sample::shrunk(frame, &place.unit_to_frame(), SIDE, ratio);
        let mut shares = vec![0.0; 2 * LEVELS.pow(3)];
        let weight = 2.0 / (SIDE * SIDE) as f32;
        for (i, pixel) in picture.as_chunks::<3>().0.iter().enumerate() {
            let level = |value: f32| ((value * LEVELS as f32 / 256.0) as usize).min(LEVELS - 1);
            let [r, g, b] = pixel.map(level);
            let half = usize::from(i >= SIDE * SIDE / 2);
            if let Some(share) = shares.get_mut(((half * LEVELS + r) * LEVELS + g) * LEVELS + b) {
                *share += weight;
            }
        }
        Self { shares }
    }

    /// How alike two heads are, 0..1: what their histograms share.
    pub(super) fn likeness(&self, other: &Self) -> f32 {
        let shared = self.shares.iter().zip(&other.shares);
        shared.map(|(a, b)| a.min(*b)).sum::<f32>() / 2.0
    }

    /// Moves towards a newer look.
    pub(super) fn follow(&mut self, newer: &Self) {
        for (old, new) in self.shares.iter_mut().zip(&newer.shares) {
            *old += 0.2 * (new - *old);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_like_themselves_and_unlike_others() {
        let mut frame = Rgb8::filled(400, 200, [60, 60, 60]);
        for y in 50..150 {
            for x in 50..150 {
                frame.set_pixel(x, y, [220, 180, 150]);
                frame.set_pixel(x + 200, y, [90, 60, 40]);
            }
        }
        let place = |x: f32| Square {
            centre: [x, 100.0],
            side: 90.0,
            angle: 0.0,
        };
        let one = Appearance::of(&frame, &place(100.0));
        let same = Appearance::of(&frame, &place(103.0));
        let other = Appearance::of(&frame, &place(300.0));
        assert!((one.likeness(&one) - 1.0).abs() < 1e-3);
        assert!(one.likeness(&same) > 0.9);
        assert!(one.likeness(&other) < 0.1);
        let mut moved = one.clone();
        moved.follow(&other);
        assert!(moved.likeness(&other) > 0.15 && moved.likeness(&one) > 0.7);
    }
}
