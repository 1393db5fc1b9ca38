"""The embedded model `tiny`: mel encoder, causal video VAE and one-way-attention DiT, in plain PyTorch.

Module attribute names are chosen so that `state_dict()` keys equal the keys of the single-file layout after their
prefixes (`audio_encoder.`, `vae.`, `model.diffusion_model.`). All sizes come from CONFIG, which goes into the file header.
"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

CONFIG = {
    "transformer": {
        "_class_name": "Transformer3DModel", "num_layers": 4, "num_attention_heads": 4, "attention_head_dim": 64,
        "in_channels": 128, "out_channels": 128, "caption_channels": 64, "cross_attention_dim": 256, "norm_eps": 1e-6,
        "positional_embedding_theta": 100.0, "positional_embedding_max_pos": [4, 256, 256],
        "timestep_scale_multiplier": 1000, "causal_temporal_positioning": True,
        "audio": {"dim": 192, "window": 16, "hidden_states": 1, "channels": 192, "feature_rate": 50.0},
        "one_way_attention": True, "context_window": 17},
    "vae": {
        "_class_name": "CausalVideoAutoencoder", "dims": 3, "in_channels": 3, "out_channels": 3, "latent_channels": 128,
        "patch_size": 8, "norm_layer": "pixel_norm", "latent_log_var": "uniform", "causal_decoder": False,
        "timestep_conditioning": True, "encoder_base_channels": 16, "decoder_base_channels": 32,
        "encoder_blocks": [["compress_all_res", {"multiplier": 8}], ["compress_all_res", {"multiplier": 8}]],
        "decoder_blocks": [["res_x", {"num_layers": 2}], ["compress_all", {"multiplier": 4, "residual": True}],
                           ["res_x", {"num_layers": 2}], ["compress_all", {"multiplier": 1, "residual": True}],
                           ["res_x", {"num_layers": 1}]]},
    "scheduler": {"_class_name": "RectifiedFlowScheduler", "sampler": "Shifted", "shift": 1.0, "steps": 1},
    "audio_encoder": {"channels": 192, "dilations": [1, 2, 4, 8, 1, 2, 4, 8], "mel_bands": 80},
    "edit_yourself": {"crop": 256, "mask_cells": {"rows": [4, 8], "columns": [2, 6]}, "context_cells": {"rows": [3, 8], "columns": [1, 7]}, "recorded_context": True, "counterparts": True,
                      "context_fill": 0.0, "references": 4,
                      "block_latents": 9, "block_local_times": True, "decode_timestep": 0.05, "decode_noise_scale": 0.0,
                      "spatial_stride": 32, "temporal_stride": 4, "audio_guidance": 1.0},
}


def sinusoid(tau):
    """256 channels: cos half first, no frequency shift. tau = 1000 t."""
    w = torch.exp(-math.log(10000.0) * torch.arange(128, dtype=torch.float32) / 128)
    a = tau.float()[..., None] * w
    return torch.cat([a.cos(), a.sin()], -1)


# ------------------------------------------------------------------------------------------------ audio encoder
class AudioBlock(nn.Module):
    def __init__(self, c, dilation):
        super().__init__()
        self.norm = nn.LayerNorm(c)
        self.conv1 = nn.Conv1d(c, c, 3, padding=dilation, dilation=dilation)
        self.conv2 = nn.Conv1d(c, c, 1)

    def forward(self, x):  # [B, C, T]
        h = self.norm(x.transpose(1, 2)).transpose(1, 2)
        return x + self.conv2(F.gelu(self.conv1(h)))


class AudioEncoder(nn.Module):
    """mel [B, T, 80] at 100 Hz -> features [B, T // 2, C] at 50 Hz."""

    def __init__(self, cfg=CONFIG["audio_encoder"], mouth_targets=17):
        super().__init__()
        c = cfg["channels"]
        self.conv_in = nn.Conv1d(cfg["mel_bands"], c, 4, stride=2, padding=1)
        self.blocks = nn.ModuleList([AudioBlock(c, d) for d in cfg["dilations"]])
        self.norm_out = nn.LayerNorm(c)
        self.mouth = nn.Linear(c, mouth_targets)

    def forward(self, mel):
        x = F.gelu(self.conv_in(mel.transpose(1, 2)))
        for b in self.blocks:
            x = b(x)
        return self.norm_out(x.transpose(1, 2))


# ------------------------------------------------------------------------------------------------ VAE
def patchify(x, p):
    """[B,C,F,H,W] -> [B,C p p,F,H/p,W/p], channel = (c p + x offset) p + y offset."""
    b, c, t, h, w = x.shape
    x = x.reshape(b, c, t, h // p, p, w // p, p).permute(0, 1, 6, 4, 2, 3, 5)
    return x.reshape(b, c * p * p, t, h // p, w // p)


def pixel_norm(x):
    return x * torch.rsqrt(x.float().pow(2).mean(1, keepdim=True) + 1e-8).to(x.dtype)


class Conv3(nn.Module):
    """3x3x3, zero padding in space, replicated frames in time (causal: two in front, else one on each side)."""

    def __init__(self, cin, cout, causal):
        super().__init__()
        self.conv = nn.Conv3d(cin, cout, 3, padding=(0, 1, 1))
        self.causal, self.pointwise = causal, False

    def forward(self, x):
        if self.pointwise:  # shortcut for weights that are zero outside the present frame's centre
            t = 2 if self.causal else 1
            return F.conv3d(x, self.conv.weight[:, :, t:t + 1, 1:2, 1:2], self.conv.bias)
        first = x[:, :, :1]
        x = torch.cat([first, first, x], 2) if self.causal else torch.cat([first, x, x[:, :, -1:]], 2)
        return self.conv(x)


def use_shortcuts(module):
    """Find convolutions whose kernels are zero outside the present frame's centre. True if all of them are."""
    every = True
    for m in module.modules():
        if isinstance(m, Conv3):
            w = m.conv.weight.detach().clone()
            w[:, :, 2 if m.causal else 1, 1, 1] = 0
            m.pointwise = bool((w == 0).all())
            every &= m.pointwise
    return every


class TimeEmbedder(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.timestep_embedder = nn.Module()
        self.timestep_embedder.linear_1 = nn.Linear(256, dim)
        self.timestep_embedder.linear_2 = nn.Linear(dim, dim)

    def forward(self, tau):
        e = self.timestep_embedder
        return e.linear_2(F.silu(e.linear_1(sinusoid(tau))))


class VaeRes(nn.Module):
    def __init__(self, c, causal, timed):
        super().__init__()
        self.conv1, self.conv2 = Conv3(c, c, causal), Conv3(c, c, causal)
        if timed:
            self.scale_shift_table = nn.Parameter(torch.zeros(4, c))

    def forward(self, x, temb=None):
        def mod(h, i):
            if temb is None:
                return h
            m = (self.scale_shift_table + temb.reshape(temb.shape[0], 4, -1)).to(h.dtype)[..., None, None, None]
            return h * (1 + m[:, i + 1]) + m[:, i]
        h = self.conv1(F.silu(mod(pixel_norm(x), 0)))
        return x + self.conv2(F.silu(mod(pixel_norm(h), 2)))


class VaeStage(nn.Module):
    def __init__(self, c, n, causal, timed):
        super().__init__()
        self.res_blocks = nn.ModuleList([VaeRes(c, causal, timed) for _ in range(n)])
        if timed:
            self.time_embedder = TimeEmbedder(4 * c)

    def forward(self, x, tau=None):
        temb = self.time_embedder(tau) if hasattr(self, "time_embedder") else None
        for b in self.res_blocks:
            x = b(x, temb)
        return x


def space_to_depth(x, s):
    b, c, t, h, w = x.shape
    x = x.reshape(b, c, t // s[0], s[0], h // s[1], s[1], w // s[2], s[2])
    return x.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(b, c * s[0] * s[1] * s[2], t // s[0], h // s[1], w // s[2])


def depth_to_space(x, s):
    b, c, t, h, w = x.shape
    x = x.reshape(b, c // (s[0] * s[1] * s[2]), s[0], s[1], s[2], t, h, w)
    return x.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(b, -1, t * s[0], h * s[1], w * s[2])


class VaeDown(nn.Module):
    def __init__(self, c, stride, mult):
        super().__init__()
        self.s, self.out = stride, c * mult
        p = stride[0] * stride[1] * stride[2]
        self.group = c * p // self.out
        self.conv = Conv3(c, self.out // p, True)

    def forward(self, x):
        if self.s[0] == 2:
            x = torch.cat([x[:, :, :1], x], 2)
        skip = space_to_depth(x, self.s)
        b, c, t, h, w = skip.shape
        skip = skip.reshape(b, self.out, self.group, t, h, w).mean(2)
        return space_to_depth(self.conv(x), self.s) + skip


class VaeUp(nn.Module):
    def __init__(self, c, stride, mult):
        super().__init__()
        self.s, p = stride, stride[0] * stride[1] * stride[2]
        self.out = c // mult
        self.tile = self.out * p // c
        self.conv = Conv3(c, self.out * p, False)

    def forward(self, x):
        y = depth_to_space(self.conv(x), self.s) + depth_to_space(x, self.s).repeat(1, self.tile, 1, 1, 1)
        return y[:, :, 1:] if self.s[0] == 2 else y


STRIDES = {"compress_space": (1, 2, 2), "compress_all": (2, 2, 2), "compress_time": (2, 1, 1)}


class Encoder(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        c, self.p = cfg["encoder_base_channels"], cfg["patch_size"]
        self.conv_in = Conv3(3 * self.p ** 2, c, True)
        self.down_blocks = nn.ModuleList()
        for name, o in cfg["encoder_blocks"]:
            if name == "res_x":
                self.down_blocks.append(VaeStage(c, o["num_layers"], True, False))
            else:
                self.down_blocks.append(VaeDown(c, STRIDES[name[:-4]], o["multiplier"]))
                c *= o["multiplier"]
        self.conv_out = Conv3(c, cfg["latent_channels"] + 1, True)

    def features(self, x):
        x = self.conv_in(patchify(x, self.p))
        for blk in self.down_blocks:
            x = blk(x)
        return F.silu(pixel_norm(x))

    def forward(self, x):  # [B,3,F,H,W] -> mean [B,C,f,h,w], log variance [B,1,f,h,w]
        x = self.conv_out(self.features(x))
        return x[:, :-1], x[:, -1:]


class Decoder(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        base, self.p = cfg["decoder_base_channels"], cfg["patch_size"]
        c = base
        for name, o in cfg["decoder_blocks"]:
            if name != "res_x":
                c *= o["multiplier"]
        self.conv_in = Conv3(cfg["latent_channels"], c, False)
        self.up_blocks = nn.ModuleList()
        for name, o in reversed(cfg["decoder_blocks"]):
            if name == "res_x":
                self.up_blocks.append(VaeStage(c, o["num_layers"], False, True))
            else:
                self.up_blocks.append(VaeUp(c, STRIDES[name], o["multiplier"]))
                c //= o["multiplier"]
        self.conv_out = Conv3(c, 3 * self.p ** 2, False)
        self.last_time_embedder = TimeEmbedder(2 * c)
        self.last_scale_shift_table = nn.Parameter(torch.zeros(2, c))
        self.register_buffer("timestep_scale_multiplier", torch.tensor(1000.0))

    def forward(self, z, t):  # z [B,C,f,h,w], t [B] in 0..1
        tau = t * self.timestep_scale_multiplier
        x = self.conv_in(z)
        for blk in self.up_blocks:
            x = blk(x, tau) if isinstance(blk, VaeStage) else blk(x)
        m = (self.last_scale_shift_table + self.last_time_embedder(tau).reshape(z.shape[0], 2, -1)).to(x.dtype)[..., None, None, None]
        x = self.conv_out(F.silu(pixel_norm(x) * (1 + m[:, 1]) + m[:, 0]))
        b, c, f, h, w = x.shape
        p = self.p
        return x.reshape(b, 3, p, p, f, h, w).permute(0, 1, 4, 5, 3, 6, 2).reshape(b, 3, f, h * p, w * p)


class Vae(nn.Module):
    def __init__(self, cfg=CONFIG["vae"]):
        super().__init__()
        self.encoder, self.decoder = Encoder(cfg), Decoder(cfg)
        for m in self.modules():
            if isinstance(m, VaeRes):
                m.conv2.conv.weight.data.mul_(0.2)
            if isinstance(m, TimeEmbedder):  # the timestep is a constant here: start without modulation
                nn.init.zeros_(m.timestep_embedder.linear_2.weight)
                nn.init.zeros_(m.timestep_embedder.linear_2.bias)
        # the shared log variance starts small, else the posterior's noise drowns the latents and they collapse
        self.encoder.conv_out.conv.weight.data[-1].zero_()
        self.encoder.conv_out.conv.bias.data[-1] = -5.0
        for n in ("mean-of-means", "std-of-means"):
            self.register_buffer("per_channel_statistics_" + n.replace("-", "_"),
                                 torch.zeros(cfg["latent_channels"]) if "mean-of" in n and n.startswith("mean") else torch.ones(cfg["latent_channels"]))

    def stats(self):
        return self.per_channel_statistics_mean_of_means, self.per_channel_statistics_std_of_means

    def encode(self, x):
        """Normalised latents (mean of the posterior)."""
        m, s = self.stats()
        z = self.encoder(x)[0].float()
        return (z - m[:, None, None, None]) / s[:, None, None, None]

    def decode(self, z, t=0.05):
        m, s = self.stats()
        return self.decoder(z * s[:, None, None, None] + m[:, None, None, None], torch.full((z.shape[0],), t))


# ------------------------------------------------------------------------------------------------ transformer
def rope_table(coords, dim, theta, max_pos):
    """coords [..., N, 3] = (seconds, y px, x px) -> cos, sin [..., N, dim]."""
    n = dim // 6
    w = (math.pi / 2) * theta ** torch.linspace(0, 1, n, dtype=torch.float64)
    u = coords.double() / torch.tensor(max_pos, dtype=torch.float64) * 2 - 1
    a = (u[..., None, :] * w[:, None]).flatten(-2)  # axis fastest
    cos, sin = a.cos().repeat_interleave(2, -1), a.sin().repeat_interleave(2, -1)
    pad = dim - 6 * n
    one = torch.ones(*cos.shape[:-1], pad, dtype=cos.dtype)
    return torch.cat([one, cos], -1).float(), torch.cat([one * 0, sin], -1).float()


def rope(x, cs):
    cos, sin = cs
    a, b = x[..., 0::2], x[..., 1::2]
    rot = torch.stack([-b, a], -1).flatten(-2)
    return x * cos.to(x.dtype) + rot * sin.to(x.dtype)


class RmsNorm(nn.Module):
    def __init__(self, dim, eps=1e-5):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x):
        return (x * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps)).to(x.dtype) * self.weight.to(x.dtype)


def rms(x, eps):
    return (x * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + eps)).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, dim, heads, kv_dim=None):
        super().__init__()
        kv_dim = kv_dim or dim
        self.heads = heads
        self.q_norm, self.k_norm = RmsNorm(dim), RmsNorm(dim)
        self.to_q, self.to_k, self.to_v = nn.Linear(dim, dim), nn.Linear(kv_dim, dim), nn.Linear(kv_dim, dim)
        self.to_out = nn.ModuleList([nn.Linear(dim, dim)])

    def kv(self, x, cs=None):
        k = self.k_norm(self.to_k(x))
        return (k if cs is None else rope(k, cs)), self.to_v(x)

    def q(self, x, cs=None):
        q = self.q_norm(self.to_q(x))
        return q if cs is None else rope(q, cs)

    def attend(self, q, k, v):
        sp = lambda a: a.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        o = F.scaled_dot_product_attention(sp(q), sp(k), sp(v))
        return self.to_out[0](o.transpose(1, 2).flatten(-2))


class FeedForward(nn.Module):
    def __init__(self, dim):
        super().__init__()
        gate = nn.Module()
        gate.proj = nn.Linear(dim, 4 * dim)
        self.net = nn.ModuleList([gate, nn.Identity(), nn.Linear(4 * dim, dim)])

    def forward(self, x):
        return self.net[2](F.gelu(self.net[0].proj(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, dim, heads, audio_dim):
        super().__init__()
        self.scale_shift_table = nn.Parameter(torch.zeros(6, dim))
        self.attn1, self.attn2, self.audio_attn = Attention(dim, heads), Attention(dim, heads), Attention(dim, heads, audio_dim)
        self.ff = FeedForward(dim)

    def modulation(self, temb):
        return (self.scale_shift_table + temb.unflatten(-1, (6, -1))).unbind(-2)

    def text(self, x, caption):
        """Cross attention to the caption. With one caption token the softmax is 1 and the result does not depend on x."""
        if caption.shape[1] == 1:
            return self.attn2.to_out[0](self.attn2.to_v(caption))
        k, v = self.attn2.kv(caption)
        return self.attn2.attend(self.attn2.q(x), k.expand(x.shape[0], -1, -1), v.expand(x.shape[0], -1, -1))


class AudioProjection(nn.Module):
    """Window features [N, W, B, C] of N frames -> [N, W/4, D_a]."""

    def __init__(self, cfg):
        super().__init__()
        w, b, c, d = cfg["window"], cfg["hidden_states"], cfg["channels"], cfg["dim"]
        self.position = nn.Parameter(torch.randn(w, b, c) * 0.02)
        self.mix = nn.Parameter(torch.full((b,), 1.0 / b))
        self.pool = nn.ModuleList([nn.Conv1d(c, c, 2, stride=2, groups=c) for _ in range(2)])
        for p in self.pool:
            p.weight.data.fill_(0.5)
            p.bias.data.zero_()
        self.proj = nn.Linear(c, d)
        nn.init.orthogonal_(self.proj.weight)
        nn.init.zeros_(self.proj.bias)
        self.norm = nn.LayerNorm(d)

    def forward(self, x):
        x = torch.einsum("nwbc,b->ncw", x + self.position, self.mix)
        for p in self.pool:
            x = p(x)
        return self.norm(self.proj(x.transpose(1, 2)))


def audio_windows(features, frames, fps=25.0, rate=50.0, window=16):
    """features [T50, C]; frames: tensor of frame indices -> [len, W, 1, C], linear interpolation, clamped at the ends.

    The window of frame i is centred at u = i*rate/fps: positions u - W/2 + 1/2 + n ... we take u + n - (W - 1)/2."""
    u = frames.double() * rate / fps
    pos = u[:, None] + torch.arange(window, dtype=torch.float64) - (window - 1) / 2
    k = pos.floor()
    a = (pos - k).to(features.dtype)[..., None]
    last = features.shape[0] - 1
    lo, hi = k.long().clamp(0, last), (k.long() + 1).clamp(0, last)
    return ((1 - a) * features[lo] + a * features[hi])[:, :, None]


class Transformer(nn.Module):
    def __init__(self, cfg=CONFIG["transformer"]):
        super().__init__()
        self.cfg = cfg
        d = self.dim = cfg["num_attention_heads"] * cfg["attention_head_dim"]
        heads = cfg["num_attention_heads"]
        self.patchify_proj = nn.Linear(cfg["in_channels"], d)
        self.adaln_single = nn.Module()
        self.adaln_single.emb = TimeEmbedder(d)
        self.adaln_single.linear = nn.Linear(d, 6 * d)
        self.caption_projection = nn.Module()
        self.caption_projection.linear_1 = nn.Linear(cfg["caption_channels"], d)
        self.caption_projection.linear_2 = nn.Linear(d, d)
        self.empty_caption = nn.Parameter(torch.randn(1, cfg["caption_channels"]) * 0.5)
        self.scale_shift_table = nn.Parameter(torch.zeros(2, d))
        self.transformer_blocks = nn.ModuleList([Block(d, heads, cfg["audio"]["dim"]) for _ in range(cfg["num_layers"])])
        self.audio_projection = AudioProjection(cfg["audio"])
        self.proj_out = nn.Linear(d, cfg["out_channels"])
        self.init_weights()

    @torch.no_grad()
    def init_weights(self):
        """Start from a hand-made solution: velocity = input - (clean token at the same place and time, as recorded).

        Residual stream: dims 0..C-1 the token, then a random mixture of it, 63 free dims (place codes, sound), last dim a large
        constant (so that the norms keep amplitudes). In block 0 two heads look by position only (queries and keys are constant vectors, so their products
        depend on RoPE alone) and only at clean tokens (the key's sign follows the timestep)."""
        d, c = self.dim, self.cfg["in_channels"]
        const, hd = 24.0, self.cfg["attention_head_dim"]
        for m in self.transformer_blocks.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, std=1 / math.sqrt(m.in_features))
                nn.init.zeros_(m.bias)
        nn.init.zeros_(self.patchify_proj.weight)
        nn.init.zeros_(self.patchify_proj.bias)
        self.patchify_proj.weight[:c] = torch.eye(c)
        self.patchify_proj.weight[c:d - 64] = 0.5 * torch.linalg.qr(torch.randn(c, c))[0][: d - 64 - c]
        self.patchify_proj.bias[d - 1] = const
        rms_value = math.sqrt((const ** 2 + 1.2 * c * 1.25) / d)
        # axis of every channel: t, y, x repeated in pairs after the padding
        triples = d // 6
        axis = torch.full((d,), -1)
        axis[d - 6 * triples:] = torch.arange(3 * triples).repeat_interleave(2) % 3
        place = (axis >= 0).float()
        for i, b in enumerate(self.transformer_blocks):
            nn.init.zeros_(b.attn1.to_out[0].weight)
            nn.init.zeros_(b.ff.net[2].weight)
            nn.init.zeros_(b.attn2.to_out[0].weight)
            nn.init.zeros_(b.audio_attn.to_out[0].weight)
            b.scale_shift_table[2] = 1  # gates
            b.scale_shift_table[5] = 1
            if i:
                b.scale_shift_table[2, :c] = 1.5
                for lin in (b.attn1.to_q, b.attn1.to_k):
                    lin.weight.mul_(0.5)
                    lin.bias.fill_(1.0)
                continue
            a = b.attn1
            a.to_q.weight.mul_(0.1)
            a.to_k.weight.mul_(0.1)
            a.to_q.bias.copy_(place)
            a.to_k.weight[:, d - 1] = place * rms_value / const
            a.q_norm.weight[hd:3 * hd] = 3.0
            a.to_v.weight[hd:3 * hd] = 0
            a.to_v.weight[hd:hd + c, :c] = torch.eye(c)
            a.to_out[0].weight[:c, hd:hd + c] = -rms_value * torch.eye(c)
        # heads that look a fixed number of cells away and report whether that cell is noised: where in the mask a token is
        w = (math.pi / 2) * self.cfg["positional_embedding_theta"] ** torch.linspace(0, 1, triples)
        freq = torch.zeros(d)
        freq[d - 6 * triples:] = w.repeat_interleave(6)
        cell = CONFIG["edit_yourself"]["spatial_stride"]
        looks = ((0, 3, (-2, 0)), (1, 1, (-1, 0)), (1, 2, (0, -2)), (1, 3, (0, 2)), (2, 1, (0, -3)), (2, 2, (-3, 0)), (2, 3, (0, -1)))
        for j, (block, head, (dy, dx)) in enumerate(looks):
            a, rows = self.transformer_blocks[block].attn1, slice(head * hd, (head + 1) * hd)
            off = torch.tensor([0.0, dy * cell, dx * cell])
            phase = 2 * off[axis.clamp(min=0)] / torch.tensor(self.cfg["positional_embedding_max_pos"])[axis.clamp(min=0)] * freq
            phase[axis < 0] = 0
            q = torch.empty(d)
            q[0::2] = phase[0::2].cos() - phase[0::2].sin()
            q[1::2] = phase[1::2].cos() + phase[1::2].sin()
            a.to_q.weight[rows] *= 0.1
            a.to_k.weight[rows] *= 0.1
            a.to_k.weight[rows, d - 1] = 0
            a.to_q.bias[rows] = q[rows]
            a.to_k.bias[rows] = 1
            a.q_norm.weight[rows] = 1.5
            a.to_v.weight[rows] = 0
            a.to_v.weight[rows, d - 1] = rms_value / const
            a.to_out[0].weight[:, rows] = 0
            a.to_out[0].weight[d - 64 + 2 * j:d - 62 + 2 * j, rows] = 1.5 / hd
        # the last modulation adds the embedded timestep to shift and scale: none of it on the token's dims
        self.adaln_single.emb.timestep_embedder.linear_2.weight[:c] = 0
        self.adaln_single.emb.timestep_embedder.linear_2.bias[:c] = 0
        # functions of the timestep: clean (0) or noised
        t = torch.cat([torch.zeros(200), torch.linspace(0.03, 1, 400)])
        f = F.silu(self.adaln_single.emb(t * self.cfg["timestep_scale_multiplier"]))
        f1 = torch.cat([f, torch.ones(len(t), 1)], 1).double()
        clean = (t == 0).double()
        fit = torch.linalg.solve(f1.T @ f1 + 1e-3 * torch.eye(d + 1, dtype=torch.float64), f1.T @ clean).float()
        lin = self.adaln_single.linear
        nn.init.zeros_(lin.weight)
        nn.init.zeros_(lin.bias)

        def add(row, clean_value, noised_value):
            lin.weight[row] = fit[:-1] * (clean_value - noised_value)
            lin.bias[row] = fit[-1] * (clean_value - noised_value) + noised_value
        add(slice(d + d - 1, 2 * d), 0.0, -2.0)  # scale of the constant: sign of the keys
        add(slice(2 * d, 2 * d + c), -1.0, 0.0)  # gate: clean tokens keep themselves
        nn.init.zeros_(self.proj_out.weight)
        nn.init.constant_(self.proj_out.bias, const / d)  # the last norm subtracts the mean, which is the constant's share
        self.proj_out.weight[:, :c] = rms_value * torch.eye(c)

    def times(self, t):
        e = self.adaln_single.emb(t * self.cfg["timestep_scale_multiplier"])
        return e, self.adaln_single.linear(F.silu(e))

    def table(self, coords):
        return rope_table(coords, self.dim, self.cfg["positional_embedding_theta"], self.cfg["positional_embedding_max_pos"])

    def final(self, x, e):
        shift, scale = (self.scale_shift_table + e.unsqueeze(-2)).unbind(-2)
        h = F.layer_norm(x.float(), (self.dim,), eps=1e-6)
        return self.proj_out(h * (1 + scale) + shift)

    def forward(self, ctx, ctx_cs, x, x_cs, t, audio=None, keep_audio=None):
        """One-way attention, with several noised copies per context.

        ctx [B, Nc, C] clean tokens (context and references); x [B*M, Nx, C] noised tokens, copies of one clip adjacent;
        ctx_cs, x_cs: rope tables [1 or B, N, D]; t [B*M]; audio [B, L, A, D_a] tokens per latent (the Nx tokens are
        latent-major); keep_audio [B*M] 0/1 or None. Returns the velocity of the noised tokens [B*M, Nx, C]."""
        m = x.shape[0] // ctx.shape[0]
        cap = self.caption_projection
        caption = cap.linear_2(F.gelu(cap.linear_1(self.empty_caption[None]), approximate="tanh"))
        e, temb = self.times(t)
        _, temb0 = self.times(torch.zeros(1))
        e, temb, temb0 = e[:, None], temb[:, None], temb0[:, None]
        c, x = self.patchify_proj(ctx), self.patchify_proj(x)
        eps = self.cfg["norm_eps"]
        latents = audio.shape[1] if audio is not None else 1
        if audio is not None:
            au = audio.repeat_interleave(m, 0).flatten(0, 1)  # [B*M*L, A, D_a]
        for i, b in enumerate(self.transformer_blocks):
            last = i == len(self.transformer_blocks) - 1
            sh, sc, ga, sh2, sc2, ga2 = b.modulation(temb0)
            n = rms(c, eps) * (1 + sc) + sh
            kc, vc = b.attn1.kv(n, ctx_cs)
            if not last:  # the last block's context output is not used
                qc = b.attn1.q(n, ctx_cs)
                c = c + ga * b.attn1.attend(qc, kc, vc)
                c = c + b.text(c, caption)
                c = c + ga2 * b.ff(rms(c, eps) * (1 + sc2) + sh2)
            sh, sc, ga, sh2, sc2, ga2 = b.modulation(temb)
            n = rms(x, eps) * (1 + sc) + sh
            k, v = b.attn1.kv(n, x_cs)
            rep = lambda a: a.repeat_interleave(m, 0) if m > 1 else a
            x = x + ga * b.attn1.attend(b.attn1.q(n, x_cs), torch.cat([rep(kc), k], 1), torch.cat([rep(vc), v], 1))
            x = x + b.text(x, caption)
            if audio is not None:
                h = x.unflatten(1, (latents, -1)).flatten(0, 1)  # one latent's tokens see that latent's sound only
                k, v = b.audio_attn.kv(au)
                a = b.audio_attn.attend(b.audio_attn.q(h), k, v).reshape(x.shape)
                x = x + (a if keep_audio is None else a * keep_audio[:, None, None].to(a.dtype))
            x = x + ga2 * b.ff(rms(x, eps) * (1 + sc2) + sh2)
        return self.final(x, e)


def latent_times(first, count, fps, stride=4):
    """Seconds of latents first..first+count-1 of a clip (causal fix), before the block's start is subtracted."""
    n = torch.arange(first, first + count)
    return torch.clamp(stride * n + 1 - stride, min=0).float() / fps


def cell_coords(cfg=CONFIG["edit_yourself"]):
    """Flat indices of masked cells and of context cells, and the (y, x) pixels of all cells."""
    g = cfg["crop"] // cfg["spatial_stride"]
    cells = lambda part: [y * g + x for y in range(*part["rows"]) for x in range(*part["columns"])]
    inside = cells(cfg["mask_cells"])
    seen = cells(cfg.get("context_cells") or {"rows": [0, g], "columns": [0, g]})
    outside = [i for i in seen if i not in set(inside)]
    yx = torch.tensor([[i // g * cfg["spatial_stride"], i % g * cfg["spatial_stride"]] for i in range(g * g)], dtype=torch.float32)
    return torch.tensor(inside), torch.tensor(outside), yx


def token_coords(times, yx):
    """[len(times) * len(yx), 3]"""
    t = times[:, None, None].expand(-1, len(yx), 1)
    return torch.cat([t, yx[None].expand(len(times), -1, -1)], -1).flatten(0, 1)


def latent_frames(first, count, stride=4):
    """Frame indices that each latent covers, [count, stride]; latent 0 repeats its one frame."""
    rows = []
    for n in range(first, first + count):
        rows.append([0] * stride if n == 0 else [stride * (n - 1) + 1 + i for i in range(stride)])
    return torch.tensor(rows)


def schedule(kind, steps, shift=3.0):
    """Descending timesteps, without the final zero. `Shifted`: the uniform grid 1 .. 1/N through s t / (1 + (s - 1) t)."""
    if kind == "Shifted":
        t = torch.linspace(1, 1 / steps, steps, dtype=torch.float64)
        return (shift * t / (1 + (shift - 1) * t)).tolist()
    lin = steps // 2
    delta, q = lin - 0.025 * steps, steps - lin
    a = delta / (lin * q * q)
    b = 0.025 / lin - 2 * delta / (q * q)
    c = a * lin * lin
    return [1 - (i * 0.025 / lin if i < lin else a * i * i + b * i + c) for i in range(steps)]
