"""Fixtures of the networks for measuring: outputs of PyTorch twins with weights and inputs by formula.

Weights are not stored: `value(name, index)` below gives the same numbers here and in `crates/models/tests/measuring.rs`.
Image networks are torchvision's own; FID's Inception is torchvision's with the two known differences; I3D, SyncNet,
MobileFaceNet and ArcFace are written from their papers' and repositories' layer tables.

    pip install torch torchvision safetensors numpy
    python tools/parity/measure_networks.py        # writes crates/models/tests/fixtures/measuring.safetensors
"""

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import save_file
from torch import nn

FIXTURE = Path(__file__).parents[2] / "crates/models/tests/fixtures/measuring.safetensors"
MASK = (1 << 64) - 1


def noise(name: str, count: int) -> np.ndarray:
    """Numbers in -1..1: splitmix64 of the name's FNV-1a hash and the index, 24 bits each."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & MASK
    with np.errstate(over="ignore"):
        x = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(40)).astype(np.float64) / (1 << 23) - 1.0


def value(name: str, shape) -> torch.Tensor:
    u = noise(name, math.prod(shape))
    if name.endswith("running_var"):
        u = 1.0 + 0.5 * u
    elif name.endswith("running_mean") or name.endswith("bias"):
        u = 0.1 * u
    elif name.startswith("lin") and ".model." in name:
        u = np.abs(u)
    elif len(shape) == 1:
        u = 1.0 + 0.3 * u
    else:
        u = u * math.sqrt(6.0 / math.prod(shape[1:]))
    return torch.from_numpy(u.astype(np.float32)).reshape(shape)


def fill(net: nn.Module) -> nn.Module:
    state = {
        name: value(name, tuple(tensor.shape)) if tensor.is_floating_point() else tensor
        for name, tensor in net.state_dict().items()
    }
    net.load_state_dict(state)
    return net.eval()


def picture(name: str, shape, scale=1.0, shift=0.0) -> torch.Tensor:
    """An input: noise."""
    u = torch.from_numpy(noise(name, math.prod(shape)).astype(np.float32)).reshape(shape)
    return u * scale + shift


# LPIPS: where torchvision's `features` are read, after max(x, 0).
TAPS = {"alex": [1, 4, 7, 9, 11], "vgg": [3, 8, 15, 22, 29], "squeeze": [1, 4, 7, 9, 10, 11, 12]}
BACKBONES = {"alex": torchvision.models.alexnet, "vgg": torchvision.models.vgg16, "squeeze": torchvision.models.squeezenet1_1}


def lpips(name: str) -> torch.Tensor:
    # In-place activations would overwrite what was read.
    features = fill(BACKBONES[name](weights=None)).features
    for module in features.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    one, two = picture("lpips one", (2, 3, 70, 83)), picture("lpips two", (2, 3, 70, 83))
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)

    def stages(x):
        x, found = (x - shift) / scale, []
        for index, layer in enumerate(features):
            x = layer(x)
            if index in TAPS[name]:
                found.append(x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10))
        return found

    total = 0
    for stage, (a, b) in enumerate(zip(stages(one), stages(two))):
        head = value(f"lin{stage}.model.1.weight", (1, a.shape[1], 1, 1))
        total = total + ((a - b).pow(2) * head).sum(1).mean((1, 2))
    return total


def inception(fid: bool) -> torch.Tensor:
    net = fill(torchvision.models.inception_v3(weights=None, aux_logits=True, init_weights=False))
    net.fc = nn.Identity()
    net.transform_input = False
    if not fid:
        return net(picture("inception", (1, 3, 107, 131)))
    # The two differences of TensorFlow's network of 2015.
    plain, calls = F.avg_pool2d, []

    def mean(x, kernel_size, stride=1, padding=0, **_):
        # Called once a block that has a pooled branch, Mixed_7c last.
        calls.append(1)
        if len(calls) == 9:
            return F.max_pool2d(x, kernel_size, stride=stride, padding=padding)
        return plain(x, kernel_size, stride=stride, padding=padding, count_include_pad=False)

    F.avg_pool2d = mean
    try:
        result = net(picture("inception", (1, 3, 107, 131)))
    finally:
        F.avg_pool2d = plain
    assert len(calls) == 9, len(calls)
    return result


class Same3d(nn.Module):
    """Convolution with TensorFlow's SAME padding, batch norm, max(x, 0)."""

    def __init__(self, inputs, outputs, size, stride=1):
        super().__init__()
        self.size, self.stride = size, stride
        self.conv3d = nn.Conv3d(inputs, outputs, size, stride, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=1e-3)

    def forward(self, x):
        return F.relu(self.bn(self.conv3d(same_pad(x, [self.size] * 3, [self.stride] * 3))))


def same_pad(x, size, stride):
    pads = []
    for length, k, s in reversed(list(zip(x.shape[2:], size, stride))):
        total = max(math.ceil(length / s) * s - s + k - length, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


class Mixed(nn.Module):
    def __init__(self, inputs, c):
        super().__init__()
        self.b0 = Same3d(inputs, c[0], 1)
        self.b1a, self.b1b = Same3d(inputs, c[1], 1), Same3d(c[1], c[2], 3)
        self.b2a, self.b2b = Same3d(inputs, c[3], 1), Same3d(c[3], c[4], 3)
        self.b3b = Same3d(inputs, c[5], 1)

    def forward(self, x):
        pooled = F.max_pool3d(same_pad(x, [3] * 3, [1] * 3), 3, 1)
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)], 1)


# Carreira and Zisserman, figure 3, by the widths of Inception v1; here an eighth of them.
I3D = {
    "3b": [64, 96, 128, 16, 32, 32], "3c": [128, 128, 192, 32, 96, 64], "4b": [192, 96, 208, 16, 48, 64],
    "4c": [160, 112, 224, 24, 64, 64], "4d": [128, 128, 256, 24, 64, 64], "4e": [112, 144, 288, 32, 64, 64],
    "4f": [256, 160, 320, 32, 128, 128], "5b": [256, 160, 320, 32, 128, 128], "5c": [384, 192, 384, 48, 128, 128],
}


class I3d(nn.Module):
    def __init__(self, divide):
        super().__init__()
        self.Conv3d_1a_7x7 = Same3d(3, 64 // divide, 7, 2)
        self.Conv3d_2b_1x1 = Same3d(64 // divide, 64 // divide, 1)
        self.Conv3d_2c_3x3 = Same3d(64 // divide, 192 // divide, 3)
        width = 192 // divide
        for name, c in I3D.items():
            c = [n // divide for n in c]
            setattr(self, f"Mixed_{name}", Mixed(width, c))
            width = c[0] + c[2] + c[4] + c[5]
        self.logits = nn.Module()
        self.logits.conv3d = nn.Conv3d(width, 400 // divide, 1)

    def forward(self, x):
        def pool(x, size, stride):
            return F.max_pool3d(same_pad(x, size, stride), size, stride)

        x = pool(self.Conv3d_1a_7x7(x), [1, 3, 3], [1, 2, 2])
        x = pool(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x)), [1, 3, 3], [1, 2, 2])
        for name in I3D:
            if name == "4b":
                x = pool(x, [3] * 3, [2] * 3)
            if name == "5b":
                x = pool(x, [2] * 3, [2] * 3)
            x = getattr(self, f"Mixed_{name}")(x)
        x = F.avg_pool3d(x, (2, 7, 7), 1)
        return self.logits.conv3d(x).squeeze(4).squeeze(3).mean(2)


class SyncNet(nn.Module):
    """Fact table of joonson/syncnet_python; widths divided for a small test."""

    def __init__(self, d):
        super().__init__()

        def flat(i, o, k, p):
            return [nn.Conv2d(i, o, k, 1, p), nn.BatchNorm2d(o), nn.ReLU()]

        def deep(i, o, k, s, p):
            return [nn.Conv3d(i, o, k, (1, s, s), (0, p, p)), nn.BatchNorm3d(o), nn.ReLU()]

        def head():
            return nn.Sequential(nn.Linear(512 // d, 512 // d), nn.BatchNorm1d(512 // d), nn.ReLU(), nn.Linear(512 // d, 1024 // d))

        self.netcnnaud = nn.Sequential(
            *flat(1, 64 // d, 3, 1), nn.MaxPool2d(1, 1),
            *flat(64 // d, 192 // d, 3, 1), nn.MaxPool2d(3, (1, 2)),
            *flat(192 // d, 384 // d, 3, 1), *flat(384 // d, 256 // d, 3, 1),
            *flat(256 // d, 256 // d, 3, 1), nn.MaxPool2d(3, 2),
            *flat(256 // d, 512 // d, (5, 4), 0),
        )
        self.netfcaud = head()
        half = (1, 2, 2)
        self.netcnnlip = nn.Sequential(
            *deep(3, 96 // d, (5, 7, 7), 2, 0), nn.MaxPool3d((1, 3, 3), half),
            *deep(96 // d, 256 // d, (1, 5, 5), 2, 1), nn.MaxPool3d((1, 3, 3), half, (0, 1, 1)),
            *deep(256 // d, 256 // d, (1, 3, 3), 1, 1), *deep(256 // d, 256 // d, (1, 3, 3), 1, 1),
            *deep(256 // d, 256 // d, (1, 3, 3), 1, 1), nn.MaxPool3d((1, 3, 3), half),
            *deep(256 // d, 512 // d, (1, 6, 6), 1, 0),
        )
        self.netfclip = head()

    def sound(self, x):
        return self.netfcaud(self.netcnnaud(x).flatten(1))

    def lips(self, x):
        return self.netfclip(self.netcnnlip(x).flatten(1))


class Unit(nn.Module):
    def __init__(self, i, o, k, s, p, groups=1, slope=True):
        super().__init__()
        self.conv = nn.Conv2d(i, o, k, s, p, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(o)
        if slope:
            self.prelu = nn.PReLU(o)

    def forward(self, x):
        x = self.bn(self.conv(x))
        return self.prelu(x) if hasattr(self, "prelu") else x


class Bottleneck(nn.Module):
    def __init__(self, i, o, s, t):
        super().__init__()
        self.residual, w = s == 1 and i == o, i * t
        self.conv = nn.Sequential(
            nn.Conv2d(i, w, 1, bias=False), nn.BatchNorm2d(w), nn.PReLU(w),
            nn.Conv2d(w, w, 3, s, 1, groups=w, bias=False), nn.BatchNorm2d(w), nn.PReLU(w),
            nn.Conv2d(w, o, 1, bias=False), nn.BatchNorm2d(o),
        )

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileFaceNet(nn.Module):
    """Table 1 of the paper, for crops of 96x112."""

    def __init__(self):
        super().__init__()
        self.conv1, self.dw_conv1 = Unit(3, 64, 3, 2, 1), Unit(64, 64, 3, 1, 1, groups=64)
        blocks, width = [], 64
        for t, c, n, s in [(2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1)]:
            for index in range(n):
                blocks.append(Bottleneck(width, c, s if index == 0 else 1, t))
                width = c
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = Unit(128, 512, 1, 1, 0)
        self.linear7 = Unit(512, 512, (7, 6), 1, 0, groups=512, slope=False)
        self.linear1 = Unit(512, 128, 1, 1, 0, slope=False)

    def forward(self, x):
        x = self.blocks(self.dw_conv1(self.conv1((x - 127.5) / 128)))
        return self.linear1(self.linear7(self.conv2(x))).flatten(1)


class ArcBlock(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        self.bn1, self.conv1, self.bn2 = nn.BatchNorm2d(i), nn.Conv2d(i, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        self.prelu, self.conv2, self.bn3 = nn.PReLU(o), nn.Conv2d(o, o, 3, s, 1, bias=False), nn.BatchNorm2d(o)
        if s != 1 or i != o:
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, s, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        y = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(x))))))
        return y + (self.downsample(x) if hasattr(self, "downsample") else x)


class ArcFace(nn.Module):
    def __init__(self, depths, d):
        super().__init__()
        self.conv1, self.bn1, self.prelu = nn.Conv2d(3, 64 // d, 3, 1, 1, bias=False), nn.BatchNorm2d(64 // d), nn.PReLU(64 // d)
        width = 64 // d
        for stage, (depth, c) in enumerate(zip(depths, [64, 128, 256, 512]), 1):
            c //= d
            blocks = [ArcBlock(width if n == 0 else c, c, 2 if n == 0 else 1) for n in range(depth)]
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
            width = c
        self.bn2 = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width * 49, 512 // d)
        self.features = nn.BatchNorm1d(512 // d)

    def forward(self, x):
        x = self.prelu(self.bn1(self.conv1(x / 127.5 - 1)))
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return self.features(self.fc(self.bn2(x).flatten(1)))


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    out = {f"lpips.{name}": lpips(name) for name in TAPS}
    out["inception.fid"] = inception(True)[0, ::8].contiguous()
    out["inception.torchvision"] = inception(False)[0, ::8].contiguous()
    out["i3d"] = fill(I3d(8))(picture("i3d", (1, 3, 16, 224, 224)))
    sync = fill(SyncNet(8))
    out["syncnet.sound"] = sync.sound(picture("cepstra", (3, 1, 13, 20), 10.0))
    out["syncnet.lips"] = sync.lips(picture("lips", (2, 3, 5, 224, 224), 127.5, 127.5))
    faces = (2, 3, 112, 96)
    out["face_id.mobile"] = fill(MobileFaceNet())(picture("face", faces, 127.5, 127.5))
    out["face_id.arc"] = fill(ArcFace([2, 1, 2, 1], 8))(picture("face", (2, 3, 112, 112), 127.5, 127.5))
    for name, tensor in out.items():
        print(f"{name}: {tuple(tensor.shape)} mean {tensor.mean():.4g} deviation {tensor.std():.4g}")
    # Shapes of the twins' tensors, so that the test need not repeat them.
    shapes = {
        "alex": BACKBONES["alex"](), "vgg": BACKBONES["vgg"](), "squeeze": BACKBONES["squeeze"](),
        "inception": torchvision.models.inception_v3(weights=None, init_weights=False), "i3d": I3d(8), "syncnet": SyncNet(8),
        "mobile": MobileFaceNet(), "arc": ArcFace([2, 1, 2, 1], 8),
    }
    text = "\n".join(
        f"{net} {name} {','.join(map(str, tensor.shape))}"
        for net, module in shapes.items()
        for name, tensor in module.state_dict().items()
        if tensor.is_floating_point() and not name.startswith(("classifier", "AuxLogits")) and (net, name[:3]) != ("inception", "fc.")
    )
    save_file({name: tensor.contiguous() for name, tensor in out.items()}, FIXTURE, metadata={"shapes": text})
    print(FIXTURE.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
