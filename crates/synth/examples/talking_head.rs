//! Renders a talking head from text: `cargo run -p synth --example talking_head --
//! --seed 1 --text "Hello there." --out DIR [--voice slt] [--size 512] [--fps 25]`.
//!
//! Writes `speech.wav` (flite), `clip.mp4` (by the ffmpeg program) and `truth.csv` (one
//! line per frame: opening of the mouth, pose, then 468 points in pixels). `--sample`
//! renders the demo's clip instead.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use synth::{Clip, ClipFormat, HeadConfig, Phone, Scene};
use units::{FrameIndex, FrameRate, Seconds};

struct Options {
    seed: u64,
    text: String,
    voice: String,
    out: PathBuf,
    size: usize,
    fps: u32,
    sample: bool,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut o = Options {
        seed: 1,
        text: "Hello and welcome.".into(),
        voice: "slt".into(),
        out: "talking-head".into(),
        size: 512,
        fps: 25,
        sample: false,
    };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        if name == "--sample" {
            o.sample = true;
            continue;
        }
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--seed" => o.seed = value.parse()?,
            "--text" => o.text = value,
            "--voice" => o.voice = value,
            "--out" => o.out = value.into(),
            "--size" => o.size = value.parse()?,
            "--fps" => o.fps = value.parse()?,
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    Ok(o)
}

/// Speaks by the flite program, which prints `phone:end` for every phone.
fn speak(voice: &str, text: &str, wav: &Path) -> Result<Vec<Phone>, Box<dyn Error>> {
    let output = Command::new("flite")
        .args(["-voice", voice, "-psdur", "-t", text, "-o"])
        .arg(wav)
        .output()?;
    let mut start = 0.0;
    let mut phones = Vec::new();
    for item in String::from_utf8(output.stdout)?.split_whitespace() {
        let (label, end) = item.split_once(':').ok_or("flite printed no times")?;
        let end: f64 = end.parse()?;
        phones.push(Phone {
            label: label.into(),
            start: Seconds(start),
            end: Seconds(end),
        });
        start = end;
    }
    Ok(phones)
}

fn main() -> Result<(), Box<dyn Error>> {
    let o = options()?;
    std::fs::create_dir_all(&o.out)?;
    let wav = o.out.join("speech.wav");
    let sample = synth::sample();
    let (text, voice) = if o.sample {
        (sample.text, sample.voice)
    } else {
        (o.text.as_str(), o.voice.as_str())
    };
    let phones = speak(voice, text, &wav)?;
    let duration = phones.last().map_or(Seconds(1.0), |p| p.end);
    let clip = if o.sample {
        sample.clip()?
    } else {
        let format = ClipFormat {
            width: o.size,
            height: o.size,
            rate: FrameRate::new(o.fps, 1)?,
            duration,
        };
        Clip::new(
            &HeadConfig::from_seed(o.seed),
            &Scene::from_seed(o.seed),
            &phones,
            format,
        )?
    };
    let format = clip.format();
    let mut encoder = Command::new("ffmpeg")
        .args([
            "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s",
        ])
        .arg(format!("{}x{}", format.width, format.height))
        .args(["-r", &format.rate.per_second().to_string(), "-i", "-", "-i"])
        .arg(&wav)
        .args(["-pix_fmt", "yuv420p", "-crf", "16", "-c:a", "aac"])
        .arg(o.out.join("clip.mp4"))
        .stdin(Stdio::piped())
        .spawn()?;
    let mut pipe = encoder.stdin.take().ok_or("ffmpeg takes no input")?;
    let mut truth = std::fs::File::create(o.out.join("truth.csv"))?;
    let begun = Instant::now();
    for frame in (0..clip.frames()).map(FrameIndex) {
        pipe.write_all(&clip.render(frame)?.data)?;
        let t = clip.truth(frame)?;
        write!(
            truth,
            "{},{},{},{}",
            t.opening, t.head.yaw, t.head.pitch, t.head.roll
        )?;
        for [x, y] in t.landmarks {
            write!(truth, ",{x:.2},{y:.2}")?;
        }
        writeln!(truth)?;
    }
    drop(pipe);
    encoder.wait()?;
    let took = begun.elapsed().as_secs_f64();
    println!(
        "{} frames, {:.1} per second, in {}",
        clip.frames(),
        clip.frames() as f64 / took,
        o.out.display()
    );
    Ok(())
}
