//! Decoding in a child process that can reach nothing but its input.
//!
//! The child is this very program, started again with a hidden first argument. It gets the
//! clip as its standard input (an open descriptor: it never sees a path) and a socket as its
//! standard output, gives up files, network and new programs by landlock and seccomp, and then
//! probes and decodes on request. What it sends is checked before memory is set aside for it;
//! should it crash, that is an ordinary error here.

mod child;
#[expect(unsafe_code, reason = "system calls that no library wraps")]
mod confine;
mod process;
mod wire;

pub(crate) use process::{Child, ChildStream};

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The hidden first argument.
const ARGUMENT: &str = "--reword-media-child";

/// True once [`run_child_if_asked`] has shown that a child of this program would be one.
static AVAILABLE: AtomicBool = AtomicBool::new(false);

/// Where decoding runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sandbox {
    /// In a confined child process; in this process where the program's `main` does not call
    /// [`run_child_if_asked`].
    Child,
    /// In this process.
    #[default]
    InProcess,
}

/// What keeps a decoding child from doing harm on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxReport {
    /// True where decoding can run in a child of this program.
    pub child: bool,
    /// The kernel's version of landlock (no files, from 4 on no network either); `None` where
    /// it has none.
    pub landlock: Option<u32>,
    /// True where the kernel filters system calls (no files, network, programs).
    pub seccomp: bool,
}

impl SandboxReport {
    /// One sentence for people.
    pub fn sentence(&self) -> String {
        let means = match (self.landlock, self.seccomp) {
            (Some(_), true) => "landlock and seccomp",
            (Some(_), false) => "landlock only: this kernel has no seccomp filters",
            (None, true) => "seccomp only: this kernel has no landlock",
            (None, false) => {
                return "Files are decoded unconfined: this kernel has neither landlock nor \
                    seccomp filters."
                    .to_owned();
            }
        };
        if self.child {
            format!("Files are decoded in a child process confined by {means}.")
        } else {
            "Files are decoded in this process: it can't start itself as a child.".to_owned()
        }
    }
}

/// What this machine has for the confinement of children.
pub fn report() -> SandboxReport {
    SandboxReport {
        child: AVAILABLE.load(Ordering::Relaxed),
        landlock: confine::landlock_version(),
        seccomp: confine::has_seccomp(),
    }
}

/// To be called first in `main`: where this process was started as a decoding child, it does
/// that work and returns true once it is over, and `main` should return. Elsewhere it returns
/// false, and [`Sandbox::Child`] is available from then on.
pub fn run_child_if_asked() -> bool {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == ARGUMENT)
    {
        child::run();
        return true;
    }
    AVAILABLE.store(true, Ordering::Relaxed);
    false
}

/// What carries out a clip's requests.
#[derive(Clone, Debug)]
pub(crate) enum Backend {
    InProcess { file: Arc<File>, path: PathBuf },
    Child(Child),
}

impl Backend {
    pub(crate) fn new(sandbox: Sandbox, file: Arc<File>, path: &Path) -> Self {
        if sandbox == Sandbox::Child {
            if AVAILABLE.load(Ordering::Relaxed) && cfg!(target_os = "linux") {
                return Self::Child(Child::new(file, path));
            }
            tracing::warn!("decoding in this process: no child can be started");
        }
        Self::InProcess {
            file,
            path: path.to_path_buf(),
        }
    }
}
