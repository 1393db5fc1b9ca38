"""Files of the size of LTX-Video 13B in bf16 over holes: they take no room on the disk, and their weights are zeros. For
checking that files of that size are mapped, not read.

    python tools/parity/sparse_13b.py 13b.safetensors
    reword models verify 13b.safetensors --preset ltx-13b

    pip install torch diffusers==0.42.1 transformers==5.23.0
    python tools/parity/sparse_13b.py 13b --layout diffusers
    reword models verify 13b

`file` is the official one: the transformer, 26.09 GB, its config in the header. `shards` is the same in three files with an
index. `diffusers` is a folder as diffusers saves it: transformer, vae and text_encoder in shards with their configs beside
them, scheduler and tokenizer without weights. `--layers` makes the transformer smaller.
"""

import argparse
import json
from pathlib import Path

WIDTH = 4096
SHARD = 9 << 30


def config(layers):
    return {
        "num_layers": layers, "num_attention_heads": 32, "attention_head_dim": 128, "in_channels": 128, "out_channels": 128,
        "cross_attention_dim": WIDTH, "caption_channels": 4096, "causal_temporal_positioning": True,
    }


def shapes(layers):
    tensors = {}

    def linear(name, inputs, outputs):
        tensors[name + ".weight"], tensors[name + ".bias"] = [outputs, inputs], [outputs]

    linear("patchify_proj", 128, WIDTH)
    linear("adaln_single.emb.timestep_embedder.linear_1", 256, WIDTH)
    linear("adaln_single.emb.timestep_embedder.linear_2", WIDTH, WIDTH)
    linear("adaln_single.linear", WIDTH, 6 * WIDTH)
    linear("caption_projection.linear_1", 4096, WIDTH)
    linear("caption_projection.linear_2", WIDTH, WIDTH)
    linear("proj_out", WIDTH, 128)
    tensors["scale_shift_table"] = [2, WIDTH]
    for index in range(layers):
        block = f"transformer_blocks.{index}"
        tensors[block + ".scale_shift_table"] = [6, WIDTH]
        for attention in ("attn1", "attn2"):
            for norm in ("q_norm", "k_norm"):
                tensors[f"{block}.{attention}.{norm}.weight"] = [WIDTH]
            for part in ("to_q", "to_k", "to_v", "to_out.0"):
                linear(f"{block}.{attention}.{part}", WIDTH, WIDTH)
        linear(block + ".ff.net.0.proj", WIDTH, 4 * WIDTH)
        linear(block + ".ff.net.2", 4 * WIDTH, WIDTH)
    return tensors


def size(shape):
    product = 2
    for length in shape:
        product *= length
    return product


def write(path, tensors, metadata=None):
    header, end = {"__metadata__": metadata} if metadata else {}, 0
    for name, shape in sorted(tensors.items()):
        start, end = end, end + size(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def write_shards(folder, tensors, stem):
    folder.mkdir(parents=True, exist_ok=True)
    parts, room = [{}], SHARD
    for name, shape in sorted(tensors.items()):
        if size(shape) > room:
            parts.append({})
            room = SHARD
        parts[-1][name] = shape
        room -= size(shape)
    if len(parts) == 1:
        return write(folder / f"{stem}.safetensors", tensors, {"format": "pt"})
    places = {}
    for index, part in enumerate(parts):
        name = f"{stem}-{index + 1:05}-of-{len(parts):05}.safetensors"
        write(folder / name, part, {"format": "pt"})
        places |= dict.fromkeys(part, name)
    index = {"metadata": {"total_size": sum(map(size, tensors.values()))}, "weight_map": places}
    (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index, indent=2))


def diffusers_folder(folder, layers):
    import torch
    from diffusers import AutoencoderKLLTXVideo, FlowMatchEulerDiscreteScheduler, LTXVideoTransformer3DModel
    from transformers import T5Config, T5EncoderModel

    with torch.device("meta"):
        transformer = LTXVideoTransformer3DModel(
            num_layers=layers, num_attention_heads=32, attention_head_dim=128, cross_attention_dim=WIDTH, caption_channels=4096)
        vae = AutoencoderKLLTXVideo(
            block_out_channels=(128, 256, 512, 1024, 2048), down_block_types=("LTXVideo095DownBlock3D",) * 4,
            spatio_temporal_scaling=(True,) * 4, layers_per_block=(4, 6, 6, 2, 2),
            downsample_type=("spatial", "temporal", "spatiotemporal", "spatiotemporal"),
            decoder_block_out_channels=(256, 512, 1024), decoder_layers_per_block=(5, 5, 5, 5),
            decoder_spatio_temporal_scaling=(True,) * 3, decoder_inject_noise=(False,) * 4,
            upsample_residual=(True,) * 3, upsample_factor=(2, 2, 2), timestep_conditioning=True)
        text = T5EncoderModel(T5Config(
            d_model=4096, d_kv=64, d_ff=10240, num_layers=24, num_heads=64, vocab_size=32128, feed_forward_proj="gated-gelu"))
    listed = lambda model: {k: list(v.shape) for k, v in model.state_dict().items()}
    of_text = listed(text)
    of_text.pop("encoder.embed_tokens.weight")  # the same as shared.weight, stored once
    for name, model, tensors, stem in (("transformer", transformer, listed(transformer), "diffusion_pytorch_model"),
                                       ("vae", vae, listed(vae), "diffusion_pytorch_model"), ("text_encoder", text, of_text, "model")):
        write_shards(folder / name, tensors, stem)
        model.config.save_pretrained(folder / name) if name == "text_encoder" else model.save_config(folder / name)
    FlowMatchEulerDiscreteScheduler().save_pretrained(folder / "scheduler")
    (folder / "tokenizer").mkdir(exist_ok=True)
    parts = {"scheduler": "FlowMatchEulerDiscreteScheduler", "text_encoder": "T5EncoderModel", "tokenizer": "T5Tokenizer",
             "transformer": "LTXVideoTransformer3DModel", "vae": "AutoencoderKLLTXVideo"}
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "LTXConditionPipeline"} | {k: ["diffusers", v] for k, v in parts.items()}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--layout", choices=("file", "shards", "diffusers"), default="file")
    parser.add_argument("--layers", type=int, default=48)
    arguments = parser.parse_args()
    path, layers = arguments.path, arguments.layers
    tensors = {"model.diffusion_model." + name: shape for name, shape in shapes(layers).items()}
    header = json.dumps({"transformer": config(layers)})
    if arguments.layout == "file":
        write(path, tensors, {"config": header})
    elif arguments.layout == "shards":
        write_shards(path, tensors, "model")
        (path / "config.json").write_text(header)
    else:
        diffusers_folder(path, layers)


if __name__ == "__main__":
    main()
