//! What is called a copy.

use crate::support::{COUNT, SIZE, measured, options, pictures, write};
use measure::pair::{Copied, CopyKind, Original};
use media::image::Rgb8;
use std::path::Path;

/// Writes `pictures` beside the plain clip and asks whether they are a copy of it.
fn told(folder: &Path, pictures: &[Rgb8]) -> Option<Copied> {
    let clip = write(&folder.join("plain.mp4"), self::pictures(), (25, 1), true);
    let made = write(&folder.join("made.mp4"), pictures, (25, 1), true);
    measured(&made, &clip, &options(&["mouth-psnr"])).copy
}

fn each(change: impl Fn(&Rgb8) -> Rgb8) -> Vec<Rgb8> {
    pictures().iter().map(change).collect()
}

fn mirrored(picture: &Rgb8) -> Rgb8 {
    let mut picture = picture.clone();
    for line in picture.data.chunks_exact_mut(3 * picture.width) {
        line.as_chunks_mut::<3>().0.reverse();
    }
    picture
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
        report.copy.map(|copy| copy.kind),
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
fn a_copy_is_known_without_its_start_at_another_size_and_by_any_metric() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let clip = write(&at("a.mp4"), pictures(), (25, 1), true);
    // Six frames fewer in front: side by side, every mouth differs.
    let late = write(&at("b.mp4"), &pictures()[6..], (25, 1), true);
    let copy = measured(&late, &clip, &options(&["lmd"])).copy.unwrap();
    assert_eq!(
        (copy.kind, copy.of),
        (CopyKind::Recompressed, Original::Reference)
    );
    assert!((copy.lag - 0.24).abs() < 1e-9, "{copy}");
    assert!(copy.to_string().contains("from 0.24 s on"));
    let small: Vec<Rgb8> = pictures().iter().map(|p| p.resize(224, 224)).collect();
    let small = write(&at("c.mp4"), &small, (25, 1), true);
    let copy = measured(&small, &clip, &options(&["mouth-correlation"])).copy;
    assert_eq!(copy.map(|copy| copy.lag), Some(0.0));
}

#[test]
fn a_copy_of_the_input_is_told_where_the_truth_is_another_clip() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let input = write(&at("input.mp4"), pictures(), (25, 1), true);
    let mut other = pictures().to_vec();
    other.rotate_left(12);
    let truth = write(&at("truth.mp4"), &other, (25, 1), true);
    let made = at("made.mp4");
    std::fs::copy(&input, &made).unwrap();
    let mut options = options(&["psnr", "mouth-psnr"]);
    assert_eq!(measured(&made, &truth, &options).copy, None);
    options.input = Some(input);
    let copy = measured(&made, &truth, &options).copy.unwrap();
    assert_eq!((copy.kind, copy.of), (CopyKind::Exact, Original::Input));
}

#[test]
fn pictures_without_a_face_are_copies_when_no_part_of_them_differs() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let bars = |edge: usize| -> Vec<Rgb8> {
        let mut picture = Rgb8::new(SIZE, SIZE);
        for (n, value) in picture.data.iter_mut().enumerate() {
            *value = (n / 3 % SIZE / 32 * 25 + 20) as u8;
        }
        for y in 100..100 + edge {
            for x in 100..100 + edge {
                picture.set_pixel(x, y, [250, 40, 40]);
            }
        }
        vec![picture; COUNT]
    };
    let plain = write(&at("a.mp4"), &bars(0), (25, 1), false);
    let lighter: Vec<Rgb8> = bars(0)
        .into_iter()
        .map(|mut picture| {
            for value in &mut picture.data {
                *value += 3;
            }
            picture
        })
        .collect();
    let again = write(&at("b.mp4"), &lighter, (25, 1), false);
    let copy = measured(&again, &plain, &options(&["psnr"])).copy;
    assert_eq!(copy.map(|copy| copy.kind), Some(CopyKind::Recompressed));
    // A small part that is another leaves the whole frame's ratio high.
    let part = write(&at("c.mp4"), &bars(8), (25, 1), false);
    let report = measured(&part, &plain, &options(&["psnr"]));
    assert!(report.value("psnr").unwrap() > 33.0, "{:?}", report.scores);
    assert_eq!(report.copy, None);
}

#[test]
fn a_copy_is_known_in_a_mirror_cut_at_its_sides_and_coarse() {
    let folder = tempfile::tempdir().unwrap();
    let copy = told(folder.path(), &each(mirrored)).unwrap();
    assert!(copy.mirrored && copy.lag == 0.0, "{copy}");
    assert!(copy.to_string().contains("mirrored"));
    // Without its first frames besides.
    let copy = told(folder.path(), &each(mirrored)[4..]).unwrap();
    assert!(copy.mirrored && (copy.lag - 0.16).abs() < 1e-9, "{copy}");
    let cut = each(|p| p.crop(14, 8, SIZE - 30, SIZE - 24).resize(SIZE, SIZE));
    let copy = told(folder.path(), &cut).unwrap();
    assert!(
        !copy.mirrored && copy.kind == CopyKind::Recompressed,
        "{copy}"
    );
    // Eighths of a side and back, with noise: 27 dB at the mouth.
    let coarse = each(|p| {
        let mut p = p.resize(SIZE / 3, SIZE / 3).resize(SIZE, SIZE);
        for (n, value) in p.data.iter_mut().enumerate() {
            *value = value.saturating_add((n * 7919 % 31) as u8);
        }
        p
    });
    assert!(told(folder.path(), &coarse).is_some());
}

#[test]
fn a_still_mouth_in_a_still_clip_is_not_called_a_copy_nor_a_clip_with_one_new_word() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // The head stands still and is silent; the made one differs by less than any codec does.
    let still = vec![pictures()[0].clone(); COUNT];
    let clip = write(&at("a.mp4"), &still, (25, 1), true);
    let mut made = still.clone();
    for picture in &mut made {
        for value in picture.data.iter_mut().step_by(3) {
            *value = value.saturating_add(2);
        }
    }
    let made = write(&at("b.mp4"), &made, (25, 1), true);
    let report = measured(&made, &clip, &options(&["psnr", "mouth-psnr"]));
    assert!(report.value("mouth-psnr").unwrap() > 33.0);
    assert_eq!(report.copy, None);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("hardly moves")),
        "{:?}",
        report.notes
    );
    // Seven frames of 108 show another mouth: 93 % of the pictures are the original's own.
    let long: Vec<Rgb8> = [pictures(), pictures(), pictures()].concat();
    let mut word = long.clone();
    for (n, picture) in word.iter_mut().enumerate().skip(40).take(7) {
        *picture = long[n + 14].clone();
    }
    let clip = write(&at("c.mp4"), &long, (25, 1), true);
    let made = write(&at("d.mp4"), &word, (25, 1), true);
    assert_eq!(measured(&made, &clip, &options(&["mouth-psnr"])).copy, None);
    let again = write(&at("e.mp4"), &long, (25, 1), true);
    assert!(
        measured(&again, &clip, &options(&["mouth-psnr"]))
            .copy
            .is_some()
    );
}

#[test]
fn a_late_copy_is_known_without_a_face() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let ball = |n: usize, level: u8| {
        let mut picture = Rgb8::filled(SIZE, SIZE, [level, 90, 60]);
        let (x, y) = (20 + 5 * n % 180, 60 + 3 * n % 120);
        for v in 0..40 {
            for u in 0..40 {
                picture.set_pixel(x + u, y + v, [240, 230, 40]);
            }
        }
        picture
    };
    let clip: Vec<Rgb8> = (0..48).map(|n| ball(n, 40)).collect();
    let whole = write(&at("a.mp4"), &clip, (25, 1), false);
    let late: Vec<Rgb8> = (9..48).map(|n| ball(n, 43)).collect();
    let late = write(&at("b.mp4"), &late, (25, 1), false);
    for metrics in [&["psnr"][..], &["lmd"][..]] {
        let copy = measured(&late, &whole, &options(metrics)).copy.unwrap();
        assert!((copy.lag - 0.36).abs() < 1e-9, "{copy}");
    }
    let turned: Vec<Rgb8> = clip.iter().map(mirrored).collect();
    let turned = write(&at("c.mp4"), &turned, (25, 1), false);
    assert!(
        measured(&turned, &whole, &options(&["psnr"]))
            .copy
            .unwrap()
            .mirrored
    );
    // Another course of the same ball.
    let other: Vec<Rgb8> = (0..48).map(|n| ball(7 * n % 41, 40)).collect();
    let other = write(&at("d.mp4"), &other, (25, 1), false);
    assert_eq!(measured(&other, &whole, &options(&["psnr"])).copy, None);
}
