//! Indices into sequences that run side by side: frames, samples, latents, tokens.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign, Sub};

macro_rules! index {
    ($(#[$doc:meta])* $name:ident, $unit:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The first index.
            pub const ZERO: Self = Self(0);

            /// The index as a position in a slice.
            pub fn as_usize(self) -> usize {
                self.0 as usize
            }

            /// The next index.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }

            /// The distance from `other` to `self`, zero when `other` lies behind.
            pub fn since(self, other: Self) -> u64 {
                self.0.saturating_sub(other.0)
            }
        }

        impl From<usize> for $name {
            fn from(value: usize) -> Self {
                Self(value as u64)
            }
        }

        impl Add<u64> for $name {
            type Output = Self;
            fn add(self, count: u64) -> Self {
                Self(self.0 + count)
            }
        }

        impl AddAssign<u64> for $name {
            fn add_assign(&mut self, count: u64) {
                self.0 += count;
            }
        }

        impl Sub<u64> for $name {
            type Output = Self;
            fn sub(self, count: u64) -> Self {
                Self(self.0.saturating_sub(count))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!($unit, " {}"), self.0)
            }
        }
    };
}

index! {
    /// A frame of a clip or of the output, counted from zero in presentation order.
    FrameIndex, "frame"
}
index! {
    /// A sample (of every channel) of a sound track, counted from zero.
    SampleIndex, "sample"
}
index! {
    /// A latent frame: what the video autoencoder makes of one frame, or of `stride` frames.
    LatentIndex, "latent"
}
index! {
    /// A token of a transformer's sequence: one latent position in time, height and width.
    TokenIndex, "token"
}
