//! The boxes that may be made anew: lip, face, head, or the user's own.
//!
//! The named ones are fixed boxes of the head crop, so they follow the head but not the mouth:
//! a box that grew with the mouth would tell the model how far it was open.

use crate::crop::Placement;
use crate::geometry::Rect;
use std::ops::Range;
use units::{LatentIndex, TemporalStride};

/// Which part of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Region {
    /// The lower half of the face, from the nose down.
    Lip,
    /// The face from the brows to the chin.
    Face,
    /// The head with hair and neck.
    Head,
    /// The same box of every frame, frame pixels.
    Box(Rect),
}

/// Crop units (0..1) of [`Region::Lip`]: the model's mask.
const LIP: Rect = Rect {
    left: 0.125,
    top: 0.5,
    right: 0.875,
    bottom: 1.0,
};
/// Crop units of [`Region::Face`].
const FACE: Rect = Rect {
    left: 0.1,
    top: 0.22,
    right: 0.9,
    bottom: 1.0,
};
/// Crop units of [`Region::Head`].
const HEAD: Rect = Rect {
    left: -0.05,
    top: -0.15,
    right: 1.05,
    bottom: 1.1,
};

impl Region {
    /// The region of one frame in frame pixels, scaled about its centre (1 leaves it as it is).
    pub fn in_frame(self, place: &Placement, scale: f32) -> Rect {
        match self {
            Self::Lip => place.bounds(&LIP.scale(scale)),
            Self::Face => place.bounds(&FACE.scale(scale)),
            Self::Head => place.bounds(&HEAD.scale(scale)),
            Self::Box(area) => area.scale(scale),
        }
    }

    /// The region in crop units (0..1); `None` for a box of the frame.
    pub fn in_crop(self) -> Option<Rect> {
        match self {
            Self::Lip => Some(LIP),
            Self::Face => Some(FACE),
            Self::Head => Some(HEAD),
            Self::Box(_) => None,
        }
    }
}

/// The lower half of the face in frame pixels.
pub fn lip(place: &Placement) -> Rect {
    Region::Lip.in_frame(place, 1.0)
}

/// The face in frame pixels.
pub fn face(place: &Placement) -> Rect {
    Region::Face.in_frame(place, 1.0)
}

/// The head in frame pixels.
pub fn head(place: &Placement) -> Rect {
    Region::Head.in_frame(place, 1.0)
}

/// Per latent frame, the smallest box around those of its frames, grown by `margin` pixels; `None`
/// where none of them has one. `boxes` starts at frame 0 of the encoded sequence.
pub fn enclosing(boxes: &[Option<Rect>], stride: TemporalStride, margin: f32) -> Vec<Option<Rect>> {
    (0..stride.latents_for(boxes.len() as u64))
        .map(|latent| {
            let frames = stride.frames_of(LatentIndex(latent));
            let end = frames.end.as_usize().min(boxes.len());
            let group = boxes.get(frames.start.as_usize()..end)?;
            let around = group.iter().flatten().copied().reduce(|a, b| a.union(&b));
            around.map(|area| area.grow(margin))
        })
        .collect()
}

/// The cells that a box touches, of a grid of `columns` x `rows` cells of `cell` pixels:
/// `(columns, rows)`, half-open. A border that merely meets a cell's edge does not touch it.
pub fn cells(area: &Rect, cell: f32, columns: usize, rows: usize) -> (Range<usize>, Range<usize>) {
    let span = |low: f32, high: f32, count: usize| {
        let end = ((high / cell).ceil().max(0.0) as usize).min(count);
        let start = ((low / cell).floor().max(0.0) as usize).min(end);
        start..end
    };
    if area.is_empty() {
        return (0..0, 0..0);
    }
    (
        span(area.left, area.right, columns),
        span(area.top, area.bottom, rows),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crop::{CROP_SIZE, MASK};
    use proptest::prelude::*;

    fn rect() -> impl Strategy<Value = Rect> {
        (0.0_f32..200.0, 0.0_f32..200.0, 1.0_f32..60.0, 1.0_f32..60.0)
            .prop_map(|(x, y, w, h)| Rect::new(x, y, x + w, y + h))
    }

    proptest! {
        #[test]
        fn every_frame_lies_in_its_latents_box(
            boxes in prop::collection::vec(prop::option::weighted(0.9, rect()), 1..60), stride in 1_u32..9,
        ) {
            let stride = TemporalStride::new(stride).unwrap();
            let around = enclosing(&boxes, stride, 2.0);
            prop_assert_eq!(around.len() as u64, stride.latents_for(boxes.len() as u64));
            for (i, area) in boxes.iter().enumerate() {
                let latent = stride.latent_of(units::FrameIndex(i as u64)).as_usize();
                if let Some(area) = area {
                    let held = around[latent].unwrap().intersection(&area.grow(2.0));
                    prop_assert!((held.area() - area.grow(2.0).area()).abs() < 0.1);
                }
            }
        }

        #[test]
        fn cells_cover_the_box_and_no_cell_is_untouched(area in rect()) {
            let (columns, rows) = cells(&area, 32.0, 8, 8);
            let covered = Rect::new(
                columns.start as f32 * 32.0, rows.start as f32 * 32.0,
                columns.end as f32 * 32.0, rows.end as f32 * 32.0,
            );
            let inside = area.clamp(256, 256);
            prop_assert!(covered.grow(1e-3).contains([inside.left, inside.top]));
            prop_assert!(covered.grow(1e-3).contains([inside.right, inside.bottom]));
            for column in columns.clone() {
                let cell = Rect::new(column as f32 * 32.0, 0.0, (column + 1) as f32 * 32.0, 256.0);
                prop_assert!(!cell.intersection(&area).is_empty());
            }
        }

        #[test]
        fn regions_nest_and_scale(side in 60.0_f64..500.0, angle in -0.5_f64..0.5, factor in 1.1_f32..2.0) {
            let place = Placement { a: side * angle.cos(), b: side * angle.sin(), x: 100.0, y: 50.0 };
            let (lip, face, head) = (lip(&place), face(&place), head(&place));
            prop_assert!(head.area() > face.area() && face.area() > lip.area());
            prop_assert!(head.grow(0.01).intersection(&lip).area() > 0.99 * lip.area());
            let larger = Region::Lip.in_frame(&place, factor);
            prop_assert!((larger.width() / lip.width() - factor).abs() < 1e-2);
        }
    }

    #[test]
    fn the_lip_region_is_the_models_mask() {
        let unit = Region::Lip.in_crop().unwrap();
        let size = CROP_SIZE as f32;
        let pixels = Rect::new(
            unit.left * size,
            unit.top * size,
            unit.right * size,
            unit.bottom * size,
        );
        assert_eq!(pixels, MASK);
        assert_eq!(cells(&MASK, 32.0, 8, 8), (1..7, 4..8));
    }

    #[test]
    fn an_empty_box_touches_nothing() {
        assert_eq!(
            cells(&Rect::new(5.0, 5.0, 5.0, 9.0), 32.0, 8, 8),
            (0..0, 0..0)
        );
    }
}
