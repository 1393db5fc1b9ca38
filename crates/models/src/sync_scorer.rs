//! A small network that tells how well lips go with sound: this project's own, no `SyncNet`.
//!
//! Two towers of dilated convolutions make one embedding a frame (25 Hz): one of the lips' and the jaw's outline in the
//! head crop, one of log-mel frames (100 Hz). Within a window both courses of embeddings are centred on their means, so
//! that neither a face nor a voice counts but what moves; their agreement is the cosine of the angle between them, which
//! is a correlation over time and channels. Sliding the sound against the picture gives the offset.

use candle_core::{D, DType, Device, Tensor};
use nn::layers::{Conv1d, Linear};
use nn::ops::{self, Conv1dOptions};
use nn::weights::View;
use serde::{Deserialize, Serialize};

use crate::error::{ModelError, Result};
use crate::file::{ModelFile, TensorShapes, conv_shapes};

/// What all names begin with.
const PREFIX: &str = "sync_scorer.";

const EPS: f64 = 1e-5;

/// Points of the face mesh that the picture's tower looks at: the lips' outer and inner ring, and the jaw.
pub const POINTS: [usize; 49] = [
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185, 78,
    95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191, 152,
    148, 176, 150, 136, 377, 400, 379, 365,
];

/// Mel frames a frame of the picture.
pub const MELS: usize = 4;

/// Kernel of the blocks' dilated convolutions, and of the first of the picture's.
const KERNEL: usize = 5;

/// Sizes, as in the header's `sync_scorer` object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncScorerConfig {
    /// Channels within the towers.
    pub width: usize,
    /// Numbers of an embedding.
    pub embedding: usize,
    /// Points of the face, two numbers each.
    pub points: usize,
    /// Mel bands.
    pub mel_bands: usize,
    /// Dilations of the picture's blocks.
    pub picture: Vec<usize>,
    /// Dilations of the sound's blocks.
    pub sound: Vec<usize>,
    /// Frames of a window.
    pub window: usize,
    /// Offsets that are tried, frames to either side.
    pub reach: usize,
}

impl SyncScorerConfig {
    /// Names and shapes of all tensors, with their prefix.
    pub fn shapes(&self) -> TensorShapes {
        let w = self.width;
        let mut shapes = TensorShapes::new();
        let mut tower = |name: &str, first: &[usize], dilations: &[usize]| {
            let name = format!("{PREFIX}{name}");
            conv_shapes(&mut shapes, &format!("{name}.conv_in"), first);
            for index in 0..dilations.len() {
                let block = format!("{name}.blocks.{index}");
                shapes.insert(format!("{block}.norm.weight"), vec![w]);
                shapes.insert(format!("{block}.norm.bias"), vec![w]);
                conv_shapes(&mut shapes, &format!("{block}.conv1"), &[w, w, KERNEL]);
                conv_shapes(&mut shapes, &format!("{block}.conv2"), &[w, w, 1]);
            }
            shapes.insert(format!("{name}.norm_out.weight"), vec![w]);
            shapes.insert(format!("{name}.norm_out.bias"), vec![w]);
            let head = vec![self.embedding, w];
            shapes.insert(format!("{name}.head.weight"), head);
            shapes.insert(format!("{name}.head.bias"), vec![self.embedding]);
        };
        tower("picture", &[w, 2 * self.points, KERNEL], &self.picture);
        tower("sound", &[w, self.mel_bands, 4], &self.sound);
        conv_shapes(&mut shapes, &format!("{PREFIX}sound.conv_half"), &[w, w, 4]);
        shapes
    }

    fn check(&self) -> Result<()> {
        let sizes = [
            ("width", self.width),
            ("embedding", self.embedding),
            ("points", self.points),
            ("mel_bands", self.mel_bands),
            ("window", self.window),
        ];
        for (name, size) in sizes {
            if size == 0 || size > 4096 {
                return Err(ModelError::input(
                    "sync_scorer",
                    format!("{name} is {size}, wanted 1..4096"),
                ));
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone)]
struct Norm {
    weight: Tensor,
    bias: Tensor,
}

impl Norm {
    fn load(view: &View, width: usize) -> Result<Self> {
        Ok(Self {
            weight: view.get(width, "weight")?,
            bias: view.get(width, "bias")?,
        })
    }

    /// `x` `[B, T, C]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(ops::layer_norm(
            x,
            Some(&self.weight),
            Some(&self.bias),
            EPS,
        )?)
    }
}

#[derive(Debug, Clone)]
struct Block {
    norm: Norm,
    conv1: Conv1d,
    conv2: Conv1d,
}

#[derive(Debug, Clone)]
struct Tower {
    conv_in: Conv1d,
    /// The sound's second halving.
    conv_half: Option<Conv1d>,
    blocks: Vec<Block>,
    norm_out: Norm,
    head: Linear,
}

const fn options(stride: usize, dilation: usize, padding: usize) -> Conv1dOptions {
    Conv1dOptions {
        stride,
        dilation,
        groups: 1,
        padding: (padding, padding),
    }
}

fn turned(x: &Tensor) -> candle_core::Result<Tensor> {
    x.transpose(1, 2)?.contiguous()
}

impl Tower {
    fn load(
        view: &View,
        config: &SyncScorerConfig,
        (inputs, kernel): (usize, usize),
        dilations: &[usize],
        halves: bool,
    ) -> Result<Self> {
        let w = config.width;
        let first = if halves {
            options(2, 1, 1)
        } else {
            options(1, 1, kernel / 2)
        };
        let mut blocks = Vec::with_capacity(dilations.len());
        for (index, dilation) in dilations.iter().enumerate() {
            let view = view.at("blocks").at(index);
            blocks.push(Block {
                norm: Norm::load(&view.at("norm"), w)?,
                conv1: Conv1d::load(
                    &view.at("conv1"),
                    &[w, w, KERNEL],
                    options(1, *dilation, KERNEL / 2 * dilation),
                )?,
                conv2: Conv1d::load(&view.at("conv2"), &[w, w, 1], options(1, 1, 0))?,
            });
        }
        let half = || Conv1d::load(&view.at("conv_half"), &[w, w, 4], options(2, 1, 1));
        Ok(Self {
            conv_in: Conv1d::load(&view.at("conv_in"), &[w, inputs, kernel], first)?,
            conv_half: if halves { Some(half()?) } else { None },
            blocks,
            norm_out: Norm::load(&view.at("norm_out"), w)?,
            head: Linear::load(&view.at("head"), w, config.embedding)?,
        })
    }

    /// `[B, T, inputs]` to `[B, T', embedding]`; `drop` gives the mask that is multiplied into a block's inner values.
    fn forward(&self, x: &Tensor, drop: &mut Dropout<'_>) -> Result<Tensor> {
        let mut x = self.conv_in.forward(&turned(x)?)?;
        if let Some(half) = &self.conv_half {
            x = half.forward(&ops::gelu_erf(&x)?)?;
        }
        for block in &self.blocks {
            let normed = turned(&block.norm.forward(&turned(&x)?)?)?;
            let mut inner = ops::gelu_erf(&block.conv1.forward(&normed)?)?;
            if let Some(mask) = drop(inner.dims())? {
                inner = (inner * mask)?;
            }
            x = (x + block.conv2.forward(&inner)?)?;
        }
        Ok(self.head.forward(&self.norm_out.forward(&turned(&x)?)?)?)
    }
}

/// Gives the mask of a shape that values are multiplied with in training; none keeps all.
pub type Dropout<'a> = dyn FnMut(&[usize]) -> Result<Option<Tensor>> + 'a;

/// The network.
#[derive(Debug, Clone)]
pub struct SyncScorer {
    config: SyncScorerConfig,
    picture: Tower,
    sound: Tower,
}

impl SyncScorer {
    /// Reads the weights, which are kept in `f32`.
    ///
    /// # Errors
    /// When the header has no `sync_scorer`, or names or shapes differ from what it asks for.
    pub fn load(file: &ModelFile, device: &Device) -> Result<Self> {
        let part = file.config()?.get("sync_scorer").cloned();
        let config: SyncScorerConfig =
            serde_json::from_value(part.unwrap_or_default()).map_err(|source| {
                ModelError::ConfigText {
                    part: "sync_scorer",
                    source,
                }
            })?;
        config.check()?;
        file.check(&config.shapes(), |_| false)?;
        let view = file.view(DType::F32, device)?.at("sync_scorer");
        let inputs = (2 * config.points, KERNEL);
        Ok(Self {
            picture: Tower::load(&view.at("picture"), &config, inputs, &config.picture, false)?,
            sound: Tower::load(
                &view.at("sound"),
                &config,
                (config.mel_bands, 4),
                &config.sound,
                true,
            )?,
            config,
        })
    }

    /// Its sizes.
    pub fn config(&self) -> &SyncScorerConfig {
        &self.config
    }

    /// Embeddings `[B, T, E]` of points `[B, T, 2 * points]` at 25 Hz, tenths of the head crop; their mean over the
    /// frames given is taken off.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn picture(&self, points: &Tensor, drop: &mut Dropout<'_>) -> Result<Tensor> {
        let points = points.broadcast_sub(&points.mean_keepdim(1)?)?;
        self.picture.forward(&points, drop)
    }

    /// Embeddings `[B, T, E]` of mel frames `[B, 4 T, bands]` at 100 Hz.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn sound(&self, mel: &Tensor, drop: &mut Dropout<'_>) -> Result<Tensor> {
        self.sound.forward(mel, drop)
    }
}

impl SyncScorer {
    /// Agreement of one window of lips with the sound around it, late by `-reach..=reach` frames: `2 reach + 1`
    /// numbers. `points` are `window` frames of `2 * points` tenths of the crop, `mel` the mel frames of
    /// `window + 2 reach` frames of which the window's own are in the middle.
    ///
    /// # Errors
    /// When there are other numbers of them.
    pub fn curve(&self, points: &[f32], mel: &[f32]) -> Result<Vec<f32>> {
        let config = &self.config;
        let (window, frames) = (config.window, config.window + 2 * config.reach);
        let bad = |what, found: usize, wanted: usize| {
            ModelError::input(what, format!("{found} values, wanted {wanted}"))
        };
        let wanted = window * 2 * config.points;
        if points.len() != wanted {
            return Err(bad("points", points.len(), wanted));
        }
        let wanted = frames * MELS * config.mel_bands;
        if mel.len() != wanted {
            return Err(bad("mel", mel.len(), wanted));
        }
        let device = Device::Cpu;
        let points = Tensor::from_slice(points, (1, window, 2 * config.points), &device)?;
        let mel = Tensor::from_slice(mel, (1, frames * MELS, config.mel_bands), &device)?;
        let shown = windows(&self.picture(&points, &mut keep_all)?, window)?;
        let heard = windows(&self.sound(&mel, &mut keep_all)?, window)?;
        let found = agreement(&shown.squeeze(0)?, &heard.squeeze(0)?)?;
        Ok(found.flatten_all()?.to_vec1::<f32>()?)
    }
}

/// No dropout.
///
/// # Errors
/// Never.
pub fn keep_all(_: &[usize]) -> Result<Option<Tensor>> {
    Ok(None)
}

/// Windows of a course of embeddings, ready to be compared: `[B, T, E]` to `[B, N, window * E]` with
/// `N = T - window + 1`, each centred in time and of length one.
///
/// # Errors
/// When there are fewer frames than a window has.
pub fn windows(embeddings: &Tensor, window: usize) -> Result<Tensor> {
    let (batch, frames, width) = embeddings.dims3()?;
    let Some(last) = frames.checked_sub(window).filter(|_| window > 0) else {
        return Err(ModelError::input(
            "embeddings",
            format!("{frames} frames for a window of {window}"),
        ));
    };
    let parts = (0..=last)
        .map(|first| {
            let part = embeddings.narrow(1, first, window)?;
            let part = part.broadcast_sub(&part.mean_keepdim(1)?)?;
            part.reshape((batch, 1, window * width))
        })
        .collect::<candle_core::Result<Vec<_>>>()?;
    let all = Tensor::cat(&parts, 1)?;
    // The bound keeps a mouth that stands still from dividing by zero.
    let length = (all.sqr()?.sum_keepdim(D::Minus1)? + 1e-12)?.sqrt()?;
    Ok(all.broadcast_div(&(length + 1e-6)?)?)
}

/// Agreement of every window of one side with every window of the other: `[P, F]` and `[S, F]` of [`windows`] to
/// `[P, S]`, within -1..1.
///
/// # Errors
/// When shapes differ.
pub fn agreement(picture: &Tensor, sound: &Tensor) -> Result<Tensor> {
    Ok(ops::linear(picture, sound, None, ops::Activation::None)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn config() -> SyncScorerConfig {
        SyncScorerConfig {
            width: 8,
            embedding: 4,
            points: 3,
            mel_bands: 5,
            picture: vec![1, 2],
            sound: vec![1],
            window: 6,
            reach: 2,
        }
    }

    fn scorer() -> SyncScorer {
        let mut number = 0_u32;
        let tensors: BTreeMap<String, Tensor> = config()
            .shapes()
            .into_iter()
            .map(|(name, shape)| {
                let count: usize = shape.iter().product();
                let values: Vec<f32> = (0..count)
                    .map(|_| {
                        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (number >> 8) as f32 / 8_388_608.0 - 1.0
                    })
                    .collect();
                (name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
            })
            .collect();
        let header = serde_json::json!({ "sync_scorer": config() });
        let metadata = BTreeMap::from([("config".to_owned(), header.to_string())]);
        let file = ModelFile::from_tensors("test", tensors, metadata);
        SyncScorer::load(&file, &Device::Cpu).unwrap()
    }

    fn wave(batch: usize, frames: usize, width: usize) -> Tensor {
        let values: Vec<f32> = (0..batch * frames * width)
            .map(|n| (n as f32 * 0.37).sin() + (n as f32 * 0.011).cos())
            .collect();
        Tensor::from_vec(values, (batch, frames, width), &Device::Cpu).unwrap()
    }

    #[test]
    fn both_sides_have_one_embedding_a_frame_and_look_at_their_surroundings_only() {
        let scorer = scorer();
        let points = wave(1, 40, 6);
        let all = scorer.picture(&points, &mut keep_all).unwrap();
        assert_eq!(all.dims(), [1, 40, 4]);
        let sound = scorer.sound(&wave(2, 160, 5), &mut keep_all).unwrap();
        assert_eq!(sound.dims(), [2, 40, 4]);
        // Reach: 2 of the first kernel, 2 and 4 of the blocks.
        let centred = points
            .broadcast_sub(&points.mean_keepdim(1).unwrap())
            .unwrap();
        let part = centred.narrow(1, 5, 30).unwrap().contiguous().unwrap();
        let part = scorer.picture.forward(&part, &mut keep_all).unwrap();
        let apart = (part.narrow(1, 8, 14).unwrap() - all.narrow(1, 13, 14).unwrap())
            .unwrap()
            .abs()
            .unwrap()
            .max_all()
            .unwrap();
        assert!(apart.to_scalar::<f32>().unwrap() < 1e-5);
    }

    #[test]
    fn a_course_agrees_with_itself_where_it_lies_and_size_and_place_do_not_count() {
        let course = wave(1, 30, 4);
        let other = ((&course * 3.0).unwrap() + 5.0).unwrap();
        let own = windows(&course, 6).unwrap().squeeze(0).unwrap();
        let other = windows(&other, 6).unwrap().squeeze(0).unwrap();
        let table = agreement(&own, &other).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!((table.len(), table[0].len()), (25, 25));
        for (n, row) in table.iter().enumerate() {
            assert!((row[n] - 1.0).abs() < 1e-4, "{}", row[n]);
            assert!(row.iter().all(|value| value.abs() <= 1.0001));
        }
        assert!(windows(&course, 31).is_err());
        let still = Tensor::ones((1, 8, 4), DType::F32, &Device::Cpu).unwrap();
        let still = windows(&still, 6).unwrap().abs().unwrap().max_all();
        assert!(still.unwrap().to_scalar::<f32>().unwrap() < 1e-3);
    }
}
