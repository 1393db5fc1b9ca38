"""Writes what PyTorch computes for training: gradients of whole networks, optimisers' paths, losses.

    OMP_NUM_THREADS=1 python3 tools/parity/train.py

Fixtures under crates/train/tests/fixtures. Networks are the plain PyTorch ones of tools/train_tiny with small sizes and
random weights (its hand-made start is switched off), so that every parameter has a gradient.
"""

import copy
import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/train_tiny"))
import tiny_model as tm  # noqa: E402

FOLDER = ROOT / "crates/train/tests/fixtures"
CONFIG = {
    "transformer": {
        "_class_name": "Transformer3DModel", "num_layers": 2, "num_attention_heads": 2, "attention_head_dim": 10,
        "in_channels": 6, "out_channels": 6, "caption_channels": 5, "cross_attention_dim": 20, "norm_eps": 1e-6,
        "positional_embedding_theta": 100.0, "positional_embedding_max_pos": [4, 256, 256],
        "timestep_scale_multiplier": 1000, "causal_temporal_positioning": True,
        "audio": {"dim": 8, "window": 16, "hidden_states": 1, "channels": 8, "feature_rate": 50.0},
        "one_way_attention": True, "context_window": 17},
    "vae": {
        "_class_name": "CausalVideoAutoencoder", "dims": 3, "in_channels": 3, "out_channels": 3, "latent_channels": 6,
        "patch_size": 2, "norm_layer": "pixel_norm", "latent_log_var": "uniform", "causal_decoder": False,
        "timestep_conditioning": True, "encoder_base_channels": 4, "decoder_base_channels": 4,
        "encoder_blocks": [["res_x", {"num_layers": 1}], ["compress_all_res", {"multiplier": 2}]],
        "decoder_blocks": [["res_x", {"num_layers": 1}], ["compress_all", {"multiplier": 2, "residual": True}], ["res_x", {"num_layers": 1}]]},
    "scheduler": {"_class_name": "RectifiedFlowScheduler", "sampler": "Shifted", "shift": 3.0, "steps": 4},
    "audio_encoder": {"channels": 8, "dilations": [1, 2], "mel_bands": 80},
    # 8 cells of 32 pixels a side are the layout that the positions come from; latents have few channels instead.
    "edit_yourself": {"crop": 256, "mask_cells": {"rows": [6, 8], "columns": [3, 5]}, "context_fill": 0.0, "references": 2,
                      "block_latents": 3, "block_local_times": True, "decode_timestep": 0.05, "decode_noise_scale": 0.0,
                      "spatial_stride": 32, "temporal_stride": 4}}
COUNT, FIRST, COPIES, FPS = 3, 2, 2, 25.0


def random_weights(module, seed):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(module.named_parameters()):
            if p.ndim >= 2:
                p.copy_(torch.randn(p.shape, generator=g) / math.sqrt(p[0].numel()))
            else:
                p.copy_(0.2 * torch.randn(p.shape, generator=g) + (1.0 if "norm" in name and name.endswith("weight") else 0.0))
    return g


def keep(path, tensors, **metadata):
    FOLDER.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, str(FOLDER / path), metadata=metadata)


def window(g, dit):
    """Inputs of one step: two clips, two noised copies each, one copy of four without sound."""
    e = CONFIG["edit_yourself"]
    inside, outside, yx = tm.cell_coords(e | {"mask_cells": e["mask_cells"]})
    batch, c, refs = 2, 6, 2
    n = lambda *s: torch.randn(*s, generator=g)
    context, references = n(batch, COUNT, len(outside), c), n(batch, refs, len(inside), c)
    clean, noise = n(batch * COPIES, COUNT * len(inside), c), n(batch * COPIES, COUNT * len(inside), c)
    t = torch.tensor([0.9, 1.0, 0.35, 0.6])
    keep_audio = torch.tensor([1.0, 1.0, 0.0, 1.0])
    times = tm.latent_times(FIRST, COUNT, FPS) - tm.latent_times(FIRST, 1, FPS)
    ref_times = torch.tensor([(4 * k + 1 - 4) / FPS for k in (-1, -2)])
    coords = torch.cat([tm.token_coords(ref_times, yx[inside]), tm.token_coords(times, yx[outside])])
    return dict(context=context, references=references, clean=clean, noise=noise, t=t, keep_audio=keep_audio), coords, tm.token_coords(times, yx[inside])


def transformer():
    hand_made, tm.Transformer.init_weights = tm.Transformer.init_weights, lambda self: None
    dit, audio = tm.Transformer(CONFIG["transformer"]), tm.AudioEncoder(CONFIG["audio_encoder"], mouth_targets=3)
    tm.Transformer.init_weights = hand_made
    random_weights(dit, 1)
    g = random_weights(audio, 2)
    mel = 0.5 * torch.randn(2, 96, 80, generator=g)
    data, cc, xc = window(g, dit)
    feats = audio(mel)
    frames = tm.latent_frames(FIRST, COUNT).flatten()
    tokens = torch.stack([dit.audio_projection(tm.audio_windows(f, frames, FPS)).reshape(COUNT, -1, 8) for f in feats])
    ctx = torch.cat([data["references"].flatten(1, 2), data["context"].flatten(1, 2)], 1)
    tt = data["t"][:, None, None]
    xt = (1 - tt) * data["clean"] + tt * data["noise"]
    table = lambda c: tuple(x[None] for x in dit.table(c))
    v = dit(ctx, table(cc), xt, table(xc), data["t"], tokens, data["keep_audio"])
    u = data["noise"] - data["clean"]
    flow = (v - u).pow(2).mean()
    hat = xt - tt * v
    single = (hat * data["noise"]).mean()  # any function of the one-step estimate
    head = audio.mouth(feats).pow(2).mean()
    loss = flow + 0.3 * single + 0.1 * head
    loss.backward()
    out = {f"in.{k}": x for k, x in data.items()} | {"in.mel": mel, "velocity": v, "loss": loss[None], "flow": flow[None]}
    for prefix, m in (("audio_encoder.", audio), ("model.diffusion_model.", dit)):
        for k, p in m.named_parameters():
            out[f"weight.{prefix}{k}"] = p
            out[f"grad.{prefix}{k}"] = p.grad if p.grad is not None else torch.zeros_like(p)
    keep("transformer_gradients.safetensors", out, config=json.dumps(CONFIG))


def vae():
    v = tm.Vae(CONFIG["vae"])
    g = random_weights(v, 3)
    with torch.no_grad():
        v.encoder.conv_out.conv.bias[-1] = -2.0
    video = torch.rand(2, 3, 5, 16, 16, generator=g) * 2 - 1
    mean, log_variance = v.encoder(video)
    noise = torch.randn(mean.shape, generator=g)
    z = mean + torch.exp(0.5 * log_variance) * noise
    made = v.decoder(z, torch.full((2,), 0.05))
    weight = 1 + torch.rand(2, 1, 1, 16, 16, generator=g)
    d = made - video
    rec = (weight * (d.abs() + d * d)).mean() / weight.mean()
    det, w = 0.0, weight
    for scale in (1, 2):
        if scale == 2:
            d, w = F.avg_pool3d(d, (1, 2, 2)), F.avg_pool2d(w[:, :, 0], 2)[:, :, None]
        gx = (d[..., 1:] - d[..., :-1]).abs() * w[..., 1:]
        gy = (d[..., 1:, :] - d[..., :-1, :]).abs() * w[..., 1:, :]
        det = det + (gx.mean() + gy.mean()) / w.mean()
    det = det + ((d[:, :, 1:] - d[:, :, :-1]).abs() * w).mean() / w.mean()
    kl = 0.5 * (mean.pow(2) + log_variance.exp() - 1 - log_variance).mean()
    loss = rec + 0.3 * det + 0.01 * kl
    loss.backward()
    out = {"in.video": video, "in.noise": noise, "in.weight": weight, "made": made, "mean": mean, "log_variance": log_variance,
           "loss": loss[None], "kl": kl[None]}
    for k, p in v.named_parameters():
        out[f"weight.vae.{k}"] = p
        out[f"grad.vae.{k}"] = p.grad
    for k, b in v.named_buffers():
        k = k.replace("_mean_of_means", ".mean-of-means").replace("_std_of_means", ".std-of-means")
        out[f"weight.vae.{k}"] = b
    keep("vae_gradients.safetensors", out, config=json.dumps(CONFIG))


def path(optimiser, start, gradients):
    p = torch.nn.Parameter(start.clone())
    o, places = optimiser([p]), []
    for g in gradients:
        p.grad = g.clone()
        o.step()
        places.append(p.detach().clone())
    return torch.stack(places)


def optimisers():
    g = torch.Generator().manual_seed(4)
    out = {}
    gradients = torch.randn(20, 7, 5, generator=g) + 0.5
    start = torch.randn(7, 5, generator=g)
    out |= {"start": start, "gradients": gradients}
    out["adamw"] = path(lambda p: torch.optim.AdamW(p, lr=3e-3, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.1), start, gradients)
    # torch rounds Muon's iteration to bf16; the comparison is with its own code in f32.
    to = torch.Tensor.to
    torch.Tensor.to = lambda self, *a, **k: to(self, *a, **({**k, "dtype": torch.float32} if k.get("dtype") is torch.bfloat16 else k))
    for name, shape in (("wide", (5, 7)), ("tall", (7, 5))):
        s, gr = start.reshape(shape), gradients.reshape(20, *shape)
        out[f"muon_{name}"] = path(lambda p: torch.optim.Muon(p, lr=2e-2, weight_decay=0.1, momentum=0.95), s, gr)
        out[f"muon_{name}_like_adamw"] = path(
            lambda p: torch.optim.Muon(p, lr=2e-2, weight_decay=0.0, momentum=0.9, nesterov=False, adjust_lr_fn="match_rms_adamw"), s, gr)
    torch.Tensor.to = to
    a, b = torch.nn.Parameter(torch.zeros(6)), torch.nn.Parameter(torch.zeros(3, 4))
    a.grad, b.grad = torch.randn(6, generator=g), torch.randn(3, 4, generator=g)
    out |= {"clip.a": a.grad.clone(), "clip.b": b.grad.clone()}
    out["clip.norm"] = torch.nn.utils.clip_grad_norm_([a, b], 1.5)[None]
    out |= {"clip.a_after": a.grad, "clip.b_after": b.grad}
    keep("optimisers.safetensors", out)


def losses():
    g = torch.Generator().manual_seed(5)
    out = {}

    def put(name, compute, **inputs):
        """Inputs, the value, and the gradient of the first input."""
        first = next(iter(inputs))
        inputs[first].requires_grad_()
        value = compute(**inputs)
        value.backward()
        out.update({f"{name}.{k}": v.detach() for k, v in inputs.items()})
        out[f"{name}.value"], out[f"{name}.gradient"] = value.detach().reshape(1), inputs[first].grad

    n = lambda *s: torch.randn(*s, generator=g)
    mask = (torch.rand(3, 5, generator=g) < 0.6).float()
    share = lambda: torch.rand(3, 5, generator=g)
    put("masked", lambda v, u, m: ((v - u).pow(2) * m[..., None]).sum() / (m.sum() * 4), v=n(3, 5, 4), u=n(3, 5, 4), m=mask)
    put("contrastive", lambda v, u: F.mse_loss(v, u) - 0.05 * F.mse_loss(v, u.roll(-1, 0)), v=n(3, 5, 4), u=n(3, 5, 4))
    put("face", lambda v, u, f, l: ((1 + 0.3 * f + 0.3 * l)[..., None] * (v - u) ** 2).mean(), v=n(3, 5, 4), u=n(3, 5, 4), f=share(), l=share())
    put("joint", lambda v, u, m: 0.7 * ((v - u) ** 2)[m > 0].mean() + 0.2 * ((v - u) ** 2)[m == 0].mean(), v=n(3, 5, 4), u=n(3, 5, 4), m=mask.clone())
    put("gated", lambda v, u, l: (l[..., None] * (v - u) ** 2).mean(), v=n(3, 5, 4), u=n(3, 5, 4), l=share())
    t = torch.tensor([0.9, 0.3, 0.6])
    put("single", lambda v, x0, eps, t, w: (w * (x0 + ((eps - x0) - v) * t.clamp(max=0.6)[:, None, None])).sum(), v=n(3, 5, 4), x0=n(3, 5, 4), eps=n(3, 5, 4), t=t, w=n(3, 5, 4))
    put("cosine", lambda a, b: (1 - F.cosine_similarity(a, b, dim=-1)).mean(), a=n(3, 7), b=n(3, 7))
    put("correlation", lambda a, b: (1 - torch.stack([torch.corrcoef(torch.stack([x, y]))[0, 1] for x, y in zip(a, b)])).mean(), a=n(3, 9), b=n(3, 9))
    put("smooth", lambda a, b: F.smooth_l1_loss(a, b), a=n(3, 9) * 2, b=n(3, 9))
    z = n(40)
    shift = lambda t, a: a * t / (1 + (a - 1) * t)
    out["time.normal"] = z.double()
    out["time.paper"] = torch.sigmoid(2.05 + z.double())
    for a in (4.0, 1.5, 0.25):
        out[f"time.shift_{a}"] = shift(torch.sigmoid(z.double()), a)
    x0, candidates = n(3, 10), n(3, 4, 10)
    nearest = torch.cdist(x0[:, None], candidates)[:, 0].argmin(-1)
    out |= {"near.clean": x0, "near.candidates": candidates, "near.chosen": candidates[torch.arange(3), nearest]}
    t = torch.rand(3, 5, 1, generator=g)
    x0, eps = n(3, 5, 4), n(3, 5, 4)
    out |= {"mix.clean": x0, "mix.noise": eps, "mix.t": t, "mix.value": (1 - t) * x0 + t * eps, "mix.velocity": eps - x0}
    keep("losses.safetensors", out)


def main():
    torch.set_num_threads(1)
    transformer()
    vae()
    optimisers()
    losses()


if __name__ == "__main__":
    main()
