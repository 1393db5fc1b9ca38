//! The two layouts of LTX-Video files, as data.
//!
//! Official single files carry `model.diffusion_model.` and `vae.` in front of their
//! names; diffusers keeps the networks in folders of their own and renames parts
//! (huggingface/diffusers `scripts/convert_ltx_to_diffusers.py`). Ours are the official
//! names without the prefix.

use nn::weights::KeyMap;

use super::VaeConfig;
use super::vae::Stage;
use crate::file::ModelFile;

/// Prefix of the transformer in a single file.
pub const TRANSFORMER_PREFIX: &str = "model.diffusion_model.";
/// Prefix of the autoencoder in a single file.
pub const VAE_PREFIX: &str = "vae.";
/// Prefix of the audio encoder in a single file.
pub const AUDIO_ENCODER_PREFIX: &str = "audio_encoder.";

/// Parts of names that diffusers has renamed in the transformer, and the official ones.
const TRANSFORMER_PARTS: [(&str, &str); 4] = [
    ("proj_in", "patchify_proj"),
    ("time_embed", "adaln_single"),
    ("norm_q", "q_norm"),
    ("norm_k", "k_norm"),
];

/// Parts of names that diffusers has renamed in the autoencoder, and the official ones.
const VAE_PARTS: [(&str, &str); 3] = [
    ("resnets", "res_blocks"),
    ("conv_shortcut.conv", "conv_shortcut"),
    ("norm3", "norm3.norm"),
];

/// Names that diffusers has renamed in the autoencoder outside of its stages.
const VAE_NAMES: [(&str, &str); 4] = [
    ("decoder.time_embedder.", "decoder.last_time_embedder."),
    (
        "decoder.scale_shift_table",
        "decoder.last_scale_shift_table",
    ),
    ("latents_mean", "per_channel_statistics.mean-of-means"),
    ("latents_std", "per_channel_statistics.std-of-means"),
];

/// Where a file has its transformer.
pub fn transformer_keys(file: &ModelFile) -> KeyMap {
    let shapes = file.shapes();
    if shapes
        .keys()
        .any(|name| name.starts_with(TRANSFORMER_PREFIX))
    {
        return KeyMap::new().prefix(TRANSFORMER_PREFIX, "");
    }
    let mut keys = KeyMap::new().keep_others();
    if shapes.contains_key("proj_in.weight") {
        for (from, to) in TRANSFORMER_PARTS {
            keys = keys.part(from, to);
        }
    }
    keys
}

/// Where a file has its autoencoder.
pub fn vae_keys(file: &ModelFile, config: &VaeConfig) -> KeyMap {
    let shapes = file.shapes();
    if shapes.keys().any(|name| name.starts_with(VAE_PREFIX)) {
        return KeyMap::new()
            .prefix(VAE_PREFIX, "")
            .part("resnets", "res_blocks");
    }
    let keys = KeyMap::new().keep_others();
    let diffusers = shapes.keys().any(|name| {
        name.starts_with("encoder.mid_block.") || name.starts_with("decoder.mid_block.")
    });
    if !diffusers {
        return keys.part("resnets", "res_blocks");
    }
    let keys = vae_stages(config)
        .into_iter()
        .fold(keys, |keys, (from, to)| keys.prefix(&from, &to));
    let keys = VAE_NAMES
        .into_iter()
        .fold(keys, |keys, (from, to)| keys.prefix(from, to));
    VAE_PARTS
        .into_iter()
        .fold(keys, |keys, (from, to)| keys.part(from, to))
}

/// Stage by stage: diffusers pairs every run of residual blocks with the change of
/// resolution and width behind it (encoder) or before it (decoder), and calls the one that
/// is left over the middle.
fn vae_stages(config: &VaeConfig) -> Vec<(String, String)> {
    let mut names = Vec::new();
    let mut block = 0_usize;
    let last = config.encoder_blocks.len().saturating_sub(1);
    for (index, stage) in config.encoder_blocks.iter().enumerate() {
        let official = format!("encoder.down_blocks.{index}.");
        match stage {
            Stage::Residual { .. } if index == last => {
                names.push(("encoder.mid_block.".to_owned(), official));
            }
            Stage::Residual { .. } => {
                names.push((
                    format!("encoder.down_blocks.{block}.resnets."),
                    format!("{official}res_blocks."),
                ));
                block += 1;
            }
            Stage::Compress { .. } | Stage::Strided { .. } => {
                let behind = block.saturating_sub(1);
                names.push((
                    format!("encoder.down_blocks.{behind}.downsamplers.0."),
                    official,
                ));
            }
            Stage::Channels { .. } => {
                let behind = block.saturating_sub(1);
                names.push((format!("encoder.down_blocks.{behind}.conv_out."), official));
            }
        }
    }
    let mut block = 0;
    for (index, stage) in config.decoder_blocks.iter().enumerate() {
        let official = format!("decoder.up_blocks.{index}.");
        match stage {
            Stage::Residual { .. } if index == 0 => {
                names.push(("decoder.mid_block.".to_owned(), official));
            }
            Stage::Residual { .. } => {
                for part in ["resnets.", "time_embedder."] {
                    let ours = if part == "resnets." {
                        "res_blocks."
                    } else {
                        part
                    };
                    names.push((
                        format!("decoder.up_blocks.{block}.{part}"),
                        format!("{official}{ours}"),
                    ));
                }
                block += 1;
            }
            Stage::Compress { .. } | Stage::Strided { .. } => {
                names.push((format!("decoder.up_blocks.{block}.upsamplers.0."), official));
            }
            Stage::Channels { .. } => {
                names.push((format!("decoder.up_blocks.{block}.conv_in."), official));
            }
        }
    }
    names
}
