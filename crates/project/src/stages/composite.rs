//! Laying a made mouth over its frame: colour and grain as recorded, a border that nobody sees.

use super::lips::Mouth;
use crate::ProjectError;
use face::crop::Placement;
use media::Frame;
use media::compose::{Feather, Fitting, Mask};
use media::image::RgbF32;
use units::FrameIndex;

/// The part of the crop that is taken from the model, in crop units: an ellipse around lips and chin. Cheeks and what
/// lies behind the head stay as recorded.
const CENTRE: (f32, f32) = (0.5, 0.71);
const RADII: (f32, f32) = (0.31, 0.26);

/// Over which part of the crop's side the border fades.
const FEATHER: f32 = 0.12;

/// Crop pixels over which the border's difference is averaged before it is spread inwards.
const SMOOTH: usize = 12;

/// Crop pixels around the mask that are looked at: for its border, and for the grain of the skin around it.
const SURROUNDINGS: usize = 24;

/// A box in crop pixels: x, y, width, height.
type Area = (usize, usize, usize, usize);

/// Lays made mouths over their frames. What all mouths of a job share is computed with the first one.
pub(crate) struct Composer {
    /// The crop's side in pixels.
    size: usize,
    seed: u64,
    prepared: Option<Prepared>,
}

/// What depends only on where mouths are made in the crop.
struct Prepared {
    /// The box that mouths are made in.
    made: Area,
    /// The part of the crop that is looked at.
    window: Area,
    fitting: Fitting,
    picture: RgbF32,
}

impl Composer {
    /// For crops of `size` pixels; the seed is that of the grain.
    pub(crate) fn new(size: usize, seed: u64) -> Self {
        Self {
            size,
            seed,
            prepared: None,
        }
    }

    /// Puts a made mouth into a frame.
    pub(crate) fn lay(
        &mut self,
        frame: &mut Frame,
        placement: &Placement,
        mouth: &Mouth,
        output: FrameIndex,
    ) -> Result<(), ProjectError> {
        let size = self.size;
        let made = (mouth.x, mouth.y, mouth.image.width, mouth.image.height);
        let prepared = match self.prepared.take() {
            Some(prepared) if prepared.made == made => self.prepared.insert(prepared),
            _ => self.prepared.insert(Prepared::new(size, made)),
        };
        let Prepared {
            window,
            fitting,
            picture,
            ..
        } = prepared;
        let recorded = placement.extract_part(frame, size, *window);
        // Recorded everywhere but in the box, so that the box has surroundings to be fitted to.
        for (value, &recorded) in picture.data.iter_mut().zip(&recorded.data) {
            *value = f32::from(recorded) / 255.0;
        }
        copy(&mouth.image, made, picture, *window);
        let seed = self.seed.wrapping_mul(0x9e37_79b9).wrapping_add(output.0);
        fitting
            .fit(picture, &recorded, seed)
            .map_err(|error| ProjectError::fault("render", error))?;
        let origin = (window.0, window.1);
        let (width, height) = (frame.width(), frame.height());
        let mask = fitting.mask();
        let Some(patch) = placement.paste_masked(picture, mask, origin, size, width, height) else {
            return Ok(());
        };
        frame
            .put_region_rgb(patch.x as i64, patch.y as i64, &patch.image, &patch.alpha)
            .map_err(|error| ProjectError::fault("render", error))
    }
}

impl Prepared {
    fn new(size: usize, made: Area) -> Self {
        let mask = mask(size, made);
        let (x, y, width, height) = mask.bounds().unwrap_or((0, 0, 1, 1));
        let (left, top) = (
            x.saturating_sub(SURROUNDINGS),
            y.saturating_sub(SURROUNDINGS),
        );
        let window = (
            left,
            top,
            (x + width + SURROUNDINGS).min(size) - left,
            (y + height + SURROUNDINGS).min(size) - top,
        );
        let inside = Mask::from_fn(window.2, window.3, |x, y| {
            mask.get(left + x as usize, top + y as usize)
        });
        Self {
            made,
            window,
            fitting: Fitting::new(inside, SMOOTH),
            picture: RgbF32::new(window.2, window.3),
        }
    }
}

/// Copies what two boxes of the crop have in common from one box's picture into the other's.
fn copy(from: &RgbF32, (x, y, width, height): Area, to: &mut RgbF32, window: Area) {
    let left = x.max(window.0);
    let right = (x + width).min(window.0 + window.2);
    for row in y.max(window.1)..(y + height).min(window.1 + window.3) {
        let source = ((row - y) * width + left - x) * 3;
        let target = ((row - window.1) * window.2 + left - window.0) * 3;
        let length = right.saturating_sub(left) * 3;
        if let (Some(source), Some(target)) = (
            from.data.get(source..source + length),
            to.data.get_mut(target..target + length),
        ) {
            target.copy_from_slice(source);
        }
    }
}

/// The soft ellipse around the mouth, inside the made box.
fn mask(size: usize, (x, y, width, height): Area) -> Mask {
    let side = size as f32;
    let ellipse = Mask::ellipse(
        size,
        size,
        (CENTRE.0 * side, CENTRE.1 * side),
        (RADII.0 * side, RADII.1 * side),
    );
    let [left, top, right, bottom] = [x, y, x + width, y + height].map(|pixels| pixels as f32);
    let made = Mask::rectangle(size, size, (left, top, right, bottom));
    Feather {
        radius: FEATHER * side,
    }
    .apply(&ellipse.and(&made))
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::PixelFormat;
    use media::info::{ColourTags, Rotation};

    #[test]
    fn the_mask_covers_the_lips_and_leaves_cheeks_and_border() {
        let mask = mask(256, (32, 128, 192, 128));
        let at = |u: f32, v: f32| mask.get((u * 256.0) as usize, (v * 256.0) as usize);
        assert!(at(0.5, 0.71) > 0.99 && at(0.40, 0.71) > 0.9 && at(0.5, 0.80) > 0.9);
        assert!(at(0.15, 0.7) == 0.0 && at(0.5, 0.45) == 0.0 && at(0.5, 0.99) == 0.0);
    }

    #[test]
    fn a_mouth_lands_where_the_crop_lies_and_nowhere_else() {
        let grey = RgbF32::filled(320, 240, [0.5; 3]);
        let frame = Frame::from_rgb(
            &grey,
            PixelFormat::YUV420,
            ColourTags::default(),
            Rotation::None,
        );
        let before = frame.unwrap();
        let placement = Placement {
            a: 160.0,
            b: 0.0,
            x: 80.0,
            y: 40.0,
        };
        let mut image = RgbF32::filled(192, 128, [0.5; 3]);
        for y in 40..70 {
            for x in 80..112 {
                image.set_pixel(x, y, [1.0, 0.2, 0.2]);
            }
        }
        let mouth = Mouth {
            x: 32,
            y: 128,
            image,
            change: false,
        };
        let mut composer = Composer::new(256, 7);
        let mut twice = Vec::new();
        for _ in 0..2 {
            let mut after = before.clone();
            composer
                .lay(&mut after, &placement, &mouth, FrameIndex(3))
                .unwrap();
            // The red patch: crop (112..144, 168..198), in the frame at 0.625 of that.
            let red = after.to_rgb8().pixel(160, 40 + 114);
            assert!(red[0] > 220 && red[1] < 90, "{red:?}");
            for (x, y) in [(20, 20), (90, 100), (160, 100), (100, 190), (300, 154)] {
                assert_eq!(after.to_rgb8().pixel(x, y), before.to_rgb8().pixel(x, y));
            }
            twice.push(after);
        }
        assert_eq!(
            twice[0].planes(),
            twice[1].planes(),
            "one seed, one picture"
        );
    }
}
