//! `docs/benchmarks.md`: sections that commands write, each replacing what it wrote before.

use crate::failure::Failure;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes sections (title, body) into a page; one of the same title is replaced, others stay.
pub(super) fn write(path: &Path, sections: &[(String, String)]) -> Result<(), Failure> {
    let mut page = match std::fs::read_to_string(path) {
        Ok(page) => page,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            "# Benchmarks\n\nWritten by `reword bench ops --write docs/benchmarks.md`.\n".to_owned()
        }
        Err(error) => return Err(Failure::input(format!("{}: {error}", path.display()))),
    };
    for (title, body) in sections {
        page = with_section(&page, title, body);
    }
    std::fs::write(path, page)
        .map_err(|error| Failure::fault(format!("{}: {error}", path.display())))
}

/// The page with one section replaced or, if it has none of this title, added.
fn with_section(page: &str, title: &str, body: &str) -> String {
    let heading = format!("## {title}\n");
    let section = format!("{heading}\n{}\n", body.trim_end());
    let Some(start) = page
        .starts_with(&heading)
        .then_some(0)
        .or_else(|| page.find(&format!("\n{heading}")).map(|at| at + 1))
    else {
        return format!("{}\n\n{section}", page.trim_end());
    };
    let (before, rest) = page.split_at(start);
    match rest.find("\n## ") {
        Some(end) => format!("{before}{section}{}", rest.split_at(end).1),
        None => format!("{before}{section}"),
    }
}

/// The processor, what else it had to do, and the date.
pub(super) fn machine() -> String {
    let model = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let field = |name: &str| {
                let line = text.lines().find(|line| line.starts_with(name))?;
                Some(line.split_once(':')?.1.trim().to_owned())
            };
            Some(format!(
                "{} (family {} model {})",
                field("model name")?,
                field("cpu family")?,
                field("model\t")?
            ))
        });
    let load = std::fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| Some(text.split(' ').next()?.to_owned()))
        .map_or_else(String::new, |load| format!(", load {load} at the end"));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let days = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() / 86_400);
    let (year, month, day) = date(days);
    let model = model.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    format!("{model}, {cores} cores{load}; {year}-{month:02}-{day:02}")
}

/// Year, month and day of a number of days after 1 January 1970.
fn date(mut days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_replaces_its_forerunner_alone() {
        let page = "# Benchmarks\n\nHello.\n\n## A\n\nold\nlines\n\n## B\n\nkept\n";
        let page = with_section(page, "A", "new\n");
        assert_eq!(
            page,
            "# Benchmarks\n\nHello.\n\n## A\n\nnew\n\n## B\n\nkept\n"
        );
        assert_eq!(with_section(&page, "A", "new"), page);
        let page = with_section(&page, "C", "last");
        assert!(page.ends_with("## B\n\nkept\n\n## C\n\nlast\n"), "{page}");
        assert!(with_section(&page, "B", "x").ends_with("## B\n\nx\n\n## C\n\nlast\n"));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(59), (1970, 3, 1));
        assert_eq!(date(11_016), (2000, 2, 29));
        assert_eq!(date(20_454), (2026, 1, 1));
    }
}
