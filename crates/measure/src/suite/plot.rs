//! Plots as SVG: for each metric, every system's mean with its interval and its clips as dots.

use super::report::{SET_METRICS, SuiteReport};
use crate::metric::find;
use crate::table::{heading, number};
use std::fmt::Write as _;

const LEFT: f64 = 170.0;
const WIDTH: f64 = 640.0;
const RIGHT: f64 = 30.0;
const ROW: f64 = 34.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 34.0;

/// Name and SVG text of a plot for every metric with numbers of single clips.
pub(super) fn plots(report: &SuiteReport) -> Vec<(String, String)> {
    report
        .metrics
        .iter()
        .enumerate()
        .filter(|(_, name)| !SET_METRICS.contains(name))
        .filter_map(|(index, name)| Some(((*name).to_owned(), plot(report, index, name)?)))
        .collect()
}

/// Text that can stand in XML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn plot(report: &SuiteReport, index: usize, name: &str) -> Option<String> {
    let rows: Vec<(&str, Option<crate::statistics::Interval>, Vec<f64>)> = report
        .systems
        .iter()
        .map(|system| {
            let values = system
                .clips
                .iter()
                .filter_map(|clip| clip.report.as_ref()?.value(name))
                .collect();
            let cell = system.cells.get(index).and_then(|cell| cell.value);
            (system.name.as_str(), cell, values)
        })
        .collect();
    let all: Vec<f64> = rows
        .iter()
        .flat_map(|(_, _, values)| values.iter().copied())
        .collect();
    let low = all.iter().copied().reduce(f64::min)?;
    let high = all.iter().copied().reduce(f64::max)?;
    let room = ((high - low) * 0.05)
        .max(high.abs().max(low.abs()) * 1e-3)
        .max(1e-9);
    let (low, high) = (low - room, high + room);
    let x = |value: f64| LEFT + (value - low) / (high - low) * WIDTH;
    let height = TOP + ROW * rows.len() as f64 + BOTTOM;
    let total = LEFT + WIDTH + RIGHT;
    let title = find(name).map_or_else(|_| name.to_owned(), heading);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {total} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{total}\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{}</text>\n",
        escaped(&title)
    );
    for tick in 0..=4 {
        let value = low + (high - low) * f64::from(tick) / 4.0;
        let (at, end) = (x(value), height - BOTTOM);
        // Writing to a string can't fail.
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{end}\" stroke=\"#ddd\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555\">{}</text>",
            end + 18.0,
            number(value)
        );
    }
    for (row, (system, cell, values)) in rows.iter().enumerate() {
        let y = TOP + ROW * (row as f64 + 0.5);
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 10.0,
            y + 4.0,
            escaped(system)
        );
        for value in values {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#4a7\" fill-opacity=\"0.45\"/>",
                x(*value)
            );
        }
        if let Some(cell) = cell {
            if let (Some(low), Some(high)) = (cell.low, cell.high) {
                let _ = writeln!(
                    svg,
                    "<line x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"#124\" stroke-width=\"2\"/>",
                    x(low),
                    x(high)
                );
            }
            let _ = writeln!(
                svg,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"7\" height=\"7\" fill=\"#124\"/>",
                x(cell.mean) - 3.5,
                y - 3.5
            );
        }
    }
    svg += "</svg>\n";
    Some(svg)
}
