"""Third stage: statistics of the latents, cached latents of all clips, and the mouth readout.

    python cache_latents.py --data DATA --vae vae.pt --audio audio.pt --out cache.pt

Per clip (frame offset o = 0..3 at random, frames o .. o + 4k): mask cells from the plain video, all other cells from the video
whose mouth box is filled grey; eight single frames encoded alone (mask cells only) as references. Writes the statistics
back into vae.pt. The readout is a ridge regression from the mask cells of a latent to opening and lip shape of its frames.
"""
import argparse, random, time
from pathlib import Path
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from common import JAW, LIPS, correlation, load_crops, load_index, load_meta, save
from tiny_model import AudioEncoder, Vae, cell_coords, use_shortcuts
from train_vae import BOX, to_float

SHAPE = 8  # lip shape components of the readout


def encode_local(vae, crops):
    """As `encode` for an encoder without neighbours, from uint8 [F,256,256,3]; frames [F,1,...] are encoded each alone."""
    e = vae.encoder
    p = e.p
    with torch.no_grad():
        w = e.conv_in.conv.weight[:, :, 2, 1, 1].reshape(-1, 3, p, p).transpose(2, 3)
        x = torch.from_numpy(np.array(crops)).permute(0, 3, 1, 2).float()
        h = F.conv2d(x, w / 127.5, e.conv_in.conv.bias - w.sum((1, 2, 3)), stride=p)  # [F, C, 32, 32]

        def rest(y):
            for blk in e.down_blocks:
                y = blk(y)
            return e.conv_out(F.silu(y * torch.rsqrt(y.pow(2).mean(1, keepdim=True) + 1e-8)))[:, :-1].flatten(3)
        whole = rest(h.transpose(0, 1)[None])[0].permute(1, 2, 0)
        frames = np.linspace(0, len(crops) - 1, 8).round().astype(int)
        single = rest(h[frames][:, :, None])[:, :, 0].transpose(1, 2)
    return whole, single


def encode(vae, x):
    with torch.no_grad():
        return vae.encoder(x[None])[0][0].float().flatten(2).permute(1, 2, 0)  # [L, 64, 128]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", type=Path, required=True)
    ap.add_argument("--vae", type=Path, required=True)
    ap.add_argument("--audio", type=Path, required=True)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--grid", type=int, default=170)
    ap.add_argument("--min-score", type=float, default=0.2)
    a = ap.parse_args()
    torch.set_num_threads(2)
    random.seed(0)
    ck = torch.load(a.vae, weights_only=False)
    vae = Vae()
    vae.load_state_dict(ck["ema"])
    vae.eval()
    local = use_shortcuts(vae.encoder)  # then cells do not see each other, and the grey box changes no cell outside it
    au = torch.load(a.audio, weights_only=False)
    enc = AudioEncoder(mouth_targets=au["state"]["mouth.weight"].shape[0])
    enc.load_state_dict(au["state"])
    enc.eval()
    inside, outside, _ = cell_coords()
    rows = [r for r in load_index(a.data) if r["trusted"] or r["heldout"]]
    grid = [r for r in rows if r["source"] == "grid_s1" and not r["heldout"]][a.grid:]
    rows = [r for r in rows if r not in grid]
    clips, start = [], time.time()
    for r in rows:
        m = load_meta(a.data, r)
        with torch.no_grad():
            y = enc.mouth(enc(torch.from_numpy(m["mel"])[None]))[0, ::2, 0][: r["frames"]]
        score = correlation(y, torch.from_numpy(m["opening"])).item()
        if r["frames"] < 45 or (not r["heldout"] and r["source"] != "grid_s1" and score < a.min_score):
            continue
        o = random.randint(0, 3)
        n = (r["frames"] - o - 1) // 4 * 4 + 1
        ref_frames = np.linspace(0, n - 1, 8).round().astype(int)
        if local:
            whole, refs = encode_local(vae, load_crops(a.data, r)[o:o + n])
            parts, refs = [whole, whole], refs[:, inside]
        else:
            x = to_float(load_crops(a.data, r)[o:o + n])
            with torch.no_grad():
                refs = vae.encoder(x[:, ref_frames].transpose(0, 1)[:, :, None])[0].float().flatten(2).transpose(1, 2)[:, inside]
            parts = [encode(vae, x)]
            x[:, :, BOX[0]:BOX[1], BOX[2]:BOX[3]] = 0
            parts.append(encode(vae, x))
        clips.append(dict(r, offset=o, score=score, refs=refs.half(), ref_frames=torch.from_numpy(ref_frames),
                          target=parts[0][:, inside].half(), context=parts[1][:, outside].half(), mel=torch.from_numpy(m["mel"]).half(),
                          opening=torch.from_numpy(m["opening"])[o:o + n],
                          shape=torch.from_numpy(m["landmarks"][o:o + n][:, LIPS + JAW].reshape(n, -1) / 25.6).float()))
        if len(clips) % 25 == 0:
            print(len(clips), f"{time.time() - start:.0f}s", flush=True)
    train = [c for c in clips if not c["heldout"]]
    # statistics over both kinds of latents, GRID thinned out
    use = [c for i, c in enumerate(train) if c["source"] != "grid_s1" or i % 6 == 0]
    z = torch.cat([torch.cat([c["target"].float().flatten(0, 1), c["context"].float().flatten(0, 1)]) for c in use])
    mean, std = z.mean(0), z.std(0)
    print("clips", len(clips), "train", len(train), "latent std", std.min().item(), std.mean().item(), std.max().item())
    ck["ema"]["per_channel_statistics_mean_of_means"], ck["ema"]["per_channel_statistics_std_of_means"] = mean, std
    save(ck, a.vae)
    for c in clips:
        for k in ("target", "context", "refs"):
            c[k] = ((c[k].float() - mean) / std).to(torch.bfloat16)
    # readout: latents n >= 1 (four frames each) -> 4 openings and 4 x SHAPE lip shape components
    shapes = torch.cat([c["shape"] for c in train])
    centre = shapes.mean(0)
    sub = (shapes - centre)[torch.randperm(len(shapes))[:6000]]
    basis = torch.linalg.svd(sub, full_matrices=False)[2][:SHAPE]
    ostd = torch.cat([c["opening"] for c in train]).std()

    def pairs(cs):
        xs, ys = [], []
        for c in cs:
            l = c["target"].shape[0] - 1
            xs.append(c["target"][1:].float().flatten(1))
            o = (c["opening"][1:1 + 4 * l] / ostd).reshape(l, 4)
            s = ((c["shape"] - centre) @ basis.T)[1:1 + 4 * l].reshape(l, 4 * SHAPE)
            c["read_target"] = torch.cat([o, s], 1)
            ys.append(c["read_target"])
        return torch.cat(xs), torch.cat(ys)
    x, y = pairs(train)
    held = [c for c in clips if c["heldout"]]
    xh, yh = pairs(held)
    ymean, ystd = y.mean(0), y.std(0)
    yn = (y - ymean) / ystd
    best = None
    gram = x.T @ x
    for lam in (300.0, 1000.0, 3000.0, 10000.0):
        w = torch.linalg.solve(gram + lam * torch.eye(x.shape[1]), x.T @ yn)
        per_clip = [correlation((c["target"][1:].float().flatten(1) @ w)[:, :4].flatten(), c["read_target"][:, :4].flatten()).item() for c in held]
        err = ((xh @ w - (yh - ymean) / ystd) ** 2).mean(0)
        print("ridge", lam, "opening correlation within held-out clips", round(float(np.mean(per_clip)), 3), "error", err[:4].mean().item(), err[4:].mean().item())
        if best is None or np.mean(per_clip) > best[0]:
            best = (np.mean(per_clip), w)
    # a second, nonlinear reader, used for measuring only
    torch.manual_seed(0)
    mlp = nn.Sequential(nn.Linear(x.shape[1], 256), nn.GELU(), nn.Dropout(0.3), nn.Linear(256, 4))
    opt = torch.optim.AdamW(mlp.parameters(), lr=5e-4, weight_decay=0.1)
    for step in range(1500):
        i = torch.randint(0, len(x), (256,))
        loss = F.mse_loss(mlp(x[i] + 0.2 * torch.randn(256, x.shape[1])), yn[i, :4])
        opt.zero_grad(); loss.backward(); opt.step()
    mlp.eval()
    with torch.no_grad():
        pc = [correlation(mlp(c["target"][1:].float().flatten(1)).flatten(), c["read_target"][:, :4].flatten()).item() for c in held]
    print("reader (MLP) opening correlation within held-out clips", round(float(np.mean(pc)), 3))
    save(dict(clips=clips, readout=best[1], ymean=ymean, ystd=ystd, ostd=ostd, mlp=mlp.state_dict()), a.out)


if __name__ == "__main__":
    main()
