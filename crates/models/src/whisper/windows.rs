//! Long sound through windows of 30 s.
//!
//! Positions are absolute in a window, and features near its edges know one side only, so
//! windows overlap and every feature comes from where it is at least a second away from an
//! edge, except at the ends of the sound. EditYourself says nothing of windows: this is our choice.

use std::ops::Range;

/// Features a second: two mel frames at 100 Hz each.
pub const FEATURES_PER_SECOND: usize = 50;

/// How windows lie over a long sound, in features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongSound {
    /// Features of a window: `max_source_positions`.
    pub window: usize,
    /// Features next to an inner edge that are not used.
    pub margin: usize,
}

/// One window and what is taken from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The feature at which the window starts; its mel frames start at twice that.
    pub start: usize,
    /// Features of the whole sound that this window gives.
    pub gives: Range<usize>,
}

impl LongSound {
    /// Windows of 1500 features with 5 s left out on either side: a hop of 20 s.
    pub const fn new(window: usize) -> Self {
        Self {
            window,
            margin: window / 6,
        }
    }

    /// The windows over a sound of `features`, in order; what they give tiles the sound.
    pub fn pieces(&self, features: usize) -> Vec<Piece> {
        let margin = self.margin.min(self.window.saturating_sub(1) / 2);
        let hop = self.window - 2 * margin;
        let mut pieces = Vec::new();
        let mut given = 0;
        let mut start = 0;
        while given < features {
            let last = start + self.window >= features;
            let end = if last {
                features
            } else {
                start + self.window - margin
            };
            pieces.push(Piece {
                start,
                gives: given..end,
            });
            given = end;
            start += hop;
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_tile_the_sound_and_keep_away_from_inner_edges() {
        let plan = LongSound::new(1500);
        for features in [1, 50, 1499, 1500, 1501, 2500, 2501, 9999] {
            let pieces = plan.pieces(features);
            let mut given = 0;
            for piece in &pieces {
                assert_eq!(piece.gives.start, given);
                assert!(piece.gives.start >= piece.start);
                assert!(piece.gives.end <= piece.start + 1500);
                if piece.start > 0 {
                    assert!(
                        piece.gives.start >= piece.start + 50,
                        "{features} {piece:?}"
                    );
                }
                if piece.gives.end < features {
                    assert!(piece.gives.end + 50 <= piece.start + 1500);
                }
                given = piece.gives.end;
            }
            assert_eq!(given, features);
        }
        assert_eq!(plan.pieces(1500).len(), 1);
        assert!(plan.pieces(0).is_empty());
    }
}
