//! What a suite leaves in its folder.

use super::config::{Loaded, SystemKind};
use super::plot::plots;
use super::report::SuiteReport;
use super::sheet::contact_sheet;
use crate::MeasureError;
use media::OpenOptions;
use std::path::{Path, PathBuf};

/// Writes everything that a suite gives to a folder: `suite.json`, `table.md`, `table.csv`, `clips.csv`, a plot for
/// each metric, a contact sheet of the worst frames for each system. The files are named in the report.
///
/// # Errors
/// When a file can't be written, or a frame of a contact sheet can't be read.
pub fn write_suite(
    report: &mut SuiteReport,
    loaded: &Loaded,
    folder: &Path,
    open: OpenOptions,
) -> Result<(), MeasureError> {
    std::fs::create_dir_all(folder).map_err(MeasureError::files("make", folder))?;
    let mut files: Vec<(PathBuf, String)> = vec![
        (folder.join("table.csv"), report.long_table().to_csv()),
        (folder.join("clips.csv"), report.clip_table().to_csv()),
    ];
    for (name, plot) in plots(report) {
        files.push((folder.join(format!("plot-{name}.svg")), plot));
    }
    for system in &report.systems {
        if system.kind == SystemKind::Truth || system.kind == SystemKind::Copy {
            continue;
        }
        if let Some(sheet) = contact_sheet(system, loaded, open)? {
            files.push((folder.join(format!("worst-{}.svg", system.name)), sheet));
        }
    }
    report.files = files.iter().map(|(path, _)| path.clone()).collect();
    let markdown = format!("# {}\n\n{}", report.title, report.table().to_markdown());
    files.push((folder.join("table.md"), markdown));
    let json = serde_json::to_string_pretty(report).map_err(|error| MeasureError::Features {
        reason: error.to_string(),
    })?;
    files.push((folder.join("suite.json"), json));
    for (path, text) in &files {
        std::fs::write(path, text).map_err(MeasureError::files("write", path))?;
    }
    Ok(())
}
