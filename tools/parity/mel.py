"""Writes crates/speech/tests/fixtures/mel.json: what `transformers` and numpy make of a signal that the test repeats.

    python tools/parity/mel.py          (needs numpy, transformers)
"""

import json
import pathlib

import numpy as np
from transformers import WhisperFeatureExtractor
from transformers.audio_utils import mel_filter_bank

SAMPLES, SEED, FFT, HOP = 20_123, 12_345, 400, 160


def signal():
    state, out = SEED, []
    for n in range(SAMPLES):
        state = (state * 1_664_525 + 1_013_904_223) % 2**32
        noise = (state >> 8) / 2**24 - 0.5
        t = n / 16_000
        envelope = 0.5 + 0.5 * np.sin(2 * np.pi * 1.7 * t)
        tone = np.sin(2 * np.pi * (120 * t + 700 * t * t))
        out.append(envelope * (0.05 * tone + 0.004 * noise))
    return np.array(out, np.float32)


def rows(matrix, step):
    return [[i, [round(float(v), 6) for v in matrix[i]]] for i in range(0, len(matrix), step)] + [
        [len(matrix) - 1, [round(float(v), 6) for v in matrix[-1]]]
    ]


samples = signal()
bank = mel_filter_bank(FFT // 2 + 1, 80, 0.0, 8000.0, 16_000, norm="slaney", mel_scale="slaney").T

whole = samples[: len(samples) // 320 * 320].reshape(-1, 320).astype(np.float64)
gain = min(0.1 / max(np.percentile(np.sqrt(np.mean(whole**2, axis=1)), 95), 1e-6), 20.0)
padded = np.pad(samples.astype(np.float64) * gain, FFT // 2, mode="reflect")
window = np.hanning(FFT + 1)[:-1]
frames = np.stack([padded[i : i + FFT] for i in range(0, len(padded) - FFT + 1, HOP)])
power = (np.abs(np.fft.rfft(frames * window, axis=1)) ** 2)[:-1]
embedded = (np.log10(np.maximum(power @ bank.T, 1e-7)) + 4) / 4

whisper = WhisperFeatureExtractor(feature_size=80)._np_extract_fbank_features(samples[None], "cpu")[0].T

path = pathlib.Path(__file__).parents[2] / "crates/speech/tests/fixtures/mel.json"
path.write_text(
    json.dumps(
        {
            "samples": SAMPLES,
            "seed": SEED,
            "gain": float(gain),
            "filter_rows": [[b, [round(float(v), 9) for v in bank[b]]] for b in (0, 1, 14, 39, 79)],
            "embedded": rows(embedded, 9),
            "embedded_frames": len(embedded),
            "whisper": rows(whisper, 13),
            "whisper_frames": len(whisper),
        },
        separators=(",", ":"),
    )
    + "\n"
)
