//! Whole clips against whole clips: variants of the sample, made here.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use measure::pair::CopyKind;
use measure::suite::{NoMaker, Suite, run_suite, write_suite};
use measure::{
    FeatureSets, METRICS, Mask, Metric, Networks, PairOptions, PairReport, Silent, Weights, find,
    measure_pair,
};
use media::image::{Rgb8, RgbF32};
use media::info::{ColourTags, Rotation};
use media::render::{BoxError, NewClip, Sound, write_clip};
use media::{AudioBlock, Clip, Frame, OpenOptions, PixelFormat};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use units::{FrameIndex, FrameRate, SampleRate};

/// Frames of the tests' clips: the sample's first ones, small.
const COUNT: usize = 36;
const SIZE: usize = 256;

fn pictures() -> &'static [Rgb8] {
    static PICTURES: OnceLock<Vec<Rgb8>> = OnceLock::new();
    PICTURES.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/sample/sample.mp4");
        let clip = Clip::open(path, &OpenOptions::default()).unwrap();
        let frames = clip
            .frames(FrameIndex(30)..FrameIndex(30 + COUNT as u64))
            .unwrap();
        frames
            .map(|frame| frame.unwrap().to_rgb8_scaled(SIZE, SIZE))
            .collect()
    })
}

/// Writes a clip of pictures; a tone that rests in the second half where `sound`.
fn write(path: &Path, pictures: &[Rgb8], rate: (u32, u32), sound: bool) -> PathBuf {
    let first = &pictures[0];
    let new = NewClip {
        width: first.width,
        height: first.height,
        rate: FrameRate::new(rate.0, rate.1).unwrap(),
        format: PixelFormat::YUV420,
        colour: ColourTags::default(),
    };
    let mut frames = |index: FrameIndex| -> Result<Frame, BoxError> {
        let picture: RgbF32 = pictures[index.as_usize()].to_f32();
        Ok(Frame::from_rgb(
            &picture,
            new.format,
            new.colour,
            Rotation::None,
        )?)
    };
    let seconds = pictures.len() as f64 * f64::from(rate.1) / f64::from(rate.0);
    let samples = (seconds * 16_000.0) as usize;
    let mut block = Some(AudioBlock {
        rate: SampleRate::SPEECH,
        channels: vec![
            (0..samples)
                .map(|n| {
                    if n < samples / 2 {
                        (n as f32 * 0.2).sin() * 0.4
                    } else {
                        0.0
                    }
                })
                .collect(),
        ],
    });
    let mut tone = || -> Result<Option<AudioBlock>, BoxError> { Ok(block.take()) };
    let track = if sound {
        Sound::Made(&mut tone)
    } else {
        Sound::Silent
    };
    write_clip(
        &new,
        pictures.len() as u64,
        &mut frames,
        track,
        path,
        &mut |_| {},
    )
    .unwrap();
    path.to_owned()
}

fn options(metrics: &[&str]) -> PairOptions {
    let metrics: Vec<&'static Metric> = metrics.iter().map(|name| find(name).unwrap()).collect();
    PairOptions::new(metrics)
}

fn measured(made: &Path, reference: &Path, options: &PairOptions) -> PairReport {
    let networks = Networks::load(
        &Weights::default(),
        &options.metrics,
        measure::LpipsNet::Alex,
    );
    let mut sets = FeatureSets::default();
    measure_pair(made, reference, options, &networks, &mut sets, &mut Silent).unwrap()
}

fn all() -> PairOptions {
    PairOptions::new(METRICS.iter().collect())
}

fn reason(report: &PairReport, metric: &str) -> String {
    let score = report
        .scores
        .iter()
        .find(|score| score.metric == metric)
        .unwrap();
    assert_eq!(score.value, None, "{metric}");
    score.reason.clone().unwrap()
}

#[test]
fn a_clip_against_itself_is_perfect_and_called_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let clip = write(&folder.path().join("a.mp4"), pictures(), (25, 1), true);
    let mut options = all();
    options.seams = vec![20];
    let report = measured(&clip, &clip, &options);
    assert_eq!(report.copy, Some(CopyKind::Exact));
    for (metric, perfect) in [
        ("psnr", 100.0),
        ("ssim", 1.0),
        ("ssim-rgb", 1.0),
        ("mouth-psnr", 100.0),
        ("mouth-ssim", 1.0),
        ("outside-max", 0.0),
        ("outside-psnr", 100.0),
        ("edge-flicker", 0.0),
        ("mouth-correlation", 1.0),
        ("lmd", 0.0),
        ("face-found", 1.0),
    ] {
        let value = report.value(metric).unwrap();
        assert!((value - perfect).abs() < 1e-6, "{metric}: {value}");
    }
    assert!(report.value("seam-pixels").unwrap() < 2.0);
    assert!(report.value("lip-leak").is_some());
    assert!(reason(&report, "lpips").contains("alexnet.safetensors"));
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("metric_weights.py syncnet"))
    );
    assert_eq!(report.compared, COUNT as u64);
}

#[test]
fn a_compressed_copy_is_a_copy_and_other_lips_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let clip = write(&folder.path().join("a.mp4"), pictures(), (25, 1), true);
    // Coarser pictures, as a second compression leaves them.
    let coarse: Vec<Rgb8> = pictures()
        .iter()
        .map(|picture| {
            let mut picture = picture.clone();
            for (index, value) in picture.data.iter_mut().enumerate() {
                *value = value.saturating_add((index % 5) as u8);
            }
            picture
        })
        .collect();
    let again = write(&folder.path().join("b.mp4"), &coarse, (25, 1), true);
    let report = measured(&again, &clip, &options(&["psnr", "mouth-psnr"]));
    assert_eq!(
        report.copy,
        Some(CopyKind::Recompressed),
        "{:?}",
        report.scores
    );
    // The same head with the lips of twelve frames later.
    let mut shifted = pictures().to_vec();
    shifted.rotate_left(12);
    let other = write(&folder.path().join("c.mp4"), &shifted, (25, 1), true);
    let report = measured(
        &other,
        &clip,
        &options(&["psnr", "mouth-psnr", "mouth-correlation"]),
    );
    assert_eq!(report.copy, None, "{:?}", report.scores);
    assert!(report.value("mouth-correlation").unwrap() < 0.9);
}

#[test]
fn a_change_outside_the_mask_and_a_cut_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let clip = write(&folder.path().join("a.mp4"), pictures(), (25, 1), true);
    let mut changed = pictures().to_vec();
    for picture in &mut changed[20..] {
        // A jump cut: everything moves by twelve pixels.
        *picture = picture.crop(12, 0, SIZE, SIZE);
    }
    let cut = write(&folder.path().join("b.mp4"), &changed, (25, 1), true);
    let mut options = options(&[
        "outside-max",
        "seam-pixels",
        "seam-flow",
        "seam-pose",
        "psnr",
    ]);
    options.seams = vec![20];
    let report = measured(&cut, &clip, &options);
    for metric in ["seam-pixels", "seam-flow", "seam-pose"] {
        let jump = report.value(metric).unwrap();
        assert!(jump > 2.0, "{metric}: {jump}");
    }
    assert!(report.value("outside-max").unwrap() > 30.0);
    options.mask = Mask::Boxes(vec![[0, 0, SIZE as u32, SIZE as u32]]);
    let report = measured(&cut, &clip, &options);
    assert!(reason(&report, "outside-max").contains("mask"));
}

#[test]
fn one_frame_no_face_and_no_sound_give_reasons_and_no_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let clip = write(&folder.path().join("a.mp4"), pictures(), (25, 1), true);
    let single = write(
        &folder.path().join("one.mp4"),
        &pictures()[..1],
        (25, 1),
        false,
    );
    let report = measured(&single, &clip, &all());
    assert!(report.value("psnr").unwrap() > 30.0);
    assert_eq!(report.copy, None);
    for metric in [
        "mouth-correlation",
        "lip-leak",
        "edge-flicker",
        "seam-pixels",
    ] {
        assert!(!reason(&report, metric).is_empty(), "{metric}");
    }
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("1 and 36 frames")),
        "{:?}",
        report.notes
    );
    let blank = vec![Rgb8::filled(SIZE, SIZE, [80, 90, 100]); COUNT];
    let faceless = write(&folder.path().join("blank.mp4"), &blank, (25, 1), true);
    let report = measured(&clip, &faceless, &all());
    for metric in [
        "mouth-psnr",
        "lmd",
        "mouth-correlation",
        "face-found",
        "edge-flicker",
    ] {
        assert!(reason(&report, metric).contains("no face"), "{metric}");
    }
    let report = measured(&faceless, &clip, &all());
    assert_eq!(report.value("face-found"), Some(0.0));
    assert!(reason(&report, "lmd").contains("made clip"));
    let silent = write(
        &folder.path().join("silent.mp4"),
        pictures(),
        (25, 1),
        false,
    );
    let report = measured(&silent, &clip, &all());
    assert!(reason(&report, "lip-leak").contains("no sound"));
    assert!(report.value("mouth-correlation").unwrap() > 0.99);
}

#[test]
fn other_lengths_rates_and_sizes_are_handled_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let clip = write(&folder.path().join("a.mp4"), pictures(), (25, 1), true);
    let short = write(
        &folder.path().join("short.mp4"),
        &pictures()[..25],
        (25, 1),
        true,
    );
    let report = measured(&short, &clip, &options(&["psnr"]));
    assert_eq!(report.compared, 25);
    assert!(report.value("psnr").unwrap() > 35.0);
    assert!(
        report.notes[0].contains("25 and 36 frames"),
        "{:?}",
        report.notes
    );
    // Every frame twice at twice the rate.
    let doubled: Vec<Rgb8> = pictures()
        .iter()
        .flat_map(|p| [p.clone(), p.clone()])
        .collect();
    let fast = write(&folder.path().join("fast.mp4"), &doubled, (50, 1), true);
    let report = measured(&fast, &clip, &options(&["psnr"]));
    assert_eq!(report.compared, 2 * COUNT as u64);
    assert!(report.value("psnr").unwrap() > 35.0, "{:?}", report.scores);
    assert!(report.notes[0].contains("50 fps"), "{:?}", report.notes);
    let small: Vec<Rgb8> = pictures().iter().map(|p| p.resize(128, 128)).collect();
    let small = write(&folder.path().join("small.mp4"), &small, (25, 1), true);
    let mut options = options(&["psnr", "lmd"]);
    let report = measured(&small, &clip, &options);
    assert!(reason(&report, "psnr").contains("size"));
    assert!(report.value("lmd").unwrap() < 4.0);
    options.fit = true;
    let report = measured(&small, &clip, &options);
    assert!(report.value("psnr").unwrap() > 20.0);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("brought to 256x256"))
    );
}

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
    let mut report = run_suite(
        &loaded,
        &out,
        &Weights::default(),
        open,
        &mut NoMaker,
        &mut Silent,
    )
    .unwrap();
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
        "33.3 % (1/3)",
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
    let again = run_suite(
        &loaded,
        &out,
        &Weights::default(),
        open,
        &mut NoMaker,
        &mut Silent,
    )
    .unwrap();
    assert_eq!(again.long_table(), report.long_table());
}
