//! Follows the faces of raw video and writes what it finds as numbers, for measuring.
//!
//! ```text
//! ffmpeg -i clip.mp4 -f rawvideo -pix_fmt rgb24 - | track WIDTH HEIGHT FPS > faces.bin
//! ```
//!
//! Output, little endian f32: per frame of the chosen face 1 (seen), 2 (bridged) or 0, then yaw,
//! presence and 468 x, y. A summary goes to standard error.

use face::{FaceChoice, TrackOptions, Tracker};
use media::image::Rgb8;
use std::io::{Read, Write};
use std::time::Instant;
use units::{FrameIndex, FrameRate};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [width, height, fps] = arguments.as_slice() else {
        return Err("usage: track WIDTH HEIGHT FPS < rgb24 > faces".into());
    };
    let (width, height): (usize, usize) = (width.parse()?, height.parse()?);
    let rate = FrameRate::new((fps.parse::<f64>()? * 1000.0).round() as u32, 1000)?;
    let mut tracker = Tracker::new(TrackOptions::new(rate))?;
    let mut input = std::io::stdin().lock();
    let mut frame = Rgb8::new(width, height);
    let mut count = 0;
    let mut spent = 0.0;
    while input.read_exact(&mut frame.data).is_ok() {
        let start = Instant::now();
        tracker.push(FrameIndex(count), &frame)?;
        spent += start.elapsed().as_secs_f64();
        count += 1;
    }
    let tracks = tracker.finish();
    let mut errors = std::io::stderr().lock();
    writeln!(
        errors,
        "{count} frames, {} people, {} tracks, cuts {:?}, {:.1} ms a frame",
        tracks.people(),
        tracks.tracks.len(),
        tracks.cuts.iter().map(|cut| cut.0).collect::<Vec<_>>(),
        1000.0 * spent / count.max(1) as f64
    )?;
    for track in &tracks.tracks {
        writeln!(
            errors,
            "  person {} frames {}..{} seen {} size {:.0} px",
            track.person,
            track.frames.start.0,
            track.frames.end.0,
            track.seen(),
            track.size()
        )?;
    }
    let chosen = tracks.choose(FaceChoice::Speaking, None)?;
    let mut out = std::io::stdout().lock();
    for index in 0..count {
        let face = chosen.face(FrameIndex(index));
        let mut row = vec![0.0_f32; 3 + 2 * 468];
        if let Some(face) = face {
            let head = [
                if face.bridged { 2.0 } else { 1.0 },
                face.yaw,
                face.presence,
            ];
            row = head
                .into_iter()
                .chain(face.landmarks.iter().flatten().copied())
                .collect();
        }
        let bytes: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
        out.write_all(&bytes)?;
    }
    Ok(())
}
