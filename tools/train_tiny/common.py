"""Optimiser and data helpers shared by the training scripts."""
import json
import math
from pathlib import Path
import numpy as np
import torch

LIPS = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
        78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191]
JAW = [152, 148, 176, 150, 136, 377, 400, 379, 365]


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


class Team:
    """Data-parallel training by single-threaded processes on one machine, over shared memory.

    Two processes of one thread meet twice a step; one process of two threads meets at every operation, which is slow when
    other programs use the same cores. Parameters, gradients and averages lie in shared memory; each rank updates its part."""

    def __init__(self, module, size, muon, lr, ema_decay=0.995, weight_decay=0.01, scale=lambda n: 1.0):
        import torch.multiprocessing as mp
        self.module, self.size, self.lr = module.share_memory(), size, lr
        self.named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        self.grads = [[torch.zeros_like(p.data).share_memory_() for _, p in self.named] for _ in range(size)]
        self.ema = {k: v.detach().clone().share_memory_() for k, v in module.state_dict().items()}
        self.decay, self.wd = ema_decay, weight_decay
        self.barrier = mp.get_context("spawn").Barrier(size)
        self.muon = [muon(n, p) for n, p in self.named]
        self.scale = [scale(n) for n, _ in self.named]
        # split the optimiser's work evenly
        cost = [p.numel() * (min(p.flatten(1).shape[0], 128) + 50 if m else 20) for (n, p), m in zip(self.named, self.muon)]
        load, self.owner = [0] * size, [0] * len(cost)
        for i in sorted(range(len(cost)), key=lambda i: -cost[i]):
            r = min(range(size), key=lambda r: load[r])
            self.owner[i] = r
            load[r] += cost[i]

    def start(self, rank):
        """In the process of this rank."""
        torch.set_num_threads(1)
        self.rank, self.state, self.steps = rank, {}, 0
        self.sd = self.module.state_dict()
        for (_, p), g in zip(self.named, self.grads[rank]):
            p.grad = g

    def zero(self):
        for g in self.grads[self.rank]:
            g.zero_()

    @torch.no_grad()
    def step(self, lr_factor):
        self.barrier.wait()
        self.steps += 1
        b1, b2, mom = 0.9, 0.98, 0.9
        d = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for i, (name, p) in enumerate(self.named):
            if self.owner[i] != self.rank:
                continue
            grad = sum(g[i] for g in self.grads) / self.size
            lr = self.lr * lr_factor * self.scale[i]
            if self.muon[i]:
                m = self.state.setdefault(i, torch.zeros_like(p))
                m.mul_(mom).add_(grad)
                u = orthogonalise((grad + mom * m).flatten(1)).reshape(p.shape)
                rows = p.shape[0]
                p.mul_(1 - lr * self.wd).add_(u, alpha=-lr * 0.2 * math.sqrt(max(min(rows, 128), p.numel() // rows)))
            else:
                m, v = self.state.setdefault(i, (torch.zeros_like(p), torch.zeros_like(p)))
                m.lerp_(grad, 1 - b1)
                v.mul_(b2).addcmul_(grad, grad, value=1 - b2)
                u = (m / (1 - b1 ** self.steps)) / ((v / (1 - b2 ** self.steps)).sqrt() + 1e-8)
                p.add_(u.clamp_(-3, 3), alpha=-lr)
            self.ema[name].lerp_(p, 1 - d)
        self.barrier.wait()
