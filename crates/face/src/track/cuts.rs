//! Scene cuts: frames that have little to do with the one before.

use media::image::Rgb8;

/// Cells of the thumbnail that is compared.
const COLUMNS: usize = 32;
const ROWS: usize = 18;
/// Samples a cell and direction.
const TAPS: usize = 4;
/// Changes of the last frames that count as usual.
const MEMORY: usize = 12;
/// A cut changes the picture by at least this (mean difference, 0..255) …
const LEAST: f32 = 10.0;
/// … by this many times what is usual …
const TIMES: f32 = 4.0;
/// … and its colours by this share (a shaken camera changes the picture, not its colours).
const COLOURS: f32 = 0.2;
/// Levels a channel of the colours that are compared.
const LEVELS: usize = 6;

/// Watches the pictures go by.
#[derive(Default)]
pub(super) struct CutDetector {
    last: Option<Vec<f32>>,
    changes: Vec<f32>,
    /// Frames were left out since the last one.
    gap: bool,
}

/// How a frame differs from the one before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Change {
    /// Mean difference of the thumbnails, 0..255.
    pub(super) amount: f32,
    /// The amount over what was usual in the last frames (at least 1 level).
    pub(super) times: f32,
    /// The share of the picture that changed to colours which another part did not have, 0..1.
    colours: f32,
}

impl Change {
    /// Whether it is a cut when a face jumps by so many eye distances at the same time: cuts within
    /// one shot change the picture little, but everything at once.
    pub(super) fn is_cut_at(self, jump: f32) -> bool {
        (jump > 0.15 && self.amount > 5.0 && self.times > 5.0) || (jump > 0.45 && self.times > 2.0)
    }

    /// Whether it is a cut by itself.
    pub(super) fn is_cut(self) -> bool {
        self.amount > LEAST && self.times > TIMES && self.colours > COLOURS
    }
}

impl CutDetector {
    /// Frames are left out. The next one is compared with the last one before the gap: is it the same scene?
    pub(super) fn skip(&mut self) {
        self.changes.clear();
        self.gap = true;
    }

    /// Compares a frame with the last one; `None` for the first.
    pub(super) fn push(&mut self, frame: &Rgb8) -> Option<Change> {
        let picture = thumbnail(frame);
        let last = self.last.replace(picture)?;
        let now = self.last.as_ref()?;
        let total: f32 = last.iter().zip(now).map(|(a, b)| (a - b).abs()).sum();
        let amount = total / now.len().max(1) as f32;
        let mut sorted = self.changes.clone();
        sorted.sort_by(f32::total_cmp);
        let usual = sorted
            .get(sorted.len() / 2)
            .copied()
            .unwrap_or(0.0)
            .max(1.0);
        let change = Change {
            amount,
            times: amount / usual,
            colours: 1.0 - shared_colours(&last, now),
        };
        // What changes over a gap says nothing about what is usual from frame to frame.
        if !std::mem::take(&mut self.gap) && !change.is_cut() {
            if self.changes.len() == MEMORY {
                self.changes.remove(0);
            }
            self.changes.push(amount);
        }
        Some(change)
    }
}

/// What the coarse colour histograms of two thumbnails share, 0..1.
fn shared_colours(a: &[f32], b: &[f32]) -> f32 {
    let histogram = |picture: &[f32]| {
        let mut counts = vec![0_u32; LEVELS.pow(3)];
        for pixel in picture.as_chunks::<3>().0 {
            let [r, g, b] = pixel.map(|v| ((v * LEVELS as f32 / 256.0) as usize).min(LEVELS - 1));
            if let Some(count) = counts.get_mut((r * LEVELS + g) * LEVELS + b) {
                *count += 1;
            }
        }
        counts
    };
    let shared = histogram(a).into_iter().zip(histogram(b));
    shared.map(|(a, b)| a.min(b)).sum::<u32>() as f32 / (COLUMNS * ROWS) as f32
}

/// Mean colours of a grid of cells, from a few samples each.
fn thumbnail(frame: &Rgb8) -> Vec<f32> {
    let mut out = Vec::with_capacity(COLUMNS * ROWS * 3);
    let at = |i: usize, tap: usize, cells: usize, size: usize| {
        ((i * TAPS + tap) * 2 + 1) * size / (2 * cells * TAPS)
    };
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let mut sum = [0.0; 3];
            for tap in 0..TAPS * TAPS {
                let x = at(column, tap % TAPS, COLUMNS, frame.width);
                let y = at(row, tap / TAPS, ROWS, frame.height);
                for (s, value) in sum.iter_mut().zip(frame.pixel(x, y)) {
                    *s += f32::from(value);
                }
            }
            out.extend(sum.map(|s| s / (TAPS * TAPS) as f32));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stripes that move by `shift` pixels, in one of two colourings.
    fn scene(shift: usize, other: bool) -> Rgb8 {
        let mut frame = Rgb8::new(320, 180);
        for y in 0..180 {
            for x in 0..320 {
                let wave = ((x + shift) as f32 / 40.0).sin() * 60.0 + 120.0;
                let colour = if other {
                    [30, wave as u8, 200]
                } else {
                    [wave as u8, 90, (y / 2) as u8]
                };
                frame.set_pixel(x, y, colour);
            }
        }
        frame
    }

    #[test]
    fn a_cut_is_found_where_it_is_and_motion_is_none() {
        let mut cuts = CutDetector::default();
        let mut found = Vec::new();
        for i in 0..60 {
            let frame = scene(i * 6, (25..45).contains(&i));
            if cuts.push(&frame).is_some_and(Change::is_cut) {
                found.push(i);
            }
        }
        assert_eq!(found, [25, 45]);
    }

    #[test]
    fn a_slow_fade_is_no_cut() {
        let mut cuts = CutDetector::default();
        for i in 0..50_u8 {
            let change = cuts.push(&Rgb8::filled(64, 36, [i * 5; 3]));
            assert!(!change.is_some_and(Change::is_cut), "frame {i}");
        }
    }

    #[test]
    fn a_jump_counts_more_in_a_still_picture() {
        let change = |amount, times| Change {
            amount,
            times,
            colours: 0.05,
        };
        assert!(change(8.7, 8.7).is_cut_at(0.18) && !change(8.7, 8.7).is_cut_at(0.1));
        assert!(!change(8.7, 3.0).is_cut_at(0.18) && change(8.7, 3.0).is_cut_at(0.5));
        assert!(!change(1.0, 1.0).is_cut_at(0.9));
    }

    #[test]
    fn scenes_on_both_sides_of_a_gap_are_compared() {
        let mut cuts = CutDetector::default();
        for i in 0..20 {
            cuts.push(&scene(i * 6, false));
        }
        cuts.skip();
        assert!(!cuts.push(&scene(24 * 6, false)).unwrap().is_cut());
        cuts.skip();
        assert!(cuts.push(&scene(60 * 6, true)).unwrap().is_cut());
        assert!(!cuts.push(&scene(61 * 6, true)).unwrap().is_cut());
    }

    #[test]
    fn two_frames_can_make_a_cut() {
        let mut cuts = CutDetector::default();
        assert!(cuts.push(&scene(0, false)).is_none());
        assert!(cuts.push(&scene(0, true)).unwrap().is_cut());
    }
}
