//! LPIPS (Zhang, Isola, Efros, Shechtman, Wang 2018): the perceptual distance, version 0.1.
//!
//! Features of an image network after several of its stages are scaled to length 1 at every position; the squared
//! difference, weighted by a trained head, is averaged over positions and summed over stages. Backbones are
//! torchvision's, by its names (`features.0.weight`, …); heads are `lin0.model.1.weight` and so on (`[1, C, 1, 1]`).

mod backbone;

use candle_core::{DType, Device, Tensor};

use crate::error::{ModelError, Result};
use crate::file::ModelFile;
use backbone::Backbone;
pub use backbone::LpipsNet;

/// What the images are shifted and divided by, in -1..1 (`ImageNet`'s statistics, twice and less one).
const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];
const SCALE: [f32; 3] = [0.458, 0.448, 0.450];
/// Keeps features that are all zero from being divided by zero.
const EPS: f64 = 1e-10;

/// The distance with one backbone and its heads.
#[derive(Debug, Clone)]
pub struct Lpips {
    backbone: Backbone,
    /// `[1, C, 1, 1]`, one a stage.
    heads: Vec<Tensor>,
    shift: Tensor,
    scale: Tensor,
}

impl Lpips {
    /// Reads torchvision's backbone and the trained heads, which may stand in one file.
    ///
    /// # Errors
    /// When a tensor is missing or a head does not fit its stage.
    pub fn load(
        net: LpipsNet,
        backbone: &ModelFile,
        heads: &ModelFile,
        device: &Device,
    ) -> Result<Self> {
        let backbone = Backbone::load(net, &backbone.view(DType::F32, device)?)?;
        let view = heads.view(DType::F32, device)?;
        let heads = net
            .channels()
            .iter()
            .enumerate()
            .map(|(stage, channels)| {
                Ok(view.get((1, *channels, 1, 1), &format!("lin{stage}.model.1.weight"))?)
            })
            .collect::<Result<_>>()?;
        let constant = |values: [f32; 3]| Tensor::new(&values, device)?.reshape((1, 3, 1, 1));
        Ok(Self {
            backbone,
            heads,
            shift: constant(SHIFT)?,
            scale: constant(SCALE)?,
        })
    }

    /// Distance of each pair of images `[B, 3, H, W]` in -1..1, RGB.
    ///
    /// # Errors
    /// When shapes differ or the images are too small for the backbone.
    pub fn distance(&self, one: &Tensor, two: &Tensor) -> Result<Vec<f32>> {
        if one.dims() != two.dims() {
            return Err(ModelError::input(
                "images",
                format!("{:?} and {:?} have no distance", one.dims(), two.dims()),
            ));
        }
        let batch = one.dim(0)?;
        // Both go through the network together.
        let both = Tensor::cat(&[one, two], 0)?;
        let both = both
            .broadcast_sub(&self.shift)?
            .broadcast_div(&self.scale)?;
        let mut total: Option<Tensor> = None;
        for (features, head) in self.backbone.stages(&both)?.iter().zip(&self.heads) {
            let length = (features.sqr()?.sum_keepdim(1)?.sqrt()? + EPS)?;
            let features = features.broadcast_div(&length)?;
            let difference = (features.narrow(0, 0, batch)? - features.narrow(0, batch, batch)?)?;
            let weighted = difference.sqr()?.broadcast_mul(head)?.sum(1)?;
            let stage = weighted.flatten_from(1)?.mean(1)?;
            total = Some(match total {
                Some(sum) => (sum + stage)?,
                None => stage,
            });
        }
        let total = total.ok_or_else(|| ModelError::config("lpips", "there are no stages"))?;
        Ok(total.to_vec1()?)
    }
}
