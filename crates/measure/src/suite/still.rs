//! The input with a mouth that stands still: what a system is worth that ignores the sound.

use crate::MeasureError;
use crate::watch::Watch;
use face::crop::{CROP_SIZE, MASK};
use face::geometry::Rect;
use face::track::Chosen;
use face::{FaceChoice, TrackOptions, Tracker};
use media::image::RgbF32;
use media::render::{BoxError, NewClip, RenderError, Sound, write_clip};
use media::{Clip, Frame, FrameReader, OpenOptions, Rotation};
use std::path::Path;
use units::FrameIndex;

/// Width of the soft border, crop units.
const FEATHER: f32 = 0.05;

/// Writes the input with the made box of its most closed mouth laid over every frame, without sound.
///
/// # Errors
/// When the input can't be read, has no face, or the output can't be written.
pub(super) fn still_mouth(
    input: &Path,
    output: &Path,
    open: OpenOptions,
    watch: &mut dyn Watch,
) -> Result<(), MeasureError> {
    let clip = Clip::open(input, &open)?;
    let video = clip.video()?;
    watch.begin("still", video.frames * 2);
    let chosen = follow(&clip, watch)?;
    let closed = (0..video.frames)
        .map(FrameIndex)
        .filter_map(|frame| Some((frame, opening(&chosen, frame)?)))
        .min_by(|(a, x), (b, y)| x.total_cmp(y).then(a.cmp(b)))
        .map(|(frame, _)| frame)
        .ok_or(face::FaceError::NoFace)?;
    let mouth = mouth_of(&clip, &chosen, closed)?.ok_or(face::FaceError::NoFace)?;
    let mut source = clip.all_frames()?;
    let turned = video.rotation != Rotation::None;
    let mut next = |index: FrameIndex| -> Result<Frame, BoxError> {
        let frame = laid_over(&mut source, &chosen, &mouth, index)?;
        // A new clip has no tag for turning: turned pictures are written upright.
        Ok(if turned {
            Frame::from_rgb(
                &frame.to_rgb_f32(),
                video.format,
                video.colour,
                Rotation::None,
            )?
        } else {
            frame
        })
    };
    let (width, height) = if turned {
        (video.width, video.height)
    } else {
        (video.coded_width, video.coded_height)
    };
    let new = NewClip {
        width: width as usize,
        height: height as usize,
        rate: video.rate,
        format: video.format,
        colour: video.colour,
    };
    let mut progress = |_| watch.advance(1);
    write_clip(
        &new,
        video.frames,
        &mut next,
        Sound::Silent,
        output,
        &mut progress,
    )
    .map_err(|error: RenderError| MeasureError::Made {
        system: "still mouth".to_owned(),
        clip: input.display().to_string(),
        reason: error.to_string(),
    })?;
    watch.end();
    Ok(())
}

fn follow(clip: &Clip, watch: &mut dyn Watch) -> Result<Chosen, MeasureError> {
    let mut tracker = Tracker::new(TrackOptions::new(clip.video()?.rate))?;
    let mut index = FrameIndex::ZERO;
    for frame in clip.all_frames()? {
        tracker.push(index, &frame?.to_rgb8())?;
        index = index.next();
        watch.advance(1);
        if watch.stopped() {
            return Err(MeasureError::Stopped);
        }
    }
    Ok(tracker.finish().choose(FaceChoice::Number(1), None)?)
}

/// The opening of a mouth that is seen from the front.
fn opening(chosen: &Chosen, frame: FrameIndex) -> Option<f32> {
    chosen
        .face(frame)
        .filter(|face| !face.bridged && !face.is_profile())
        .map(|face| face.mouth_opening())
}

fn mouth_of(
    clip: &Clip,
    chosen: &Chosen,
    frame: FrameIndex,
) -> Result<Option<RgbF32>, MeasureError> {
    let Some(place) = chosen.placement(frame) else {
        return Ok(None);
    };
    match clip.frames(frame..frame.next())?.next() {
        Some(picture) => Ok(Some(place.extract(&picture?.to_rgb8(), CROP_SIZE).to_f32())),
        None => Ok(None),
    }
}

/// The next frame with the mouth in its place; without a face it stays as it is.
fn laid_over(
    source: &mut FrameReader,
    chosen: &Chosen,
    mouth: &RgbF32,
    index: FrameIndex,
) -> Result<Frame, BoxError> {
    let mut frame = source.next().ok_or("the input ended early")??;
    let Some(place) = chosen.placement(index) else {
        return Ok(frame);
    };
    let size = CROP_SIZE as f32;
    let area = Rect::new(
        MASK.left / size,
        MASK.top / size,
        MASK.right / size,
        MASK.bottom / size,
    );
    if let Some(patch) = place.paste(mouth, &area, FEATHER, frame.width(), frame.height()) {
        frame.put_region_rgb(patch.x as i64, patch.y as i64, &patch.image, &patch.alpha)?;
    }
    Ok(frame)
}
