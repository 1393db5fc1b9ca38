"""Third stage: latents of all clips, plain and mirrored.

    python cache_latents.py --data DATA --vae vae.pt --out cache.pt

Per clip (frame offset o = 0..3 at random, frames o .. o + 4k): masked cells, the cells around them, and the masked cells of every
frame encoded alone, as references. The encoder knows no neighbours (see init_vae.py), so a masked box filled grey
would change no cell outside of it, and one pass gives both.
"""
import argparse, random, time
from pathlib import Path
import numpy as np
import torch
import torch.nn.functional as F
from common import MIRROR, NOSE_TIP, POINTS, group_of, load_crops, load_index, load_meta, save
from tiny_model import CONFIG, Vae, cell_coords, use_shortcuts

INSIDE, _, _ = cell_coords()
AROUND = [i for i in range(16, 64) if i not in set(INSIDE.tolist())]  # rows 2..8: also what the decoder's training looks at


@torch.no_grad()
def encode(vae, crops, mean, std):
    """uint8 [F,256,256,3] -> masked cells and cells around them [L, n, C], and masked cells of frames alone [F, n, C]."""
    e = vae.encoder
    p = e.p
    w = e.conv_in.conv.weight[:, :, 2, 1, 1].reshape(-1, 3, p, p).transpose(2, 3)
    x = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2).float()
    h = F.conv2d(x, w / 127.5, e.conv_in.conv.bias - w.sum((1, 2, 3)), stride=p)  # [F, C, 32, 32]

    def rest(y):
        for blk in e.down_blocks:
            y = blk(y)
        z = e.conv_out(F.silu(y * torch.rsqrt(y.pow(2).mean(1, keepdim=True) + 1e-8)))[:, :-1].flatten(3)
        return z
    norm = lambda z: ((z - mean) / std).to(torch.bfloat16)
    whole = norm(rest(h.transpose(0, 1)[None])[0].permute(1, 2, 0))
    rows, cols = (slice(4 * a, 4 * b) for a, b in (CONFIG["edit_yourself"]["mask_cells"][k] for k in ("rows", "columns")))
    alone = torch.cat([norm(rest(b[:, :, None])[:, :, 0].transpose(1, 2)) for b in h[:, :, rows, cols].split(64)])
    return whole[:, INSIDE].clone(), whole[:, AROUND].clone(), alone


def statistics(path, vae, data, rows):
    """Mean and spread of the latents' channels, GRID thinned out; kept in the autoencoder's file."""
    zero, one = vae.stats()
    if zero.abs().max() > 0:
        return vae.stats()
    use = [r for i, r in enumerate(rows) if not r["heldout"] and (group_of(r) != "grid" or i % 6 == 0)]
    z = []
    for r in use:
        target, context, _ = encode(vae, np.array(load_crops(data, r)[:41]), zero, one)
        z += [target.float().flatten(0, 1), context.float().flatten(0, 1)]
    z = torch.cat(z)
    saved = torch.load(path, weights_only=False)
    saved["ema"]["per_channel_statistics_mean_of_means"], saved["ema"]["per_channel_statistics_std_of_means"] = z.mean(0), z.std(0)
    save(saved, path)
    return z.mean(0), z.std(0)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", type=Path, required=True)
    ap.add_argument("--vae", type=Path, required=True)
    ap.add_argument("--out", type=Path, required=True)
    a = ap.parse_args()
    torch.set_num_threads(1)
    random.seed(0)
    vae = Vae()
    vae.load_state_dict(torch.load(a.vae, weights_only=False)["ema"])
    vae.eval()
    assert use_shortcuts(vae.encoder), "this script is for an encoder without neighbours"
    rows = load_index(a.data)
    mean, std = statistics(a.vae, vae, a.data, rows)
    clips, start = [], time.time()
    for i, r in enumerate(rows):
        if r["frames"] < 33:
            continue
        meta, crops = load_meta(a.data, r), np.array(load_crops(a.data, r))
        points = meta["landmarks"][:, POINTS].astype(np.float32) / 25.6
        nose = meta["landmarks"][:, NOSE_TIP].astype(np.float32) / 256
        for mirror in (False, True):
            if mirror and (r["heldout"] or (group_of(r) == "grid" and i % 2)):
                continue
            o = random.randint(0, 3)
            n = (len(crops) - o - 1) // 4 * 4 + 1
            p, q = points, nose
            if mirror:
                p, q = points[:, MIRROR].copy(), nose.copy()
                p[..., 0], q[:, 0] = 10 - p[..., 0], 1 - q[:, 0]
            target, context, alone = encode(vae, (crops[:, :, ::-1] if mirror else crops)[o:o + n], mean, std)
            shape = p.reshape(len(p), -1)
            clips.append(dict(r, mirror=mirror, offset=o, target=target, context=context, refs=alone, mel=torch.from_numpy(meta["mel"]).half(),
                              opening=torch.from_numpy(meta["opening"].astype(np.float32)), shape=torch.from_numpy(shape - shape.mean(0)),
                              pose=torch.from_numpy(q)))
        if i % 100 == 0:
            print(i, len(clips), f"{time.time() - start:.0f}s", flush=True)
    save(clips, a.out)


if __name__ == "__main__":
    main()
