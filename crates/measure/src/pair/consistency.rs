//! `VBench`'s consistencies (Huang et al. 2024): how alike a clip's frames stay, by the features of an image network.
//!
//! Procedure of `vbench/{subject,background}_consistency.py`: from the second frame on, the mean of two cosines, with the
//! frame before and with the first, each at least 0; the mean over these frames. Frames are resized as torchvision's
//! `Resize` does it to bytes without antialiasing, which that program asks for: it aliases on purpose.

use super::features::cosine;
use crate::MeasureError;
use crate::picture::channel;
use candle_core::{Device, Tensor};
use media::image::Rgb8;
use models::interpolate::{Kernel, resize};

/// The shorter side of the networks' pictures.
const SIDE: usize = 224;

/// Mean and deviation of red, green and blue that DINO was trained with (`ImageNet`'s).
const DINO: [[f32; 2]; 3] = [[0.485, 0.229], [0.456, 0.224], [0.406, 0.225]];

/// The same for CLIP.
const CLIP: [[f32; 2]; 3] = [
    [0.481_454_66, 0.268_629_54],
    [0.457_827_5, 0.261_302_6],
    [0.408_210_73, 0.275_777_1],
];

/// What was seen of a clip so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Consistency {
    first: Option<Vec<f32>>,
    before: Option<Vec<f32>>,
    sum: f64,
    count: u64,
}

impl Consistency {
    /// Takes the next frame's features, of length 1.
    pub(crate) fn push(&mut self, features: Vec<f32>) {
        if let (Some(first), Some(before)) = (&self.first, &self.before) {
            let alike = |other: &[f32]| cosine(other, &features).max(0.0);
            self.sum += f64::midpoint(alike(before), alike(first));
            self.count += 1;
        }
        self.first.get_or_insert_with(|| features.clone());
        self.before = Some(features);
    }

    /// The mean; a single frame has none.
    pub(crate) fn mean(&self) -> Result<f64, String> {
        match (self.count, &self.first) {
            (0, None) => Err("there are no frames".to_owned()),
            (0, Some(_)) => Err("a single frame has nothing to be consistent with".to_owned()),
            (count, _) => Ok(self.sum / count as f64),
        }
    }
}

/// DINO's picture `[1, 3, H, W]`: the shorter side 224, nothing cut off.
pub(crate) fn dino_picture(image: &Rgb8) -> Result<Tensor, MeasureError> {
    let (width, height) = shorter_side(image.width, image.height);
    let planes = resized(image, width, height, Kernel::Bilinear);
    scaled(&planes, width, height, DINO)
}

/// CLIP's picture `[1, 3, 224, 224]`: the shorter side 224, the middle of the longer.
pub(crate) fn clip_picture(image: &Rgb8) -> Result<Tensor, MeasureError> {
    let (width, height) = shorter_side(image.width, image.height);
    let planes = resized(image, width, height, Kernel::Bicubic);
    let cut = |long: usize| ((long - SIDE) as f64 / 2.0).round_ties_even() as usize;
    let (left, top) = (cut(width), cut(height));
    let middle: Vec<f32> = planes
        .chunks_exact((width * height).max(1))
        .flat_map(|plane| plane.chunks_exact(width).skip(top).take(SIDE))
        .flat_map(|row| row.iter().skip(left).take(SIDE).copied())
        .collect();
    scaled(&middle, SIDE, SIDE, CLIP)
}

/// Width and height with the shorter one 224, the longer rounded down.
fn shorter_side(width: usize, height: usize) -> (usize, usize) {
    let longer = |long: usize, short: usize| SIDE * long / short.max(1);
    if width <= height {
        (SIDE, longer(height, width))
    } else {
        (longer(width, height), SIDE)
    }
}

/// Planes of red, green and blue, whole levels of 0..255.
fn resized(image: &Rgb8, width: usize, height: usize, kernel: Kernel) -> Vec<f32> {
    let (from, to) = ((image.height, image.width), (height, width));
    (0..3)
        .flat_map(|index| {
            let plane = channel(image, index);
            if from == to {
                return plane;
            }
            resize(&plane, from, to, None, kernel)
                .into_iter()
                .map(|value| value.clamp(0.0, 255.0).round_ties_even())
                .collect()
        })
        .collect()
}

fn scaled(
    planes: &[f32],
    width: usize,
    height: usize,
    statistics: [[f32; 2]; 3],
) -> Result<Tensor, MeasureError> {
    let values: Vec<f32> = planes
        .chunks_exact((width * height).max(1))
        .zip(statistics)
        .flat_map(|(plane, [mean, deviation])| {
            plane.iter().map(move |v| (v / 255.0 - mean) / deviation)
        })
        .collect();
    Ok(Tensor::from_vec(
        values,
        (1, 3, height, width),
        &Device::Cpu,
    )?)
}

#[cfg(test)]
mod tests {
    use super::{Consistency, clip_picture, dino_picture, shorter_side};
    use media::image::Rgb8;

    #[test]
    fn a_still_clip_is_wholly_consistent_and_one_frame_says_nothing() {
        let mut still = Consistency::default();
        assert!(still.mean().unwrap_err().contains("no frames"));
        still.push(vec![0.6, 0.8]);
        assert!(still.mean().unwrap_err().contains("single frame"));
        still.push(vec![0.6, 0.8]);
        assert!((still.mean().unwrap() - 1.0).abs() < 1e-6);
        // Half a turn away counts as 0, not as -1; back at the first: (0 + 1) / 2.
        still.push(vec![-0.6, -0.8]);
        still.push(vec![0.6, 0.8]);
        assert!((still.mean().unwrap() - (1.0 + 0.0 + 0.5) / 3.0).abs() < 1e-6);
    }

    #[test]
    fn the_shorter_side_is_224() {
        assert_eq!(shorter_side(1280, 720), (398, 224));
        assert_eq!(shorter_side(720, 1280), (224, 398));
        assert_eq!(shorter_side(224, 224), (224, 224));
        assert_eq!(shorter_side(100, 90), (248, 224));
    }

    /// The script's picture of 300 x 250: `(x * 7 + y * 13 + c * 50 + x * y // 9) mod 256`.
    fn picture() -> Rgb8 {
        let mut image = Rgb8::new(300, 250);
        for y in 0..250 {
            for x in 0..300 {
                let value = |c: usize| ((x * 7 + y * 13 + c * 50 + x * y / 9) % 256) as u8;
                image.set_pixel(x, y, [value(0), value(1), value(2)]);
            }
        }
        image
    }

    #[test]
    fn pictures_are_torchvisions() {
        let image = picture();
        for (found, places, wanted, sum) in [
            (
                dino_picture(&image).unwrap(),
                DINO_AT,
                DINO_VALUES,
                DINO_SUM,
            ),
            (
                clip_picture(&image).unwrap(),
                CLIP_AT,
                CLIP_VALUES,
                CLIP_SUM,
            ),
        ] {
            let values = found.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (at, wanted) in places.into_iter().zip(wanted) {
                assert!((values[at] - wanted).abs() < 1e-4, "{at}: {}", values[at]);
            }
            let total: f64 = values.iter().map(|v| f64::from(v.abs())).sum();
            // A value in some thousands lies so near to a half that it is rounded the other way.
            assert!((total / sum - 1.0).abs() < 1e-5, "{total} {sum}");
        }
    }

    const DINO_AT: [usize; 8] = [0, 1, 223, 5000, 30011, 60123, 99999, 120_456];
    const DINO_VALUES: [f32; 8] = [
        -2.10078, -1.96378, 1.54679, -1.53566, -1.17604, 2.13095, 0.41527, -0.39268,
    ];
    const DINO_SUM: f64 = 170_654.362;
    const CLIP_AT: [usize; 8] = [0, 1, 223, 5000, 30011, 60123, 99999, 120_456];
    const CLIP_VALUES: [f32; 8] = [
        0.73327, 0.85005, 0.10553, -0.85796, -0.69738, 1.66967, -0.02620, 0.09821,
    ];
    const CLIP_SUM: f64 = 132_855.732;
}
