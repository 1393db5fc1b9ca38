//! `reword edit` on the sample clip: what must hold for every edit, checked on the file that comes out.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test says what went wrong by failing"
)]

mod support;

use media::{Clip, OpenOptions};
use serde_json::Value;
use std::path::Path;
use support::Bench;
use units::FrameIndex;

struct Result {
    report: Value,
    clip: Clip,
    source: Clip,
}

/// Edits the sample by `arguments` and opens what comes out.
fn edit(bench: &Bench, arguments: &[&str]) -> Result {
    let source = bench.clip("clip with a space.mp4");
    let mut all = vec![
        "edit",
        "clip with a space.mp4",
        "-o",
        "out.mp4",
        "--report",
        "report.json",
        "--quiet",
    ];
    all.extend(arguments);
    let output = bench.run(&all);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), "out.mp4\n");
    let report: Value =
        serde_json::from_slice(&std::fs::read(bench.path().join("report.json")).unwrap()).unwrap();
    let mut names = bench.names();
    names.retain(|name| !name.starts_with("clip with a space.") && !name.contains("quoted"));
    assert_eq!(
        names,
        ["out.mp4", "report.json"],
        "nothing else stays behind"
    );
    let open = |path: &Path| Clip::open(path, &OpenOptions::default()).unwrap();
    Result {
        report,
        clip: open(&bench.path().join("out.mp4")),
        source: open(&source),
    }
}

fn luma(clip: &Clip, frame: u64) -> Vec<u8> {
    let mut reader = clip
        .frames(FrameIndex(frame)..FrameIndex(frame + 1))
        .unwrap();
    reader.next().unwrap().unwrap().to_rgb8().data
}

fn psnr(a: &[u8], b: &[u8]) -> f64 {
    let error: f64 = a
        .iter()
        .zip(b)
        .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2))
        .sum::<f64>()
        / a.len() as f64;
    if error == 0.0 {
        99.0
    } else {
        10.0 * (255.0 * 255.0 / error).log10()
    }
}

fn sound(clip: &Clip) -> Vec<f32> {
    let mut reader = clip.all_audio().unwrap();
    let mut samples = Vec::new();
    while let Some(block) = reader.next_block().unwrap() {
        samples.extend_from_slice(&block.channels[0]);
    }
    samples
}

/// What every output must keep, whatever the edit.
fn check(result: &Result) {
    let video = result.clip.video().unwrap();
    let report = &result.report;
    assert_eq!(
        report["output"]["frames"].as_u64().unwrap(),
        video.frames,
        "planned length to the frame"
    );

    // Sound and picture end together within a frame.
    let frame = video.rate.frame_duration().0;
    let end = result.clip.sound().unwrap().end().0;
    assert!(
        (end - video.times.end().0).abs() <= frame + 1e-6,
        "sound ends at {end}, picture at {}",
        video.times.end()
    );

    // Every output frame is accounted for exactly once; recorded ones are the recorded ones.
    let mut next = 0;
    for span in report["spans"].as_array().unwrap() {
        let (start, stop) = (
            span["out"][0].as_u64().unwrap(),
            span["out"][1].as_u64().unwrap(),
        );
        assert_eq!(start, next, "spans follow one another");
        assert!(stop > start);
        next = stop;
        let kind = span["kind"].as_str().unwrap();
        if kind == "copied" || kind == "reencoded" {
            let from = span["source"][0].as_u64().unwrap();
            assert_eq!(span["source"][1].as_u64().unwrap() - from, stop - start);
            for offset in [0, (stop - start) / 2, stop - start - 1] {
                let (was, is) = (
                    luma(&result.source, from + offset),
                    luma(&result.clip, start + offset),
                );
                let quality = psnr(&was, &is);
                assert!(
                    quality >= 45.0,
                    "{kind} frame {} has {quality:.1} dB",
                    start + offset
                );
                if kind == "copied" {
                    assert_eq!(was, is, "copied frame {}", start + offset);
                }
            }
        }
    }
    assert_eq!(next, video.frames);
}

#[test]
fn a_removal_shortens_the_clip_by_what_was_removed() {
    let bench = Bench::new();
    let result = edit(&bench, &["--remove", "um"]);
    check(&result);
    let removed = &result.report["edits"][0];
    let length = removed["source"][1].as_f64().unwrap() - removed["source"][0].as_f64().unwrap();
    let (was, is) = (result.source.video().unwrap(), result.clip.video().unwrap());
    let shorter = was.times.end().0 - is.times.end().0;
    assert!(
        (shorter - length).abs() <= was.rate.frame_duration().0,
        "{shorter} s shorter, {length} s removed"
    );

    // Sound before the edit, beyond any crossfade, is the recorded sound as far as AAC keeps it.
    let (was, is) = (sound(&result.source), sound(&result.clip));
    let rate = f64::from(result.clip.sound().unwrap().rate.hertz());
    let until = ((removed["source"][0].as_f64().unwrap() - 0.1) * rate) as usize;
    let energy: f32 = was[..until].iter().map(|value| value * value).sum();
    let error: f32 = was[..until]
        .iter()
        .zip(&is[..until])
        .map(|(a, b)| (a - b) * (a - b))
        .sum();
    assert!(
        error < energy * 1e-3,
        "the sound before the edit changed by {}",
        error / energy
    );
}

#[test]
fn a_replacement_makes_new_lips_and_keeps_the_rest() {
    let bench = Bench::new();
    let result = edit(&bench, &["--replace", "Tuesday=Wednesday"]);
    check(&result);
    let made: u64 = result.report["spans"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|span| ["generated", "lipsynced"].contains(&span["kind"].as_str().unwrap()))
        .map(|span| span["out"][1].as_u64().unwrap() - span["out"][0].as_u64().unwrap())
        .sum();
    assert!(made > 5, "only {made} frames were made");
    assert!(result.report["model"]["sha256"].as_str().unwrap().len() == 64);
}

#[test]
fn several_edits_at_once() {
    let bench = Bench::new();
    let spoken = std::fs::read_to_string(support::sample().join("spoken.txt")).unwrap();
    let script = spoken
        .replace("Tuesday, um,", "Thursday")
        .replace("blue", "long green");
    assert_ne!(script, spoken);
    bench.file("a 'quoted' script – ü.txt", script);
    let result = edit(&bench, &["--script", "a 'quoted' script – ü.txt"]);
    check(&result);
    assert!(result.report["edits"].as_array().unwrap().len() >= 2);
}

#[test]
fn the_same_seed_gives_the_same_file() {
    let files: Vec<Vec<u8>> = (0..2)
        .map(|_| {
            let bench = Bench::new();
            edit(&bench, &["--replace", "nine=ten", "--seed", "7"]);
            std::fs::read(bench.path().join("out.mp4")).unwrap()
        })
        .collect();
    assert!(files[0] == files[1], "two runs with one seed differ");
}

#[test]
fn sync_with_the_own_track_keeps_length_and_everything_but_the_mouth() {
    let bench = Bench::new();
    bench.clip("a.mp4");
    let output = bench.run(&[
        "sync", "a.mp4", "--speech", "a.mp4", "-o", "out.mp4", "--report", "r.json", "--quiet",
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let open = |name: &str| Clip::open(bench.path().join(name), &OpenOptions::default()).unwrap();
    let (was, is) = (open("a.mp4"), open("out.mp4"));
    assert_eq!(was.video().unwrap().frames, is.video().unwrap().frames);
    // The top quarter of the picture holds no mouth.
    let middle = was.video().unwrap().frames / 2;
    let quarter = |clip: &Clip| {
        let all = luma(clip, middle);
        all[..all.len() / 4].to_vec()
    };
    assert!(psnr(&quarter(&was), &quarter(&is)) >= 45.0);
    let samples = is.sound().unwrap().samples;
    assert!(
        samples.abs_diff(was.sound().unwrap().samples) <= 2048,
        "{samples} samples"
    );
}
