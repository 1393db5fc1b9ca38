//! Scene cuts: what is made anew at an edit stays in its scene.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test says what went wrong by failing"
)]

mod support;

use serde_json::Value;
use std::process::Command;
use support::Bench;

/// The first two seconds of the sample, then two more of it, mirrored and in other colours: a cut at frame 50.
fn cut_clip(bench: &Bench) -> bool {
    let sample = support::sample().join("sample.mp4");
    let filter = "[0:v]trim=0:2,setpts=PTS-STARTPTS[a];\
        [0:v]trim=2:4,setpts=PTS-STARTPTS,hflip,hue=h=120,negate[b];\
        [a][b]concat=n=2:v=1[v];[0:a]atrim=0:4[s]";
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(sample)
        .args(["-filter_complex", filter, "-map", "[v]", "-map", "[s]"])
        .args(["-c:v", "libx264", "-g", "25", "-c:a", "aac"])
        .arg(bench.path().join("cut.mp4"))
        .status();
    let made = made.is_ok_and(|status| status.success());
    if !made {
        eprintln!("skipped: no ffmpeg program that makes the clip");
    }
    made
}

fn spans(bench: &Bench, arguments: &[&str]) -> Vec<(String, u64, u64)> {
    let mut all = vec![
        "edit", "cut.mp4", "-o", "out.mp4", "--report", "r.json", "--quiet",
    ];
    all.extend(arguments);
    let output = bench.run(&all);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value =
        serde_json::from_slice(&std::fs::read(bench.path().join("r.json")).unwrap()).unwrap();
    report["spans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|span| {
            let at = |index: usize| span["out"][index].as_u64().unwrap();
            (span["kind"].as_str().unwrap().to_owned(), at(0), at(1))
        })
        .collect()
}

#[test]
fn a_cut_stays_a_cut_and_mouths_beyond_it_stay_as_recorded() {
    let bench = Bench::new();
    if !cut_clip(&bench) {
        return;
    }
    let made = |spans: &[(String, u64, u64)]| -> Vec<(u64, u64)> {
        let made = spans
            .iter()
            .filter(|(kind, ..)| kind == "generated" || kind == "lipsynced");
        made.map(|&(_, start, end)| (start, end)).collect()
    };
    // The removed footage holds the cut: both sides meet in a plain cut.
    let across = spans(&bench, &["--remove", "1.6-2.4", "--exact"]);
    assert_eq!(made(&across), [], "{across:?}");
    // The cut comes three frames after the removal: the dissolve is as short, and nothing beyond is touched.
    let beside = spans(&bench, &["--remove", "1.2-1.88", "--exact"]);
    let beside = made(&beside);
    let (first, last) = (beside.first().unwrap().0, beside.last().unwrap().1);
    assert_eq!((first, last), (25, 33), "frame 33 begins the next scene");
}
