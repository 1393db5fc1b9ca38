//! The binary `reword`: arguments in, one command run, one sentence out when it fails.
//!
//! `main` reads top to bottom: the sandboxed decoder first (this same binary, re-executed), then threads, arguments,
//! settings, Ctrl-C, the command, the exit code.

mod arguments;
mod commands;
mod failure;
mod settings;
mod terminal;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::terminal::Terminal;
use clap::Parser;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn main() -> ExitCode {
    // The decoder of user files is this binary, re-executed: it must lock itself up before anything else happens.
    if media::sandbox::run_child_if_asked() {
        return ExitCode::SUCCESS;
    }
    nn::device::share_one_pool();
    let arguments = Arguments::parse();
    let stop = Arc::new(AtomicBool::new(false));
    let terminal = Terminal::new(
        arguments.common.json,
        arguments.common.quiet,
        Arc::clone(&stop),
    );
    start_logging(arguments.common.verbose);
    // The first Ctrl-C asks the job to stop at the next block; the second one ends the process.
    let handler = ctrlc::set_handler(move || {
        if stop.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    if let Err(error) = handler {
        terminal.note(&format!("warning: Ctrl-C will not stop cleanly: {error}"));
    }
    match run(arguments, &terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal.failure(&failure);
            failure.exit_code()
        }
    }
}

fn run(arguments: Arguments, terminal: &Terminal) -> Result<(), Failure> {
    let Arguments { command, common } = arguments;
    if let Command::Forward(arguments) = command {
        return commands::forward::run(&arguments, &common, terminal);
    }
    let clip = match &command {
        Command::Edit(arguments) => Some(arguments.clip.as_path()),
        Command::Plan(arguments) => Some(arguments.clip.as_path()),
        Command::Sync(arguments) => Some(arguments.clip.as_path()),
        Command::Dub(arguments) => Some(arguments.clip.as_path()),
        Command::Rerender(arguments) => Some(arguments.clip.as_path()),
        _ => None,
    };
    let settings = Settings::gather(&common, clip)?;
    match command {
        Command::Edit(arguments) => commands::edit::run(arguments, &settings, terminal),
        Command::Dub(arguments) => commands::dub::run(arguments, &settings, terminal),
        Command::Sync(arguments) => commands::sync::run(arguments, &settings, terminal),
        Command::Rerender(arguments) => commands::rerender::run(arguments, &settings, terminal),
        Command::Plan(arguments) => commands::plan::run(arguments, &settings, terminal),
        Command::Transcribe(arguments) => commands::transcribe::run(&arguments),
        Command::Align(arguments) => commands::align::run(&arguments, terminal),
        Command::Models(arguments) => commands::models::run(&arguments, terminal),
        Command::Data(arguments) => commands::data::run(arguments, terminal),
        Command::Train(arguments) => commands::train::run(&arguments, terminal),
        Command::Adapt(arguments) => commands::adapt::run(&arguments, &settings, terminal),
        Command::Eval(arguments) => commands::eval::run(&arguments, &settings, terminal),
        Command::Bench(arguments) => commands::bench::run(&arguments, &settings, terminal),
        Command::Doctor => {
            commands::doctor::run(terminal);
            Ok(())
        }
        Command::Forward(_) => Ok(()),
    }
}

fn start_logging(verbose: u8) {
    let level = match verbose {
        0 => "error",
        1 => "info",
        _ => "debug",
    };
    let filter =
        tracing_subscriber::EnvFilter::try_from_env("REWORD_LOG").unwrap_or_else(|_| level.into());
    // Fails only when a logger is set already, which nobody else does.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}
