//! Suites: failures, baselines, files.

use crate::support::{pictures, write};
use measure::suite::{NoMaker, Suite, run_suite, write_suite};
use measure::{Silent, Weights};
use media::OpenOptions;

#[test]
fn a_suite_counts_failures_and_carries_its_baselines() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("a.mp4"), pictures(), (25, 1), true);
    let mut shifted = pictures().to_vec();
    shifted.rotate_left(10);
    std::fs::create_dir(at("theirs")).unwrap();
    write(&at("theirs/a.mp4"), &shifted, (25, 1), true);
    std::fs::copy(at("a.mp4"), at("b.mp4")).unwrap();
    write(&at("theirs/b.mp4"), &shifted[..30], (25, 1), true);
    std::fs::copy(at("a.mp4"), at("c.mp4")).unwrap();
    std::fs::write(
        at("suite.toml"),
        r#"
        title = "three clips"
        metrics = ["psnr", "mouth-psnr", "mouth-correlation", "fid"]
        clip = [{ name = "a", input = "a.mp4" }, { name = "b", input = "b.mp4" }, { name = "c", input = "c.mp4" }]
        [[system]]
        name = "theirs"
        kind = "files"
        files = "theirs/{clip}.mp4"
        "#,
    )
    .unwrap();
    let loaded = Suite::load(&at("suite.toml")).unwrap();
    let open = OpenOptions::default();
    let out = at("out");
    let weights = Weights::default();
    let run = || run_suite(&loaded, &out, &weights, open, &mut NoMaker, &mut Silent).unwrap();
    let mut report = run();
    let names: Vec<&str> = report
        .systems
        .iter()
        .map(|system| system.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["theirs", "copy of the input", "still mouth", "truth"]
    );
    let theirs = &report.systems[0];
    assert_eq!(theirs.successes, 1);
    assert!(
        theirs.clips[1]
            .failure
            .as_ref()
            .unwrap()
            .contains("30 frames instead of 36")
    );
    assert!(
        theirs.clips[2]
            .failure
            .as_ref()
            .unwrap()
            .contains("no file")
    );
    assert_eq!(theirs.cells[0].clips, 2);
    let psnr = |system: usize| report.systems[system].cells[0].value.unwrap().mean;
    assert!((psnr(3) - 100.0).abs() < 1e-9 && (psnr(1) - 100.0).abs() < 1e-9);
    assert!(psnr(0) < psnr(2), "{} {}", psnr(0), psnr(2));
    // A mouth that stands still opens to no sound.
    assert!(
        report.systems[2].cells[2]
            .value
            .is_none_or(|value| value.mean < 0.6)
    );
    write_suite(&mut report, &loaded, &out, open).unwrap();
    let table = std::fs::read_to_string(out.join("table.md")).unwrap();
    for part in [
        "33.3 % (1/3) [0, 100]",
        "failed: theirs on c",
        "| truth |",
        "n=2",
        "without a number: fid",
    ] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    let clips = std::fs::read_to_string(out.join("clips.csv")).unwrap();
    assert_eq!(clips.lines().count(), 1 + 4 * 3);
    assert!(
        std::fs::read_to_string(out.join("plot-psnr.svg"))
            .unwrap()
            .contains("<circle")
    );
    assert!(
        std::fs::read_to_string(out.join("worst-theirs.svg"))
            .unwrap()
            .contains("data:image/png")
    );
    assert_eq!(run().long_table(), report.long_table());
}

#[test]
fn a_single_clip_has_no_interval_and_clips_without_their_truth_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("a.mp4"), pictures(), (25, 1), true);
    let text = r#"
        title = "one clip"
        metrics = ["psnr"]
        still = false
        clip = [{ name = "a", input = "a.mp4" }, { name = "b", input = "a.mp4", truth = "gone.mp4" }]
        "#;
    std::fs::write(at("suite.toml"), text).unwrap();
    let loaded = Suite::load(&at("suite.toml")).unwrap();
    let (out, weights) = (at("out"), Weights::default());
    let open = OpenOptions::default();
    let mut report = run_suite(&loaded, &out, &weights, open, &mut NoMaker, &mut Silent).unwrap();
    write_suite(&mut report, &loaded, &out, open).unwrap();
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    let table = read("table.md");
    assert!(
        table.contains("| truth | 100.0 % (1/1) | 100.0 |"),
        "{table}"
    );
    assert!(table.contains("gone: 1 clips: b"), "{table}");
    assert!(
        read("table.csv").contains("truth,psnr,100,,,1"),
        "{}",
        read("table.csv")
    );
    assert!(read("suite.json").contains("\"low\": null"));
    assert!(!read("plot-psnr.svg").contains("stroke-width=\"2\""));
}
