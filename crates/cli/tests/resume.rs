//! Killed at any moment, run again with `--resume`: the same bytes as an undisturbed run.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test says what went wrong by failing"
)]

mod support;

use std::process::Stdio;
use std::time::{Duration, Instant};
use support::Bench;

const ARGUMENTS: [&str; 7] = [
    "edit",
    "a.mp4",
    "--replace",
    "Tuesday=Wednesday",
    "-o",
    "out.mp4",
    "--quiet",
];

#[test]
fn a_killed_run_resumes_to_the_same_bytes() {
    let whole = Bench::new();
    whole.clip("a.mp4");
    let started = Instant::now();
    assert!(whole.run(&ARGUMENTS).status.success());
    let lasted = started.elapsed();
    let expected = std::fs::read(whole.path().join("out.mp4")).unwrap();

    for part in [0.3, 0.6, 0.85] {
        let bench = Bench::new();
        bench.clip("a.mp4");
        let mut child = bench
            .reword()
            .args(ARGUMENTS)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_secs_f64(lasted.as_secs_f64() * part));
        child.kill().unwrap();
        child.wait().unwrap();
        let finished = bench.path().join("out.mp4").exists();
        assert!(
            !finished || std::fs::read(bench.path().join("out.mp4")).unwrap() == expected,
            "half an output"
        );
        let mut again = ARGUMENTS.to_vec();
        again.push("--resume");
        let output = bench.run(&again);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            std::fs::read(bench.path().join("out.mp4")).unwrap() == expected,
            "killed at {part} of the run"
        );
        assert_eq!(
            bench.names(),
            ["a.mp4", "a.words.json", "out.mp4"],
            "nothing stays behind"
        );
    }
}
