//! What is called a copy.

use crate::support::{COUNT, SIZE, measured, options, pictures, write};
use measure::pair::{CopyKind, Original};
use media::image::Rgb8;

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
