//! Counterparts: the same frames with the lips of other moments, as X-Dub builds its context, here by cut and paste.
//!
//! The lent lips are chosen and laid over as the program does it (`methods::edit_yourself::choose`, `face::lips`), for a
//! mouth that is the true one with an error, or, now and then, are those of random moments. What a transformer with
//! `recorded_context` is trained on is to turn such a mouth into the true one: so it must take the lips from the sound,
//! and all else from the picture.

use std::ops::Range;

use face::crop::{CROP_SIZE, Placement};
use face::lips::{Ellipse, LipFit, LipPose, Piece};
use media::image::Rgb8;
use methods::edit_yourself::{MOUTH, Moment, Mouth, Wish, choose};
use units::FrameIndex;

use crate::random::Draw;

/// Share of counterparts whose lips fit; the others' are of random moments.
const FITTING: f64 = 0.75;
/// Errors of wanted mouths, in spreads of a mouth's numbers; the shape's are this much larger.
const ERRORS: [f32; 4] = [0.3, 0.6, 1.0, 1.5];
const SHAPE_ERROR: f32 = 1.2;
/// Frames over which an error moves.
const SMOOTH: [usize; 3] = [5, 9, 17];

/// Runs of random moments that are tried for each stretch, and their lengths in frames.
const TRIES: usize = 10;
const LENGTHS: Range<usize> = 10..35;
/// A run must be this far away in the mean, frames.
const AWAY: f64 = 6.0;

/// What the head shows in a frame, in shares of the crop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// Tip of the nose, its base, and its root between the eyes.
    pub nose: [[f32; 2]; 3],
}

impl Pose {
    /// In crop pixels, x and y by turns, as [`Moment::pose`].
    fn pixels(&self) -> [f32; 6] {
        let mut pixels = [0.0; 6];
        for (value, share) in pixels.iter_mut().zip(self.nose.as_flattened()) {
            *value = share * CROP_SIZE as f32;
        }
        pixels
    }

    fn distance(&self, other: &Self) -> f64 {
        let square: f32 = self
            .nose
            .iter()
            .zip(&other.nose)
            .map(|(a, b)| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2))
            .sum();
        f64::from(square).sqrt()
    }
}

/// For every frame the one whose lips it gets; `mouths` are those that the frames show, where they can be told.
pub fn other_moments(poses: &[Pose], mouths: Option<&[Mouth]>, draw: &mut Draw) -> Vec<usize> {
    match mouths {
        Some(mouths) if draw.chance(FITTING) => fitting_moments(poses, mouths, draw),
        _ => random_moments(poses, draw),
    }
}

/// The moments that the program would lend to frames of which it hears the mouth with an error.
fn fitting_moments(poses: &[Pose], mouths: &[Mouth], draw: &mut Draw) -> Vec<usize> {
    let place = |(frame, (pose, mouth)): (u64, (&Pose, &Mouth))| Moment {
        frame: FrameIndex(frame),
        scene: 0,
        mouth: *mouth,
        pose: pose.pixels(),
    };
    let moments: Vec<Moment> = (0..).zip(poses.iter().zip(mouths)).map(place).collect();
    let strength = ERRORS.get(draw.below(ERRORS.len())).copied().unwrap_or(1.0);
    let errors = smooth_noise(moments.len(), draw);
    let wishes: Vec<Wish> = moments
        .iter()
        .zip(errors)
        .map(|(moment, error)| {
            let scale = |k| strength * if k == 0 { 1.0 } else { SHAPE_ERROR };
            Wish {
                shown: moment.frame,
                scene: moment.scene,
                mouth: std::array::from_fn(|k| moment.mouth[k] + scale(k) * error[k]),
                pose: moment.pose,
            }
        })
        .collect();
    let chosen = choose(&wishes, &moments, None, None);
    chosen.into_iter().map(FrameIndex::as_usize).collect()
}

/// Noise of standard deviation 1 that moves over some frames (a Hann window of unit energy).
fn smooth_noise(count: usize, draw: &mut Draw) -> Vec<Mouth> {
    let width = SMOOTH.get(draw.below(SMOOTH.len())).copied().unwrap_or(9);
    let step = std::f32::consts::TAU / (width + 1) as f32;
    let mut window: Vec<f32> = (1..=width).map(|n| 1.0 - (step * n as f32).cos()).collect();
    let energy = window.iter().map(|w| w * w).sum::<f32>().sqrt();
    for weight in &mut window {
        *weight /= energy;
    }
    let white: Vec<Mouth> = (0..count + width)
        .map(|_| std::array::from_fn(|_| draw.normal() as f32))
        .collect();
    white
        .windows(width)
        .take(count)
        .map(|part| {
            let mut sum = [0.0; MOUTH];
            for (weight, values) in window.iter().zip(part) {
                for (sum, value) in sum.iter_mut().zip(values) {
                    *sum += weight * value;
                }
            }
            sum
        })
        .collect()
}

/// Runs of other moments, forwards or backwards, whose head is held most alike.
fn random_moments(poses: &[Pose], draw: &mut Draw) -> Vec<usize> {
    let total = poses.len();
    let mut moments = Vec::with_capacity(total);
    while moments.len() < total {
        let at = moments.len();
        let length = LENGTHS.start + draw.below(LENGTHS.len());
        let length = length.min(total - at);
        let mut best: Option<(f64, Vec<usize>)> = None;
        for _ in 0..TRIES {
            let start = draw.below(total - length + 1);
            let mut run: Vec<usize> = (start..start + length).collect();
            if draw.chance(1.0 / 3.0) {
                run.reverse();
            }
            let pairs = || run.iter().zip(at..);
            let away: f64 = pairs().map(|(a, b)| a.abs_diff(b) as f64).sum();
            if away < AWAY * length as f64 {
                continue;
            }
            let apart: f64 = pairs()
                .filter_map(|(a, b)| Some(poses.get(*a)?.distance(poses.get(b)?)))
                .sum();
            if best.as_ref().is_none_or(|(least, _)| apart < *least) {
                best = Some((apart, run));
            }
        }
        match best {
            Some((_, run)) => moments.extend(run),
            // A short clip: half of it further on.
            None => moments.extend((at..at + length).map(|n| (n + total / 2) % total)),
        }
    }
    moments
}

/// An ellipse of random size, about as large as the program's.
pub fn ellipse(draw: &mut Draw) -> Ellipse {
    let mut share = |low: f64, high: f64| draw.between(low, high) as f32;
    Ellipse {
        radii: [share(42.0, 52.0), share(38.0, 48.0)],
        soft: share(10.0, 18.0),
    }
}

/// A crop as a frame of its own: where its head crop lies.
pub fn own_place(side: usize) -> Placement {
    Placement {
        a: side as f64,
        b: 0.0,
        x: 0.0,
        y: 0.0,
    }
}

/// The part of a crop from which mouths are taken: the masked box and an eighth of the crop around it.
pub fn piece(crop: &Rgb8, (rows, columns): (&Range<usize>, &Range<usize>)) -> Piece {
    let margin = crop.width / 8;
    let grown = |range: &Range<usize>, most: usize| {
        range.start.saturating_sub(margin)..(range.end + margin).min(most)
    };
    let (rows, columns) = (grown(rows, crop.height), grown(columns, crop.width));
    let (x, y) = (columns.start as i64, rows.start as i64);
    Piece {
        x,
        y,
        image: crop.crop(x, y, columns.len(), rows.len()),
    }
}

/// `crop` with the mouth of another moment, within the masked box only.
pub fn pasted(
    crop: &Rgb8,
    pose: &LipPose,
    (other, other_pose): (&Piece, &LipPose),
    (rows, columns): (&Range<usize>, &Range<usize>),
    ellipse: Ellipse,
) -> Rgb8 {
    let mut made = crop.clone();
    let place = own_place(crop.width);
    let Some(fit) = LipFit::of_poses((&place, &place), (pose, other_pose), ellipse) else {
        return made;
    };
    let (left, top, width, height) = fit.area();
    let recorded = crop.crop(left, top, width, height).to_f32();
    let (lips, alpha) = fit.draw(&recorded, (left, top), other);
    for (index, alpha) in alpha.into_iter().enumerate() {
        let (column, row) = (index % width, index / width);
        let place = (left + column as i64, top + row as i64);
        let (Ok(x), Ok(y)) = (usize::try_from(place.0), usize::try_from(place.1)) else {
            continue;
        };
        if alpha <= 0.0 || !rows.contains(&y) || !columns.contains(&x) {
            continue;
        }
        let (own, lips) = (recorded.pixel(column, row), lips.pixel(column, row));
        let mix = |k: usize| own[k] + (lips[k] - own[k]) * alpha;
        made.set_pixel(x, y, [0, 1, 2].map(|k| (mix(k) * 255.0).round() as u8));
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn pose(x: f32) -> Pose {
        Pose {
            nose: [[x, 0.5], [x, 0.55], [0.5, 0.36]],
        }
    }

    #[test]
    fn lips_come_from_elsewhere_where_the_head_is_held_alike() {
        // The head is held left in even stretches of 40 frames, right in odd ones.
        let poses: Vec<Pose> = (0..160)
            .map(|n| pose(if n / 40 % 2 == 0 { 0.45 } else { 0.55 }))
            .collect();
        let moments = random_moments(&poses, &mut Draw::new(1, Purpose::Augment, 0, 0));
        assert_eq!(moments.len(), poses.len());
        let away = moments
            .iter()
            .enumerate()
            .map(|(n, m)| n.abs_diff(*m))
            .sum::<usize>();
        assert!(away > 6 * 160, "{away}");
        let alike = moments
            .iter()
            .enumerate()
            .filter(|(n, m)| n / 40 % 2 == *m / 40 % 2)
            .count();
        assert!(alike > 120, "{alike} of 160");
        let again = random_moments(&poses, &mut Draw::new(1, Purpose::Augment, 0, 0));
        assert_eq!(moments, again);
    }

    #[test]
    fn fitting_moments_show_nearly_the_mouth_and_not_the_frames_own() {
        let poses = vec![pose(0.5); 120];
        let mouths: Vec<Mouth> = (0..120)
            .map(|n| std::array::from_fn(|k| ((n * (k + 2)) as f32 * 0.37).sin()))
            .collect();
        let mut apart = [0.0_f32; 2];
        for seed in 0..8 {
            let mut draw = Draw::new(seed, Purpose::Augment, 0, 0);
            let moments = fitting_moments(&poses, &mouths, &mut draw);
            assert_eq!(moments.len(), 120);
            for (frame, moment) in moments.into_iter().enumerate() {
                assert!(frame.abs_diff(moment) > 8);
                apart[0] += (mouths[frame][0] - mouths[moment][0]).powi(2);
                apart[1] += (mouths[frame][0] - mouths[(frame + 40) % 120][0]).powi(2);
            }
        }
        assert!(apart[0] < 0.7 * apart[1], "{apart:?}");
    }

    #[test]
    fn noise_has_unit_strength_and_moves_slowly() {
        let mut draw = Draw::new(3, Purpose::Augment, 0, 0);
        let noise = smooth_noise(4000, &mut draw);
        let square = noise.as_flattened().iter().map(|v| v * v).sum::<f32>() / (4000.0 * 7.0);
        assert!((square - 1.0).abs() < 0.1, "{square}");
        let steps = noise.windows(2).map(|w| (w[1][0] - w[0][0]).powi(2));
        assert!(steps.sum::<f32>() / 4000.0 < 0.8);
    }

    /// Points of a face in crop pixels, all moved by `x`.
    fn face(x: f32) -> LipPose {
        let lips = face::mesh::LIPS_OUTER.iter().chain(&face::mesh::LIPS_INNER);
        let lips: Vec<usize> = lips.copied().collect();
        let points: Vec<[f32; 2]> = (0..468)
            .map(|n| match n {
                n if lips.contains(&n) => [122.0 + (n % 13) as f32 + x, 175.0],
                n => [90.0 + (n * 37 % 75) as f32 + x, 80.0 + (n * 53 % 80) as f32],
            })
            .collect();
        let head = face::lips::Head {
            placement: &own_place(256),
            landmarks: &points,
        };
        head.pose().unwrap()
    }

    #[test]
    fn only_the_mouth_changes_and_its_colours_join() {
        let side = 256;
        let box_of = (&(128..256), &(64..192));
        // A plain face, and the same a little darker with a dark mouth 6 pixels further left.
        let mut crop = Rgb8::new(side, side);
        crop.data.fill(150);
        let mut other = Rgb8::new(side, side);
        other.data.fill(130);
        for y in 168..182 {
            for x in 106..138 {
                for c in 0..3 {
                    other.data[(y * side + x) * 3 + c] = 20;
                }
            }
        }
        let (here, there) = (face(0.0), face(-6.0));
        let ellipse = ellipse(&mut Draw::new(1, Purpose::Augment, 0, 1));
        let piece = piece(&other, box_of);
        let made = pasted(&crop, &here, (&piece, &there), box_of, ellipse);
        let at = |x: usize, y: usize| made.data[(y * side + x) * 3];
        // The mouth moved with the nose.
        assert!(at(128, 175) < 60, "{}", at(128, 175));
        assert!(at(114, 175) < 60 && at(110, 160) > 140);
        // Outside of the box nothing changed, and the skin has the frame's own colour.
        for y in 0..side {
            for x in 0..side {
                if !(128..256).contains(&y) || !(64..192).contains(&x) {
                    assert_eq!(at(x, y), 150);
                }
            }
        }
        assert!(at(128, 160).abs_diff(150) <= 2, "{}", at(128, 160));
    }
}
