//! The timeline at the resolution of latent frames: which stretches a model has to look at, and
//! which of their latents it has to make.
//!
//! A *run* is a stretch of output frames around lips to be made, with context on both sides. It is
//! encoded on its own: its first latent stands for its first frame alone, every later one for
//! `stride` frames (see [`TemporalStride`]). A run whose length is not `stride * k + 1` would need
//! padding, so runs are lengthened with real frames first, and padded by repeating the last frame
//! only where the clip ends.

use serde::{Deserialize, Serialize};
use std::ops::Range;
use units::{FrameIndex, LatentIndex, TemporalStride};

/// How runs are cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatentConfig {
    /// Frames a latent.
    pub stride: TemporalStride,
    /// Latents denoised together.
    pub block: u64,
    /// Clean latents wanted on each side of what is made.
    pub context: u64,
}

impl LatentConfig {
    /// The sizes of the default model, `tiny`, at a temporal stride: blocks of 9 latents, with 2 of
    /// context on each side.
    pub fn for_stride(stride: TemporalStride) -> Self {
        Self {
            stride,
            block: 9,
            context: 2,
        }
    }
}

/// Latents of one run that are denoised together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatentBlock {
    /// The run's latents in the block, context included.
    pub latents: Range<LatentIndex>,
    /// Those whose result counts; the blocks of a run share its masked latents out.
    pub core: Range<LatentIndex>,
}

/// A stretch of output frames that is encoded on its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatentRun {
    /// Output frames.
    pub frames: Range<FrameIndex>,
    /// How often the last frame is repeated, so that the length is encodable.
    pub padding: u64,
    /// For every latent of the run, whether any of its frames is to be made.
    pub masked: Vec<bool>,
    /// Its blocks in order.
    pub blocks: Vec<LatentBlock>,
    stride: TemporalStride,
}

impl LatentRun {
    /// Latents in the run.
    pub fn latents(&self) -> u64 {
        self.masked.len() as u64
    }

    /// The latent that an output frame belongs to; none outside the run.
    pub fn latent_of(&self, frame: FrameIndex) -> Option<LatentIndex> {
        self.frames.contains(&frame).then(|| {
            self.stride
                .latent_of(FrameIndex(frame.since(self.frames.start)))
        })
    }

    /// The output frames of a latent, without padding.
    pub fn frames_of(&self, latent: LatentIndex) -> Range<FrameIndex> {
        let local = self.stride.frames_of(latent);
        let start = (self.frames.start + local.start.0).min(self.frames.end);
        start..(self.frames.start + local.end.0).min(self.frames.end)
    }
}

/// Everything a model has to work on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatentTimeline {
    /// Runs in output order, apart from each other.
    pub runs: Vec<LatentRun>,
}

impl LatentTimeline {
    /// Cuts runs out of an output of `frames` frames around `lips` (ascending, apart from each
    /// other). Runs whose context would overlap become one.
    pub fn new(frames: u64, lips: &[Range<FrameIndex>], config: &LatentConfig) -> Self {
        let stride = config.stride.frames();
        let mut groups: Vec<(Range<FrameIndex>, Vec<Range<FrameIndex>>)> = Vec::new();
        for range in lips {
            let range = range.start..range.end.min(FrameIndex(frames));
            if range.end <= range.start {
                continue;
            }
            let reach = config.context * stride;
            // Latent 0 stands for one frame, so context of c latents before is 1 + (c - 1) * s.
            let before = if config.context == 0 {
                0
            } else {
                reach - stride + 1
            };
            let around = range.start - before..(range.end + reach).min(FrameIndex(frames));
            match groups.last_mut() {
                Some((last, ranges)) if around.start <= last.end => {
                    last.end = last.end.max(around.end);
                    ranges.push(range);
                }
                _ => groups.push((around, vec![range])),
            }
        }
        let mut runs: Vec<LatentRun> = Vec::with_capacity(groups.len());
        for index in 0..groups.len() {
            let Some((around, ranges)) = groups.get(index) else {
                break;
            };
            let limit = groups
                .get(index + 1)
                .map_or(frames, |(next, _)| next.start.0);
            let floor = runs.last().map_or(0, |run| run.frames.end.0);
            runs.push(run(around, ranges, floor..limit, config));
        }
        Self { runs }
    }

    /// Latents to be made, over all runs.
    pub fn masked(&self) -> u64 {
        self.runs
            .iter()
            .flat_map(|run| &run.masked)
            .filter(|&&masked| masked)
            .count() as u64
    }
}

/// One run around ranges, inside the free frames.
fn run(
    around: &Range<FrameIndex>,
    ranges: &[Range<FrameIndex>],
    free: Range<u64>,
    config: &LatentConfig,
) -> LatentRun {
    let stride = config.stride;
    let (mut start, mut end) = (around.start.0, around.end.0);
    let wanted = stride.padded(end - start);
    end = (start + wanted).min(free.end).max(end);
    start = end.saturating_sub(wanted).max(free.start).min(start);
    let frames = FrameIndex(start)..FrameIndex(end);
    let count = end - start;
    let padding = stride.padded(count) - count;
    let mut masked = vec![false; stride.latents_for(count) as usize];
    for range in ranges {
        let first = stride.latent_of(FrameIndex(range.start.since(frames.start)));
        let last = stride.latent_of(FrameIndex(range.end.since(frames.start) - 1));
        for latent in masked
            .iter_mut()
            .take(last.as_usize() + 1)
            .skip(first.as_usize())
        {
            *latent = true;
        }
    }
    let blocks = blocks(&masked, config);
    LatentRun {
        frames,
        padding,
        masked,
        blocks,
        stride,
    }
}

/// Blocks of at most `config.block` latents that share out a run's masked latents, with context
/// on both sides wherever the run has it.
fn blocks(masked: &[bool], config: &LatentConfig) -> Vec<LatentBlock> {
    let total = masked.len() as u64;
    let length = config.block.max(1).min(total.max(1));
    // A block too short for context on both sides gives up context, not progress.
    let context = config.context.min((length - 1) / 2);
    let mut blocks = Vec::new();
    let mut next = 0;
    while let Some(offset) = masked.iter().skip(next as usize).position(|&masked| masked) {
        let first = next + offset as u64;
        let start = first.saturating_sub(context).min(total - length);
        let mut end = (start + length - context).max(first + 1);
        if start + length >= total {
            end = total;
        }
        // The core ends with the last masked latent in it.
        let last = (first..end)
            .rev()
            .find(|&latent| masked.get(latent as usize).copied().unwrap_or(false))
            .unwrap_or(first);
        blocks.push(LatentBlock {
            latents: LatentIndex(start)..LatentIndex(start + length),
            core: LatentIndex(first)..LatentIndex(last + 1),
        });
        next = last + 1;
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config() -> LatentConfig {
        LatentConfig::for_stride(TemporalStride::new(4).unwrap())
    }

    proptest! {
        #[test]
        fn every_lips_frame_is_made_exactly_once(
            frames in 1_u64..400,
            cuts in prop::collection::btree_set(0_u64..400, 0..10),
            stride in 1_u32..9,
            block in 1_u64..20,
            context in 0_u64..5,
        ) {
            let cuts: Vec<u64> = cuts.into_iter().filter(|&cut| cut <= frames).collect();
            let lips: Vec<Range<FrameIndex>> = cuts
                .chunks_exact(2)
                .map(|pair| FrameIndex(pair[0])..FrameIndex(pair[1]))
                .collect();
            let config = LatentConfig { stride: TemporalStride::new(stride).unwrap(), block, context };
            let timeline = LatentTimeline::new(frames, &lips, &config);
            let mut before = 0;
            let mut made = vec![0; frames as usize];
            for run in &timeline.runs {
                prop_assert!(run.frames.start.0 >= before && run.frames.end.0 <= frames);
                before = run.frames.end.0;
                let count = run.frames.end.0 - run.frames.start.0;
                prop_assert_eq!((count + run.padding - 1) % u64::from(stride), 0);
                prop_assert!(run.padding < u64::from(stride));
                prop_assert_eq!(config.stride.frames_in(run.latents()), count + run.padding);
                for latent in 0..run.latents() {
                    let frames = run.frames_of(LatentIndex(latent));
                    for frame in frames.start.0..frames.end.0 {
                        prop_assert_eq!(run.latent_of(FrameIndex(frame)), Some(LatentIndex(latent)));
                    }
                    let touched = lips.iter().any(|lips| lips.start < frames.end && frames.start < lips.end);
                    prop_assert_eq!(run.masked[latent as usize], touched);
                }
                let mut shared = vec![0; run.masked.len()];
                for block in &run.blocks {
                    prop_assert!(block.latents.start <= block.core.start && block.core.end <= block.latents.end);
                    prop_assert!(block.latents.end.0 <= run.latents());
                    prop_assert!(block.latents.end.0 - block.latents.start.0 <= config.block);
                    for latent in block.core.start.0..block.core.end.0 {
                        shared[latent as usize] += 1;
                        let frames = run.frames_of(LatentIndex(latent));
                        for frame in frames.start.0..frames.end.0 {
                            made[frame as usize] += 1;
                        }
                    }
                }
                for (masked, shared) in run.masked.iter().zip(shared) {
                    prop_assert!(shared <= 1 && (!masked || shared == 1));
                }
            }
            for range in &lips {
                for frame in range.start.0..range.end.0 {
                    prop_assert_eq!(made[frame as usize], 1, "frame {}", frame);
                }
            }
        }
    }

    #[test]
    fn a_short_edit_in_a_long_clip_is_one_block() {
        let lips = [FrameIndex(100)..FrameIndex(112)];
        let timeline = LatentTimeline::new(1500, &lips, &config());
        assert_eq!(timeline.runs.len(), 1);
        let run = &timeline.runs[0];
        assert_eq!(run.padding, 0);
        assert_eq!(run.blocks.len(), 1);
        assert_eq!(run.frames.start, FrameIndex(95));
        assert!(
            !run.masked[0] && !run.masked[1] && run.masked[2] && run.masked[4] && !run.masked[5]
        );
    }

    #[test]
    fn a_whole_clip_is_padded_at_its_end() {
        let lips = [FrameIndex(0)..FrameIndex(250)];
        let timeline = LatentTimeline::new(250, &lips, &config());
        assert_eq!(timeline.runs[0].frames, FrameIndex(0)..FrameIndex(250));
        assert_eq!(timeline.runs[0].padding, 3);
        assert_eq!(timeline.masked(), 64);
        assert_eq!(timeline.runs[0].blocks.len(), 12);
    }
}
