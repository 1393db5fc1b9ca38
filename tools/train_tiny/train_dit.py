"""Fourth stage: the transformer, by flow matching on the masked tokens, with a readout loss for the mouth.

    python train_dit.py --cache cache.pt --audio audio.pt --out dit.pt --minutes 50 [--resume dit.pt]

One-way attention lets one context serve several noised copies of a clip (M), so most of a step's work is on noised tokens.
The readout loss: the one-step estimate x0 = x_t - t v goes through a frozen linear readout to mouth opening and lip shape,
which must follow the true ones. Plain flow matching alone is slow to listen to the sound.
"""
import argparse, random, time
from pathlib import Path
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.multiprocessing
from common import Team, correlation, save
from tiny_model import *

FPS = 25.0
INSIDE, OUTSIDE, YX = cell_coords()


class Both(nn.Module):
    def __init__(self, mouth_targets=17):
        super().__init__()
        self.dit, self.audio = Transformer(), AudioEncoder(mouth_targets=mouth_targets)


def audio_tokens(both, mel, offset, first, count):
    """Tokens of `count` latents of a clip whose frame 0 is mel frame 4 * offset, [count, 16, D_a]."""
    feats = both.audio(mel.float()[None])[0]
    w = audio_windows(feats, latent_frames(first, count).flatten() + offset, FPS)
    return both.dit.audio_projection(w).reshape(count, -1, both.dit.cfg["audio"]["dim"]), feats


def tables(dit, firsts, count, refs):
    """Rope tables of context (references first) and of masked tokens for windows that start at the given latents."""
    cc, xc = [], []
    ref_t = torch.tensor([(4 * n + 1 - 4) / FPS for n in (-1, -2, -3)[:refs]])
    for f in firsts:
        t = latent_times(f, count, FPS) - latent_times(f, 1, FPS)
        c = [token_coords(ref_t, YX[INSIDE])] if refs else []
        cc.append(torch.cat(c + [token_coords(t, YX[OUTSIDE])]))
        xc.append(token_coords(t, YX[INSIDE]))
    return dit.table(torch.stack(cc)), dit.table(torch.stack(xc))


def pick_refs(c, first, count, refs, spread=True):
    """Reference frames outside the window where possible."""
    lo, hi = (0 if first == 0 else 4 * (first - 1) + 1), 4 * (first + count - 1)
    out = [i for i, f in enumerate(c["ref_frames"].tolist()) if not lo <= f <= hi]
    pool = out if len(out) >= refs else list(range(len(c["ref_frames"])))
    return c["refs"][random.sample(pool, refs)].float()


class Readout:
    def __init__(self, cache):
        self.w, self.ymean, self.ystd = cache["readout"], cache["ymean"], cache["ystd"]
        self.weights = torch.ones(self.w.shape[1])
        self.weights[:4] = 4.0  # opening
        self.weights[4:] = 0.25 * torch.tensor(([1, 1, 1, 1] + [0.4] * 4) * 4)[: self.w.shape[1] - 4]
        self.mlp = nn.Sequential(nn.Linear(self.w.shape[0], 256), nn.GELU(), nn.Dropout(0.3), nn.Linear(256, 4))
        self.mlp.load_state_dict(cache["mlp"])
        self.mlp.eval()

    def __call__(self, z):  # [B, L, 24, C] -> [B, L, 36] normalised
        return z.flatten(2) @ self.w

    def measure(self, z):
        return self.mlp(z.flatten(2))[..., :4] * self.ystd[:4] + self.ymean[:4]


@torch.no_grad()
def sample(both, ctx, ctx_cs, x_cs, audio, count, times, guidance=1.0, generator=None):
    """Euler; `guidance` weighs sound against no sound."""
    x = torch.randn(ctx.shape[0], count * len(INSIDE), 128, generator=generator)
    for t, tn in zip(times, times[1:] + [0.0]):
        tt = torch.full((len(x),), t)
        v = both.dit(ctx, ctx_cs, x, x_cs, tt, audio)
        if guidance != 1:
            v0 = both.dit(ctx, ctx_cs, x, x_cs, tt, None)
            v = v0 + guidance * (v - v0)
        x = x - (t - tn) * v
    return x


@torch.no_grad()
def evaluate(both, readout, held, times, guidance=1.0, count=9, seed=0, n=4):
    """Correlation of the generated opening with the true one (own sound), and under another clip's sound with the true one
    (leak from the picture) and with the other clip's (following the sound)."""
    both.eval()
    res = {}
    clips = [c for c in held if c["target"].shape[0] > count + 1 and c["opening"].std() > 0]
    grid = [c for c in clips if c["source"] == "grid_s1"][:n]
    real = [c for c in clips if c["kind"] == "real" and c["source"] != "grid_s1" and c["score"] > 0.3][:n]
    st = random.getstate()
    random.seed(1)
    for name, group in (("grid", grid), ("others", real)):
        if len(group) < 2:
            continue
        g = torch.Generator().manual_seed(seed)
        first = 3
        ctx = torch.stack([torch.cat([pick_refs(c, first, count, 3).flatten(0, 1), c["context"][first:first + count].float().flatten(0, 1)]) for c in group])
        cc, xc = tables(both.dit, [first] * len(group), count, 3)
        au = torch.stack([audio_tokens(both, c["mel"], c["offset"], first, count)[0] for c in group])
        truth = torch.stack([c["read_target"][first - 1:first - 1 + count, :4].flatten() for c in group])
        with torch.autocast("cpu", torch.bfloat16):
            own = sample(both, ctx, cc, xc, au, count, times, guidance, g)
            oth = sample(both, ctx, cc, xc, au.roll(1, 0), count, times, guidance, g)
        z = lambda x: x.float().unflatten(1, (count, -1))
        o, p = readout.measure(z(own)).flatten(1), readout.measure(z(oth)).flatten(1)
        x0 = torch.stack([c["target"][first:first + count].float() for c in group])
        f = lambda a, b: round(correlation(a, b).mean().item(), 2)
        res[name] = dict(own=f(o, truth), leak=f(p, truth), follow=f(p, truth.roll(1, 0)), amp=round((o.std(1) / truth.std(1)).mean().item(), 2),
                         mse=round(F.mse_loss(z(own), x0).item(), 3))
    random.setstate(st)
    both.train()
    return res


def worker(rank, team, a):
    team.start(rank)
    both = team.module
    torch.manual_seed(a.seed + rank)
    random.seed(a.seed + rank)
    cache = torch.load(a.cache, weights_only=False, mmap=True)
    readout = Readout(cache)
    train = [c for c in cache["clips"] if not c["heldout"] and c["target"].shape[0] >= 12]
    held = [c for c in cache["clips"] if c["heldout"]]
    weight = [1.3 if c["source"] == "grid_s1" else (0.5 + c["score"]) * (1.5 if c["kind"] == "real" else 0.6) * min(2.0, c["frames"] / 100) for c in train]
    if rank == 0:
        by = {}
        for c, w in zip(train, weight):
            by[c["source"]] = by.get(c["source"], 0) + w
        print("train", len(train), "held", len(held), {k: round(v / sum(weight), 2) for k, v in by.items()}, flush=True)
    mean_loss = {}
    step, start = 0, time.time()
    while True:
        done = (time.time() - a.start) / (a.minutes * 60)
        if rank == 0:
            a.flag[0] = 1 if done >= 1 or (a.stop_file and a.stop_file.exists()) else 0
        team.barrier.wait()
        if a.flag[0]:
            break
        count = (5, 7, 9)[step % 3]
        batch = max(1, round(a.tokens / (count * 24 * a.copies)))
        refs = random.choice((3, 3, 3, 3, 3, 3, 3, 2, 1, 0))
        ctx, x0, tok, firsts, target = [], [], [], [], []
        heads = []
        for c in random.choices(train, weight, k=batch):
            f = random.randint(0 if random.random() < 0.15 else 1, c["target"].shape[0] - count)
            firsts.append(f)
            parts = [pick_refs(c, f, count, refs).flatten(0, 1)] if refs else []
            ctx.append(torch.cat(parts + [c["context"][f:f + count].float().flatten(0, 1)]))
            x0.append(c["target"][f:f + count].float().flatten(0, 1))
            with torch.autocast("cpu", torch.bfloat16):
                au, feats = audio_tokens(both, c["mel"], c["offset"], f, count)
            tok.append(au)
            r = torch.zeros(count, readout.w.shape[1])
            lo = max(f, 1)
            r[lo - f:] = (c["read_target"][lo - 1:f + count - 1] - readout.ymean) / readout.ystd
            target.append(r)
            # auxiliary: the encoder's own mouth head, on the window's frames
            fr = latent_frames(lo, f + count - lo).flatten()
            y = both.audio.mouth(feats[2 * (fr + c["offset"])].float())[:, 0]
            heads.append(1 - correlation(y, c["opening"][fr]))
        m = a.copies
        ctx, x0, tok, target = torch.stack(ctx), torch.stack(x0), torch.stack(tok), torch.stack(target)
        cc, xc = tables(both.dit, firsts, count, refs)
        rep = lambda t: t.repeat_interleave(m, 0)
        xc = tuple(rep(q) for q in xc)
        x0, target = rep(x0), rep(target)
        mu = 1.6 if done < 0.5 else 1.2
        t = torch.sigmoid(mu + torch.randn(batch * m))
        t[::m] = torch.where(torch.rand(batch) < 0.6, torch.ones(batch), t[::m])  # pure noise: what the sampler starts from
        noise = torch.randn_like(x0)
        tt = t[:, None, None]
        xt = (1 - tt) * x0 + tt * noise
        keep = (torch.rand(batch * m) >= a.audio_drop).float()
        with torch.autocast("cpu", torch.bfloat16):
            v = both.dit(ctx, cc, xt, xc, t, tok, keep).float()
        err = (v - (noise - x0)).pow(2)
        flow = err.mean()
        hat = readout((xt - tt * v).unflatten(1, (count, -1)))
        valid = torch.ones(batch * m, count)
        valid[:, 0] = torch.tensor([0.0 if f == 0 else 1.0 for f in firsts]).repeat_interleave(m)
        d = (hat - target).pow(2) * readout.weights
        sync = (d * (valid * keep[:, None])[..., None]).sum() / (valid * keep[:, None]).sum().clamp(min=1) / readout.weights.sum()
        cor = 1 - correlation(hat[:, 1:, :4].flatten(1), target[:, 1:, :4].flatten(1))
        cor = (cor * keep).sum() / keep.sum().clamp(min=1)
        head = torch.stack(heads).mean()
        w = a.sync * (1.0 if done < 0.6 else 0.6)
        loss = flow + w * (sync + 0.5 * cor) + 0.1 * head
        team.zero()
        loss.backward()
        if done < a.freeze_audio:
            for (n, p) in team.named:
                if n.startswith("audio."):
                    p.grad.zero_()
        team.step(min(1, (step + 1) / 30) * max(0.02, 1 - max(0, done - 0.3) / 0.7))
        step += 1
        hi = t > 0.9
        for k, val in (("flow", flow.item()), ("hi", err[hi].mean().item() if hi.any() else None), ("lo", err[~hi].mean().item() if (~hi).any() else None),
                       ("sync", sync.item()), ("cor", 1 - cor.item()), ("head", 1 - head.item())):
            if val is not None:
                mean_loss[k] = val if k not in mean_loss else 0.97 * mean_loss[k] + 0.03 * val
        if rank == 0 and (step % 25 == 0 or step == 5):
            print(step, f"{time.time() - start:.0f}s", {k: round(v, 3) for k, v in mean_loss.items()}, flush=True)
        if rank == 0 and step % a.every == 0:
            checkpoint(team, readout, held, a, step)
    if rank == 0:
        checkpoint(team, readout, held, a, step)
        print("finished", step, flush=True)


def split(values):
    pick = lambda p: {k[len(p):]: v.clone() for k, v in values.items() if k.startswith(p)}
    return pick("dit."), pick("audio.")


def checkpoint(team, readout, held, a, step):
    e = Both(team.module.audio.mouth.weight.shape[0])
    e.load_state_dict(team.ema)
    print("   ", step, evaluate(e, readout, held, schedule("Shifted", 4, 3.0)), flush=True)
    d, au = split(team.ema)
    save(dict(ema=d, audio=au, step=step), a.out)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--cache", type=Path, required=True)
    ap.add_argument("--audio", type=Path, required=True)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--minutes", type=float, default=50)
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--tokens", type=int, default=700, help="noised tokens per step and process")
    ap.add_argument("--copies", type=int, default=2)
    ap.add_argument("--sync", type=float, default=0.5)
    ap.add_argument("--audio-drop", type=float, default=0.1)
    ap.add_argument("--freeze-audio", type=float, default=0.1, help="fraction of the time")
    ap.add_argument("--every", type=int, default=150)
    ap.add_argument("--resume", type=Path)
    ap.add_argument("--stop-file", type=Path)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--ranks", type=int, default=2)
    a = ap.parse_args()
    torch.manual_seed(a.seed)
    st = torch.load(a.audio, weights_only=False)["state"]
    both = Both(st["mouth.weight"].shape[0])
    both.audio.load_state_dict(st)
    if a.resume:
        r = torch.load(a.resume, weights_only=False)
        both.dit.load_state_dict(r["ema"])
        both.audio.load_state_dict(r["audio"])
    for n, p in both.named_parameters():  # with a single constant caption token this path is a constant: leave it at zero
        if ".attn2." in n or "caption" in n:
            p.requires_grad_(False)
    muon = lambda n, p: p.ndim >= 2 and ("transformer_blocks" in n and "table" not in n or "audio.blocks" in n)
    scale = lambda n: 0.3 if n.startswith("audio.") else 2.0 if "audio_" in n else 0.2 if "adaln" in n else 0.5 if "patchify" in n or "proj_out" in n else 1.0
    team = Team(both, a.ranks, muon, a.lr, ema_decay=0.99, scale=scale)
    a.start, a.flag = time.time(), torch.zeros(1).share_memory_()
    torch.multiprocessing.spawn(worker, (team, a), nprocs=a.ranks)


if __name__ == "__main__":
    main()
