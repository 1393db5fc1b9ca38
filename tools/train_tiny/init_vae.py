"""Closed-form start of the VAE: a Karhunen-Loeve transform of aligned face crops, written into the causal VAE's layout.

    python init_vae.py --data DATA --out vae.pt

The encoder keeps 15 components of every 8x8 patch, stacks them losslessly over 32x32 pixels and 4 frames (the skips of the
two compress_all_res stages are pure space-to-depth when nothing is averaged), and projects on 128 components. A 16th, large
constant channel makes pixel norm and SiLU nearly linear. The decoder is the inverse; its residual blocks start as identity
and are trained afterwards. All kernels start with their centre tap only, so a cell's latent knows nothing of its neighbours
(no lip leak into the context).
"""
import argparse
from pathlib import Path
import numpy as np
import torch
from common import load_crops, load_index, psnr, save, to_float
from tiny_model import CONFIG, Vae, patchify

K_ENC, K_DEC = 1000.0, 24.0


def zero(conv):
    conv.conv.weight.data.zero_()
    conv.conv.bias.data.zero_()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", type=Path, required=True)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--power", type=float, default=0.5, help="component scale = its standard deviation to this power")
    a = ap.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    rows = load_index(a.data, heldout=False)
    grid = [r for r in rows if r["source"] == "grid_s1"][:40]
    clips = []
    for r in grid + 2 * [r for r in rows if r["source"] != "grid_s1"]:
        s = rng.integers(0, r["frames"] - 5)
        clips.append(to_float(load_crops(a.data, r)[s:s + 5]))
    print("clips", len(clips), flush=True)
    vae = Vae()
    vae.requires_grad_(False)
    enc, dec = vae.encoder, vae.decoder
    p, c0 = enc.p, enc.conv_in.conv.out_channels
    n0 = c0 - 1
    # 8x8 patches
    x = torch.cat([patchify(c[None, :, 1::2], p)[0].flatten(1).T for c in clips[::2]])
    mu8 = x.mean(0)
    v8 = torch.linalg.svd((x - mu8).T @ (x - mu8) / len(x))[0][:, :n0]
    zero(enc.conv_in)
    enc.conv_in.conv.weight[:n0, :, 2, 1, 1] = v8.T
    enc.conv_in.conv.bias[:n0] = -(mu8 @ v8)
    enc.conv_in.conv.bias[n0] = K_ENC
    for d in enc.down_blocks:
        zero(d.conv)
        d.conv.pointwise = True
        assert d.group == 1
    enc.conv_in.pointwise = enc.conv_out.pointwise = True
    # cells: features are nearly linear in the stacked components; the constant channels are left out
    f = torch.cat([enc.features(c[None])[0][:, 1].flatten(1).T for c in clips])
    gain = 2 * K_ENC / c0 ** 0.5
    f = f * gain
    signal = torch.arange(f.shape[1]) < n0 * 64
    mean = f.mean(0)
    cov = (f - mean)[:, signal].T @ (f - mean)[:, signal] / len(f)
    ev, q = torch.linalg.eigh(cov.double())
    n = CONFIG["vae"]["latent_channels"]
    q, sd = q.flip(1)[:, :n].float(), ev.flip(0)[:n].clamp(min=1e-8).sqrt().float()
    scale = sd ** (a.power - 1)  # component -> latent
    rot = torch.linalg.qr(torch.randn(n, n))[0]
    w = rot @ (q * scale).T  # [n, signal]
    zero(enc.conv_out)
    enc.conv_out.conv.weight[:n, signal, 2, 1, 1] = w * gain
    enc.conv_out.conv.bias[:n] = -(w @ mean[signal])
    enc.conv_out.conv.bias[n] = -8.0
    print("component sd", sd[:: n // 8])
    # decoder: latent -> scaled components -> 16x16x2 blocks in 128 components -> 8x8 patches
    zero(dec.conv_in)
    dec.conv_in.conv.weight[:, :, 1, 1, 1] = rot.T
    up1, up2 = [b for b in dec.up_blocks if hasattr(b, "tile")]
    # feature channel = (c * 8 + fine) * 8 + coarse, c < 15
    basis = torch.zeros(c0, 8, 8, n)
    basis[:n0] = (q / scale).reshape(n0, 8, 8, n)
    fs = f[:, signal].reshape(-1, n0, 8, 8)
    blocks = torch.zeros(len(fs) * 8, n0 * 8)
    blocks = fs.permute(0, 3, 1, 2).reshape(-1, n0 * 8)  # pixel metric
    blocks = blocks[torch.randperm(len(blocks))[:60000]]
    b_cov = blocks.T @ blocks / len(blocks)
    ev2, q2 = torch.linalg.eigh(b_cov.double())
    m = up1.out
    q2, sd2 = q2.flip(1).float(), ev2.flip(0).clamp(min=1e-8).sqrt().float()
    k2 = min(m, q2.shape[1])
    q2, s2 = q2[:, :k2], sd2[:k2] ** -0.5
    zero(up1.conv)
    w1 = torch.zeros(m, 8, n)  # [block component, coarse, component]
    w1[:k2] = torch.einsum("cfk,cfpn->kpn", q2.reshape(n0, 8, k2), basis[:n0]) * s2[:, None, None]
    up1.conv.conv.weight[:, :, 1, 1, 1] = w1.reshape(m * 8, n)

    def remove_residual(up):
        cin = up.conv.conv.in_channels
        per = cin // 8
        for o in range(up.out):
            for s in range(8):
                up.conv.conv.weight[o * 8 + s, (o % per) * 8 + s, 1, 1, 1] -= 1
    remove_residual(up1)
    zero(up2.conv)
    w2 = torch.zeros(up2.out, 8, m)
    sd8 = (q2 * sd2[:k2]).reshape(n0, 8, k2).pow(2).sum((1, 2)).div(8).sqrt()
    s8 = sd8 ** -0.5  # patch component -> decoder channel
    w2[:n0, :, :k2] = (q2 / s2).reshape(n0, 8, k2) * s8[:, None, None]
    w2[n0:2 * n0] = -w2[:n0]
    up2.conv.conv.weight[:, :, 1, 1, 1] = w2.reshape(up2.out * 8, m)
    up2.conv.conv.bias[2 * n0 * 8:(2 * n0 + 1) * 8] = K_DEC
    remove_residual(up2)
    zero(dec.conv_out)
    energy = K_DEC ** 2 + 2 * (sd8 * s8).pow(2).sum()
    g = (energy / up2.out).sqrt()
    dec.conv_out.conv.weight[:, :n0, 1, 1, 1] = v8 / s8 * g
    dec.conv_out.conv.weight[:, n0:2 * n0, 1, 1, 1] = -v8 / s8 * g
    dec.conv_out.conv.bias[:] = mu8
    for b in dec.up_blocks:
        for r in getattr(b, "res_blocks", []):
            zero(r.conv2)
    # check
    for mode in ("shortcut", "full"):
        for mod in vae.modules():
            if hasattr(mod, "pointwise"):
                mod.pointwise = mode == "shortcut" and "res" not in type(mod).__name__
        res = []
        for r in load_index(a.data, heldout=True)[::4][:6]:
            x = to_float(load_crops(a.data, r)[20:29])[None]
            y = dec(enc(x)[0], torch.tensor([0.05]))
            res.append((round(psnr(x, y), 2), round(psnr(x[..., 128:, 32:224], y[..., 128:, 32:224]), 2)))
        print(mode, "psnr whole, mask box", res, flush=True)
    save(dict(ema=vae.state_dict(), step=0), a.out)


if __name__ == "__main__":
    main()
