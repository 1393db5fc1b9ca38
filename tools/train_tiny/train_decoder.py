"""Fifth stage: the decoder's finer half, in space alone, on true latents and on those that the transformer makes.

    python train_decoder.py --data DATA --cache cache.pt --pairs pairs.pt --audio audio.pt --dit dit.pt --vae vae.pt --out vae2.pt --minutes 25

The closed-form decoder turns every cell alone, so that borders of cells show. Here the 3x3 taps of the present frame learn to look
across them; the taps in time stay zero. The coarse half (8x8 grid) stays as it is.
"""
import argparse, random, time
from pathlib import Path
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from common import group_of, load_crops, save
from tiny_model import Transformer, Vae, VaeStage, VaeUp, depth_to_space, latent_frames
from windows import AROUND, INSIDE, Clips, random_windows, tables

BOX = 128  # pixels a side of the masked box, which begins at row 128 and column 64
Y, X = torch.arange(BOX)[:, None], torch.arange(BOX)[None]
WEIGHT = 0.4 + 2 * torch.exp(-((X - 64) ** 2 + (Y - 45) ** 2) / (2 * 36 ** 2))
WEIGHT = WEIGHT / WEIGHT.mean()
AROUND_INDEX = torch.tensor(AROUND)


def pixel_norm(x):
    return x * torch.rsqrt(x.float().pow(2).mean(1, keepdim=True) + 1e-8).to(x.dtype)


class Finer(nn.Module):
    """The decoder behind its first up-sampling, frames as a batch."""

    def __init__(self, dec):
        super().__init__()
        self.dec = [dec]  # not a submodule
        r8, self.up1, r16, self.up2, r32 = dec.up_blocks
        assert isinstance(r16, VaeStage) and isinstance(self.up2, VaeUp)
        assert all(b.conv2.conv.weight.abs().max() == 0 for b in r8.res_blocks), "the coarse half is to be pointwise"
        self.convs = [c.conv for s in (r16, r32) for b in s.res_blocks for c in (b.conv1, b.conv2)] + [self.up2.conv.conv, dec.conv_out.conv]
        self.r16, self.r32 = len(r16.res_blocks), len(r32.res_blocks)
        self.weights = nn.ParameterList([nn.Parameter(c.weight.data[:, :, 1].clone()) for c in self.convs])
        self.biases = nn.ParameterList([nn.Parameter(c.bias.data.clone()) for c in self.convs])

    def conv(self, i, x):
        return F.conv2d(x, self.weights[i].to(x.dtype), self.biases[i].to(x.dtype), padding=1)

    def residual(self, i, x):
        return x + self.conv(i + 1, F.silu(pixel_norm(self.conv(i, F.silu(pixel_norm(x))))))

    @torch.no_grad()
    def front(self, z):  # [B, C, f, 8, 8] -> [B, C, 2 f - 1, 16, 16]
        centre = lambda conv, x: F.conv3d(x, conv.weight[:, :, 1:2, 1:2, 1:2], conv.bias)
        x = centre(self.dec[0].conv_in.conv, z)
        y = depth_to_space(centre(self.up1.conv.conv, x), self.up1.s)
        return (y + depth_to_space(x, self.up1.s).repeat(1, self.up1.tile, 1, 1, 1))[:, :, 1:]

    def forward(self, x):
        """-> [B, frames, 3, 128, 128], the masked box; what lies further than the kernels reach is left out."""
        b, f = x.shape[0], x.shape[2]
        x = x.transpose(1, 2).flatten(0, 1)[:, :, 4:]
        for i in range(self.r16):
            x = self.residual(2 * i, x)
        cube = lambda v: v.unflatten(0, (b, f)).transpose(1, 2)
        y = depth_to_space(cube(self.conv(len(self.convs) - 2, x)), self.up2.s)
        y = (y + depth_to_space(cube(x), self.up2.s).repeat(1, self.up2.tile, 1, 1, 1))[:, :, 1:]
        x = y.transpose(1, 2).flatten(0, 1)[:, :, 4:, 4:28]
        for i in range(self.r32):
            x = self.residual(2 * (self.r16 + i), x)
        x = self.conv(len(self.convs) - 1, F.silu(pixel_norm(x)))[:, :, 4:, 4:20]
        n, _, h, w = x.shape
        p = self.dec[0].p
        x = x.reshape(n, 3, p, p, h, w).permute(0, 1, 4, 3, 5, 2).reshape(n, 3, h * p, w * p)
        return x.unflatten(0, (b, -1))

    @torch.no_grad()
    def write(self, values):
        for i, c in enumerate(self.convs):
            c.weight.zero_()
            c.weight[:, :, 1] = values[f"weights.{i}"]
            c.bias.copy_(values[f"biases.{i}"])


def grid(c, first, made):
    """Normalised latents [1, C, L, 8, 8] with these masked cells; the two rows that are not cached repeat the next."""
    g = torch.zeros(len(made), 64, 128)
    g[:, AROUND_INDEX], g[:, INSIDE] = c["context"][first:first + len(made)].float(), made
    g[:, :16] = g[:, 16:24].repeat(1, 2, 1)
    return g.permute(2, 0, 1).unflatten(2, (8, 8))[None]


@torch.no_grad()
def make(dit, clips, c, first, count, rng, forced=True):
    """What the transformer makes of noise in one step, [L, 16, C]."""
    context, x0, sound = clips.batch(dit, [c], [first], count, 4, forced, rng)
    cc, xc = tables(dit, count, 4)
    noise = torch.randn_like(x0)
    with torch.autocast("cpu", torch.bfloat16):
        v = dit(context, cc, noise, xc, torch.ones(1), sound).float()
    return (noise - v).unflatten(1, (count, -1))[0]


def pixels(data, c, first, count):
    """The recorded box of the frames that latents decode to (of the first its last frame), [F, 3, 128, 128]."""
    fr = latent_frames(first, count).flatten()[3:] + c["offset"]
    x = np.array(load_crops(data, c)[int(fr[0]):int(fr[-1]) + 1, 128:])
    x = torch.from_numpy(x).permute(0, 3, 1, 2).float() / 127.5 - 1
    return (x.flip(3) if c["mirror"] else x)[..., 64:192]


def loss_of(y, x):
    d = y - x
    gx, gy = (d[..., 1:] - d[..., :-1]).abs(), (d[..., 1:, :] - d[..., :-1, :]).abs()
    return ((d.abs() + d * d) * WEIGHT).mean() + (gx * WEIGHT[:, 1:]).mean() + (gy * WEIGHT[1:]).mean()


@torch.no_grad()
def check(finer, values, dit, clips, data, real):
    """PSNR, the mouth weighing more, on held-out clips: of true latents and of made ones."""
    kept = {k: v.clone() for k, v in finer.state_dict().items()}
    finer.load_state_dict(values)
    rng, res = random.Random(3), {"true": [], "made": []}
    for c in [c for c in clips.held if c["target"].shape[0] > 14][::3]:
        x = pixels(data, c, 3, 6)
        for name, z in (("true", c["target"][3:9].float()), ("made", make(dit, clips, c, 3, 6, rng))):
            y = finer(finer.front(real(grid(c, 3, z))))[0]
            res[name].append(10 * np.log10(4 / ((y - x) ** 2 * WEIGHT).mean().item()))
    finer.load_state_dict(kept)
    return {k: round(float(np.mean(v)), 2) for k, v in res.items()}


def main():
    ap = argparse.ArgumentParser()
    for name in ("--data", "--cache", "--pairs", "--audio", "--dit", "--vae", "--out"):
        ap.add_argument(name, type=Path, required=True)
    ap.add_argument("--minutes", type=float, default=25)
    ap.add_argument("--lr", type=float, default=4e-4)
    ap.add_argument("--made", type=float, default=0.6, help="share of made latents")
    ap.add_argument("--steps", type=int, default=10 ** 9)
    ap.add_argument("--threads", type=int, default=1)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    random.seed(0)
    clips, dit, vae = Clips(a.cache, a.audio, a.pairs), Transformer(), Vae()
    dit.load_state_dict(torch.load(a.dit, weights_only=False)["ema"])
    dit.requires_grad_(False).eval()
    saved = torch.load(a.vae, weights_only=False)
    vae.load_state_dict(saved["ema"])
    vae.requires_grad_(False)
    mean, std = (s[:, None, None, None] for s in vae.stats())
    real = lambda z: z * std + mean
    finer = Finer(vae.decoder)
    opt = torch.optim.Adam(finer.parameters(), lr=a.lr, betas=(0.9, 0.99))
    values, avg = {k: v.clone() for k, v in finer.state_dict().items()}, {}
    print("start", check(finer, values, dit, clips, a.data, real), flush=True)
    kinds = {"grid": 0.5, "real": 1.5, "generated": 0.6}
    weights = [kinds[group_of(c)] for c in clips.train]
    rng, start, step = random.Random(0), time.time(), 0
    while (done := (time.time() - start) / (a.minutes * 60)) < 1 and step < a.steps:
        for g in opt.param_groups:
            g["lr"] = a.lr * min(1, (step + 1) / 30) * (1 - done) ** 0.8
        group, firsts = random_windows(4, 1, clips.train, weights)
        if not group:
            continue
        c, first = group[0], firsts[0]
        kind = "made" if random.random() < a.made else "true"
        if kind == "made":
            z = make(dit, clips, c, first, 4, rng)
        else:
            z = c["target"][first:first + 4].float() + random.random() * 0.2 * torch.randn(4, 16, 128)
        front = finer.front(real(grid(c, first, z)))
        with torch.autocast("cpu", torch.bfloat16):
            y = finer(front)[0].float()
        loss = loss_of(y, pixels(a.data, c, first, 4))
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(finer.parameters(), 0.5)
        opt.step()
        step += 1
        for k, v in finer.state_dict().items():
            values[k].lerp_(v, 1 - min(0.995, (1 + step) / (10 + step)))
        avg[kind] = 0.98 * avg.get(kind, loss.item()) + 0.02 * loss.item()
        if step % 50 == 0:
            print(step, f"{time.time() - start:.0f}s", {k: round(v, 4) for k, v in avg.items()}, flush=True)
        if step % 500 == 0:
            print("  ", check(finer, values, dit, clips, a.data, real), flush=True)
    print("end", step, check(finer, values, dit, clips, a.data, real))
    finer.load_state_dict(values)
    finer.write(values)
    with torch.no_grad():  # the decoder with the new weights and the shorter writing of it agree
        c = clips.held[0]
        z = real(grid(c, 3, c["target"][3:7].float()))
        whole = vae.decoder(z, torch.tensor([0.05]))[0, :, :, 128:, 64:192].transpose(0, 1)
        apart = (whole - finer(finer.front(z))[0]).abs()[:, :, 8:, 8:-8].max().item()
    print("apart from the whole decoder by at most", apart)
    saved["ema"] = vae.state_dict()
    save(saved, a.out)


if __name__ == "__main__":
    main()
