"""First stage: the mel encoder learns mouth opening and lip shape from sound.

    python train_audio.py --data DATA --out audio.pt --minutes 5
"""
import argparse, random, time
from pathlib import Path
import numpy as np
import torch
import torch.nn.functional as F
from common import JAW, LIPS, MuonAdam, Ema, correlation, load_index, load_meta, save
from tiny_model import AudioEncoder

COMPONENTS, FRAMES = 16, 64


def shapes(meta):
    """Lip and jaw points against the clip's mean, in tenths of the crop."""
    p = meta["landmarks"][:, LIPS + JAW].reshape(len(meta["opening"]), -1) / 25.6
    return (p - p.mean(0)).astype(np.float32)


def load(data, rows):
    out = []
    for r in rows:
        m = load_meta(data, r)
        o = m["opening"] * 20
        out.append(dict(r, mel=torch.from_numpy(m["mel"]), opening=torch.from_numpy(o - o.mean()), shape=torch.from_numpy(shapes(m))))
    return out


@torch.no_grad()
def evaluate(enc, clips):
    enc.eval()
    res = {}
    for c in clips:
        y = enc.mouth(enc(c["mel"][None]))[0, ::2][: len(c["opening"]), 0]
        res.setdefault("grid_s1" if c["source"] == "grid_s1" else "others", []).append(correlation(y, c["opening"][: len(y)]).item())
    enc.train()
    return {k: round(float(np.mean(v)), 3) for k, v in res.items()}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", type=Path, required=True)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--minutes", type=float, default=5)
    ap.add_argument("--batch", type=int, default=24)
    ap.add_argument("--lr", type=float, default=2e-3)
    a = ap.parse_args()
    torch.set_num_threads(2)
    torch.manual_seed(0)
    random.seed(0)
    train = load(a.data, load_index(a.data, heldout=False, trusted=True))
    held = load(a.data, load_index(a.data, heldout=True))
    allshape = torch.cat([c["shape"] for c in train])
    allshape = allshape[torch.randperm(len(allshape))[:8000]]
    _, sv, basis = torch.linalg.svd(allshape, full_matrices=False)
    basis = basis[:COMPONENTS]
    scale = (sv[:COMPONENTS] / len(allshape) ** 0.5)
    ostd = torch.cat([c["opening"] for c in train]).std()
    print("clips", len(train), "held", len(held), "shape variance kept", (sv[:COMPONENTS].pow(2).sum() / sv.pow(2).sum()).item())
    for c in train:
        c["pcs"] = c["shape"] @ basis.T / scale
    enc = AudioEncoder(mouth_targets=COMPONENTS + 1)
    mats = [p for n, p in enc.named_parameters() if p.ndim >= 2 and n.startswith("blocks")]
    rest = [p for n, p in enc.named_parameters() if not (p.ndim >= 2 and n.startswith("blocks"))]
    opt = MuonAdam([dict(params=mats, muon=True, weight_decay=0.05), dict(params=rest)], lr=a.lr)
    ema = Ema(enc, 0.99)
    grid = [c for c in train if c["source"] == "grid_s1"]
    other = [c for c in train if c["source"] != "grid_s1"]
    start, step = time.time(), 0
    while True:
        done = (time.time() - start) / (a.minutes * 60)
        if done >= 1:
            break
        for g in opt.param_groups:
            g["lr"] = a.lr * min(1, (step + 1) / 30) * (1 - done) ** 0.7
        mel, op, pc = [], [], []
        for c in random.choices(grid, k=a.batch // 2) + random.choices(other, k=a.batch // 2):
            n = len(c["opening"])
            s = random.randint(0, max(0, n - FRAMES))
            idx = torch.arange(s, s + FRAMES).clamp(max=n - 1)
            midx = torch.arange(4 * s, 4 * (s + FRAMES)).clamp(max=len(c["mel"]) - 1)
            m = c["mel"][midx].clone()
            if random.random() < 0.5:  # level, tilt, noise floor, masked bands
                m += random.gauss(0, 0.1) + torch.linspace(-1, 1, 80) * random.gauss(0, 0.08)
            if random.random() < 0.4:
                m = torch.maximum(m, torch.full_like(m, random.uniform(-0.4, 0.4)) + 0.05 * torch.randn_like(m))
            if random.random() < 0.4:
                f = random.randint(0, 65)
                m[:, f:f + random.randint(4, 15)] = m.mean()
            mel.append(m)
            op.append(c["opening"][idx] / ostd)
            pc.append(c["pcs"][idx])
        mel, op, pc = torch.stack(mel), torch.stack(op), torch.stack(pc)
        with torch.autocast("cpu", torch.bfloat16):
            f = enc(mel)
        y = enc.mouth(F.dropout(f.float(), 0.1))[:, ::2]
        # the ends of a chunk lack context
        y, op, pc = y[:, 4:-4], op[:, 4:-4], pc[:, 4:-4]
        corr = correlation(y[..., 0], op).mean()
        loss = (1 - corr) + 0.3 * F.mse_loss(y[..., 0], op) + 0.3 * F.smooth_l1_loss(y[..., 1:], pc)
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(enc.parameters(), 2.0)
        opt.step()
        ema.update()
        step += 1
        if step % 100 == 0:
            print(step, f"{time.time() - start:.0f}s loss {loss.item():.3f} corr {corr.item():.3f}", flush=True)
        if step % 300 == 0:
            e2 = AudioEncoder(mouth_targets=COMPONENTS + 1)
            e2.load_state_dict(ema.values)
            print("  held out", evaluate(e2, held), flush=True)
    enc.load_state_dict(ema.values)
    print("final", step, evaluate(enc, held))
    save(dict(state=enc.state_dict(), basis=basis, scale=scale, ostd=ostd), a.out)


if __name__ == "__main__":
    main()
