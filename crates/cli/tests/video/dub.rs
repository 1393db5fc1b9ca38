//! A track of another length: pictures are retimed on frames, or by whole latents.

use crate::support::Bench;
use crate::video_model::{self, bench, open};
use serde_json::Value;
use std::process::Command;

/// The clip's track at another speed.
fn track(bench: &Bench, name: &str, tempo: &str) {
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(bench.path().join("a.mp4"))
        .args(["-vn", "-af", &format!("atempo={tempo}")])
        .arg(bench.path().join(name))
        .status()
        .unwrap();
    assert!(made.success());
}

/// Dubs the clip; its frames, and the report.
fn dub(bench: &Bench, speech: &str, more: &[&str]) -> (u64, Value) {
    let shared = [
        "dub",
        "a.mp4",
        "--speech",
        speech,
        "--model",
        "model",
        "--adapter",
        "whole.safetensors",
        "--steps",
        "2",
        "-o",
        "out.mp4",
        "--report",
        "r.json",
        "--quiet",
    ];
    let output = bench.run(&[&shared[..], more].concat());
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{err}");
    let report = std::fs::read(bench.path().join("r.json")).unwrap();
    let frames = open(bench, "out.mp4").video().unwrap().frames;
    (frames, serde_json::from_slice(&report).unwrap())
}

#[test]
fn pictures_are_retimed_on_frames_or_by_whole_latents() {
    let bench = bench();
    video_model::write_whole_parts(&bench.path().join("whole.safetensors"));
    track(&bench, "long.wav", "0.8");
    track(&bench, "short.wav", "1.25");
    let was = open(&bench, "a.mp4").video().unwrap().frames;
    assert_eq!(was, 120);

    let (frames, _) = dub(&bench, "long.wav", &[]);
    assert!(frames.abs_diff(150) <= 1, "{frames}");

    let made = |report: &Value| {
        let spans = report["spans"].as_array().unwrap();
        let mut made = 0;
        for span in spans {
            let [start, end] = [0, 1].map(|end| span["out"][end].as_u64().unwrap());
            let source = [0, 1].map(|end| span["source"][end].as_u64());
            if span["kind"] == "generated" {
                made += end - start;
            } else if let [Some(from), Some(to)] = source {
                // What is kept is whole latents of the recording.
                assert!(from == 0 || from % 8 == 1, "{span}");
                assert!(to == was || to % 8 == 1, "{span}");
                assert_eq!(to - from, end - start, "{span}");
            }
        }
        made
    };
    let latents = ["--order", "latents"];
    // 30 frames are wanted: four latents, the last of them partly under room tone.
    let (frames, report) = dub(&bench, "long.wav", &latents);
    assert_eq!(frames, 152, "{report}");
    assert!(made(&report) >= 32, "{report}");
    assert_eq!(report["edits"].as_array().unwrap().len(), 4, "{report}");
    // 24 frames are too many: three latents go, and those beside the cuts are made anew.
    let (frames, report) = dub(&bench, "short.wav", &latents);
    assert_eq!(frames, 96, "{report}");
    assert_eq!(report["edits"].as_array().unwrap().len(), 3, "{report}");
    assert_eq!(made(&report), 3 * 16, "{report}");
}
