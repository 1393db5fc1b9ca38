//! Laying a made mouth over its frame: colour and grain as recorded, a border that nobody sees.

use super::lips::Mouth;
use crate::ProjectError;
use face::Rect;
use face::crop::Placement;
use media::Frame;
use media::compose::{Feather, Mask, SizeError, blend_border, match_grain};
use units::FrameIndex;

/// The part of the crop that is taken from the model, in crop units: an ellipse around lips and chin. Cheeks and what
/// lies behind the head stay as recorded.
const CENTRE: (f32, f32) = (0.5, 0.71);
const RADII: (f32, f32) = (0.31, 0.26);

/// Over which part of the crop's side the border fades.
const FEATHER: f32 = 0.12;

/// Crop pixels over which the border's difference is averaged before it is spread inwards.
const SMOOTH: usize = 12;

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
    // A crop that is recorded everywhere but in the box, so that the box has surroundings to be fitted to.
    let mut made = recorded.clone();
    for y in 0..height {
        for x in 0..width {
            made.set_pixel(mouth.x + x, mouth.y + y, mouth.image.pixel(x, y));
        }
    }
    let edges = [mouth.x, mouth.y, mouth.x + width, mouth.y + height].map(|pixels| pixels as f32);
    let [left, top, right, bottom] = edges;
    let mask = mask(size, (left, top, right, bottom));
    let made = blend_border(&made, &recorded, &mask, SMOOTH)
        .and_then(|made| {
            match_grain(
                &made,
                &recorded,
                &mask,
                seed.wrapping_mul(0x9e37_79b9).wrapping_add(output.0),
            )
        })
        .map_err(|error: SizeError| ProjectError::fault("render", error))?;
    let unit = 1.0 / size as f32;
    let area = Rect::new(left * unit, top * unit, right * unit, bottom * unit);
    let Some(mut patch) = placement.paste(&made, &area, FEATHER, frame.width(), frame.height())
    else {
        return Ok(());
    };
    let columns = patch.image.width.max(1);
    for (index, alpha) in patch.alpha.iter_mut().enumerate() {
        let centre = [
            (patch.x + index % columns) as f32 + 0.5,
            (patch.y + index / columns) as f32 + 0.5,
        ];
        let [u, v] = placement.to_unit(centre);
        *alpha = sample(&mask, u * size as f32 - 0.5, v * size as f32 - 0.5);
    }
    frame
        .put_region_rgb(patch.x as i64, patch.y as i64, &patch.image, &patch.alpha)
        .map_err(|error| ProjectError::fault("render", error))
}

/// The soft ellipse around the mouth, inside the made box (crop pixels).
fn mask(size: usize, made: (f32, f32, f32, f32)) -> Mask {
    let side = size as f32;
    let ellipse = Mask::ellipse(
        size,
        size,
        (CENTRE.0 * side, CENTRE.1 * side),
        (RADII.0 * side, RADII.1 * side),
    );
    let inside = ellipse.and(&Mask::rectangle(size, size, made));
    Feather {
        radius: FEATHER * side,
    }
    .apply(&inside)
}

/// The mask between its pixels; zero outside.
fn sample(mask: &Mask, x: f32, y: f32) -> f32 {
    if x < 0.0 || y < 0.0 {
        return 0.0;
    }
    let (left, top) = (x.floor(), y.floor());
    let (right, down) = (x - left, y - top);
    let at = |dx: usize, dy: usize| mask.get(left as usize + dx, top as usize + dy);
    let upper = at(0, 0) * (1.0 - right) + at(1, 0) * right;
    let lower = at(0, 1) * (1.0 - right) + at(1, 1) * right;
    upper * (1.0 - down) + lower * down
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_covers_the_lips_and_leaves_cheeks_and_border() {
        let mask = mask(256, (32.0, 128.0, 224.0, 256.0));
        let at = |u: f32, v: f32| sample(&mask, u * 256.0, v * 256.0);
        assert!(at(0.5, 0.71) > 0.99 && at(0.40, 0.71) > 0.9 && at(0.5, 0.80) > 0.9);
        assert!(at(0.15, 0.7) == 0.0 && at(0.5, 0.45) == 0.0 && at(0.5, 0.99) == 0.0);
    }
}
