"""Runs the cases of `nn`'s `bench/gpu.rs` in PyTorch on a GPU when told to, by the lines
that `torch_ops.py` knows. The transformer's block is diffusers' own where that is
installed, run eagerly.

    python3 tools/bench/torch_gpu.py [cuda|cpu]
"""

import sys
import time

import torch
import torch.nn.functional as F

WIDTH, HEADS, TEXT, TOKENS = 4096, 32, 256, 34680
DEVICE = sys.argv[1] if len(sys.argv) > 1 else "cuda"
DTYPE = torch.bfloat16


def noise(*shape, dtype=DTYPE, grad=False):
    x = torch.randn(*shape, device=DEVICE, dtype=torch.float32) * 0.1
    return x.to(dtype).requires_grad_(grad)


def train(inputs, f):
    inputs = list(inputs)

    def step():
        for t in inputs:
            t.grad = None
        f().sum().backward()

    return step


def conv(x, w):
    return F.conv3d(torch.cat((x[:, :, :1], x, x[:, :, -1:]), 2), w, padding=(0, 1, 1))


def eight_bits(x):
    """Codes, and a scale for each row."""
    scale = x.float().abs().amax(1, keepdim=True) / 448
    return (x.float() / scale).to(torch.float8_e4m3fn), scale


def product_in_eight_bits(m, k, n):
    weight, weight_scale = eight_bits(noise(n, k))
    x, bias = noise(m, k), noise(n)

    def run():
        codes, scale = eight_bits(x)
        return torch._scaled_mm(codes, weight.t(), scale, weight_scale.t(), bias, out_dtype=DTYPE)

    return run


def block(width, tokens):
    from diffusers.models.transformers.transformer_ltx import LTXVideoTransformerBlock

    head = width // HEADS
    with torch.device(DEVICE):
        made = LTXVideoTransformerBlock(width, HEADS, head, width, "rms_norm_across_heads")
    made = made.to(DTYPE).requires_grad_(False)
    x, text = noise(1, tokens, width), noise(1, TEXT, width)
    times = noise(1, 1, 6 * width)
    angles = noise(1, tokens, width, dtype=torch.float32)
    rope = (angles.cos(), angles.sin())
    return lambda: made(x, text, times, rope)


def prepare(name):
    kind, size, _ = name.split(" ")
    sizes = [int(n) for n in size.split("x")]
    learns = "-train" in kind
    if kind == "linear":
        m, k, n = sizes
        x, w, b = noise(m, k), noise(n, k), noise(n)
        return lambda: F.linear(x, w, b)
    if kind == "linear-8bit":
        return product_in_eight_bits(*sizes)
    if kind.startswith("attention"):
        q, k, v = (noise(1, *sizes, grad=learns) for _ in range(3))
        run = lambda: F.scaled_dot_product_attention(q, k, v)
        return train((q, k, v), run) if learns else run
    if kind.startswith("conv3d"):
        c = sizes[0]
        x, w = noise(1, *sizes, grad=learns), noise(c, c, 3, 3, 3, grad=learns)
        return train((x, w), lambda: conv(x, w)) if learns else lambda: conv(x, w)
    if kind == "ltx-block":
        return block(*sizes)
    raise ValueError(f"there is no case {name}")


def wait():
    if DEVICE != "cpu":
        torch.cuda.synchronize()


def main():
    if DEVICE != "cpu" and not torch.cuda.is_available():
        sys.exit("PyTorch finds no GPU")
    run = None
    for line in sys.stdin:
        line = line.rstrip("\n")
        try:
            if line.startswith("case "):
                run = None
                torch.set_grad_enabled("-train" in line)
                run = prepare(line[5:])
                wait()
                peak = 0
                if DEVICE != "cpu":
                    before = torch.cuda.memory_allocated()
                    torch.cuda.reset_peak_memory_stats()
                run()
                wait()
                if DEVICE != "cpu":
                    peak = torch.cuda.max_memory_allocated() - before
                answer = f"ok {max(0, peak)}"
            elif line == "version":
                name = "processor" if DEVICE == "cpu" else torch.cuda.get_device_name()
                answer = f"ok {torch.__version__} ({name})"
            else:
                start, used = time.perf_counter(), time.process_time()
                run()
                wait()
                seconds, processor = time.perf_counter() - start, time.process_time() - used
                answer = f"ok {seconds:e} {processor:e}"
        except Exception as error:
            answer = "no " + " ".join(str(error).split())
        print(answer, flush=True)


main()
