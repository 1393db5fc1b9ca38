"""One block of the 13B model at its real size (4096 wide, 32 heads, 2,048 tokens) with random weights, diffusers against
`reword forward`.

    pip install torch diffusers==0.42.1 safetensors
    cargo build -p models --example forward
    python tools/parity/block_13b.py target/debug/examples/forward

Needs 6 GB of memory and 1 GB of disk. Prints the relative error in f32 and bf16 and both times; the exit status is 1
when an error is above its bound.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from diffusers import LTXVideoTransformer3DModel
from ltx import fill
from safetensors.torch import load_file, save_file

BOUNDS = {"f32": 1e-4, "bf16": 2e-2}


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path, help="the example `forward` of the crate models, or `reword`")
    parser.add_argument("--frames", type=int, default=4, help="latent frames of 16 x 32 cells")
    arguments = parser.parse_args()
    model = LTXVideoTransformer3DModel(num_layers=1, num_attention_heads=32, attention_head_dim=128, cross_attention_dim=4096,
                                       caption_channels=4096, in_channels=128, out_channels=128)
    fill(model, 13)
    torch.manual_seed(13)
    frames, rows, columns = arguments.frames, 16, 32
    f, y, x = torch.meshgrid(torch.arange(frames), torch.arange(rows), torch.arange(columns), indexing="ij")
    coords = torch.stack([(8 * f - 7).clamp(min=0) / 25, 32.0 * y, 32.0 * x]).flatten(1)[None].float()
    count = coords.shape[-1]
    mask = torch.ones(1, 128)
    mask[:, 40:] = 0
    inputs = dict(latents=torch.randn(1, count, 128), timestep=torch.full((1, count), 0.7), caption=torch.randn(1, 128, 4096),
                  caption_mask=mask, coords=coords)
    inputs["timestep"][:, : rows * columns] = 0
    start = time.time()
    wanted = model(inputs["latents"], inputs["caption"], inputs["timestep"] * 1000, mask, video_coords=coords, return_dict=False)[0]
    print(f"diffusers f32, {torch.get_num_threads()} thread(s): {time.time() - start:.1f} s for {count} tokens", flush=True)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        own = {k: v for k, v in model.config.items() if not k.startswith("_")}
        (folder / "config.json").write_text(__import__("json").dumps(own))
        save_file({k: v.bfloat16().contiguous() for k, v in model.state_dict().items()}, folder / "model.safetensors")
        save_file(inputs, folder / "in.safetensors")
        del model
        for dtype, bound in BOUNDS.items():
            out = folder / f"{dtype}.safetensors"
            start = time.time()
            weights, config, given = (folder / name for name in ("model.safetensors", "config.json", "in.safetensors"))
            command = ["ltx-transformer", weights, config, given, out, dtype]
            if arguments.program.name == "reword":
                command = ["forward", "ltx-transformer", "--weights", weights, "--config", config, "--inputs", given, "-o", out, "--dtype", dtype]
            subprocess.run([arguments.program, *command], check=True)
            found = load_file(out)["velocity"]
            error = float((found - wanted).norm() / wanted.norm())
            failed |= not error <= bound
            print(f"reword {dtype}: relative error {error:.1e}, {time.time() - start:.1f} s with loading", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
