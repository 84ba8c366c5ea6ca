//! The result as a Markdown table.

use crate::cases::Mode;
use crate::compare::{Row, Series};
use crate::measure::Observation;
use crate::peaks::Peak;
use crate::statistics::{paired_ratio, seconds};

/// The head of the table and what its columns mean.
pub(crate) const HEAD: &str = "\
Medians; the ratio is the median of the pairs' dsync/rsync, below 1 dsync is faster. CPU: user and system, both
sides, ssh and sshd included. Wire: bytes on the TCP connection, both directions. Peak: resident MB of the largest
process, local / remote, ssh and sshd not included; in brackets the sum if a side has several. Wire and peak
are from a run of their own through a counting proxy.

| case | mode | rsync s | dsync s | ratio | limit s | CPU s rsync | CPU s dsync | wire rsync | wire dsync | peak rsync | peak dsync |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

/// One line of the table.
pub(crate) fn line(row: &Row) -> String {
    let wall = |series: &Series| format!("{:.2}", seconds(&series.timings, |timing| timing.wall));
    let cpu = |series: &Series| format!("{:.2}", seconds(&series.timings, |timing| timing.cpu));
    let limit = row.limit.as_ref().map_or_else(
        || "-".to_owned(),
        |(name, timings)| format!("{:.2} ({name})", seconds(timings, |timing| timing.wall)),
    );
    let cells = [
        row.case.name.to_owned(),
        row.mode.name().to_owned(),
        wall(&row.rsync),
        wall(&row.dsync),
        format!("{:.2}", paired_ratio(&row.rsync, &row.dsync)),
        limit,
        cpu(&row.rsync),
        cpu(&row.dsync),
        wire(row.mode, &row.rsync.observation),
        wire(row.mode, &row.dsync.observation),
        peaks(row.mode, &row.rsync.observation),
        peaks(row.mode, &row.dsync.observation),
    ];
    format!("| {} |", cells.join(" | "))
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
