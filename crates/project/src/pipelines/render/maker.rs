//! Frames of the output that are not the recording's: drawn, filled, with their mouths.

use crate::stages::composite::Composer;
use crate::stages::frames::FrameStore;
use crate::stages::heads::Heads;
use crate::stages::lend::Lender;
use crate::stages::lips::Mouths;
use crate::stages::pictures::Pictures;
use crate::stages::retouch;
use crate::stages::video::fill::Fills;
use edit::FrameClock;
use media::Frame;
use media::render::{BoxError, FrameMaker};
use units::FrameIndex;

/// Draws made frames.
pub(super) struct Maker<'a> {
    pub(super) pictures: &'a Pictures,
    pub(super) heads: &'a Heads,
    pub(super) clock: &'a FrameClock,
    pub(super) lender: Lender<'a>,
    pub(super) fills: Fills,
    pub(super) mouths: Mouths,
    pub(super) store: FrameStore<'a>,
    pub(super) composer: Composer,
    pub(super) size: usize,
}

impl FrameMaker for Maker<'_> {
    fn frame(&mut self, output: FrameIndex) -> Result<Frame, BoxError> {
        let picture = self.pictures.draw(output, &mut self.store, self.heads)?;
        let mut frame = Frame::clone(&picture);
        // As planned, not as the shown frame was in its own place: where the rate varies, both may differ.
        frame.duration = self.clock.duration_of(output);
        self.fills.lay(&mut frame, output)?;
        if let (Some(mouth), Some(placement)) = (
            self.mouths.at(output)?,
            self.heads.placement_at(self.pictures, output),
        ) {
            if mouth.change {
                self.lender.lay(&mut frame, output)?;
                if !self.mouths.only_lent() {
                    retouch::add(&mut frame, &placement, &mouth, self.size)?;
                }
            } else {
                self.composer.lay(&mut frame, &placement, &mouth, output)?;
            }
        }
        self.heads.check()?;
        Ok(frame)
    }
}
