//! What every output frame shows before any mouth is made: a source frame, or two of them at a seam.

use super::frames::FrameStore;
use super::heads::Heads;
use crate::ProjectError;
use edit::{PictureRun, Timeline};
use media::Frame;
use std::sync::Arc;
use units::FrameIndex;

/// What one output frame shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shown {
    /// A source frame.
    Frame(FrameIndex),
    /// Source frame `a` on its way to source frame `b`.
    Between {
        a: FrameIndex,
        b: FrameIndex,
        weight: f32,
    },
}

/// The shown pictures of a whole output.
pub(crate) struct Pictures {
    shown: Vec<Shown>,
}

impl Pictures {
    /// Lays out a timeline.
    pub(crate) fn of(timeline: &Timeline) -> Self {
        let mut shown = Vec::with_capacity(timeline.frames() as usize);
        for run in &timeline.pictures {
            match run {
                PictureRun::Source { source } => {
                    shown.extend(
                        (source.start.0..source.end.0).map(|index| Shown::Frame(FrameIndex(index))),
                    );
                }
                PictureRun::Bed { frames, .. } => {
                    shown.extend(frames.iter().map(|&index| Shown::Frame(index)));
                }
                PictureRun::Seam { frames, .. } => shown.extend(frames.iter().map(|seam| {
                    if seam.a == seam.b {
                        Shown::Frame(seam.a)
                    } else {
                        Shown::Between {
                            a: seam.a,
                            b: seam.b,
                            weight: seam.weight,
                        }
                    }
                })),
            }
        }
        Self { shown }
    }

    /// Pictures as told.
    #[cfg(test)]
    pub(crate) fn showing(shown: Vec<Shown>) -> Self {
        Self { shown }
    }

    /// What an output frame shows; the last frame beyond the end.
    pub(crate) fn at(&self, output: FrameIndex) -> Shown {
        let last = self
            .shown
            .last()
            .copied()
            .unwrap_or(Shown::Frame(FrameIndex::ZERO));
        self.shown.get(output.as_usize()).copied().unwrap_or(last)
    }

    /// Output frames.
    pub(crate) fn len(&self) -> u64 {
        self.shown.len() as u64
    }

    /// The picture of an output frame. Heads are morphed at seams where both frames have one, everything else
    /// dissolves.
    pub(crate) fn draw(
        &self,
        output: FrameIndex,
        store: &mut FrameStore<'_>,
        heads: &Heads,
    ) -> Result<Arc<Frame>, ProjectError> {
        match self.at(output) {
            Shown::Frame(index) => store.get(index),
            Shown::Between { a, b, weight } => {
                let from = store.get(a)?;
                let to = store.get(b)?;
                let mut frame = from
                    .blend(&to, weight)
                    .map_err(|error| ProjectError::fault("render", error))?;
                heads.morph(&mut frame, (a, &from), (b, &to), weight)?;
                Ok(Arc::new(frame))
            }
        }
    }
}

/// The source frames that some output frames show, ascending, each once.
pub(crate) fn sources_of(
    pictures: &Pictures,
    outputs: impl Iterator<Item = FrameIndex>,
) -> Vec<FrameIndex> {
    let mut sources: Vec<FrameIndex> = outputs
        .flat_map(|output| match pictures.at(output) {
            Shown::Frame(index) => [Some(index), None],
            Shown::Between { a, b, .. } => [Some(a), Some(b)],
        })
        .flatten()
        .collect();
    sources.sort_unstable();
    sources.dedup();
    sources
}

/// Sorted frames as half-open runs, grown by `margin` on both sides within `frames`, joined where they touch.
pub(crate) fn runs_of(
    sorted: &[FrameIndex],
    margin: u64,
    frames: u64,
) -> Vec<std::ops::Range<FrameIndex>> {
    let mut runs: Vec<std::ops::Range<FrameIndex>> = Vec::new();
    for &index in sorted {
        let start = index - margin;
        let end = FrameIndex((index.0 + 1 + margin).min(frames));
        match runs.last_mut() {
            Some(last) if start <= last.end => last.end = last.end.max(end),
            _ => runs.push(start..end),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_join_where_they_touch() {
        let frames: Vec<FrameIndex> = [3, 4, 5, 20, 28].map(FrameIndex).to_vec();
        let runs = runs_of(&frames, 2, 30);
        assert_eq!(
            runs,
            vec![
                FrameIndex(1)..FrameIndex(8),
                FrameIndex(18)..FrameIndex(23),
                FrameIndex(26)..FrameIndex(30)
            ]
        );
        assert_eq!(runs_of(&frames, 4, 30).len(), 2);
    }
}
