"""The pictures between a clip's frames by AMT-S, for `reword eval --interpolator`: VBench's motion smoothness.

AMT's code and weights (github.com/MCG-NKU/AMT) are licensed for non-commercial use only and are not part of this
repository: get them yourself, if that licence fits what you do. Frames come as raw RGB on standard input; for each but
the first, the picture in the middle between it and the one before goes to standard output.

    git clone https://github.com/MCG-NKU/AMT                       # and amt-s.pth, from its README
    reword eval MADE REFERENCE --metrics motion-smoothness \\
        --interpolator "python3 tools/interpolate_amt.py AMT amt-s.pth"
"""

import argparse
import importlib
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

# The configuration of AMT-S (cfgs/AMT-S.yaml).
SETTINGS = {"corr_radius": 3, "corr_lvls": 4, "num_flows": 3}
# Sides are filled up to a multiple of this, half on either side, by the border.
MULTIPLE = 16


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("width", type=int)
    parser.add_argument("height", type=int)
    options = parser.parse_args()
    sys.path.insert(0, str(options.checkout))
    net = importlib.import_module("networks.AMT-S").Model(**SETTINGS)
    # The file holds the state of training beside the weights: plain tensors and numbers.
    net.load_state_dict(torch.load(options.weights, map_location="cpu", weights_only=True)["state_dict"])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = net.to(device).eval()
    width, height = options.width, options.height
    across, down = -width % MULTIPLE, -height % MULTIPLE
    fill = [across // 2, across - across // 2, down // 2, down - down // 2]
    half = torch.full((1, 1, 1, 1), 0.5, device=device)
    before = None
    while len(data := sys.stdin.buffer.read(3 * width * height)) == 3 * width * height:
        picture = np.frombuffer(bytearray(data), dtype=np.uint8).reshape(1, height, width, 3)
        frame = torch.from_numpy(picture).to(device).permute(0, 3, 1, 2) / 255.0
        frame = F.pad(frame, fill, mode="replicate")
        if before is not None:
            with torch.no_grad():
                middle = net(before, frame, half, scale_factor=1.0, eval=True)["imgt_pred"]
            middle = middle[0, :, fill[2] : fill[2] + height, fill[0] : fill[0] + width]
            # VBench cuts off what is behind the point.
            values = (middle.permute(1, 2, 0) * 255.0).clamp(0, 255).to(torch.uint8)
            sys.stdout.buffer.write(values.cpu().numpy().tobytes())
            sys.stdout.buffer.flush()
        before = frame


if __name__ == "__main__":
    main()
