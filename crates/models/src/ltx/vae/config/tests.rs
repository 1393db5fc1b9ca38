use super::*;

/// As counted in LTX-Video's `CausalVideoAutoencoder`: 224 tensors, 1,246,913,522 parameters.
#[test]
fn the_released_autoencoder_has_the_known_size() {
    let shapes = VaeConfig::ltx().shapes();
    let parameters: usize = shapes.values().map(|s| s.iter().product::<usize>()).sum();
    assert_eq!((shapes.len(), parameters), (224, 1_246_913_522));
    let config = VaeConfig::ltx();
    assert_eq!((config.temporal_stride(), config.spatial_stride()), (8, 32));
}

/// The lists of 0.9.0, from its header as diffusers' conversion script implies it.
#[test]
fn the_first_autoencoder_is_read_in_both_layouts() {
    let blocks = serde_json::json!([
        ["res_x", 4],
        ["compress_all", 1],
        ["res_x_y", 1],
        ["res_x", 3],
        ["compress_all", 1],
        ["res_x_y", 1],
        ["res_x", 3],
        ["compress_all", 1],
        ["res_x", 3],
        ["res_x", 4],
    ]);
    let official = VaeConfig::from_json(&serde_json::json!({
        "latent_channels": 128, "patch_size": 4, "blocks": blocks,
    }))
    .unwrap();
    let diffusers = VaeConfig::from_json(&serde_json::json!({
        "latent_channels": 128, "patch_size": 4,
        "block_out_channels": [128, 256, 512, 512],
        "decoder_block_out_channels": [128, 256, 512, 512],
        "layers_per_block": [4, 3, 3, 3, 4], "decoder_layers_per_block": [4, 3, 3, 3, 4],
        "spatio_temporal_scaling": [true, true, true, false],
        "decoder_spatio_temporal_scaling": [true, true, true, false],
    }))
    .unwrap();
    assert_eq!(official, diffusers);
    assert_eq!(
        (official.temporal_stride(), official.spatial_stride()),
        (8, 32)
    );
}

#[test]
fn block_lists_that_cannot_be_built_are_refused_by_name() {
    let json = serde_json::json!({
        "latent_channels": 128,
        "encoder_blocks": [["attn_res_x", 1]],
        "decoder_blocks": [["res_x", 4]],
    });
    let error = VaeConfig::from_json(&json).unwrap_err().to_string();
    assert!(error.contains("attn_res_x"), "{error}");
}
