"""Eight steps of diffusers' LTX transformer under the released guidance, then the upsampler and a second pass, for
`crates/methods/tests/pipeline.rs`.

    pip install torch diffusers==0.42.1 safetensors
    python tools/parity/pipeline.py crates/methods/tests/fixtures
    python tools/parity/pipeline.py crates/methods/tests/fixtures --seed 4
    python tools/parity/pipeline.py FOLDER --seed 5   # any other; REWORD_PIPELINES=FOLDER cargo test -p methods --test pipeline

With a seed, networks, grid and guidance are drawn, and three runs are kept in `pipeline_SEED.safetensors`: guided as the dev
preset guides (classifier-free, star rescale, perturbed blocks), by the distilled preset's timesteps, and diffusers'
`LTXConditionPipeline` as a whole with a first frame, a later frame and a weaker clip to keep.

The maths around the networks are those of LTX-Video's pipeline_ltx_video.py in plain torch, with diffusers' scheduler
for the grid and its steps, and `adain_filter_latent` of its upsampling pipeline. One file a skip mode.
"""

import argparse
import json
import random
from pathlib import Path

import torch
from diffusers import AutoencoderKLLTXVideo, FlowMatchEulerDiscreteScheduler, LTXConditionPipeline, LTXVideoTransformer3DModel
from diffusers.pipelines.ltx.modeling_latent_upsampler import LTXLatentUpsamplerModel
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition, linear_quadratic_schedule
from diffusers.pipelines.ltx.pipeline_ltx_latent_upsample import LTXLatentUpsamplePipeline
from ltx import fill
from PIL import Image
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


def guided(model, x, t, caption, negative, mask, coords, mode, lists=LISTS):
    run = lambda c: model(x, c, torch.full((len(x),), t * 1000.0), mask, video_coords=coords, return_dict=False)[0]
    _, scale, perturbed, rescale, blocks = next(entry for entry in lists if entry[0] <= t or entry is lists[-1])
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


def whole_pipeline(model, rng, frames, rows, columns, caption, negative, mask, fps):
    """diffusers' pipeline, with what it starts from."""
    channels = model.config.in_channels
    vae = AutoencoderKLLTXVideo(
        latent_channels=channels, block_out_channels=(4, 8, 16, 32, 64), down_block_types=("LTXVideo095DownBlock3D",) * 4,
        spatio_temporal_scaling=(True,) * 4, layers_per_block=(1,) * 5, downsample_type=("spatial", "temporal", "spatiotemporal", "spatiotemporal"),
        decoder_block_out_channels=(8, 16, 32), decoder_layers_per_block=(1,) * 4, decoder_spatio_temporal_scaling=(True,) * 3,
        decoder_inject_noise=(False,) * 4, upsample_residual=(True,) * 3, upsample_factor=(2,) * 3, encoder_causal=True,
        spatial_compression_ratio=32, temporal_compression_ratio=8)
    fill(vae, rng.randrange(1 << 30))
    pipe = LTXConditionPipeline(scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=False), vae=vae, text_encoder=None,
                                tokenizer=None, transformer=model)
    pipe.set_progress_bar_config(disable=True)
    kept = {}
    prepare = pipe.prepare_latents

    def spy(*arguments, **named):
        latents, strength, coords, extra = prepare(*arguments, **named)
        kept.update(start=latents.clone(), strength=strength.clone(), coords=coords.float() / torch.tensor([fps, 1, 1]).view(1, 3, 1), extra=extra)
        return latents, strength, coords, extra

    pipe.prepare_latents = spy
    height, width, count = 32 * rows, 32 * columns, 8 * (frames - 1) + 1
    clip = [Image.fromarray(torch.randint(0, 256, (height, width, 3), dtype=torch.uint8).numpy()) for _ in range(9)]
    conditions = [LTXVideoCondition(image=None, video=clip[:1], frame_index=0, strength=1.0)]
    if frames > 2:
        conditions.append(LTXVideoCondition(image=None, video=clip, frame_index=8, strength=0.6))
    conditions.append(LTXVideoCondition(image=None, video=clip[4:5], frame_index=count - 1, strength=rng.choice([1.0, 0.8])))
    found = pipe(conditions=conditions, prompt_embeds=caption, prompt_attention_mask=mask, negative_prompt_embeds=negative,
                 negative_prompt_attention_mask=mask, height=height, width=width, num_frames=count, frame_rate=fps,
                 num_inference_steps=8, guidance_scale=4.0, image_cond_noise_scale=0.0, output_type="latent",
                 generator=torch.Generator().manual_seed(rng.randrange(1 << 30)), return_dict=False)[0]
    return kept, tokens(found)


@torch.no_grad()
def drawn(folder, seed):
    rng = random.Random(seed)
    heads, layers, channels, captions = rng.randint(1, 3), rng.randint(2, 4), rng.randint(3, 6), rng.randint(3, 11)
    head = rng.choice([6, 10, 12, 14])
    config = dict(num_layers=layers, num_attention_heads=heads, attention_head_dim=head, in_channels=channels, out_channels=channels,
                  cross_attention_dim=heads * head, caption_channels=captions, patch_size=1, patch_size_t=1,
                  qk_norm="rms_norm_across_heads")
    model = fill(LTXVideoTransformer3DModel(**config), rng.randrange(1 << 30))
    for p in model.proj_out.parameters():
        p.mul_(0.5)
        p.copy_(p.bfloat16().float())
    torch.manual_seed(rng.randrange(1 << 30))
    frames, rows, columns, length = rng.randint(2, 5), rng.randint(1, 4), rng.randint(1, 5), rng.randint(2, 8)
    fps = rng.choice([24.0, 25.0, 30.0])
    noise = torch.randn(1, channels, frames, rows, columns)
    caption, negative, mask = torch.randn(1, length, captions), torch.randn(1, length, captions), torch.ones(1, length)
    mask[:, rng.randint(1, length):] = 0
    blocks = lambda: rng.sample(range(layers), rng.randint(1, layers - 1))
    dev = [(1.0, 1, 0, 1, []), (0.99, 6, 4, 0.5, blocks()), (0.978, 8, 4, 0.5, blocks()), (0.9, 1, 2, 1, blocks()), (0.5, 1, 1, 1, blocks())]
    # The first pass of the released preset, with one step more.
    distilled = [1.0, 0.9937, 0.9875, 0.9812, 0.975, 0.9094, 0.725, 0.4219]
    plain, grid = linear_quadratic_schedule(8).tolist(), coordinates(frames, rows, columns, fps)
    rest = dict(caption=caption, negative=negative, mask=mask, coords=grid)
    tensors = {f"transformer.{k}": v.bfloat16() for k, v in model.state_dict().items()}
    tensors |= {"in.caption": caption, "in.negative": negative, "in.mask": mask}
    runs = []

    def keep(name, start, coords, out, sigmas, lists, star, mode="attention_values"):
        tensors.update({f"in.{name}.start": start, f"in.{name}.coords": coords, f"out.{name}": out})
        runs.append(dict(name=name, sigmas=sigmas, lists=lists, star=star, mode=mode))

    for mode in ("attention_values", "attention_skip"):
        keep(f"dev_{mode}", tokens(noise), grid, denoise(model, tokens(noise), plain, lists=dev, mode=mode, **rest), plain, dev, True, mode)
    once = [(1.0, 1, 0, 1, [])]
    keep("distilled", tokens(noise), grid, denoise(model, tokens(noise), distilled, lists=once, mode="attention_values", **rest), distilled, once, True)
    kept, out = whole_pipeline(model, rng, frames, rows, columns, caption, negative, mask, fps)
    keep("pipeline", kept["start"], kept["coords"], out, plain, [(1.0, 4, 0, 1, [])], False)
    tensors["in.pipeline.strength"] = kept["strength"]
    runs[-1]["extra"] = kept["extra"]
    path = folder / f"pipeline_{seed}.safetensors"
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, str(path), metadata={"config": json.dumps(config), "runs": json.dumps(runs)})
    print(path, path.stat().st_size)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.seed is not None:
        return drawn(folder, arguments.seed)
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
