"""Times the operations of `nn`'s example `bench_ops` in PyTorch; prints the same lines.

    python3 tools/bench/torch_ops.py [filter] [--rounds N] [--threads N] [--cpu]
"""

import argparse
import statistics
import time

import torch
import torch.nn.functional as F


def noise(*shape, dtype=torch.float32, grad=False):
    return (torch.randn(*shape) * 0.1).to(dtype).requires_grad_(grad)


def rms(x, weight=None, eps=1e-6):
    y = x * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + eps).to(x.dtype)
    return y if weight is None else y * weight


def rope(x, cos, sin):
    a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2).to(x.dtype)


class Attention(torch.nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (torch.nn.Linear(width, width) for _ in range(4))
        self.qn, self.kn = (torch.nn.RMSNorm(width, eps=1e-5) for _ in range(2))

    def forward(self, x, context, tables=None):
        q, k, v = self.qn(self.q(x)), self.kn(self.k(context)), self.v(context)
        if tables is not None:
            q, k = rope(q, *tables), rope(k, *tables)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        return self.o(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2))


class Block(torch.nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.own, self.text = Attention(width, heads), Attention(width, heads)
        self.up, self.down = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)

    def forward(self, x, context, t, tables):
        n = rms(x) * (1 + t[1]) + t[0]
        x = x + t[2] * self.own(n, n, tables)
        x = x + self.text(x, context)
        n = rms(x) * (1 + t[4]) + t[3]
        return x + t[5] * self.down(F.gelu(self.up(n), approximate="tanh"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("filter", nargs="?", default="")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu", action="store_true", help="processor time instead of the clock's, for busy machines")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    clock = time.process_time if args.cpu else time.perf_counter
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")

    def run(name, flop, f):
        if args.filter not in name:
            return
        f()
        times = []
        for _ in range(args.rounds):
            start = clock()
            f()
            times.append((clock() - start) * 1e3)
        median = statistics.median(times)
        rate = f"  {flop / median / 1e6:7.0f} GFLOP/s" if flop else ""
        print(f"{name:<36} median {median:9.3f} ms  least {min(times):9.3f} ms{rate}", flush=True)

    def train(f, inputs):
        def step():
            for t in inputs:
                t.grad = None
            f().sum().backward()

        return step

    for dtype, suffix in ((torch.float32, "f32"), (torch.bfloat16, "bf16")):
        for m, k, n in ((1024, 2048, 2048), (2048, 4096, 1024)):
            x, w, b = noise(m, k, dtype=dtype), noise(n, k, dtype=dtype), noise(n, dtype=dtype)
            flop = 2.0 * m * k * n
            with torch.no_grad():
                run(f"linear {m}x{k}x{n} {suffix}", flop, lambda: F.linear(x, w, b))
            xg, wg = x.clone().requires_grad_(), w.clone().requires_grad_()
            run(f"linear-train {m}x{k}x{n} {suffix}", 3 * flop, train(lambda: F.linear(xg, wg), (xg, wg)))
        q = noise(1, 16, 1536, 64, dtype=dtype)
        flop = 4.0 * 16 * 1536 * 1536 * 64
        with torch.no_grad():
            run(f"attention 16x1536x64 {suffix}", flop, lambda: F.scaled_dot_product_attention(q, q, q))
        qkv = [q.clone().requires_grad_() for _ in range(3)]
        run(f"attention-train 16x1536x64 {suffix}", 3.5 * flop, train(lambda: F.scaled_dot_product_attention(*qkv), qkv))
        x, w = noise(1, 128, 9, 32, 32, dtype=dtype), noise(128, 128, 3, 3, 3, dtype=dtype)
        flop = 2.0 * 128 * 128 * 27 * 9 * 32 * 32

        def conv(x, w):
            return F.conv3d(torch.cat((x[:, :, :1], x, x[:, :, -1:]), 2), w, padding=(0, 1, 1))

        with torch.no_grad():
            run(f"conv3d 128x9x32x32 {suffix}", flop, lambda: conv(x, w))
        xg, wg = x.clone().requires_grad_(), w.clone().requires_grad_()
        run(f"conv3d-train 128x9x32x32 {suffix}", 3 * flop, train(lambda: conv(xg, wg), (xg, wg)))
        with torch.no_grad():
            x = noise(1, 1536, 4096, dtype=dtype)
            run(f"gelu 1536x4096 {suffix}", 0, lambda: F.gelu(x, approximate="tanh"))
            y = noise(1, 1536, 1024, dtype=dtype)
            t = noise(1, 1, 1024, dtype=dtype)
            run(f"rms-modulate 1536x1024 {suffix}", 0, lambda: rms(y) * (1 + t) + t)
            c = noise(1536, 512)
            run(f"rope 1536x1024 {suffix}", 0, lambda: rope(y, c, c))
            z = noise(1, 128, 9, 64, 64, dtype=dtype)
            run(f"pixel-norm-silu 128x9x64x64 {suffix}", 0, lambda: F.silu(z / torch.sqrt(z.pow(2).mean(1, keepdim=True) + 1e-8)))
            run(f"group-norm-silu 128x9x64x64 {suffix}", 0, lambda: F.silu(F.group_norm(z, 32, eps=1e-6)))
        block = Block(1024, 16).to(dtype)
        x, context = noise(1, 1536, 1024, dtype=dtype), noise(1, 64, 1024, dtype=dtype)
        t = [noise(1, 1, 1024, dtype=dtype) for _ in range(6)]
        angles = noise(1536, 512)
        tables = (angles.cos(), angles.sin())
        with torch.no_grad():
            run(f"dit-block 1024x1536 {suffix}", 55.4e9, lambda: block(x, context, t, tables))
        for p in block.parameters():
            p.requires_grad_(False)
        xg = x.clone().requires_grad_()
        run(f"dit-block-train-x 1024x1536 {suffix}", 0, train(lambda: block(xg, context, t, tables), (xg,)))


main()
