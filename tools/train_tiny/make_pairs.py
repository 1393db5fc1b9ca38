"""Counterparts: the same frames with the lips of other moments, as X-Dub builds its context, by cut and paste.

    python make_pairs.py --data DATA --vae vae.pt --cache cache.pt --audio audio.pt --out pairs.pt

The lent lips are chosen as the program chooses them (crates/methods/src/edit_yourself/counterparts.rs), for a mouth that is the
true one with an error; a quarter of the clips gets lips of random moments. They are laid over as in crates/face/src/lips.rs.
What the transformer is trained on is to turn such a mouth into the true one: so it must take the lips from the sound,
and all else from the picture.
"""
import argparse, random, time
from pathlib import Path
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from common import LIPS, group_of, load_crops, load_meta, save
from tiny_model import Vae, use_shortcuts

NOSE = [1, 2, 168]
STABLE = [1, 2, 4, 5, 6, 168, 197, 195, 98, 327, 50, 280, 205, 425, 36, 266, 101, 330]
Y, X = np.mgrid[128:256, 64:192].astype(np.float32)  # the masked box
MOUTH = 7  # the opening and six components of the shape
WEIGHTS = np.array([1.0] + [0.15] * (MOUTH - 1))
POSE, STEP, JUMP, APART, CANDIDATES, RIDGE = 0.02, 1.0, 0.1, 12, 40, 2000.0


def other_moments(pose, n):
    """Runs of ten tries each, played forwards or backwards, whose head is held most alike."""
    s, t = np.zeros(n, int), 0
    while t < n:
        length, best = min(n - t, random.randint(10, 34)), None
        own = np.arange(t, t + length)
        for _ in range(10):
            start = random.randint(0, max(0, n - length))
            idx = start + np.arange(length)
            if random.random() < 1 / 3:
                idx = idx[::-1]
            if np.abs(idx - own).mean() < 6:
                continue
            d = np.linalg.norm(pose[idx] - pose[own], axis=1).mean()
            if best is None or d < best[0]:
                best = d, idx
        s[t:t + length] = best[1] if best else np.clip(own + n // 2, 0, n - 1)
        t += length
    return s


def fitting_moments(wanted, mouths, pose):
    """The path through the clip's moments that comes nearest to the wanted mouths (Viterbi)."""
    n = len(mouths)
    own = np.arange(n)
    cost = ((wanted[:, None] - mouths[None]) ** 2 * WEIGHTS).sum(2) + POSE * ((pose[:, None] - pose[None]) ** 2).mean(2)
    cost[np.abs(own[:, None] - own[None]) <= min(APART, n // 6)] = 1e9
    near = np.argsort(cost, 1)[:, :CANDIDATES]
    cost = np.take_along_axis(cost, near, 1)
    follows = np.concatenate([mouths[1:], mouths[-1:]])
    best, origins = cost[0], []
    for t in range(1, n):
        a, b = near[t - 1], near[t]
        d = ((follows[a][:, None] - mouths[b][None]) ** 2 * WEIGHTS).sum(2)
        total = best[:, None] + STEP * np.where(b[None] - a[:, None] == 1, 0, d + JUMP)
        origin = total.argmin(0)
        origins.append(origin)
        best = total[origin, np.arange(len(b))] + cost[t]
    path = [int(best.argmin())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    return near[own, path[::-1]]


def smooth_noise(n, k):
    window = np.hanning(random.choice([5, 9, 17]) + 2)[1:-1]
    window /= np.sqrt((window ** 2).sum())
    noise = np.random.randn(n + 24, k)
    return np.stack([np.convolve(noise[:, i], window, "same") for i in range(k)], 1)[12:n + 12]


def paste(crops, points, moments):
    """uint8 [F,128,128,3]"""
    rx, ry, soft = random.uniform(42, 52), random.uniform(38, 48), random.uniform(10, 18)
    out = np.empty((len(crops), 128, 128, 3), np.uint8)
    for t, j in enumerate(moments):
        a, b = points[j][STABLE], points[t][STABLE]
        a, b = a - a.mean(0), b - b.mean(0)
        ridge = RIDGE * np.eye(2)
        turn = np.linalg.solve(a.T @ a + ridge, a.T @ b + ridge).T
        move = points[t, 2] - turn @ points[j, 2]
        m = np.concatenate([turn, move[:, None]], 1).astype(np.float32)
        other = cv2.warpAffine(crops[j], m, (256, 256), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[128:, 64:192].astype(np.float32)
        centre = (points[t, LIPS].mean(0) + (points[j][LIPS] @ turn.T + move).mean(0)) / 2 + [0, 8]
        far = np.sqrt(((X - centre[0]) / rx) ** 2 + ((Y - centre[1]) / ry) ** 2)
        alpha = np.clip((1 - far) * rx / soft + 0.5, 0, 1)[..., None]
        own = crops[t, 128:, 64:192].astype(np.float32)
        ring = (alpha > 0.05) & (alpha < 0.6)  # there the colours are to agree
        if ring.any():
            other = other + ((own - other) * ring).sum((0, 1)) / ring.sum()
        out[t] = np.clip(own * (1 - alpha) + other * alpha + 0.5, 0, 255).astype(np.uint8)
    return out


@torch.no_grad()
def encode(e, boxes, mean, std):
    w = e.conv_in.conv.weight[:, :, 2, 1, 1].reshape(-1, 3, e.p, e.p).transpose(2, 3)
    h = F.conv2d(torch.from_numpy(boxes).permute(0, 3, 1, 2).float(), w / 127.5, e.conv_in.conv.bias - w.sum((1, 2, 3)), stride=e.p)
    h = h.transpose(0, 1)[None]
    for blk in e.down_blocks:
        h = blk(h)
    z = e.conv_out(F.silu(h * torch.rsqrt(h.pow(2).mean(1, keepdim=True) + 1e-8)))[0, :-1].flatten(2).permute(1, 2, 0)
    return ((z - mean) / std).to(torch.bfloat16)


def main():
    ap = argparse.ArgumentParser()
    for name in ("--data", "--vae", "--cache", "--audio", "--out"):
        ap.add_argument(name, type=Path, required=True)
    a = ap.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    random.seed(3)
    np.random.seed(3)
    vae = Vae()
    vae.load_state_dict(torch.load(a.vae, weights_only=False)["ema"])
    assert use_shortcuts(vae.encoder.eval()), "this script is for an encoder without neighbours"
    mean, std = vae.stats()
    head = torch.load(a.audio, weights_only=False)
    by_clip = {}
    for c in torch.load(a.cache, weights_only=False):
        by_clip.setdefault(c["id"], []).append(c)
    pairs, start = {}, time.time()
    for i, group in enumerate(by_clip.values()):
        first = next(c for c in group if not c["mirror"])
        points = load_meta(a.data, first)["landmarks"].astype(np.float32)
        crops, pose = np.array(load_crops(a.data, first)), points[:, NOSE].reshape(len(points), -1)
        opening = (first["opening"] * 20 - head["centre"]) / head["spread"]
        mouths = torch.cat([opening[:, None], first["shape"] @ head["basis"].T / head["scale"]], 1).numpy()[:, :MOUTH]
        for _ in range(1 if first["heldout"] or group_of(first) == "grid" else 2):
            error = random.choice([0.3, 0.6, 1.0, 1.5]) * smooth_noise(len(mouths), MOUTH) * np.array([1.0] + [1.2] * (MOUTH - 1))
            fitting = random.random() < 0.75
            moments = fitting_moments(mouths + error, mouths, pose) if fitting else other_moments(pose, len(crops))
            pasted = paste(crops, points, moments)
            for c in group:
                boxes = pasted[c["offset"]:c["offset"] + 4 * (len(c["target"]) - 1) + 1]
                boxes = np.ascontiguousarray(boxes[:, :, ::-1] if c["mirror"] else boxes)
                pairs.setdefault((c["id"], bool(c["mirror"])), []).append(encode(vae.encoder, boxes, mean, std))
        if i % 100 == 0:
            print(i, len(by_clip), f"{time.time() - start:.0f}s", flush=True)
    save(pairs, a.out)


if __name__ == "__main__":
    main()
