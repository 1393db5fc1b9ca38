//! A file read by position, so that many readers can share one descriptor.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A reader with its own position in a shared file.
#[derive(Debug)]
pub(crate) struct PositionedFile {
    file: Arc<File>,
    length: u64,
    position: u64,
}

impl PositionedFile {
    pub(crate) fn new(file: Arc<File>) -> io::Result<Self> {
        // The only question about a file that the confined child may ask. The position it moves
        // is used by nobody.
        let length = (&*file).seek(SeekFrom::End(0))?;
        Ok(Self {
            file,
            length,
            position: 0,
        })
    }
}

impl Read for PositionedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for PositionedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
