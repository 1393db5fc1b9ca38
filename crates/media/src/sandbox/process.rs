//! The parent's side.

use super::ARGUMENT;
use super::confine::Confinement;
use super::wire::{Head, Kind, Request, read_bytes, read_head, read_json, write_request};
use crate::MediaError;
use crate::decode::{DecodeFailure, FramesRequest, PacketsRequest, SoundRequest};
use crate::frame::{Plane, Samples};
use crate::libav::{PacketData, Picture};
use crate::probe::{Listen, Probe};
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use units::Seconds;

/// How many idle children of a clip are kept for the next request.
const IDLE: usize = 2;

/// Children that decode one clip.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    file: Arc<File>,
    path: PathBuf,
    idle: Mutex<Vec<Process>>,
}

/// One running child.
#[derive(Debug)]
struct Process {
    child: std::process::Child,
    socket: BufReader<File>,
}

/// The answer to a request, as it comes.
pub(crate) struct ChildStream {
    shared: Arc<Shared>,
    process: Option<Process>,
    /// The pictures asked for.
    frames: Option<FramesRequest>,
    finished: bool,
}

impl Child {
    pub(super) fn new(file: Arc<File>, path: &Path) -> Self {
        Self {
            shared: Arc::new(Shared {
                file,
                path: path.to_path_buf(),
                idle: Mutex::new(Vec::new()),
            }),
        }
    }

    pub(crate) fn probe(&self, listen: Listen) -> Result<Probe, MediaError> {
        let mut stream = self.ask(&Request::Probe(listen))?;
        let head = stream.head()?;
        let probe = match head.kind {
            Kind::Probe => stream.json::<Probe>(head),
            Kind::Error => Err(stream.json::<MediaError>(head)?),
            _ => Err(stream.nonsense()),
        };
        stream.finished = true;
        match probe {
            Ok(mut probe) => {
                probe.info.path.clone_from(&self.shared.path);
                Ok(probe)
            }
            Err(error) => Err(error.about(&self.shared.path)),
        }
    }

    pub(crate) fn frames(&self, request: &FramesRequest) -> Result<ChildStream, MediaError> {
        let mut stream = self.ask(&Request::Frames(request.clone()))?;
        stream.frames = Some(request.clone());
        Ok(stream)
    }

    pub(crate) fn sound(&self, request: &SoundRequest) -> Result<ChildStream, MediaError> {
        self.ask(&Request::Sound(request.clone()))
    }

    pub(crate) fn packets(&self, request: &PacketsRequest) -> Result<ChildStream, MediaError> {
        self.ask(&Request::Packets(request.clone()))
    }

    fn ask(&self, request: &Request) -> Result<ChildStream, MediaError> {
        let failed = |error: io::Error| MediaError::Child {
            path: self.shared.path.clone(),
            reason: error.to_string(),
        };
        let waiting = self.shared.idle.lock().ok().and_then(|mut idle| idle.pop());
        let mut process = match waiting {
            Some(process) => process,
            None => Process::start(&self.shared.file).map_err(failed)?,
        };
        write_request(process.socket.get_mut(), request).map_err(failed)?;
        Ok(ChildStream {
            shared: Arc::clone(&self.shared),
            process: Some(process),
            frames: None,
            finished: false,
        })
    }
}

impl Process {
    fn start(file: &File) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = Command::new("/proc/self/exe")
            .arg(ARGUMENT)
            .stdin(Stdio::from(file.try_clone()?))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::null())
            .spawn()?;
        let socket = BufReader::with_capacity(1 << 18, File::from(OwnedFd::from(ours)));
        let mut process = Self { child, socket };
        let head = read_head(&mut process.socket)?;
        if head.kind != Kind::Hello {
            return Err(io::Error::other("it did not begin as expected"));
        }
        let confinement: Confinement = read_json(&mut process.socket, head)?;
        if !confinement.landlock || !confinement.seccomp {
            tracing::debug!("the decoding child is not fully confined: {confinement:?}");
        }
        Ok(process)
    }

    /// How it ended, for people; for a child whose socket has closed.
    fn ending(&mut self) -> String {
        let _ = self.child.kill();
        match self.child.wait() {
            Ok(status) => match (status.signal(), status.code()) {
                // 9 is our own.
                (Some(9), _) | (None, Some(0)) => "it ended in the middle".to_owned(),
                (Some(signal), _) => format!("it crashed (signal {signal})"),
                (None, code) => format!("it ended with code {}", code.unwrap_or(-1)),
            },
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl ChildStream {
    /// The next picture, and true where it is exact.
    pub(crate) fn picture(&mut self) -> Result<Option<(Picture, bool)>, MediaError> {
        let Some(head) = self.next(Kind::Picture)? else {
            return Ok(None);
        };
        let Some(request) = &self.frames else {
            return Err(self.nonsense());
        };
        let (width, height, format) = (request.width, request.height, request.format);
        let bytes = if format.bits == 8 { 1 } else { 2 };
        let sizes: Vec<(usize, usize)> = (0..format.chroma.planes())
            .map(|plane| format.plane_size(plane, width, height))
            .collect();
        let expected: usize = sizes.iter().map(|(w, h)| w * h * bytes).sum();
        if head.body != expected as u64 {
            return Err(self.nonsense());
        }
        let exact = self.json::<bool>(head)?;
        let mut planes = Vec::with_capacity(sizes.len());
        for (width, height) in sizes {
            let data = self.bytes(width * height * bytes)?;
            let samples = if bytes == 1 {
                Samples::Bytes(data)
            } else {
                Samples::Words(
                    data.chunks_exact(2)
                        .map(|pair| match *pair {
                            [low, high] => u16::from_le_bytes([low, high]),
                            _ => 0,
                        })
                        .collect(),
                )
            };
            planes.push(Plane {
                width,
                height,
                samples,
            });
        }
        let picture = Picture {
            width,
            height,
            format,
            planes,
        };
        Ok(Some((picture, exact)))
    }

    /// The next block of sound.
    pub(crate) fn sound(&mut self, channels: usize) -> Result<Option<Vec<Vec<f32>>>, MediaError> {
        let Some(head) = self.next(Kind::Sound)? else {
            return Ok(None);
        };
        let samples = self.json::<u32>(head)? as usize;
        if head.body != samples as u64 * channels as u64 * 4 || samples == 0 {
            return Err(self.nonsense());
        }
        let mut result = Vec::with_capacity(channels);
        for _ in 0..channels {
            let bytes = self.bytes(samples * 4)?;
            result.push(
                bytes
                    .chunks_exact(4)
                    .map(|four| match *four {
                        [a, b, c, d] => f32::from_le_bytes([a, b, c, d]),
                        _ => 0.0,
                    })
                    .collect(),
            );
        }
        Ok(Some(result))
    }

    /// The next packet.
    pub(crate) fn packet(&mut self) -> Result<Option<PacketData>, MediaError> {
        let Some(head) = self.next(Kind::Packet)? else {
            return Ok(None);
        };
        let mut packet = self.json::<PacketData>(head)?;
        packet.bytes = self.bytes(head.body as usize)?;
        Ok(Some(packet))
    }

    /// The next message's head, of one kind; `None` at the end.
    fn next(&mut self, kind: Kind) -> Result<Option<Head>, MediaError> {
        if self.finished {
            return Ok(None);
        }
        let head = self.head()?;
        if head.kind == kind {
            return Ok(Some(head));
        }
        match head.kind {
            Kind::End => {
                self.json::<()>(head)?;
                self.finished = true;
                Ok(None)
            }
            Kind::Failure => {
                let failure = self.json::<DecodeFailure>(head)?;
                self.finished = true;
                Err(MediaError::Decode {
                    path: self.shared.path.clone(),
                    at: Seconds::ZERO,
                    reason: failure.reason,
                })
            }
            _ => Err(self.nonsense()),
        }
    }

    fn head(&mut self) -> Result<Head, MediaError> {
        let result = match &mut self.process {
            Some(process) => read_head(&mut process.socket),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        result.map_err(|error| self.broken(&error))
    }

    fn json<T: DeserializeOwned>(&mut self, head: Head) -> Result<T, MediaError> {
        let result = match &mut self.process {
            Some(process) => read_json(&mut process.socket, head),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        result.map_err(|error| self.broken(&error))
    }

    fn bytes(&mut self, length: usize) -> Result<Vec<u8>, MediaError> {
        let result = match &mut self.process {
            Some(process) => read_bytes(&mut process.socket, length),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        result.map_err(|error| self.broken(&error))
    }

    fn nonsense(&mut self) -> MediaError {
        self.process = None;
        MediaError::Child {
            path: self.shared.path.clone(),
            reason: "it sent something unexpected".to_owned(),
        }
    }

    fn broken(&mut self, error: &io::Error) -> MediaError {
        let ending = self.process.take().map(|mut process| process.ending());
        let closed = matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
        );
        MediaError::Child {
            path: self.shared.path.clone(),
            reason: match ending {
                Some(ending) if closed => ending,
                _ => error.to_string(),
            },
        }
    }
}

impl Drop for ChildStream {
    fn drop(&mut self) {
        // A child in the middle of an answer is of no more use.
        let Some(process) = self.process.take().filter(|_| self.finished) else {
            return;
        };
        if let Ok(mut idle) = self.shared.idle.lock()
            && idle.len() < IDLE
        {
            idle.push(process);
        }
    }
}
