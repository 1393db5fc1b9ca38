"""Measures a finished file on held-out clips, through pixels: made mouths, laid into the recorded crop, read by FaceMesh.

    python evaluate.py --weights tiny.safetensors --data DATA --cache cache.pt --pairs pairs.pt --audio audio.pt --out DIR [--steps 1 --guidance 1 --clips 8]
"""
import argparse, json, random
from pathlib import Path
import cv2
import numpy as np
import torch
from common import group_of, load_crops
from export import load_file_parts
from tiny_model import schedule, use_shortcuts
from train_decoder import grid, pixels
from windows import Clips, tables


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


def to_bytes(x):  # [F, 3, H, W] in -1..1
    return ((x.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


@torch.no_grad()
def sample(dit, context, sound, count, times, guidance, gen):
    cc, xc = tables(dit, count, 4)
    x = torch.randn(1, count * 16, 128, generator=gen)
    for t, after in zip(times, times[1:] + [0.0]):
        tt = torch.tensor([t])
        v = dit(context, cc, x, xc, tt, sound)
        if guidance != 1:
            silent = dit(context, cc, x, xc, tt, None)
            v = silent + guidance * (v - silent)
        x = x - (t - after) * v
    return x.unflatten(1, (count, -1))[0]


@torch.no_grad()
def main():
    ap = argparse.ArgumentParser()
    for name in ("--weights", "--data", "--cache", "--pairs", "--audio", "--out"):
        ap.add_argument(name, type=Path, required=True)
    ap.add_argument("--steps", type=int)
    ap.add_argument("--guidance", type=float)
    ap.add_argument("--clips", type=int, default=8, help="of each group")
    ap.add_argument("--latents", type=int, default=9)
    ap.add_argument("--forced", action="store_true", help="features that say the true mouth")
    a = ap.parse_args()
    torch.set_num_threads(1)
    a.out.mkdir(parents=True, exist_ok=True)
    _, vae, dit, cfg = load_file_parts(a.weights)
    use_shortcuts(vae)
    sch = cfg["scheduler"]
    times = schedule(sch["sampler"], a.steps or sch["steps"], sch.get("shift", 1.0))
    guidance = a.guidance or cfg["edit_yourself"]["audio_guidance"]
    clips = Clips(a.cache, a.audio, a.pairs)
    for c in clips.held:  # as in use: the model sees the mouth as recorded, which it must not follow
        c["others"] = [c["target"]]
    count = a.latents
    long = [c for c in clips.held if c["target"].shape[0] > count + 2]
    mean = lambda res, k: round(float(np.nanmean([e[k] for e in res])), 3)
    for name in ("grid", "real"):
        group = [c for c in long if group_of(c) == name]
        group = group[:: max(1, len(group) // a.clips)][: a.clips]
        res, sheet = [], []
        for k, c in enumerate(group):
            rng, first = random.Random(k), 2
            context, _, sound = clips.batch(dit, [c], [first], count, 4, a.forced, rng, jitter=0)
            other = clips.tokens(dit, group[k - 1], first, count, a.forced)[None]
            frames = np.arange(4 * first - 3, 4 * (first + count - 1) + 1)[3:] + c["offset"]
            truth = c["opening"].numpy()[frames]
            strange = group[k - 1]["opening"].numpy()[frames - c["offset"] + group[k - 1]["offset"]]
            recorded = torch.from_numpy(np.array(load_crops(a.data, c)[frames])).permute(0, 3, 1, 2).float() / 127.5 - 1
            e = dict(clip=c["id"])
            for kind, heard in (("own", sound), ("other", other)):
                gen = torch.Generator().manual_seed(5)
                z = grid(c, first, sample(dit, context, heard, count, times, guidance, gen))
                y = vae.decode(z)[0].transpose(0, 1)[:, :, 128:, 64:192]
                made = recorded.clone()
                made[:, :, 128:, 64:192] = y
                b = to_bytes(made)
                o = opening_of(b)
                e[kind] = corr(o, truth)
                if kind == "own":
                    e["amplitude"] = float(np.nanstd(o) / truth.std())
                    d = (y - pixels(a.data, c, first, count)).clamp(-2, 2)[:, :, 10:80, 20:108]
                    e["psnr"] = float(10 * np.log10(4 / d.pow(2).mean()))
                    sheet += [np.concatenate(list(v[2::5][:7]), 1) for v in (to_bytes(recorded), b)]
                else:
                    e["follows"] = corr(o, strange)
                    e["recordings"] = corr(truth, strange)
            res.append(e)
        cv2.imwrite(str(a.out / f"{name}.png"), np.concatenate(sheet)[..., ::-1])
        print(name, len(res), "steps", len(times), "guidance", guidance, {k: mean(res, k) for k in res[0] if k != "clip"}, flush=True)
        (a.out / f"{name}.json").write_text(json.dumps(res, indent=1))


if __name__ == "__main__":
    main()
