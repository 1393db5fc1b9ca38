#!/usr/bin/env python3
"""What must hold of every made clip, checked with the real binary over clips and over variants of them.

    tools/must_hold.py CLIP|FOLDER... [--variants NAME,...|all|none] [--jobs NAME,...] [--steps N]

Jobs: remove, words (a removal, a replacement and an insertion at once, by a transcript), sync, dub. Variants are
made with ffmpeg: other frame rates, rotation, 10 bit, odd sizes, containers, sounds, starts, lengths (`--list`).

Of every output: it ends well and leaves nothing else behind; there are as many frames as were planned, and as many are
decoded; picture and sound start and end together within one frame; frames that the report calls copied are equal to the
recording and re-encoded ones have 45 dB; kept frames keep their lengths and their place in the sound; kept sound is the
recording's (every sample where the sound is not compressed); size, pixel format, colours, rotation, rate and channels are
those of the clip. Needs ffmpeg and numpy. REWORD names another binary than target/release/reword.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

REWORD = os.path.realpath(os.environ.get("REWORD", Path(__file__).parent.parent / "target/release/reword"))
VIDEO_END = (".mp4", ".mov", ".mkv", ".webm", ".mpg", ".ts", ".m4v", ".avi")
X264 = "-c:v libx264 -preset veryfast -crf 18"
# Name: ending, options before the input, options after it. {seconds} is the clip's length.
VARIANTS = {
    "rate22": ("mp4", "", f"-r 22 {X264} -c:a aac"),
    "rate23.976": ("mp4", "", f"-r 24000/1001 {X264} -c:a aac"),
    "rate24": ("mkv", "", f"-r 24 {X264} -c:a libopus"),
    "rate29.97": ("mov", "", f"-r 30000/1001 {X264} -c:a pcm_s16le"),
    "rate30": ("mp4", "", f"-r 30 {X264} -c:a aac"),
    "rate60": ("mp4", "", f"-r 60 {X264} -c:a aac"),
    "varying": ("mp4", "", f"-vf select='not(eq(mod(n\\,7)\\,3))+not(mod(n\\,2))',setpts=PTS+0.004*mod(N\\,3)/TB -fps_mode vfr -video_track_timescale 90000 {X264} -c:a aac"),
    "varying-mkv": ("mkv", "", f"-vf select='not(eq(mod(n\\,5)\\,3))' -fps_mode vfr {X264} -c:a pcm_s16le"),
    "turned": ("mp4", "", f"-metadata:s:v rotate=90 {X264} -c:a aac"),
    "ten-bit": ("mp4", "", "-pix_fmt yuv420p10le -c:v libx265 -preset ultrafast -crf 16 -x265-params log-level=error -tag:v hvc1 -c:a aac"),
    "ten-bit-h264": ("mp4", "", "-pix_fmt yuv420p10le -c:v libx264 -preset veryfast -crf 16 -c:a aac"),
    "colours": ("mp4", "", f"-color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv {X264} -c:a aac"),
    "full-range": ("mp4", "", f"-vf scale=out_range=full -color_range pc -pix_fmt yuvj420p {X264} -c:a aac"),
    "444": ("mkv", "", "-pix_fmt yuv444p -c:v libx264 -preset veryfast -crf 16 -c:a flac"),
    "odd": ("mp4", "", "-vf crop=iw-1:ih-1 -pix_fmt yuv444p -c:v libx264 -preset veryfast -crf 16 -c:a aac"),
    "odd-420": ("mkv", "", "-vf crop=2*floor(iw/2)-1:2*floor(ih/2)-1:0:0:exact=1 -pix_fmt yuv420p -c:v ffv1 -c:a pcm_s16le"),
    "open-gop": ("mp4", "", "-c:v libx264 -preset medium -crf 18 -bf 3 -g 24 -x264-params open-gop=1:b-pyramid=normal -c:a aac"),
    "open-gop-hevc": ("mkv", "", "-c:v libx265 -preset ultrafast -crf 18 -x265-params open-gop=1:keyint=20:bframes=4:log-level=error -c:a aac"),
    "short-gop": ("mp4", "", "-c:v libx264 -preset veryfast -crf 18 -g 8 -c:a aac"),
    "long-gop": ("mp4", "", "-c:v libx264 -preset veryfast -crf 18 -g 1000 -sc_threshold 0 -c:a aac"),
    "baseline": ("mp4", "", "-c:v libx264 -profile:v baseline -preset veryfast -crf 20 -g 30 -pix_fmt yuv420p -c:a aac"),
    "interlaced": ("mp4", "", "-vf tinterlace=interleave_top,fps=25 -c:v libx264 -flags +ilme+ildct -preset veryfast -crf 18 -c:a aac"),
    "anamorphic": ("mp4", "", f"-vf setsar=4/3 {X264} -c:a aac"),
    "webm": ("webm", "", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -crf 30 -b:v 2M -c:a libopus"),
    "vp8": ("webm", "", "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 2M -c:a libvorbis"),
    "mpeg-ts": ("ts", "", f"{X264} -c:a aac"),
    "avi": ("avi", "", "-c:v mpeg4 -q:v 3 -bf 0 -c:a libmp3lame"),
    "prores": ("mov", "", "-c:v prores_ks -profile:v 1 -c:a pcm_s24le"),
    "mjpeg": ("mov", "", "-c:v mjpeg -q:v 3 -pix_fmt yuvj420p -c:a pcm_s16le"),
    "fragmented": ("mp4", "", f"{X264} -c:a aac -movflags frag_keyframe+empty_moov"),
    "mono": ("mp4", "", f"{X264} -ac 1 -ar 44100 -c:a aac"),
    "stereo-pcm": ("mov", "", f"{X264} -ac 2 -ar 44100 -c:a pcm_s16le"),
    "surround": ("mp4", "", f"{X264} -af pan=5.1|FL=c0|FR=c0|FC=c0|LFE=c0|BL=c0|BR=c0 -ar 48000 -c:a aac"),
    "surround-flac": ("mkv", "", f"{X264} -af pan=5.1|FL=c0|FR=0.5*c0|FC=c0|LFE=0.1*c0|BL=c0|BR=c0 -ar 48000 -c:a flac"),
    "sound-8k": ("mov", "", f"{X264} -ar 8000 -ac 1 -c:a pcm_mulaw"),
    "sound-96k": ("mkv", "", f"{X264} -ar 96000 -ac 2 -c:a pcm_f32le"),
    "ac3": ("mkv", "", f"{X264} -ar 48000 -ac 2 -c:a ac3"),
    "opus-mp4": ("mp4", "", f"{X264} -c:a libopus"),
    "sound-late": ("mp4", "", f"-af adelay=0|0,asetpts=PTS+0.35/TB {X264} -c:a aac"),
    "sound-late-mkv": ("mkv", "", f"-af asetpts=PTS+0.35/TB {X264} -c:a pcm_s16le"),
    "picture-late": ("mp4", "", f"-vf setpts=PTS+0.24/TB {X264} -c:a aac"),
    "both-late": ("mkv", "", f"-vf setpts=PTS+3.2/TB -af asetpts=PTS+3.2/TB {X264} -c:a flac"),
    "sound-short": ("mp4", "", f"-af atrim=end={{most}} {X264} -c:a aac"),
    "sound-long": ("mp4", "", f"-af apad=pad_dur=0.9 {X264} -c:a aac"),
    "sound-long-pcm": ("mov", "", f"-af apad=pad_dur=0.9 {X264} -c:a pcm_s16le"),
    "cut-copy": ("mp4", "-ss {third}", "-c copy"),
    "cut-copy-mov": ("mov", "-ss {third}", "-c copy"),
    "two-sounds": ("mp4", "", f"-map 0:v -map 0:a -map 0:a {X264} -c:a aac"),
    "silence": ("mp4", "", f"-af volume=0 {X264} -c:a aac"),
    "loud": ("mp4", "", f"-af volume=20dB {X264} -c:a aac"),
    "one-second": ("mp4", "", f"-t 1 {X264} -c:a aac"),
    "half-second": ("mp4", "", f"-t 0.5 {X264} -c:a aac"),
    "long": ("mp4", "-stream_loop 20", f"-t 25 {X264} -c:a aac"),
    "no-face-inside": ("mp4", "", f"-vf drawbox=enable='between(t,{{third}},{{third}}+0.6)':color=gray:t=fill {X264} -c:a aac"),
    "tiny-face": ("mp4", "", f"-vf scale=100:-2,pad=640:360:270:130 {X264} -c:a aac"),
    "small": ("mp4", "", f"-vf scale=128:-2 {X264} -c:a aac"),
    "two-faces": ("mp4", "", f"-vf split[a][b];[b]hflip[c];[a][c]hstack {X264} -c:a aac"),
    "text-over": ("mp4", "", f"-vf drawbox=x=0:y=ih*0.78:w=iw:h=ih*0.14:color=white:t=fill {X264} -c:a aac"),
    "mirrored-half": ("mp4", "", f"-metadata:s:v rotate=180 {X264} -c:a aac"),
    "subtitles": ("mp4", "", "SUBTITLES"),
}
WORDS = "the cat sat on a mat while it was raining outside and we all went home to eat some bread".split()


class Failed(Exception):
    pass


def tool(*arguments):
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        raise Failed(f"{arguments[0]}: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return done.stdout


def probe(path):
    found = json.loads(tool("ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format", str(path)))
    video = next(s for s in found["streams"] if s["codec_type"] == "video")
    sound = next((s for s in found["streams"] if s["codec_type"] == "audio"), None)
    rotation = next((d["rotation"] for d in video.get("side_data_list", []) if "rotation" in d), 0)
    return {"video": video, "sound": sound, "rotation": rotation, "seconds": float(found["format"]["duration"])}


def frames_of(path, info):
    """Decoded planes [frames, bytes] and the time and length of every frame."""
    listed = json.loads(tool(
        "ffprobe", "-v", "error", "-of", "json", "-select_streams", "v:0", "-show_entries",
        "frame=best_effort_timestamp_time,pkt_dts_time,pkt_duration_time,duration_time", str(path),
    ))["frames"]
    times = np.array([float(f.get("best_effort_timestamp_time", f.get("pkt_dts_time", "nan"))) for f in listed])
    last = float(listed[-1].get("duration_time", listed[-1].get("pkt_duration_time", 0)))
    return times, last


def planes(path, pixels):
    """One decoded frame after another, as flat arrays."""
    running = subprocess.Popen(
        ["ffmpeg", "-v", "quiet", "-noautorotate", "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough",
         "-pix_fmt", pixels["format"], "-f", "rawvideo", "-"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    while True:
        data = running.stdout.read(pixels["bytes"])
        if len(data) < pixels["bytes"]:
            break
        yield np.frombuffer(data, pixels["type"])
    running.stdout.close()
    running.wait()


def layout(info):
    video = info["video"]
    name = video["pix_fmt"]
    width, height = video["width"], video["height"]
    deep = "10" in name or "12" in name
    across, down = (1, 1) if "444" in name else ((2, 1) if "422" in name else (2, 2))
    chroma = -(-width // across) * -(-height // down)
    samples = width * height + (0 if name.startswith("gray") else 2 * chroma)
    return {"format": name, "bytes": samples * (2 if deep else 1), "type": np.uint16 if deep else np.uint8,
            "peak": 1023 if deep else 255, "luma": width * height}


def sound_of(path, info):
    """All samples [samples, channels] as f32 and the time of the first."""
    stream = info["sound"]
    channels = int(stream["channels"])
    data = tool("ffmpeg", "-v", "error", "-i", str(path), "-map", "0:a:0", "-f", "f32le", "-c:a", "pcm_f32le", "-")
    first = json.loads(tool("ffprobe", "-v", "error", "-of", "json", "-select_streams", "a:0", "-read_intervals", "%+#8",
                            "-show_entries", "frame=best_effort_timestamp_time", str(path)))["frames"]
    start = float(first[0]["best_effort_timestamp_time"]) if first else 0.0
    return np.frombuffer(data, np.float32).reshape(-1, channels), start


def psnr(a, b, peak):
    error = np.mean((a.astype(np.float32) - b.astype(np.float32)) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(peak * peak / error)


class Checked:
    """One clip and the jobs done with it."""

    def __init__(self, clip, work, steps):
        self.clip, self.work = clip, work
        self.quick = ["--steps", steps] if steps else []
        self.info = probe(clip)
        self.pixels = layout(self.info)
        self.times, self.last = frames_of(clip, self.info)
        self.frame = float(np.max(np.diff(self.times))) if len(self.times) > 1 else 0.04
        self.starts = 0.0
        if self.info["sound"]:
            self.starts = float(self.info["sound"].get("start_time", 0)) - float(self.info["video"].get("start_time", 0))
        self.seconds = len(self.times) and float(self.times[-1] - self.times[0]) + self.frame

    def run(self, *arguments):
        box = self.work / "box"
        box.mkdir(exist_ok=True)
        done = subprocess.run([REWORD, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, cwd=self.work)
        said = done.stderr.decode(errors="replace")
        if "panicked" in said:
            raise Failed(f"a panic: {said[-400:]}")
        return done, said

    def words(self):
        """Words at even times, for transcripts: what is really said does not matter to an edit."""
        step = 0.36
        count = max(1, min(len(WORDS), int((self.seconds - 0.3) / step)))
        return [{"text": WORDS[i], "start": round(0.15 + i * step, 3), "end": round(0.15 + i * step + 0.3, 3)} for i in range(count)]

    def job(self, name):
        output = self.work / "box" / f"made{self.clip.suffix}"
        report = self.work / "report.json"
        if self.clip.suffix in (".mpg", ".ts", ".avi"):
            output = output.with_suffix(".mp4")
        more = ["--report", report, "-o", output, "--quiet", *self.quick]
        third = self.seconds / 3
        if name == "remove":
            end = min(third + 0.6, self.seconds - 0.1)
            request = ["edit", self.clip, "--remove", f"{third:.2f}-{end:.2f}"]
        elif name == "words":
            words = self.words()
            transcript = self.work / "words.json"
            transcript.write_text(json.dumps({"version": 1, "language": "en", "words": words}))
            said = [w["text"] for w in words]
            if len(said) > 4:
                said[1] = "Wednesday"
                said[-1:] = ["really", said[-1]]
                del said[3]
            elif len(said) > 1:
                said[-1] = "dog"
            else:
                said.append("dog")
            script = self.work / "script.txt"
            script.write_text(" ".join(said))
            request = ["edit", self.clip, "--transcript", transcript, "--script", script]
        elif name == "sync":
            request = ["sync", self.clip, "--speech", self.clip]
        elif name == "dub":
            speech = self.work / "speech.wav"
            tool("ffmpeg", "-v", "error", "-y", "-i", str(self.clip), "-map", "0:a:0", "-af", "atempo=0.87", str(speech))
            request = ["dub", self.clip, "--speech", speech]
        else:
            raise SystemExit(f"no job is called {name}")
        done, said = self.run(*request, *more)
        if done.returncode:
            raise Failed(f"exit code {done.returncode}: {said.strip()}")
        plan = None
        if name in ("remove", "words"):
            planned, text = self.run("plan", *request[1:], "--format", "json", "-q")
            if planned.returncode:
                raise Failed(f"plan: {text.strip()}")
            plan = json.loads(planned.stdout)
        left = sorted(p.name for p in (self.work / "box").iterdir() if p != output)
        if left:
            raise Failed(f"left behind: {left}")
        told = json.loads(report.read_text())
        faults, figures = self.judge(output, told, plan)
        figures["warnings"] = told["warnings"]
        output.unlink()
        return faults, figures

    def judge(self, output, told, plan):
        faults, figures = [], {}
        info = probe(output)
        times, last = frames_of(output, info)
        planned = told["output"]["frames"] if plan is None else plan["output"]["frames"]
        if not len(times) == told["output"]["frames"] == planned:
            faults.append(f"{len(times)} frames are decoded, {told['output']['frames']} told, {planned} planned")
        if np.any(np.diff(times) <= 0):
            faults.append("times that do not rise")
        frame = max(self.frame, float(np.max(np.diff(times))) if len(times) > 1 else 0.0)
        # Start and end.
        samples, first = sound_of(output, info) if info["sound"] else (np.zeros((0, 1)), 0)
        rate = int(info["sound"]["sample_rate"]) if info["sound"] else 1
        ends = (times[-1] + (last or frame), first + len(samples) / rate)
        figures["ends"] = round(ends[1] - ends[0], 4)
        figures["starts"] = round(first - times[0], 4)
        if abs(ends[0] - ends[1]) > frame + 1e-3:
            faults.append(f"picture ends at {ends[0]:.3f} s, sound at {ends[1]:.3f} s")
        # Sound that was recorded before the first picture is kept, and is heard before it.
        if abs(first - times[0]) > max(frame, abs(self.starts)) + 1e-3:
            faults.append(f"picture starts at {times[0]:.3f} s, sound at {first:.3f} s")
        # What stays as it is.
        for key in ("width", "height", "pix_fmt", "sample_aspect_ratio", "color_primaries", "color_transfer", "color_space"):
            old, new = self.info["video"].get(key), info["video"].get(key)
            if key == "pix_fmt" and "full resolution" in " ".join(told["warnings"]):
                continue
            if old != new and not (key == "sample_aspect_ratio" and {old, new} <= {None, "1:1", "0:1"}):
                faults.append(f"{key} {new} instead of {old}")
        if (self.info["video"].get("color_range") == "pc") != (info["video"].get("color_range") == "pc"):
            faults.append(f"color_range {info['video'].get('color_range')}")
        if self.info["rotation"] % 360 != info["rotation"] % 360:
            faults.append(f"rotation {info['rotation']} instead of {self.info['rotation']}")
        if self.info["sound"]:
            for key in ("channels", "sample_rate"):
                old, new = self.info["sound"][key], info["sound"][key]
                # Opus knows one rate; Matroska can't hide AAC's first block, which a high rate keeps short.
                other = info["sound"]["codec_name"] == "opus" or (output.suffix == ".mkv" and info["sound"]["codec_name"] == "aac")
                if old != new and not (key == "sample_rate" and other):
                    faults.append(f"{key} {new} instead of {old}")
        # Frames.
        wanted = {}
        for span in told["spans"]:
            if span["source"]:
                for index in range(span["out"][1] - span["out"][0]):
                    wanted[span["out"][0] + index] = (span["source"][0] + index, span["kind"])
        covered = sum(span["out"][1] - span["out"][0] for span in told["spans"])
        if covered != told["output"]["frames"]:
            faults.append(f"the spans cover {covered} frames")
        if info["video"]["pix_fmt"] == self.info["video"]["pix_fmt"] and not faults:
            self.compare_frames(output, wanted, faults, figures)
            moved = [
                (i, s) for i, (s, kind) in wanted.items()
                if i + 1 in wanted and wanted[i + 1][0] == s + 1 and s + 1 < len(self.times) and i + 1 < len(times)
                and abs((times[i + 1] - times[i]) - (self.times[s + 1] - self.times[s])) > 0.0015
            ]
            if moved:
                i, s = moved[0]
                faults.append(f"{len(moved)} frames have other lengths, the first is {i}: {times[i+1]-times[i]:.4f} s, recorded {self.times[s+1]-self.times[s]:.4f} s")
        if plan is not None and self.info["sound"] and not faults:
            self.compare_sound(samples, first, rate, times, wanted, info, plan, faults, figures)
        kinds = {}
        for span in told["spans"]:
            kinds[span["kind"]] = kinds.get(span["kind"], 0) + span["out"][1] - span["out"][0]
        figures["frames"] = kinds
        return faults, figures

    def compare_frames(self, output, wanted, faults, figures):
        if not any(kind in ("copied", "reencoded") for _, kind in wanted.values()):
            return
        need = sorted({s for s, kind in wanted.values() if kind in ("copied", "reencoded")})
        source = {}
        highest = need[-1]
        made = planes(output, self.pixels)
        recorded = enumerate(planes(self.clip, self.pixels))
        worst = {"copied": float("inf"), "reencoded": float("inf")}
        place = {}
        next_source = 0
        for i, picture in enumerate(made):
            if i not in wanted or wanted[i][1] not in worst:
                continue
            s, kind = wanted[i]
            while next_source <= s:
                index, data = next(recorded, (None, None))
                if index is None:
                    faults.append(f"the recording has no frame {s}")
                    return
                next_source = index + 1
                source = {index: data}
            if s not in source:
                continue  # shown a second time; its first showing was compared
            value = psnr(picture, source[s], self.pixels["peak"])
            if value < worst[kind]:
                worst[kind], place[kind] = value, i
        for kind, least in (("copied", float("inf")), ("reencoded", 45.0)):
            if worst[kind] < least:
                faults.append(f"frame {place[kind]} is {kind}, and has {worst[kind]:.1f} dB")
        figures["dB"] = round(min(worst["reencoded"], 99.0), 1)

    def compare_sound(self, samples, first, rate, times, wanted, info, plan, faults, figures):
        recorded, start = sound_of(self.clip, self.info)
        if int(self.info["sound"]["sample_rate"]) != rate or recorded.shape[1] != samples.shape[1]:
            return
        # Sample 0 of the plan is the clip's first sound sample (or the first frame's moment); positions are those of the
        # plan's own counting, which starts with the picture.
        base = plan["clip"]["sound"]["start"]
        guard = int(0.06 * rate)
        exact = info["sound"]["codec_name"].startswith(("pcm", "flac")) and self.info["sound"]["codec_name"].startswith(("pcm", "flac"))
        lag = 0 if exact else primed(samples, recorded, plan["sound"], rate)
        samples = samples[lag:]
        first += lag / rate
        worst, compared = 0.0, 0
        signal = noise = 0.0
        for run in plan["sound"]:
            if run["kind"] != "source":
                continue
            a, b = run["out"][0] + guard, run["out"][1] - guard
            if run["out"][0] == 0:
                a = run["out"][0]
            shift = run["samples"]["start"] - run["out"][0]
            a, b = max(a, 0, -shift), min(b, len(samples), len(recorded) - shift)
            if b <= a:
                continue
            made, old = samples[a:b], recorded[a + shift : b + shift]
            worst = max(worst, float(np.max(np.abs(made - old))))
            signal += float(np.sum(old.astype(np.float64) ** 2))
            noise += float(np.sum((made - old).astype(np.float64) ** 2))
            compared += b - a
        figures["sound"] = "exact" if worst == 0 else round(10 * np.log10(signal / noise), 1) if signal and noise else 0
        figures["compared"] = round(compared / rate, 2)
        if exact and worst > 0:
            faults.append(f"kept sound differs by {worst:.5f} ({self.info['sound']['codec_name']})")
        elif not exact and signal > 1e-3 * max(compared, 1) * 1e-3 and compared > rate // 10 and noise > signal * 0.1:
            faults.append(f"kept sound has {figures['sound']} dB only")
        # The place of kept pictures in the sound.
        tops = 0.0
        for i, (s, _) in wanted.items():
            if i >= len(times) or s >= len(self.times):
                continue
            at = (times[i] - first) * rate
            run = next((r for r in plan["sound"] if r["out"][0] <= at < r["out"][1]), None)
            if run and run["kind"] == "source":
                heard = start + (run["samples"]["start"] + at - run["out"][0]) / rate
                tops = max(tops, abs(heard - self.times[s]))
        figures["apart_ms"] = round(tops * 1000, 1)
        if tops > self.frame / 2 + 2e-3:
            faults.append(f"a kept picture is {tops * 1000:.0f} ms from its sound")


def primed(made, recorded, runs, rate):
    """Samples of silence that an encoder put in front and that nobody leaves out: up to 0.1 s."""
    run = next((run for run in runs if run["kind"] == "source" and run["out"][1] - run["out"][0] > rate // 4), None)
    if run is None:
        return 0
    length = min(run["out"][1] - run["out"][0], 2 * rate)
    a = made[run["out"][0] :][: length + rate // 10].sum(axis=1)
    b = recorded[run["samples"]["start"] :][:length].sum(axis=1)
    size = 1 << (len(a) + len(b)).bit_length()
    found = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)[: rate // 10]
    return int(np.argmax(found)) if np.max(found) > 0 else 0


def make_variant(name, clip, work):
    ending, before, after = VARIANTS[name]
    info = probe(clip)
    values = {"seconds": f"{info['seconds']:.2f}", "third": f"{info['seconds'] / 3:.2f}", "most": f"{info['seconds'] * 0.8:.2f}"}
    made = work / f"{clip.stem}.{name}.{ending}"
    for key, value in values.items():
        before, after = before.replace("{" + key + "}", value), after.replace("{" + key + "}", value)
    if after == "SUBTITLES":
        text = work / "sub.srt"
        text.write_text("1\n00:00:00,200 --> 00:00:01,000\nhello there\n\n2\n00:00:01,200 --> 00:00:02,500\n<i>world</i>\n")
        tool("ffmpeg", "-v", "error", "-y", "-i", str(clip), "-i", str(text), "-map", "0:v", "-map", "0:a", "-map", "1", *X264.split(), "-c:a", "aac", "-c:s", "mov_text", str(made))
    else:
        tool("ffmpeg", "-v", "error", "-y", *before.split(), "-i", str(clip), *after.split(), str(made))
    return made


def main():
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("clips", nargs="*", type=Path)
    asked.add_argument("--variants", default="none")
    asked.add_argument("--jobs", default="remove,words")
    asked.add_argument("--steps", help="denoising steps: 1 is quick, and enough for all but the looks")
    asked.add_argument("--list", action="store_true")
    asked = asked.parse_args()
    if asked.list:
        print("\n".join(f"{name}: {' '.join(VARIANTS[name]).strip()}" for name in VARIANTS))
        return 0
    clips = []
    for given in asked.clips:
        clips += sorted(p for p in given.iterdir() if p.suffix in VIDEO_END) if given.is_dir() else [given]
    variants = {"none": [], "all": list(VARIANTS)}.get(asked.variants, asked.variants.split(","))
    bad = total = 0
    with tempfile.TemporaryDirectory(prefix="must-hold-") as folder:
        work = Path(folder)
        for clip in clips:
            for variant in variants or [None]:
                name = clip.name if variant is None else f"{clip.name} {variant}"
                try:
                    path = clip.resolve() if variant is None else make_variant(variant, clip.resolve(), work)
                    checked = Checked(path, work, asked.steps)
                except (Failed, StopIteration) as error:
                    print(f"  skip  {name}: {error}", flush=True)
                    continue
                for job in asked.jobs.split(","):
                    total += 1
                    try:
                        faults, figures = checked.job(job)
                    except Failed as error:
                        faults, figures = [str(error)], {}
                    for left in (work / "box").glob("*") if (work / "box").exists() else []:
                        subprocess.run(["rm", "-rf", str(left)])
                    bad += bool(faults)
                    mark = "FAILED" if faults else "  ok  "
                    print(f"{mark} {name} {job}: {'; '.join(faults)} {json.dumps(figures) if figures else ''}", flush=True)
                if variant is not None:
                    path.unlink()
    print(f"{total - bad} of {total} hold")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
