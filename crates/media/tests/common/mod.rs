//! Clips for tests, made by the `ffmpeg` program.
#![allow(dead_code, reason = "each test program uses some of it")]

use media::{Frame, Samples};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder that goes away with the value.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Runs `ffmpeg`; false (and a note) where it is not installed or lacks what is asked for.
pub(crate) fn ffmpeg(arguments: &[&str], output: &Path) -> bool {
    let result = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments)
        .arg(output)
        .output();
    match result {
        Ok(result) if result.status.success() => true,
        Ok(result) => {
            println!(
                "skipped: ffmpeg made no {}: {}",
                output.display(),
                String::from_utf8_lossy(&result.stderr)
            );
            false
        }
        Err(error) => {
            println!("skipped: no ffmpeg program: {error}");
            false
        }
    }
}

/// A moving test picture of `frames` frames with a changing tone.
pub(crate) fn clip(
    folder: &Path,
    name: &str,
    size: &str,
    frames: u32,
    codec: &[&str],
) -> Option<PathBuf> {
    let path = folder.join(name);
    let seconds = format!("{}", f64::from(frames) / 25.0);
    let picture = format!("testsrc2=size={size}:rate=25:duration={seconds}");
    let sound = format!("aevalsrc=0.3*sin(2*PI*(300+200*t)*t):s=44100:d={seconds}");
    let mut arguments = vec!["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound];
    arguments.extend(codec);
    ffmpeg(&arguments, &path).then_some(path)
}

/// Every frame's raw samples as the `ffmpeg` program decodes them, in stored orientation.
pub(crate) fn reference_frames(path: &Path, frame_bytes: usize) -> Option<Vec<Vec<u8>>> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-noautorotate", "-i"])
        .arg(path)
        .args([
            "-map",
            "0:v:0",
            "-vsync",
            "passthrough",
            "-f",
            "rawvideo",
            "-",
        ])
        .output()
        .ok()?;
    Some(
        output
            .stdout
            .chunks_exact(frame_bytes)
            .map(<[u8]>::to_vec)
            .collect(),
    )
}

/// Interleaved float samples as the `ffmpeg` program decodes them.
pub(crate) fn reference_sound(path: &Path) -> Option<Vec<f32>> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(path)
        .args(["-map", "0:a:0", "-f", "f32le", "-"])
        .output()
        .ok()?;
    Some(
        output
            .stdout
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect(),
    )
}

/// A frame's samples as raw video.
pub(crate) fn raw(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    for plane in frame.planes() {
        match &plane.samples {
            Samples::Bytes(samples) => bytes.extend_from_slice(samples),
            Samples::Words(samples) => {
                bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
            }
        }
    }
    bytes
}

/// Peak signal to noise ratio over all planes, in dB; infinite for equal frames.
pub(crate) fn psnr(one: &Frame, two: &Frame) -> f64 {
    assert_eq!(one.stored_size(), two.stored_size());
    let mut sum = 0.0;
    let mut count = 0.0;
    for (a, b) in one.planes().iter().zip(two.planes()) {
        for index in 0..a.width * a.height {
            let difference = f64::from(a.samples.get(index) - b.samples.get(index));
            sum += difference * difference;
            count += 1.0;
        }
    }
    let peak = f64::from((1_u32 << one.format().bits) - 1);
    10.0 * (peak * peak / (sum / count)).log10()
}

/// The folder of shared media beside the repository, with a note where it is missing.
pub(crate) fn shared_clips() -> Vec<PathBuf> {
    let folder = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/media/clips"
    ));
    let Ok(entries) = std::fs::read_dir(folder) else {
        println!("skipped: no {}", folder.display());
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

const CHAPTERS: &str = ";FFMETADATA1\ntitle=Board meeting\nartist=Ada\n\
    [CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=2000\ntitle=Hello\n\
    [CHAPTER]\nTIMEBASE=1/1000\nSTART=2000\nEND=3000\ntitle=Numbers\n\
    [CHAPTER]\nTIMEBASE=1/1000\nSTART=3000\nEND=6000\ntitle=Goodbye\n";

const CAPTIONS: &str = "1\n00:00:00,500 --> 00:00:01,500\nGood morning.\n\n\
    2\n00:00:02,200 --> 00:00:02,800\nThese are the numbers.\n\n\
    3\n00:00:04,000 --> 00:00:05,000\nThank you.\n";

/// Six seconds at 25 frames a second with tags, three chapters, captions (codec `subtitles`), and a second sound track.
pub(crate) fn rich_clip(folder: &Path, name: &str, subtitles: &str) -> Option<PathBuf> {
    std::fs::write(folder.join("notes.txt"), CHAPTERS).unwrap();
    std::fs::write(folder.join("captions.srt"), CAPTIONS).unwrap();
    let path = folder.join(name);
    let (notes, captions) = (folder.join("notes.txt"), folder.join("captions.srt"));
    // Matroska can't say that AAC starts early, and would move everything by that.
    let sound = if name.ends_with("mkv") { "flac" } else { "aac" };
    #[rustfmt::skip]
    let arguments = [
        "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=6",
        "-f", "lavfi", "-i", "sine=frequency=300:sample_rate=44100:duration=6",
        "-f", "lavfi", "-i", "aevalsrc=0.3*sin(2*PI*(200+100*t)*t):s=48000:d=6",
        "-i", captions.to_str().unwrap(), "-i", notes.to_str().unwrap(),
        "-map", "0:v", "-map", "1:a", "-map", "2:a", "-map", "3:s", "-map_metadata", "4", "-map_chapters", "4",
        "-c:v", "libx264", "-g", "25", "-bf", "0", "-c:a", sound, "-c:s", subtitles,
        "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=ita", "-metadata:s:s:0", "language=eng",
    ];
    ffmpeg(&arguments, &path).then_some(path)
}
