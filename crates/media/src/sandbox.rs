//! Decoding in a child process that can reach nothing but its input.

use crate::MediaError;
use crate::decode::{FramesRequest, PacketsRequest, SoundRequest};
use crate::libav::{PacketData, Picture};
use crate::probe::Probe;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where decoding runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sandbox {
    /// In a confined child process.
    Child,
    /// In this process.
    #[default]
    InProcess,
}

#[derive(Clone, Debug)]
pub(crate) enum Backend {
    InProcess { file: Arc<File>, path: PathBuf },
    Child(Child),
}

impl Backend {
    pub(crate) fn new(_sandbox: Sandbox, file: Arc<File>, path: &Path) -> Self {
        Self::InProcess {
            file,
            path: path.to_path_buf(),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Child;

impl Child {
    pub(crate) fn probe(&self) -> Result<Probe, MediaError> {
        unimplemented!()
    }
    pub(crate) fn frames(&self, _request: &FramesRequest) -> Result<ChildStream, MediaError> {
        unimplemented!()
    }
    pub(crate) fn packets(&self, _request: &PacketsRequest) -> Result<ChildStream, MediaError> {
        unimplemented!()
    }
    pub(crate) fn sound(&self, _request: &SoundRequest) -> Result<ChildStream, MediaError> {
        unimplemented!()
    }
}

pub(crate) struct ChildStream;

impl ChildStream {
    pub(crate) fn picture(&mut self) -> Result<Option<(Picture, bool)>, MediaError> {
        unimplemented!()
    }
    pub(crate) fn packet(&mut self) -> Result<Option<PacketData>, MediaError> {
        unimplemented!()
    }
    pub(crate) fn sound(&mut self, _channels: usize) -> Result<Option<Vec<Vec<f32>>>, MediaError> {
        unimplemented!()
    }
}
