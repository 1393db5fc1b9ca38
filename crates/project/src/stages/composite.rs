//! Laying a made mouth over its frame: colour and grain as recorded, a border that nobody sees.

use super::lips::Mouth;
use crate::ProjectError;
use face::Rect;
use face::crop::Placement;
use media::Frame;
use media::compose::{Feather, match_colour, match_grain};
use media::image::RgbF32;
use units::FrameIndex;

/// Over which part of the crop's side the border fades.
const FEATHER: f32 = 0.09;

/// Puts a made mouth into a frame. `size` is the crop's side in pixels.
pub(crate) fn lay(
    frame: &mut Frame,
    placement: &Placement,
    mouth: &Mouth,
    size: usize,
    output: FrameIndex,
    seed: u64,
) -> Result<(), ProjectError> {
    let recorded = placement.extract(&frame.to_rgb8(), size).to_f32();
    let (width, height) = (mouth.image.width, mouth.image.height);
    let around = recorded.crop(mouth.x as i64, mouth.y as i64, width, height);
    let feather = Feather::new(width, height, FEATHER * size as f32);
    let made = match_colour(&mouth.image, &around, feather.border());
    let made = match_grain(&made, &around, feather.border(), seed ^ output.0);

    // A crop that is recorded everywhere but in the box, so that resampling at the box's edge finds recorded pixels.
    let mut crop = recorded;
    for y in 0..height {
        for x in 0..width {
            crop.set_pixel(mouth.x + x, mouth.y + y, made.pixel(x, y));
        }
    }
    let unit = |pixels: usize| pixels as f32 / size as f32;
    let area = Rect::new(
        unit(mouth.x),
        unit(mouth.y),
        unit(mouth.x + width),
        unit(mouth.y + height),
    );
    put(frame, placement, &crop, &area)
}

fn put(frame: &mut Frame, placement: &Placement, crop: &RgbF32, area: &Rect) -> Result<(), ProjectError> {
    let Some(patch) = placement.paste(crop, area, FEATHER, frame.width(), frame.height()) else {
        return Ok(());
    };
    frame
        .put_region_rgb(patch.x as i64, patch.y as i64, &patch.image, &patch.alpha)
        .map_err(|error| ProjectError::fault("render", error))
}
