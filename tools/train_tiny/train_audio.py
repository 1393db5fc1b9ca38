"""First stage: the mel encoder learns mouth opening and lip shape from sound.

    python train_audio.py --data DATA --out audio.pt --steps 600

The opening is absolute, so that silence can mean a closed mouth; the shape is against the clip's mean. Speakers are varied by
warping the bands (length of the vocal tract), by level and tilt, other people's speech, masked bands and spans of silence; the recording's own
mean spectrum is taken out (mean_norm). More steps fit the few speakers better and everybody else worse: with weights averaged
over the last 150 steps, 400 to 600 are the best on held-out people.
"""
import argparse, random, time
from pathlib import Path
import numpy as np
import torch
import torch.nn.functional as F
from common import POINTS, Ema, MuonAdam, correlation, group_of, load_index, load_meta, mean_norm, save
from tiny_model import AudioEncoder

COMPONENTS, FRAMES, EDGE = 16, 80, 4


def load(data, rows):
    out = []
    for r in rows:
        m = load_meta(data, r)
        o = (m["opening"] * 20).astype(np.float32)
        p = m["landmarks"][:, POINTS].reshape(len(o), -1) / 25.6  # tenths of the crop
        if len(o) >= 30:
            out.append(dict(r, mel=mean_norm(torch.from_numpy(m["mel"]).float()), opening=torch.from_numpy(o), rest=float(np.percentile(o, 5)),
                            shape=torch.from_numpy((p - p.mean(0)).astype(np.float32))))
    return out


class Regularised(AudioEncoder):
    def forward(self, mel, drop=0.0):
        x = F.gelu(self.conv_in(mel.transpose(1, 2)))
        for b in self.blocks:
            h = F.gelu(b.conv1(b.norm(x.transpose(1, 2)).transpose(1, 2)))
            if drop:
                h = F.dropout1d(h, drop) if random.random() < 0.3 else F.dropout(h, drop)
            x = x + b.conv2(h)
        return self.norm_out(x.transpose(1, 2))


@torch.no_grad()
def evaluate(enc, clips):
    """Mean correlation of the opening, by group."""
    enc.eval()
    res = {}
    for c in clips:
        y = enc.mouth(enc(c["mel"][None]))[0, ::2][: len(c["opening"]), 0]
        res.setdefault("clips" if c["source"] == "clips" else group_of(c), []).append(correlation(y, c["opening"][: len(y)]).item())
    enc.train()
    return {k: round(float(np.mean(v)), 3) for k, v in res.items()}


def warp(mel):
    pos = (torch.arange(80) * random.uniform(0.88, 1.14)).clamp(max=79)
    low = pos.floor().long()
    w = pos - low
    return mel[..., low] * (1 - w) + mel[..., (low + 1).clamp(max=79)] * w


def augment(m, others):
    if random.random() < 0.7:
        m = warp(m)
    if random.random() < 0.6:  # level, tilt, ripple
        ripple = torch.cos(torch.linspace(0, 3.14 * random.uniform(1, 4), 80) + random.random() * 6)
        m = m + random.gauss(0, 0.12) + torch.linspace(-1, 1, 80) * random.gauss(0, 0.1) + ripple * random.gauss(0, 0.06)
    if random.random() < 0.5:  # noise floor
        m = torch.maximum(m, torch.full_like(m, random.uniform(-0.5, 0.45)) + 0.06 * torch.randn_like(m))
    if random.random() < 0.3:  # somebody else, quieter
        o = random.choice(others)["mel"]
        start = random.randint(0, max(0, len(o) - len(m)))
        o = o[start:start + len(m)]
        k = torch.full_like(m, -1)
        k[: len(o)] = o - random.uniform(0.25, 0.6)
        m = torch.log10(10 ** (4 * m) + 10 ** (4 * k)) / 4
    for _ in range(2):
        if random.random() < 0.4:
            f = random.randint(0, 65)
            m[:, f:f + random.randint(4, 15)] = m.mean()
    if random.random() < 0.3:
        f = random.randint(0, len(m) - 20)
        m[f:f + random.randint(4, 16)] = m.min()
    return m


def silence(m, opening, known, rest):
    """A span of silence, over which the mouth rests."""
    a = random.randint(0, FRAMES - 24)
    b = min(FRAMES, a + random.randint(20, 40))
    level = random.choice([-0.75, random.uniform(-0.75, -0.2)])
    m[4 * a:4 * b] = level + 0.03 * abs(level + 0.75) * torch.randn(4 * (b - a), 80)
    opening[a + 3:b - 3] = rest
    known[a:b] = 0


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", type=Path, required=True)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--steps", type=int, default=600)
    ap.add_argument("--batch", type=int, default=24)
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--drop", type=float, default=0.2)
    ap.add_argument("--decay", type=float, default=0.2)
    ap.add_argument("--threads", type=int, default=1)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    random.seed(0)
    clips = load(a.data, load_index(a.data, trusted=True))
    train, held = [c for c in clips if not c["heldout"]], [c for c in clips if c["heldout"]]
    shapes = torch.cat([c["shape"] for c in train])
    shapes = shapes[torch.randperm(len(shapes))[:8000]]
    _, sv, basis = torch.linalg.svd(shapes, full_matrices=False)
    basis, scale = basis[:COMPONENTS], sv[:COMPONENTS] / len(shapes) ** 0.5
    spread = torch.cat([c["opening"] - c["opening"].mean() for c in train]).std()
    centre = torch.cat([c["opening"] for c in train]).mean()
    for c in train:
        c["components"] = c["shape"] @ basis.T / scale
    enc = Regularised(mouth_targets=COMPONENTS + 1)
    matrix = lambda n, p: p.ndim >= 2 and n.startswith("blocks")
    opt = MuonAdam([dict(params=[p for n, p in enc.named_parameters() if matrix(n, p)], muon=True, weight_decay=a.decay),
                    dict(params=[p for n, p in enc.named_parameters() if not matrix(n, p)])], lr=a.lr)
    ema = Ema(enc, 0.993)
    groups = {k: [c for c in train if group_of(c) == k] for k in ("grid", "real", "generated")}
    share = {"grid": a.batch // 4, "real": a.batch // 2, "generated": a.batch - a.batch // 4 - a.batch // 2}
    weight = {k: [1.0 if k == "grid" else min(c["frames"], 200) ** 0.5 for c in v] for k, v in groups.items()}
    print({k: len(v) for k, v in groups.items()}, "held out", len(held), flush=True)
    start = time.time()
    for step in range(1, a.steps + 1):
        for g in opt.param_groups:
            g["lr"] = a.lr * min(1, step / 50) * (1 - (step - 1) / a.steps) ** 0.7
        mel, op, pc, ok = [], [], [], []
        for k in groups:
            for c in random.choices(groups[k], weight[k], k=share[k]):
                n = len(c["opening"])
                s = random.randint(0, max(0, n - FRAMES))
                idx = torch.arange(s, s + FRAMES).clamp(max=n - 1)
                m = augment(c["mel"][torch.arange(4 * s, 4 * (s + FRAMES)).clamp(max=len(c["mel"]) - 1)].clone(), train)
                o, known = (c["opening"][idx] - centre) / spread, torch.ones(FRAMES)
                if random.random() < 0.2:
                    silence(m, o, known, (c["rest"] - centre) / spread)
                mel.append(m)
                op.append(o)
                pc.append(c["components"][idx])
                ok.append(known)
        mel, op, pc, ok = torch.stack(mel), torch.stack(op), torch.stack(pc), torch.stack(ok)
        with torch.autocast("cpu", torch.bfloat16):
            f = enc(mel, a.drop)
        inner = slice(EDGE, -EDGE)  # the ends of a chunk lack context
        y = enc.mouth(F.dropout(f.float(), a.drop))[:, ::2][:, inner]
        op, pc, ok = op[:, inner], pc[:, inner], ok[:, inner, None]
        follow = correlation(y[..., 0], op).mean()
        forms = correlation((y[..., 1:] * ok).transpose(1, 2), (pc * ok).transpose(1, 2))[:, :6].mean()
        loss = (1 - follow) + 0.3 * F.smooth_l1_loss(y[..., 0], op) + 0.3 * (1 - forms)
        loss = loss + 0.2 * (F.smooth_l1_loss(y[..., 1:], pc, reduction="none") * ok).mean()
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(enc.parameters(), 2.0)
        opt.step()
        ema.update()
        if step % 100 == 0:
            print(step, f"{time.time() - start:.0f}s loss {loss.item():.3f} opening {follow.item():.3f} shape {forms.item():.3f}", flush=True)
        if step % 150 == 0 or step == a.steps:
            e = Regularised(mouth_targets=COMPONENTS + 1)
            e.load_state_dict(ema.values)
            print("  held out", evaluate(e, held), flush=True)
    save(dict(state=ema.values, basis=basis, scale=scale, spread=spread, centre=centre, mean_norm=1.0), a.out)


if __name__ == "__main__":
    main()
