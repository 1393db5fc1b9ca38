//! Vision transformers (Dosovitskiy et al. 2021) as three metrics use them: DINO's and CLIP's for pictures, `VideoMAE`'s for
//! windows of frames.
//!
//! The blocks are the same; what surrounds them differs. Names are timm's (`blocks.0.attn.qkv.weight`, …), which DINO's
//! file has and to which `tools/convert/metric_weights.py` brings the others:
//!
//! | | DINO | CLIP | `VideoMAE` |
//! |---|---|---|---|
//! | class token | first | first | none: the mean of all |
//! | positions | learned, stretched to other sizes | learned | sine and cosine |
//! | norm before the blocks | | yes | |
//! | activation | GELU | `x sigmoid(1.702 x)` | GELU |
//! | after the last norm | | a matrix | |
//! | norms' epsilon | 1e-6 | 1e-5 | 1e-6 |

mod positions;

use candle_core::{DType, Device, Tensor};
use nn::layers::Linear;
use nn::ops::{self, Activation, AttentionOptions};
use nn::weights::View;

use crate::error::{ModelError, Result};
use crate::file::ModelFile;

/// Width of a head where the file does not say how many there are.
const HEAD_WIDTH: usize = 64;

/// Factor within CLIP's activation.
const QUICK: f64 = 1.702;

/// Which network's surroundings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VitKind {
    /// facebookresearch/dino, `vision_transformer.py`.
    Dino,
    /// The picture tower of openai/CLIP.
    Clip,
    /// `OpenGVLab/VideoMAEv2`, fine-tuned, up to the norm before its classes.
    VideoMae,
}

impl VitKind {
    fn epsilon(self) -> f64 {
        match self {
            Self::Clip => 1e-5,
            Self::Dino | Self::VideoMae => 1e-6,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Dino => "DINO",
            Self::Clip => "CLIP",
            Self::VideoMae => "VideoMAE",
        }
    }
}

#[derive(Debug, Clone)]
struct Norm {
    weight: Tensor,
    bias: Tensor,
    epsilon: f64,
}

impl Norm {
    fn load(view: &View, width: usize, epsilon: f64) -> Result<Self> {
        Ok(Self {
            weight: view.get(width, "weight")?,
            bias: view.get(width, "bias")?,
            epsilon,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (Some(&self.weight), Some(&self.bias));
        Ok(ops::layer_norm(x, weight, bias, self.epsilon)?)
    }
}

#[derive(Debug, Clone)]
struct Block {
    norm1: Norm,
    qkv: Linear,
    proj: Linear,
    norm2: Norm,
    fc1: Linear,
    fc2: Linear,
    heads: usize,
    quick: bool,
}

impl Block {
    fn load(view: &View, width: usize, heads: usize, kind: VitKind) -> Result<Self> {
        let (attn, mlp) = (view.at("attn"), view.at("mlp"));
        let wide = mlp
            .shape("fc1.weight")
            .and_then(|shape| shape.first().copied())
            .unwrap_or(4 * width);
        Ok(Self {
            norm1: Norm::load(&view.at("norm1"), width, kind.epsilon())?,
            qkv: Linear::load(&attn.at("qkv"), width, 3 * width)?,
            proj: Linear::load(&attn.at("proj"), width, width)?,
            norm2: Norm::load(&view.at("norm2"), width, kind.epsilon())?,
            fc1: Linear::load(&mlp.at("fc1"), width, wide)?,
            fc2: Linear::load(&mlp.at("fc2"), wide, width)?,
            heads,
            quick: kind == VitKind::Clip,
        })
    }

    /// `x` `[B, N, C]` to the same.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let width = x.dim(2)?;
        let all = self.qkv.forward(&self.norm1.forward(x)?)?;
        let part = |n: usize| all.narrow(2, n * width, width)?.contiguous();
        let options = AttentionOptions::heads(self.heads);
        let mixed = ops::attention(&part(0)?, &part(1)?, &part(2)?, &options)?;
        let x = (x + self.proj.forward(&mixed)?)?;
        let normed = self.norm2.forward(&x)?;
        let inner = if self.quick {
            // x sigmoid(k x) is silu(k x) / k.
            let inner = self.fc1.forward(&normed)?.affine(QUICK, 0.0)?;
            ops::silu(&inner)?.affine(1.0 / QUICK, 0.0)?
        } else {
            self.fc1.forward_act(&normed, Activation::GeluErf)?
        };
        Ok((x + self.fc2.forward(&inner)?)?)
    }
}

/// A picture's or a window's features.
#[derive(Debug, Clone)]
pub struct Vit {
    kind: VitKind,
    /// Frames, rows and columns of a patch.
    patch: [usize; 3],
    embed: Linear,
    /// `[1, 1, C]`.
    class: Option<Tensor>,
    /// `[1, 1 + N, C]`, the class token's first.
    positions: Option<Tensor>,
    before: Option<Norm>,
    blocks: Vec<Block>,
    after: Norm,
    head: Option<Linear>,
}

impl Vit {
    /// Reads the weights. How many heads there are stands in the header (`heads`); else they are 64 wide.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit the others.
    pub fn load(file: &ModelFile, kind: VitKind, device: &Device) -> Result<Self> {
        let view = file.view(DType::F32, device)?;
        let bad = |what: String| ModelError::config(kind.name(), what);
        let patch_embed = view.at("patch_embed").at("proj");
        let weight = patch_embed.get_any("weight")?;
        let (width, patch) = match (kind, weight.dims()) {
            (VitKind::VideoMae, [width, 3, t, h, w]) => (*width, [*t, *h, *w]),
            (VitKind::Dino | VitKind::Clip, [width, 3, h, w]) => (*width, [1, *h, *w]),
            _ => return Err(bad(format!("patches of shape {:?}", weight.dims()))),
        };
        let heads = match file.metadata("heads").map(str::parse::<usize>) {
            Some(Ok(heads)) => heads,
            Some(Err(error)) => return Err(bad(format!("heads: {error}"))),
            None => width / HEAD_WIDTH,
        };
        if heads == 0 || !width.is_multiple_of(heads) {
            return Err(bad(format!("{heads} heads in a width of {width}")));
        }
        let bias = match kind {
            VitKind::Clip => None,
            VitKind::Dino | VitKind::VideoMae => Some(patch_embed.get(width, "bias")?),
        };
        let learned = kind != VitKind::VideoMae;
        let mut blocks = Vec::new();
        while view.contains(&format!("blocks.{}.norm1.weight", blocks.len())) {
            let part = view.at("blocks").at(blocks.len());
            blocks.push(Block::load(&part, width, heads, kind)?);
        }
        if blocks.is_empty() {
            return Err(bad("no blocks".to_owned()));
        }
        let head = if kind == VitKind::Clip {
            Some(Linear::new(view.get_any("head.weight")?, None))
        } else {
            None
        };
        let before = if kind == VitKind::Clip {
            Some(Norm::load(&view.at("norm_pre"), width, kind.epsilon())?)
        } else {
            None
        };
        Ok(Self {
            kind,
            patch,
            embed: Linear::new(weight.flatten_from(1)?, bias),
            class: learned
                .then(|| view.get((1, 1, width), "cls_token"))
                .transpose()?,
            positions: learned.then(|| view.get_any("pos_embed")).transpose()?,
            before,
            blocks,
            after: Norm::load(&view.at("norm"), width, kind.epsilon())?,
            head,
        })
    }

    /// Features `[B, F]` of pictures `[B, 3, H, W]`, for `VideoMae` of windows `[B, 3, T, H, W]`, scaled as the network
    /// wants them. Rows and columns that do not fill a patch are left out.
    ///
    /// # Errors
    /// When there is no whole patch, or CLIP's pictures have another size than its positions.
    pub fn features(&self, pixels: &Tensor) -> Result<Tensor> {
        let pixels = match pixels.rank() {
            4 => pixels.unsqueeze(2)?,
            _ => pixels.clone(),
        };
        let (patches, grid) = self.patches(&pixels)?;
        let mut x = self.embed.forward(&patches)?;
        if let Some(class) = &self.class {
            let (batch, _, width) = x.dims3()?;
            let class = class.broadcast_as((batch, 1, width))?.contiguous()?;
            x = Tensor::cat(&[&class, &x], 1)?;
        }
        x = x.broadcast_add(&self.places(grid, x.device())?)?;
        if let Some(norm) = &self.before {
            x = norm.forward(&x)?;
        }
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        let pooled = match self.kind {
            VitKind::VideoMae => x.mean(1)?,
            VitKind::Dino | VitKind::Clip => x.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?,
        };
        let pooled = self.after.forward(&pooled)?;
        match &self.head {
            Some(head) => Ok(head.forward(&pooled)?),
            None => Ok(pooled),
        }
    }

    /// `[B, 3, T, H, W]` to patches `[B, N, 3 t h w]`, and how many there are each way.
    fn patches(&self, pixels: &Tensor) -> Result<(Tensor, [usize; 3])> {
        let (batch, channels, frames, height, width) = pixels.dims5()?;
        let [t, h, w] = self.patch;
        let grid = [frames / t, height / h, width / w];
        if channels != 3 || grid.contains(&0) {
            return Err(ModelError::input(
                "pixels",
                format!("{:?} has no patch of [3, {t}, {h}, {w}]", pixels.dims()),
            ));
        }
        let [nt, nh, nw] = grid;
        let whole = pixels
            .narrow(2, 0, nt * t)?
            .narrow(3, 0, nh * h)?
            .narrow(4, 0, nw * w)?
            .contiguous()?;
        let patches = whole
            .reshape(vec![batch, 3, nt, t, nh, h, nw, w])?
            .permute(vec![0, 2, 4, 6, 1, 3, 5, 7])?
            .contiguous()?
            .reshape((batch, nt * nh * nw, 3 * t * h * w))?;
        Ok((patches, grid))
    }

    /// What is added for the place of a token, `[1, N, C]`.
    fn places(&self, grid: [usize; 3], device: &Device) -> Result<Tensor> {
        let [_, rows, columns] = grid;
        let Some(learned) = &self.positions else {
            let width = self.after.weight.dim(0)?;
            return positions::waves(grid.iter().product(), width, device);
        };
        let count = learned.dim(1)?.saturating_sub(1);
        let side = count.isqrt();
        if (rows, columns) == (side, side) {
            return Ok(learned.clone());
        }
        if self.kind == VitKind::Clip || side * side != count {
            return Err(ModelError::input(
                "pixels",
                format!("{rows} x {columns} patches where {count} have a position"),
            ));
        }
        positions::stretched(learned, side, rows, columns)
    }
}
