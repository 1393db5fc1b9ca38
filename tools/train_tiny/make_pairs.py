"""Counterparts: the same frames with the lips of other moments, as X-Dub builds its context, by cut and paste.

    python make_pairs.py --data DATA --vae vae.pt --cache cache.pt --out pairs.pt

For runs of frames another run of the same clip is sought whose head is held alike (of ten, played forwards or backwards); its
mouth is moved on the base of the nose and laid over with a soft ellipse. What the transformer is trained on is to turn
such a mouth into the true one: so it must take the lips from the sound, and all else from the picture.
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
Y, X = np.mgrid[128:256, 64:192].astype(np.float32)  # the masked box


def other_moments(pose, n):
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


def paste(crops, points, moments):
    """uint8 [F,128,128,3]"""
    rx, ry, soft = random.uniform(34, 50), random.uniform(30, 46), random.uniform(8, 18)
    out = np.empty((len(crops), 128, 128, 3), np.uint8)
    for t, j in enumerate(moments):
        move = points[t, 2] - points[j, 2]
        m = np.array([[1, 0, move[0]], [0, 1, move[1]]], np.float32)
        other = cv2.warpAffine(crops[j], m, (256, 256), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[128:, 64:192].astype(np.float32)
        centre = (points[t, LIPS].mean(0) + points[j, LIPS].mean(0) + move) / 2 + [0, 8]
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
    for name in ("--data", "--vae", "--cache", "--out"):
        ap.add_argument(name, type=Path, required=True)
    a = ap.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    random.seed(1)
    vae = Vae()
    vae.load_state_dict(torch.load(a.vae, weights_only=False)["ema"])
    assert use_shortcuts(vae.encoder.eval()), "this script is for an encoder without neighbours"
    mean, std = vae.stats()
    by_clip = {}
    for c in torch.load(a.cache, weights_only=False):
        by_clip.setdefault(c["id"], []).append(c)
    pairs, start = {}, time.time()
    for i, group in enumerate(by_clip.values()):
        first = group[0]
        points = load_meta(a.data, first)["landmarks"].astype(np.float32)
        crops, pose = np.array(load_crops(a.data, first)), points[:, NOSE].reshape(len(points), -1)
        for _ in range(1 if first["heldout"] or group_of(first) == "grid" else 2):
            pasted = paste(crops, points, other_moments(pose, len(crops)))
            for c in group:
                boxes = pasted[c["offset"]:c["offset"] + 4 * (len(c["target"]) - 1) + 1]
                boxes = np.ascontiguousarray(boxes[:, :, ::-1] if c["mirror"] else boxes)
                pairs.setdefault((c["id"], bool(c["mirror"])), []).append(encode(vae.encoder, boxes, mean, std))
        if i % 100 == 0:
            print(i, len(by_clip), f"{time.time() - start:.0f}s", flush=True)
    save(pairs, a.out)


if __name__ == "__main__":
    main()
