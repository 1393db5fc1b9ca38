//! The child's side.

use super::confine::{self, Confinement};
use super::wire::{Kind, Request, read_request, write_message};
use crate::decode::{FrameSource, PacketSource, SoundSource};
use crate::frame::Samples;
use crate::probe::probe;
use std::fs::File;
use std::io::{self, BufWriter};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

/// Confines this process and serves requests until the parent is gone.
pub(super) fn run() {
    // Errors end the child; the parent sees the socket close.
    let _ = serve();
}

fn serve() -> io::Result<()> {
    confine::close_inherited();
    let file = Arc::new(File::from(io::stdin().as_fd().try_clone_to_owned()?));
    let socket = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut from = socket.try_clone()?;
    let mut to = BufWriter::with_capacity(1 << 18, socket);
    crate::libav::init();
    let confinement: Confinement = confine::confine();
    write_message(&mut to, Kind::Hello, &confinement, &[])?;
    while let Some(request) = read_request(&mut from)? {
        answer(&file, request, &mut to)?;
    }
    Ok(())
}

fn answer(file: &Arc<File>, request: Request, to: &mut BufWriter<File>) -> io::Result<()> {
    match request {
        Request::Probe(listen) => {
            return match probe(file, Path::new(""), listen) {
                Ok(probe) => write_message(to, Kind::Probe, &probe, &[]),
                Err(error) => write_message(to, Kind::Error, &error, &[]),
            };
        }
        Request::Frames(request) => {
            let mut source = match FrameSource::open(Arc::clone(file), request) {
                Ok(source) => source,
                Err(failure) => return write_message(to, Kind::Failure, &failure, &[]),
            };
            loop {
                match source.next() {
                    Ok(Some((picture, exact))) => {
                        let planes: Vec<Vec<u8>> = picture
                            .planes
                            .into_iter()
                            .map(|plane| match plane.samples {
                                Samples::Bytes(samples) => samples,
                                Samples::Words(samples) => {
                                    samples.iter().flat_map(|word| word.to_le_bytes()).collect()
                                }
                            })
                            .collect();
                        let parts: Vec<&[u8]> = planes.iter().map(Vec::as_slice).collect();
                        write_message(to, Kind::Picture, &exact, &parts)?;
                    }
                    Ok(None) => break,
                    Err(failure) => return write_message(to, Kind::Failure, &failure, &[]),
                }
            }
        }
        Request::Sound(request) => {
            let mut source = match SoundSource::open(Arc::clone(file), request) {
                Ok(source) => source,
                Err(failure) => return write_message(to, Kind::Failure, &failure, &[]),
            };
            loop {
                match source.next() {
                    Ok(Some(channels)) => {
                        let samples = channels.first().map_or(0, Vec::len);
                        let bytes: Vec<u8> = channels
                            .iter()
                            .flatten()
                            .flat_map(|sample| sample.to_le_bytes())
                            .collect();
                        write_message(to, Kind::Sound, &samples, &[&bytes])?;
                    }
                    Ok(None) => break,
                    Err(failure) => return write_message(to, Kind::Failure, &failure, &[]),
                }
            }
        }
        Request::Packets(request) => {
            let mut source = match PacketSource::open(file, &request) {
                Ok(source) => source,
                Err(failure) => return write_message(to, Kind::Failure, &failure, &[]),
            };
            while let Some(packet) = source.next() {
                write_message(to, Kind::Packet, &packet, &[&packet.bytes])?;
            }
        }
    }
    write_message(to, Kind::End, &(), &[])
}
