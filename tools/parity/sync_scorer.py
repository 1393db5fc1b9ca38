"""Fixture of the sync scorer: a PyTorch twin of `crates/models/src/sync_scorer.rs` with small random weights.

    pip install torch safetensors
    python tools/parity/sync_scorer.py      # writes crates/models/tests/fixtures/sync_scorer.safetensors
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

OUT = Path(__file__).parents[2] / "crates/models/tests/fixtures/sync_scorer.safetensors"
CONFIG = {"width": 12, "embedding": 6, "points": 5, "mel_bands": 7, "picture": [1, 2], "sound": [1, 3], "window": 10, "reach": 4}


class Block(nn.Module):
    def __init__(self, width, dilation):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv1 = nn.Conv1d(width, width, 5, padding=2 * dilation, dilation=dilation)
        self.conv2 = nn.Conv1d(width, width, 1)

    def forward(self, x):
        return x + self.conv2(F.gelu(self.conv1(self.norm(x.transpose(1, 2)).transpose(1, 2))))


class Tower(nn.Module):
    def __init__(self, dilations, conv_in, halves):
        super().__init__()
        width = CONFIG["width"]
        self.conv_in = conv_in
        if halves:
            self.conv_half = nn.Conv1d(width, width, 4, stride=2, padding=1)
        self.blocks = nn.ModuleList([Block(width, d) for d in dilations])
        self.norm_out = nn.LayerNorm(width)
        self.head = nn.Linear(width, CONFIG["embedding"])

    def forward(self, x):
        x = self.conv_in(x.transpose(1, 2))
        if hasattr(self, "conv_half"):
            x = self.conv_half(F.gelu(x))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm_out(x.transpose(1, 2)))


def windows(x, size):
    parts = x.unfold(1, size, 1).transpose(2, 3)
    parts = (parts - parts.mean(2, keepdim=True)).flatten(2)
    return parts / (parts.norm(dim=2, keepdim=True) + 1e-6)


def main():
    torch.manual_seed(3)
    width, points, bands = CONFIG["width"], CONFIG["points"], CONFIG["mel_bands"]
    picture = Tower(CONFIG["picture"], nn.Conv1d(2 * points, width, 5, padding=2), False)
    sound = Tower(CONFIG["sound"], nn.Conv1d(bands, width, 4, stride=2, padding=1), True)
    for tower in (picture, sound):
        for parameter in tower.parameters():
            nn.init.normal_(parameter, std=0.3)
    window, frames = CONFIG["window"], CONFIG["window"] + 2 * CONFIG["reach"]
    lips, mel = 3 * torch.randn(1, window, 2 * points) + 5, torch.randn(1, 4 * frames, bands)
    with torch.no_grad():
        shown = picture(lips - lips.mean(1, keepdim=True))
        heard = sound(mel)
        curve = (windows(shown, window) @ windows(heard, window).transpose(1, 2))[0, 0]
    out = {"in.points": lips, "in.mel": mel, "out.picture": shown, "out.sound": heard, "out.curve": curve}
    for name, tower in (("picture", picture), ("sound", sound)):
        out |= {f"sync_scorer.{name}.{key}": value for key, value in tower.state_dict().items()}
    out = {key: value.detach().contiguous() for key, value in out.items()}
    save_file(out, OUT, metadata={"config": json.dumps({"sync_scorer": CONFIG})})


if __name__ == "__main__":
    main()
