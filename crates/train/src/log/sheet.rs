//! A sheet of pictures in rows.

use media::image::Rgb8;

/// Pixels between pictures.
const GAP: usize = 4;

/// Pictures of one size in rows.
#[derive(Debug, Clone, Default)]
pub struct Sheet {
    rows: Vec<Vec<Rgb8>>,
}

impl Sheet {
    /// Adds a row.
    pub fn row(&mut self, pictures: Vec<Rgb8>) {
        self.rows.push(pictures);
    }

    /// The sheet; none without pictures.
    pub fn picture(&self) -> Option<Rgb8> {
        let all = || self.rows.iter().flatten();
        let (width, height) = (
            all().map(|p| p.width).max()?,
            all().map(|p| p.height).max()?,
        );
        let columns = self.rows.iter().map(Vec::len).max()?;
        let mut sheet = Rgb8::filled(
            columns * (width + GAP) + GAP,
            self.rows.len() * (height + GAP) + GAP,
            [255; 3],
        );
        for (row, pictures) in self.rows.iter().enumerate() {
            for (column, picture) in pictures.iter().enumerate() {
                let (x, y) = (column * (width + GAP) + GAP, row * (height + GAP) + GAP);
                let line = picture.width * 3;
                for (n, values) in picture.data.chunks_exact(line.max(1)).enumerate() {
                    let start = ((y + n) * sheet.width + x) * 3;
                    if let Some(part) = sheet.data.get_mut(start..start + line) {
                        part.copy_from_slice(values);
                    }
                }
            }
        }
        Some(sheet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_where_they_should() {
        let mut sheet = Sheet::default();
        assert!(sheet.picture().is_none());
        sheet.row(vec![
            Rgb8::filled(2, 3, [1, 2, 3]),
            Rgb8::filled(2, 3, [9; 3]),
        ]);
        sheet.row(vec![Rgb8::filled(2, 3, [7; 3])]);
        let picture = sheet.picture().unwrap();
        assert_eq!((picture.width, picture.height), (16, 18));
        assert_eq!(picture.pixel(4, 4), [1, 2, 3]);
        assert_eq!(picture.pixel(10, 6), [9; 3]);
        assert_eq!(picture.pixel(4, 11), [7; 3]);
        assert_eq!(picture.pixel(10, 11), [255; 3]);
    }
}
