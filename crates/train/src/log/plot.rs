//! Curves over steps as a picture.

use media::image::Rgb8;

/// Colours of curves, in turn: told apart by people who see no red or green.
const COLOURS: [[u8; 3]; 6] = [
    [0, 114, 178],
    [213, 94, 0],
    [0, 158, 115],
    [204, 121, 167],
    [86, 180, 233],
    [230, 159, 0],
];
const INK: [u8; 3] = [60, 60, 60];
const FAINT: [u8; 3] = [225, 225, 225];
const LEFT: usize = 70;
const BOTTOM: usize = 30;
const TOP: usize = 14;
const RIGHT: usize = 14;

/// A named series of (step, value).
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Shown in its colour.
    pub name: String,
    /// In rising order of steps.
    pub points: Vec<(f64, f64)>,
}

/// Draws curves into a picture of the given size; values that are no numbers are left out.
pub fn plot(curves: &[Curve], width: usize, height: usize) -> Rgb8 {
    let mut picture = Rgb8::filled(width.max(160), height.max(100), [255; 3]);
    let (right, bottom) = (picture.width - RIGHT, picture.height - BOTTOM);
    let all = || {
        curves
            .iter()
            .flat_map(|curve| &curve.points)
            .filter(|(x, y)| x.is_finite() && y.is_finite())
    };
    let range = |f: &dyn Fn(&(f64, f64)) -> f64| {
        let ends = all()
            .map(f)
            .fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
        if ends.0 > ends.1 {
            (0.0, 1.0)
        } else if ends.1 - ends.0 < 1e-12 {
            (ends.0 - 0.5, ends.1 + 0.5)
        } else {
            ends
        }
    };
    let ((x0, x1), (y0, y1)) = (range(&|p| p.0), range(&|p| p.1));
    let place = |x: f64, y: f64| {
        let across = (x - x0) / (x1 - x0) * (right - LEFT) as f64;
        let down = (y1 - y) / (y1 - y0) * (bottom - TOP) as f64;
        (LEFT as f64 + across, TOP as f64 + down)
    };
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        let y = y0 + (y1 - y0) * share;
        let (_, row) = place(x0, y);
        line(&mut picture, (LEFT as f64, row), (right as f64, row), FAINT);
        text(&mut picture, 4, row as usize - 3, &short(y), INK);
        let x = x0 + (x1 - x0) * share;
        let (column, _) = place(x, y0);
        let label = short(x);
        let at = (column as usize).saturating_sub(3 * label.len());
        text(&mut picture, at, bottom + 8, &label, INK);
    }
    for (index, curve) in curves.iter().enumerate() {
        let colour = COLOURS.get(index % COLOURS.len()).copied().unwrap_or(INK);
        let points: Vec<(f64, f64)> = curve
            .points
            .iter()
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .map(|(x, y)| place(*x, *y))
            .collect();
        for pair in points.windows(2) {
            if let [a, b] = pair {
                line(&mut picture, *a, *b, colour);
            }
        }
        if let ([only], true) = (points.as_slice(), points.len() == 1) {
            line(&mut picture, *only, (only.0 + 2.0, only.1), colour);
        }
        let at = right.saturating_sub(6 * curve.name.len() + 6);
        text(&mut picture, at, TOP + 4 + 11 * index, &curve.name, colour);
    }
    picture
}

/// A number in few letters.
fn short(value: f64) -> String {
    let size = value.abs();
    if size >= 1e4 || (size > 0.0 && size < 1e-3) {
        format!("{value:.1e}")
    } else if size >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}

/// A line one pixel wide, thickened upwards so that it shows.
fn line(picture: &mut Rgb8, a: (f64, f64), b: (f64, f64), colour: [u8; 3]) {
    let steps = (b.0 - a.0).abs().max((b.1 - a.1).abs()).ceil().max(1.0);
    for n in 0..=steps as usize {
        let share = n as f64 / steps;
        let x = a.0 + (b.0 - a.0) * share;
        let y = a.1 + (b.1 - a.1) * share;
        dot(picture, x as usize, y as usize, colour);
    }
}

fn dot(picture: &mut Rgb8, x: usize, y: usize, colour: [u8; 3]) {
    if x < picture.width && y < picture.height {
        picture.set_pixel(x, y, colour);
    }
}

/// Writes small letters in ink.
pub(crate) fn write_text(picture: &mut Rgb8, x: usize, y: usize, letters: &str) {
    text(picture, x, y, letters, INK);
}

/// Small letters of 5 by 7 dots, 6 apart; letters that the table lacks are left blank.
fn text(picture: &mut Rgb8, x: usize, y: usize, letters: &str, colour: [u8; 3]) {
    for (index, letter) in letters.chars().enumerate() {
        let rows = glyph(letter);
        for (row, bits) in rows.iter().enumerate() {
            for column in 0..5 {
                if bits >> (4 - column) & 1 == 1 {
                    dot(picture, x + 6 * index + column, y + row, colour);
                }
            }
        }
    }
}

/// Rows of a letter, five bits each.
const fn glyph(letter: char) -> [u8; 7] {
    match letter {
        '0' => [14, 17, 19, 21, 25, 17, 14],
        '1' => [4, 12, 4, 4, 4, 4, 14],
        '2' => [14, 17, 1, 6, 8, 16, 31],
        '3' => [14, 17, 1, 6, 1, 17, 14],
        '4' => [2, 6, 10, 18, 31, 2, 2],
        '5' => [31, 16, 30, 1, 1, 17, 14],
        '6' => [6, 8, 16, 30, 17, 17, 14],
        '7' => [31, 1, 2, 4, 8, 8, 8],
        '8' => [14, 17, 17, 14, 17, 17, 14],
        '9' => [14, 17, 17, 15, 1, 2, 12],
        '.' => [0, 0, 0, 0, 0, 12, 12],
        '-' => [0, 0, 0, 31, 0, 0, 0],
        '_' => [0, 0, 0, 0, 0, 0, 31],
        '/' => [1, 1, 2, 4, 8, 16, 16],
        'a' => [0, 0, 14, 1, 15, 17, 15],
        'b' => [16, 16, 30, 17, 17, 17, 30],
        'c' => [0, 0, 14, 16, 16, 17, 14],
        'd' => [1, 1, 15, 17, 17, 17, 15],
        'e' => [0, 0, 14, 17, 31, 16, 14],
        'f' => [6, 9, 8, 28, 8, 8, 8],
        'g' => [0, 15, 17, 17, 15, 1, 14],
        'h' => [16, 16, 22, 25, 17, 17, 17],
        'i' => [4, 0, 12, 4, 4, 4, 14],
        'j' => [2, 0, 6, 2, 2, 18, 12],
        'k' => [16, 16, 18, 20, 24, 20, 18],
        'l' => [12, 4, 4, 4, 4, 4, 14],
        'm' => [0, 0, 26, 21, 21, 17, 17],
        'n' => [0, 0, 22, 25, 17, 17, 17],
        'o' => [0, 0, 14, 17, 17, 17, 14],
        'p' => [0, 0, 30, 17, 30, 16, 16],
        'q' => [0, 0, 13, 19, 15, 1, 1],
        'r' => [0, 0, 22, 25, 16, 16, 16],
        's' => [0, 0, 14, 16, 14, 1, 30],
        't' => [8, 8, 28, 8, 8, 9, 6],
        'u' => [0, 0, 17, 17, 17, 19, 13],
        'v' => [0, 0, 17, 17, 17, 10, 4],
        'w' => [0, 0, 17, 17, 21, 21, 10],
        'x' => [0, 0, 17, 10, 4, 10, 17],
        'y' => [0, 0, 17, 17, 15, 1, 14],
        'z' => [0, 0, 31, 2, 4, 8, 31],
        _ => [0; 7],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_falling_curve_falls() {
        let curve = Curve {
            name: "loss".to_owned(),
            points: vec![(0.0, 2.0), (50.0, f64::NAN), (100.0, 1.0)],
        };
        let picture = plot(&[curve], 320, 200);
        let column = |x: usize| (0..picture.height).find(|y| picture.pixel(x, *y) == COLOURS[0]);
        let (first, last) = (column(LEFT).unwrap(), column(320 - RIGHT - 1).unwrap());
        assert!(first < last, "{first} {last}");
        assert_eq!(first, TOP);
        // No curve at all still makes a frame.
        assert_eq!(plot(&[], 10, 10).width, 160);
    }
}
