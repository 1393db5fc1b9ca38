//! The causal autoencoder's mapping between frames and latent frames.
//!
//! Latent 0 stands for frame 0 alone; latent n >= 1 stands for the `s` frames
//! `s(n-1)+1 .. sn+1` (LTX-Video: s = 8, Wan: s = 4).

use crate::{FrameIndex, LatentIndex};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use thiserror::Error;

/// A temporal stride of zero.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a temporal stride of 0 is not a stride")]
pub struct StrideError;

/// How many frames one latent frame (after the first) stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TemporalStride(u32);

impl TemporalStride {
    /// A stride of at least one frame.
    pub fn new(frames: u32) -> Result<Self, StrideError> {
        if frames == 0 {
            Err(StrideError)
        } else {
            Ok(Self(frames))
        }
    }

    /// Frames a latent.
    pub fn frames(self) -> u64 {
        u64::from(self.0)
    }

    /// The latent frame that a frame belongs to.
    pub fn latent_of(self, frame: FrameIndex) -> LatentIndex {
        LatentIndex(frame.0.div_ceil(self.frames()))
    }

    /// The frames that a latent frame stands for.
    pub fn frames_of(self, latent: LatentIndex) -> Range<FrameIndex> {
        let stride = self.frames();
        match latent.0 {
            0 => FrameIndex(0)..FrameIndex(1),
            n => FrameIndex(stride * (n - 1) + 1)..FrameIndex(stride * n + 1),
        }
    }

    /// The smallest encodable length (`s*k + 1`) that holds `frames`.
    pub fn padded(self, frames: u64) -> u64 {
        self.frames_in(self.latents_for(frames))
    }

    /// Latents needed for `frames`; zero for none.
    pub fn latents_for(self, frames: u64) -> u64 {
        if frames == 0 {
            0
        } else {
            1 + (frames - 1).div_ceil(self.frames())
        }
    }

    /// Frames that `latents` decode to; zero for none.
    pub fn frames_in(self, latents: u64) -> u64 {
        if latents == 0 {
            0
        } else {
            self.frames() * (latents - 1) + 1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn latents_partition_the_frames(stride in 1_u32..17, latents in 1_u64..200) {
            let stride = TemporalStride::new(stride).unwrap();
            let mut next = FrameIndex(0);
            for n in 0..latents {
                let frames = stride.frames_of(LatentIndex(n));
                prop_assert_eq!(frames.start, next);
                for frame in frames.start.0..frames.end.0 {
                    prop_assert_eq!(stride.latent_of(FrameIndex(frame)), LatentIndex(n));
                }
                next = frames.end;
            }
            prop_assert_eq!(next.0, stride.frames_in(latents));
            prop_assert_eq!(stride.latents_for(next.0), latents);
        }

        #[test]
        fn padding_reaches_the_next_encodable_length(stride in 1_u32..17, frames in 1_u64..1000) {
            let stride = TemporalStride::new(stride).unwrap();
            let padded = stride.padded(frames);
            prop_assert!(padded >= frames && padded < frames + stride.frames());
            prop_assert_eq!((padded - 1) % stride.frames(), 0);
        }
    }
}
