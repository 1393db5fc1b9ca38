"""A small LTX transformer of diffusers with two adapters of PEFT, for `crates/models/tests/lora.rs`.

    pip install torch diffusers==0.42.1 peft==0.21.2 safetensors
    python tools/parity/lora.py crates/models/tests/fixtures

`lora.safetensors` holds the model, its inputs (`in.*`), the velocities without and with the adapters at given strengths
(`out.*`), and the adapters as PEFT names them (`a.*`, `b.*`), alpha and all in the header.
"""

import argparse
import json
from pathlib import Path

import torch
from diffusers import LTXVideoTransformer3DModel
from ltx import fill
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file

# Every kind of linear there is; `b` has a few in another rank, with rank-stabilised scale and an alpha of its own for one.
A = ["proj_in", "time_embed.emb.timestep_embedder.linear_1", "time_embed.emb.timestep_embedder.linear_2", "time_embed.linear",
     "caption_projection.linear_1", "caption_projection.linear_2", "attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0",
     "attn2.to_q", "attn2.to_k", "attn2.to_v", "attn2.to_out.0", "ff.net.0.proj", "ff.net.2", "proj_out"]
B = ["transformer_blocks.1.attn1.to_q", "transformer_blocks.0.ff.net.2"]


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    config = dict(num_layers=2, num_attention_heads=2, attention_head_dim=9, in_channels=5, out_channels=5,
                  cross_attention_dim=18, caption_channels=7, patch_size=1, patch_size_t=1, qk_norm="rms_norm_across_heads")
    model = fill(LTXVideoTransformer3DModel(**config), 21)
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    torch.manual_seed(21)
    count = 12
    inputs = dict(latents=torch.randn(1, count, 5), timestep=torch.tensor([0.5]), caption=torch.randn(1, 6, 7),
                  caption_mask=torch.ones(1, 6), coords=torch.rand(1, 3, count) * 100)
    run = lambda m: m(inputs["latents"], inputs["caption"], inputs["timestep"] * 1000, inputs["caption_mask"],
                      video_coords=inputs["coords"], return_dict=False)[0]
    outputs = dict(plain=run(model))
    first = LoraConfig(r=3, lora_alpha=5, target_modules=A, init_lora_weights=False)
    second = LoraConfig(r=2, lora_alpha=4, target_modules=B, init_lora_weights=False, use_rslora=True,
                        alpha_pattern={"ff.net.2": 7})
    peft = get_peft_model(model, first, adapter_name="a")
    peft.add_adapter("b", second)
    for name, p in peft.named_parameters():
        if "lora_" in name:
            p.copy_((torch.randn(p.shape) * 0.3).bfloat16().float())
    base = peft.base_model
    # `set_scale` forgets rank stabilisation and patterns, so the scales are multiplied by hand.
    scales = [(m, n, s) for m in peft.modules() if hasattr(m, "scaling") for n, s in m.scaling.items()]

    def with_strengths(a, b):
        base.set_adapter([n for n, s in (("a", a), ("b", b)) if s])
        for module, name, scale in scales:
            module.scaling[name] = scale * {"a": a, "b": b}[name]
        return run(peft)

    outputs |= dict(a=with_strengths(1.0, 0), a_weak=with_strengths(0.4, 0), b=with_strengths(0, 1.0), both=with_strengths(0.7, -1.3))
    tensors = dict(weights) | {f"in.{k}": v for k, v in inputs.items()} | {f"out.{k}": v for k, v in outputs.items()}
    for name in ("a", "b"):
        tensors |= {f"{name}.{k}": v.clone() for k, v in get_peft_model_state_dict(peft, adapter_name=name).items()}
    adapters = {"a": dict(r=3, lora_alpha=5), "b": dict(r=2, lora_alpha=4, use_rslora=True, alpha_pattern={"ff.net.2": 7})}
    path = folder / "lora.safetensors"
    tensors = {k: v.contiguous().bfloat16() if not k.startswith(("in.", "out.")) else v.contiguous() for k, v in tensors.items()}
    save_file(tensors, str(path), metadata={"config": json.dumps(dict(config)), "adapters": json.dumps(adapters)})
    print(path, path.stat().st_size, sorted(k for k in tensors if k.startswith("b.")))


if __name__ == "__main__":
    main()
