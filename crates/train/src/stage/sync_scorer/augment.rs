//! What makes few people many: other faces, cameras, voices and rooms, by arithmetic.

use super::{BANDS, SILENCE, SyncClip};
use crate::data::{JAW, LIPS};
use crate::random::Draw;
use crate::recipe::SyncObjective;

/// Points on the right of the face with those opposite; all others lie on its middle line.
const OPPOSITE: [(usize, usize); 22] = [
    (61, 291),
    (146, 375),
    (91, 321),
    (181, 405),
    (84, 314),
    (409, 185),
    (270, 40),
    (269, 39),
    (267, 37),
    (78, 308),
    (95, 324),
    (88, 318),
    (178, 402),
    (87, 317),
    (415, 191),
    (310, 80),
    (311, 81),
    (312, 82),
    (148, 377),
    (176, 400),
    (150, 379),
    (136, 365),
];

/// Frames over which a drift of the whole face is smoothed.
const DRIFT: usize = 25;

/// Frames over which the courses of a turning head are smoothed, one of these a window.
const TURNS: [usize; 3] = [9, 15, 25];

/// For each of lips and jaw the place of the point opposite.
fn mirror() -> Vec<usize> {
    let all: Vec<usize> = LIPS.iter().chain(&JAW).copied().collect();
    all.iter()
        .enumerate()
        .map(|(place, point)| {
            let other = OPPOSITE.iter().find_map(|(a, b)| match point {
                p if p == a => Some(b),
                p if p == b => Some(a),
                _ => None,
            });
            let found = other.and_then(|other| all.iter().position(|p| p == other));
            found.unwrap_or(place)
        })
        .collect()
}

/// A random course of `frames` numbers, each the mean of `over` normal ones in a row.
fn walk(frames: usize, over: usize, draw: &mut Draw) -> Vec<f64> {
    let steps: Vec<f64> = (0..frames + over - 1).map(|_| draw.normal()).collect();
    steps
        .windows(over)
        .map(|part| part.iter().sum::<f64>() / over as f64)
        .collect()
}

/// What a head that turns does to the outline, frame by frame, as far as two dimensions tell: width, height and slant
/// change, and the whole moves.
fn turning(frames: usize, most: f64, draw: &mut Draw) -> Vec<[f32; 6]> {
    const SHARE: f64 = 0.05;
    const MOVE: f64 = 0.25;
    let over = TURNS.get(draw.below(TURNS.len())).copied().unwrap_or(1);
    let size = most * draw.uniform() * (over as f64).sqrt();
    let mut courses = [(); 6].map(|()| walk(frames, over, draw).into_iter());
    let factors = [SHARE, SHARE, MOVE, SHARE, SHARE, MOVE];
    (0..frames)
        .map(|_| {
            let mut frame = [0.0; 6];
            for ((slot, course), factor) in frame.iter_mut().zip(&mut courses).zip(factors) {
                *slot = (course.next().unwrap_or(0.0) * size * factor) as f32;
            }
            frame
        })
        .collect()
}

/// Lips and jaw of frames, flat: mirrored, turned, of another size and width, drifting, turning, noisy.
pub(super) fn points(points: &mut [f32], options: &SyncObjective, draw: &mut Draw) {
    let each = LIPS.len() + JAW.len();
    let mirrored = draw.chance(options.mirror);
    let turn = (0.08 * draw.normal()) as f32;
    let size = draw.between(0.75, 1.3) as f32;
    let wide = draw.between(0.85, 1.15) as f32;
    let noise = [0.0, 0.02, 0.05].get(draw.below(3)).copied().unwrap_or(0.0);
    let drift = 0.25 * 2.0 * draw.uniform();
    let frames = points.len() / (2 * each).max(1);
    let drifts = [(); 2].map(|()| walk(frames, DRIFT, draw));
    let turns = if options.turning > 0.0 {
        turning(frames, options.turning, draw)
    } else {
        vec![[0.0; 6]; frames]
    };
    let count = (points.len() / 2).max(1) as f64;
    let centre = points.as_chunks::<2>().0.iter().fold([0.0; 2], |sum, p| {
        [
            sum[0] + f64::from(p[0]) / count,
            sum[1] + f64::from(p[1]) / count,
        ]
    });
    let opposite = mirror();
    let (sin, cos) = turn.sin_cos();
    let [across, down] = drifts;
    let walks = across.into_iter().zip(down).zip(turns);
    for (frame, ((walk_x, walk_y), turning)) in points.chunks_exact_mut(2 * each).zip(walks) {
        let old: Vec<[f32; 2]> = frame.as_chunks::<2>().0.to_vec();
        let [wider, slant, right, taller, lean, lower] = turning;
        for (n, slot) in frame.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            let from = if mirrored {
                opposite.get(n).copied().unwrap_or(n)
            } else {
                n
            };
            let [x, y] = old.get(from).copied().unwrap_or_default();
            let (x, y) = (x - centre[0] as f32, y - centre[1] as f32);
            let x = if mirrored { -x } else { x };
            let (x, y) = (
                size * (x * cos * wide - y * sin),
                size * (x * sin + y * cos),
            );
            let mut jitter = || (noise * draw.normal()) as f32;
            *slot = [
                x * (1.0 + wider) + y * slant + right + (drift * walk_x) as f32 + jitter(),
                y * (1.0 + taller) + x * lean + lower + (drift * walk_y) as f32 + jitter(),
            ];
        }
    }
}

/// Mel frames, flat: another throat, microphone, room; somebody else beside; missing bands.
pub(super) fn sound(
    mel: &mut [f32],
    other: Option<&SyncClip>,
    options: &SyncObjective,
    draw: &mut Draw,
) {
    let factor = draw.between(0.86, 1.16);
    if draw.chance(options.throat) {
        for frame in mel.chunks_exact_mut(BANDS) {
            let old = frame.to_vec();
            for (band, slot) in frame.iter_mut().enumerate() {
                let at = (band as f64 * factor).min((BANDS - 1) as f64);
                let (low, share) = (at as usize, (at - at.floor()) as f32);
                let value = |n: usize| old.get(n.min(BANDS - 1)).copied().unwrap_or(SILENCE);
                *slot = value(low) * (1.0 - share) + value(low + 1) * share;
            }
        }
    }
    let (level, tilt, ripple) = (
        0.12 * draw.normal(),
        0.1 * draw.normal(),
        0.06 * draw.normal(),
    );
    let (waves, phase) = (draw.between(1.0, 4.0), 6.0 * draw.uniform());
    if draw.chance(options.room) {
        for frame in mel.chunks_exact_mut(BANDS) {
            for (band, value) in frame.iter_mut().enumerate() {
                let along = band as f64 / (BANDS - 1) as f64;
                let wave = (std::f64::consts::PI * waves * along + phase).cos();
                *value += (level + tilt * (2.0 * along - 1.0) + ripple * wave) as f32;
            }
        }
    }
    let floor = draw.between(-0.5, 0.45);
    if draw.chance(options.floor) {
        for value in mel.iter_mut() {
            *value = value.max((floor + 0.06 * draw.normal()) as f32);
        }
    }
    let quieter = draw.between(0.25, 0.6) as f32;
    let from = draw.uniform();
    if draw.chance(options.others_voice)
        && let Some(other) = other
    {
        let room = (other.mel.len() / BANDS).saturating_sub(mel.len() / BANDS);
        let start = (from * room as f64) as usize * BANDS;
        let added = other.mel.get(start..).unwrap_or(&[]);
        for (value, added) in mel.iter_mut().zip(added) {
            // Mel values are (log10 of the power + 4) / 4: powers add.
            let power = 10_f32.powf(4.0 * *value) + 10_f32.powf(4.0 * (added - quieter));
            *value = power.log10() / 4.0;
        }
    }
    for _ in 0..2 {
        let (first, count) = (draw.below(66), 4 + draw.below(12));
        if draw.chance(options.bands) {
            let mean = mel.iter().sum::<f32>() / mel.len().max(1) as f32;
            for frame in mel.chunks_exact_mut(BANDS) {
                for value in frame.iter_mut().skip(first).take(count) {
                    *value = mean;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    #[test]
    fn mirroring_twice_changes_nothing_and_keeps_the_middle() {
        let places = mirror();
        for (n, other) in places.iter().enumerate() {
            assert_eq!(places[*other], n);
        }
        let all: Vec<usize> = LIPS.iter().chain(&JAW).copied().collect();
        let middle: Vec<usize> = (0..all.len())
            .filter(|n| places[*n] == *n)
            .map(|n| all[n])
            .collect();
        assert_eq!(middle, [17, 0, 14, 13, 152]);
    }

    #[test]
    fn a_turning_head_moves_the_outline_as_a_whole() {
        let options = SyncObjective {
            turning: 1.0,
            ..SyncObjective::default()
        };
        let still: Vec<f32> = (0..20)
            .flat_map(|_| (0..98).map(|n| (n as f32 * 0.7).sin()))
            .collect();
        let changed = |turning: f64, index: u64| {
            let options = SyncObjective {
                turning,
                ..options.clone()
            };
            let mut points = still.clone();
            super::points(
                &mut points,
                &options,
                &mut Draw::new(3, Purpose::Augment, 0, index),
            );
            points
        };
        assert_eq!(changed(1.0, 4), changed(1.0, 4));
        let moved = |turning: f64| -> f64 {
            let all = (0..60).map(|index| {
                let points = changed(turning, index);
                f64::from((points[0] - points[98 * 19]).abs())
            });
            all.sum::<f64>() / 60.0
        };
        assert!(
            moved(1.0) > 1.5 * moved(0.0),
            "{} {}",
            moved(1.0),
            moved(0.0)
        );
    }

    #[test]
    fn changes_repeat_and_can_be_left_out() {
        let options = SyncObjective::default();
        let run = |options: &SyncObjective, index: u64| {
            let mut draw = Draw::new(1, Purpose::Augment, 0, index);
            let mut mel: Vec<f32> = (0..40 * BANDS).map(|n| (n as f32 * 0.01).sin()).collect();
            sound(&mut mel, None, options, &mut draw);
            mel
        };
        assert_eq!(run(&options, 1), run(&options, 1));
        assert_ne!(run(&options, 1), run(&options, 2));
        let none = SyncObjective {
            throat: 0.0,
            room: 0.0,
            floor: 0.0,
            others_voice: 0.0,
            bands: 0.0,
            ..options
        };
        let plain: Vec<f32> = (0..40 * BANDS).map(|n| (n as f32 * 0.01).sin()).collect();
        assert_eq!(run(&none, 1), plain);
    }
}
