//! Decoded source frames in any order: read forwards where that is what happens, kept for a while where it is not.
//!
//! Beds play footage backwards, seams mix two places, generation and rendering both look at the same frames.
//! All of them ask here; memory is bounded, whatever the length of the clip.

use crate::ProjectError;
use media::{Clip, Frame, FrameReader};
use std::collections::VecDeque;
use std::sync::Arc;
use units::FrameIndex;

/// A forward gap up to this long is read over; beyond it, seeking is quicker.
const SKIP: u64 = 24;

/// Source frames by index.
pub(crate) struct FrameStore<'a> {
    clip: &'a Clip,
    frames: u64,
    reader: Option<(FrameIndex, FrameReader)>,
    kept: VecDeque<(FrameIndex, Arc<Frame>)>,
    bytes: usize,
    /// Bytes of pictures that are kept.
    limit: usize,
}

impl<'a> FrameStore<'a> {
    /// A store over a clip of `frames` frames that keeps `limit` bytes of them.
    pub(crate) fn new(clip: &'a Clip, frames: u64, limit: usize) -> Self {
        Self {
            clip,
            frames,
            limit,
            reader: None,
            kept: VecDeque::new(),
            bytes: 0,
        }
    }

    /// A source frame.
    pub(crate) fn get(&mut self, index: FrameIndex) -> Result<Arc<Frame>, ProjectError> {
        if let Some((_, frame)) = self.kept.iter().rev().find(|(kept, _)| *kept == index) {
            return Ok(Arc::clone(frame));
        }
        let next = self.reader.as_ref().map(|(next, _)| *next);
        match next {
            Some(next) if index >= next && index.since(next) <= SKIP => {}
            _ => {
                // Going backwards: read the run that leads here as well, the next requests will want it.
                let backwards =
                    next.is_some_and(|next| index < next && next.since(index) <= 4 * SKIP);
                let start = if backwards {
                    index - self.run_length()
                } else {
                    index
                };
                let reader = self
                    .clip
                    .frames(start..FrameIndex(self.frames))
                    .map_err(super::media_error)?;
                self.reader = Some((start, reader));
            }
        }
        loop {
            let Some((next, reader)) = &mut self.reader else {
                return Err(ProjectError::fault("render", "a frame reader went missing"));
            };
            let at = *next;
            let Some(frame) = reader.next() else {
                self.reader = None;
                return Err(ProjectError::input(format!(
                    "{} ends at {at}, before {index} that its index promises",
                    self.clip.info().path.display()
                )));
            };
            let frame = Arc::new(frame.map_err(super::media_error)?);
            *next = at.next();
            self.keep(at, &frame);
            if at == index {
                return Ok(frame);
            }
        }
    }

    /// Frames before a backwards request that fit into half of the memory.
    fn run_length(&self) -> u64 {
        let each = self
            .kept
            .back()
            .map_or(self.limit, |(_, frame)| size_of_frame(frame))
            .max(1);
        ((self.limit / 2 / each) as u64).min(2 * SKIP)
    }

    fn keep(&mut self, index: FrameIndex, frame: &Arc<Frame>) {
        self.kept.retain(|(kept, _)| *kept != index);
        self.kept.push_back((index, Arc::clone(frame)));
        self.bytes = self
            .kept
            .iter()
            .map(|(_, frame)| size_of_frame(frame))
            .sum();
        while self.bytes > self.limit && self.kept.len() > 1 {
            if let Some((_, gone)) = self.kept.pop_front() {
                self.bytes = self.bytes.saturating_sub(size_of_frame(&gone));
            }
        }
    }
}

fn size_of_frame(frame: &Frame) -> usize {
    let bytes = if frame.format().bits > 8 { 2 } else { 1 };
    frame
        .planes()
        .iter()
        .map(|plane| plane.width * plane.height * bytes)
        .sum()
}
