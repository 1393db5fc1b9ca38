//! Suites: many systems on many clips, one table.
//!
//! A TOML file lists clips, systems and metrics ([`config`]). Every clip of every system is measured ([`run_suite`]); the
//! copy of the input, the recorded truth and (unless it is turned off) a still mouth stand beside the systems in every
//! table ([`report`]). What fails is counted and listed, never left out silently.

pub mod benchmark;
pub mod config;
mod files;
mod maker;
mod plot;
pub mod report;
mod run;
mod sheet;
mod still;

pub use config::{Suite, SuiteClip, SuiteSystem, SystemKind};
pub use files::write_suite;
pub use maker::{Maker, NoMaker};
pub use report::{ClipResult, SuiteReport, SystemReport};
pub use run::run_suite;
