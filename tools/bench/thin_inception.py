"""Random weights of FID's network in the converted layout, with inner layers of one channel and all 2,048 features.

With them ten thousand frames go through `reword eval --metrics fid` in minutes, which shows how its memory grows with the
number of frames; the numbers mean nothing.

    pip install torch torchvision safetensors
    python tools/bench/thin_inception.py weights/inception_fid.safetensors
    /usr/bin/time -v reword eval MADE REFERENCE --metrics fid --weights weights
"""

import sys
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import inception

# Where the features come from: the last block's convolutions, whose outputs lie side by side.
LAST = {"branch1x1": 320, "branch3x3_2a": 384, "branch3x3_2b": 384, "branch3x3dbl_3a": 384, "branch3x3dbl_3b": 384, "branch_pool": 192}


class Thin(nn.Module):
    """A convolution to one channel, from however many there are."""

    def __init__(self, _inputs, _outputs, **options):
        super().__init__()
        self.conv = nn.LazyConv2d(1, bias=False, **options)
        self.bn = nn.LazyBatchNorm2d(eps=1e-3)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))


def main():
    out = Path(sys.argv[1])
    torch.manual_seed(0)
    blocks = (inception.InceptionA, inception.InceptionB, inception.InceptionC, inception.InceptionD, inception.InceptionE)
    parts = [Thin, *(partial(block, conv_block=Thin) for block in blocks), inception.InceptionAux]
    net = inception.Inception3(4, aux_logits=False, inception_blocks=parts, init_weights=False)
    for name, width in LAST.items():
        part = getattr(net.Mixed_7c, name)
        part.conv = nn.LazyConv2d(width, part.conv.kernel_size, padding=part.conv.padding, bias=False)
    net.fc = nn.Identity()
    with torch.no_grad():
        # The first run tells the lazy layers their sizes.
        net.eval()(torch.rand(1, 3, 299, 299))
        # Weights above zero let the pictures through.
        weights = {
            name: (tensor.abs() + 0.01 if tensor.dim() > 1 else tensor).contiguous()
            for name, tensor in net.state_dict().items()
            if tensor.is_floating_point()
        }
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, out)


if __name__ == "__main__":
    main()
