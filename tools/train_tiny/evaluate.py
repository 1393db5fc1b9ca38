"""Measures a finished file on held-out clips, through pixels: VAE round trip, then generated mouths read by FaceMesh.

    python evaluate.py --weights tiny.safetensors --data DATA --out DIR [--steps 8 --shift 3 --guidance 1] [--clips 6]
"""
import argparse, json, random
from pathlib import Path
import cv2
import numpy as np
import torch
from common import LIPS, correlation, load_crops, load_index, load_meta
from export import load_file_parts
from tiny_model import *
from train_dit import sample, tables
from train_vae import BOX, psnr, to_float


def opening_of(frames):
    """FaceMesh opening of uint8 frames, NaN where no face is found."""
    import mediapipe as mp
    mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=False, max_num_faces=1, refine_landmarks=False)
    out = []
    for f in frames:
        r = mesh.process(np.ascontiguousarray(f))
        if not r.multi_face_landmarks:
            out.append(np.nan)
            continue
        q = np.array([(p.x, p.y) for p in r.multi_face_landmarks[0].landmark])
        out.append(np.linalg.norm(q[13] - q[14]) / np.linalg.norm(q[10] - q[152]))
    mesh.close()
    return np.array(out)


def corr(a, b):
    ok = ~(np.isnan(a) | np.isnan(b))
    return float(np.corrcoef(a[ok], b[ok])[0, 1]) if ok.sum() > 8 and a[ok].std() > 0 else float("nan")


def to_bytes(x):
    return ((x.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 3, 0).numpy()


@torch.no_grad()
def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--weights", type=Path, required=True)
    ap.add_argument("--data", type=Path, required=True)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--steps", type=int)
    ap.add_argument("--shift", type=float)
    ap.add_argument("--sampler")
    ap.add_argument("--guidance", type=float, default=1.0)
    ap.add_argument("--clips", type=int, default=4, help="of each group")
    ap.add_argument("--latents", type=int, default=9)
    a = ap.parse_args()
    torch.set_num_threads(1)
    a.out.mkdir(parents=True, exist_ok=True)
    enc, vae, dit, cfg = load_file_parts(a.weights)
    use_shortcuts(vae)
    sch = cfg["scheduler"]
    times = schedule(a.sampler or sch["sampler"], a.steps or sch["steps"], a.shift or sch.get("shift", 1.0))
    inside, outside, _ = cell_coords(cfg["edit_yourself"])
    rows = [r for r in load_index(a.data, heldout=True) if r["frames"] >= 4 * a.latents + 5]
    groups = {"grid": [r for r in rows if r["source"] == "grid_s1"][:a.clips],
              "others": [r for r in rows if r["source"] != "grid_s1" and r["kind"] == "real"][:a.clips]}
    random.seed(0)
    torch.manual_seed(0)
    count = a.latents
    for name, group in groups.items():
        items = []
        for r in group:
            crops, m = load_crops(a.data, r), load_meta(a.data, r)
            n = (r["frames"] - 1) // 4 * 4 + 1
            x = to_float(crops[:n])[None]
            grey = x.clone()
            grey[:, :, :, BOX[0]:BOX[1], BOX[2]:BOX[3]] = 0
            z = vae.encode(x)[0].flatten(2).permute(1, 2, 0)
            ctx = vae.encode(grey)[0].flatten(2).permute(1, 2, 0)[:, outside]
            first = 1
            last = 4 * (first + count - 1)
            pool = [i for i in range(n) if i > last + 1] or list(range(0, n, 5))
            refs = torch.cat([vae.encode(x[:, :, i:i + 1])[0].flatten(1).T[inside] for i in random.sample(pool, 3)])
            feats = enc(torch.from_numpy(m["mel"])[None])[0]
            tok = dit.audio_projection(audio_windows(feats, latent_frames(first, count).flatten())).reshape(count, 16, -1)
            items.append(dict(r=r, x=x[0], z=z, ctx=torch.cat([refs, ctx[first:first + count].flatten(0, 1)]), tok=tok,
                              frames=range(4 * (first - 1) + 1, last + 1), opening=m["opening"], ctx_all=ctx, lips=m["landmarks"][:, LIPS]))
        cc, xc = tables(dit, [1] * len(items), count, 3)
        ctx, tok = torch.stack([i["ctx"] for i in items]), torch.stack([i["tok"] for i in items])
        res, sheet = [], []
        for other in (False, True):
            g = torch.Generator().manual_seed(5)
            out = sample(type("B", (), {"dit": dit})(), ctx, cc, xc, tok.roll(1, 0) if other else tok, count, times, a.guidance, g)
            for k, it in enumerate(items):
                full = torch.zeros(count + 1, 64, 128)
                full[1:, inside] = out[k].unflatten(0, (count, -1))
                full[1:, outside] = it["ctx_all"][1:1 + count]
                full[0] = it["z"][0]
                y = vae.decode(full.permute(2, 0, 1).unflatten(2, (8, 8))[None])[0][:, 1:]
                fr = list(it["frames"])
                comp = it["x"][:, fr].clone()
                comp[:, :, BOX[0]:BOX[1], BOX[2]:BOX[3]] = y[:, :, BOX[0]:BOX[1], BOX[2]:BOX[3]]
                b = to_bytes(comp)
                o = opening_of(b)
                truth = it["opening"][fr]
                oth = items[(k - 1) % len(items)]["opening"][fr]
                e = dict(clip=it["r"]["id"], sound="other" if other else "own", truth=corr(o, truth), amplitude=float(np.nanstd(o) / truth.std()))
                if other:
                    e["follow"] = corr(o, oth)
                else:
                    rt = vae.decode(it["z"].permute(2, 0, 1).unflatten(2, (8, 8))[None])[0][:, fr]
                    l = it["lips"][fr]
                    x0, y0, x1, y1 = [int(v) for v in (l[..., 0].min() - 8, l[..., 1].min() - 8, l[..., 0].max() + 8, l[..., 1].max() + 8)]
                    gt, sl = it["x"][:, fr], (slice(None), slice(None), slice(max(0, y0), y1), slice(max(0, x0), x1))
                    e.update(vae=psnr(gt, rt), vae_mouth=psnr(gt[sl], rt[sl]), gen_mouth=psnr(gt[sl], y[sl]))
                    e["vae_opening"] = corr(opening_of(to_bytes(rt)), truth)
                    for src in (it["x"][:, fr], comp):
                        sheet.append(np.concatenate(list(to_bytes(src)[2::5][:7]), 1))
                res.append(e)
        cv2.imwrite(str(a.out / f"{name}.png"), np.concatenate(sheet)[..., ::-1])
        mean = lambda s, k: round(float(np.nanmean([e[k] for e in res if e["sound"] == s and k in e])), 3)
        print(name, "steps", len(times), "guidance", a.guidance, {"own": mean("own", "truth"), "leak": mean("other", "truth"), "follow": mean("other", "follow"),
              "amplitude": mean("own", "amplitude"), "vae": mean("own", "vae"), "vae_mouth": mean("own", "vae_mouth"), "gen_mouth": mean("own", "gen_mouth"),
              "vae_opening": mean("own", "vae_opening")}, flush=True)
        (a.out / f"{name}.json").write_text(json.dumps(res, indent=1))


if __name__ == "__main__":
    main()
