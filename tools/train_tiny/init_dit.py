"""Closed-form start of the transformer's sound path (after the hand-made start in Transformer.init_weights).

    python init_dit.py --cache cache.pt --audio audio.pt --out dit0.pt

In the last block each audio head looks at one of the four window positions and writes the mel encoder's mouth predictions
into free dims of the residual stream; the following feed-forward layer gets random first weights on (place, sound, token)
and second weights by ridge regression of the velocity's remaining error at t = 1.
"""
import argparse, random, time
from pathlib import Path
import torch
import torch.nn.functional as F
from common import save
from tiny_model import *
from train_dit import Both, Readout, audio_tokens, evaluate, pick_refs, tables

COMPONENTS = 8


@torch.no_grad()
def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--cache", type=Path, required=True)
    ap.add_argument("--audio", type=Path, required=True)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--windows", type=int, default=500)
    ap.add_argument("--ridge", type=float, default=300.0)
    a = ap.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    random.seed(0)
    st = torch.load(a.audio, weights_only=False)["state"]
    both = Both(st["mouth.weight"].shape[0])
    both.audio.load_state_dict(st)
    both.eval()
    cache = torch.load(a.cache, weights_only=False, mmap=True)
    train = [c for c in cache["clips"] if not c["heldout"] and c["target"].shape[0] >= 12]
    weight = [1.0 if c["source"] == "grid_s1" else (0.3 + c["score"]) * (3.0 if c["kind"] == "real" else 0.5) for c in train]
    dit = both.dit
    d, hd, cin = dit.dim, dit.cfg["attention_head_dim"], dit.cfg["in_channels"]
    proj, block = dit.audio_projection, dit.transformer_blocks[-1]
    # window positions get four directions of their own in feature space
    ch = proj.position.shape[2]
    marks = torch.linalg.qr(torch.randn(ch, 4))[0].T  # [4, C]
    for n in range(proj.position.shape[0]):
        proj.position[n, 0] = 14.0 * marks[n // 4]
    att = block.audio_attn
    for m in (att.to_q, att.to_k, att.to_v, att.to_out[0]):
        m.weight.zero_()
        m.bias.zero_()
    att.to_q.bias.fill_(1.0)
    mouth = both.audio.mouth.weight[:COMPONENTS]
    mouth = mouth - (mouth @ marks.T) @ marks
    for h in range(4):
        att.to_k.weight[h * hd:(h + 1) * hd] = (proj.proj.weight @ marks[h])[None]
        att.to_v.weight[h * hd:h * hd + COMPONENTS] = mouth @ proj.proj.weight.T
    # scale of the sound code
    tok = torch.cat([audio_tokens(both, c["mel"], c["offset"], 2, 8)[0].flatten(0, 1) for c in random.choices(train, weight, k=60)])
    code = att.to_v(tok)[:, :COMPONENTS]
    free = d - 64 + 20
    for h in range(4):
        for k in range(COMPONENTS):
            att.to_out[0].weight[free + h * COMPONENTS + k, h * hd + k] = 2.0 / code[:, k].std()
            att.to_out[0].bias[free + h * COMPONENTS + k] = -2.0 * code[:, k].mean() / code[:, k].std()
    # feed-forward
    w1, b1 = block.ff.net[0].proj.weight, block.ff.net[0].proj.bias
    w1.zero_()
    n1 = w1.shape[0]
    w1[:, :cin] = torch.randn(n1, cin) * 0.05
    w1[:, d - 64:d - 50] = torch.randn(n1, 14) * 0.8
    w1[:, free:free + 32] = torch.randn(n1, 32) * torch.where(torch.arange(n1) % 2 == 0, 0.35, 0.15)[:, None]
    w1.mul_((96.0 ** 2 / d + 1) ** 0.5 / 1.8)  # the norm divides by the constant's share
    b1.copy_(torch.randn(n1) * 0.7)
    block.ff.net[2].weight.zero_()
    block.ff.net[2].bias.zero_()
    hidden, grab = [], []
    block.ff.net[2].register_forward_pre_hook(lambda m, i: grab.append(i[0]))
    gram, cross, total, before, after_n = torch.zeros(n1 + 1, n1 + 1), torch.zeros(n1 + 1, cin), 0, [], 0
    start = time.time()
    count = 7
    for it in range(a.windows // 5):
        group = random.choices(train, weight, k=5)
        firsts = [random.randint(1, c["target"].shape[0] - count) for c in group]
        ctx = torch.stack([torch.cat([pick_refs(c, f, count, 3).flatten(0, 1), c["context"][f:f + count].float().flatten(0, 1)]) for c, f in zip(group, firsts)])
        x0 = torch.stack([c["target"][f:f + count].float().flatten(0, 1) for c, f in zip(group, firsts)])
        tok = torch.stack([audio_tokens(both, c["mel"], c["offset"], f, count)[0] for c, f in zip(group, firsts)])
        cc, xc = tables(dit, firsts, count, 3)
        noise = torch.randn_like(x0)
        grab.clear()
        with torch.autocast("cpu", torch.bfloat16, enabled=False):
            v = dit(ctx, cc, noise, xc, torch.ones(5), tok).float()
        h = grab[-1].float().flatten(0, 1)
        err = (noise - x0 - v).flatten(0, 1)
        before.append(err.pow(2).mean().item())
        w = torch.tensor([1 / (0.3 + e.pow(2).mean().item()) for e in (noise - x0 - v)]).repeat_interleave(x0.shape[1])[:, None].sqrt()
        h = torch.cat([h, torch.ones(len(h), 1)], 1) * w
        gram += h.T @ h
        cross += h.T @ (err * w)
        if it % 20 == 19:
            print((it + 1) * 5, f"{time.time() - start:.0f}s", sum(before) / len(before), flush=True)
    sol = torch.linalg.solve(gram + a.ridge * torch.eye(n1 + 1), cross)
    block.ff.net[2].weight[:cin] = sol[:-1].T
    block.ff.net[2].bias[:cin] = sol[-1]
    save(dict(ema=dit.state_dict(), audio=both.audio.state_dict(), step=0), a.out)
    held = [c for c in cache["clips"] if c["heldout"]]
    for g in (1.0, 2.0):
        print("guidance", g, evaluate(both, Readout(cache), held, [1.0], guidance=g, n=6), flush=True)


if __name__ == "__main__":
    main()
