//! Inception v3 (Szegedy et al. 2016) up to its 2,048 pooled features, as torchvision names its parts.
//!
//! FID is defined on the network of TensorFlow's `inception-2015-12-05`, ported by pytorch-fid and clean-fid. It
//! differs from torchvision's in two places: means over 3x3 do not count the zeros around, and the last block takes
//! the largest value instead of the mean before its pooled branch.

use candle_core::{DType, Device, Tensor};
use nn::ops::Conv2dOptions;
use nn::weights::View;

use crate::error::{ModelError, Result};
use crate::file::ModelFile;
use crate::vision::ConvNorm2d;
use crate::vision::pool::{Window, avg_pool, max_pool};

/// Batch norms' epsilon in all ports.
const EPS: f64 = 1e-3;

/// Side of the pictures that FID is measured on.
pub const SIDE: usize = 299;

/// Numbers in a feature vector.
pub const FEATURES: usize = 2048;

/// Which port's pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InceptionVariant {
    /// TensorFlow's network of 2015, which FID is defined on.
    Fid,
    /// torchvision's `inception_v3`.
    Torchvision,
}

/// How a block's branches go: convolutions one after the other, by name; `a`/`b` pairs at the end side by side.
type Branch = &'static [&'static str];

/// What stands before a block's last branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pooled {
    /// A mean over 3x3, then the convolution `branch_pool`.
    Mean,
    /// The largest of 3x3 at stride 2, alone.
    Reduce,
    /// As `Mean` in torchvision, the largest of 3x3 in FID's network.
    MeanOrLargest,
}

/// Name, branches, pooled branch.
const BLOCKS: [(&str, &[Branch], Pooled); 11] = [
    ("Mixed_5b", A, Pooled::Mean),
    ("Mixed_5c", A, Pooled::Mean),
    ("Mixed_5d", A, Pooled::Mean),
    ("Mixed_6a", B, Pooled::Reduce),
    ("Mixed_6b", C, Pooled::Mean),
    ("Mixed_6c", C, Pooled::Mean),
    ("Mixed_6d", C, Pooled::Mean),
    ("Mixed_6e", C, Pooled::Mean),
    ("Mixed_7a", D, Pooled::Reduce),
    ("Mixed_7b", E, Pooled::Mean),
    ("Mixed_7c", E, Pooled::MeanOrLargest),
];

const A: &[Branch] = &[
    &["branch1x1"],
    &["branch5x5_1", "branch5x5_2"],
    &["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"],
];
const B: &[Branch] = &[
    &["branch3x3"],
    &["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"],
];
const C: &[Branch] = &[
    &["branch1x1"],
    &["branch7x7_1", "branch7x7_2", "branch7x7_3"],
    &[
        "branch7x7dbl_1",
        "branch7x7dbl_2",
        "branch7x7dbl_3",
        "branch7x7dbl_4",
        "branch7x7dbl_5",
    ],
];
const D: &[Branch] = &[
    &["branch3x3_1", "branch3x3_2"],
    &[
        "branch7x7x3_1",
        "branch7x7x3_2",
        "branch7x7x3_3",
        "branch7x7x3_4",
    ],
];
const E: &[Branch] = &[
    &["branch1x1"],
    &["branch3x3_1", "branch3x3_2a", "branch3x3_2b"],
    &[
        "branch3x3dbl_1",
        "branch3x3dbl_2",
        "branch3x3dbl_3a",
        "branch3x3dbl_3b",
    ],
];

#[derive(Debug, Clone)]
struct Block {
    branches: Vec<Vec<ConvNorm2d>>,
    /// The last two convolutions of a branch stand side by side.
    split: Vec<bool>,
    pooled: Pooled,
    branch_pool: Option<ConvNorm2d>,
}

/// From pictures to features.
#[derive(Debug, Clone)]
pub struct Inception {
    variant: InceptionVariant,
    stem: [ConvNorm2d; 5],
    blocks: Vec<Block>,
}

fn conv(view: &View, name: &str, stride: usize, same: bool) -> Result<ConvNorm2d> {
    let part = view.at(name);
    let norm = part.at("bn");
    if same {
        ConvNorm2d::load_same(&part.at("conv"), Some((&norm, EPS)), stride, true)
    } else {
        let options = Conv2dOptions::new(stride, 0);
        ConvNorm2d::load(&part.at("conv"), Some((&norm, EPS)), options, true)
    }
}

impl Block {
    fn load(view: &View, branches: &[Branch], pooled: Pooled) -> Result<Self> {
        let reduce = pooled == Pooled::Reduce;
        let loaded = branches
            .iter()
            .map(|branch| {
                branch
                    .iter()
                    .enumerate()
                    .map(|(index, name)| {
                        // In reducing blocks the last convolution of each branch halves the size.
                        let last = reduce && index + 1 == branch.len();
                        conv(view, name, if last { 2 } else { 1 }, !last)
                    })
                    .collect()
            })
            .collect::<Result<Vec<Vec<_>>>>()?;
        let split = branches
            .iter()
            .map(|branch| branch.last().is_some_and(|name| name.ends_with('b')))
            .collect();
        Ok(Self {
            branches: loaded,
            split,
            pooled,
            branch_pool: if reduce {
                None
            } else {
                Some(conv(view, "branch_pool", 1, true)?)
            },
        })
    }

    fn forward(&self, x: &Tensor, variant: InceptionVariant) -> Result<Tensor> {
        let mut outputs = Vec::new();
        for (branch, split) in self.branches.iter().zip(&self.split) {
            let serial = branch.len() - if *split { 2 } else { 0 };
            let mut y = x.clone();
            for conv in branch.iter().take(serial) {
                y = conv.forward(&y)?;
            }
            if *split {
                for conv in branch.iter().skip(serial) {
                    outputs.push(conv.forward(&y)?);
                }
            } else {
                outputs.push(y);
            }
        }
        let around = [Window::new(3, 1, 1); 2];
        let fid = variant == InceptionVariant::Fid;
        let pooled = match self.pooled {
            Pooled::Reduce => max_pool(x, &[Window::new(3, 2, 0); 2])?,
            Pooled::MeanOrLargest if fid => max_pool(x, &around)?,
            Pooled::Mean | Pooled::MeanOrLargest => avg_pool(x, &around, !fid)?,
        };
        outputs.push(match &self.branch_pool {
            Some(conv) => conv.forward(&pooled)?,
            None => pooled,
        });
        Ok(Tensor::cat(&outputs, 1)?)
    }
}

impl Inception {
    /// Reads the weights; auxiliary and final classifiers are not needed.
    ///
    /// # Errors
    /// When a tensor is missing or has the wrong shape.
    pub fn load(file: &ModelFile, variant: InceptionVariant, device: &Device) -> Result<Self> {
        let view = file.view(DType::F32, device)?;
        let stem = [
            conv(&view, "Conv2d_1a_3x3", 2, false)?,
            conv(&view, "Conv2d_2a_3x3", 1, false)?,
            conv(&view, "Conv2d_2b_3x3", 1, true)?,
            conv(&view, "Conv2d_3b_1x1", 1, false)?,
            conv(&view, "Conv2d_4a_3x3", 1, false)?,
        ];
        let blocks = BLOCKS
            .iter()
            .map(|(name, branches, pooled)| Block::load(&view.at(name), branches, *pooled))
            .collect::<Result<_>>()?;
        Ok(Self {
            variant,
            stem,
            blocks,
        })
    }

    /// Features `[B, 2048]` of pictures `[B, 3, H, W]`, RGB, in -1..1: for FID `(x - 128) / 128` of 0..255 at
    /// [`SIDE`], at least 75 pixels a side.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn features(&self, x: &Tensor) -> Result<Tensor> {
        let (_, channels, height, width) = x.dims4()?;
        if channels != 3 || height < 75 || width < 75 {
            return Err(ModelError::input(
                "pictures",
                format!("{:?} instead of [B, 3, H, W] of at least 75x75", x.dims()),
            ));
        }
        let reduce = [Window::new(3, 2, 0); 2];
        let [first, second, third, fourth, fifth] = &self.stem;
        let x = third.forward(&second.forward(&first.forward(x)?)?)?;
        let x = fifth.forward(&fourth.forward(&max_pool(&x, &reduce)?)?)?;
        let mut x = max_pool(&x, &reduce)?;
        for block in &self.blocks {
            x = block.forward(&x, self.variant)?;
        }
        Ok(x.flatten_from(2)?.mean(2)?)
    }
}
