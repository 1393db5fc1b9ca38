"""EditYourself's own parts in plain PyTorch, small and random, for `crates/models/tests/edit_yourself.rs`.

    pip install torch safetensors
    python tools/parity/edit_yourself.py crates/models/tests/fixtures/edit_yourself.safetensors

There is no public code of these parts, so this is a second writing of their definition (audio windows by the paper's
eq. 3 and 4, audio cross-attention by eq. 6, one-way attention as a dense mask) that shares nothing with the first but
the text. One file in the layout of the embedded model.
"""

import json
import math
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.manual_seed(0)
HEADS, WIDTH, CHANNELS, LAYERS, SOUND, MEL, BANDS, CAPTION, WINDOW = 3, 30, 7, 3, 10, 6, 5, 9, 8
DILATIONS = [1, 3]
CONFIG = {
    "transformer": {
        "num_layers": LAYERS, "num_attention_heads": HEADS, "attention_head_dim": WIDTH // HEADS, "in_channels": CHANNELS,
        "out_channels": CHANNELS, "caption_channels": CAPTION, "cross_attention_dim": WIDTH, "norm_eps": 1e-6,
        "positional_embedding_theta": 100.0, "positional_embedding_max_pos": [4, 256, 256], "one_way_attention": True,
        "audio": {"dim": SOUND, "window": WINDOW, "hidden_states": 2, "channels": MEL, "feature_rate": 50.0},
    },
    "audio_encoder": {"channels": MEL, "dilations": DILATIONS, "mel_bands": BANDS},
}
W = {}


def new(name, *shape, one=False):
    scale = 0.3 if len(shape) == 1 or "table" in name else 1 / math.sqrt(math.prod(shape[1:]))
    W[name] = torch.randn(shape) * scale + (1 if one else 0)
    return W[name]


def linear(name, inputs, outputs):
    new(name + ".weight", outputs, inputs), new(name + ".bias", outputs)


def apply(name, x):
    return F.linear(x, W[name + ".weight"], W[name + ".bias"])


def norm(name, x):
    return F.layer_norm(x, x.shape[-1:], W[name + ".weight"], W[name + ".bias"], 1e-5)


def rms(x, eps):
    return x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()


def mel_encoder(mel):
    p = "audio_encoder."
    x = F.gelu(F.conv1d(mel.mT, W[p + "conv_in.weight"], W[p + "conv_in.bias"], stride=2, padding=1))
    for i, d in enumerate(DILATIONS):
        b = f"{p}blocks.{i}."
        h = norm(b + "norm", x.mT).mT
        h = F.gelu(F.conv1d(h, W[b + "conv1.weight"], W[b + "conv1.bias"], padding=d, dilation=d))
        x = x + F.conv1d(h, W[b + "conv2.weight"], W[b + "conv2.bias"])
    return norm(p + "norm_out", x.mT)


def projection(features, frames, fps):
    """features [L, B, C] -> [F, WINDOW / 4, SOUND]"""
    p = "model.diffusion_model.audio_projection."
    rows = []
    for i in range(frames):
        for n in range(WINDOW):
            u = i * 50.0 / fps + n - (WINDOW - 1) / 2
            k = math.floor(u)
            at = lambda j: features[min(max(j, 0), len(features) - 1)]
            rows.append((1 - (u - k)) * at(k) + (u - k) * at(k + 1))
    x = torch.stack(rows).reshape(frames, WINDOW, *features.shape[1:]) + W[p + "position"]
    x = (x * W[p + "mix"][:, None]).sum(2).mT
    for i in (0, 1):
        x = F.conv1d(x, W[f"{p}pool.{i}.weight"], W[f"{p}pool.{i}.bias"], stride=2, groups=x.shape[1])
    return norm(p + "norm", apply(p + "proj", x.mT))


def rope(x, coords):
    count = WIDTH // 6
    frequency = math.pi / 2 * 100.0 ** (torch.arange(count, dtype=torch.float64) / (count - 1))
    u = coords.double() / torch.tensor([4.0, 256.0, 256.0]) * 2 - 1  # [N, 3]
    angle = (frequency[:, None] * u[:, None]).flatten(1)  # axis fastest
    turn = torch.polar(torch.ones_like(angle), angle)
    pairs = torch.view_as_complex(x.double().unflatten(-1, (-1, 2)).contiguous())
    still = WIDTH % 6 // 2
    turned = torch.cat([pairs[..., :still], pairs[..., still:] * turn], -1)
    return torch.view_as_real(turned).flatten(-2).float()


def attention(name, x, context, mask=None, coords=None):
    q = rms(apply(name + ".to_q", x), 1e-5) * W[name + ".q_norm.weight"]
    k = rms(apply(name + ".to_k", context), 1e-5) * W[name + ".k_norm.weight"]
    v = apply(name + ".to_v", context)
    if coords is not None:
        q, k = rope(q, coords), rope(k, coords)
    q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(-3, -2) for t in (q, k, v))
    scores = q @ k.mT / math.sqrt(WIDTH // HEADS)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return apply(name + ".to_out.0", (scores.softmax(-1) @ v).transpose(-3, -2).flatten(-2))


def sinusoid(t):
    frequency = torch.exp(-math.log(10000.0) * torch.arange(128) / 128)
    return torch.cat([(1000 * t[..., None] * frequency).cos(), (1000 * t[..., None] * frequency).sin()], -1)


def transformer(context, tokens, coords, t, sound):
    """context [B, Nc, C], tokens [B, L * n, C], sound [B, L, A, SOUND]; coords of both; velocity of the tokens."""
    p = "model.diffusion_model."
    x = apply(p + "patchify_proj", torch.cat([context, tokens], 1))
    batch, count, front = len(x), x.shape[1], context.shape[1]
    times = torch.zeros(batch, count)
    times[:, front:] = t[:, None]
    e = p + "adaln_single.emb.timestep_embedder."
    embedded = apply(e + "linear_2", F.silu(apply(e + "linear_1", sinusoid(times))))
    rows = apply(p + "adaln_single.linear", F.silu(embedded)).unflatten(-1, (6, -1))
    c = p + "caption_projection."
    caption = apply(c + "linear_2", F.gelu(apply(c + "linear_1", W[p + "empty_caption"]), approximate="tanh"))
    caption = caption[None].expand(batch, -1, -1)
    mask = torch.ones(count, count, dtype=torch.bool)
    mask[:front, front:] = False  # context looks at context only
    latents = sound.shape[1]
    for i in range(LAYERS):
        b = f"{p}transformer_blocks.{i}."
        shift, scale, gate, shift2, scale2, gate2 = (W[b + "scale_shift_table"] + rows).unbind(-2)
        h = rms(x, 1e-6) * (1 + scale) + shift
        x = x + gate * attention(b + "attn1", h, h, mask, coords)
        x = x + attention(b + "attn2", x, caption)
        own = x[:, front:].unflatten(1, (latents, -1))  # a latent's tokens hear that latent's sound
        heard = attention(b + "audio_attn", own, sound).flatten(1, 2)
        x = torch.cat([x[:, :front], x[:, front:] + heard], 1)
        h = rms(x, 1e-6) * (1 + scale2) + shift2
        x = x + gate2 * apply(b + "ff.net.2", F.gelu(apply(b + "ff.net.0.proj", h), approximate="tanh"))
    shift, scale = (W[p + "scale_shift_table"] + embedded[..., None, :]).unbind(-2)
    return apply(p + "proj_out", F.layer_norm(x, (WIDTH,), eps=1e-6) * (1 + scale) + shift)[:, front:]


def weights():
    p = "audio_encoder."
    new(p + "conv_in.weight", MEL, BANDS, 4), new(p + "conv_in.bias", MEL)
    for n in ["norm_out"] + [f"blocks.{i}.norm" for i in range(len(DILATIONS))]:
        new(f"{p}{n}.weight", MEL, one=True), new(f"{p}{n}.bias", MEL)
    for i in range(len(DILATIONS)):
        for n, k in (("conv1", 3), ("conv2", 1)):
            new(f"{p}blocks.{i}.{n}.weight", MEL, MEL, k), new(f"{p}blocks.{i}.{n}.bias", MEL)
    p = "model.diffusion_model."
    new(p + "empty_caption", 2, CAPTION)
    linear(p + "patchify_proj", CHANNELS, WIDTH), linear(p + "proj_out", WIDTH, CHANNELS)
    linear(p + "adaln_single.emb.timestep_embedder.linear_1", 256, WIDTH)
    linear(p + "adaln_single.emb.timestep_embedder.linear_2", WIDTH, WIDTH)
    linear(p + "adaln_single.linear", WIDTH, 6 * WIDTH)
    linear(p + "caption_projection.linear_1", CAPTION, WIDTH), linear(p + "caption_projection.linear_2", WIDTH, WIDTH)
    new(p + "scale_shift_table", 2, WIDTH)
    for i in range(LAYERS):
        b = f"{p}transformer_blocks.{i}."
        new(b + "scale_shift_table", 6, WIDTH)
        for name, inputs in (("attn1", WIDTH), ("attn2", WIDTH), ("audio_attn", SOUND)):
            for part, n in (("to_q", WIDTH), ("to_k", inputs), ("to_v", inputs), ("to_out.0", WIDTH)):
                linear(f"{b}{name}.{part}", n, WIDTH)
            new(f"{b}{name}.q_norm.weight", WIDTH, one=True), new(f"{b}{name}.k_norm.weight", WIDTH, one=True)
        linear(b + "ff.net.0.proj", WIDTH, 4 * WIDTH), linear(b + "ff.net.2", 4 * WIDTH, WIDTH)
    p += "audio_projection."
    new(p + "position", WINDOW, 2, MEL), new(p + "mix", 2)
    for i in (0, 1):
        new(f"{p}pool.{i}.weight", MEL, 1, 2), new(f"{p}pool.{i}.bias", MEL)
    linear(p + "proj", MEL, SOUND)
    new(p + "norm.weight", SOUND, one=True), new(p + "norm.bias", SOUND)
    for name in W:
        W[name] = W[name].bfloat16().float()


def main():
    weights()
    mel = torch.randn(1, 41, BANDS)
    features = torch.randn(2, 23, 2, MEL)
    tokens = torch.stack([projection(f, 9, 29.97) for f in features])
    latents, own, outside, references = 4, 3, 5, 2
    place = lambda n, count: torch.stack([torch.full((count,), n * 0.16), 32.0 * torch.arange(count), 64.0 + 0 * torch.arange(count)], 1)
    front = torch.cat([place(-1.75, references)] + [place(n, outside) for n in range(latents)])
    coords = torch.cat([front] + [place(n, own) + torch.tensor([0, 0, 32.0]) for n in range(latents)])
    context = torch.randn(2, len(front), CHANNELS)
    noised = torch.randn(2, latents * own, CHANNELS)
    sound = torch.randn(2, latents, 4, SOUND)
    t = torch.tensor([0.8, 0.35])
    tensors = {k: v.bfloat16() for k, v in W.items()} | {
        "in.mel": mel, "out.features": mel_encoder(mel), "in.features": features, "out.tokens": tokens,
        "in.context": context, "in.latents": noised, "in.coords": coords, "in.sound": sound, "in.timestep": t,
        "out.velocity": transformer(context, noised, coords, t, sound),
    }
    save_file({k: v.contiguous() for k, v in tensors.items()}, sys.argv[1], metadata={"config": json.dumps(CONFIG)})


with torch.no_grad():
    main()
