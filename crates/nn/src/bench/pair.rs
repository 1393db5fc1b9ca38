//! Two processes that take turns.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use thiserror::Error;

/// What goes wrong with the other process.
#[derive(Debug, Error)]
pub enum PairError {
    /// It can't be started, or its pipes broke.
    #[error("{program}: {source}")]
    Process {
        /// The program.
        program: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// It has no such case, or the case failed.
    #[error("{program} says: {reason}")]
    Refused {
        /// The program.
        program: String,
        /// Its words.
        reason: String,
    },
}

/// A process that serves cases, see [`super::serve`].
#[derive(Debug)]
pub struct Side {
    program: String,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Side {
    /// Starts it.
    ///
    /// # Errors
    /// When the program can't be started.
    pub fn start(command: &mut Command) -> Result<Self, PairError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |source| PairError::Process {
            program: program.clone(),
            source,
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(std::io::Error::other("no pipes")));
        };
        Ok(Self {
            program,
            child,
            input: Some(input),
            output: BufReader::new(output),
        })
    }

    fn ask(&mut self, command: &str) -> Result<String, PairError> {
        let mut line = String::new();
        let talk = (|| {
            if let Some(input) = &mut self.input {
                writeln!(input, "{command}")?;
                input.flush()?;
            }
            self.output.read_line(&mut line)
        })();
        match talk {
            Ok(0) => Err(PairError::Refused {
                program: self.program.clone(),
                reason: "(it ended)".to_owned(),
            }),
            Ok(_) => match line.trim_end().strip_prefix("ok ") {
                Some(rest) => Ok(rest.to_owned()),
                None => Err(PairError::Refused {
                    program: self.program.clone(),
                    reason: line.trim_end().trim_start_matches("no ").to_owned(),
                }),
            },
            Err(source) => Err(PairError::Process {
                program: self.program.clone(),
                source,
            }),
        }
    }

    /// What runs there.
    ///
    /// # Errors
    /// When it does not answer, as a program that can't start.
    pub fn version(&mut self) -> Result<String, PairError> {
        self.ask("version")
    }

    /// Prepares a case; the peak memory of its first run, in bytes, beyond inputs and weights.
    ///
    /// # Errors
    /// When there is no such case, or it fails.
    pub fn prepare(&mut self, case: &str) -> Result<u64, PairError> {
        Ok(self.ask(&format!("case {case}"))?.parse().unwrap_or(0))
    }

    /// Runs the case once.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&mut self) -> Result<Sample, PairError> {
        let answer = self.ask("run")?;
        let mut numbers = answer.split(' ').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(seconds)), Some(Ok(processor))) => Ok(Sample { seconds, processor }),
            _ => Err(PairError::Refused {
                program: self.program.clone(),
                reason: answer,
            }),
        }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // The end of its input ends the process.
        self.input = None;
        let _ = self.child.wait();
    }
}

/// One run.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// By the clock.
    pub seconds: f64,
    /// Of all processors.
    pub processor: f64,
}

/// Runs of one case, in turns: `ours[i]` and `theirs[i]` are neighbours in time.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    pub ours: Vec<Sample>,
    /// Empty where there is no other side.
    pub theirs: Vec<Sample>,
    /// Peak memory of the first run, in bytes: ours and theirs.
    pub peaks: (u64, u64),
}

/// Takes turns until `rounds` are done or `limit` has passed; three rounds at least.
/// Which side begins alternates.
///
/// # Errors
/// When a side fails.
pub fn compare(
    case: &str,
    ours: &mut Side,
    mut theirs: Option<&mut Side>,
    rounds: usize,
    limit: Duration,
) -> Result<Runs, PairError> {
    const LEAST: usize = 3;
    // Time for the other side's threads to stop waiting for work actively.
    const PAUSE: Duration = Duration::from_millis(4);
    let mut runs = Runs::default();
    runs.peaks.0 = ours.prepare(case)?;
    if let Some(theirs) = &mut theirs {
        runs.peaks.1 = theirs.prepare(case)?;
    }
    let start = Instant::now();
    for round in 0..rounds {
        if round >= LEAST && start.elapsed() > limit {
            break;
        }
        for turn in 0..2 {
            if (round + turn) % 2 == 0 {
                std::thread::sleep(PAUSE);
                runs.ours.push(ours.run()?);
            } else if let Some(theirs) = &mut theirs {
                std::thread::sleep(PAUSE);
                runs.theirs.push(theirs.run()?);
            }
        }
    }
    Ok(runs)
}

/// Quarter points of some numbers: first quartile, median, third quartile.
pub fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [0.25, 0.5, 0.75].map(|part| {
        let at = part * values.len().saturating_sub(1) as f64;
        let value = |i: usize| values.get(i).copied().unwrap_or(f64::NAN);
        let (below, above) = (value(at.floor() as usize), value(at.ceil() as usize));
        below + (above - below) * at.fract()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_interpolate() {
        let near = |got: [f64; 3], wanted: [f64; 3]| {
            let mut pairs = got.iter().zip(wanted);
            assert!(pairs.all(|(a, b)| (a - b).abs() < 1e-12), "{got:?}");
        };
        near(quartiles(vec![4.0, 1.0, 3.0, 2.0, 5.0]), [2.0, 3.0, 4.0]);
        near(quartiles(vec![1.0, 2.0]), [1.25, 1.5, 1.75]);
        assert!(quartiles(Vec::new())[1].is_nan());
    }

    #[test]
    fn sides_take_turns_and_refusals_are_told() {
        let script = "while read -r a b; do case \"$a\" in case) [ \"$b\" = known ] && echo ok 7 \
                      || echo no such case;; run) echo ok 0.5 0.25;; esac; done";
        let start = || Side::start(Command::new("sh").args(["-c", script])).unwrap();
        let (mut ours, mut theirs) = (start(), start());
        let limit = Duration::from_secs(9);
        let runs = compare("known", &mut ours, Some(&mut theirs), 5, limit).unwrap();
        assert_eq!((runs.ours.len(), runs.theirs.len()), (5, 5));
        assert_eq!(runs.peaks, (7, 7));
        assert!((runs.theirs[0].processor - 0.25).abs() < 1e-12);
        let refused = compare("unknown", &mut ours, None, 5, limit).unwrap_err();
        assert!(refused.to_string().contains("such case"), "{refused}");
        assert!(Side::start(&mut Command::new("/no/such/program")).is_err());
    }
}
