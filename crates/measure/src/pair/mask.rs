//! The part of the picture that may have been made anew.

use face::Placement;
use face::crop::{CROP_SIZE, MASK};
use face::geometry::Rect;
use media::image::Rgb8;

/// Where the made clip may differ from the reference.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Mask {
    /// The made box of the reference's head crop, grown by 8 of its 256 pixels.
    #[default]
    MadeBox,
    /// Boxes in pixels of the frame: `[x, y, width, height]`.
    Boxes(Vec<[u32; 4]>),
}

/// The made box is grown by so much on each side (crop pixels, of 256): its border is soft and codecs smear.
pub(super) const MARGIN: f32 = 8.0;

/// Half the width of the band along the made box in which flicker is measured, crop pixels.
pub(super) const BAND: f32 = 6.0;

/// Differences outside of a mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outside {
    /// The largest difference of a channel, levels.
    pub(crate) max: u8,
    pub(crate) squared_error: u64,
    /// Channels compared.
    pub(crate) values: u64,
}

/// Compares what lies outside. `None` where the mask needs a face and there is none, or sizes differ.
pub(crate) fn outside(
    mask: &Mask,
    place: Option<&Placement>,
    made: &Rgb8,
    reference: &Rgb8,
) -> Option<Outside> {
    if !crate::picture::same_size(made, reference) {
        return None;
    }
    let grown = MASK.grow(MARGIN).scaled_to_units();
    let mut result = Outside::default();
    for (y, (a, b)) in made
        .data
        .chunks_exact((made.width * 3).max(1))
        .zip(reference.data.chunks_exact((made.width * 3).max(1)))
        .enumerate()
    {
        let spans = match mask {
            Mask::MadeBox => vec![row_span(place?, &grown, y, made.width)],
            Mask::Boxes(boxes) => boxes
                .iter()
                .map(|area| box_span(*area, y, made.width))
                .collect(),
        };
        let mut from = 0;
        for (start, end) in merged(spans) {
            result.add(a, b, from, start);
            from = end.max(from);
        }
        result.add(a, b, from, made.width);
    }
    Some(result)
}

impl Outside {
    fn add(&mut self, a: &[u8], b: &[u8], from: usize, to: usize) {
        let part = |row: &[u8]| {
            row.get(from * 3..to * 3)
                .map(<[u8]>::to_vec)
                .unwrap_or_default()
        };
        if from >= to {
            return;
        }
        let (a, b) = (part(a), part(b));
        self.squared_error += crate::picture::squared_error(&a, &b);
        self.values += a.len() as u64;
        let max = a
            .iter()
            .zip(&b)
            .map(|(a, b)| a.abs_diff(*b))
            .max()
            .unwrap_or(0);
        self.max = self.max.max(max);
    }
}

trait Units {
    fn scaled_to_units(self) -> Self;
}

impl Units for Rect {
    /// From crop pixels to crop units.
    fn scaled_to_units(self) -> Self {
        let size = CROP_SIZE as f32;
        Self::new(
            self.left / size,
            self.top / size,
            self.right / size,
            self.bottom / size,
        )
    }
}

/// Columns of a row whose centres lie in a box given in crop units; the crop may be turned.
fn row_span(place: &Placement, area: &Rect, y: usize, width: usize) -> (usize, usize) {
    // Along a row the crop position moves on a line; each side of the box bounds the columns.
    let [u0, v0] = place.to_unit([0.5, y as f32 + 0.5]);
    let [u1, v1] = place.to_unit([1.5, y as f32 + 0.5]);
    let (mut low, mut high) = (0.0_f32, width as f32 - 1.0);
    for (start, slope, least, most) in [
        (u0, u1 - u0, area.left, area.right),
        (v0, v1 - v0, area.top, area.bottom),
    ] {
        if slope.abs() < 1e-9 {
            if start < least || start > most {
                return (0, 0);
            }
            continue;
        }
        let (a, b) = ((least - start) / slope, (most - start) / slope);
        low = low.max(a.min(b));
        high = high.min(a.max(b));
    }
    if low > high {
        return (0, 0);
    }
    (low.ceil() as usize, (high.floor() as usize + 1).min(width))
}

fn box_span([x, top, w, h]: [u32; 4], y: usize, width: usize) -> (usize, usize) {
    if (top as usize..(top as usize).saturating_add(h as usize)).contains(&y) {
        let start = (x as usize).min(width);
        (start, start.saturating_add(w as usize).min(width))
    } else {
        (0, 0)
    }
}

/// Spans without the empty ones, by their start.
fn merged(mut spans: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    spans.retain(|(start, end)| start < end);
    spans.sort_unstable();
    spans
}

/// Positions in the crop (row by row) that lie within [`BAND`] of the made box's border.
pub(crate) fn ring() -> Vec<usize> {
    let (outer, inner) = (MASK.grow(BAND), MASK.grow(-BAND));
    (0..CROP_SIZE * CROP_SIZE)
        .filter(|at| {
            let centre = [(at % CROP_SIZE) as f32 + 0.5, (at / CROP_SIZE) as f32 + 0.5];
            outer.contains(centre) && !inner.contains(centre)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Mask, outside, ring};
    use face::Placement;
    use media::image::Rgb8;

    const PLACE: Placement = Placement {
        a: 90.0,
        b: 20.0,
        x: 12.0,
        y: 3.0,
    };

    #[test]
    fn a_change_inside_the_box_is_not_seen_and_one_outside_is() {
        let reference = Rgb8::filled(120, 130, [90, 100, 110]);
        let mut made = reference.clone();
        let inside = PLACE.to_frame([0.5, 0.75]);
        made.set_pixel(inside[0] as usize, inside[1] as usize, [0, 0, 0]);
        let mask = Mask::MadeBox;
        let found = outside(&mask, Some(&PLACE), &made, &reference).unwrap();
        assert_eq!((found.max, found.squared_error), (0, 0));
        let beside = PLACE.to_frame([0.5, 0.2]);
        made.set_pixel(beside[0] as usize, beside[1] as usize, [90, 93, 110]);
        let found = outside(&mask, Some(&PLACE), &made, &reference).unwrap();
        assert_eq!((found.max, found.squared_error), (7, 49));
        assert_eq!(outside(&mask, None, &made, &reference), None);
    }

    #[test]
    fn every_pixel_is_inside_or_outside_by_its_centre() {
        let (black, white) = (Rgb8::new(120, 130), Rgb8::filled(120, 130, [1; 3]));
        let found = outside(&Mask::MadeBox, Some(&PLACE), &black, &white).unwrap();
        let mut wanted = 0;
        for y in 0..130 {
            for x in 0..120 {
                let [u, v] = PLACE.to_unit([x as f32 + 0.5, y as f32 + 0.5]);
                let (u, v) = (u * 256.0, v * 256.0);
                if !((24.0..=232.0).contains(&u) && (120.0..=264.0).contains(&v)) {
                    wanted += 3;
                }
            }
        }
        assert_eq!(found.values, wanted);
    }

    #[test]
    fn boxes_may_overlap_and_stick_out() {
        let (black, white) = (Rgb8::new(10, 10), Rgb8::filled(10, 10, [1; 3]));
        let mask = Mask::Boxes(vec![[2, 2, 4, 4], [4, 4, 100, 3]]);
        let found = outside(&mask, None, &black, &white).unwrap();
        assert_eq!(found.values, 3 * (100 - 16 - 6 * 3 + 2 * 2));
    }

    #[test]
    fn the_ring_lies_around_the_box() {
        let ring = ring();
        // 12 wide around 192 x 128, the lower side cut by the crop's end.
        assert!(ring.len() > 4000 && ring.len() < 8000, "{}", ring.len());
        assert!(ring.contains(&(128 * 256 + 100)) && !ring.contains(&(180 * 256 + 128)));
    }
}
