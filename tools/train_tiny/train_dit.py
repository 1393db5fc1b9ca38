"""Fourth stage: the transformer, by flow matching on the masked tokens.

    python train_dit.py --cache cache.pt --pairs pairs.pt --audio audio.pt --out dit.pt --minutes 54 [--resume dit.pt]

Starts from Transformer.init_weights (the recorded mouth as it is). Half of the noised copies are at t = 1, where the mouth's shape
is decided. The loss is that of x0 (the velocity's, times t squared), over what the counterpart's mouth would leave, so that
clips with much motion do not drown the others; beside it the opening that a linear reader finds in x0.
"""
import argparse, random, time
from pathlib import Path
import torch
import torch.nn as nn
from common import Ema, MuonAdam, correlation, group_of, save
from tiny_model import Transformer
from windows import Clips, Reader, openings, random_windows, tables

# the mouth's cells count for more
CELLS = torch.tensor([[0.5, 0.8, 0.8, 0.5], [1, 1.8, 1.8, 1], [1, 1.8, 1.8, 1], [0.5, 0.8, 0.8, 0.5]]).flatten()
CELLS = CELLS / CELLS.mean()


@torch.no_grad()
def evaluate(dit, clips, read, steps=1, count=8):
    """Correlation of the made opening with the true one: forced, with the own sound, with another clip's."""
    rng, gen, res = random.Random(1), torch.Generator().manual_seed(0), {}
    long = [c for c in clips.held if c["target"].shape[0] > count + 4 and c["opening"].std() > 0]
    cc, xc = tables(dit, count, 4)
    for name, most in (("grid", 8), ("real", 14)):
        group, row = [c for c in long if group_of(c) == name][:most], {}
        if len(group) < 2:
            continue
        truth = torch.stack([openings(c, 3, count).flatten() for c in group])
        for kind in ("forced", "own", "other"):
            context, x0, sound = clips.batch(dit, group, [3] * len(group), count, 4, kind == "forced", rng, jitter=0)
            x = torch.randn(x0.shape, generator=gen)
            with torch.autocast("cpu", torch.bfloat16):
                for i in range(steps):
                    t = torch.full((len(x),), 1 - i / steps)
                    x = x - dit(context, cc, x, xc, t, sound.roll(1, 0) if kind == "other" else sound).float() / steps
            o = read(x.unflatten(1, (count, -1))).flatten(1)
            row[kind] = round(correlation(o, truth).mean().item(), 2)
            if kind == "own":
                row["amplitude"] = round((o.std(1) / truth.std(1)).mean().item(), 2)
                row["error"] = round((x - x0).pow(2).unflatten(1, (count, -1)).mean((0, 1, 3)).mul(CELLS).mean().item(), 3)
        res[name] = row
    return res


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--cache", type=Path, required=True)
    ap.add_argument("--pairs", type=Path, required=True)
    ap.add_argument("--audio", type=Path, required=True)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--minutes", type=float, default=54)
    ap.add_argument("--lr", type=float, default=1.2e-3)
    ap.add_argument("--batch", type=int, default=7)
    ap.add_argument("--reader", type=float, default=0.3, help="weight of the opening's error")
    ap.add_argument("--audio-drop", type=float, default=0.08)
    ap.add_argument("--resume", type=Path)
    ap.add_argument("--threads", type=int, default=1)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    random.seed(0)
    dit, clips = Transformer(), Clips(a.cache, a.audio, a.pairs)
    read = Reader(clips.train)
    if a.resume:
        dit.load_state_dict(torch.load(a.resume, weights_only=False)["ema"])
    kinds = {"grid": 0.9, "real": 2.0, "generated": 1.0}
    weights = [kinds[group_of(c)] * min(2.0, c["frames"] / 100) * (0.6 if c["mirror"] else 1) for c in clips.train]
    print("start", evaluate(dit, clips, read), flush=True)
    groups = []
    for n, p in dit.named_parameters():
        # one caption token makes attn2 a constant; the pools stay means, so that they commute with maps of the channels
        if any(part in n for part in (".attn2.", "caption", "pool", "adaln_single.emb")):
            p.requires_grad_(False)
            continue
        muon = p.ndim == 2 and "table" not in n
        scale = (0.15 if any(part in n for part in ("adaln", "patchify", "proj_out")) else 1.0) if muon else 0.6 if "audio" in n else 0.09 if "adaln" in n else 0.3
        groups.append(dict(params=[p], muon=muon, scale=scale))
    opt, ema, mean = MuonAdam(groups, lr=a.lr), Ema(dit, 0.998), {}
    rng, start, step, copies = random.Random(5), time.time(), 0, 2
    while (done := (time.time() - start) / (a.minutes * 60)) < 1:
        for g in opt.param_groups:
            g["lr"] = a.lr * g["scale"] * min(1, (step + 1) / 60) * max(0.02, 1 - max(0, done - 0.2) / 0.8)
        count = (5, 7, 9)[step % 3]
        references = 4 if random.random() < 0.9 else random.randint(1, 3)
        group, firsts = random_windows(count, a.batch, clips.train, weights)
        context, x0, sound = clips.batch(dit, group, firsts, count, references, True, rng, noise=0.15)
        cc, xc = tables(dit, count, references)
        rep = lambda v: v.repeat_interleave(copies, 0)
        x0 = rep(x0)
        t = torch.sigmoid(1.6 + torch.randn(len(x0)))
        t[::copies] = 1.0
        noise, tt = torch.randn_like(x0), t[:, None, None]
        xt = (1 - tt) * x0 + tt * noise
        keep = (torch.rand(len(x0)) >= a.audio_drop).float()
        with torch.autocast("cpu", torch.bfloat16):
            v = dit(context, cc, xt, xc, t, sound, keep).float()
        cells = lambda z: z.unflatten(1, (count, -1))
        error = cells((v - (noise - x0)) * tt).pow(2).mean((1, 3)) * CELLS
        base = rep((context[:, -16 * count:] - x0[::copies]).pow(2).mean((1, 2)))
        hat = read(cells(xt - tt * v)).flatten(1)
        truth = rep(torch.stack([openings(c, f, count).flatten() for c, f in zip(group, firsts)]))
        reading = ((hat - truth).pow(2).mean(1) * keep).mean()
        loss = (error * (0.5 / (0.08 + base))[:, None]).mean() + a.reader * reading
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(dit.parameters(), 1.0)
        opt.step()
        ema.update()
        step += 1
        relative = error.mean(1) / base
        for k, value in (("t=1", relative[::copies].mean().item()), ("below", relative[1::copies].mean().item()), ("opening", reading.item())):
            mean[k] = 0.98 * mean.get(k, value) + 0.02 * value
        if step % 50 == 0:
            print(step, f"{time.time() - start:.0f}s", {k: round(v, 3) for k, v in mean.items()}, flush=True)
        if step % 300 == 0:
            checkpoint(ema, clips, read, a.out, step)
    checkpoint(ema, clips, read, a.out, step)


def checkpoint(ema, clips, read, path, step):
    dit = Transformer()
    dit.load_state_dict(ema.values)
    for steps in (1, 4):
        print("   ", step, "steps", steps, evaluate(dit, clips, read, steps), flush=True)
    save(dict(ema=ema.values, step=step), path)


if __name__ == "__main__":
    main()
