//! Files that are short, torn or no clips at all.

use crate::common::{clip, ffmpeg, folder};
use crate::{X264, open};
use media::{Clip, MediaError, OpenOptions};
use std::path::Path;
use units::FrameIndex;

#[test]
fn bad_files_have_clear_errors() {
    let folder = folder();
    let open = |path: &Path| Clip::open(path, &OpenOptions::default());
    let missing = folder.path().join("missing \"clip\" ü.mp4");
    assert!(matches!(open(&missing), Err(MediaError::NotFound { .. })));
    assert!(matches!(
        open(folder.path()),
        Err(MediaError::Folder { .. })
    ));
    let empty = folder.path().join("empty.mp4");
    std::fs::write(&empty, b"").unwrap();
    assert!(matches!(open(&empty), Err(MediaError::Empty { .. })));
    let text = folder.path().join("text.mp4");
    std::fs::write(&text, "This is a script, not a clip.\n".repeat(50)).unwrap();
    let error = open(&text).unwrap_err();
    assert!(error.to_string().contains("it holds text"), "{error}");
    let zeros = folder.path().join("zeros.mp4");
    std::fs::write(&zeros, [0; 5000]).unwrap();
    assert!(matches!(open(&zeros), Err(MediaError::NotMedia { .. })));
    // Playlists must not make us open other files.
    let list = folder.path().join("list.mp4");
    std::fs::write(&list, "ffconcat version 1.0\nfile empty.mp4\n").unwrap();
    assert!(matches!(open(&list), Err(MediaError::NotMedia { .. })));

    let Some(path) = clip(
        folder.path(),
        "ok \u{43a}\u{43b}\u{438}\u{43f} 'x'.mp4",
        "96x96",
        30,
        X264,
    ) else {
        return;
    };
    assert!(open(&path).is_ok());
    let bytes = std::fs::read(&path).unwrap();
    let cut = folder.path().join("cut.mp4");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let error = open(&cut).unwrap_err();
    assert!(matches!(error, MediaError::Truncated { .. }), "{error}");
    let sound = folder.path().join("sound.m4a");
    assert!(ffmpeg(&["-f", "lavfi", "-i", "sine=d=1"], &sound));
    assert!(matches!(
        open(&sound).unwrap().all_frames().err(),
        Some(MediaError::NoVideo { .. })
    ));
    let range = open(&path)
        .unwrap()
        .frames(FrameIndex(10)..FrameIndex(31))
        .err();
    assert!(matches!(
        range,
        Some(MediaError::FrameRange { frames: 30, .. })
    ));
}

#[test]
fn a_clip_whose_end_is_missing_gives_what_there_is() {
    let folder = folder();
    let options = [X264, &["-g", "10", "-movflags", "+faststart"]].concat();
    let Some(path) = clip(folder.path(), "a.mp4", "160x120", 50, &options) else {
        return;
    };
    let bytes = std::fs::read(&path).unwrap();
    let cut = folder.path().join("cut.mp4");
    std::fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).unwrap();
    let opened = open(&cut);
    let frames = opened.video().unwrap().frames;
    assert!(frames > 5 && frames < 50, "{frames}");
    let missing = opened.video().unwrap().missing;
    assert!(
        missing > 5 && missing + frames <= 50,
        "{missing} of 50 are missing, {frames} are there"
    );
    assert_eq!(open(&path).video().unwrap().missing, 0);
    assert_eq!(
        opened.all_frames().unwrap().flatten().count() as u64,
        frames
    );
}

#[test]
fn one_frame_is_a_clip() {
    let folder = folder();
    let Some(path) = clip(folder.path(), "a.mp4", "96x96", 1, X264) else {
        return;
    };
    let opened = open(&path);
    let video = opened.video().unwrap();
    assert_eq!(video.frames, 1);
    assert!((video.times.end().0 - 0.04).abs() < 1e-6);
    assert_eq!(opened.all_frames().unwrap().count(), 1);
}

#[test]
fn damaged_bytes_never_panic() {
    let folder = folder();
    let options = [X264, &["-g", "8", "-movflags", "+faststart"]].concat();
    let Some(path) = clip(folder.path(), "a.mp4", "64x64", 16, &options) else {
        return;
    };
    let bytes = std::fs::read(&path).unwrap();
    let mut state = 0x1234_5678_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for round in 0..60 {
        let mut damaged = bytes.clone();
        for _ in 0..=(round % 12) {
            // Half of the damage hits the index at the front.
            let limit = if random() % 2 == 0 {
                3000.min(damaged.len())
            } else {
                damaged.len()
            };
            let at = random() % limit;
            damaged[at] = random() as u8;
        }
        if round % 7 == 0 {
            damaged.truncate(random() % damaged.len());
        }
        let path = folder.path().join("damaged.mp4");
        std::fs::write(&path, &damaged).unwrap();
        let Ok(clip) = Clip::open(&path, &OpenOptions::default()) else {
            continue;
        };
        if let Ok(reader) = clip.all_frames() {
            for frame in reader.take(40).flatten() {
                let _ = frame.to_rgb8_scaled(16, 16);
            }
        }
        if let Ok(mut reader) = clip.all_audio() {
            while let Ok(Some(block)) = reader.next_block() {
                if block.is_empty() || reader.position().0 > 1_000_000 {
                    break;
                }
            }
        }
    }
}
