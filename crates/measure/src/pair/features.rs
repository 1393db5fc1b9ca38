//! What the image networks say of the pairs of frames, one after the other.

use crate::MeasureError;
use crate::frechet::Moments;
use crate::networks::Networks;
use crate::picture::resample::clean_resize;
use crate::picture::same_size;
use candle_core::{Device, Tensor};
use face::geometry::{Point, to_pixel_centres};
use face::mesh;
use media::image::{Affine, Rgb8};
use models::face_id::TEMPLATE;
use models::{i3d, inception};

/// Features of a whole set of clips, for the distances that belong to sets. Made clips first, the reference second.
#[derive(Clone, Debug, Default)]
pub struct FeatureSets {
    /// Inception's features of frames.
    pub frames: Option<[Moments; 2]>,
    /// I3D's logits of windows.
    pub windows: Option<[Moments; 2]>,
}

/// Which networks are asked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FeatureWants {
    pub(crate) lpips: bool,
    pub(crate) fid: bool,
    pub(crate) fvd: bool,
    pub(crate) identity: bool,
}

impl FeatureWants {
    pub(crate) fn any(self) -> bool {
        self.lpips || self.fid || self.fvd || self.identity
    }
}

/// Gathers features pair by pair; holds one window of small frames and one embedding a frame.
pub(crate) struct Features<'a> {
    networks: &'a Networks,
    wants: FeatureWants,
    pub(crate) sets: &'a mut FeatureSets,
    pub(crate) lpips: Vec<f64>,
    /// Frames of the window that is being filled, planes of 224 x 224.
    window: [Vec<Vec<f32>>; 2],
    /// Made and reference embeddings of length 1, one entry a pair.
    pub(crate) faces: Vec<[Option<Vec<f32>>; 2]>,
}

impl<'a> Features<'a> {
    pub(crate) fn new(
        networks: &'a Networks,
        wants: FeatureWants,
        sets: &'a mut FeatureSets,
    ) -> Self {
        Self {
            networks,
            wants,
            sets,
            lpips: Vec::new(),
            window: [Vec::new(), Vec::new()],
            faces: Vec::new(),
        }
    }

    /// Takes the next pair, with the faces' landmarks where they were seen.
    pub(crate) fn push(
        &mut self,
        frames: [&Rgb8; 2],
        landmarks: [Option<&[Point]>; 2],
    ) -> Result<(), MeasureError> {
        let device = Device::Cpu;
        let [made, reference] = frames;
        if let Some(net) = &self.networks.lpips
            && self.wants.lpips
            && same_size(made, reference)
        {
            let [one, two] = [made, reference].map(|frame| signed(frame, &device));
            self.lpips
                .extend(net.distance(&one?, &two?)?.iter().map(|d| f64::from(*d)));
        }
        if let Some(net) = &self.networks.inception
            && self.wants.fid
        {
            let side = inception::SIDE;
            let mut planes = Vec::new();
            for frame in frames {
                planes.extend(clean_resize(frame, side, side));
            }
            let input = Tensor::from_vec(planes, (2, 3, side, side), &device)?;
            let found = net
                .features(&input.affine(1.0 / 128.0, -1.0)?)?
                .to_vec2::<f32>()?;
            let sets = self
                .sets
                .frames
                .get_or_insert_with(|| [(); 2].map(|()| Moments::new(inception::FEATURES)));
            for (set, features) in sets.iter_mut().zip(&found) {
                set.push(features)?;
            }
        }
        if self.wants.fvd && self.networks.i3d.is_some() {
            for (window, frame) in self.window.iter_mut().zip(frames) {
                window.push(clean_resize(frame, i3d::SIDE, i3d::SIDE));
            }
            if self.window.iter().all(|window| window.len() == i3d::FRAMES) {
                self.close_window()?;
            }
        }
        if let Some(net) = &self.networks.face_id
            && self.wants.identity
        {
            let (width, height) = net.size();
            let mut found = [None, None];
            for ((place, frame), points) in found.iter_mut().zip(frames).zip(landmarks) {
                let Some(crop) = points.and_then(|points| aligned(frame, points, width, height))
                else {
                    continue;
                };
                let embedding = net
                    .embed(&planes(&crop, &device)?)?
                    .flatten_all()?
                    .to_vec1::<f32>()?;
                *place = unit_length(embedding);
            }
            self.faces.push(found);
        }
        Ok(())
    }

    fn close_window(&mut self) -> Result<(), MeasureError> {
        let Some(net) = &self.networks.i3d else {
            return Ok(());
        };
        let (side, frames) = (i3d::SIDE, i3d::FRAMES);
        let mut logits = Vec::new();
        for window in &mut self.window {
            let mut values: Vec<f32> = Vec::with_capacity(3 * frames * side * side);
            for channel in 0..3 {
                for frame in window.iter() {
                    values.extend(frame.iter().skip(channel * side * side).take(side * side));
                }
            }
            window.clear();
            let video = Tensor::from_vec(values, (1, 3, frames, side, side), &Device::Cpu)?;
            let found = net.logits(&video.affine(2.0 / 255.0, -1.0)?)?;
            logits.push(found.flatten_all()?.to_vec1::<f32>()?);
        }
        let dim = logits.first().map_or(0, Vec::len);
        let sets = self
            .sets
            .windows
            .get_or_insert_with(|| [(); 2].map(|()| Moments::new(dim)));
        for (set, logits) in sets.iter_mut().zip(&logits) {
            set.push(logits)?;
        }
        Ok(())
    }
}

/// `[1, 3, H, W]` in 0..255.
fn planes(image: &Rgb8, device: &Device) -> Result<Tensor, MeasureError> {
    let values: Vec<f32> = (0..3)
        .flat_map(|channel| crate::picture::channel(image, channel))
        .collect();
    Ok(Tensor::from_vec(
        values,
        (1, 3, image.height, image.width),
        device,
    )?)
}

/// `[1, 3, H, W]` in -1..1.
fn signed(image: &Rgb8, device: &Device) -> Result<Tensor, MeasureError> {
    Ok(planes(image, device)?.affine(2.0 / 255.0, -1.0)?)
}

/// Scaled to length 1; `None` for no length.
fn unit_length(mut embedding: Vec<f32>) -> Option<Vec<f32>> {
    let length = embedding.iter().map(|v| v * v).sum::<f32>().sqrt();
    if !length.is_finite() || length <= 0.0 {
        return None;
    }
    for value in &mut embedding {
        *value /= length;
    }
    Some(embedding)
}

/// Cosine of two embeddings of length 1.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}

/// A face turned, scaled and moved so that its eyes, nose and mouth lie on the template, in the least-squares sense.
pub(crate) fn aligned(frame: &Rgb8, points: &[Point], width: usize, height: usize) -> Option<Rgb8> {
    let middle = |a: usize, b: usize| -> Option<Point> {
        let (a, b) = (points.get(a)?, points.get(b)?);
        Some([f32::midpoint(a[0], b[0]), f32::midpoint(a[1], b[1])])
    };
    let found = [
        middle(mesh::EYE_OUTER_LEFT, mesh::EYE_INNER_LEFT)?,
        middle(mesh::EYE_INNER_RIGHT, mesh::EYE_OUTER_RIGHT)?,
        *points.get(mesh::NOSE_TIP)?,
        *points.get(mesh::MOUTH_LEFT)?,
        *points.get(mesh::MOUTH_RIGHT)?,
    ];
    // The template is 112 wide; narrower crops lose the same on both sides. Its positions are pixel centres.
    let cut = (112.0 - width as f32) / 2.0;
    let wanted = TEMPLATE.map(|[x, y]| [x - cut + 0.5, y + 0.5]);
    let map = similarity(&wanted, &found)?;
    Some(frame.warp_affine(width, height, &to_pixel_centres(&map)))
}

/// The similarity that takes `from` nearest to `to` (least squares, without reflection).
fn similarity(from: &[Point; 5], to: &[Point; 5]) -> Option<Affine> {
    let mean = |points: &[Point; 5]| {
        let sum = points
            .iter()
            .fold([0.0; 2], |sum, p| [sum[0] + p[0], sum[1] + p[1]]);
        [sum[0] / 5.0, sum[1] / 5.0]
    };
    let (p, q) = (mean(from), mean(to));
    let (mut a, mut b, mut size) = (0.0, 0.0, 0.0);
    for (f, t) in from.iter().zip(to) {
        let (x, y) = (f[0] - p[0], f[1] - p[1]);
        let (u, v) = (t[0] - q[0], t[1] - q[1]);
        a += x * u + y * v;
        b += x * v - y * u;
        size += x * x + y * y;
    }
    if size <= 0.0 || (a == 0.0 && b == 0.0) {
        return None;
    }
    let (a, b) = (a / size, b / size);
    Some(Affine([
        a,
        -b,
        q[0] - a * p[0] + b * p[1],
        b,
        a,
        q[1] - b * p[0] - a * p[1],
    ]))
}

#[cfg(test)]
mod tests {
    use super::{aligned, similarity};
    use face::mesh;
    use media::image::Rgb8;
    use models::face_id::TEMPLATE;

    #[test]
    fn a_similarity_is_found_again() {
        let to = TEMPLATE.map(|[x, y]| [1.5 * x - 0.7 * y + 20.0, 0.7 * x + 1.5 * y - 9.0]);
        let map = similarity(&TEMPLATE, &to).unwrap();
        for ([x, y], wanted) in TEMPLATE.into_iter().zip(to) {
            let (u, v) = map.apply(x, y);
            assert!((u - wanted[0]).abs() < 1e-3 && (v - wanted[1]).abs() < 1e-3);
        }
        assert!(similarity(&[[1.0, 1.0]; 5], &to).is_none());
    }

    #[test]
    fn features_land_on_the_template() {
        // A face twice the template's size, its points marked by bright dots of 3 x 3.
        let mut frame = Rgb8::new(300, 300);
        let mut points = vec![[0.0; 2]; 468];
        let place = |[x, y]: [f32; 2]| [2.0 * (x + 0.5) + 10.0, 2.0 * (y + 0.5) + 20.0];
        let [left, right, nose, mouth_left, mouth_right] = TEMPLATE.map(place);
        for (index, at) in [
            (mesh::EYE_OUTER_LEFT, left),
            (mesh::EYE_INNER_LEFT, left),
            (mesh::EYE_OUTER_RIGHT, right),
            (mesh::EYE_INNER_RIGHT, right),
            (mesh::NOSE_TIP, nose),
            (mesh::MOUTH_LEFT, mouth_left),
            (mesh::MOUTH_RIGHT, mouth_right),
        ] {
            points[index] = at;
            for y in 0..3 {
                for x in 0..3 {
                    frame.set_pixel(at[0] as usize + x - 1, at[1] as usize + y - 1, [255; 3]);
                }
            }
        }
        for (width, cut) in [(112, 0.0), (96, 8.0)] {
            let crop = aligned(&frame, &points, width, 112).unwrap();
            for [x, y] in TEMPLATE {
                let value = crop.pixel((x - cut).round() as usize, y.round() as usize)[0];
                assert!(value > 120, "{x} {y}: {value}");
            }
        }
        assert!(aligned(&frame, &[], 112, 112).is_none());
    }
}
