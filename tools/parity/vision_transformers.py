"""Fixture of the vision transformers: transformers' own models with small random weights, under this project's names.

DINO's positions at other sizes than its own are stretched as facebookresearch/dino does it (`interpolate` by factors that
are a little too large), which transformers does not: they are put in from outside.

    pip install torch transformers safetensors
    python tools/parity/vision_transformers.py     # writes crates/models/tests/fixtures/vit.safetensors
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, VideoMAEConfig, VideoMAEForVideoClassification
from transformers import ViTConfig, ViTModel

OUT = Path(__file__).parents[2] / "crates/models/tests/fixtures/vit.safetensors"
WIDTH, HEADS, LAYERS, INNER, PATCH, SIDE = 16, 2, 2, 24, 4, 12


def shake(net):
    """Everything random, norms and biases too, so that none can be left out unseen."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            inputs = parameter[0].numel() if parameter.ndim > 1 else 1
            parameter.copy_(torch.randn(parameter.shape) / inputs**0.5)
            if parameter.ndim == 1 and name.endswith("weight"):
                parameter.mul_(0.3).add_(1.0)
    return net.eval()


def blocks(state, layers, norm1, norm2, q, k, v, out, fc1, fc2):
    """Blocks of transformers under timm's names: q, k, v one below the other."""
    found = {}
    for n in range(LAYERS):
        p, to = f"{layers}.{n}.", f"blocks.{n}."
        for name, own in ((norm1, "norm1"), (norm2, "norm2"), (out, "attn.proj"), (fc1, "mlp.fc1"), (fc2, "mlp.fc2")):
            for kind in ("weight", "bias"):
                found[f"{to}{own}.{kind}"] = state[f"{p}{name}.{kind}"]
        found[f"{to}attn.qkv.weight"] = torch.cat([state[f"{p}{name}.weight"] for name in (q, k, v)])
        bias = lambda name: state.get(f"{p}{name}.bias", torch.zeros(WIDTH))
        found[f"{to}attn.qkv.bias"] = torch.cat([bias(name) for name in (q, k, v)])
    return found


def part(state, ending):
    """The one tensor that ends so."""
    names = [name for name in state if name.endswith(ending)]
    assert len(names) == 1, (ending, names)
    return state[names[0]]


def dino(size):
    config = dict(hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=INNER, patch_size=PATCH)
    config |= dict(hidden_act="gelu", layer_norm_eps=1e-6, qkv_bias=True)
    torch.manual_seed(1)
    own = shake(ViTModel(ViTConfig(image_size=SIDE, **config), add_pooling_layer=False))
    state = own.state_dict()
    pixels = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(2))
    rows, columns, side = size[0] // PATCH, size[1] // PATCH, SIDE // PATCH
    net = own
    if (rows, columns) != (side, side):
        learned = state["embeddings.position_embeddings"]
        plane = learned[:, 1:].reshape(1, side, side, WIDTH).permute(0, 3, 1, 2)
        plane = F.interpolate(plane, scale_factor=((rows + 0.1) / side, (columns + 0.1) / side), mode="bicubic")
        net = ViTModel(ViTConfig(image_size=(rows * PATCH, columns * PATCH), **config), add_pooling_layer=False)
        stretched = torch.cat([learned[:, :1], plane.permute(0, 2, 3, 1).reshape(1, -1, WIDTH)], 1)
        net.load_state_dict(state | {"embeddings.position_embeddings": stretched})
        net.eval()
    with torch.no_grad():
        out = net(pixels[:, :, : rows * PATCH, : columns * PATCH]).last_hidden_state[:, 0]
    return state, pixels, out


def main():
    out = {}

    def keep(kind, weights, **others):
        out.update({f"{kind}.weights.{name}": tensor for name, tensor in weights.items()})
        out.update({f"{kind}.{name}": tensor for name, tensor in others.items()})

    state, pixels, features = dino((SIDE, SIDE))
    # A row and two columns more than patches: they are left out.
    _, wide, wide_features = dino((SIDE + 1, 2 * SIDE + 6))
    attention = (f"attention.{n}_proj" for n in "qkvo")
    weights = blocks(state, "layers", "layernorm_before", "layernorm_after", *attention, "mlp.fc1", "mlp.fc2")
    weights |= {
        "cls_token": state["embeddings.cls_token"], "pos_embed": state["embeddings.position_embeddings"],
        "patch_embed.proj.weight": part(state, "projection.weight"), "patch_embed.proj.bias": part(state, "projection.bias"),
        "norm.weight": state["layernorm.weight"], "norm.bias": state["layernorm.bias"],
    }
    keep("dino", weights, pixels=pixels, features=features, wide=wide, wide_features=wide_features)

    torch.manual_seed(3)
    net = shake(CLIPVisionModelWithProjection(CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=INNER, projection_dim=10, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        image_size=SIDE, patch_size=PATCH, hidden_act="quick_gelu", layer_norm_eps=1e-5,
    )))
    state = net.state_dict()
    attention = (f"self_attn.{n}_proj" for n in ("q", "k", "v", "out"))
    weights = blocks(state, "vision_model.encoder.layers", "layer_norm1", "layer_norm2", *attention, "mlp.fc1", "mlp.fc2")
    weights |= {
        "cls_token": part(state, "class_embedding").reshape(1, 1, WIDTH), "pos_embed": part(state, "position_embedding.weight")[None],
        "patch_embed.proj.weight": part(state, "patch_embedding.weight"), "head.weight": part(state, "visual_projection.weight"),
        "norm_pre.weight": part(state, "pre_layrnorm.weight"), "norm_pre.bias": part(state, "pre_layrnorm.bias"),
        "norm.weight": part(state, "post_layernorm.weight"), "norm.bias": part(state, "post_layernorm.bias"),
    }
    pixels = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        keep("clip", weights, pixels=pixels, features=net(pixels).image_embeds)

    torch.manual_seed(5)
    net = shake(VideoMAEForVideoClassification(VideoMAEConfig(
        image_size=SIDE, patch_size=PATCH, num_frames=4, tubelet_size=2, hidden_size=WIDTH, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, intermediate_size=INNER, hidden_act="gelu", layer_norm_eps=1e-6, use_mean_pooling=True, num_labels=7,
    )))
    # transformers leaves this one at PyTorch's default; VideoMAEv2 has 1e-6 in all.
    net.fc_norm.eps = 1e-6
    net.classifier = torch.nn.Identity()
    state = net.state_dict()
    # Keys have no bias.
    attention = (*(f"attention.attention.{n}" for n in ("query", "key", "value")), "attention.output.dense")
    names = ("layernorm_before", "layernorm_after", *attention, "intermediate.dense", "output.dense")
    weights = blocks(state, "videomae.encoder.layer", *names)
    weights |= {
        "patch_embed.proj.weight": part(state, "projection.weight"), "patch_embed.proj.bias": part(state, "projection.bias"),
        "norm.weight": state["fc_norm.weight"], "norm.bias": state["fc_norm.bias"],
    }
    video = torch.randn(2, 4, 3, SIDE, SIDE)
    with torch.no_grad():
        keep("videomae", weights, pixels=video.transpose(1, 2), features=net(video).logits)

    save_file({name: tensor.detach().contiguous().clone() for name, tensor in out.items()}, OUT)
    print(OUT.stat().st_size, "bytes", {k: tuple(v.shape) for k, v in out.items() if "features" in k})


if __name__ == "__main__":
    main()
