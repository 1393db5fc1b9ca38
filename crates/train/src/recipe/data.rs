//! Footage and how it is cut into samples.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where clips are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A folder of clips, or of shards (`*.tar` with `index.parquet`); relative to the recipe.
    pub path: String,
    /// A table of the folder's clips (`file`, and where there are: `identity`, `kind`), tab-separated;
    /// without it, every video below the folder is a clip.
    pub index: Option<String>,
    /// How often its clips are drawn; multiplied with `weights`.
    #[serde(default = "one")]
    pub weight: f64,
    /// Weights by the first part of a clip's path.
    #[serde(default)]
    pub weights: BTreeMap<String, f64>,
    /// Identities that are validated on and never trained on; the first part of a clip's path counts too.
    #[serde(default)]
    pub held_out: Vec<String>,
    /// Share of the other identities (by a hash of their names) that is held out.
    #[serde(default)]
    pub held_out_share: f64,
    /// At most so many clips of each first part of the path, chosen by the seed.
    #[serde(default)]
    pub most: BTreeMap<String, usize>,
}

/// Which cells are masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskKind {
    /// The head crop's fixed box.
    #[default]
    Crop,
    /// The lower face's box in the whole frame, following the face.
    Frame,
}

/// Footage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecipe {
    /// Where clips are.
    pub sources: Vec<Source>,
    /// Folder of what is computed once a clip (landmarks, sound, latents); relative to the recipe.
    pub cache: Option<String>,
    /// Seconds of a clip that are used.
    #[serde(default = "seconds")]
    pub seconds: f64,
    /// Fewest frames of a clip.
    #[serde(default = "least_frames")]
    pub least_frames: u64,
    /// Which cells are masked.
    #[serde(default)]
    pub mask: MaskKind,
    /// Random size of the frame, megapixels (only with `mask = "frame"`).
    #[serde(default = "megapixels")]
    pub megapixels: [f64; 2],
    /// Clips whose sound and mouth correlate less (by the model's own encoder) are left out.
    #[serde(default = "least_agreement")]
    pub least_agreement: f64,
    /// Frames of a clip that may be references.
    #[serde(default = "reference_frames")]
    pub reference_frames: usize,
    /// Counterparts of a clip, for models with `recorded_context`: the same frames with the lips of other moments.
    #[serde(default)]
    pub counterparts: usize,
}

/// Samples a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Batch {
    /// Clips of a rank at once.
    pub samples: usize,
    /// Noised copies of each clip that share its context (one-way attention).
    pub copies: usize,
    /// Rounds whose gradients are averaged before a step.
    pub accumulate: usize,
    /// Latents of a window; one of these a step, in turn.
    pub latents: Vec<usize>,
    /// Tokens a round at most; longer windows then have fewer samples. 0 for no bound.
    pub tokens: usize,
    /// Frames of a picture window (stage `vae`), or of a sound window (stage `audio-encoder`).
    pub frames: Vec<usize>,
    /// Pixels a side of picture windows (stage `vae`), in turn with `frames`.
    pub pixels: Vec<usize>,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            samples: 4,
            copies: 1,
            accumulate: 1,
            latents: vec![9],
            tokens: 0,
            frames: vec![64],
            pixels: vec![128],
        }
    }
}

const fn one() -> f64 {
    1.0
}

const fn seconds() -> f64 {
    10.0
}

const fn least_frames() -> u64 {
    45
}

const fn megapixels() -> [f64; 2] {
    [0.25, 2.0]
}

const fn least_agreement() -> f64 {
    -1.0
}

const fn reference_frames() -> usize {
    8
}
