"""Small random LTX-Video networks of diffusers, with inputs and outputs, for `crates/models/tests/parity.rs`.

    pip install torch diffusers==0.42.1 safetensors
    python tools/parity/ltx.py crates/models/tests/fixtures

Every file holds one network: weights under their own names, inputs as `in.*`, outputs as `out.*`, and diffusers'
`config.json` in the header. Sizes are odd on purpose.
"""

import argparse
import json
from pathlib import Path

import torch
from diffusers import AutoencoderKLLTXVideo, FlowMatchEulerDiscreteScheduler, LTXVideoTransformer3DModel
from diffusers.pipelines.ltx.pipeline_ltx_condition import linear_quadratic_schedule
from safetensors.torch import save_file


def fill(model, seed):
    """Values large enough that every part shows in the output."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("timestep_scale_multiplier"):
                continue
            scale = 1 / max(1, p[0].numel()) ** 0.5 if p.ndim > 1 and "table" not in name else 0.3
            p.copy_(torch.randn(p.shape, generator=generator) * scale)
            if "norm_" in name:
                p.add_(1)
            p.copy_(p.bfloat16().float())  # so that the file can be half as long
    return model.eval()


def write(path, model, inputs, outputs):
    weights = {k for k, _ in model.named_parameters() if not k.endswith("timestep_scale_multiplier")}
    tensors = {k: v.detach().contiguous().clone() for k, v in model.state_dict().items()}
    tensors = {k: v.bfloat16() if k in weights else v for k, v in tensors.items()}
    tensors |= {f"in.{k}": (v.half() if k == "video" else v).contiguous() for k, v in inputs.items()}
    tensors |= {f"out.{k}": v.contiguous() for k, v in outputs.items()}
    config = {k: v for k, v in model.config.items()}
    save_file(tensors, str(path), metadata={"config": json.dumps(config)})
    print(path, path.stat().st_size)


@torch.no_grad()
def transformer(path, seed, per_token, **config):
    model = fill(LTXVideoTransformer3DModel(**config), seed)
    torch.manual_seed(seed)
    batch, frames, rows, columns, length, fps = 2, 3, 2, 5, 7, 24.0
    count = frames * rows * columns
    f, y, x = torch.meshgrid(torch.arange(frames), torch.arange(rows), torch.arange(columns), indexing="ij")
    seconds = (8 * f - 7).clamp(min=0) / fps
    coords = torch.stack([seconds, 32.0 * y, 32.0 * x]).flatten(1)[None].repeat(batch, 1, 1).float()
    coords[1, 0] -= 11 / fps  # a second sample at other, partly negative times
    latents = torch.randn(batch, count, config["in_channels"])
    caption = torch.randn(batch, length, config["caption_channels"])
    mask = torch.ones(batch, length)
    mask[0, 4:] = 0
    t = torch.tensor([0.35, 0.9])
    if per_token:
        t = t[:, None].repeat(1, count)
        t[:, : rows * columns] = 0
        t[1, 5] = 0.5
    velocity = model(latents, caption, t * 1000, mask, video_coords=coords, return_dict=False)[0]
    inputs = dict(latents=latents, timestep=t, caption=caption, caption_mask=mask, coords=coords)
    outputs = dict(velocity=velocity)
    if config["in_channels"] == config["out_channels"]:
        outputs["sample"] = sample(model, latents, caption, mask, coords)
    write(path, model, inputs, outputs)


def sample(model, noise, caption, mask, coords, steps=8, guidance=3.0):
    """Eight steps from `noise` with classifier-free guidance against an all-zero caption, by diffusers' own scheduler."""
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=False)
    sigmas = linear_quadratic_schedule(steps)
    scheduler.set_timesteps(sigmas=sigmas.numpy().tolist())
    x = noise
    for t in scheduler.timesteps:
        run = lambda c: model(x, c, t.expand(len(x)), mask, video_coords=coords, return_dict=False)[0]
        without = run(torch.zeros_like(caption))
        x = scheduler.step(without + guidance * (run(caption) - without), t, x, return_dict=False)[0]
    return x


@torch.no_grad()
def vae(path, seed, size, **config):
    model = fill(AutoencoderKLLTXVideo(**config), seed)
    torch.manual_seed(seed)
    model.latents_mean.normal_(0, 0.3)
    model.latents_std.uniform_(0.5, 1.5)
    video = torch.rand(2, 3, *size).mul(2).sub(1).half().float()
    mean = model.encode(video).latent_dist.mean
    latents = torch.randn_like(mean)
    shape = (1, -1, 1, 1, 1)
    normal = (mean - model.latents_mean.view(shape)) / model.latents_std.view(shape)
    timestep = torch.tensor([0.05, 0.3]) if config["timestep_conditioning"] else torch.zeros(2)
    decoded = model.decode(latents, timestep if config["timestep_conditioning"] else None).sample
    inputs = dict(video=video, latents=latents, timestep=timestep)
    write(path, model, inputs, dict(mean=mean, latents=normal, video=decoded))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    shared = dict(patch_size=1, patch_size_t=1, qk_norm="rms_norm_across_heads")
    transformer(
        folder / "transformer_a.safetensors", 1, per_token=False, num_layers=2, num_attention_heads=3,
        attention_head_dim=10, in_channels=6, out_channels=5, cross_attention_dim=30, caption_channels=11, **shared,
    )
    transformer(
        folder / "transformer_b.safetensors", 2, per_token=True, num_layers=3, num_attention_heads=2,
        attention_head_dim=14, in_channels=7, out_channels=7, cross_attention_dim=28, caption_channels=9, **shared,
    )
    shared = dict(patch_size_t=1, encoder_causal=True, decoder_causal=False)
    vae(
        folder / "vae_a.safetensors", 3, (9, 32, 64), latent_channels=5, block_out_channels=(2, 4, 8, 8, 16),
        down_block_types=("LTXVideo095DownBlock3D",) * 4, decoder_block_out_channels=(8, 8, 16),
        layers_per_block=(1, 2, 1, 1, 1), decoder_layers_per_block=(1, 2, 1, 1),
        spatio_temporal_scaling=(True,) * 4, decoder_spatio_temporal_scaling=(True,) * 3,
        decoder_inject_noise=(False,) * 4, downsample_type=("spatial", "temporal", "spatiotemporal", "spatiotemporal"),
        upsample_residual=(True,) * 3, upsample_factor=(1, 1, 2), timestep_conditioning=True, patch_size=4, **shared,
    )
    vae(
        folder / "vae_b.safetensors", 4, (5, 24, 16), latent_channels=3, block_out_channels=(8, 8, 16),
        down_block_types=("LTXVideo095DownBlock3D",) * 2, decoder_block_out_channels=(8, 16),
        layers_per_block=(1, 1, 2), decoder_layers_per_block=(1, 1, 2),
        spatio_temporal_scaling=(True,) * 2, decoder_spatio_temporal_scaling=(True,) * 2,
        decoder_inject_noise=(False,) * 3, downsample_type=("spatiotemporal", "spatiotemporal"),
        upsample_residual=(False, True), upsample_factor=(1, 2), timestep_conditioning=False, patch_size=2, **shared,
    )


if __name__ == "__main__":
    main()
