//! Weights at the start, which of them move, and how.

use serde::{Deserialize, Serialize};

use crate::lora::LoraOptions;
use crate::optimiser::{AdamW, Group, Muon, MuonScale, Rule};
use crate::pattern::Patterns;

/// Working type of activations and of the weights' copies; masters and states are `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DTypeName {
    /// Single precision.
    #[default]
    F32,
    /// Half precision with the range of single.
    Bf16,
}

impl DTypeName {
    /// As a tensor type.
    pub const fn dtype(self) -> candle_core::DType {
        match self {
            Self::F32 => candle_core::DType::F32,
            Self::Bf16 => candle_core::DType::BF16,
        }
    }
}

/// Weights at the start, and which of them move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRecipe {
    /// A weight file with its config in the header, `tiny` for the embedded one; relative to the recipe.
    pub weights: Option<String>,
    /// A JSON file with a config, for weights that start at random.
    pub config: Option<String>,
    /// A JSON file whose objects are added to the weight file's config, for parts that it lacks (the sound's,
    /// in a published LTX-Video file). Tensors that the config then asks for and nobody has start at random.
    pub add: Option<String>,
    /// Tensors taken from other files.
    #[serde(default)]
    pub parts: Vec<Part>,
    /// Parts of `weights` that start at random all the same.
    #[serde(default)]
    pub fresh: Patterns,
    /// Working type.
    #[serde(default)]
    pub dtype: DTypeName,
    /// Whether the backward pass runs each of the transformer's blocks again instead of keeping what it computed:
    /// less memory, for a third more arithmetic.
    #[serde(default)]
    pub checkpoint_blocks: bool,
    /// Names of tensors that are trained.
    #[serde(default)]
    pub train: Patterns,
    /// Names that are not, although they fit `train`.
    #[serde(default)]
    pub freeze: Patterns,
    /// Low-rank additions, trained besides.
    pub lora: Option<LoraOptions>,
}

/// Tensors of another file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// A weight file, `tiny` for the embedded one; relative to the recipe.
    pub from: String,
    /// Which of its tensors.
    pub names: Patterns,
}

/// The rule's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleName {
    /// Muon for matrices, `AdamW` for vectors.
    #[default]
    Muon,
    /// `AdamW` for all.
    Adamw,
}

/// How parameters move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimiserRecipe {
    /// Rate of `AdamW`: of vectors, and of what `adamw` names.
    pub rate: f64,
    /// Rate of Muon; without it 100 times `rate`, as in the paper.
    pub muon_rate: Option<f64>,
    /// Rule of matrices.
    #[serde(default)]
    pub matrices: RuleName,
    /// Names of matrices that move by `AdamW` nevertheless.
    #[serde(default)]
    pub adamw: Patterns,
    /// Decay of the averages of gradient and square.
    #[serde(default = "betas")]
    pub betas: [f64; 2],
    /// Largest multiple of the rate that one number moves by `AdamW`; 0 for no bound.
    #[serde(default)]
    pub most: f64,
    /// Muon's momentum.
    #[serde(default = "momentum")]
    pub momentum: f64,
    /// Size of Muon's steps.
    #[serde(default)]
    pub muon_scale: MuonScale,
    /// Weight decay.
    #[serde(default = "decay")]
    pub decay: f64,
    /// Largest norm of the gradient; 0 for no bound.
    #[serde(default = "clip")]
    pub clip: f64,
    /// Decay of the moving average that is shipped; 0 for none.
    #[serde(default = "average")]
    pub average: f64,
    /// Multiples of the rate by name; the first that fits counts.
    #[serde(default)]
    pub scales: Vec<RateScale>,
}

/// A multiple of the rate for some names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateScale {
    /// Names.
    pub names: Patterns,
    /// Multiple.
    pub scale: f64,
}

const fn betas() -> [f64; 2] {
    [0.9, 0.999]
}

const fn momentum() -> f64 {
    0.95
}

const fn decay() -> f64 {
    0.01
}

const fn clip() -> f64 {
    1.0
}

const fn average() -> f64 {
    0.999
}

impl OptimiserRecipe {
    /// The groups that the recipe means, in order.
    pub fn groups(&self, names: &[String]) -> Vec<Group> {
        let muon_rate = self.muon_rate.unwrap_or(100.0 * self.rate);
        let adamw = Rule::Adamw(AdamW {
            betas: self.betas,
            eps: 1e-8,
            most: self.most,
        });
        let muon = Rule::Muon(Muon {
            momentum: self.momentum,
            nesterov: true,
            iterations: 5,
            scale: self.muon_scale,
        });
        // One group a (scale, rule), named by the members themselves, so that "first fit" is decided here.
        let mut groups: Vec<Group> = Vec::new();
        for name in names {
            let scale = self.scales.iter().find(|s| s.names.fit(name));
            let scale = scale.map_or(1.0, |s| s.scale);
            let by_muon = self.matrices == RuleName::Muon && !self.adamw.fit(name);
            let (rule, rate) = if by_muon {
                (muon, muon_rate * scale)
            } else {
                (adamw, self.rate * scale)
            };
            let vector_rate = self.rate * scale;
            let same = groups.iter_mut().find(|group| {
                group.rule == rule
                    && group.rate.to_bits() == rate.to_bits()
                    && group.vector_rate.to_bits() == vector_rate.to_bits()
            });
            match same {
                Some(group) => group.names.0.push(name.clone()),
                None => groups.push(Group {
                    names: Patterns(vec![name.clone()]),
                    rate,
                    decay: self.decay,
                    rule,
                    vector_rate,
                }),
            }
        }
        groups
    }
}
