//! I3D (Carreira and Zisserman 2017), RGB, Kinetics 400: the network of FVD.
//!
//! Names are those of the PyTorch port that the field's weight files follow (`Conv3d_1a_7x7.conv3d.weight`,
//! `Mixed_3b.b1a.bn.weight`, `logits.conv3d.weight`). All padding is TensorFlow's SAME. FVD is measured on the logits.

use candle_core::{DType, Device, Tensor};
use nn::ops::{Conv3dOptions, TimePadding};
use nn::weights::View;

use crate::error::{ModelError, Result};
use crate::file::ModelFile;
use crate::vision::ConvNorm3d;
use crate::vision::pool::{Window, avg_pool, max_pool};

const EPS: f64 = 1e-3;

/// Side of the pictures.
pub const SIDE: usize = 224;

/// Frames of a window, as FVD is usually measured.
pub const FRAMES: usize = 16;

const PLAIN: Conv3dOptions = Conv3dOptions::same(TimePadding::Zeros(0, 0), 0);

/// A convolution with SAME padding, batch norm and `max(x, 0)`.
#[derive(Debug, Clone)]
struct Unit {
    conv: ConvNorm3d,
    stride: usize,
}

impl Unit {
    fn load(view: &View, name: &str, stride: usize) -> Result<Self> {
        let part = view.at(name);
        let norm = part.at("bn");
        Ok(Self {
            conv: ConvNorm3d::load(&part.at("conv3d"), Some((&norm, EPS)), PLAIN, true)?,
            stride,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, _, t, h, w) = x.dims5()?;
        let [kt, kh, kw] = self.conv.kernel();
        let pad = |size, length| Window::same(size, self.stride, length).padding;
        let (front, behind) = pad(kt, t);
        let options = Conv3dOptions {
            stride: [self.stride; 3],
            time: TimePadding::Zeros(front, behind),
            height: pad(kh, h),
            width: pad(kw, w),
            ..PLAIN
        };
        self.conv.forward_with(x, &options)
    }
}

/// Four branches side by side.
#[derive(Debug, Clone)]
struct Mixed {
    b0: Unit,
    b1: [Unit; 2],
    b2: [Unit; 2],
    b3b: Unit,
}

impl Mixed {
    fn load(view: &View) -> Result<Self> {
        let unit = |name| Unit::load(view, name, 1);
        Ok(Self {
            b0: unit("b0")?,
            b1: [unit("b1a")?, unit("b1b")?],
            b2: [unit("b2a")?, unit("b2b")?],
            b3b: unit("b3b")?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let two = |[a, b]: &[Unit; 2]| b.forward(&a.forward(x)?);
        let pooled = same_pool(x, [3; 3], [1; 3])?;
        let outputs = [
            self.b0.forward(x)?,
            two(&self.b1)?,
            two(&self.b2)?,
            self.b3b.forward(&pooled)?,
        ];
        Ok(Tensor::cat(&outputs, 1)?)
    }
}

/// The ports pad with zeros before taking the largest value; after `max(x, 0)` that is the same.
fn same_pool(x: &Tensor, size: [usize; 3], stride: [usize; 3]) -> Result<Tensor> {
    let (_, _, t, h, w) = x.dims5()?;
    let mut windows = [Window::new(1, 1, 0); 3];
    for (((window, size), stride), length) in
        windows.iter_mut().zip(size).zip(stride).zip([t, h, w])
    {
        *window = Window::same(size, stride, length);
    }
    Ok(max_pool(x, &windows)?)
}

#[derive(Debug, Clone)]
enum Stage {
    Unit(Unit),
    Mixed(Box<Mixed>),
    Pool([usize; 3], [usize; 3]),
}

/// From video to logits.
#[derive(Debug, Clone)]
pub struct I3d {
    stages: Vec<Stage>,
    logits: ConvNorm3d,
}

impl I3d {
    /// Reads the weights.
    ///
    /// # Errors
    /// When a tensor is missing or has the wrong shape.
    pub fn load(file: &ModelFile, device: &Device) -> Result<Self> {
        let view = file.view(DType::F32, device)?;
        let mut stages = vec![
            Stage::Unit(Unit::load(&view, "Conv3d_1a_7x7", 2)?),
            Stage::Pool([1, 3, 3], [1, 2, 2]),
            Stage::Unit(Unit::load(&view, "Conv3d_2b_1x1", 1)?),
            Stage::Unit(Unit::load(&view, "Conv3d_2c_3x3", 1)?),
            Stage::Pool([1, 3, 3], [1, 2, 2]),
        ];
        for group in [
            &["3b", "3c"][..],
            &["4b", "4c", "4d", "4e", "4f"],
            &["5b", "5c"],
        ] {
            for name in group {
                let mixed = Mixed::load(&view.at(format!("Mixed_{name}")))?;
                stages.push(Stage::Mixed(Box::new(mixed)));
            }
            match group.first() {
                Some(&"3b") => stages.push(Stage::Pool([3; 3], [2; 3])),
                Some(&"4b") => stages.push(Stage::Pool([2; 3], [2; 3])),
                _ => {}
            }
        }
        let logits = ConvNorm3d::load(&view.at("logits").at("conv3d"), None, PLAIN, false)?;
        Ok(Self { stages, logits })
    }

    /// Logits `[B, classes]` of videos `[B, 3, T, 224, 224]`, RGB in -1..1, at least 9 frames; averaged over time.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn logits(&self, x: &Tensor) -> Result<Tensor> {
        let (_, channels, frames, height, width) = x.dims5()?;
        if channels != 3 || frames < 9 || height < 193 || width < 193 {
            return Err(ModelError::input(
                "videos",
                format!(
                    "{:?} instead of [B, 3, T, 224, 224] with 9 frames or more",
                    x.dims()
                ),
            ));
        }
        let mut x = x.clone();
        for stage in &self.stages {
            x = match stage {
                Stage::Unit(unit) => unit.forward(&x)?,
                Stage::Mixed(mixed) => mixed.forward(&x)?,
                Stage::Pool(size, stride) => same_pool(&x, *size, *stride)?,
            };
        }
        let windows = [
            Window::new(2, 1, 0),
            Window::new(7, 1, 0),
            Window::new(7, 1, 0),
        ];
        let x = self.logits.forward(&avg_pool(&x, &windows, false)?)?;
        Ok(x.flatten_from(2)?.mean(2)?)
    }
}
