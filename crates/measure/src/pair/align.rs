//! Which frame of the reference belongs to which frame of the made clip.

use media::VideoInfo;
use units::FrameIndex;

/// Pairs of frames in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alignment {
    /// For each frame of the made clip from its first on, the frame of the reference; never descending.
    pub(crate) reference: Vec<u64>,
    /// What the reader should know: lengths or rates that differ.
    pub(crate) notes: Vec<String>,
}

impl Alignment {
    /// Frame by frame at equal constant rates; by time otherwise. Frames beyond the end of the shorter clip have no
    /// partner.
    pub(crate) fn new(made: &VideoInfo, reference: &VideoInfo) -> Self {
        let mut notes = Vec::new();
        let constant = !made.variable && !reference.variable;
        let same_rate = made.times == reference.times || (made.rate == reference.rate && constant);
        let reference_frames = if same_rate {
            (0..made.frames.min(reference.frames)).collect()
        } else {
            notes.push(format!(
                "the frame rates differ ({} and {}): each frame is compared with the one that the reference shows in its middle",
                name(made),
                name(reference)
            ));
            by_time(made, reference)
        };
        if made.frames != reference.frames && same_rate {
            notes.push(format!(
                "the lengths differ ({} and {} frames): the first {} are compared",
                made.frames,
                reference.frames,
                reference_frames.len()
            ));
        }
        Self {
            reference: reference_frames,
            notes,
        }
    }

    /// How many pairs there are.
    pub(crate) fn len(&self) -> usize {
        self.reference.len()
    }
}

fn name(video: &VideoInfo) -> String {
    if video.variable {
        format!("{}, variable", video.rate)
    } else {
        video.rate.to_string()
    }
}

fn by_time(made: &VideoInfo, reference: &VideoInfo) -> Vec<u64> {
    let first = |video: &VideoInfo| video.times.start(FrameIndex::ZERO).0;
    let (zero, other) = (first(made), first(reference));
    let mut partner = 0;
    let mut pairs = Vec::new();
    for frame in 0..made.frames {
        let index = FrameIndex(frame);
        let middle = f64::midpoint(made.times.start(index).0, made.times.end_of(index).0) - zero;
        while partner < reference.frames
            && reference.times.end_of(FrameIndex(partner)).0 - other <= middle
        {
            partner += 1;
        }
        if partner == reference.frames {
            break;
        }
        pairs.push(partner);
    }
    pairs
}
