//! A run of frames of a clip.

use super::Clip;
use crate::MediaError;
use crate::decode::FrameSource;
use crate::frame::Frame;
use crate::info::VideoInfo;
use crate::libav::Picture;
use crate::sandbox::{Backend, ChildStream};
use std::ops::Range;
use std::sync::Arc;
use units::FrameIndex;

enum Source {
    Here(Box<FrameSource>),
    Child(ChildStream),
    Nothing,
}

/// An iterator over the frames of a range, in order. After an error it ends.
pub struct FrameReader {
    clip: Clip,
    source: Source,
    next: FrameIndex,
    end: FrameIndex,
    repaired: u64,
}

impl FrameReader {
    pub(super) fn open(
        clip: &Clip,
        info: &VideoInfo,
        range: Range<FrameIndex>,
    ) -> Result<Self, MediaError> {
        let source = if range.is_empty() {
            Source::Nothing
        } else {
            let request = clip.frames_request(info, &range)?;
            match clip.backend() {
                Backend::InProcess { file, .. } => {
                    let source =
                        FrameSource::open(Arc::clone(file), request).map_err(|failure| {
                            clip.decode_error(failure, info.times.start(range.start))
                        })?;
                    Source::Here(Box::new(source))
                }
                Backend::Child(child) => Source::Child(child.frames(&request)?),
            }
        };
        Ok(Self {
            clip: clip.clone(),
            source,
            next: range.start,
            end: range.end,
            repaired: 0,
        })
    }

    /// The frame that comes next.
    pub fn position(&self) -> FrameIndex {
        self.next
    }

    /// Frames so far that could not be decoded and for which a neighbour stands.
    pub fn repaired(&self) -> u64 {
        self.repaired
    }

    fn picture(&mut self) -> Result<Option<(Picture, bool)>, MediaError> {
        match &mut self.source {
            Source::Nothing => Ok(None),
            Source::Here(source) => source.next().map_err(|failure| {
                let at = self
                    .clip
                    .info()
                    .video
                    .as_ref()
                    .map_or(units::Seconds::ZERO, |info| info.times.start(self.next));
                self.clip.decode_error(failure, at)
            }),
            Source::Child(stream) => stream.picture(),
        }
    }

    fn read(&mut self) -> Result<Option<Frame>, MediaError> {
        if self.next >= self.end {
            return Ok(None);
        }
        let Some((picture, exact)) = self.picture()? else {
            return Ok(None);
        };
        let info = self.clip.video()?;
        let frame = Frame::from_planes(
            picture.width,
            picture.height,
            picture.format,
            picture.planes,
            info.colour,
        );
        let mut frame = frame.map_err(|error| MediaError::Decode {
            path: self.clip.info().path.clone(),
            at: info.times.start(self.next),
            reason: error.to_string(),
        })?;
        frame.rotation = info.rotation;
        frame.time = info.times.start(self.next);
        frame.duration = info.times.duration(self.next);
        if !exact {
            tracing::warn!("{} can't be decoded; its neighbour stands in", self.next);
            self.repaired += 1;
        }
        self.next = self.next.next();
        Ok(Some(frame))
    }
}

impl Iterator for FrameReader {
    type Item = Result<Frame, MediaError>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.read().transpose();
        if matches!(result, None | Some(Err(_))) {
            self.next = self.end;
            self.source = Source::Nothing;
        }
        result
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end.since(self.next) as usize;
        (0, Some(left))
    }
}
