//! Event files that `TensorBoard` reads: records of protocol buffers, written by hand.
//!
//! A record is its length, a masked CRC-32C of that, the bytes, and a masked CRC-32C of them
//! (`tensorflow/core/lib/io/record_writer.cc`); a record holds a `tensorflow.Event`.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use media::image::Rgb8;

use super::png::png_bytes;
use crate::error::{Result, TrainError};

/// An open event file.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// A new file in `folder`; `seconds` since 1970 names it, as `TensorBoard` wants it.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn create(folder: &Path, seconds: f64) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(TrainError::io(folder))?;
        let mut number = 0;
        let path = loop {
            let path = folder.join(format!(
                "events.out.tfevents.{}.reword.{number}",
                seconds as u64
            ));
            if !path.exists() {
                break path;
            }
            number += 1;
        };
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&path)
            .map_err(TrainError::io(&path))?;
        let mut events = Self { path, file };
        let mut event = number_field(1, seconds);
        event.extend(bytes_field(3, b"brain.Event:2"));
        events.record(&event)?;
        Ok(events)
    }

    /// A number at a step.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn scalar(&mut self, seconds: f64, step: u64, tag: &str, value: f64) -> Result<()> {
        let mut item = bytes_field(1, tag.as_bytes());
        item.push(2 << 3 | 5);
        item.extend((value as f32).to_le_bytes());
        self.summary(seconds, step, &item)
    }

    /// A picture at a step.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn image(&mut self, seconds: f64, step: u64, tag: &str, image: &Rgb8) -> Result<()> {
        let mut picture = whole_field(1, image.height as u64);
        picture.extend(whole_field(2, image.width as u64));
        picture.extend(whole_field(3, 3));
        picture.extend(bytes_field(4, &png_bytes(image)));
        let mut item = bytes_field(1, tag.as_bytes());
        item.extend(bytes_field(4, &picture));
        self.summary(seconds, step, &item)
    }

    fn summary(&mut self, seconds: f64, step: u64, item: &[u8]) -> Result<()> {
        let mut event = number_field(1, seconds);
        event.extend(whole_field(2, step));
        event.extend(bytes_field(5, &bytes_field(1, item)));
        self.record(&event)
    }

    fn record(&mut self, data: &[u8]) -> Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        let mut bytes = length.to_vec();
        bytes.extend(masked(&length).to_le_bytes());
        bytes.extend(data);
        bytes.extend(masked(data).to_le_bytes());
        self.file
            .write_all(&bytes)
            .map_err(TrainError::io(&self.path))
    }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn whole_field(number: u8, value: u64) -> Vec<u8> {
    let mut out = vec![number << 3];
    varint(value, &mut out);
    out
}

fn number_field(number: u8, value: f64) -> Vec<u8> {
    let mut out = vec![number << 3 | 1];
    out.extend(value.to_le_bytes());
    out
}

fn bytes_field(number: u8, data: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    varint(data.len() as u64, &mut out);
    out.extend(data);
    out
}

fn masked(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Castagnoli's CRC, bit by bit: events are few and small.
fn crc32c(data: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let low = crc & 1;
            crc = crc >> 1 ^ (0x82f6_3b78 * low);
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    /// Field by field as `event.proto` and `summary.proto` say.
    #[test]
    fn a_scalar_event_has_the_known_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(folder.path(), 0.0).unwrap();
        events.scalar(0.0, 7, "a", 1.0).unwrap();
        let bytes = std::fs::read(&events.path).unwrap();
        // Header: length 24, event of wall time 0 and the version.
        assert_eq!(bytes[..8], 24_u64.to_le_bytes());
        let record = &bytes[8 + 4 + 24 + 4..];
        let event = [
            9, 0, 0, 0, 0, 0, 0, 0, 0, 16, 7, 42, 10, 10, 8, 10, 1, b'a', 21, 0, 0, 128, 63,
        ];
        assert_eq!(record[..8], (event.len() as u64).to_le_bytes());
        assert_eq!(record[12..12 + event.len()], event);
    }
}
