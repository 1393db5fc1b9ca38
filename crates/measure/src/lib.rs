//! Measuring made clips against recorded ones: metrics, tables, plots, suites.
#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that are exact by construction"
    )
)]

pub mod agreement;
mod error;
pub mod frechet;
mod job;
mod linear;
pub mod lips;
mod metric;
mod networks;
pub mod pair;
pub mod picture;
pub mod rest;
pub mod seam;
mod sound;
pub mod statistics;
pub mod suite;
pub mod sync;
pub mod table;
mod watch;
mod weights;

pub use error::MeasureError;
pub use job::JobReport;
pub use metric::{Better, METRICS, Metric, Needs, Score, find};
pub use models::lpips::LpipsNet;
pub use networks::Networks;
pub use pair::{FeatureSets, Mask, PairOptions, PairReport, measure_pair};
pub use watch::{Silent, Watch};
pub use weights::{WEIGHT_FILES, WeightFile, Weights};
