"""Times one training step of `tiny`'s transformer and sound encoder in PyTorch; twin of `crates/train/examples/step.rs`.

    python3 tools/bench/torch_step.py [--bf16] [--rounds N] [--threads N] [--cpu]

The network is the plain one of tools/train_tiny, with the sizes of the shipped weights; Muon for matrices of the blocks,
AdamW for the rest, the moving average at the end, as in the recipe.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/train_tiny"))
import tiny_model as tm  # noqa: E402
from common import MuonAdam  # noqa: E402
from safetensors import safe_open  # noqa: E402

CLIPS, COPIES, LATENTS, FPS = 4, 2, 7, 25.0


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--bf16", action="store_true")
    ap.add_argument("--rounds", type=int, default=7)
    ap.add_argument("--threads", type=int)
    ap.add_argument("--cpu", action="store_true", help="processor time of all threads instead of the clock's")
    a = ap.parse_args()
    if a.threads:
        torch.set_num_threads(a.threads)
    with safe_open(ROOT / "assets/models/tiny.safetensors", "pt") as f:
        config = json.loads(f.metadata()["config"])
    hand_made, tm.Transformer.init_weights = tm.Transformer.init_weights, lambda self: None
    dit, audio = tm.Transformer(config["transformer"]), tm.AudioEncoder(config["audio_encoder"])
    tm.Transformer.init_weights = hand_made
    named = [("dit." + n, p) for n, p in dit.named_parameters()] + [("audio." + n, p) for n, p in audio.named_parameters()]
    for n, p in named:
        p.requires_grad_(not (".attn2." in n or "caption" in n))
    named = [(n, p) for n, p in named if p.requires_grad]
    muon = lambda n, p: p.ndim >= 2 and ("transformer_blocks" in n and "table" not in n or "audio.blocks" in n)
    groups = [dict(params=[p for n, p in named if muon(n, p)], muon=True), dict(params=[p for n, p in named if not muon(n, p)])]
    optimiser, average = MuonAdam(groups, lr=2e-6), [p.detach().clone() for _, p in named]
    inside, outside, yx = tm.cell_coords()
    context = torch.randn(CLIPS, 3 * len(inside) + LATENTS * len(outside), 128)
    clean = torch.randn(CLIPS * COPIES, LATENTS * len(inside), 128)
    mel = 0.3 * torch.randn(CLIPS, 128, 80)
    times = tm.latent_times(1, LATENTS, FPS)
    refs = torch.tensor([(4 * n + 1 - 4) / FPS for n in (-1, -2, -3)])
    table = lambda c: tuple(x[None] for x in dit.table(c))
    cc = table(torch.cat([tm.token_coords(refs, yx[inside]), tm.token_coords(times, yx[outside])]))
    xc = table(tm.token_coords(times, yx[inside]))
    frames = tm.latent_frames(1, LATENTS).flatten()
    spent = []
    for i in range(a.rounds + 1):
        clock = time.process_time if a.cpu else time.perf_counter
        start = clock()
        with torch.autocast("cpu", torch.bfloat16, enabled=a.bf16):
            tokens = torch.stack([dit.audio_projection(tm.audio_windows(audio(m[None])[0], frames, FPS)).reshape(LATENTS, -1, config["transformer"]["audio"]["dim"]) for m in mel])
            noise = torch.randn_like(clean)
            v = dit(context, cc, 0.2 * clean + 0.8 * noise, xc, torch.full((len(clean),), 0.8), tokens)
        (v.float() - (noise - clean)).pow(2).mean().backward()
        optimiser.step()
        for avg, (_, p) in zip(average, named):
            avg.lerp_(p.detach(), 0.01)
        for _, p in named:
            p.grad = None
        if i:
            spent.append((clock() - start) * 1e3)
    print(f"{'training step ' + ('bf16' if a.bf16 else 'f32'):<36} median {statistics.median(spent):9.3f} ms  least {min(spent):9.3f} ms")


if __name__ == "__main__":
    main()
