//! Checks of the output path, before any work is done.

use crate::ProjectError;
use std::path::Path;

/// Containers that can be written.
pub(crate) const CONTAINERS: [&str; 5] = ["mp4", "mov", "m4v", "mkv", "webm"];

/// A clip must be there before anything is said about the output.
pub(crate) fn check_clip(clip: &Path) -> Result<(), ProjectError> {
    if clip.exists() {
        return Ok(());
    }
    Err(ProjectError::input(format!(
        "{} does not exist",
        clip.display()
    )))
}

/// An output must have a known container, lie in a folder that can be written, and not be the clip.
pub(crate) fn check(output: &Path, inputs: &[&Path]) -> Result<(), ProjectError> {
    let extension = output
        .extension()
        .and_then(|extension| extension.to_str())
        .map(str::to_lowercase);
    if !extension
        .as_deref()
        .is_some_and(|extension| CONTAINERS.contains(&extension))
    {
        return Err(ProjectError::usage(format!(
            "the output {} has no container that can be written",
            output.display()
        ))
        .with_hint(format!(
            "end its name with one of .{}",
            CONTAINERS.join(", .")
        )));
    }
    if output.is_dir() {
        return Err(ProjectError::usage(format!(
            "the output {} is a folder",
            output.display()
        )));
    }
    let folder = match output.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(ProjectError::usage(format!(
            "the output's folder {} does not exist",
            folder.display()
        ))
        .with_hint("make the folder, or choose another one with -o"));
    }
    for input in inputs {
        let same = match (output.canonicalize(), input.canonicalize()) {
            (Ok(output), Ok(input)) => output == input,
            _ => false,
        };
        if same {
            return Err(ProjectError::usage(format!(
                "the output would overwrite {}",
                input.display()
            ))
            .with_hint("choose another name with -o"));
        }
    }
    tempfile::Builder::new()
        .prefix(".reword")
        .tempfile_in(folder)
        .map(drop)
        .map_err(|error| {
            let why = match error.kind() {
                std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                _ if error.raw_os_error() == Some(28) => "the disk is full".to_owned(),
                _ if error.raw_os_error() == Some(30) => "the file system is read-only".to_owned(),
                _ => error.to_string(),
            };
            ProjectError::usage(format!("can't write into {}: {why}", folder.display()))
                .with_hint("choose another place with -o")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_checked_before_work() {
        let folder = tempfile::tempdir().unwrap();
        let clip = folder.path().join("clip.mp4");
        std::fs::write(&clip, b"x").unwrap();
        let refused = |name: &str| {
            check(&folder.path().join(name), &[&clip])
                .unwrap_err()
                .to_string()
        };
        assert!(refused("clip.mp4").contains("overwrite"));
        assert!(refused("none/out.mp4").contains("does not exist"));
        assert!(refused("out.avi").contains("container"));
        assert!(refused("out").contains("container"));
        check(&folder.path().join("out file.MOV"), &[&clip]).unwrap();
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "the check leaves nothing behind"
        );
    }
}
