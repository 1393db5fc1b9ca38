//! What a rendered clip must hold, whatever it looks like.

use std::error::Error;

use synth::{Clip, ClipFormat, HeadConfig, MotionStyle, Phone, Scene, SynthError};
use units::{FrameIndex, FrameRate, Seconds};

type Outcome = Result<(), Box<dyn Error>>;

fn phones(labels: &[&str], each: f64) -> Vec<Phone> {
    labels
        .iter()
        .enumerate()
        .map(|(i, label)| Phone {
            label: (*label).into(),
            start: Seconds(i as f64 * each),
            end: Seconds((i + 1) as f64 * each),
        })
        .collect()
}

fn format(size: usize, seconds: f64) -> Result<ClipFormat, Box<dyn Error>> {
    Ok(ClipFormat {
        width: size,
        height: size,
        rate: FrameRate::new(25, 1)?,
        duration: Seconds(seconds),
    })
}

fn scene(seed: u64) -> Scene {
    Scene {
        samples: 1,
        ..Scene::from_seed(seed)
    }
}

fn clip(seed: u64, labels: &[&str], each: f64) -> Result<Clip, Box<dyn Error>> {
    let format = format(96, labels.len() as f64 * each)?;
    Ok(Clip::new(
        &HeadConfig::from_seed(seed),
        &scene(seed),
        &phones(labels, each),
        format,
    )?)
}

#[test]
fn the_same_seed_gives_the_same_picture_and_another_seed_another() -> Outcome {
    let frame = FrameIndex(3);
    let first = clip(4, &["hh", "aa"], 0.2)?.render(frame)?;
    let again = clip(4, &["hh", "aa"], 0.2)?.render(frame)?;
    let other = clip(5, &["hh", "aa"], 0.2)?.render(frame)?;
    assert_eq!(first.data, again.data);
    assert_ne!(first.data, other.data);
    assert_eq!(first.data.len(), 3 * 96 * 96);
    Ok(())
}

#[test]
fn a_picture_does_not_depend_on_which_came_before() -> Outcome {
    let clip = clip(2, &["aa", "m", "iy"], 0.2)?;
    let alone = clip.render(FrameIndex(9))?;
    clip.render(FrameIndex(0))?;
    assert_eq!(clip.render(FrameIndex(9))?.data, alone.data);
    Ok(())
}

#[test]
fn lips_touch_in_the_middle_of_b_m_and_p_for_everybody() -> Outcome {
    for seed in 0..4 {
        let labels = ["aa", "b", "aa", "m", "iy", "p", "uw", "m", "ae"];
        let clip = clip(seed, &labels, 0.12)?;
        for (i, label) in labels.iter().enumerate() {
            // Frames show the middle of their time.
            let middle = (i as f64 + 0.45) * 0.12;
            let frame = FrameIndex((middle * 25.0 - 0.5).round() as u64);
            let time = (frame.0 as f64 + 0.5) / 25.0;
            let inside = (time - i as f64 * 0.12) / 0.12;
            if ["b", "m", "p"].contains(label) && (0.1..0.7).contains(&inside) {
                let truth = clip.truth(frame)?;
                assert!(truth.opening <= 0.0, "seed {seed}, {label} at {time} s");
            }
        }
    }
    Ok(())
}

#[test]
fn openings_are_ordered_as_the_vowels_are_and_within_a_persons_range() -> Outcome {
    for seed in 0..3 {
        let clip = clip(seed, &["pau"; 4], 0.3)?;
        let held = |label: &str| -> Result<f32, Box<dyn Error>> {
            let spoken = clip.with_phones(&phones(&["pau", label, label, label], 0.3));
            Ok(spoken.truth(FrameIndex(18))?.opening)
        };
        let (aa, eh, iy, rest) = (held("aa")?, held("eh")?, held("iy")?, held("pau")?);
        assert!(
            aa > eh && eh > iy && iy > rest,
            "seed {seed}: {aa} {eh} {iy} {rest}"
        );
        assert!((0.05..0.16).contains(&aa), "seed {seed}: aa opens {aa}");
        assert!(rest < 0.006, "seed {seed}: silence opens {rest}");
    }
    Ok(())
}

#[test]
fn opening_grows_with_the_jaw() -> Outcome {
    // From closed to open along one slow movement without lip constraints.
    let clip = clip(1, &["pau", "pau", "aa", "aa"], 0.3)?;
    let mut truths = (8..24)
        .map(|i| clip.truth(FrameIndex(i)))
        .collect::<Result<Vec<_>, SynthError>>()?;
    truths.sort_by(|a, b| a.mouth.jaw.total_cmp(&b.mouth.jaw));
    for pair in truths.windows(2) {
        let (low, high) = (&pair[0], &pair[1]);
        assert!(
            high.opening >= low.opening - 1e-3,
            "jaw {} opens {}, jaw {} opens {}",
            low.mouth.jaw,
            low.opening,
            high.mouth.jaw,
            high.opening
        );
    }
    assert!(truths[15].opening > truths[0].opening + 0.04);
    Ok(())
}

#[test]
fn other_words_move_the_mouth_and_nothing_else() -> Outcome {
    let open = clip(3, &["aa", "aa", "aa"], 0.3)?;
    let shut = open.with_phones(&phones(&["m", "m", "m"], 0.3));
    let frame = FrameIndex(11);
    let (a, b) = (open.truth(frame)?, shut.truth(frame)?);
    assert_eq!(a.head, b.head);
    let moved = |i: usize| (a.landmarks[i][1] - b.landmarks[i][1]).abs();
    assert!(moved(10) < 1e-3, "the forehead moved by {}", moved(10));
    assert!(moved(14) > 1.0, "the lower lip moved by {}", moved(14));
    let (a, b) = (open.render(frame)?, shut.render(frame)?);
    let row = 3 * 96;
    let top = 96 * row / 5;
    let differing = a.data[..top]
        .iter()
        .zip(&b.data[..top])
        .filter(|(x, y)| x != y)
        .count();
    assert!(
        differing < top / 100,
        "{differing} bytes above the eyes differ"
    );
    Ok(())
}

#[test]
fn a_turned_head_turns_its_points() -> Outcome {
    let turned = |yaw: f32| -> Result<f32, Box<dyn Error>> {
        let motion = MotionStyle {
            seed: 1,
            amount: 0.0,
            centre: [yaw, 0.0, 0.0],
        };
        let scene = Scene { motion, ..scene(1) };
        let clip = Clip::new(&HeadConfig::from_seed(1), &scene, &[], format(96, 0.1)?)?;
        let points = clip.truth(FrameIndex(0))?.landmarks;
        // Nose between the cheeks: 0.5 from the front.
        Ok((points[4][0] - points[234][0]) / (points[454][0] - points[234][0]))
    };
    assert!((turned(0.0)? - 0.5).abs() < 0.05);
    assert!(turned(0.4)? > 0.65);
    assert!(turned(-0.4)? < 0.35);
    Ok(())
}

#[test]
fn the_points_of_the_face_lie_in_the_picture() -> Outcome {
    for seed in 10..14 {
        let clip = clip(seed, &["aa"], 0.2)?;
        for p in clip.truth(FrameIndex(2))?.landmarks {
            assert!(
                p.iter().all(|v| (0.0..96.0).contains(v)),
                "seed {seed}: {p:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn impossible_clips_are_refused_with_a_reason() -> Outcome {
    let person = HeadConfig::from_seed(0);
    let refused = |size: usize, seconds: f64| -> Result<String, Box<dyn Error>> {
        match Clip::new(&person, &scene(0), &[], format(size, seconds)?) {
            Ok(_) => Err("was not refused".into()),
            Err(e) => Ok(e.to_string()),
        }
    };
    assert!(refused(8, 1.0)?.contains("8x8"));
    assert!(refused(64, 0.0)?.contains("no frames"));
    assert!(refused(64, f64::NAN)?.contains("no frames"));
    let clip = clip(0, &["aa"], 0.2)?;
    assert_eq!(clip.frames(), 5);
    assert!(matches!(
        clip.render(FrameIndex(5)),
        Err(SynthError::NoFrame {
            frame: FrameIndex(5),
            frames: 5
        })
    ));
    Ok(())
}

#[test]
fn the_samples_words_and_phones_fit_each_other() -> Outcome {
    let sample = synth::sample();
    let spoken: Vec<&str> = sample.words.iter().map(|w| w.text).collect();
    assert_eq!(
        spoken.join(" "),
        sample.text.split_whitespace().collect::<Vec<_>>().join(" ")
    );
    assert!(spoken.contains(&"um,") && spoken.contains(&"Tuesday,"));
    for pair in sample.words.windows(2) {
        assert!(pair[0].start < pair[0].end && pair[0].end.0 <= pair[1].start.0);
    }
    for pair in sample.phones.windows(2) {
        assert_eq!(pair[0].end, pair[1].start);
    }
    // Every word begins and ends with a sound, never with silence.
    for word in &sample.words {
        let at = |t: Seconds, end: bool| {
            sample
                .phones
                .iter()
                .find(|p| if end { p.end == t } else { p.start == t })
        };
        for phone in [at(word.start, false), at(word.end, true)] {
            let label = phone.map(|p| p.label.as_str());
            assert!(
                label.is_some_and(|l| l != "pau"),
                "{}: {label:?}",
                word.text
            );
        }
    }
    assert_eq!(sample.clip()?.frames(), 179);
    Ok(())
}

#[test]
fn the_last_frame_of_three_hours_is_made_without_those_before_it() -> Outcome {
    // Phones for three hours; frames are made one by one, whatever the length.
    let spoken: Vec<Phone> = (0..100_000)
        .map(|i| Phone {
            label: ["aa", "m", "iy", "s"][i % 4].into(),
            start: Seconds(i as f64 * 0.108),
            end: Seconds((i + 1) as f64 * 0.108),
        })
        .collect();
    let long = Clip::new(
        &HeadConfig::from_seed(1),
        &scene(1),
        &spoken,
        format(64, 10_800.0)?,
    )?;
    assert_eq!(long.frames(), 270_000);
    let last = long.render(FrameIndex(269_999))?;
    assert_eq!(last.data.len(), 3 * 64 * 64);
    Ok(())
}

#[test]
fn things_in_front_hide_the_face_and_leave_the_truth() -> Outcome {
    let plain = clip(2, &["aa", "aa"], 0.2)?;
    let hidden = Scene {
        occluder: synth::Occluder::Microphone {
            height: 5.0,
            side: 0.0,
        },
        ..scene(2)
    };
    let covered = Clip::new(
        &HeadConfig::from_seed(2),
        &hidden,
        &phones(&["aa", "aa"], 0.2),
        format(96, 0.4)?,
    )?;
    let frame = FrameIndex(5);
    let (a, b) = (plain.truth(frame)?, covered.truth(frame)?);
    assert_eq!(a, b);
    let (x, y) = (a.landmarks[14][0] as usize, a.landmarks[14][1] as usize);
    let at = 3 * (y * 96 + x);
    let (seen, behind) = (covered.render(frame)?, plain.render(frame)?);
    let sum = |d: &[u8]| d[at..at + 3].iter().map(|&v| u32::from(v)).sum::<u32>();
    assert!(sum(&seen.data) < 200, "dark foam: {}", sum(&seen.data));
    assert!(sum(&seen.data) != sum(&behind.data));
    Ok(())
}
