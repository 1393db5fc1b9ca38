//! Tracks of drawn faces, and choices among made-up tracks.

use super::*;
use crate::FaceError;
use media::image::Rgb8;
use safetensors::SafeTensors;

const RATE: u32 = 25;

fn options() -> TrackOptions {
    TrackOptions::new(FrameRate::new(RATE, 1).unwrap())
}

/// The drawn face of the network fixture.
fn drawing() -> Rgb8 {
    let bytes = include_bytes!("../../tests/fixtures/networks.safetensors");
    let file = SafeTensors::deserialize(bytes).unwrap();
    Rgb8::from_vec(192, 192, file.tensor("input.0").unwrap().data().to_vec()).unwrap()
}

/// Draws the face with its picture's top left corner at `(x, y)`, each channel times `tint`.
fn draw(frame: &mut Rgb8, face: &Rgb8, x: i64, y: i64, tint: [f32; 3]) {
    for row in 0..face.height {
        for column in 0..face.width {
            let (u, v) = (x + column as i64, y + row as i64);
            let pixel = face.pixel(column, row);
            if u >= 0 && v >= 0 && pixel != [89; 3] {
                let colour =
                    std::array::from_fn(|i| (f32::from(pixel[i]) * tint[i]).min(255.0) as u8);
                frame.set_pixel(u as usize, v as usize, colour);
            }
        }
    }
}

const LIGHT: [f32; 3] = [1.0, 1.0, 1.0];
const DARK: [f32; 3] = [0.75, 0.6, 0.55];

/// Tracks `count` frames of 384x288, each painted by `paint` on grey.
fn track(count: u64, paint: impl Fn(u64, &mut Rgb8, &Rgb8)) -> Tracks {
    let face = drawing();
    let mut tracker = Tracker::new(options()).unwrap();
    for i in 0..count {
        let mut frame = Rgb8::filled(384, 288, [89; 3]);
        paint(i, &mut frame, &face);
        tracker.push(FrameIndex(i), &frame).unwrap();
    }
    tracker.finish()
}

fn centre(face: &FaceFrame) -> Point {
    face.landmarks[mesh::NOSE_TIP]
}

#[test]
fn a_moving_face_is_one_track_that_moves_with_it() {
    let tracks = track(40, |i, frame, face| {
        draw(frame, face, 40 + 2 * i as i64, 50, LIGHT);
    });
    assert_eq!(tracks.tracks.len(), 1);
    let track = &tracks.tracks[0];
    assert_eq!(track.frames, FrameIndex(0)..FrameIndex(40));
    assert_eq!(track.seen(), 40);
    let [start, end] = [2, 39].map(|i| centre(&track.face(FrameIndex(i)).unwrap()));
    assert!((end[0] - start[0] - 74.0).abs() < 4.0, "{start:?} {end:?}");
    assert!((end[1] - start[1]).abs() < 3.0);
}

#[test]
fn a_short_gap_is_bridged_and_a_long_one_is_reported() {
    let hidden = |i: u64| (20..35).contains(&i) || (60..100).contains(&i);
    let tracks = track(120, |i, frame, face| {
        if !hidden(i) {
            draw(frame, face, 40 + i as i64, 50, LIGHT);
        }
    });
    assert_eq!(tracks.people(), 1);
    assert_eq!(tracks.tracks.len(), 1, "{:?}", tracks.cuts);
    let chosen = tracks.choose(FaceChoice::Speaking, None).unwrap();
    let bridged = chosen.face(FrameIndex(27)).unwrap();
    assert!(bridged.bridged);
    let [before, after] = [19, 35].map(|i| centre(&chosen.face(FrameIndex(i)).unwrap()));
    assert!(centre(&bridged)[0] > before[0] && centre(&bridged)[0] < after[0]);
    let missing = chosen.missing();
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].frames, FrameIndex(60)..FrameIndex(100));
    assert_eq!(missing[0].time, Seconds(2.4)..Seconds(4.0));
    assert!(chosen.placement(FrameIndex(27)).is_some());
    assert!(chosen.placement(FrameIndex(70)).is_none());
}

#[test]
fn a_cut_ends_the_track_and_the_person_is_known_again() {
    let tracks = track(60, |i, frame, face| {
        if (20..40).contains(&i) {
            frame.data.fill(30);
            draw(frame, face, 170, 40, DARK);
        } else {
            draw(frame, face, 40, 60, LIGHT);
        }
    });
    assert_eq!(tracks.cuts, [FrameIndex(20), FrameIndex(40)]);
    let spans: Vec<_> = tracks
        .tracks
        .iter()
        .map(|t| (t.frames.start.0, t.frames.end.0))
        .collect();
    assert_eq!(spans, [(0, 20), (20, 40), (40, 60)]);
    let people: Vec<_> = tracks.tracks.iter().map(|t| t.person).collect();
    assert_eq!(people[0], people[2]);
    assert_ne!(people[0], people[1]);
    assert_eq!(people[0], 0, "the one with more frames comes first");
}

#[test]
fn two_faces_keep_their_places() {
    let tracks = track(30, |i, frame, face| {
        draw(frame, face, 0, 50 + i as i64 / 2, LIGHT);
        draw(frame, face, 190, 60 - i as i64 / 2, DARK);
    });
    assert_eq!(tracks.tracks.len(), 2);
    assert_eq!(tracks.people(), 2);
    for (x, choice) in [
        (96.0, FaceChoice::At(100.0, 150.0)),
        (286.0, FaceChoice::At(280.0, 150.0)),
    ] {
        let chosen = tracks.choose(choice, None).unwrap();
        for i in 0..30 {
            let [at, _] = centre(&chosen.face(FrameIndex(i)).unwrap());
            assert!((at - x).abs() < 20.0, "frame {i}: {at}");
        }
    }
}

#[test]
fn frames_without_faces_make_no_tracks() {
    let tracks = track(5, |_, _, _| {});
    assert!(tracks.tracks.is_empty() && tracks.people() == 0);
    assert!(matches!(
        tracks.choose(FaceChoice::Speaking, None),
        Err(FaceError::NoFace)
    ));
    assert_eq!(tracks.scenes(), [FrameIndex(0)..FrameIndex(5)]);
}

#[test]
fn a_clip_of_one_frame_has_its_face() {
    let tracks = track(1, |_, frame, face| draw(frame, face, 90, 50, LIGHT));
    assert_eq!(tracks.tracks.len(), 1);
    assert_eq!(tracks.tracks[0].seen(), 1);
}

#[test]
fn frames_of_any_size_are_survived() {
    let mut tracker = Tracker::new(options()).unwrap();
    let sizes = [(0, 0), (1, 1), (3, 500), (500, 2), (193, 191), (64, 64)];
    for (i, (width, height)) in sizes.into_iter().enumerate() {
        let frame = Rgb8::filled(width, height, [200, 10, 90]);
        tracker.push(FrameIndex::from(i), &frame).unwrap();
    }
    assert!(tracker.finish().tracks.is_empty());
}

#[test]
fn frames_out_of_order_are_refused() {
    let mut tracker = Tracker::new(options()).unwrap();
    let frame = Rgb8::filled(64, 64, [89; 3]);
    tracker.push(FrameIndex(7), &frame).unwrap();
    let error = tracker.push(FrameIndex(9), &frame).unwrap_err();
    assert_eq!(
        error.to_string(),
        "frames must follow one another: expected frame 8, got frame 9"
    );
    tracker.push(FrameIndex(8), &frame).unwrap();
    assert_eq!(tracker.finish().frames(), FrameIndex(7)..FrameIndex(9));
}

#[test]
fn frames_may_be_left_out_and_people_are_known_again() {
    let face = drawing();
    let mut tracker = Tracker::new(options()).unwrap();
    for run in [10..25_u64, 60..75] {
        tracker.skip_to(FrameIndex(run.start)).unwrap();
        for i in run {
            let mut frame = Rgb8::filled(384, 288, [89; 3]);
            draw(&mut frame, &face, if i < 50 { 20 } else { 150 }, 50, LIGHT);
            tracker.push(FrameIndex(i), &frame).unwrap();
        }
    }
    assert!(tracker.skip_to(FrameIndex(70)).is_err());
    let tracks = tracker.finish();
    assert_eq!(
        tracks.runs,
        [
            FrameIndex(10)..FrameIndex(25),
            FrameIndex(60)..FrameIndex(75)
        ]
    );
    assert_eq!(tracks.scenes(), tracks.runs);
    assert!(tracks.cuts.is_empty());
    assert_eq!((tracks.tracks.len(), tracks.people()), (2, 1));
    let chosen = tracks.choose(FaceChoice::Number(1), None).unwrap();
    assert!(
        chosen.missing().is_empty(),
        "what was not looked at is not missing"
    );
    assert!(chosen.face(FrameIndex(40)).is_none() && chosen.face(FrameIndex(74)).is_some());
}

/// A track of made-up points whose mouth opens as `opening` says.
fn talker(person: usize, size: f32, opening: impl Fn(usize) -> f32) -> FaceTrack {
    let faces: Vec<Option<FaceFrame>> = (0..100)
        .map(|i| {
            let mut landmarks = vec![[100.0 * person as f32, 0.0]; 468];
            for (index, [u, v]) in crate::crop::TEMPLATE {
                landmarks[index] = [size * u, size * v];
            }
            landmarks[mesh::FOREHEAD] = [0.0, 0.0];
            landmarks[mesh::CHIN] = [0.0, size];
            landmarks[mesh::EYE_OUTER_LEFT] = [0.0, 0.0];
            landmarks[mesh::EYE_OUTER_RIGHT] = [size / 2.0, 0.0];
            landmarks[mesh::LIP_UPPER_INNER] = [0.0, 0.0];
            landmarks[mesh::LIP_LOWER_INNER] = [0.0, size * opening(i)];
            Some(FaceFrame {
                landmarks,
                presence: 1.0,
                yaw: 0.0,
                bridged: false,
            })
        })
        .collect();
    FaceTrack::of_faces(person, FrameIndex(0), &faces)
}

/// Loudness that comes and goes like words.
fn words(i: usize) -> f32 {
    let t = i as f32 / 25.0;
    ((t * 5.1).sin() * (t * 2.3 + 1.0).sin()).max(0.0)
}

#[test]
fn the_one_whose_mouth_moves_with_the_sound_speaks() {
    let tracks = |first: FaceTrack, second: FaceTrack| Tracks {
        tracks: vec![Arc::new(first), Arc::new(second)],
        cuts: Vec::new(),
        runs: vec![FrameIndex(0)..FrameIndex(100)],
        rate: FrameRate::new(RATE, 1).unwrap(),
    };
    let envelope: Vec<f32> = (0..100).map(words).collect();
    let speaker = |person, size| talker(person, size, |i| 0.08 * words(i.saturating_sub(1)).sqrt());
    let chewer = |person, size| talker(person, size, |i| 0.03 + 0.03 * (i as f32 * 0.9).sin());
    let listener = |person, size| talker(person, size, |i| 0.002 * (i as f32 * 0.37).sin().abs());
    for (case, other) in [chewer(0, 200.0), listener(0, 300.0)]
        .into_iter()
        .enumerate()
    {
        let both = tracks(other.clone(), speaker(1, 120.0));
        let chosen = both.choose(FaceChoice::Speaking, Some(&envelope)).unwrap();
        assert_eq!(chosen.tracks.len(), 1);
        assert_eq!(chosen.tracks[0].person, 1, "case {case}");
        // The choice hangs on the sound: without it the larger face is taken.
        if case == 1 {
            let chosen = both.choose(FaceChoice::Speaking, None).unwrap();
            assert_eq!(chosen.tracks[0].person, 0);
        }
    }
    let both = tracks(speaker(0, 100.0), listener(1, 100.0));
    let numbered = both.choose(FaceChoice::Number(2), Some(&envelope)).unwrap();
    assert_eq!(numbered.tracks[0].person, 1);
    let error = both.choose(FaceChoice::Number(3), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "face 3 was asked for, but the clip shows 2"
    );
    assert!(both.choose(FaceChoice::Number(0), None).is_err());
}

#[test]
fn profiles_are_reported_with_their_times() {
    let mut faces: Vec<_> = talker(0, 100.0, |_| 0.0).faces().collect();
    for face in faces[50..75].iter_mut().flatten() {
        face.yaw = -1.3;
    }
    let turned = FaceTrack::of_faces(0, FrameIndex(0), &faces);
    let tracks = Tracks {
        tracks: vec![Arc::new(turned)],
        cuts: Vec::new(),
        runs: vec![FrameIndex(0)..FrameIndex(100)],
        rate: FrameRate::new(RATE, 1).unwrap(),
    };
    let chosen = tracks.choose(FaceChoice::Speaking, None).unwrap();
    let profiles = chosen.profiles();
    assert_eq!(profiles.len(), 1);
    assert_eq!(profiles[0].time, Seconds(2.0)..Seconds(3.0));
}
