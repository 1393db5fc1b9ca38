"""Small f32 inputs and outputs of every part, so that another implementation can be compared.

    python fixtures.py --out DIR [--weights tiny.safetensors]     (without --weights: random weights of the same config)
"""
import argparse
from pathlib import Path
import torch
from safetensors.torch import save_file
from tiny_model import *
from export import load_file_parts, write_file


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--weights", type=Path)
    ap.add_argument("--io", default="io.safetensors")
    a = ap.parse_args()
    torch.manual_seed(3)
    a.out.mkdir(parents=True, exist_ok=True)
    if a.weights:
        enc, vae, dit, cfg = load_file_parts(a.weights)
    else:
        cfg = CONFIG
        enc, vae, dit = AudioEncoder(), Vae(), Transformer()
        for m in (enc, vae, dit):  # nothing may stay at zero, or the comparison would be blind there
            for n, p in m.named_parameters():
                if p.std() == 0 or p.numel() == 1:
                    p.data.add_(torch.randn_like(p) * 0.1)
        vae.per_channel_statistics_mean_of_means.normal_(0, 0.1)
        vae.per_channel_statistics_std_of_means.uniform_(0.5, 1.5)
        write_file(a.out / "weights.safetensors", enc, vae, dit, cfg, dtype=torch.float32)
    out = {}
    with torch.no_grad():
        wave = torch.sin(torch.arange(16000) * 0.05) * 0.3 * torch.linspace(0.1, 1, 16000) + 0.01 * torch.randn(16000)
        from audio_features import mel, normalise_gain
        out["audio.samples"] = wave
        out["audio.normalised"] = torch.from_numpy(normalise_gain(wave.numpy()))
        out["audio.mel"] = torch.from_numpy(mel(out["audio.normalised"].numpy()))
        feats = enc(out["audio.mel"][None])[0]
        out["audio.features"] = feats
        out["audio.mouth"] = enc.mouth(feats)
        frames = latent_frames(0, 3).flatten()
        out["projection.frames"] = frames
        win = audio_windows(feats, frames, fps=25.0)
        out["projection.windows"] = win
        out["projection.windows_fps30"] = audio_windows(feats, torch.arange(10), fps=30.0)
        tok = dit.audio_projection(win)
        out["projection.tokens"] = tok
        x = torch.randn(1, 3, 5, 64, 64).clamp(-1, 1)
        out["vae.pixels"] = x
        mean, logvar = vae.encoder(x)
        out["vae.mean"], out["vae.logvar"] = mean, logvar
        out["vae.latent"] = vae.encode(x)
        out["vae.latent_one_frame"] = vae.encode(x[:, :, :1])
        z = torch.randn(1, 128, 2, 2, 2)
        out["vae.decode_in"], out["vae.decode_out"] = z, vae.decode(z)
        # latents 2..3 of a clip, one reference; block-local times
        inside, outside, yx = cell_coords()
        times = latent_times(2, 2, 25.0) - latent_times(2, 1, 25.0)
        ref_t = torch.tensor([(4 * -1 + 1 - 4) / 25.0])
        cc = torch.cat([token_coords(ref_t, yx[inside]), token_coords(times, yx[outside])])
        xc = token_coords(times, yx[inside])
        ctx, xx, t = torch.randn(1, len(cc), 128), torch.randn(1, len(xc), 128), torch.tensor([0.7])
        audio = dit.audio_projection(audio_windows(feats, latent_frames(2, 2).flatten())).reshape(1, 2, 16, -1)
        out["dit.context_tokens"], out["dit.context_coords"] = ctx, cc
        out["dit.tokens"], out["dit.coords"], out["dit.timestep"] = xx, xc, t
        out["dit.audio_tokens"] = audio
        tab = dit.table
        cs = lambda c: tuple(q[None] for q in tab(c))
        out["dit.rope_cos"], out["dit.rope_sin"] = tab(xc)
        out["dit.velocity"] = dit(ctx, cs(cc), xx, cs(xc), t, audio)
        out["dit.velocity_no_audio"] = dit(ctx, cs(cc), xx, cs(xc), t, None)
        out["schedule.shifted8"] = torch.tensor(schedule("Shifted", 8, 3.0), dtype=torch.float32)
        out["schedule.lq8"] = torch.tensor(schedule("LinearQuadratic", 8), dtype=torch.float32)
    save_file({k: v.float().contiguous().clone() if v.is_floating_point() else v.to(torch.int64).contiguous() for k, v in out.items()}, str(a.out / a.io))
    print({k: tuple(v.shape) for k, v in out.items()})


if __name__ == "__main__":
    main()
