use super::*;
use media::PixelFormat;
use media::info::{ColourTags, Rotation};
use std::io::Write as _;

/// One made area of frame 4, white, on pictures of `size` rows and columns.
fn fills(size: (usize, usize), (left, top, columns, rows): (u32, u32, u32, u32)) -> Fills {
    let mut bytes = 4_u64.to_le_bytes().to_vec();
    for number in [left, top, columns, rows] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.resize(HEADER + (columns * rows * 3) as usize, 255);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    Fills::open(file, size).unwrap()
}

/// A picture of noise as shown with 96 columns and 80 rows.
fn noise(format: PixelFormat, rotation: Rotation) -> Frame {
    let (width, height) = (96, 80);
    let value = |index: usize| (index as u32).wrapping_mul(2_654_435_761) >> 8;
    let data = (0..width * height * 3)
        .map(|index| (value(index) % 1000) as f32 / 1000.0)
        .collect();
    let image = RgbF32::from_vec(width, height, data).unwrap();
    Frame::from_rgb(&image, format, ColourTags::default(), rotation).unwrap()
}

#[test]
fn around_a_made_area_no_sample_changes() {
    let area = (32, 16, 32, 32);
    for (format, rotation, size) in [
        (PixelFormat::YUV420, Rotation::None, (80, 96)),
        (PixelFormat::YUV420, Rotation::Quarter, (80, 96)),
        // The model worked on smaller pictures: the area's edges lie between pixels.
        (PixelFormat::YUV420, Rotation::None, (70, 84)),
    ] {
        let before = noise(format, rotation);
        let mut after = before.clone();
        let mut fills = fills(size, area);
        assert_eq!(fills.ranges(), [FrameIndex(4)..FrameIndex(5)]);
        fills.lay(&mut after, FrameIndex(3)).unwrap();
        assert_eq!(after.planes(), before.planes(), "another frame");
        fills.lay(&mut after, FrameIndex(4)).unwrap();
        let (was, is) = (before.to_rgb8(), after.to_rgb8());
        let scale = (96.0 / size.1 as f64, 80.0 / size.0 as f64);
        let inside = |x: usize, y: usize, margin: f64| {
            let (x, y) = (x as f64 / scale.0, y as f64 / scale.1);
            let within = |at: f64, from: u32, length: u32| {
                at >= f64::from(from) - margin && at < f64::from(from + length) + margin
            };
            within(x, area.0, area.2) && within(y, area.1, area.3)
        };
        for y in 0..80 {
            for x in 0..96 {
                // Two pixels share one sample of colour.
                if !inside(x, y, 2.0) {
                    assert_eq!(was.pixel(x, y), is.pixel(x, y), "{x}, {y}");
                } else if inside(x, y, -12.0) {
                    assert!(is.pixel(x, y).iter().all(|value| *value > 240), "{x}, {y}");
                }
            }
        }
    }
}
