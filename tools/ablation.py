#!/usr/bin/env python3
"""Ablations of a lip model: what each part of it brings, by the program itself.

    tools/ablation.py CLIP... [--reword target/release/reword] [--model assets/models/tiny.safetensors]

Every clip's mouth is made from its own sound by variants of the model (the file's header is changed, or a flag is
given), and measured by `reword eval`. Prints a Markdown table of means. Python's standard library is enough.
"""
import argparse
import json
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

METRICS = ["mouth-correlation", "lmd", "mouth-psnr", "lip-agreement"]

# What it is called, what changes in the header, and flags.
VARIANTS = [
    ("as it is", {}, []),
    ("all of the model's change", {"edit_yourself": {"change_share": 1.0}}, []),
    ("none of it (lent lips alone)", {"edit_yourself": {"change_share": 0.0}}, []),
    ("one-way attention off", {"transformer": {"one_way_attention": False}}, []),
    ("reference tokens off", {"edit_yourself": {"references": 0}}, []),
    ("4 steps", {}, ["--steps", "4"]),
    ("8 steps", {}, ["--steps", "8"]),
    ("16 steps", {}, ["--steps", "16"]),
    ("audio guidance 2", {}, ["--audio-guidance", "2"]),
    ("audio guidance 4", {}, ["--audio-guidance", "4"]),
]


def changed(model: Path, changes: dict, target: Path) -> None:
    """A copy of a safetensors file with another configuration in its header."""
    with model.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        body = file.read()
    config = json.loads(header["__metadata__"]["config"])
    for part, values in changes.items():
        config[part].update(values)
    header["__metadata__"]["config"] = json.dumps(config)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    target.write_bytes(struct.pack("<Q", len(text)) + text + body)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--reword", default="target/release/reword")
    parser.add_argument("--model", type=Path, default=Path("assets/models/tiny.safetensors"))
    options = parser.parse_args()
    print("| | " + " | ".join(METRICS) + " | seconds |")
    print("|---" * (len(METRICS) + 2) + "|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        model, output = Path(folder, "model.safetensors"), Path(folder, "out.mp4")
        for name, changes, flags in VARIANTS:
            changed(options.model, changes, model)
            sums, seconds = {metric: [] for metric in METRICS}, 0.0
            for clip in options.clips:
                start = time.monotonic()
                made = subprocess.run(
                    [options.reword, "sync", clip, "--speech", clip, "--model", model, "-o", output, "--quiet"] + flags,
                    capture_output=True, text=True)
                seconds += time.monotonic() - start
                if made.returncode:
                    print(f"{name}, {clip}: {made.stderr.strip()}", file=sys.stderr)
                    continue
                report = subprocess.run(
                    [options.reword, "eval", output, clip, "--metrics", ",".join(METRICS), "--json", "--quiet"],
                    capture_output=True, text=True, check=True)
                output.unlink()
                for score in json.loads(report.stdout)["scores"]:
                    if score["metric"] in sums and score.get("value") is not None:
                        sums[score["metric"]].append(score["value"])
            means = [f"{sum(values) / len(values):.3f}" if values else "–" for values in sums.values()]
            print(f"| {name} | " + " | ".join(means) + f" | {seconds / len(options.clips):.1f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
