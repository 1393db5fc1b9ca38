//! What the image networks say of the pairs of frames, one after the other.

use super::aligned::aligned;
use super::consistency::{Consistency, clip_picture, dino_picture};
use super::sets::{FeatureSets, take};
use super::windows::Windows;
use crate::MeasureError;
use crate::frechet::Moments;
use crate::networks::Networks;
use crate::picture::resample::clean_resize;
use crate::picture::{channel, same_size};
use candle_core::{Device, Tensor};
use face::geometry::Point;
use media::image::Rgb8;
use models::interpolate::{Kernel, resize};
use models::{i3d, inception};

/// Which networks are asked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FeatureWants {
    pub(crate) lpips: bool,
    pub(crate) fid: bool,
    pub(crate) fvd: bool,
    pub(crate) debiased: bool,
    pub(crate) identity: bool,
    pub(crate) subject: bool,
    pub(crate) background: bool,
}

impl FeatureWants {
    pub(crate) fn any(self) -> bool {
        self.lpips
            || self.fid
            || self.fvd
            || self.debiased
            || self.identity
            || self.subject
            || self.background
    }
}

/// Gathers features pair by pair; holds a window of small frames for each network of windows, and one embedding a frame.
pub(crate) struct Features<'a> {
    networks: &'a Networks,
    wants: FeatureWants,
    pub(crate) sets: &'a mut FeatureSets,
    pub(crate) lpips: Vec<f64>,
    /// I3D's window that is being filled, in -1..1.
    window: Windows,
    /// `VideoMAE`'s, in 0..1.
    debiased: Windows,
    /// Of the made frames.
    pub(crate) subject: Consistency,
    pub(crate) background: Consistency,
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
            window: Windows::default(),
            debiased: Windows::default(),
            subject: Consistency::default(),
            background: Consistency::default(),
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
        if let Some(net) = &self.networks.i3d
            && self.wants.fvd
        {
            let small = |frame: &Rgb8| -> Vec<f32> {
                let planes = clean_resize(frame, i3d::SIDE, i3d::SIDE);
                planes.into_iter().map(|v| v * 2.0 / 255.0 - 1.0).collect()
            };
            if let Some(windows) = self.window.push(frames.map(small))? {
                for (place, window) in windows.iter().enumerate() {
                    let logits = net.logits(window)?.flatten_all()?.to_vec1::<f32>()?;
                    take(&mut self.sets.windows, place, &logits)?;
                }
            }
        }
        if let Some(net) = &self.networks.videomae
            && self.wants.debiased
        {
            let side = i3d::SIDE;
            let small = |frame: &Rgb8| -> Vec<f32> {
                (0..3)
                    .flat_map(|index| {
                        let plane = channel(frame, index);
                        let from = (frame.height, frame.width);
                        resize(&plane, from, (side, side), None, Kernel::Bilinear)
                    })
                    .map(|value| value / 255.0)
                    .collect()
            };
            if let Some(windows) = self.debiased.push(frames.map(small))? {
                for (place, window) in windows.iter().enumerate() {
                    let features = net.features(window)?.flatten_all()?.to_vec1::<f32>()?;
                    take(&mut self.sets.debiased, place, &features)?;
                }
            }
        }
        let alike = [
            (
                &self.networks.dino,
                self.wants.subject,
                dino_picture as Picture,
                &mut self.subject,
            ),
            (
                &self.networks.clip,
                self.wants.background,
                clip_picture as Picture,
                &mut self.background,
            ),
        ];
        for (net, wanted, picture, seen) in alike {
            if let Some(net) = net
                && wanted
            {
                let features = net.features(&picture(made)?)?;
                let features = features.flatten_all()?.to_vec1::<f32>()?;
                if let Some(features) = unit_length(features) {
                    seen.push(features);
                }
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
}

/// How a frame becomes a network's input.
type Picture = fn(&Rgb8) -> Result<Tensor, MeasureError>;

/// `[1, 3, H, W]` in 0..255.
fn planes(image: &Rgb8, device: &Device) -> Result<Tensor, MeasureError> {
    let values: Vec<f32> = (0..3).flat_map(|index| channel(image, index)).collect();
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
