"""Write and read the single file.

    python export.py --audio audio.pt --vae vae.pt --dit dit.pt --out tiny.safetensors [--set scheduler.steps=8 ...]
"""
import argparse, copy, json
from pathlib import Path
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_model import AudioEncoder, CONFIG, Transformer, Vae

STATS = "per_channel_statistics"
PREFIX = ("audio_encoder.", "vae.", "model.diffusion_model.")


def to_key(k):
    return k.replace(STATS + "_mean_of_means", STATS + ".mean-of-means").replace(STATS + "_std_of_means", STATS + ".std-of-means")


def from_key(k):
    return k.replace(STATS + ".mean-of-means", STATS + "_mean_of_means").replace(STATS + ".std-of-means", STATS + "_std_of_means")


def write_file(path, enc, vae, dit, cfg, dtype=torch.float16, extra=None, tensors=None):
    """Matrices in `dtype`; vectors, tables and statistics stay f32."""
    out = {k: v.float().contiguous() for k, v in (tensors or {}).items()}
    for prefix, m in zip(PREFIX, (enc, vae, dit)):
        for k, v in m.state_dict().items():
            big = v.ndim >= 2 and v.numel() >= 4096
            out[prefix + to_key(k)] = v.detach().to(dtype if big else torch.float32).contiguous().clone()
    tmp = Path(str(path) + ".tmp")
    save_file(out, str(tmp), metadata={"config": json.dumps(cfg), "format": "pt", **(extra or {})})
    tmp.replace(path)


def load_file_parts(path):
    with safe_open(str(path), "pt") as f:
        cfg = json.loads(f.metadata()["config"])
        t = {k: f.get_tensor(k).float() for k in f.keys()}
    enc = AudioEncoder(cfg["audio_encoder"], mouth_targets=t["audio_encoder.mouth.weight"].shape[0])
    vae, dit = Vae(cfg["vae"]), Transformer(cfg["transformer"])
    for prefix, m in zip(PREFIX, (enc, vae, dit)):
        m.load_state_dict({from_key(k[len(prefix):]): v for k, v in t.items() if k.startswith(prefix) and not k.startswith("audio_encoder.mouth_")})
        m.eval()
    return enc, vae, dit, cfg


def set_value(cfg, path, text):
    keys = path.split(".")
    for k in keys[:-1]:
        cfg = cfg[k]
    try:
        cfg[keys[-1]] = json.loads(text)
    except json.JSONDecodeError:
        cfg[keys[-1]] = text


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--audio", type=Path, required=True)
    ap.add_argument("--vae", type=Path, required=True)
    ap.add_argument("--dit", type=Path, help="holds the audio encoder as well when it was trained on; random weights without it")
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--set", nargs="*", default=[])
    a = ap.parse_args()
    cfg = copy.deepcopy(CONFIG)
    for s in a.set:
        set_value(cfg, *s.split("=", 1))
    saved = torch.load(a.audio, weights_only=False)
    st = saved["state"]
    cfg["audio_encoder"]["mean_norm"] = bool(saved.get("mean_norm", 0))
    enc, vae, dit = AudioEncoder(mouth_targets=st["mouth.weight"].shape[0]), Vae(), Transformer()
    enc.load_state_dict(st)
    vae.load_state_dict(torch.load(a.vae, weights_only=False)["ema"])
    if a.dit:
        d = torch.load(a.dit, weights_only=False)
        dit.load_state_dict(d["ema"])
        if "audio" in d:
            enc.load_state_dict(d["audio"])
    # what the numbers of the mouth head mean
    mouth = {"audio_encoder.mouth_basis": saved["basis"] / saved["scale"][:, None],
             "audio_encoder.mouth_scale": torch.stack([saved["centre"], saved["spread"]])}
    write_file(a.out, enc, vae, dit, cfg, tensors=mouth)
    print(a.out, a.out.stat().st_size / 1e6, "MB")


if __name__ == "__main__":
    main()
