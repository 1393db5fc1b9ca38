//! Where files keep Whisper's encoder. Ours are transformers' names without a prefix.

use nn::weights::KeyMap;

use crate::file::ModelFile;

/// `OpenAI`'s names inside a block, and transformers'.
const OPENAI_PARTS: [(&str, &str); 9] = [
    ("attn.query", "self_attn.q_proj"),
    ("attn.key", "self_attn.k_proj"),
    ("attn.value", "self_attn.v_proj"),
    ("attn.out", "self_attn.out_proj"),
    ("attn_ln", "self_attn_layer_norm"),
    ("mlp.0", "fc1"),
    ("mlp.2", "fc2"),
    ("mlp_ln", "final_layer_norm"),
    ("blocks", "layers"),
];

/// Prefixes in front of the encoder's own names.
const PREFIXES: [&str; 4] = ["model.encoder.", "encoder.", "model.", ""];

pub(super) fn encoder_keys(file: &ModelFile) -> KeyMap {
    let shapes = file.shapes();
    let prefix = PREFIXES
        .into_iter()
        .find(|prefix| shapes.contains_key(&format!("{prefix}conv1.weight")))
        .unwrap_or_default();
    let mut keys = KeyMap::new();
    if shapes.contains_key(&format!("{prefix}positional_embedding")) {
        keys = keys
            .prefix(
                &format!("{prefix}positional_embedding"),
                "embed_positions.weight",
            )
            .prefix(&format!("{prefix}ln_post."), "layer_norm.");
        keys = OPENAI_PARTS
            .into_iter()
            .fold(keys, |keys, (from, to)| keys.part(from, to));
    }
    if prefix.is_empty() {
        keys.keep_others()
    } else {
        // What lies elsewhere is the decoder.
        keys.prefix(prefix, "")
    }
}

/// What may stand beside an encoder that has no prefix.
pub(super) fn is_ignored(name: &str) -> bool {
    ["decoder.", "proj_out.", "model.decoder."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}
