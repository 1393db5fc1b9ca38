"""Data preparation: face mesh, smoothed similarity crops, mel features.

    python prepare.py --media DIR_WITH_INDEX --clips DIR_WITH_INDEX --out DATA --heldout heldout.txt --workers 2

`--clips` is a folder whose index.tsv lists whole clips of further people (kind `AV-real`); some of them are held out too.

Per clip writes DATA/<id>.npy (uint8 crops [T,256,256,3]) and DATA/<id>.npz (mel, opening, landmarks in crop pixels,
transform parameters), and DATA/index.json.
"""
import argparse, csv, json, os, random, subprocess, sys
from pathlib import Path
import numpy as np
import cv2
from audio_features import load_audio, mel, normalise_gain

CROP = 256
TEMPLATE = {33: (0.32, 0.36), 133: (0.44, 0.365), 362: (0.56, 0.365), 263: (0.68, 0.36), 168: (0.50, 0.355),
            6: (0.50, 0.40), 197: (0.50, 0.445), 195: (0.50, 0.485)}
# (source, how many clips, seconds per clip); None = all
PLAN = [("grid_s1", 300, 3), ("elospheres", None, 8), ("grid_other", None, 8), ("ravdess_gt", None, 8), ("vcdub_gt", None, 8),
        ("imagintalk_gt", None, 8), ("av2av_src", None, 8), ("stabledub_gt", None, 8), ("emollama", None, 8),
        ("mocha", None, 4), ("hyavatar", None, 4), ("sonic", 11, 5), ("actalker", 7, 5), ("skyreels_a3", 5, 5), ("ditto", 8, 4),
        ("face2voicesync", 10, 3), ("echomimic", 16, 2), ("loopy", 8, 2), ("omnihuman", 8, 2), ("cyberhost", 6, 2)]
HELD_OUT = {"c_id01", "c_id09", "c_id31", "c_id41", "c_id47", "c_id57", "c_id61", "c_id64", "c_id68"}
TRUSTED_SYNC = {"grid_s1", "elospheres", "grid_other", "ravdess_gt", "actalker", "mocha", "vcdub_gt", "hyavatar", "sonic",
                "skyreels_a3", "imagintalk_gt", "av2av_src", "stabledub_gt", "emollama"}


def umeyama(template, points):
    """Least-squares similarity template -> points, as (a, b, tx, ty): x' = a x - b y + tx, y' = b x + a y + ty."""
    mt, mp = template.mean(0), points.mean(0)
    t, p = template - mt, points - mp
    d = (t ** 2).sum()
    a = (t * p).sum() / d
    b = (t[:, 0] * p[:, 1] - t[:, 1] * p[:, 0]).sum() / d
    return np.array([a, b, mp[0] - a * mt[0] + b * mt[1], mp[1] - b * mt[0] - a * mt[1]])


def smooth(params, sigma=2.0):
    """Zero-phase Gaussian over time, normalised at the ends."""
    r = int(4 * sigma)
    k = np.exp(-0.5 * (np.arange(-r, r + 1) / sigma) ** 2)
    pad = np.pad(params, ((r, r), (0, 0)), mode="edge")
    out = np.stack([np.convolve(pad[:, i], k / k.sum(), mode="valid") for i in range(params.shape[1])], 1)
    return out


def crop_frame(frame, p):
    a, b, tx, ty = p
    scale = np.hypot(a, b) / CROP  # frame pixels per crop pixel
    over = 1 if scale <= 1.05 else int(np.ceil(scale))
    n = CROP * over
    # pixel centres: crop pixel i is at (i + 0.5)/n in crop units, frame pixel j at j + 0.5
    m = np.array([[a / n, -b / n, tx + 0.5 * (a - b) / n - 0.5], [b / n, a / n, ty + 0.5 * (a + b) / n - 0.5]])
    out = cv2.warpAffine(frame, m, (n, n), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE)
    return out if over == 1 else cv2.resize(out, (CROP, CROP), interpolation=cv2.INTER_AREA)


def face_mesh(frames, mesh):
    """Landmarks [T,468,2] in frame pixels; gaps interpolated; None if too many frames have no face."""
    h, w = frames[0].shape[:2]
    pts, found = np.zeros((len(frames), 468, 2)), np.zeros(len(frames), bool)
    for i, f in enumerate(frames):
        r = mesh.process(f)
        if r.multi_face_landmarks:
            lm = r.multi_face_landmarks[0].landmark
            pts[i] = [(q.x * w, q.y * h) for q in lm[:468]]
            found[i] = True
    if found.mean() < 0.9:
        return None
    if not found.all():
        good, idx = np.where(found)[0], np.arange(len(frames))
        flat = pts.reshape(len(frames), -1)
        for c in range(flat.shape[1]):
            flat[:, c] = np.interp(idx, good, flat[good, c])
        pts = flat.reshape(pts.shape)
    return pts


def read_frames(path, limit):
    cap, out = cv2.VideoCapture(str(path)), []
    while len(out) < limit:
        ok, f = cap.read()
        if not ok:
            break
        out.append(cv2.cvtColor(f, cv2.COLOR_BGR2RGB))
    cap.release()
    return out


def process(path, seconds, out, fps=25):
    import mediapipe as mp
    frames = read_frames(path, int(seconds * fps))
    if len(frames) < 30:
        return "short"
    mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=False, max_num_faces=1, refine_landmarks=False)
    pts = face_mesh(frames, mesh)
    mesh.close()
    if pts is None:
        return "no face"
    ids = list(TEMPLATE)
    tpl = np.array([TEMPLATE[i] for i in ids])
    raw = np.stack([umeyama(tpl, p[ids]) for p in pts])
    par = smooth(raw)
    crops = np.stack([crop_frame(f, p) for f, p in zip(frames, par)])
    a, b, tx, ty = (par[:, i, None] for i in range(4))
    x, y = pts[..., 0] - tx, pts[..., 1] - ty
    d = a * a + b * b
    lm = np.stack([(a * x + b * y) / d, (a * y - b * x) / d], -1) * CROP
    opening = np.linalg.norm(pts[:, 13] - pts[:, 14], axis=-1) / np.linalg.norm(pts[:, 10] - pts[:, 152], axis=-1)
    sound = load_audio(path)
    if len(sound) < 16000:
        return "no sound"
    sound = normalise_gain(sound)
    m = mel(sound)
    need = len(frames) * 4 + 8
    m = m[:need] if len(m) >= need else np.pad(m, ((0, need - len(m)), (0, 0)), constant_values=-0.75)
    tmp = str(out) + ".tmp.npy"
    np.save(tmp, crops)
    os.replace(tmp, str(out) + ".npy")
    np.savez(str(out) + ".npz", mel=m, opening=opening.astype(np.float32), landmarks=lm.astype(np.float32), params=par)
    return len(frames)


def choose(media, seed=7):
    rows = list(csv.DictReader(open(media / "index.tsv"), delimiter="\t"))
    rng = random.Random(seed)
    by = {}
    for r in rows:
        by.setdefault(r["file"].split("/")[0], []).append(r)
    picked, held = [], set()
    for src, count, sec in PLAN:
        clips = by.get(src, [])
        rng.shuffle(clips)
        if count is not None and src != "grid_s1":  # as many identities as possible
            seen = {}
            for r in clips:
                seen.setdefault(r["identity"], []).append(r)
            clips = [g[i] for i in range(max(map(len, seen.values()))) for g in seen.values() if i < len(g)]
        clips = clips[:count] if count else clips
        if src == "grid_s1":
            held |= {r["file"] for r in clips[:20]}
        picked += [dict(file=r["file"], source=src, identity=r["identity"], kind=r["kind"], seconds=sec, trusted=src in TRUSTED_SYNC)
                   for r in clips]
    # ten identities out of the trusted non-GRID sources, all of their clips
    pool = sorted({p["identity"] for p in picked if p["kind"] == "real" and p["source"] in ("elospheres", "vcdub_gt", "imagintalk_gt", "ravdess_gt", "stabledub_gt", "emollama")})
    gen = sorted({p["identity"] for p in picked if p["source"] in ("mocha", "hyavatar", "sonic")})
    ids = set(rng.sample(pool, 8) + rng.sample(gen, 2))
    held |= {p["file"] for p in picked if p["identity"] in ids}
    return picked, held


def whole_clips(folder):
    """Clips of further people at 25 frames a second, and who of them is held out."""
    rows = [r for r in csv.DictReader(open(folder / "index.tsv"), delimiter="\t") if r["kind"] == "AV-real" and abs(float(r["fps"]) - 25) < 0.05]
    picked = [dict(file=r["file"], source="clips", identity="c_" + r["identity"], kind="real", seconds=12, trusted=True, root=str(folder)) for r in rows]
    return picked, {p["file"] for p in picked if p["identity"] in HELD_OUT}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--media", type=Path, required=True)
    ap.add_argument("--clips", type=Path)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--heldout", type=Path, required=True)
    ap.add_argument("--workers", type=int, default=2)
    ap.add_argument("--worker", type=int, default=-1)
    a = ap.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    picked, held = choose(a.media)
    if a.clips:
        more, held_too = whole_clips(a.clips)
        picked, held = picked + more, held | held_too
    rng = random.Random(1)
    rng.shuffle(picked)
    name = lambda p: p["file"].replace("/", "__").rsplit(".", 1)[0]
    if a.worker < 0:
        a.heldout.write_text("\n".join(sorted(held)) + "\n")
        jobs = [subprocess.Popen([sys.executable, *sys.argv, "--worker", str(w)]) for w in range(a.workers)]
        for j in jobs:
            j.wait()
        index = []
        for p in picked:
            if (a.out / (name(p) + ".npz")).exists():
                n = np.load(a.out / (name(p) + ".npz"))["opening"].shape[0]
                index.append(dict(p, id=name(p), frames=int(n), heldout=p["file"] in held))
        (a.out / "index.json").write_text(json.dumps(index, indent=0))
        print("clips", len(index), "frames", sum(p["frames"] for p in index), "of", len(picked), "picked")
        return
    cv2.setNumThreads(1)
    for i, p in enumerate(picked):
        if i % a.workers != a.worker or (a.out / (name(p) + ".npz")).exists():
            continue
        try:
            r = process(Path(p.get("root", a.media)) / p["file"], p["seconds"], a.out / name(p))
        except Exception as e:  # a broken clip must not end the preparation
            r = f"error {e}"
        print(i, p["file"], r, flush=True)


if __name__ == "__main__":
    main()
