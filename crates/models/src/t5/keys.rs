//! Where files keep T5's encoder. Ours are transformers' names, with `shared` for the
//! embedding.

use nn::weights::KeyMap;

use super::T5Config;
use crate::file::ModelFile;

/// Parts of llama.cpp's names and ours; `ffn_up` depends on whether there is a gate.
const GGUF_PARTS: [(&str, &str); 10] = [
    ("attn_q", "layer.0.SelfAttention.q"),
    ("attn_k", "layer.0.SelfAttention.k"),
    ("attn_v", "layer.0.SelfAttention.v"),
    ("attn_o", "layer.0.SelfAttention.o"),
    (
        "attn_rel_b",
        "layer.0.SelfAttention.relative_attention_bias",
    ),
    ("attn_norm", "layer.0.layer_norm"),
    ("ffn_norm", "layer.1.layer_norm"),
    ("ffn_gate", "layer.1.DenseReluDense.wi_0"),
    ("ffn_down", "layer.1.DenseReluDense.wo"),
    ("attn_output", "layer.0.SelfAttention.o"),
];

/// Prefixes that other programs put in front of transformers' names.
const WRAPPERS: [&str; 3] = ["text_encoder.", "text_encoders.t5xxl.transformer.", "t5."];

pub(super) fn encoder_keys(file: &ModelFile, config: &T5Config) -> KeyMap {
    keys(file, config.feed_forward.gated)
}

/// Names as [`T5Config::of_shapes`] wants them.
pub(super) fn keys(file: &ModelFile, gated: bool) -> KeyMap {
    let shapes = file.shapes();
    if shapes.contains_key("token_embd.weight") {
        let up = if gated { "wi_1" } else { "wi" };
        let keys = KeyMap::new()
            .prefix("enc.blk.", "encoder.block.")
            .prefix("token_embd.", "shared.")
            .prefix("enc.output_norm.", "encoder.final_layer_norm.")
            .part("ffn_up", &format!("layer.1.DenseReluDense.{up}"));
        return GGUF_PARTS
            .into_iter()
            .fold(keys, |keys, (from, to)| keys.part(from, to));
    }
    let wrapper = WRAPPERS
        .into_iter()
        .find(|wrapper| shapes.keys().any(|name| name.starts_with(wrapper)))
        .unwrap_or_default();
    let named = |name: &str| shapes.contains_key(&format!("{wrapper}{name}"));
    let mut keys = KeyMap::new();
    // Files hold the table under either name, or under both; one is enough.
    if named("shared.weight") {
        keys = keys.prefix(&format!("{wrapper}shared."), "shared.");
        keys = keys.prefix(&format!("{wrapper}encoder.embed_tokens."), "embed_tokens.");
    } else {
        keys = keys.prefix(&format!("{wrapper}encoder.embed_tokens."), "shared.");
        keys = keys.prefix(&format!("{wrapper}embed_tokens."), "shared.");
    }
    if named("block.0.layer.0.layer_norm.weight") {
        // The encoder saved alone.
        keys = keys
            .prefix(&format!("{wrapper}block."), "encoder.block.")
            .prefix(
                &format!("{wrapper}final_layer_norm."),
                "encoder.final_layer_norm.",
            );
    }
    keys.prefix(&format!("{wrapper}encoder."), "encoder.")
        .keep_others()
}

/// What may be there besides the encoder: the decoder of a whole T5, its head, and the
/// second copy of the embedding.
pub(super) fn is_ignored(name: &str) -> bool {
    ["decoder.", "lm_head.", "embed_tokens.", "dec."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}
