"""Optimiser and data helpers shared by the training scripts."""
import json
import math
from pathlib import Path
import numpy as np
import torch

LIPS = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
        78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191]
JAW = [152, 148, 176, 150, 136, 377, 400, 379, 365]
POINTS = LIPS + JAW
NOSE_TIP = 1
# the point on the other side of the face, where that is not the point itself
OTHER_SIDE = {61: 291, 146: 375, 91: 321, 181: 405, 84: 314, 409: 185, 270: 40, 269: 39, 267: 37, 78: 308, 95: 324, 88: 318,
              178: 402, 87: 317, 415: 191, 310: 80, 311: 81, 312: 82, 148: 377, 176: 400, 150: 379, 136: 365}
OTHER_SIDE.update({v: k for k, v in list(OTHER_SIDE.items())})
MIRROR = [POINTS.index(OTHER_SIDE.get(p, p)) for p in POINTS]


def group_of(row):
    return "grid" if row["source"] == "grid_s1" else row["kind"]


def to_float(x):
    """uint8 [F, H, W, 3] -> [3, F, H, W] in -1..1"""
    return torch.from_numpy(np.ascontiguousarray(x)).permute(3, 0, 1, 2).float() / 127.5 - 1


def psnr(a, b):
    return -10 * torch.log10(((a - b) / 2).pow(2).mean() + 1e-9).item()


def load_index(data, heldout=None, trusted=None):
    rows = json.loads((Path(data) / "index.json").read_text())
    if heldout is not None:
        rows = [r for r in rows if r["heldout"] == heldout]
    if trusted is not None:
        rows = [r for r in rows if r["trusted"] == trusted]
    return rows


def load_meta(data, row):
    return np.load(Path(data) / (row["id"] + ".npz"))


def load_crops(data, row):
    return np.load(Path(data) / (row["id"] + ".npy"), mmap_mode="r")


def mean_norm(mel, share=1.0):
    """Takes the recording's colour out of mel frames [T, 80]: the mean spectrum of the loud frames, without its own mean."""
    loudness = mel.mean(1)
    loud = mel[loudness > loudness.quantile(0.95) - 0.5].mean(0)
    return mel - share * (loud - loud.mean())


def correlation(a, b, dim=-1):
    a, b = a - a.mean(dim, keepdim=True), b - b.mean(dim, keepdim=True)
    return (a * b).sum(dim) / (a.norm(dim=dim) * b.norm(dim=dim) + 1e-6)


def orthogonalise(g, steps=5):
    """Polar factor of g by a quintic Newton-Schulz iteration, done on the small Gram matrix only."""
    x = g.float()
    if x.shape[0] > 128 and x.shape[0] % 128 == 0 and x.shape[1] > 1024:  # large: row blocks of their own
        return torch.cat([orthogonalise(b, steps) for b in x.split(128)])
    flip = x.shape[0] > x.shape[1]
    if flip:
        x = x.T
    x = x / (x.norm() + 1e-7)
    gram = x @ x.T  # in f32: rounding to bf16 makes negative eigenvalues here, which the iteration blows up
    acc = None
    eye = torch.eye(gram.shape[0])
    for _ in range(steps):
        p = 3.4445 * eye - 4.7750 * gram + 2.0315 * gram @ gram
        acc = p if acc is None else p @ acc
        gram = p @ gram @ p
    x = acc @ x
    return x.T if flip else x


class MuonAdam(torch.optim.Optimizer):
    """Muon for groups with muon=True (weights as [out, rest] matrices), AdamW for the others.
    Muon's update is scaled to the usual element size of Adam's, so both may share learning rates."""

    def __init__(self, groups, lr=1e-3, betas=(0.9, 0.98), momentum=0.9, weight_decay=0.0):
        super().__init__(groups, dict(lr=lr, betas=betas, momentum=momentum, weight_decay=weight_decay, muon=False))

    @torch.no_grad()
    def step(self):
        for g in self.param_groups:
            b1, b2 = g["betas"]
            for p in g["params"]:
                if p.grad is None:
                    continue
                s, grad = self.state[p], p.grad.float()
                if not s:
                    s["step"], s["m"] = 0, torch.zeros_like(p)
                    if not g["muon"]:
                        s["v"] = torch.zeros_like(p)
                s["step"] += 1
                if g["weight_decay"]:
                    p.mul_(1 - g["lr"] * g["weight_decay"])
                if g["muon"]:
                    s["m"].mul_(g["momentum"]).add_(grad)
                    u = orthogonalise((grad + g["momentum"] * s["m"]).flatten(1)).reshape(p.shape)
                    rows = p.shape[0]
                    cols = p.numel() // rows
                    p.add_(u, alpha=-g["lr"] * 0.2 * math.sqrt(max(rows, cols)))
                else:
                    s["m"].lerp_(grad, 1 - b1)
                    s["v"].mul_(b2).addcmul_(grad, grad, value=1 - b2)
                    m = s["m"] / (1 - b1 ** s["step"])
                    v = s["v"] / (1 - b2 ** s["step"])
                    p.addcdiv_(m, v.sqrt().add_(1e-8), value=-g["lr"])


class Ema:
    def __init__(self, module, decay=0.995):
        self.module, self.decay, self.step = module, decay, 0
        self.values = {k: v.detach().clone() for k, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self):
        self.step += 1
        d = min(self.decay, (1 + self.step) / (10 + self.step))
        for k, v in self.module.state_dict().items():
            if v.dtype.is_floating_point:
                self.values[k].lerp_(v, 1 - d)


def save(obj, path):
    """Write, then rename."""
    tmp = str(path) + ".tmp"
    torch.save(obj, tmp)
    Path(tmp).replace(path)
