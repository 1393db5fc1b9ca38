"""Small random T5 and Whisper encoders of transformers, and latent upsamplers of diffusers, with inputs and outputs, for
`crates/models/tests/parity.rs`.

    pip install torch transformers==5.23.0 diffusers==0.42.1 safetensors
    python tools/parity/text_and_sound.py crates/models/tests/fixtures

Files are laid out as in `ltx.py`: weights under their own names, inputs as `in.*`, outputs as `out.*`, the library's
`config.json` in the header. Sizes are odd on purpose.
"""

import argparse
import json
from pathlib import Path

import torch
from diffusers.pipelines.ltx.modeling_latent_upsampler import LTXLatentUpsamplerModel
from safetensors.torch import save_file
from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel, WhisperConfig, WhisperForConditionalGeneration


def fill(model, seed):
    """Values large enough that every part shows in the output, exact in 16 bit so that the files are half as long."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            scale = 1 / p[0].numel() ** 0.5 if p.ndim > 1 and "relative" not in name and "embed" not in name else 0.5
            p.copy_(torch.randn(p.shape, generator=generator) * scale)
            if "norm" in name and name.endswith("weight"):
                p.add_(1)
            p.copy_(p.bfloat16().float())
    return model.eval()


def write(path, config, weights, inputs, outputs):
    tensors = {k: v.detach().bfloat16().contiguous().clone() for k, v in weights.items()}
    tensors |= {f"in.{k}": v.contiguous() for k, v in inputs.items()}
    tensors |= {f"out.{k}": v.detach().contiguous() for k, v in outputs.items()}
    save_file(tensors, str(path), metadata={"config": json.dumps(config)})
    print(path, path.stat().st_size)


@torch.no_grad()
def t5(path, seed, keep, cls=T5EncoderModel, config=T5Config, batch=3, length=150, **sizes):
    """`keep` names the copy of the embedding that the file holds: both occur."""
    config = config(vocab_size=101, **sizes)
    model = fill(cls(config), seed)
    torch.manual_seed(seed)
    ids = torch.randint(0, 101, (batch, length))
    mask = torch.ones(batch, length, dtype=torch.long)
    mask[1, length // 3 :] = 0
    mask[2, :5] = 0  # padding in front and a hole, which no tokenizer makes
    mask[2, 9] = 0
    hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    weights = {k: v for k, v in model.state_dict().items() if "embed_tokens" not in k and k != "shared.weight"}
    weights[keep] = model.get_input_embeddings().weight
    write(path, config.to_dict(), weights, dict(input_ids=ids, attention_mask=mask), dict(hidden=hidden))


@torch.no_grad()
def whisper(path, seed, prefix, **sizes):
    config = WhisperConfig(vocab_size=20, decoder_layers=1, decoder_attention_heads=1, decoder_ffn_dim=4,
                           max_target_positions=4, pad_token_id=0, bos_token_id=0, eos_token_id=0,
                           decoder_start_token_id=0, **sizes)
    model = fill(WhisperForConditionalGeneration(config), seed)
    torch.manual_seed(seed)
    mel = torch.randn(2, config.num_mel_bins, 2 * config.max_source_positions).half().float()
    states = model.get_encoder()(mel, output_hidden_states=True).hidden_states
    if prefix is None:
        weights = dict(model.get_encoder().state_dict())
    else:
        weights = {k.removeprefix("model." if prefix == "encoder." else ""): v for k, v in model.state_dict().items()}
    write(path, config.to_dict(), weights, dict(mel=mel.half()), dict(hidden_states=torch.stack(states, 1)))


@torch.no_grad()
def upsampler(path, seed, size, **config):
    model = fill(LTXLatentUpsamplerModel(**config), seed)
    torch.manual_seed(seed)
    latents = torch.randn(2, config["in_channels"], *size)
    write(path, dict(model.config), model.state_dict(), dict(latents=latents), dict(latents=model(latents)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    t5(folder / "t5_gated.safetensors", 1, "shared.weight", d_model=22, d_kv=7, d_ff=37, num_layers=3, num_heads=3,
       feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    t5(folder / "t5_relu.safetensors", 2, "encoder.embed_tokens.weight", d_model=18, d_kv=8, d_ff=21, num_layers=2, num_heads=5,
       feed_forward_proj="relu", relative_attention_num_buckets=12, relative_attention_max_distance=40)
    t5(folder / "t5_umt5.safetensors", 3, "shared.weight", UMT5EncoderModel, UMT5Config, length=31, d_model=14, d_kv=5,
       d_ff=20, num_layers=2, num_heads=3, feed_forward_proj="gated-gelu")
    whisper(folder / "whisper_a.safetensors", 4, "model.", d_model=36, encoder_layers=3, encoder_attention_heads=4,
            encoder_ffn_dim=50, num_mel_bins=13, max_source_positions=37)
    whisper(folder / "whisper_b.safetensors", 5, None, d_model=30, encoder_layers=2, encoder_attention_heads=2,
            encoder_ffn_dim=64, num_mel_bins=80, max_source_positions=51)
    upsampler(folder / "upsampler_space.safetensors", 6, (3, 2, 5), in_channels=6, mid_channels=32, num_blocks_per_stage=2,
              dims=2, spatial_upsample=True, temporal_upsample=False)
    upsampler(folder / "upsampler_time.safetensors", 7, (3, 4, 3), in_channels=5, mid_channels=32, num_blocks_per_stage=1,
              dims=3, spatial_upsample=False, temporal_upsample=True)
    upsampler(folder / "upsampler_both.safetensors", 8, (2, 3, 3), in_channels=3, mid_channels=32, num_blocks_per_stage=1,
              dims=3, spatial_upsample=True, temporal_upsample=True)


if __name__ == "__main__":
    main()
