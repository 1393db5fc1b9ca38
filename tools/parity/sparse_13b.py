"""A file of the size and with the header of LTX-Video 13B in bf16, 26.09 GB over a hole: it takes no room on the disk, and
its weights are zeros. For checking that a file of that size is mapped, not read.

    python tools/parity/sparse_13b.py 13b.safetensors
    reword models verify 13b.safetensors --preset ltx-13b
"""

import json
import sys

WIDTH, LAYERS = 4096, 48
CONFIG = {
    "num_layers": LAYERS, "num_attention_heads": 32, "attention_head_dim": 128, "in_channels": 128, "out_channels": 128,
    "cross_attention_dim": WIDTH, "caption_channels": 4096, "causal_temporal_positioning": True,
}


def shapes():
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
    for index in range(LAYERS):
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


def main():
    header, end = {"__metadata__": {"config": json.dumps({"transformer": CONFIG})}}, 0
    for name, shape in sorted(shapes().items()):
        start, end = end, end + 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header["model.diffusion_model." + name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(sys.argv[1], "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


if __name__ == "__main__":
    main()
