//! `reword doctor`: what this machine can run, and what is missing.

use crate::terminal::Terminal;
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    state: String,
    /// What to do, where something is missing.
    remedy: Option<&'static str>,
}

/// Runs the command.
pub(crate) fn run(terminal: &Terminal) {
    let findings = look();
    if terminal.json() {
        let list: Vec<_> = findings
            .iter()
            .map(|finding| json!({"what": finding.what, "state": finding.state, "remedy": finding.remedy}))
            .collect();
        terminal.result(&json!({ "findings": list }).to_string());
        return;
    }
    for finding in &findings {
        let sign = if finding.remedy.is_some() { "-" } else { "+" };
        terminal.result(&format!("{sign} {:12} {}", finding.what, finding.state));
        if let Some(remedy) = finding.remedy {
            terminal.result(&format!("  {:12} {remedy}", ""));
        }
    }
}

fn look() -> Vec<Finding> {
    let mut findings = vec![
        Finding {
            what: "processor",
            state: format!(
                "{} threads, {:?} kernels",
                nn::device::threads(),
                nn::device::cpu_level()
            ),
            remedy: None,
        },
        Finding {
            what: "memory",
            state: memory(),
            remedy: None,
        },
        Finding {
            what: "decoding",
            state: media::sandbox::report().sentence(),
            remedy: None,
        },
        Finding {
            what: "model",
            state: "tiny, embedded".to_owned(),
            remedy: None,
        },
    ];
    findings.push(program(
        "flite",
        "--version",
        "voice",
        "English voice for new words",
        "sudo apt-get install flite",
    ));
    findings.push(program(
        "espeak-ng",
        "--version",
        "voice",
        "voices of 100 languages, phonemes for unknown words",
        "sudo apt-get install espeak-ng",
    ));
    let aligner = speech::align::Aligner::new();
    findings.push(match aligner.model_error() {
        None => Finding {
            what: "alignment",
            state: "English acoustic model".to_owned(),
            remedy: None,
        },
        Some(error) => Finding {
            what: "alignment",
            state: error.to_string(),
            remedy: Some("sudo apt-get install pocketsphinx-en-us"),
        },
    });
    findings.push(Finding {
        what: "recogniser",
        state: "none; words come from transcripts or from `reword align`".to_owned(),
        remedy: None,
    });
    findings
}

fn program(
    name: &'static str,
    flag: &str,
    what: &'static str,
    purpose: &str,
    remedy: &'static str,
) -> Finding {
    let runs = Command::new(name)
        .arg(flag)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match runs {
        Ok(_) => Finding {
            what,
            state: format!("{name}: {purpose}"),
            remedy: None,
        },
        Err(_) => Finding {
            what,
            state: format!("{name} is not installed: {purpose}"),
            remedy: Some(remedy),
        },
    }
}

/// Total and free memory, where the system tells.
fn memory() -> String {
    let text = std::fs::read_to_string(Path::new("/proc/meminfo")).unwrap_or_default();
    let gibibytes = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        Some(kilobytes / f64::from(1 << 20))
    };
    match (gibibytes("MemTotal:"), gibibytes("MemAvailable:")) {
        (Some(total), Some(free)) => format!("{free:.1} of {total:.1} GiB free"),
        _ => "unknown".to_owned(),
    }
}
