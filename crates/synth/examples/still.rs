//! Renders stills of several people for looking at: `still DIR SIZE FIRST COUNT [TIME
//! [microphone|card]]`, or `still DIR SIZE sample 1 [TIME]` for the demo's person.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::path::Path;
use std::time::Instant;

use synth::{Clip, ClipFormat, HeadConfig, Occluder, Phone, Rgb8, Scene};
use units::{FrameIndex, FrameRate, Seconds};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize, default: f64| -> f64 {
        args.get(i).and_then(|a| a.parse().ok()).unwrap_or(default)
    };
    let dir = args.get(1).cloned().unwrap_or_else(|| ".".into());
    std::fs::create_dir_all(&dir)?;
    let size = number(2, 512.0) as usize;
    let phone = |label: &str, start: f64, end: f64| Phone {
        label: label.into(),
        start: Seconds(start),
        end: Seconds(end),
    };
    let phones = ["pau", "aa", "iy", "uw", "m", "f", "th", "s", "eh", "ow"]
        .iter()
        .enumerate()
        .map(|(i, name)| phone(name, i as f64 * 0.4, i as f64 * 0.4 + 0.4))
        .collect::<Vec<_>>();
    if args.get(3).is_some_and(|a| a == "sample") {
        let clip = synth::sample().clip()?;
        let image = clip.render(FrameIndex((number(5, 0.2) * 25.0) as u64))?;
        return write(&Path::new(&dir).join("still-0.ppm"), &image);
    }
    for seed in number(3, 1.0) as u64..(number(3, 1.0) + number(4, 1.0)) as u64 {
        let begun = Instant::now();
        let format = ClipFormat {
            width: size,
            height: size,
            rate: FrameRate::new(25, 1)?,
            duration: Seconds(4.0),
        };
        let occluder = match args.get(6).map(String::as_str) {
            Some("microphone") => Occluder::Microphone {
                height: 1.5,
                side: 1.0,
            },
            Some("card") => Occluder::Card {
                period: Seconds(4.0),
            },
            _ => Occluder::None,
        };
        let scene = Scene {
            occluder,
            ..Scene::from_seed(seed)
        };
        let clip = Clip::new(&HeadConfig::from_seed(seed), &scene, &phones, format)?;
        let built = begun.elapsed();
        let frame = FrameIndex((number(5, 0.2) * 25.0) as u64);
        let begun = Instant::now();
        let image = clip.render(frame)?;
        println!("seed {seed}: built {built:?}, frame {:?}", begun.elapsed());
        let path = Path::new(&dir).join(format!("still-{seed}.ppm"));
        write(&path, &image)?;
    }
    Ok(())
}

fn write(path: &Path, image: &Rgb8) -> Result<(), Box<dyn std::error::Error>> {
    let mut bytes = format!("P6\n{} {}\n255\n", image.width, image.height).into_bytes();
    bytes.extend(&image.data);
    Ok(std::fs::write(path, bytes)?)
}
