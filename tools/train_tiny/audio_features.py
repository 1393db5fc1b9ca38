"""Mel features of the embedded model's audio encoder (see the model's header config).

mono 16 kHz -> gain normalisation -> 100 Hz log-mel, 80 Slaney bands, no per-chunk clamp.
"""
import subprocess
import numpy as np

SAMPLE_RATE, N_FFT, HOP, MEL_BANDS = 16000, 400, 160, 80


def load_audio(path):
    """Whole sound track as mono 16 kHz float32 in -1..1 (empty array if there is none)."""
    raw = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(path), "-vn", "-ac", "1", "-ar", str(SAMPLE_RATE), "-f", "f32le", "-"],
        stdout=subprocess.PIPE, check=False).stdout
    return np.frombuffer(raw, np.float32).copy()


def normalise_gain(samples):
    """Scale so that the 95th percentile of the RMS of 20 ms frames becomes 0.1 (gain at most 20)."""
    n = len(samples) // 320
    if n == 0:
        return samples
    rms = np.sqrt(np.mean(samples[: n * 320].reshape(n, 320).astype(np.float64) ** 2, axis=1))
    g = np.percentile(rms, 95)
    return (samples * min(0.1 / max(g, 1e-6), 20.0)).astype(np.float32)


def _hz_to_mel(f):
    f = np.asarray(f, np.float64)
    linear = f / (200.0 / 3)
    log = 15.0 + np.log(np.maximum(f, 1e-9) / 1000.0) / (np.log(6.4) / 27.0)
    return np.where(f >= 1000.0, log, linear)


def _mel_to_hz(m):
    m = np.asarray(m, np.float64)
    return np.where(m >= 15.0, 1000.0 * np.exp((np.log(6.4) / 27.0) * (m - 15.0)), m * (200.0 / 3))


def mel_filters():
    """Slaney-spaced triangles of unit area, [80, 201]."""
    bins = np.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1)
    edges = _mel_to_hz(np.linspace(_hz_to_mel(0.0), _hz_to_mel(8000.0), MEL_BANDS + 2))
    out = np.zeros((MEL_BANDS, len(bins)))
    for i in range(MEL_BANDS):
        lo, mid, hi = edges[i: i + 3]
        tri = np.maximum(0, np.minimum((bins - lo) / (mid - lo), (hi - bins) / (hi - mid)))
        out[i] = tri * 2.0 / (hi - lo)
    return out


_FILTERS = mel_filters()
_WINDOW = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)


def mel(samples):
    """[T, 80] float32 at 100 Hz."""
    if len(samples) < N_FFT:
        samples = np.pad(samples, (0, N_FFT - len(samples)))
    x = np.pad(samples.astype(np.float64), N_FFT // 2, mode="reflect")
    frames = 1 + (len(x) - N_FFT) // HOP
    view = np.lib.stride_tricks.as_strided(x, (frames, N_FFT), (x.strides[0] * HOP, x.strides[0]))
    power = np.abs(np.fft.rfft(view * _WINDOW, axis=1)) ** 2
    power = power[:-1]  # drop the last frame, as Whisper does
    m = np.log10(np.maximum(power @ _FILTERS.T, 1e-7))
    return ((m + 4.0) / 4.0).astype(np.float32)
