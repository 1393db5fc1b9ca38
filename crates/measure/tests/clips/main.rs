//! Whole clips against whole clips: variants of the sample, made here.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod consistency;
mod copies;
mod pair;
mod suite;
mod support;
