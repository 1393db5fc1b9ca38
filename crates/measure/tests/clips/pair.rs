//! Pairs: perfect scores, reasons, other lengths, rates and sizes.

use crate::support::{COUNT, SIZE, all, measured, options, pictures, reason, write, write_muted};
use measure::Mask;
use measure::pair::CopyKind;
use media::image::Rgb8;

#[test]
fn a_clip_against_itself_is_perfect_and_called_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let clip = write(&folder.path().join("a.mp4"), pictures(), (25, 1), true);
    let mut options = all();
    options.seams = vec![20];
    let report = measured(&clip, &clip, &options);
    assert_eq!(report.copy.map(|copy| copy.kind), Some(CopyKind::Exact));
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
    let mute = write_muted(&folder.path().join("mute.mp4"), pictures(), (25, 1));
    let report = measured(&mute, &clip, &all());
    for metric in ["lip-agreement", "lip-offset"] {
        assert!(reason(&report, metric).contains("silence"), "{metric}");
    }
    assert!(report.value("lip-leak").is_some());
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
    // By which a contact sheet finds the truth's picture.
    assert_eq!(report.curve.partners[..6], [0, 0, 1, 1, 2, 2]);
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
fn motion_is_smooth_as_far_as_a_given_program_foretells_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let ramp: Vec<Rgb8> = (0..8)
        .map(|n| Rgb8::filled(64, 48, [60 + 10 * n; 3]))
        .collect();
    let clip = write(&at("a.mp4"), &ramp, (25, 1), false);
    let mut options = options(&["motion-smoothness"]);
    let report = measured(&clip, &clip, &options);
    assert!(reason(&report, "motion-smoothness").contains("no interpolator"));
    let mut answer = |command: &str| {
        options.interpolator = Some(command.to_owned());
        measured(&clip, &clip, &options)
    };
    // For each frame but the first, that frame: ten levels beside the odd ones between them.
    let report = answer("after() { tail -c +$((3 * $1 * $2 + 1)); }; after");
    let smooth = report.value("motion-smoothness").unwrap();
    assert!((smooth - 245.0 / 255.0).abs() < 2e-3, "{smooth}");
    for (command, why) in [
        (
            "cat > /dev/null; echo 'no weights' >&2; exit 3 #",
            "no weights",
        ),
        ("cat > /dev/null #", "gave 0 pictures"),
        ("head -c 9216 #", "gave 1 pictures"),
        ("no-such-program-here", "failed"),
    ] {
        let report = answer(command);
        let said = reason(&report, "motion-smoothness");
        assert!(said.contains(why), "{command}: {said}");
    }
    let single = write(&at("b.mp4"), &ramp[..1], (25, 1), false);
    let report = measured(&single, &clip, &options);
    assert!(reason(&report, "motion-smoothness").contains("three are needed"));
}
