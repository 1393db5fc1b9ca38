//! Which latents a range of frames needs, and in which blocks they are made.

use std::ops::Range;

/// A range of frames as latents of a video that starts a little before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Frames to make.
    pub frames: Range<u64>,
    /// The frame of latent 0.
    pub first: u64,
    /// Frames that can be read; those behind are repeats of the last.
    pub available: Range<u64>,
    /// Latents to make: all that touch a frame to make.
    pub made: Range<usize>,
    /// Recorded latents in front that the first block carries.
    pub lead: usize,
    /// Recorded latents behind that the last block carries.
    pub trail: usize,
    stride: usize,
    /// Frames of latent 0: one, or as many as of the others where it is not the first of a video.
    opening: u64,
}

/// Latents that are denoised together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// All of them.
    pub latents: Range<usize>,
    /// Those that are made here; the others are known.
    pub make: Range<usize>,
}

impl Stretch {
    /// `frames` to make lie within `available`; `carry` latents are carried at either end
    /// and `warm_up` latents are encoded in front, as far as there are frames for them.
    pub fn new(
        frames: Range<u64>,
        available: Range<u64>,
        stride: usize,
        carry: usize,
        warm_up: usize,
    ) -> Self {
        let s = stride as u64;
        let before = frames.start - available.start;
        // One frame for latent 0, then whole latents up to the first frame to make.
        let (first, recorded) = match before.checked_sub(1) {
            None => (frames.start, 0),
            Some(rest) => {
                let latents = (rest / s).min(warm_up as u64);
                (frames.start - 1 - latents * s, latents as usize + 1)
            }
        };
        let latent_of = |frame: u64| (frame - first).div_ceil(s) as usize;
        let made = recorded..latent_of(frames.end - 1) + 1;
        // Latent n ends with frame s * n.
        let whole = ((available.end - 1 - first) / s) as usize + 1;
        Self {
            lead: recorded.min(carry),
            trail: whole.saturating_sub(made.end).min(carry),
            frames,
            first,
            available,
            made,
            stride,
            opening: 1,
        }
    }

    /// The same on the latents of a video that is encoded already, one of which begins at the frame
    /// `grid`: up to `context` whole latents at either side, and no latent of one frame but the
    /// video's own first, which is what a single frame in front of whole latents is taken for.
    pub fn on_grid(
        frames: Range<u64>,
        available: Range<u64>,
        grid: u64,
        stride: usize,
        context: usize,
    ) -> Self {
        let s = stride as i64;
        let [from, to, begin, end, grid] = [
            frames.start,
            frames.end,
            available.start,
            available.end,
            grid,
        ]
        .map(|n| n as i64);
        // Where the first latent to make begins; that may be in front of what is available.
        let first_made = grid + (from - grid).div_euclid(s) * s;
        let before = first_made - begin;
        if before == 1 - s {
            // It is the video's first frame.
            return Self::new(frames, available, stride, context, 0);
        }
        let made = (to - first_made + s - 1) / s;
        let whole = (before.max(0) / s).min(context as i64);
        let has_origin = before == whole * s + 1 && whole < context as i64;
        let lead = whole as usize + usize::from(has_origin);
        let behind = (end - first_made - made * s).max(0) / s;
        Self {
            first: (first_made - whole * s - i64::from(has_origin)).max(0) as u64,
            made: lead..lead + made as usize,
            lead,
            trail: (behind as usize).min(context),
            frames,
            available,
            stride,
            opening: if has_origin { 1 } else { stride as u64 },
        }
    }

    /// The place of latent 0 in a video whose first latent, and no other, has one frame.
    pub fn place(&self) -> usize {
        usize::from(self.opening > 1)
    }

    /// All latents, from the first of the stretch to the last one carried.
    pub fn latents(&self) -> usize {
        self.made.end + self.trail
    }

    /// Frames of a latent, in order.
    pub fn frames_of(&self, latent: usize) -> Range<u64> {
        let s = self.stride as u64;
        let second = self.first + self.opening;
        match latent as u64 {
            0 => self.first..second,
            n => second + s * (n - 1)..second + s * n,
        }
    }

    /// The latent that a frame belongs to.
    pub fn latent_of(&self, frame: u64) -> usize {
        match frame.checked_sub(self.first + self.opening) {
            None => 0,
            Some(behind) => (behind / self.stride as u64) as usize + 1,
        }
    }

    /// Frames that the sound of a latent is taken at: its own, or its one frame `s` times.
    pub fn sound_frames(&self, latent: usize) -> Vec<u64> {
        let frames = self.frames_of(latent);
        if frames.end - frames.start == 1 {
            vec![frames.start; self.stride]
        } else {
            frames.collect()
        }
    }

    /// Blocks of `width` latents in the order in which they are made, each with at least
    /// `carry` finished ones in front where there are any.
    pub fn blocks(&self, width: usize, carry: usize) -> Vec<Block> {
        let begin = self.made.start - self.lead;
        let end = self.latents();
        let mut blocks = Vec::new();
        let mut done = self.made.start;
        while done < self.made.end {
            let start = done.saturating_sub(carry).max(begin);
            // The last block reaches back for its full width.
            let start = start.min(end.saturating_sub(width)).max(begin);
            let stop = (start + width).min(end);
            let make = done..stop.min(self.made.end);
            done = make.end;
            blocks.push(Block {
                latents: start..stop,
                make,
            });
        }
        blocks
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_latent_is_made_once_and_every_frame_has_one(
            before in 0_u64..60, length in 1_u64..300, after in 0_u64..30, start in 0_u64..1000,
            stride in 1_usize..9, width in 3_usize..18, carry in 0_usize..3,
        ) {
            let frames = start + before..start + before + length;
            let available = start..frames.end + after;
            let stretch = Stretch::new(frames.clone(), available.clone(), stride, carry, 8);
            prop_assert!(stretch.first >= available.start);
            let mut done = stretch.made.start;
            for block in stretch.blocks(width, carry) {
                prop_assert_eq!(block.make.start, done);
                prop_assert!(block.make.end > block.make.start);
                prop_assert!(block.latents.start <= block.make.start && block.make.end <= block.latents.end);
                prop_assert!(block.latents.len() <= width);
                let whole = stretch.lead + stretch.made.len() + stretch.trail;
                prop_assert!(block.latents.len() == width.min(whole));
                if done > stretch.made.start {
                    prop_assert!(block.make.start - block.latents.start >= carry);
                }
                // Behind what is made, only recorded latents may stand.
                prop_assert!(block.make.end == block.latents.end || block.make.end == stretch.made.end);
                done = block.make.end;
            }
            prop_assert_eq!(done, stretch.made.end);
            prop_assert!(stretch.frames_of(stretch.made.start).start <= frames.start);
            prop_assert!(stretch.frames_of(stretch.made.end - 1).contains(&(frames.end - 1)));
            // Recorded latents hold no frame to make, and none that is not there.
            if stretch.made.start > 0 {
                prop_assert!(stretch.frames_of(stretch.made.start - 1).end <= frames.start);
            }
            if stretch.trail > 0 {
                prop_assert!(stretch.frames_of(stretch.made.end).start >= frames.end);
                prop_assert!(stretch.frames_of(stretch.latents() - 1).end <= available.end);
            }
        }
    }

    proptest! {
        /// A recording's latents are 0, then 1..=s, s+1..=2s, and so on, wherever it is shown.
        #[test]
        fn on_a_grid_every_latent_is_one_of_the_recordings(
            shown in 0_u64..60, before in 0_u64..120, length in 1_u64..100, after in 0_u64..60,
            stride in 2_usize..9, context in 1_usize..7, from_origin in any::<bool>(),
        ) {
            let s = stride as u64;
            // The recorded frame that output frame `shown` shows.
            let recorded = if from_origin { 0 } else { 1 + s * 3 };
            let frames = shown + before..shown + before + length;
            let available = shown..frames.end + after;
            let grid = if from_origin { shown + 1 } else { shown };
            let stretch = Stretch::on_grid(frames.clone(), available.clone(), grid, stride, context);
            prop_assert!(stretch.lead <= context && stretch.trail <= context);
            prop_assert!(stretch.first >= available.start);
            prop_assert_eq!(stretch.made.start, stretch.lead);
            for latent in 0..stretch.latents() {
                let own = stretch.frames_of(latent);
                let place = own.start - shown + recorded;
                if own.end - own.start == 1 {
                    prop_assert_eq!((place, latent, stretch.place()), (0, 0, 0));
                } else {
                    prop_assert_eq!((place % s, own.end - own.start), (1, s));
                }
                for frame in own.clone() {
                    prop_assert_eq!(stretch.latent_of(frame), latent);
                }
                let made = own.start < frames.end && frames.start < own.end;
                prop_assert_eq!(made, stretch.made.contains(&latent), "latent {}", latent);
                if !made {
                    prop_assert!(available.start <= own.start && own.end <= available.end);
                }
            }
            // As much recorded context as there is, up to what is wanted.
            let whole = (stretch.frames_of(stretch.made.start).start - available.start).div_ceil(s);
            prop_assert_eq!(stretch.lead as u64, whole.min(context as u64));
        }
    }

    #[test]
    fn a_grid_may_begin_before_what_is_available() {
        // A shot that begins in the middle of a latent: its frames 43 and 44 belong to another.
        let stretch = Stretch::on_grid(45..60, 45..90, 43, 8, 3);
        assert_eq!(
            (stretch.first, stretch.made.clone(), stretch.trail),
            (43, 0..3, 2)
        );
        assert_eq!(stretch.frames_of(2), 59..67);
        assert_eq!((stretch.lead, stretch.place()), (0, 1));
    }

    #[test]
    fn a_range_within_a_clip_starts_on_a_latent() {
        let stretch = Stretch::new(100..120, 0..200, 4, 2, 8);
        assert_eq!(stretch.first, 67);
        assert_eq!(stretch.made, 9..14);
        assert_eq!(stretch.frames_of(9), 100..104);
        assert_eq!((stretch.lead, stretch.trail), (2, 2));
        let whole = Stretch::new(0..250, 0..250, 4, 2, 8);
        assert_eq!(whole.made, 0..64);
        assert_eq!(whole.blocks(9, 2).len(), 9);
    }
}
