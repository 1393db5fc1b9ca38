//! What the tests of the binary share: a folder of their own, the binary, and its whole output as text.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A folder that goes when the test ends.
pub(crate) struct Bench {
    folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The sample clip under another name.
    pub(crate) fn clip(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::copy(sample().join("sample.mp4"), &path).unwrap();
        std::fs::copy(
            sample().join("sample.words.json"),
            path.with_extension("words.json"),
        )
        .unwrap();
        path
    }

    /// The binary, run inside the folder with nothing of the user's settings.
    pub(crate) fn reword(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reword"));
        command
            .current_dir(self.path())
            .env_remove("REWORD_CONFIG")
            .env("HOME", self.path())
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("COLUMNS", "100")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.reword().args(arguments).output().unwrap()
    }

    /// Runs the binary and gives exit code, standard output and standard error as one text.
    pub(crate) fn transcript(&self, arguments: &[&str]) -> String {
        self.transcript_of(arguments, "")
    }

    pub(crate) fn transcript_of(&self, arguments: &[&str], input: &str) -> String {
        let mut child = self
            .reword()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        // Lines such as `read      0.1 s` differ from run to run.
        let timing = |line: &&str| {
            let mut words = line.split_whitespace().rev();
            words.next() == Some("s")
                && words.next().is_some_and(|word| word.parse::<f64>().is_ok())
                && words.count() == 1
        };
        let clean = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes)
                .replace(&self.path().display().to_string(), "[FOLDER]");
            text.split_inclusive('\n')
                .filter(|line| !timing(line))
                .collect::<String>()
        };
        format!(
            "exit code: {}\n----- stdout -----\n{}----- stderr -----\n{}",
            output
                .status
                .code()
                .map_or("none".to_owned(), |code| code.to_string()),
            clean(&output.stdout),
            clean(&output.stderr),
        )
    }

    /// Names in the folder, sorted; nothing half-written may be among them.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// The sample clip's folder.
pub(crate) fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/sample")
}

/// Real clips that lie beside the repository, where they do.
pub(crate) fn real_clips() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/media/clips");
    if folder.is_dir() {
        Some(folder)
    } else {
        eprintln!("skipped: {} is not here", folder.display());
        None
    }
}
