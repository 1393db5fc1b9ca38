"""Eight steps of diffusers' LTX transformer under the released guidance, then the upsampler and a second pass, for
`crates/methods/tests/pipeline.rs`.

    pip install torch diffusers==0.42.1 safetensors
    python tools/parity/pipeline.py crates/methods/tests/fixtures

The maths around the networks are those of LTX-Video's pipeline_ltx_video.py in plain torch, with diffusers' scheduler
for the grid and its steps, and `adain_filter_latent` of its upsampling pipeline. One file a skip mode.
"""

import argparse
import json
from pathlib import Path

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, LTXVideoTransformer3DModel
from diffusers.pipelines.ltx.modeling_latent_upsampler import LTXLatentUpsamplerModel
from diffusers.pipelines.ltx.pipeline_ltx_condition import linear_quadratic_schedule
from diffusers.pipelines.ltx.pipeline_ltx_latent_upsample import LTXLatentUpsamplePipeline
from ltx import fill
from safetensors.torch import save_file

# Guidance by timestep: (first timestep, scale, perturbed, rescale, blocks).
LISTS = [(1.0, 1, 0, 1, []), (0.99, 6, 4, 0.5, [0, 2]), (0.978, 8, 4, 0.5, [1]), (0.9, 1, 2, 0.7, [1]), (0.5, 1, 1, 1, [2])]


class Skip:
    """Replaces a block's self-attention, or the block, for the perturbed branch."""

    def __init__(self, model, blocks, mode):
        self.saved = []
        for index in blocks:
            block = model.transformer_blocks[index]
            if mode == "transformer_block":
                self.saved.append((block, "forward", block.forward))
                block.forward = lambda hidden_states, *a, **k: hidden_states
            elif mode in ("attention_values", "attention_skip"):
                attn = block.attn1
                self.saved.append((attn, "forward", attn.forward))
                inner = (lambda attn: lambda hidden_states, *a, **k: attn.to_out[0](attn.to_v(hidden_states)))(attn)
                if mode == "attention_skip":
                    inner = (lambda attn: lambda hidden_states, *a, **k: attn.to_out[0](hidden_states))(attn)
                attn.forward = inner

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for owner, name, value in self.saved:
            setattr(owner, name, value)


def guided(model, x, t, caption, negative, mask, coords, mode):
    run = lambda c: model(x, c, torch.full((len(x),), t * 1000.0), mask, video_coords=coords, return_dict=False)[0]
    _, scale, perturbed, rescale, blocks = next(entry for entry in LISTS if entry[0] <= t or entry is LISTS[-1])
    v = positive = run(caption)
    if scale != 1:
        other = run(negative)
        alpha = (positive * other).flatten(1).sum(1) / (other.flatten(1).pow(2).sum(1) + 1e-8)
        other = alpha.view(-1, 1, 1) * other
        v = other + scale * (positive - other)
    if perturbed:
        with Skip(model, blocks, mode):
            changed = run(caption)
        v = v + perturbed * (positive - changed)
        if rescale != 1:
            factor = positive.flatten(1).std(1) / v.flatten(1).std(1)
            v = v * (rescale * factor + (1 - rescale)).view(-1, 1, 1)
    return v


def denoise(model, x, sigmas, **rest):
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=False)
    scheduler.set_timesteps(sigmas=sigmas)
    for t in scheduler.timesteps:
        x = scheduler.step(guided(model, x, float(t) / 1000, **rest), t, x, return_dict=False)[0]
    return x


def coordinates(frames, rows, columns, fps=24.0):
    f, y, x = torch.meshgrid(torch.arange(frames), torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack([(8 * f - 7).clamp(min=0) / fps, 32.0 * y, 32.0 * x]).flatten(1)[None].float()


tokens = lambda z: z.flatten(2).transpose(1, 2)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    config = dict(num_layers=3, num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4,
                  cross_attention_dim=24, caption_channels=7, patch_size=1, patch_size_t=1, qk_norm="rms_norm_across_heads")
    model = fill(LTXVideoTransformer3DModel(**config), 31)
    for p in model.proj_out.parameters():
        p.mul_(0.5)
    upsampler = fill(LTXLatentUpsamplerModel(in_channels=4, mid_channels=32, num_blocks_per_stage=1), 32)
    torch.manual_seed(31)
    mean, std = torch.randn(4) * 0.3, torch.rand(4) + 0.5
    frames, rows, columns = 2, 2, 3
    noise, second = torch.randn(1, 4, frames, rows, columns), torch.randn(1, 4, frames, 2 * rows, 2 * columns)
    caption, negative, mask = torch.randn(1, 6, 7), torch.randn(1, 6, 7), torch.tensor([[1.0, 1, 1, 1, 0, 0]])
    sigmas = linear_quadratic_schedule(8).tolist()
    tensors = {f"transformer.{k}": v.bfloat16() for k, v in model.state_dict().items()}
    model.load_state_dict({k[12:]: v.float() for k, v in tensors.items()})
    tensors |= {f"upsampler.{k}": v.bfloat16() for k, v in upsampler.state_dict().items()}
    tensors |= {"in.noise": noise, "in.second": second, "in.caption": caption, "in.negative": negative, "in.mask": mask,
                "in.mean": mean, "in.std": std}
    pipeline = LTXLatentUpsamplePipeline.__new__(LTXLatentUpsamplePipeline)
    for mode in ("attention_values", "attention_skip", "residual", "transformer_block"):
        rest = dict(caption=caption, negative=negative, mask=mask, mode=mode)
        first = denoise(model, tokens(noise), sigmas, coords=coordinates(frames, rows, columns), **rest)
        tensors[f"out.{mode}"] = first
        if mode != "attention_values":
            continue
        first = first.transpose(1, 2).reshape(noise.shape)
        shape = (1, 4, 1, 1, 1)
        larger = upsampler(first * std.view(shape) + mean.view(shape))
        larger = pipeline.adain_filter_latent((larger - mean.view(shape)) / std.view(shape), first, 1.0)
        start = (1 - sigmas[5]) * larger + sigmas[5] * second
        tensors["out.upsampled"], tensors["out.second"] = larger, denoise(
            model, tokens(start), sigmas[5:], coords=coordinates(frames, 2 * rows, 2 * columns), **rest)
    path = folder / "pipeline.safetensors"
    save_file({k: v.contiguous() for k, v in tensors.items()}, str(path),
              metadata={"config": json.dumps(config), "upsampler": json.dumps(dict(upsampler.config)), "lists": json.dumps(LISTS)})
    print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
