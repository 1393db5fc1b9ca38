//! `SyncNet` (Chung and Zisserman 2016), version 2: lips and sound in one space.
//!
//! Layers and names as in `joonson/syncnet_python`, `SyncNetModel.py` (`netcnnlip.0.weight`, `netfcaud.3.bias`, …): one
//! tower for 0.2 s of sound (13 cepstra x 20 steps), one for five face crops. Where the published file is not at
//! hand, nothing else gives Sync-C and Sync-D.

use candle_core::{DType, Device, Tensor};
use nn::layers::Linear;
use nn::ops::{Conv2dOptions, Conv3dOptions, TimePadding};
use nn::weights::View;

use crate::error::{ModelError, Result};
use crate::file::ModelFile;
use crate::vision::norm::Affine;
use crate::vision::pool::{Window, max_pool};
use crate::vision::{ConvNorm2d, ConvNorm3d};

const EPS: f64 = 1e-5;

/// Frames that the lip tower sees at once.
pub const LIP_FRAMES: usize = 5;
/// Side of the face crops, pixels.
pub const LIP_SIDE: usize = 224;
/// Cepstra that the sound tower sees.
pub const CEPSTRA: usize = 13;
/// Steps of 10 ms that the sound tower sees at once.
pub const SOUND_STEPS: usize = 20;
/// Numbers in an embedding.
pub const FEATURES: usize = 1024;

/// Two linear layers with a batch norm and `max(x, 0)` between them.
#[derive(Debug, Clone)]
struct Head {
    first: Linear,
    norm: Affine,
    second: Linear,
}

impl Head {
    fn load(view: &View) -> Result<Self> {
        let linear = |index: usize| -> Result<Linear> {
            let part = view.at(index);
            Ok(Linear::new(
                part.get_any("weight")?,
                Some(part.get_any("bias")?),
            ))
        };
        let first = linear(0)?;
        let width = first.weight().dim(0)?;
        Ok(Self {
            first,
            norm: Affine::load(&view.at(1), width, EPS)?,
            second: linear(3)?,
        })
    }

    /// `x` `[B, C]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.norm.forward(&self.first.forward(x)?)?.relu()?;
        Ok(self.second.forward(&x)?)
    }
}

/// Both towers.
#[derive(Debug, Clone)]
pub struct SyncNet {
    sound: [ConvNorm2d; 6],
    sound_head: Head,
    lips: [ConvNorm3d; 6],
    lip_head: Head,
}

/// Where the convolutions stand in both towers' lists; each is followed by its batch norm.
const PLACES: [usize; 6] = [0, 4, 8, 11, 14, 18];

impl SyncNet {
    /// Reads the weights.
    ///
    /// # Errors
    /// When a tensor is missing or has the wrong shape.
    pub fn load(file: &ModelFile, device: &Device) -> Result<Self> {
        let view = file.view(DType::F32, device)?;
        let (aud, lip) = (view.at("netcnnaud"), view.at("netcnnlip"));
        let flat = |place: usize, padding: usize| {
            let norm = aud.at(place + 1);
            ConvNorm2d::load(
                &aud.at(place),
                Some((&norm, EPS)),
                Conv2dOptions::new(1, padding),
                true,
            )
        };
        let deep = |place: usize, stride: usize, padding: usize| {
            let norm = lip.at(place + 1);
            let options = Conv3dOptions {
                stride: [1, stride, stride],
                ..Conv3dOptions::same(TimePadding::Zeros(0, 0), padding)
            };
            ConvNorm3d::load(&lip.at(place), Some((&norm, EPS)), options, true)
        };
        let [p0, p1, p2, p3, p4, p5] = PLACES;
        Ok(Self {
            sound: [
                flat(p0, 1)?,
                flat(p1, 1)?,
                flat(p2, 1)?,
                flat(p3, 1)?,
                flat(p4, 1)?,
                flat(p5, 0)?,
            ],
            sound_head: Head::load(&view.at("netfcaud"))?,
            lips: [
                deep(p0, 2, 0)?,
                deep(p1, 2, 1)?,
                deep(p2, 1, 1)?,
                deep(p3, 1, 1)?,
                deep(p4, 1, 1)?,
                deep(p5, 1, 0)?,
            ],
            lip_head: Head::load(&view.at("netfclip"))?,
        })
    }

    /// Embeddings `[B, 1024]` of sound `[B, 1, 13, 20]`: cepstra of `python_speech_features`, not scaled.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn sound(&self, x: &Tensor) -> Result<Tensor> {
        let (_, channels, cepstra, steps) = x.dims4()?;
        if (channels, cepstra, steps) != (1, CEPSTRA, SOUND_STEPS) {
            return Err(ModelError::input(
                "sound",
                format!("{:?} instead of [B, 1, {CEPSTRA}, {SOUND_STEPS}]", x.dims()),
            ));
        }
        let [c0, c1, c2, c3, c4, c5] = &self.sound;
        // The first pooling of the published network looks at one place at a time: it changes nothing.
        let x = c1.forward(&c0.forward(x)?)?;
        let x = max_pool(&x, &[Window::new(3, 1, 0), Window::new(3, 2, 0)])?;
        let x = c4.forward(&c3.forward(&c2.forward(&x)?)?)?;
        let x = c5.forward(&max_pool(&x, &[Window::new(3, 2, 0); 2])?)?;
        self.sound_head.forward(&x.flatten_from(1)?)
    }

    /// Embeddings `[B, 1024]` of face crops `[B, 3, 5, 224, 224]`: blue, green, red in 0..255.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn lips(&self, x: &Tensor) -> Result<Tensor> {
        let (_, channels, frames, height, width) = x.dims5()?;
        if (channels, frames, height, width) != (3, LIP_FRAMES, LIP_SIDE, LIP_SIDE) {
            return Err(ModelError::input(
                "lips",
                format!(
                    "{:?} instead of [B, 3, {LIP_FRAMES}, {LIP_SIDE}, {LIP_SIDE}]",
                    x.dims()
                ),
            ));
        }
        let [c0, c1, c2, c3, c4, c5] = &self.lips;
        let halve = |x: &Tensor, padding| max_pool(x, &[Window::new(3, 2, padding); 2]);
        let x = halve(&c0.forward(x)?, 0)?;
        let x = halve(&c1.forward(&x)?, 1)?;
        let x = c4.forward(&c3.forward(&c2.forward(&x)?)?)?;
        let x = c5.forward(&halve(&x, 0)?)?;
        self.lip_head.forward(&x.flatten_from(1)?)
    }
}
