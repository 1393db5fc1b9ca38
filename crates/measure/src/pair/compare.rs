//! One made frame beside one recorded frame.

use super::copies::{Patch, Seen, is_copied};
use super::mask::{Mask, Outside, outside};
use crate::picture::{luma, same_size, squared_error, ssim, ssim_luma, ssim_rgb};
use face::Placement;
use face::crop::{CROP_SIZE, MASK};
use media::image::Rgb8;

/// Which of the pixel metrics to compute.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FrameWants {
    pub(crate) psnr: bool,
    pub(crate) ssim: bool,
    pub(crate) ssim_rgb: bool,
    pub(crate) mouth: bool,
    pub(crate) mouth_ssim: bool,
    pub(crate) outside: bool,
    pub(crate) flicker: bool,
}

impl FrameWants {
    pub(crate) fn any(self) -> bool {
        self.psnr
            || self.ssim
            || self.ssim_rgb
            || self.mouth
            || self.mouth_ssim
            || self.outside
            || self.flicker
    }
}

/// What two frames have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct FrameScores {
    pub(crate) same_size: bool,
    /// What tells a copy; of pictures of one size.
    pub(crate) seen: Option<Seen>,
    pub(crate) squared_error: u64,
    pub(crate) values: u64,
    pub(crate) ssim: Option<f64>,
    pub(crate) ssim_rgb: Option<f64>,
    /// Squared error and number of values in the made box of the crop.
    pub(crate) mouth: Option<(u64, u64)>,
    pub(crate) mouth_ssim: Option<f64>,
    pub(crate) outside: Option<Outside>,
    /// Difference of luma along the border of the made box, at the places of the ring.
    pub(crate) border: Option<Vec<f32>>,
}

/// Compares two frames; `place` is the head crop of the reference.
pub(crate) fn compare(
    made: &Rgb8,
    reference: &Rgb8,
    place: Option<&Placement>,
    mask: &Mask,
    ring: &[usize],
    wants: FrameWants,
) -> FrameScores {
    let (frame, original) = (made, reference);
    let mut scores = FrameScores {
        same_size: same_size(made, reference),
        ..FrameScores::default()
    };
    if scores.same_size {
        if wants.psnr {
            scores.squared_error = squared_error(&made.data, &reference.data);
            scores.values = made.data.len() as u64;
        }
        if wants.ssim {
            scores.ssim = ssim_luma(made, reference);
        }
        if wants.ssim_rgb {
            scores.ssim_rgb = ssim_rgb(made, reference);
        }
        if wants.outside {
            scores.outside = outside(mask, place, made, reference);
        }
    }
    if let Some(place) = place
        && scores.same_size
        && (wants.mouth || wants.mouth_ssim || wants.flicker)
    {
        let crops = [made, reference].map(|frame| place.extract(frame, CROP_SIZE));
        let [made, reference] = &crops;
        if wants.mouth || wants.mouth_ssim {
            let boxes = [made, reference].map(mouth_box);
            let [a, b] = &boxes;
            scores.mouth = Some((squared_error(&a.data, &b.data), a.data.len() as u64));
            if wants.mouth_ssim {
                scores.mouth_ssim = ssim(&luma(a), &luma(b), a.width, a.height);
            }
        }
        if wants.flicker {
            let (a, b) = (luma(made), luma(reference));
            scores.border = Some(
                ring.iter()
                    .map(|at| a.get(*at).zip(b.get(*at)).map_or(0.0, |(a, b)| a - b))
                    .collect(),
            );
        }
    }
    if scores.same_size && wants.psnr {
        let mouths = place.map(|place| [frame, original].map(|frame| Patch::at(frame, place)));
        let near = mouths.is_none().then(|| is_copied(frame, original));
        scores.seen = Some(Seen {
            equal: scores.squared_error == 0,
            mouths,
            near,
        });
    }
    scores
}

/// The made box of a head crop.
fn mouth_box(crop: &Rgb8) -> Rgb8 {
    crop.crop(
        MASK.left as i64,
        MASK.top as i64,
        MASK.width() as usize,
        MASK.height() as usize,
    )
}

#[cfg(test)]
mod tests {
    use super::{FrameWants, compare};
    use crate::pair::mask::{Mask, ring};
    use face::Placement;
    use media::image::Rgb8;

    const ALL: FrameWants = FrameWants {
        psnr: true,
        ssim: true,
        ssim_rgb: true,
        mouth: true,
        mouth_ssim: true,
        outside: true,
        flicker: true,
    };

    #[test]
    fn a_changed_mouth_counts_in_the_mouth_and_not_outside() {
        let mut reference = Rgb8::new(300, 300);
        for (at, value) in reference.data.iter_mut().enumerate() {
            *value = (at * 37 % 251) as u8;
        }
        let place = Placement {
            a: 256.0,
            b: 0.0,
            x: 20.0,
            y: 10.0,
        };
        let ring = ring();
        let same = compare(
            &reference,
            &reference,
            Some(&place),
            &Mask::MadeBox,
            &ring,
            ALL,
        );
        assert_eq!(
            (same.squared_error, same.mouth),
            (0, Some((0, 192 * 128 * 3)))
        );
        assert!(same.border.unwrap().iter().all(|v| *v == 0.0));
        let mut made = reference.clone();
        for y in 180..240 {
            for x in 100..200 {
                made.set_pixel(x, y, [0, 0, 0]);
            }
        }
        let scores = compare(&made, &reference, Some(&place), &Mask::MadeBox, &ring, ALL);
        assert!(scores.squared_error > 0 && scores.mouth.unwrap().0 > 0);
        assert!(scores.mouth_ssim.unwrap() < scores.ssim.unwrap());
        assert_eq!(scores.outside.unwrap().max, 0);
        let small = Rgb8::new(20, 20);
        let other = compare(&small, &reference, Some(&place), &Mask::MadeBox, &ring, ALL);
        assert!(!other.same_size && other.mouth.is_none());
    }
}
