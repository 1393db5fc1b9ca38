#!/usr/bin/env python3
"""Compares `crates/face` with MediaPipe's own FaceMesh (PyPI mediapipe 0.10.21) on the same frames.

    cargo build --release -p face --example track
    python tools/convert/compare_face_mesh.py target/release/examples/track CLIP...

Per clip: frames found by either, mean distance of the 468 points in % of the distance between the
outer corners of the eyes (median frame, and the same for the lips only), and the correlation of the
mouth's opening (points 13 and 14 over points 10 and 152). References are kept in --cache, so that a second run is
quick. With --save the references (openings, and a few points of every fifth frame) also go into
`crates/face/tests/fixtures/face_mesh.safetensors`, which `crates/face/tests/clips.rs` reads.
"""

import argparse
import subprocess
from pathlib import Path

import numpy as np

LIPS = [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146,
        78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95]

SAVED = 60
SAVED_POINTS = [33, 133, 362, 263, 1, 61, 291, 13, 14, 10, 152, 234, 454]


def probe(path):
    out = subprocess.check_output(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries",
                                   "stream=width,height,avg_frame_rate", "-of", "csv=p=0", path], text=True)
    width, height, rate = out.strip().split(",")[:3]
    top, bottom = rate.split("/")
    return int(width), int(height), float(top) / float(bottom)


def decode(path, frames):
    return subprocess.Popen(["ffmpeg", "-v", "error", "-i", path, "-frames:v", str(frames), "-f", "rawvideo",
                             "-pix_fmt", "rgb24", "-"], stdout=subprocess.PIPE)


def reference(path, width, height, frames, cache):
    kept = cache / (Path(path).name + ".npz")
    if kept.exists():
        data = np.load(kept)
        return data["pts"], data["found"]
    import mediapipe as mp

    mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=False, max_num_faces=1, refine_landmarks=False)
    points, found = [], []
    with decode(path, frames) as source:
        while len(data := source.stdout.read(width * height * 3)) == width * height * 3:
            result = mesh.process(np.frombuffer(data, np.uint8).reshape(height, width, 3))
            faces = result.multi_face_landmarks
            found.append(bool(faces))
            points.append([(p.x * width, p.y * height) for p in faces[0].landmark[:468]] if faces else np.zeros((468, 2)))
    mesh.close()
    points, found = np.array(points, np.float32), np.array(found)
    cache.mkdir(parents=True, exist_ok=True)
    np.savez(kept, pts=points, found=found)
    return points, found


def opening(points):
    gap = np.linalg.norm(points[:, 13] - points[:, 14], axis=-1)
    return gap / np.linalg.norm(points[:, 10] - points[:, 152], axis=-1)


def save(clips, args):
    from safetensors.numpy import save_file

    fixture = {}
    for clip in clips:
        width, height, _ = probe(clip)
        points, found = reference(clip, width, height, args.frames, args.cache)
        assert found[:SAVED].all(), clip
        name = Path(clip).name
        fixture[f"{name}.opening"] = opening(points[:SAVED]).astype(np.float32)
        fixture[f"{name}.points"] = np.ascontiguousarray(points[:SAVED:5, SAVED_POINTS])
    out = Path(__file__).resolve().parents[2] / "crates/face/tests/fixtures/face_mesh.safetensors"
    save_file(fixture, out)
    print(f"{out}: {out.stat().st_size} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("track", help="the built example")
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--cache", type=Path, default=Path("face_mesh_cache"))
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    if args.save:
        save(args.clips, args)
    print(f"{'clip':36} {'size':>9} {'frames':>6} {'ours':>6} {'theirs':>6} {'points':>7} {'lips':>7} {'mouth r':>8} {'|yaw|':>6}")
    for clip in args.clips:
        width, height, fps = probe(clip)
        theirs, found = reference(clip, width, height, args.frames, args.cache)
        with decode(clip, args.frames) as source:
            run = subprocess.run([args.track, str(width), str(height), str(fps)], stdin=source.stdout,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        rows = np.frombuffer(run.stdout, np.float32).reshape(-1, 3 + 936)
        ours = rows[:, 3:].reshape(-1, 468, 2)
        seen = rows[:, 0] == 1
        both = seen & found
        name, count = Path(clip).name, len(rows)
        if both.sum() < 5:
            print(f"{name:36} {width}x{height} {count} ours {seen.mean():.3f} theirs {found.mean():.3f} {run.stderr.decode().strip()}")
            continue
        eyes = np.linalg.norm(theirs[both, 33] - theirs[both, 263], axis=-1)
        distance = np.linalg.norm(ours[both] - theirs[both], axis=-1) / eyes[:, None] * 100
        r = np.corrcoef(opening(ours[both]), opening(theirs[both]))[0, 1]
        print(f"{name:36} {f'{width}x{height}':>9} {count:6} {seen.mean():6.1%} {found.mean():6.1%} {np.median(distance.mean(1)):6.2f}% "
              f"{np.median(distance[:, LIPS].mean(1)):6.2f}% {r:8.4f} {np.abs(rows[both, 1]).mean():6.2f}  {run.stderr.decode().splitlines()[0]}", flush=True)


if __name__ == "__main__":
    main()
