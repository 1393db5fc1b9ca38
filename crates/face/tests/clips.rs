//! Real clips: the folder `shared` beside the repository, where it is there, decoded by `ffmpeg`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a file of tests: helpers may fail loudly and say what is skipped"
)]

use face::{
    FaceChoice, FallbackFinder, FindFaces, TrackOptions, Tracker, geometry::Point, mesh,
    mouth_opening, track::Chosen, track::Tracks,
};
use media::image::Rgb8;
use safetensors::SafeTensors;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use units::{FrameIndex, FrameRate};

/// Points that `tools/convert/compare_face_mesh.py` saves.
const SAVED_POINTS: [usize; 13] = [33, 133, 362, 263, 1, 61, 291, 13, 14, 10, 152, 234, 454];
const SAVED_FRAMES: u64 = 60;

fn clips() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/media/clips");
    let decoder = Command::new("ffmpeg")
        .arg("-version")
        .stdout(Stdio::null())
        .status();
    if folder.is_dir() && decoder.is_ok_and(|status| status.success()) {
        return Some(folder);
    }
    println!(
        "skipped: needs ffmpeg and the clips in {}",
        folder.display()
    );
    None
}

/// The first raw frames of an ffmpeg command line that ends in a video of this size.
struct Frames {
    decoder: Child,
    width: usize,
    height: usize,
}

impl Frames {
    fn of(arguments: &[&str], size: (usize, usize), limit: u64) -> Self {
        let decoder = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin"])
            .args(arguments)
            .args(["-frames:v", &limit.to_string()])
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            decoder,
            width: size.0,
            height: size.1,
        }
    }

    fn next(&mut self) -> Option<Rgb8> {
        let mut frame = Rgb8::new(self.width, self.height);
        self.decoder
            .stdout
            .as_mut()?
            .read_exact(&mut frame.data)
            .ok()?;
        Some(frame)
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        drop(self.decoder.stdout.take());
        self.decoder.wait().unwrap();
    }
}

fn size_of(path: &Path) -> (usize, usize) {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-of", "csv=p=0"])
        .args(["-show_entries", "stream=width,height"])
        .arg(path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers = text.trim().split(',').map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

fn follow(mut frames: Frames) -> Tracks {
    let options = TrackOptions::new(FrameRate::new(25, 1).unwrap());
    let mut tracker = Tracker::new(options).unwrap();
    let mut index = FrameIndex(0);
    while let Some(frame) = frames.next() {
        tracker.push(index, &frame).unwrap();
        index = index.next();
    }
    tracker.finish()
}

fn floats(file: &SafeTensors, name: &str) -> Vec<f32> {
    let data = file
        .tensor(name)
        .unwrap()
        .data()
        .as_chunks::<4>()
        .0
        .to_vec();
    data.into_iter().map(f32::from_le_bytes).collect()
}

fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let mean = |v: &[f32]| v.iter().sum::<f32>() / v.len() as f32;
    let (x, y) = (mean(a), mean(b));
    let sum =
        |f: &dyn Fn(f32, f32) -> f32| a.iter().zip(b).map(|(p, q)| f(p - x, q - y)).sum::<f32>();
    sum(&|p, q| p * q) / (sum(&|p, _| p * p) * sum(&|_, q| q * q)).sqrt()
}

fn distance(a: Point, b: Point) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// On every clip: a face in at least 99 % of the frames, its points within 1 % of the eye distance
/// of MediaPipe's own (mediapipe 0.10.21), and its mouth opening with it (correlation >= 0.97).
#[test]
fn faces_are_where_mediapipe_sees_them() {
    let Some(folder) = clips() else { return };
    let fixture =
        SafeTensors::deserialize(include_bytes!("fixtures/face_mesh.safetensors")).unwrap();
    let mut names: Vec<String> = fixture
        .names()
        .into_iter()
        .filter_map(|name| name.strip_suffix(".opening").map(str::to_owned))
        .collect();
    names.sort();
    assert!(names.len() >= 10);
    for name in names {
        let path = folder.join(&name);
        if !path.exists() {
            println!("skipped: no {name}");
            continue;
        }
        let frames = Frames::of(
            &["-i", path.to_str().unwrap()],
            size_of(&path),
            SAVED_FRAMES,
        );
        let chosen = follow(frames).choose(FaceChoice::Speaking, None).unwrap();
        let faces: Vec<_> = (0..SAVED_FRAMES)
            .map(|i| chosen.face(FrameIndex(i)))
            .collect();
        let seen = faces.iter().flatten().filter(|face| !face.bridged).count();
        assert!(
            seen as f64 >= 0.99 * SAVED_FRAMES as f64,
            "{name}: {seen} frames"
        );

        let opening: Vec<f32> = faces
            .iter()
            .flatten()
            .map(|f| mouth_opening(&f.landmarks))
            .collect();
        let r = correlation(&opening, &floats(&fixture, &format!("{name}.opening")));
        let saved = floats(&fixture, &format!("{name}.points"));
        let (mut sum, mut count) = (0.0, 0.0);
        for (face, theirs) in faces
            .iter()
            .step_by(5)
            .flatten()
            .zip(saved.chunks_exact(26))
        {
            let eyes = mesh::eye_distance(&face.landmarks);
            for (index, point) in SAVED_POINTS.into_iter().zip(theirs.as_chunks::<2>().0) {
                sum += distance(face.landmarks[index], *point) / eyes;
                count += 1.0;
            }
        }
        println!(
            "{name}: points {:.2} % of the eye distance, opening r = {r:.4}",
            100.0 * sum / count
        );
        assert!(
            sum / count < 0.01 && r >= 0.97,
            "{name}: {} {r}",
            sum / count
        );
    }
}

/// Energy of a clip's sound in each frame of 40 ms.
fn envelope(path: &Path) -> Vec<f32> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i", path.to_str().unwrap()])
        .args(["-vn", "-ac", "1", "-ar", "16000", "-f", "f32le", "-"])
        .output()
        .unwrap();
    let samples = output
        .stdout
        .as_chunks::<4>()
        .0
        .iter()
        .map(|&b| f32::from_le_bytes(b));
    let samples: Vec<f32> = samples.collect();
    samples
        .chunks(640)
        .map(|part| part.iter().map(|s| s * s).sum::<f32>() / 640.0)
        .collect()
}

fn mean_x(chosen: &Chosen) -> f32 {
    let xs: Vec<f32> = (0..chosen.frames.end.0)
        .filter_map(|i| Some(chosen.face(FrameIndex(i))?.landmarks[mesh::NOSE_TIP][0]))
        .collect();
    assert!(xs.len() > 60);
    xs.iter().sum::<f32>() / xs.len() as f32
}

/// Follows two clips side by side (480x480 each) and says whether the face that is chosen with the
/// first one's sound is the first one's.
fn picks_the_first(first: &Path, second: &Path, swapped: bool) -> bool {
    let fit = "fps=25,scale=480:480:force_original_aspect_ratio=increase,crop=480:480";
    let order = if swapped { "[b][a]" } else { "[a][b]" };
    let filter = format!("[0:v]{fit}[a];[1:v]{fit}[b];{order}hstack=shortest=1");
    let inputs = [
        "-i",
        first.to_str().unwrap(),
        "-i",
        second.to_str().unwrap(),
    ];
    let arguments = [&inputs[..], &["-filter_complex", &filter]].concat();
    let tracks = follow(Frames::of(&arguments, (960, 480), 75));
    assert_eq!(
        tracks.people(),
        2,
        "{} and {}",
        first.display(),
        second.display()
    );
    let chosen = tracks
        .choose(FaceChoice::Speaking, Some(&envelope(first)))
        .unwrap();
    (mean_x(&chosen) < 480.0) != swapped
}

/// Beside someone who only listens, the one who speaks is chosen, wherever they are.
#[test]
fn the_speaker_is_chosen_beside_a_listener() {
    let Some(folder) = clips() else { return };
    let silent = folder.join("../silent");
    let pairs = [
        ("retalk_5.mp4", "nim_eyecontact_woman.mp4"),
        ("skyreels_drv5.mp4", "liveportrait_s18.mp4"),
        ("grid_bbaf2n.mpg", "nim_eyecontact_woman.mp4"),
    ];
    for (i, (speaker, listener)) in pairs.into_iter().enumerate() {
        let (speaker, listener) = (folder.join(speaker), silent.join(listener));
        if speaker.exists() && listener.exists() {
            let right = picks_the_first(&speaker, &listener, i % 2 == 1);
            assert!(right, "{} beside {}", speaker.display(), listener.display());
        } else {
            println!(
                "skipped: no {} or {}",
                speaker.display(),
                listener.display()
            );
        }
    }
}

/// Of two who both speak, the one that goes with the sound, in most pairs (the sound alone does not
/// always tell within three seconds).
#[test]
fn of_two_speakers_the_one_of_the_sound_is_mostly_chosen() {
    let Some(folder) = clips() else { return };
    let pairs = [
        ("retalk_5.mp4", "aniportrait_poseref.mp4"),
        ("hdtf_WDA_AOC.mp4", "retalk_5.mp4"),
        ("aniportrait_poseref.mp4", "vox_00473.mp4"),
        ("retalk_3.mp4", "hdtf_WDA_AOC.mp4"),
        ("grid_lrwp9a.mpg", "retalk_3.mp4"),
    ];
    let mut right = Vec::new();
    for (first, second) in pairs {
        let (first, second) = (folder.join(first), folder.join(second));
        if first.exists() && second.exists() {
            right.push(picks_the_first(&first, &second, false));
        }
    }
    let hits = right.iter().filter(|&&hit| hit).count();
    println!("{hits} of {} pairs: {right:?}", right.len());
    assert!(right.is_empty() || hits * 5 >= right.len() * 4);
}

/// The fallback detector agrees with the first one about where a frontal face is.
#[test]
fn the_fallback_finds_the_same_face() {
    let Some(folder) = clips() else { return };
    let path = folder.join("retalk_5.mp4");
    if !path.exists() {
        println!("skipped: no retalk_5.mp4");
        return;
    }
    let mut frames = Frames::of(&["-i", path.to_str().unwrap()], size_of(&path), 1);
    let frame = frames.next().unwrap();
    let by_network = face::FaceFinder::new().unwrap().detect(&frame);
    let by_cascade = FallbackFinder::new().unwrap().detect(&frame);
    assert_eq!((by_network.len(), by_cascade.len()), (1, 1));
    let overlap = by_network[0].area.overlap(&by_cascade[0].area);
    assert!(overlap > 0.4, "{overlap}");
    for (a, b) in by_network[0]
        .keypoints
        .iter()
        .zip(&by_cascade[0].keypoints)
        .take(4)
    {
        assert!(
            distance(*a, *b) < 0.2 * by_network[0].area.width(),
            "{a:?} {b:?}"
        );
    }
}
