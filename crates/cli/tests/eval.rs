//! `reword eval` through the real binary: tables, JSON, reasons, refusals.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test says what went wrong by failing"
)]

mod support;

use support::Bench;

#[test]
fn a_clip_against_itself_in_csv_and_json() {
    let bench = Bench::new();
    bench.clip("a.mp4");
    let metrics = "psnr,outside-max,lpips";
    let csv = bench.run(&[
        "eval",
        "a.mp4",
        "a.mp4",
        "--metrics",
        metrics,
        "--csv",
        "-q",
    ]);
    let text = String::from_utf8(csv.stdout).unwrap();
    assert!(csv.status.success(), "{text}");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("metric,value,note"));
    assert!(
        lines.next().unwrap().starts_with("psnr (dB) ↑,100.0,"),
        "{text}"
    );
    assert!(text.contains("\noutside-max (levels) ↓,0.000,"), "{text}");
    assert!(text.contains("no weights: alexnet.safetensors"), "{text}");
    let json = bench.run(&[
        "eval",
        "a.mp4",
        "a.mp4",
        "--metrics",
        "psnr",
        "--json",
        "--report",
        "r.json",
    ]);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(value["copy"]["kind"], "exact");
    assert_eq!(value["scores"][0]["value"], 100.0);
    assert_eq!(value["compared"], 179);
    let report = std::fs::read(bench.path().join("r.json")).unwrap();
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&report).unwrap(),
        value
    );
}

#[test]
fn what_makes_no_sense_is_refused_with_its_exit_code() {
    let bench = Bench::new();
    bench.clip("a.mp4");
    bench.file("suite.toml", "title = \"nothing\"\n");
    for (arguments, code, part) in [
        (
            vec!["eval", "a.mp4", "a.mp4", "--metrics", "beauty"],
            2,
            "there is no metric 'beauty'",
        ),
        (vec!["eval", "a.mp4", "b.mp4"], 3, "b.mp4"),
        (vec!["eval", "a.mp4"], 2, "REFERENCE"),
        (
            vec!["eval", "a.mp4", "a.mp4", "--mask", "1,2"],
            2,
            "'1,2' is no box",
        ),
        (
            vec!["eval", "--suite", "suite.toml"],
            3,
            "there are no clips",
        ),
        (vec!["eval", "--suite", "none.toml"], 3, "none.toml"),
    ] {
        let output = bench.run(&arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{text}");
        assert!(text.contains(part), "{arguments:?}\n{text}");
    }
}

#[test]
fn the_list_names_metrics_and_weight_files() {
    let bench = Bench::new();
    let output = bench.run(&["eval", "--list"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "sync-c ↑",
        "lip-leak ↓",
        "syncnet_v2.safetensors",
        "pytorch-fid",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}
