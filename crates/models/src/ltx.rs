//! LTX-Video: the transformer and the video autoencoder, with EditYourself's audio
//! cross-attention and one-way attention.
//!
//! Sources: Lightricks/LTX-Video `ltx_video/models/transformers/transformer3d.py`,
//! `attention.py` and `ltx_video/models/autoencoders/causal_video_autoencoder.py`;
//! huggingface/diffusers `models/transformers/transformer_ltx.py`,
//! `models/autoencoders/autoencoder_kl_ltx.py`; EditYourself (arXiv 2601.22127).

mod adapter;
mod again;
mod block;
mod blocks;
mod config;
mod inputs;
pub mod keys;
pub mod rope;
mod times;
mod transformer;
mod upsampler;
pub mod vae;

pub use adapter::with_adapter;
pub use block::{Perturbation, SkipMode};
pub use blocks::Residence;
pub use config::{AudioConfig, Precision, TransformerConfig};
pub use inputs::{AudioMemory, AudioQueries, Caption, ContextGroup, ContextMemory, Inputs};
pub use rope::Rope;
pub use transformer::{StepCache, Transformer};
pub use upsampler::{Upsampler, UpsamplerConfig};
pub use vae::{Vae, VaeConfig};
