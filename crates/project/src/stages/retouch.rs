//! What the model changes about a frame's lips, laid over the frame at its own resolution.

use super::lips::Mouth;
use crate::ProjectError;
use face::Rect;
use face::crop::Placement;
use media::Frame;
use media::image::RgbF32;

/// Over which part of the crop's side the change fades in from the made box's border.
const FEATHER: f32 = 0.1;

/// Crop pixels whose change is taken as one.
const COARSE: usize = 2;

/// Adds a change to a frame. `size` is the crop's side in pixels.
pub(crate) fn add(
    frame: &mut Frame,
    placement: &Placement,
    mouth: &Mouth,
    size: usize,
) -> Result<(), ProjectError> {
    let (width, height) = (mouth.image.width, mouth.image.height);
    // Detail is the lent lips'; what the small model adds to it is the pattern of its cells.
    let coarse = mouth.image.resize(width / COARSE, height / COARSE);
    let smooth = coarse.resize(width, height);
    let mut change = RgbF32::new(size, size);
    for y in 0..height {
        for x in 0..width {
            change.set_pixel(mouth.x + x, mouth.y + y, smooth.pixel(x, y));
        }
    }
    let unit = 1.0 / size as f32;
    let edges = [mouth.x, mouth.y, mouth.x + width, mouth.y + height];
    let [left, top, right, bottom] = edges.map(|pixels| pixels as f32 * unit);
    let area = Rect::new(left, top, right, bottom);
    let patch = placement.paste(&change, &area, FEATHER, frame.width(), frame.height());
    let Some(mut patch) = patch else {
        return Ok(());
    };
    let (x, y) = (patch.x as i64, patch.y as i64);
    let shown = frame.region_rgb(x, y, patch.image.width, patch.image.height);
    let pixels = patch.image.data.chunks_exact_mut(3);
    for ((changed, shown), alpha) in pixels.zip(shown.data.chunks_exact(3)).zip(&mut patch.alpha) {
        for (value, shown) in changed.iter_mut().zip(shown) {
            *value = shown + *value * *alpha;
        }
        *alpha = f32::from(u8::from(*alpha > 0.0));
    }
    frame
        .put_region_rgb(x, y, &patch.image, &patch.alpha)
        .map_err(|error| ProjectError::fault("render", error))
}
