//! Lips lent from one frame to another: the pieces of source frames that are needed, read once and in order.

use super::frames::FrameStore;
use super::heads::Heads;
use super::moments::Counterparts;
use super::pictures::{Pictures, Shown};
use super::source::Source;
use crate::ProjectError;
use face::lips::{Head, LipFit, Piece};
use media::Frame;
use methods::edit_yourself::REACH;
use std::collections::BTreeMap;
use std::sync::Arc;
use units::FrameIndex;

/// Frames that are read on behind one that was asked for: the next ones will be.
const AHEAD: u64 = 16;

/// Bytes of mouths that are kept at most: those around the present frame, as far as lips are lent.
const LIMIT: usize = 256 << 20;

/// Lays lent lips over frames.
pub(crate) struct Lender<'a> {
    counterparts: &'a Counterparts,
    pictures: &'a Pictures,
    heads: &'a Heads,
    store: FrameStore<'a>,
    frames: u64,
    kept: BTreeMap<FrameIndex, Arc<Piece>>,
    bytes: usize,
    limit: usize,
}

impl<'a> Lender<'a> {
    /// A lender for a whole output.
    pub(crate) fn new(
        counterparts: &'a Counterparts,
        source: &'a Source,
        pictures: &'a Pictures,
        heads: &'a Heads,
    ) -> Self {
        Self {
            counterparts,
            pictures,
            heads,
            // Frames are read forwards, each once.
            store: FrameStore::new(&source.clip, source.video.frames, 0),
            frames: source.video.frames,
            kept: BTreeMap::new(),
            bytes: 0,
            // The other half is for whole pictures.
            limit: LIMIT.min(source.frame_memory / 2),
        }
    }

    /// Lays the lips that an output frame gets over its picture; one that keeps its own is left alone.
    pub(crate) fn lay(
        &mut self,
        picture: &mut Frame,
        output: FrameIndex,
    ) -> Result<(), ProjectError> {
        let Some(from) = self.counterparts.at(output) else {
            return Ok(());
        };
        let near = match self.pictures.at(output) {
            Shown::Frame(shown) if shown == from => return Ok(()),
            Shown::Frame(shown) => shown,
            Shown::Between { a, .. } => a,
        };
        let fit = self.fit(output, from);
        let (Some(fit), Some(piece)) = (fit, self.piece(from, near)?) else {
            return Ok(());
        };
        let (x, y, width, height) = fit.area();
        let recorded = picture.region_rgb(x, y, width, height);
        let (lips, alpha) = fit.draw(&recorded, (x, y), &piece);
        picture
            .put_region_rgb(x, y, &lips, &alpha)
            .map_err(|error| ProjectError::fault("render", error))
    }

    fn fit(&self, output: FrameIndex, from: FrameIndex) -> Option<LipFit> {
        let placement = self.heads.placement_at(self.pictures, output)?;
        let landmarks = self.heads.landmarks_at(self.pictures, output)?;
        let source = self.heads.placement(from)?;
        LipFit::new(
            Head {
                placement: &placement,
                landmarks: &landmarks,
            },
            Head {
                placement: &source,
                landmarks: &self.heads.face(from)?.landmarks,
            },
        )
    }

    /// The mouth of a source frame, for an output frame that shows something near `near`.
    fn piece(
        &mut self,
        from: FrameIndex,
        near: FrameIndex,
    ) -> Result<Option<Arc<Piece>>, ProjectError> {
        if let Some(piece) = self.kept.get(&from) {
            return Ok(Some(Arc::clone(piece)));
        }
        let before = self.kept.range(..from).next_back();
        let start = before.map_or(0, |(frame, _)| frame.0 + 1);
        let start = start.max(near.0.min(from.0).saturating_sub(REACH));
        let mut found = None;
        for index in start..(from.0 + 1 + AHEAD).min(self.frames) {
            let index = FrameIndex(index);
            if self.kept.contains_key(&index) {
                continue;
            }
            let Some(piece) = self.read(index)? else {
                continue;
            };
            let piece = Arc::new(piece);
            if index == from {
                found = Some(Arc::clone(&piece));
            }
            self.bytes += piece.image.data.len();
            self.kept.insert(index, piece);
        }
        self.forget(near);
        Ok(found)
    }

    fn read(&mut self, index: FrameIndex) -> Result<Option<Piece>, ProjectError> {
        let (Some(placement), Some(face)) = (self.heads.placement(index), self.heads.face(index))
        else {
            return Ok(None);
        };
        let head = Head {
            placement: &placement,
            landmarks: &face.landmarks,
        };
        let Some((x, y, width, height)) = head.mouth_area() else {
            return Ok(None);
        };
        let frame = self.store.get(index)?;
        let image = frame.region_rgb(x, y, width, height).to_rgb8();
        Ok(Some(Piece { x, y, image }))
    }

    /// Keeps within the limit: mouths far from `near` go first.
    fn forget(&mut self, near: FrameIndex) {
        while self.bytes > self.limit {
            let ends = [self.kept.first_key_value(), self.kept.last_key_value()];
            let farthest = ends
                .into_iter()
                .flatten()
                .map(|(frame, _)| *frame)
                .max_by_key(|frame| frame.0.abs_diff(near.0));
            let Some(piece) = farthest.and_then(|frame| self.kept.remove(&frame)) else {
                return;
            };
            self.bytes -= piece.image.data.len();
        }
    }
}
