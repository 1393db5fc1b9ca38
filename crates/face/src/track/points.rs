//! Where the points of followed faces are kept. 468 a face and frame are too many to hold for hours of a clip: what
//! goes beyond a limit lies in an unnamed file, which is gone with the program however that ends.

use crate::FaceError;
use crate::geometry::Point;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Points that are held in memory: 64 MiB, some ten minutes of one face.
const HELD: usize = (64 << 20) / size_of::<Point>();

/// Bytes of a point in the file: two little-endian `f32`.
const BYTES: usize = 8;

/// Points of faces, one run after the other.
#[derive(Debug)]
pub(crate) struct Points {
    kept: Mutex<Kept>,
    limit: usize,
}

#[derive(Debug, Default)]
struct Kept {
    held: Vec<Point>,
    /// What came after `held` was full.
    file: Option<File>,
    /// Points in the file.
    written: usize,
    failure: Option<io::Error>,
}

/// Where the points of one face in one frame are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    first: usize,
    count: usize,
}

impl Default for Points {
    fn default() -> Self {
        Self::with_limit(HELD)
    }
}

impl Points {
    fn with_limit(limit: usize) -> Self {
        Self {
            kept: Mutex::default(),
            limit,
        }
    }

    /// Keeps the points of a face. Whether that went well is told by [`Points::check`].
    pub(crate) fn push(&self, points: &[Point]) -> Slot {
        let mut kept = self.lock();
        let slot = Slot {
            first: kept.held.len() + kept.written,
            count: points.len(),
        };
        if kept.file.is_none() && kept.held.len() + points.len() <= self.limit {
            kept.held.extend_from_slice(points);
        } else if let Err(error) = kept.write(points) {
            kept.failure.get_or_insert(error);
        }
        slot
    }

    /// The points of a face; none where they can't be read back, which [`Points::check`] tells.
    pub(crate) fn read(&self, slot: Slot) -> Option<Vec<Point>> {
        let mut kept = self.lock();
        if let Some(held) = kept.held.get(slot.first..slot.first + slot.count) {
            return Some(held.to_vec());
        }
        match kept.read(slot) {
            Ok(points) => Some(points),
            Err(error) => {
                kept.failure.get_or_insert(error);
                None
            }
        }
    }

    /// The first thing that went wrong, once.
    pub(crate) fn check(&self) -> Result<(), FaceError> {
        match self.lock().failure.take() {
            Some(source) => Err(FaceError::Points {
                folder: std::env::temp_dir(),
                source,
            }),
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing in here stops half way but by an error that is kept.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn write(&mut self, points: &[Point]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        let bytes: Vec<u8> = points
            .as_flattened()
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        file.seek(SeekFrom::Start((self.written * BYTES) as u64))?;
        file.write_all(&bytes)?;
        self.written += points.len();
        Ok(())
    }

    fn read(&mut self, slot: Slot) -> io::Result<Vec<Point>> {
        let place = slot.first.checked_sub(self.held.len());
        let (Some(file), Some(place)) = (&mut self.file, place) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let mut bytes = vec![0; slot.count * BYTES];
        file.seek(SeekFrom::Start((place * BYTES) as u64))?;
        file.read_exact(&mut bytes)?;
        let number = |four: &[u8; 4]| f32::from_le_bytes(*four);
        let (pairs, _) = bytes.as_chunks::<BYTES>();
        Ok(pairs
            .iter()
            .map(|pair| {
                let (numbers, _) = pair.as_chunks::<4>();
                match numbers {
                    [x, y] => [number(x), number(y)],
                    _ => [0.0; 2],
                }
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_come_back_from_memory_and_from_the_file() {
        let points = Points::with_limit(100);
        let face = |n: usize| -> Vec<Point> {
            (0..30)
                .map(|k| [n as f32 + 0.25, k as f32 * -0.5])
                .collect()
        };
        let slots: Vec<Slot> = (0..20).map(|n| points.push(&face(n))).collect();
        for (n, slot) in slots.iter().enumerate().rev() {
            assert_eq!(points.read(*slot).unwrap(), face(n), "{n}");
        }
        // Reading does not move where the next one goes.
        let last = points.push(&face(77));
        assert_eq!(points.read(last).unwrap(), face(77));
        assert_eq!(points.read(slots[19]).unwrap(), face(19));
        assert_eq!(points.lock().held.len(), 90);
        assert!(points.check().is_ok());
    }

    #[test]
    fn what_is_not_there_is_told_once() {
        let points = Points::with_limit(10);
        let nowhere = Slot {
            first: 40,
            count: 2,
        };
        assert!(points.read(nowhere).is_none());
        let error = points.check().unwrap_err();
        assert!(error.to_string().contains("points of faces"), "{error}");
        assert!(points.check().is_ok());
    }
}
