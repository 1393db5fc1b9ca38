"""Networks of diffusers and transformers with random configs and weights against `reword forward`.

    pip install torch diffusers==0.42.1 transformers==5.23.0 safetensors
    cargo build -p models --example forward
    python tools/parity/random_networks.py target/debug/examples/forward --count 6 --seed 1

Each round draws a config, fills the network, saves it in a layout that is drawn too (diffusers or official names; one
file or shards; f32 or bf16; config in the header, beside the weights, or given), runs the program in f32 and bf16 and
compares. A line a network; the exit status is 1 when an error is above its bound (and, in bf16, above what the
reference loses itself).
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel
from diffusers.pipelines.ltx.modeling_latent_upsampler import LTXLatentUpsamplerModel
from safetensors.torch import load_file, save_file
from transformers import T5Config, T5EncoderModel, WhisperConfig, WhisperModel

BOUNDS = {"f32": 1e-4, "bf16": 2e-2}


def fill(model, rng, gain=1.0):
    generator = torch.Generator().manual_seed(rng.randrange(1 << 30))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("timestep_scale_multiplier"):
                continue
            if "per_channel_scale" in name:  # strengths of random noise, which cannot be compared
                p.zero_()
                continue
            matrix = p.ndim > 1 and "table" not in name and "relative" not in name and "embed" not in name
            p.copy_(torch.randn(p.shape, generator=generator) * (gain / p[0].numel() ** 0.5 if matrix else 0.3))
            if "norm" in name and name.endswith("weight"):
                p.add_(1)
            p.copy_(p.bfloat16().float())
    return model.eval()


# Official names for diffusers' (scripts/convert_ltx_to_diffusers.py, backwards).

def official_transformer(name):
    for ours, theirs in (("proj_in", "patchify_proj"), ("time_embed", "adaln_single"), ("norm_q", "q_norm"), ("norm_k", "k_norm")):
        name = name.replace(ours, theirs)
    return "model.diffusion_model." + name


def official_vae(config):
    """Name map and the header's `vae` object."""
    stages, lists = {}, {"encoder": [], "decoder": []}
    c, kinds = config, config["down_block_types"]
    newer = kinds[-1] == "LTXVideo095DownBlock3D"
    widths = c["block_out_channels"]
    width = widths[0]

    def add(side, prefix, entry):
        folder = "down_blocks" if side == "encoder" else "up_blocks"
        stages[prefix] = f"{side}.{folder}.{len(lists[side])}."
        lists[side].append(entry)

    for i in range(len(widths) - newer):
        to = widths[i + 1] if i + 1 < len(widths) else width
        add("encoder", f"encoder.down_blocks.{i}.resnets.", ["res_x", {"num_layers": c["layers_per_block"][i]}])
        if c["spatio_temporal_scaling"][i]:
            kind = {"spatial": "space", "temporal": "time"}.get(c["downsample_type"][i], "all")
            conv = not newer or c["downsample_type"][i] == "conv"
            options = {} if conv else {"multiplier": to // width}
            add("encoder", f"encoder.down_blocks.{i}.downsamplers.0.", [f"compress_{kind}" + ("" if conv else "_res"), options])
        if not newer and to != width:
            add("encoder", f"encoder.down_blocks.{i}.conv_out.", ["res_x_y", {"multiplier": to // width}])
        width = to
    add("encoder", "encoder.mid_block.", ["res_x", {"num_layers": c["layers_per_block"][-1]}])

    reverse = lambda key: list(reversed(c[key]))
    layers, widths = reverse("decoder_layers_per_block"), reverse("decoder_block_out_channels")
    noise = reverse("decoder_inject_noise")
    width = widths[0]
    add("decoder", "decoder.mid_block.", ["res_x", {"num_layers": layers[0], "inject_noise": noise[0]}])
    for i, listed in enumerate(widths):
        factor = reverse("upsample_factor")[i]
        to = listed // factor
        if factor == 1 and to != width:
            add("decoder", f"decoder.up_blocks.{i}.conv_in.", ["res_x_y", {"multiplier": width // to}])
        if reverse("decoder_spatio_temporal_scaling")[i]:
            add("decoder", f"decoder.up_blocks.{i}.upsamplers.0.", ["compress_all", {"multiplier": factor, "residual": reverse("upsample_residual")[i]}])
        add("decoder", f"decoder.up_blocks.{i}.", ["res_x", {"num_layers": layers[i + 1], "inject_noise": noise[i + 1]}])
        width = to
    lists["decoder"].reverse()

    def rename(name):
        fixed = {"decoder.scale_shift_table": "decoder.last_scale_shift_table", "latents_mean": "per_channel_statistics.mean-of-means",
                 "latents_std": "per_channel_statistics.std-of-means"}
        if name in fixed:
            return "vae." + fixed[name]
        name = name.replace("decoder.time_embedder.", "decoder.last_time_embedder.")
        for prefix in sorted(stages, key=len, reverse=True):
            if name.startswith(prefix):
                rest = name[len(prefix):]
                if prefix.endswith(".resnets."):
                    rest = "resnets." + rest
                name = stages[prefix] + rest
                break
        name = name.replace(".resnets.", ".res_blocks.").replace("conv_shortcut.conv.", "conv_shortcut.").replace("norm3.", "norm3.norm.")
        return "vae." + name

    # The decoder's list is given from pixels to latents, so its indices run the other way in the header only.
    header = dict(
        _class_name="CausalVideoAutoencoder", dims=3, in_channels=c["in_channels"], out_channels=c["out_channels"],
        latent_channels=c["latent_channels"], patch_size=c["patch_size"], encoder_blocks=lists["encoder"],
        decoder_blocks=lists["decoder"], encoder_base_channels=c["block_out_channels"][0], decoder_base_channels=width,
        norm_layer="pixel_norm", latent_log_var="uniform", use_quant_conv=False, causal_decoder=c["decoder_causal"],
        timestep_conditioning=c["timestep_conditioning"], spatial_padding_mode="zeros",
    )
    return rename, header


class Case:
    """`again` computes an output in another dtype, so that a failure shows what the reference itself loses there."""

    def __init__(self, network, weights, config, inputs, outputs, official=None, again=None):
        self.network, self.weights, self.config, self.inputs, self.outputs, self.official = network, weights, config, inputs, outputs, official
        self.again = again

    def loss(self, dtype):
        if self.again is None:
            return "unknown"
        with torch.no_grad():
            name, found = self.again(torch.bfloat16 if dtype == "bf16" else torch.float64)
        wanted = self.outputs[name].double()
        return f"{float((found.double() - wanted).norm() / wanted.norm()):.1e}"


@torch.no_grad()
def transformer(rng):
    heads, layers = rng.randint(1, 4), rng.randint(1, 4)
    head = rng.choice([n for n in range(3, 40) if heads * n % 2 == 0 and heads * n >= 6])
    width = heads * head
    config = dict(
        num_layers=layers, num_attention_heads=heads, attention_head_dim=head, in_channels=rng.randint(1, 9),
        cross_attention_dim=width, caption_channels=rng.randint(1, 33), patch_size=1, patch_size_t=1,
        qk_norm="rms_norm_across_heads", norm_eps=rng.choice([1e-6, 1e-5]),
        attention_bias=rng.random() < 0.8, attention_out_bias=rng.random() < 0.8,
    )
    config["out_channels"] = rng.choice([config["in_channels"], rng.randint(1, 9)])
    model = fill(LTXVideoTransformer3DModel(**config), rng)
    torch.manual_seed(rng.randrange(1 << 30))
    batch, count, length = rng.randint(1, 3), rng.randint(1, 70), rng.randint(1, 19)
    latents, caption = torch.randn(batch, count, config["in_channels"]), torch.randn(batch, length, config["caption_channels"])
    coords = torch.stack([torch.rand(batch, count) * 8 - 1, torch.randint(0, 40, (batch, count)) * 32.0, torch.randint(0, 60, (batch, count)) * 32.0], 1)
    mask = (torch.rand(batch, length) < 0.6).float()
    mask[:, 0] = 1
    if rng.random() < 0.2:
        mask[-1] = 0
    t = torch.rand(batch)
    if rng.random() < 0.6:
        t = t[:, None].repeat(1, count)
        t[:, torch.rand(count) < 0.4] = 0
        t[:, torch.rand(count) < 0.1] = 0.3
    velocity = model(latents, caption, t * 1000, mask, video_coords=coords, return_dict=False)[0]
    header = dict(config, _class_name="Transformer3DModel", qk_norm="rms_norm", activation_fn="gelu-approximate",
                  standardization_norm="rms_norm", adaptive_norm="single_scale_shift", positional_embedding_type="rope",
                  positional_embedding_theta=10000.0, positional_embedding_max_pos=[20, 2048, 2048], timestep_scale_multiplier=1000)
    inputs = dict(latents=latents, timestep=t, caption=caption, caption_mask=mask, coords=coords)
    return Case("ltx-transformer", {k: v.clone() for k, v in model.state_dict().items()}, dict(model.config), inputs, dict(velocity=velocity),
                (official_transformer, {"transformer": header}),
                lambda d: ("velocity", model.to(d)(latents.to(d), caption.to(d), t * 1000, mask, video_coords=coords, return_dict=False)[0]))


def vae_config(rng):
    kind = rng.choice(["0.9.0", "0.9.1", "0.9.5", "0.9.5"])
    patch = rng.choice([1, 2, 4])
    config = dict(latent_channels=rng.randint(2, 7), patch_size=patch, patch_size_t=1, encoder_causal=True,
                  decoder_causal=rng.random() < 0.3, timestep_conditioning=rng.random() < 0.5)
    stages = rng.randint(1, 3)
    some = lambda low, high, n: tuple(rng.randint(low, high) for _ in range(n))
    if kind == "0.9.5":
        widths = [rng.choice([4, 8])]
        types = []
        for _ in range(stages):
            types.append(rng.choice(["spatial", "temporal", "spatiotemporal"]))
            widths.append(widths[-1] * rng.choice([1, 2]) if widths[-1] % 8 == 0 else widths[-1] * 2)
        config |= dict(block_out_channels=tuple(widths), down_block_types=("LTXVideo095DownBlock3D",) * stages,
                       spatio_temporal_scaling=(True,) * stages, downsample_type=tuple(types))
    else:
        widths = [rng.choice([4, 6])]
        for _ in range(stages):
            widths.append(widths[-1] * rng.choice([1, 2]))
        scaled = tuple(rng.random() < 0.8 for _ in range(stages)) + (False,)
        config |= dict(block_out_channels=tuple(widths), down_block_types=("LTXVideoDownBlock3D",) * (stages + 1),
                       spatio_temporal_scaling=scaled, downsample_type=("conv",) * (stages + 1))
    config["layers_per_block"] = some(1, 2, len(config["block_out_channels"]) + (kind != "0.9.5"))
    ups = rng.randint(1, 3)  # two channels and less make the norms too sensitive to compare anything
    factors = tuple(rng.choice([1, 2]) for _ in range(ups))
    base, widths = rng.choice([4, 8]), []
    for factor in factors:  # from pixels to latents
        base *= factor
        widths.append(base)
    if kind == "0.9.0" and not config["timestep_conditioning"]:
        widths, base = [], 4
        for _ in factors:
            widths.append(base)
            base *= rng.choice([1, 2])
        factors = (1,) * ups
    config |= dict(decoder_block_out_channels=tuple(widths), upsample_factor=factors,
                   decoder_spatio_temporal_scaling=tuple(f == 2 or rng.random() < 0.7 for f in factors),
                   upsample_residual=tuple(rng.random() < 0.5 for _ in factors),
                   decoder_layers_per_block=some(1, 2, ups + 1),
                   decoder_inject_noise=tuple(kind == "0.9.1" and rng.random() < 0.5 for _ in range(ups + 1)))
    # The residual path of an upsampler needs whole channels.
    config["upsample_residual"] = tuple(
        r and w % 8 == 0 for r, w in zip(config["upsample_residual"], config["decoder_block_out_channels"]))
    return config


@torch.no_grad()
def vae(rng, network):
    while True:
        config = vae_config(rng)
        try:
            model = fill(AutoencoderKLLTXVideo(**config), rng)
            break
        except (ValueError, RuntimeError):
            continue
    torch.manual_seed(rng.randrange(1 << 30))
    model.latents_mean.normal_(0, 0.3)
    model.latents_std.uniform_(0.5, 1.5)
    batch = rng.randint(1, 2)
    rename, header = official_vae(dict(model.config))
    if network == "ltx-vae-encode":
        newer = config["down_block_types"][-1] == "LTXVideo095DownBlock3D"
        time = space = 1
        for scaled, how in zip(config["spatio_temporal_scaling"], config["downsample_type"]):
            if scaled:
                how = how if newer else "conv"
                time *= 1 if how == "spatial" else 2
                space *= 1 if how == "temporal" else 2
        grid = config["patch_size"] * space
        video = torch.rand(batch, 3, time * rng.randint(0, 2) + 1, grid * rng.randint(1, 2), grid * rng.randint(1, 3)) * 2 - 1
        mean = model.encode(video).latent_dist.mean
        shape = (1, -1, 1, 1, 1)
        latents = (mean - model.latents_mean.view(shape)) / model.latents_std.view(shape)
        inputs, outputs = dict(video=video), dict(mean=mean, latents=latents)
        again = lambda d: ("mean", model.to(d).encode(video.to(d)).latent_dist.mean)
    else:
        latents = torch.randn(batch, config["latent_channels"], rng.randint(1, 3), rng.randint(1, 4), rng.randint(1, 4))
        t = torch.rand(batch)
        decoded = model.decode(latents, t if config["timestep_conditioning"] else None).sample
        inputs, outputs = dict(latents=latents, timestep=t), dict(video=decoded)
        again = lambda d: ("video", model.to(d).decode(latents.to(d), t.to(d) if config["timestep_conditioning"] else None).sample)
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    return Case(network, weights, dict(model.config), inputs, outputs, (rename, {"vae": header}), again)


@torch.no_grad()
def t5(rng):
    proj = rng.choice(["gated-gelu", "relu", "gated-gelu", "gelu", "gated-silu"])
    config = T5Config(vocab_size=rng.randint(20, 90), d_model=rng.randint(4, 40), d_kv=rng.randint(1, 20), d_ff=rng.randint(3, 70),
                      num_layers=rng.randint(1, 5), num_heads=rng.randint(1, 7), feed_forward_proj=proj,
                      relative_attention_num_buckets=rng.choice([32, 16, 20]), relative_attention_max_distance=rng.choice([128, 50, 20]),
                      layer_norm_epsilon=rng.choice([1e-6, 1e-5]))
    model = fill(T5EncoderModel(config), rng)
    torch.manual_seed(rng.randrange(1 << 30))
    batch, length = rng.randint(1, 4), rng.randint(1, 300)
    ids, mask = torch.randint(0, config.vocab_size, (batch, length)), torch.ones(batch, length, dtype=torch.long)
    for row in mask:
        row[rng.randint(1, length):] = 0
    if rng.random() < 0.2:
        mask[-1] = 0
    hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    weights = {k: v for k, v in model.state_dict().items() if "embed_tokens" not in k and "shared" not in k}
    for name in rng.choice([["shared.weight"], ["encoder.embed_tokens.weight"], ["shared.weight", "encoder.embed_tokens.weight"]]):
        weights[name] = model.shared.weight
    return Case("t5-encoder", weights, config.to_dict(), dict(input_ids=ids, attention_mask=mask), dict(hidden=hidden),
                again=lambda d: ("hidden", model.to(d)(input_ids=ids, attention_mask=mask).last_hidden_state))


@torch.no_grad()
def whisper(rng):
    heads = rng.randint(1, 5)
    # A width of 2 makes the reference divide by zero.
    config = WhisperConfig(vocab_size=20, decoder_layers=1, decoder_attention_heads=1, decoder_ffn_dim=4, max_target_positions=4,
                           pad_token_id=0, bos_token_id=0, eos_token_id=0, decoder_start_token_id=0, d_model=heads * 2 * rng.randint(2, 12),
                           encoder_layers=rng.randint(1, 5), encoder_attention_heads=heads, encoder_ffn_dim=rng.randint(3, 90),
                           num_mel_bins=rng.choice([80, 80, 128]), max_source_positions=rng.choice([1500, 1500, 77]))
    model = fill(WhisperModel(config), rng)
    torch.manual_seed(rng.randrange(1 << 30))
    mel = torch.randn(rng.randint(1, 2), config.num_mel_bins, 2 * config.max_source_positions)
    states = torch.stack(model.encoder(mel, output_hidden_states=True).hidden_states, 1)
    prefix = rng.choice(["model.", "", None])
    weights = model.encoder.state_dict() if prefix is None else {prefix + k: v for k, v in model.state_dict().items()}
    return Case("whisper-encoder", weights, config.to_dict(), dict(mel=mel), dict(hidden_states=states),
                again=lambda d: ("hidden_states", torch.stack(model.to(d).encoder(mel.to(d), output_hidden_states=True).hidden_states, 1)))


@torch.no_grad()
def upsampler(rng):
    space = rng.random() < 0.6
    time = not space or rng.random() < 0.4
    config = dict(in_channels=rng.randint(1, 9), mid_channels=32 * rng.randint(1, 2), num_blocks_per_stage=rng.randint(0, 2),
                  dims=3 if time else rng.choice([2, 3]), spatial_upsample=space, temporal_upsample=time)
    model = fill(LTXLatentUpsamplerModel(**config), rng)
    torch.manual_seed(rng.randrange(1 << 30))
    latents = torch.randn(rng.randint(1, 2), config["in_channels"], rng.randint(1, 4), rng.randint(1, 7), rng.randint(1, 7))
    return Case("ltx-upsampler", model.state_dict(), dict(model.config), dict(latents=latents), dict(latents=model(latents)),
                again=lambda d: ("latents", model.to(d)(latents.to(d))))


@torch.no_grad()
def audio_projection(rng):
    """EditYourself eq. 3 and 4 and the pooling that we chose (there is no public code), in plain PyTorch."""
    window, states, channels, dim = 4 * rng.randint(1, 8), rng.randint(1, 14), rng.randint(1, 40), rng.randint(1, 50)
    c = channels
    shapes = {"position": (window, states, c), "mix": (states,), "proj.weight": (dim, c), "proj.bias": (dim,),
              "norm.weight": (dim,), "norm.bias": (dim,)}
    for i in (0, 1):
        shapes |= {f"pool.{i}.weight": (c, 1, 2), f"pool.{i}.bias": (c,)}
    torch.manual_seed(rng.randrange(1 << 30))
    w = {k: (torch.randn(v) / (v[-1] ** 0.5 if k == "proj.weight" else 2)).bfloat16().float() for k, v in shapes.items()}
    w["norm.weight"] = (w["norm.weight"] + 1).bfloat16().float()
    rate, fps, frames = rng.choice([50.0, 50.0, 25.0, 43.066]), rng.choice([25.0, 24000 / 1001, 29.97, 50.0, 8.0]), rng.randint(1, 30)
    features = torch.randn(rng.randint(1, 3), rng.randint(1, 90), states, c)

    def tokens(x, w):
        u = torch.arange(frames, dtype=torch.float64)[:, None] * rate / fps + torch.arange(window) - (window - 1) / 2
        k = u.floor()
        last = x.shape[1] - 1
        pick = lambda index: x[:, index.clamp(0, last).long()]  # [B, F, W, states, C]
        share = (u - k).to(x.dtype)[..., None, None]
        x = (1 - share) * pick(k) + share * pick(k + 1) + w["position"]
        x = torch.einsum("bfwsc,s->bfcw", x, w["mix"]).flatten(0, 1)
        for i in (0, 1):
            x = torch.nn.functional.conv1d(x, w[f"pool.{i}.weight"], w[f"pool.{i}.bias"], stride=2, groups=c)
        x = torch.nn.functional.linear(x.mT, w["proj.weight"], w["proj.bias"])
        x = torch.nn.functional.layer_norm(x, x.shape[-1:], w["norm.weight"], w["norm.bias"], 1e-5)
        return x.unflatten(0, (-1, frames))

    config = {"dim": dim, "window": window, "hidden_states": states, "channels": channels, "feature_rate": 50.0}
    prefix = rng.choice(["", "audio_projection.", "model.diffusion_model.audio_projection."])
    inputs = dict(features=features, feature_rate=torch.tensor(rate), frame_rate=torch.tensor(fps), frames=torch.tensor(float(frames)))
    # The two rates go through a file as 32 bit, so the reference takes them so, too.
    rate, fps = float(inputs["feature_rate"]), float(inputs["frame_rate"])
    return Case("audio-projection", {prefix + k: v for k, v in w.items()}, rng.choice([config, {"audio": config}, {"transformer": {"audio": config}}]),
                inputs, dict(tokens=tokens(features, w)),
                again=lambda d: ("tokens", tokens(features.to(d), {k: v.to(d) for k, v in w.items()})))


def save(case, folder, rng):
    """Writes weights in a drawn layout; the argument for the config, and words for the line."""
    weights, config, words = case.weights, case.config, []
    if case.official and rng.random() < 0.5:
        rename, header = case.official
        weights, config = {rename(k): v for k, v in weights.items()}, header
        words.append("official")
    if rng.random() < 0.5:
        keep = ("latents_", "mean-of", "std-of", "multiplier")
        weights = {k: v if any(part in k for part in keep) else v.bfloat16() for k, v in weights.items()}
        words.append("stored bf16")
    weights = {k: v.detach().clone().contiguous() for k, v in weights.items()}
    text = json.dumps(config)
    where = rng.choice(["header", "beside", "given"])
    words.append("config " + where)
    path = folder / "model.safetensors"
    if rng.random() < 0.3 and len(weights) > 3 and where != "header":
        names = sorted(weights)
        halves = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
        for file, part in halves.items():
            save_file({k: weights[k] for k in part}, folder / file)
        path = folder / "model.safetensors.index.json"
        path.write_text(json.dumps({"metadata": {}, "weight_map": {k: f for f, part in halves.items() for k in part}}))
        words.append("shards")
    else:
        save_file(weights, path, metadata={"config": text} if where == "header" else None)
    given = "-"
    if where == "beside":
        (folder / "config.json").write_text(text)
    if where == "given":
        given = str(folder / "given.json")
        Path(given).write_text(text)
    return path, given, ", ".join(words)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path, help="the example `forward` of the crate models, or `reword`")
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only")
    arguments = parser.parse_args()
    makers = {
        "ltx-transformer": transformer, "ltx-vae-encode": lambda rng: vae(rng, "ltx-vae-encode"),
        "ltx-vae-decode": lambda rng: vae(rng, "ltx-vae-decode"), "t5-encoder": t5, "whisper-encoder": whisper,
        "ltx-upsampler": upsampler, "audio-projection": audio_projection,
    }
    failed = 0
    for name, maker in makers.items():
        if arguments.only and arguments.only != name:
            continue
        worst = {"f32": 0.0, "bf16": 0.0}
        for index in range(arguments.count):
            seed = f"{arguments.seed}/{name}/{index}"
            rng = random.Random(seed)
            with tempfile.TemporaryDirectory() as folder:
                folder = Path(folder)
                case = maker(rng)
                path, config, words = save(case, folder, rng)
                save_file({k: v.contiguous() for k, v in case.inputs.items()}, folder / "in.safetensors")
                for dtype, bound in BOUNDS.items():
                    out = folder / f"{dtype}.safetensors"
                    if arguments.program.name == "reword":
                        command = ["forward", name, "--weights", path, "--inputs", folder / "in.safetensors", "-o", out, "--dtype", dtype]
                        command += ["--config", config] if config != "-" else []
                    else:
                        command = [name, path, config, folder / "in.safetensors", out, dtype]
                    run = subprocess.run([arguments.program, *command], capture_output=True, text=True)
                    if run.returncode:
                        failed += 1
                        print(f"{seed} {dtype} ({words}): {run.stderr.strip()[:600]}\n    {json.dumps(case.config, default=str)}")
                        continue
                    found = load_file(out)
                    for key, wanted in case.outputs.items():
                        error = float((found[key] - wanted).norm() / wanted.norm()) if found[key].shape == wanted.shape else float("inf")
                        worst[dtype] = max(worst[dtype], error)
                        if not error <= bound:
                            # In 16 bit the reference may lose more; then no bound on us means anything.
                            excused = dtype == "bf16" and case.again and error <= float(case.loss(dtype))
                            failed += not excused
                            print(f"{seed} {dtype} ({words}) {key}: {error:.2e} (the reference itself: {case.loss(dtype)}), "
                                  f"shape {list(found[key].shape)} {list(wanted.shape)}\n    {json.dumps(case.config, default=str)}")
        print(f"{name}: {arguments.count} configs, worst f32 {worst['f32']:.1e}, bf16 {worst['bf16']:.1e}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
