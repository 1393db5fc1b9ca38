"""Windows of cached clips as the transformer sees them, for training, for the decoder and for measuring.

Teacher forcing: the features' part that the encoder's mouth head reads (opening and lip shape) is moved to what the picture
truly shows. So the transformer learns to draw the mouth that the features name, on every face and from every clip, however
well its sound fits; how much the sound tells is the encoder's matter alone.

The recorded mouth that the model sees is that of the counterpart (make_pairs.py): the same picture, the lips of another moment.
"""
import random
import torch
import torch.nn.functional as F
from common import correlation, mean_norm
from tiny_model import AudioEncoder, audio_windows, cell_coords, latent_frames, latent_times, token_coords
from cache_latents import AROUND

FPS = 25.0
INSIDE, OUTSIDE, YX = cell_coords()
SEEN = torch.tensor([AROUND.index(int(c)) for c in OUTSIDE])
OPENINGS = (0.95, 0.05, 0.6, 0.3)  # shares of the openings at which references lie, in this order


class Clips:
    def __init__(self, cache, audio, pairs):
        saved = torch.load(audio, weights_only=False)
        self.encoder = AudioEncoder(mouth_targets=saved["state"]["mouth.weight"].shape[0])
        self.encoder.load_state_dict(saved["state"])
        self.encoder.eval()
        head = self.encoder.mouth
        self.inverse = torch.linalg.pinv(head.weight.detach())
        self.all = torch.load(cache, weights_only=False)
        others = torch.load(pairs, weights_only=False)
        for c in self.all:
            c["others"] = others[(c["id"], bool(c["mirror"]))]
        with torch.no_grad():
            for c in self.all:
                f = self.encoder(mean_norm(c["mel"].float(), saved.get("mean_norm", 0.0))[None])[0]
                c["truth"] = torch.cat([((c["opening"] * 20 - saved["centre"]) / saved["spread"])[:, None],
                                        c["shape"] @ saved["basis"].T / saved["scale"]], 1)
                n = len(c["truth"])
                j = torch.arange(len(f)).float() / 2  # features come at 50 Hz, frames at 25
                lo = j.floor().long().clamp(max=n - 1)
                w = (j - lo)[:, None].clamp(0, 1)
                said = head(f)
                c["features"] = f.bfloat16()
                c["shift"] = c["truth"][lo] * (1 - w) + c["truth"][(lo + 1).clamp(max=n - 1)] * w - said
                c["score"] = correlation(said[::2][:n, 0], c["truth"][:n, 0]).item()
        self.train = [c for c in self.all if not c["heldout"]]
        self.held = [c for c in self.all if c["heldout"]]

    def features(self, c, forced, noise=0.0):
        f = c["features"].float()
        if not forced:
            return f
        s = c["shift"]
        if noise:
            s = s + 2 * noise * F.avg_pool1d(torch.randn(1, s.shape[1], len(s) + 8), 9, 1)[0].T
        return f + s @ self.inverse.T

    def tokens(self, dit, c, first, count, forced, noise=0.0):
        w = audio_windows(self.features(c, forced, noise), latent_frames(first, count).flatten() + c["offset"], FPS)
        return dit.audio_projection(w).reshape(count, -1, dit.cfg["audio"]["dim"])

    def batch(self, dit, group, firsts, count, references, forced, rng, noise=0.0, jitter=0.06):
        """Context tokens (references, cells around, a counterpart's mouth), true tokens, audio tokens."""
        def context_of(c, f):
            parts = [pick(c, f, count, rng, references, jitter), c["context"][f:f + count][:, SEEN], rng.choice(c["others"])[f:f + count]]
            return torch.cat([p.float().flatten(0, 1) for p in parts])
        context = [context_of(c, f) for c, f in zip(group, firsts)]
        truth = [c["target"][f:f + count].float().flatten(0, 1) for c, f in zip(group, firsts)]
        sound = [self.tokens(dit, c, f, count, forced, noise) for c, f in zip(group, firsts)]
        return torch.stack(context), torch.stack(truth), torch.stack(sound)


def openings(c, first, count):
    """Normalised opening of the four frames of each latent, [count, 4]."""
    return c["truth"][(latent_frames(first, count) + c["offset"]).clamp(max=len(c["truth"]) - 1), 0]


def pick(c, first, count, rng, references=4, jitter=0.06):
    """Reference frames outside of the window, with the head held as in it, from open to closed."""
    lo = (0 if first == 0 else 4 * (first - 1) + 1) + c["offset"]
    hi = 4 * (first + count - 1) + c["offset"]
    n = len(c["refs"])
    idx = [i for i in range(n) if not lo - 3 <= i <= hi + 3]
    idx = torch.tensor(idx if len(idx) >= 8 else range(n))
    mid = c["pose"][lo:hi + 1].mean(0)
    idx = idx[torch.argsort((c["pose"][idx] - mid).pow(2).sum(1))[: max(12, len(idx) // 3)]]
    order = idx[torch.argsort(c["truth"][idx, 0])]
    shares = [min(1, max(0, p + rng.uniform(-jitter, jitter))) for p in OPENINGS[:references]]
    return c["refs"][torch.stack([order[round(p * (len(order) - 1))] for p in shares])].float()


def tables(dit, count, references):
    """Rotary tables of context and masked tokens; times count from the window's start."""
    t = latent_times(3, count, FPS) - latent_times(3, 1, FPS)
    rt = torch.tensor([(4 * n + 1 - 4) / FPS for n in (-1, -2, -3, -4)[:references]])
    context = torch.cat([token_coords(rt, YX[INSIDE]), token_coords(t, YX[OUTSIDE]), token_coords(t, YX[INSIDE])])
    return dit.table(context[None]), dit.table(token_coords(t, YX[INSIDE])[None])


class Reader:
    """Ridge regression from the masked cells of a latent to the opening of its four frames."""

    def __init__(self, clips, ridge=3000.0):
        xs, ys = [], []
        for c in random.sample(clips, min(500, len(clips))):
            xs.append(c["target"][1:].float().flatten(1))
            ys.append(openings(c, 1, len(c["target"]) - 1))
        x, y = torch.cat(xs), torch.cat(ys)
        self.mx, self.my = x.mean(0), y.mean(0)
        x, y = x - self.mx, y - self.my
        self.w = torch.linalg.solve(x.T @ x + ridge * torch.eye(x.shape[1]), x.T @ y)

    def __call__(self, z):
        return (z.flatten(-2) - self.mx) @ self.w + self.my


def random_windows(count, n, clips, weights):
    group = [c for c in random.choices(clips, weights, k=n) if c["target"].shape[0] >= count + 1]
    return group, [random.randint(1, c["target"].shape[0] - count) for c in group]
