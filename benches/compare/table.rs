//! The result as a Markdown table: every column for the terminal, those a reader wants for a file.

use std::fs;
use std::path::Path;

use crate::cases::Mode;
use crate::compare::{Row, Series};
use crate::failure::{Doing, Failure};
use crate::measure::{Observation, Timing};
use crate::peaks::Peak;
use crate::report::Report;
use crate::statistics::median_of;

/// The lines between which a file's table is.
const BEGIN: &str = "<!-- written by benches/compare -->";
const END: &str = "<!-- end of what benches/compare wrote -->";

/// What the columns mean.
pub(crate) const MEANING: &str = "\
Medians of wall time in seconds; the ratio is the median of the pairs' rsync/dsync: above 1 dsync is faster; the aim is
its least value, or dsync's most seconds. Other way: dsync without --streams, or with -e ssh, and how many times slower.
The limit moves the same bytes, or looks at the same files, and decides nothing. CPU: user and system, both sides, ssh
and sshd included; in brackets, of the local side. Wire: bytes on the TCP connection, both directions.
Peak: resident MB of the largest process, local / remote, ssh and sshd not included; in brackets the sum if a side has
several. Wire and peak are from a run of their own through a proxy.";

/// One column.
struct Column {
    head: &'static str,
    /// Whether it is words; numbers go to the right.
    words: bool,
    /// Whether files have it, not the terminal alone.
    in_files: bool,
    cell: fn(&Row) -> String,
}

/// Who the table is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    Terminal,
    File,
}

const WORDS: Column = Column { head: "", words: true, in_files: true, cell: |_| String::new() };
const NUMBER: Column = Column { words: false, ..WORDS };
const DETAIL: Column = Column { in_files: false, ..NUMBER };

const COLUMNS: &[Column] = &[
    Column { head: "case", cell: |row| row.case.clone(), ..WORDS },
    Column { head: "mode", cell: |row| row.mode.name().to_owned(), ..WORDS },
    Column { head: "rsync s", cell: |row| wall(&row.rsync), ..NUMBER },
    Column { head: "dsync s", cell: |row| wall(&row.dsync), ..NUMBER },
    Column { head: "other way s", cell: rival, ..DETAIL },
    Column { head: "ratio", cell: |row| format!("{:.2}", row.ratio), ..NUMBER },
    Column { head: "aim", cell: aim, ..DETAIL },
    Column { head: "limit s", cell: limit, ..NUMBER },
    Column { head: "CPU s rsync", cell: |row| cpu(&row.rsync), ..DETAIL },
    Column { head: "CPU s dsync", cell: |row| cpu(&row.dsync), ..DETAIL },
    Column { head: "wire rsync", cell: |row| wire(row.mode, &row.rsync.observation), ..NUMBER },
    Column { head: "wire dsync", cell: |row| wire(row.mode, &row.dsync.observation), ..NUMBER },
    Column { head: "peak rsync", cell: |row| peaks(row.mode, &row.rsync.observation), ..DETAIL },
    Column { head: "peak dsync", cell: |row| peaks(row.mode, &row.dsync.observation), ..NUMBER },
];

/// The head of the table.
pub(crate) fn head(reader: Reader) -> String {
    let heads: Vec<&str> = columns(reader).map(|column| column.head).collect();
    let rules: Vec<&str> = columns(reader).map(|column| if column.words { "---" } else { "--:" }).collect();
    format!("| {} |\n|{}|", heads.join(" | "), rules.join("|"))
}

/// One line of the table.
pub(crate) fn line(row: &Row, reader: Reader) -> String {
    let cells: Vec<String> = columns(reader).map(|column| (column.cell)(row)).collect();
    format!("| {} |", cells.join(" | "))
}

/// Writes the table with its machine to `path`: a new file, or between the two marking lines of one that is there.
pub(crate) fn write(report: &Report, path: &Path) -> Result<(), Failure> {
    let (before, after) = around(path)?;
    let lines: Vec<String> = report.rows.iter().map(|row| line(row, Reader::File)).collect();
    let table = format!("{}\n{}", head(Reader::File), lines.join("\n"));
    let (machine, method) = (report.machine.line(), report.method.join("; "));
    fs::write(path, format!("{before}{BEGIN}\n\n{table}\n\n{machine}. {method}.\n\n{END}{after}"))
        .doing(|| format!("Writing {}", path.display()))
}

/// What of a file stays before and after the table.
fn around(path: &Path) -> Result<(String, String), Failure> {
    if !path.exists() {
        return Ok((String::new(), "\n".to_owned()));
    }
    let text = fs::read_to_string(path).doing(|| format!("Reading {}", path.display()))?;
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| {
        Failure::new(format!("{} is there and lacks the lines {BEGIN} and {END}", path.display()))
    })?;
    Ok((before.to_owned(), after.to_owned()))
}

fn columns(reader: Reader) -> impl Iterator<Item = &'static Column> {
    COLUMNS.iter().filter(move |column| column.in_files || reader == Reader::Terminal)
}

fn wall(series: &Series) -> String {
    format!("{:.2}", median_of(&series.timings, |timing| timing.wall))
}

fn rival(row: &Row) -> String {
    let Some(rival) = &row.rival else { return "-".to_owned() };
    let (wall, local) = (
        median_of(&rival.timings, |timing| timing.wall),
        median_of(&rival.timings, |timing| timing.local_cpu),
    );
    format!("{wall:.2} ({}, {:.2} times, {local:.2} CPU s here)", rival.way.name(), rival.speedup)
}

fn cpu(series: &Series) -> String {
    let of = |part: fn(&Timing) -> f64| median_of(&series.timings, part);
    format!("{:.2} ({:.2})", of(|timing| timing.cpu), of(|timing| timing.local_cpu))
}

fn aim(row: &Row) -> String {
    match (row.bounds.least_ratio, row.bounds.most_seconds) {
        (Some(ratio), _) => ratio.to_string(),
        (None, Some(seconds)) => format!("{seconds} s"),
        (None, None) => "-".to_owned(),
    }
}

fn limit(row: &Row) -> String {
    row.limit.as_ref().map_or_else(
        || "-".to_owned(),
        |limit| format!("{:.2} ({})", median_of(&limit.timings, |timing| timing.wall), limit.name),
    )
}

fn wire(mode: Mode, observation: &Observation) -> String {
    if mode == Mode::Local { "-".to_owned() } else { grouped(observation.wire.total()) }
}

fn peaks(mode: Mode, observation: &Observation) -> String {
    let local = megabytes(observation.peaks.local);
    if mode == Mode::Local { local } else { format!("{local} / {}", megabytes(observation.peaks.remote)) }
}

fn megabytes(peak: Peak) -> String {
    let largest = format!("{:.1}", peak.largest as f64 / 1e6);
    if peak.sum == peak.largest { largest } else { format!("{largest} ({:.1})", peak.sum as f64 / 1e6) }
}

/// A number with its digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
