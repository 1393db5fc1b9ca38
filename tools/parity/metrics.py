"""Fixture of the metrics without networks: what scikit-image, scipy, python_speech_features and PyTorch make of the same data.

    pip install numpy scipy scikit-image safetensors torch python_speech_features pillow
    python tools/parity/metrics.py                     # writes crates/measure/tests/fixtures/metrics.safetensors
    python tools/parity/metrics.py --frames A.mp4 B.mp4  # prints PSNR and SSIM of two clips, frame by frame averaged
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import python_speech_features
import scipy.linalg
import torch
from PIL import Image
from safetensors.numpy import save_file
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "crates/measure/tests/fixtures/metrics.safetensors"
WIDTH, HEIGHT = 96, 80


def frames(path, size=None):
    """Decoded RGB frames of a clip; a box of the middle when a size is given."""
    probe = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height", "-of", "csv=p=0", path],
        capture_output=True, text=True, check=True)
    width, height = map(int, probe.stdout.strip().split(","))
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
    video = np.frombuffer(raw.stdout, np.uint8).reshape(-1, height, width, 3)
    if size:
        x, y = (width - size[0]) // 2, (height - size[1]) // 2
        video = video[:, y : y + size[1], x : x + size[0]]
    return video


def luma(image):
    return image.astype(np.float64) @ np.array([0.299, 0.587, 0.114])


SSIM = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255)


def scores(a, b):
    return [
        peak_signal_noise_ratio(a, b, data_range=255),
        structural_similarity(luma(a), luma(b), **SSIM),
        structural_similarity(a, b, channel_axis=2, **SSIM),
    ]


def pictures(out):
    clip = frames(str(ROOT / "assets/sample/sample.mp4"), (WIDTH, HEIGHT))
    clean = clip[0]
    later = clip[12]
    rough = np.clip(clean + np.random.default_rng(1).normal(0, 12, clean.shape), 0, 255).round().astype(np.uint8)
    soft = np.asarray(Image.fromarray(clean).resize((24, 20), Image.BICUBIC).resize((WIDTH, HEIGHT), Image.BICUBIC))
    out["pictures"] = np.stack([clean, later, rough, soft])
    out["picture_scores"] = np.array([scores(clean, other) for other in (later, rough, soft)])


def distances(out):
    random = np.random.default_rng(2)
    mix = random.normal(size=(24, 24)) / 4
    one = (random.normal(size=(200, 24)) @ mix + 3).astype(np.float32)
    two = (random.normal(size=(150, 24)) @ (mix + 0.05 * random.normal(size=(24, 24))) + 3.1).astype(np.float32)

    def frechet(a, b):
        a, b = a.astype(np.float64), b.astype(np.float64)
        root = scipy.linalg.sqrtm(np.cov(a, rowvar=False) @ np.cov(b, rowvar=False))
        trace = np.trace(np.cov(a, rowvar=False)) + np.trace(np.cov(b, rowvar=False)) - 2 * np.trace(root.real)
        return np.sum((a.mean(0) - b.mean(0)) ** 2) + trace

    out["features_one"], out["features_two"] = one, two
    out["frechet"] = np.array([frechet(one, two)])


def speech(out):
    """A signal that the test repeats: a chirp with noise by a linear congruential generator."""
    count, state, samples = 16_123, 12_345, []
    for n in range(count):
        state = (state * 1_664_525 + 1_013_904_223) % 2**32
        noise = (state >> 8) / 2**24 - 0.5
        t = n / 16_000
        samples.append((0.5 + 0.5 * np.sin(2 * np.pi * 1.7 * t)) * (0.3 * np.sin(2 * np.pi * (120 * t + 700 * t * t)) + 0.05 * noise))
    pcm = np.rint(np.array(samples).astype(np.float32).astype(np.float64) * 32768).astype(np.int16)
    out["mfcc"] = python_speech_features.mfcc(pcm, 16_000).astype(np.float32)


def lags(out):
    """The offset search on random embeddings whose sound comes three frames late."""
    random = torch.Generator().manual_seed(3)
    lips = torch.randn(60, 32, generator=random) * 2
    sound = torch.roll(lips, 3, 0) + 0.3 * torch.randn(60, 32, generator=random)
    padded = torch.nn.functional.pad(sound, (0, 0, 15, 15))
    table = torch.stack([
        torch.nn.functional.pairwise_distance(lips[[i]].repeat(31, 1), padded[i : i + 31]) for i in range(60)], 1)
    means = table.mean(1)
    least, index = means.min(0)
    out["lips"], out["sound"] = lips.numpy(), sound.numpy()
    out["sync"] = np.array([means.median() - least, least, 15 - index], np.float64)
    out["sync_frames"] = table[index].numpy()


def main():
    if sys.argv[1:2] == ["--frames"]:
        pairs = list(zip(frames(sys.argv[2]), frames(sys.argv[3])))
        print(len(pairs), "pairs: PSNR, SSIM of luma, SSIM of RGB:", *np.mean([scores(a, b) for a, b in pairs], 0))
        return
    out = {}
    for part in (pictures, distances, speech, lags):
        part(out)
    FIXTURE.parent.mkdir(parents=True, exist_ok=True)
    save_file(out, FIXTURE)
    print(out["picture_scores"], out["frechet"], out["mfcc"].shape, out["sync"], FIXTURE.stat().st_size)


if __name__ == "__main__":
    main()
