//! Counterparts: the same frames with the lips of other moments, as X-Dub builds its context, here by cut and paste.
//!
//! For runs of frames another run of the same clip is sought whose head is held alike; its mouth is moved on the base of
//! the nose and laid over with a soft ellipse. What a transformer with `recorded_context` is trained on is to turn such a
//! mouth into the true one: so it must take the lips from the sound, and all else from the picture.

use std::ops::Range;

use media::image::Rgb8;

use crate::random::Draw;

/// Runs that are tried for each stretch, and their lengths in frames.
const TRIES: usize = 10;
const LENGTHS: Range<usize> = 10..35;
/// A run must be this far away in the mean, frames.
const AWAY: f64 = 6.0;
/// The chin's share: the ellipse's centre lies this far below the lips', in crops.
const BELOW: f32 = 8.0 / 256.0;

/// What the head shows in a frame, in shares of the crop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// Tip of the nose, its base, and its root between the eyes.
    pub nose: [[f32; 2]; 3],
    /// Centre of the lips.
    pub lips: [f32; 2],
}

impl Pose {
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

/// For every frame the one whose lips it gets.
pub fn other_moments(poses: &[Pose], draw: &mut Draw) -> Vec<usize> {
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

/// How mouths of one counterpart are cut out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// Half axes of the ellipse and width of its soft border, in shares of the crop.
    radii: [f32; 2],
    soft: f32,
}

impl Cut {
    /// An ellipse of random size.
    pub fn draw(draw: &mut Draw) -> Self {
        let mut share = |low: f64, high: f64| (draw.between(low, high) / 256.0) as f32;
        Self {
            radii: [share(34.0, 50.0), share(30.0, 46.0)],
            soft: share(8.0, 18.0),
        }
    }
}

/// The part of a crop from which mouths are taken.
#[derive(Debug, Clone)]
pub struct Patch {
    columns: Range<usize>,
    rows: Range<usize>,
    data: Vec<u8>,
}

impl Patch {
    /// The masked box of a crop and an eighth of the crop around it.
    pub fn of(crop: &Rgb8, (rows, columns): (&Range<usize>, &Range<usize>)) -> Self {
        let margin = crop.width / 8;
        let grown = |range: &Range<usize>, most: usize| {
            range.start.saturating_sub(margin)..(range.end + margin).min(most)
        };
        let (rows, columns) = (grown(rows, crop.height), grown(columns, crop.width));
        let data = crop
            .data
            .chunks_exact((crop.width * 3).max(1))
            .take(rows.end)
            .skip(rows.start)
            .flat_map(|row| row.get(columns.start * 3..columns.end * 3).unwrap_or(&[]))
            .copied()
            .collect();
        Self {
            columns,
            rows,
            data,
        }
    }

    /// Colour at a place of the crop, bilinear, the patch's border repeated.
    fn at(&self, x: f32, y: f32) -> [f32; 3] {
        let (width, height) = (self.columns.len(), self.rows.len());
        let inside = |v: f32, start: usize, size: usize| {
            (v - start as f32).clamp(0.0, size.saturating_sub(1) as f32)
        };
        let (x, y) = (
            inside(x, self.columns.start, width),
            inside(y, self.rows.start, height),
        );
        let (left, top) = (x as usize, y as usize);
        let (right, bottom) = ((left + 1).min(width - 1), (top + 1).min(height - 1));
        let (fx, fy) = (x - left as f32, y - top as f32);
        let value = |row: usize, column: usize, channel: usize| {
            let place = (row * width + column) * 3 + channel;
            f32::from(self.data.get(place).copied().unwrap_or(0))
        };
        [0, 1, 2].map(|c| {
            let upper = value(top, left, c) * (1.0 - fx) + value(top, right, c) * fx;
            let lower = value(bottom, left, c) * (1.0 - fx) + value(bottom, right, c) * fx;
            upper * (1.0 - fy) + lower * fy
        })
    }
}

/// `crop` with the mouth of another moment, within the masked box only.
pub fn pasted(
    crop: &Rgb8,
    pose: &Pose,
    (other, other_pose): (&Patch, &Pose),
    (rows, columns): (&Range<usize>, &Range<usize>),
    cut: &Cut,
) -> Rgb8 {
    let side = crop.width as f32;
    // The base of the nose is what the upper lip hangs on.
    let [_, base, _] = pose.nose;
    let [_, other_base, _] = other_pose.nose;
    let shift = [
        (base[0] - other_base[0]) * side,
        (base[1] - other_base[1]) * side,
    ];
    let centre = [
        f32::midpoint(pose.lips[0], other_pose.lips[0]) * side + shift[0] / 2.0,
        (f32::midpoint(pose.lips[1], other_pose.lips[1]) + BELOW) * side + shift[1] / 2.0,
    ];
    let radii = cut.radii.map(|r| r * side);
    let alpha = |x: usize, y: usize| {
        let far = ((x as f32 - centre[0]) / radii[0]).hypot((y as f32 - centre[1]) / radii[1]);
        ((1.0 - far) * radii[0] / (cut.soft * side) + 0.5).clamp(0.0, 1.0)
    };
    let place = |x: usize, y: usize| (y * crop.width + x) * 3;
    let own = |x: usize, y: usize, c: usize| {
        f32::from(crop.data.get(place(x, y) + c).copied().unwrap_or(0))
    };
    // In the soft border the colours are to agree.
    let (mut difference, mut count) = ([0.0_f64; 3], 0.0_f64);
    let mut drawn = Vec::new();
    for y in rows.clone() {
        for x in columns.clone() {
            let alpha = alpha(x, y);
            if alpha <= 0.0 {
                continue;
            }
            let colour = other.at(x as f32 - shift[0], y as f32 - shift[1]);
            if alpha > 0.05 && alpha < 0.6 {
                for (c, (sum, value)) in difference.iter_mut().zip(colour).enumerate() {
                    *sum += f64::from(own(x, y, c) - value);
                }
                count += 1.0;
            }
            drawn.push((x, y, alpha, colour));
        }
    }
    let mut made = crop.clone();
    for (x, y, alpha, colour) in drawn {
        let start = place(x, y);
        let Some(pixel) = made.data.get_mut(start..start + 3) else {
            continue;
        };
        for ((slot, value), sum) in pixel.iter_mut().zip(colour).zip(difference) {
            let matched = value + (sum / count.max(1.0)) as f32;
            let mixed = f32::from(*slot) * (1.0 - alpha) + matched * alpha;
            *slot = (mixed + 0.5).clamp(0.0, 255.0) as u8;
        }
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
            lips: [x, 0.68],
        }
    }

    #[test]
    fn lips_come_from_elsewhere_where_the_head_is_held_alike() {
        // The head is held left in even stretches of 40 frames, right in odd ones.
        let poses: Vec<Pose> = (0..160)
            .map(|n| pose(if n / 40 % 2 == 0 { 0.45 } else { 0.55 }))
            .collect();
        let moments = other_moments(&poses, &mut Draw::new(1, Purpose::Augment, 0, 0));
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
        let again = other_moments(&poses, &mut Draw::new(1, Purpose::Augment, 0, 0));
        assert_eq!(moments, again);
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
        let (here, there) = (pose(0.5), pose(0.5 - 6.0 / 256.0));
        let cut = Cut::draw(&mut Draw::new(1, Purpose::Augment, 0, 1));
        let patch = Patch::of(&other, box_of);
        let made = pasted(&crop, &here, (&patch, &there), box_of, &cut);
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
