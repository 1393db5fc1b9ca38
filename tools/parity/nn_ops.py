"""Writes what PyTorch computes for the operations of `nn`: inputs, results and gradients.

    python3 tools/parity/nn_ops.py

One small safetensors file an operation under crates/nn/tests/fixtures; names are `in.*`
(inputs), `out` (result) and `grad.*` (gradients of `sum(out * direction)`).
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

FOLDER = Path(__file__).resolve().parents[2] / "crates/nn/tests/fixtures"


def noise(generator, *shape):
    return torch.rand(*shape, generator=generator) * 2 - 1


def write(name, f, **shapes):
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    inputs = {key: noise(generator, *shape).requires_grad_() for key, shape in shapes.items()}
    out = f(**inputs)
    direction = noise(generator, *out.shape)
    (out * direction).sum().backward()
    tensors = {f"in.{key}": value.detach() for key, value in inputs.items()}
    tensors |= {f"grad.{key}": value.grad for key, value in inputs.items()}
    tensors |= {"out": out.detach(), "direction": direction}
    save_file({key: value.contiguous() for key, value in tensors.items()}, FOLDER / f"{name}.safetensors")


def attention(q, k, v):
    q, k, v = (t.unflatten(-1, (3, -1)).transpose(1, 2) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2)


def causal(x, w, b):
    return F.conv3d(torch.cat((x[:, :, :1], x[:, :, :1], x), 2), w, b, padding=(0, 1, 1))


def symmetric(x, w, b):
    return F.conv3d(torch.cat((x[:, :, :1], x, x[:, :, -1:]), 2), w, b, padding=(0, 1, 1))


def modulated(x, scale, shift):
    return F.rms_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


def pixel(x, scale, shift):
    n = x / torch.sqrt(x.pow(2).mean(1, keepdim=True) + 1e-8)
    return F.silu(n * (1 + scale[:, :, None, None]) + shift[:, :, None, None])


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    write("linear_gelu_tanh", lambda x, w, b: F.gelu(F.linear(x, w, b), approximate="tanh"), x=(2, 7, 12), w=(20, 12), b=(20,))
    write("linear_gelu_erf", lambda x, w, b: F.gelu(F.linear(x, w, b)), x=(2, 7, 12), w=(20, 12), b=(20,))
    write("linear_silu", lambda x, w, b: F.silu(F.linear(x, w, b)), x=(2, 7, 12), w=(20, 12), b=(20,))
    write("attention", attention, q=(2, 9, 24), k=(2, 21, 24), v=(2, 21, 24))
    write("rms_norm", lambda x, w: F.rms_norm(x, x.shape[-1:], w, 1e-5), x=(2, 5, 18), w=(18,))
    write("rms_norm_modulate", modulated, x=(2, 5, 18), scale=(2, 1, 18), shift=(2, 1, 18))
    write("layer_norm", lambda x, w, b: F.layer_norm(x, x.shape[-1:], w, b, 1e-5), x=(2, 5, 18), w=(18,), b=(18,))
    write("group_norm", lambda x, w, b: F.group_norm(x, 3, w, b, 1e-5), x=(2, 6, 4, 5), w=(6,), b=(6,))
    write("pixel_norm_modulate_silu", pixel, x=(2, 6, 4, 5), scale=(2, 6), shift=(2, 6))
    write("conv3d_causal", causal, x=(1, 3, 4, 5, 6), w=(4, 3, 3, 3, 3), b=(4,))
    write("conv3d_symmetric", symmetric, x=(1, 3, 4, 5, 6), w=(4, 3, 3, 3, 3), b=(4,))
    write("conv1d", lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=3, dilation=2), x=(2, 4, 19), w=(5, 4, 4), b=(5,))
    write("conv1d_depthwise", lambda x, w, b: F.conv1d(x, w, b, stride=2, groups=4), x=(2, 4, 16), w=(4, 1, 2), b=(4,))
    write("conv2d", lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1), x=(2, 4, 9, 8), w=(5, 4, 3, 3), b=(5,))


main()
