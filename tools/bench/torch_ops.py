"""Runs the cases of `nn`'s bench module in PyTorch when told to, by the same lines on
standard input and output (`crates/nn/src/bench.rs`).

    python3 tools/bench/torch_ops.py THREADS
"""

import sys
import time

import torch
import torch.nn.functional as F

WIDTH, TOKENS, TEXT, HEADS = 1024, 1536, 64, 16


def noise(*shape, dtype=torch.float32, grad=False):
    return (torch.randn(*shape) * 0.1).to(dtype).requires_grad_(grad)


def rms(x, eps=1e-6):
    return F.rms_norm(x, x.shape[-1:], eps=eps)


def rope(x, cos, sin):
    a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2).to(x.dtype)


class Attention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.o = (torch.nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.qn, self.kn = (torch.nn.RMSNorm(WIDTH, eps=1e-5) for _ in range(2))

    def keys_values(self, context, tables=None):
        k = self.kn(self.k(context))
        return k if tables is None else rope(k, *tables), self.v(context)

    def forward(self, x, context, tables=None, memory=None):
        q = self.qn(self.q(x))
        q = q if tables is None else rope(q, *tables)
        k, v = self.keys_values(context, tables)
        if memory is not None:
            k, v = torch.cat((memory[0], k), 1), torch.cat((memory[1], v), 1)
        q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in (q, k, v))
        return self.o(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2))


class Block(torch.nn.Module):
    def __init__(self, dtype, tokens=TOKENS):
        super().__init__()
        self.own, self.text = Attention(), Attention()
        self.up, self.down = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)
        self.to(dtype)
        self.context = noise(1, TEXT, WIDTH, dtype=dtype)
        self.t = [noise(1, 1, WIDTH, dtype=dtype) for _ in range(6)]
        angles = noise(tokens, WIDTH // 2)
        self.tables = (angles.cos(), angles.sin())

    def forward(self, x, memory=None):
        t = self.t
        n = rms(x) * (1 + t[1]) + t[0]
        x = x + t[2] * self.own(n, n, self.tables, memory)
        x = x + self.text(x, self.context)
        n = rms(x) * (1 + t[4]) + t[3]
        return x + t[5] * self.down(F.gelu(self.up(n), approximate="tanh"))


def train(inputs, f):
    inputs = list(inputs)

    def step():
        for t in inputs:
            t.grad = None
        f().sum().backward()

    return step


def conv(x, w):
    return F.conv3d(torch.cat((x[:, :, :1], x, x[:, :, -1:]), 2), w, padding=(0, 1, 1))


def prepare(name):
    """The case as a function, and whether it needs gradients."""
    kind, *size, suffix = name.split(" ")
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[suffix]
    learns = "-train" in kind
    if kind.startswith("linear"):
        m, k, n = map(int, size[0].split("x"))
        x, w = noise(m, k, dtype=dtype, grad=learns), noise(n, k, dtype=dtype, grad=learns)
        b = noise(n, dtype=dtype)
        return train((x, w), lambda: F.linear(x, w)) if learns else lambda: F.linear(x, w, b)
    if kind.startswith("attention"):
        q, k, v = (noise(1, HEADS, 1536, 64, dtype=dtype, grad=learns) for _ in range(3))
        run = lambda: F.scaled_dot_product_attention(q, k, v)
        return train((q, k, v), run) if learns else run
    if kind.startswith("conv3d"):
        x, w = noise(1, 128, 9, 32, 32, dtype=dtype, grad=learns), noise(128, 128, 3, 3, 3, dtype=dtype, grad=learns)
        return train((x, w), lambda: conv(x, w)) if learns else lambda: conv(x, w)
    if kind == "gelu":
        x = noise(1, 1536, 4096, dtype=dtype)
        return lambda: F.gelu(x, approximate="tanh")
    if kind == "rms-modulate":
        x, t = noise(1, TOKENS, WIDTH, dtype=dtype), noise(1, 1, WIDTH, dtype=dtype)
        return lambda: rms(x) * (1 + t) + t
    if kind == "rope":
        x, c = noise(1, TOKENS, WIDTH, dtype=dtype), noise(TOKENS, WIDTH // 2)
        return lambda: rope(x, c, c)
    if kind.endswith("norm-silu"):
        z = noise(1, 128, 9, 64, 64, dtype=dtype)
        if kind.startswith("pixel"):
            return lambda: F.silu(z / torch.sqrt(z.pow(2).mean(1, keepdim=True) + 1e-8))
        return lambda: F.silu(F.group_norm(z, 32, eps=1e-6))
    if kind == "dit-block-sparse":
        tokens = int(size[0])
        block, x = Block(dtype, tokens), noise(1, tokens, WIDTH, dtype=dtype)
        memory = block.own.keys_values(noise(1, TOKENS - tokens, WIDTH, dtype=dtype))
        return lambda: block(x, memory)
    if kind.startswith("dit-block"):
        block, x = Block(dtype), noise(1, TOKENS, WIDTH, dtype=dtype, grad=learns)
        if kind == "dit-block-train":
            return train((x, *block.parameters()), lambda: block(x))
        block.requires_grad_(False)
        return train((x,), lambda: block(x)) if learns else lambda: block(x)
    raise ValueError(f"there is no case {name}")


def memory(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))


def main():
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    run, grad = None, False
    for line in sys.stdin:
        line = line.rstrip("\n")
        try:
            if line.startswith("case "):
                grad = "-train" in line
                torch.set_grad_enabled(grad)
                run = prepare(line[5:])
                before = memory("VmRSS:")
                with open("/proc/self/clear_refs", "w") as peak:
                    peak.write("5")
                run()
                answer = f"ok {max(0, memory('VmHWM:') - before)}"
            elif line == "version":
                answer = f"ok {torch.__version__}"
            else:
                start, used = time.perf_counter(), time.process_time()
                run()
                seconds, processor = time.perf_counter() - start, time.process_time() - used
                answer = f"ok {seconds:e} {processor:e}"
        except Exception as error:
            answer = "no " + " ".join(str(error).split())
        print(answer, flush=True)


main()
