"""Second stage: the causal video VAE, on aligned crops.

    python train_vae.py --data DATA --out vae.pt --minutes 35 [--resume vae.pt] [--decoder-only]

Sub-crops (on the 32-pixel grid) at first, whole crops later; some clips with the mouth box filled grey, some single frames.
"""
import argparse, random, time
from pathlib import Path
import cv2
import numpy as np
import torch
import torch.multiprocessing
import torch.nn.functional as F
from common import LIPS, Team, load_crops, load_index, load_meta, save
from tiny_model import Vae, use_shortcuts

BOX = (128, 256, 32, 224)  # y0, y1, x0, x1 of the mask
WEIGHTS = {"grid_s1": 0.25}  # one man's clips must not dominate


def to_float(x):
    return torch.from_numpy(np.ascontiguousarray(x)).permute(3, 0, 1, 2).float() / 127.5 - 1


class Sampler:
    def __init__(self, data, rows):
        self.rows = [r for r in rows if r["frames"] >= 40]
        self.crops = [load_crops(data, r) for r in self.rows]
        self.lips = [load_meta(data, r)["landmarks"][:, LIPS] for r in self.rows]
        self.weights = [WEIGHTS.get(r["source"], 1.0) for r in self.rows]

    def one(self, frames, size, grey=0.15):
        i = random.choices(range(len(self.rows)), self.weights)[0]
        s = random.randint(0, self.rows[i]["frames"] - frames)
        h, w = size
        y = 32 * (random.randint(0, (256 - h) // 32) if random.random() < 0.25 else random.randint(min(2, (256 - h) // 32), (256 - h) // 32))
        x = 32 * random.randint(0, (256 - w) // 32)
        v = to_float(self.crops[i][s:s + frames, y:y + h, x:x + w])
        c = self.lips[i][s:s + frames].mean((0, 1))
        yy = torch.arange(y, y + h)[:, None] - float(c[1])
        xx = torch.arange(x, x + w)[None] - float(c[0])
        weight = 1 + 2 * torch.exp(-(yy ** 2 + xx ** 2) / (2 * 28 ** 2))
        if random.random() < grey:
            v[:, :, max(0, BOX[0] - y):max(0, BOX[1] - y), max(0, BOX[2] - x):max(0, BOX[3] - x)] = 0
            weight = torch.ones_like(weight)
        else:
            if random.random() < 0.5:  # light and colour
                v = (v * random.uniform(0.8, 1.15) + random.uniform(-0.12, 0.12) + torch.randn(3, 1, 1, 1) * 0.04).clamp(-1, 1)
        if random.random() < 0.5:
            v, weight = v.flip(3), weight.flip(1)
        return v, weight

    def batch(self, n, frames, size):
        v, w = zip(*[self.one(frames, size) for _ in range(n)])
        return torch.stack(v), torch.stack(w)[:, None, None]


def reconstruction_loss(y, x, w, edges=0.3):
    d = y - x
    loss = (w * (d.abs() + d * d)).mean() / w.mean()
    if edges == 0:  # at first: low frequencies; the edge terms would only teach the decoder to be flat
        return loss
    # gradients at two scales keep edges of lips and teeth
    for scale in (1, 2):
        if scale == 2:
            d, w = F.avg_pool3d(d, (1, 2, 2)), F.avg_pool2d(w[:, :, 0], 2)[:, :, None]
        gx = (d[..., 1:] - d[..., :-1]).abs() * w[..., 1:]
        gy = (d[..., 1:, :] - d[..., :-1, :]).abs() * w[..., 1:, :]
        loss = loss + edges * (gx.mean() + gy.mean()) / w.mean()
    if d.shape[2] > 1:  # motion
        loss = loss + edges * ((d[:, :, 1:] - d[:, :, :-1]).abs() * w).mean() / w.mean()
    return loss


def psnr(a, b):
    return -10 * torch.log10(((a - b) / 2).pow(2).mean() + 1e-9).item()


@torch.no_grad()
def evaluate(vae, sampler, picture=None, decoder_from=None):
    vae.eval()
    res, mouth, rows = {"grid": [], "other": []}, {"grid": [], "other": []}, []
    grid = [i for i, r in enumerate(sampler.rows) if r["source"] == "grid_s1"][:3]
    other = [i for i, r in enumerate(sampler.rows) if r["source"] != "grid_s1"][:9]
    for i in grid + other:
        k = "grid" if i in grid else "other"
        x = to_float(sampler.crops[i][20:29])[None]
        with torch.autocast("cpu", torch.bfloat16, enabled=False):
            m, _ = vae.encoder(x)
            y = vae.decoder(m, torch.full((1,), 0.05))
        y = y.float().clamp(-1, 1)
        c = sampler.lips[i][20:29]
        x0, y0, x1, y1 = [int(v) for v in (c[..., 0].min() - 8, c[..., 1].min() - 8, c[..., 0].max() + 8, c[..., 1].max() + 8)]
        x0, y0 = max(0, x0), max(0, y0)
        res[k].append(psnr(x, y))
        mouth[k].append(psnr(x[..., y0:y1, x0:x1], y[..., y0:y1, x0:x1]))
        rows.append(torch.cat([x[0, :, 6], y[0, :, 6]], 1))
    vae.train()
    if picture:
        img = torch.cat(rows, 2).permute(1, 2, 0).numpy()
        cv2.imwrite(str(picture), ((img[..., ::-1] + 1) * 127.5).clip(0, 255).astype(np.uint8))
    return {k: (round(float(np.mean(res[k])), 2), round(float(np.mean(mouth[k])), 2)) for k in res}


def worker(rank, team, a):
    team.start(rank)
    vae = team.module
    torch.manual_seed(a.seed + rank)
    random.seed(a.seed + rank)
    train = Sampler(a.data, load_index(a.data, heldout=False))
    held = Sampler(a.data, load_index(a.data, heldout=True))
    start, step, avg = time.time(), 0, None
    small = 3 if team.size > 1 else 6
    while True:
        done = (time.time() - a.start) / (a.minutes * 60)
        if rank == 0:
            a.flag[0] = 1 if done >= 1 or (a.stop_file and a.stop_file.exists()) else 0
        team.barrier.wait()
        if a.flag[0]:
            break
        kind = step % 6
        if kind == 0:
            v, w = train.batch(2, 1, (256, 256))
        elif kind == 3:
            v, w = train.batch(1, 9, (192, 256))
        else:
            v, w = train.batch(small, 5, (128, 128))
        with torch.autocast("cpu", torch.bfloat16):
            if a.decoder_only:
                with torch.no_grad():
                    m, lv = vae.encoder(v)
                    m = m.float()
                    s = vae.per_channel_statistics_std_of_means[:, None, None, None]
                    z = m + random.random() * 0.2 * s * torch.randn_like(m)  # the transformer's latents are not exact
            else:
                m, lv = vae.encoder(v)
                m, lv = m.float(), lv.float().clamp(-12, -3)
                z = m + torch.exp(0.5 * lv) * torch.randn_like(m)
            y = vae.decoder(z, torch.full((len(v),), 0.05))
        edges = 0.3 if a.resume else min(0.3, max(0.0, done - 0.2))
        rec = reconstruction_loss(y.float(), v, w, edges)
        kl = 0.5 * (m.pow(2) + lv.exp() - 1 - lv).mean()
        loss = rec if a.decoder_only else rec + 5e-5 * kl
        team.zero()
        loss.backward()
        team.step(min(1, (step + 1) / 20) * max(a.final_lr, 1 - done * (1 - a.final_lr)))
        step += 1
        avg = rec.item() if avg is None else 0.98 * avg + 0.02 * rec.item()
        if rank == 0 and (step % 50 == 0 or step in (10, 25)):
            print(step, f"{time.time() - start:.0f}s cpu {time.process_time():.0f}s psnr {psnr(y.float(), v):.1f} rec {avg:.4f} kl {kl.item():.2f} std {m.std().item():.2f} lv {lv.float().mean().item():.2f}", flush=True)
        if rank == 0 and step % 400 == 0:
            checkpoint(team, held, a, step)
    if rank == 0:
        checkpoint(team, held, a, step)
        print("finished", step, flush=True)


def checkpoint(team, held, a, step):
    e = Vae()
    e.load_state_dict(team.ema)
    if a.decoder_only:
        use_shortcuts(e.encoder)
    print("   held out (whole, mouth)", evaluate(e, held, a.out.with_suffix(".png")), flush=True)
    save(dict(ema={k: v.clone() for k, v in team.ema.items()}, step=step), a.out)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", type=Path, required=True)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--minutes", type=float, default=35)
    ap.add_argument("--lr", type=float, default=1e-3)
    ap.add_argument("--final-lr", type=float, default=0.03, help="fraction of the first")
    ap.add_argument("--resume", type=Path)
    ap.add_argument("--decoder-only", action="store_true")
    ap.add_argument("--stop-file", type=Path, help="finish early when this file appears")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--ranks", type=int, default=2)
    a = ap.parse_args()
    torch.manual_seed(a.seed)
    vae = Vae()
    if a.resume:
        vae.load_state_dict(torch.load(a.resume, weights_only=False)["ema"])
    if a.decoder_only:
        vae.encoder.requires_grad_(False)
        use_shortcuts(vae.encoder)
    team = Team(vae, a.ranks, lambda n, p: False, a.lr, scale=lambda n: 0.01 if "time_embedder" in n else 1.0)
    a.start, a.flag = time.time(), torch.zeros(1).share_memory_()
    torch.multiprocessing.spawn(worker, (team, a), nprocs=a.ranks)


if __name__ == "__main__":
    main()
