//! Times of one detection and one landmark pass, on one core: the least of many runs, so that other
//! work on the machine does not count.

use face::{FaceFinder, FallbackFinder, FindFaces, Landmarker, Square, geometry::Rect};
use media::image::Rgb8;
use std::io::Write;
use std::time::Instant;

fn least(runs: usize, mut work: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..runs {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best * 1000.0
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    let finder = FaceFinder::new()?;
    let landmarker = Landmarker::new()?;
    for (width, height) in [(512, 512), (1280, 720), (1920, 1080)] {
        let mut frame = Rgb8::new(width, height);
        for (i, value) in frame.data.iter_mut().enumerate() {
            *value = (i / 97 % 251) as u8;
        }
        let detection = least(40, || drop(finder.detect(&frame)));
        writeln!(out, "{width}x{height}: detection {detection:.2} ms")?;
        for side in [0.4, 0.8] {
            let side = side * height as f32;
            let centre = Rect::new(0.0, 0.0, width as f32, height as f32).centre();
            let place = Square {
                centre,
                side,
                angle: 0.1,
            };
            let landmarks = least(40, || drop(landmarker.landmarks(&frame, &place)));
            writeln!(
                out,
                "{width}x{height}: landmarks in {side:.0} px {landmarks:.2} ms"
            )?;
        }
    }
    let frame = Rgb8::filled(1280, 720, [90; 3]);
    let fallback = FallbackFinder::new()?;
    let time = least(3, || drop(fallback.detect(&frame)));
    writeln!(out, "1280x720: fallback detection {time:.0} ms")?;
    Ok(())
}
