//! The result with every single run, for `--json`.
//!
//! Strings are the harness's own or versions and paths in ASCII, so quoting is all the escaping there is.

use std::time::Duration;

use crate::compare::{Row, Series};
use crate::measure::Timing;
use crate::peaks::Peak;
use crate::statistics::paired_ratio;

/// The whole result as one JSON object. Times are in seconds, in the order of the runs; sizes in bytes.
pub(crate) fn document(facts: &[String], rows: &[Row]) -> String {
    let facts: Vec<String> = facts.iter().map(|fact| quoted(fact)).collect();
    let rows: Vec<String> = rows.iter().map(object).collect();
    format!("{{\"machine\":[{}],\n\"rows\":[\n{}\n]}}\n", facts.join(","), rows.join(",\n"))
}

fn object(row: &Row) -> String {
    let limit = row.limit.as_ref().map_or_else(
        || "null".to_owned(),
        |(name, timings)| {
            format!("{{\"name\":{},\"wall\":{}}}", quoted(name), list(timings, |timing| timing.wall))
        },
    );
    format!(
        "{{\"case\":{},\"mode\":{},\"ratio\":{:.4},\"rsync\":{},\"dsync\":{},\"limit\":{limit}}}",
        quoted(row.case.name),
        quoted(row.mode.name()),
        paired_ratio(&row.rsync, &row.dsync),
        series(&row.rsync),
        series(&row.dsync),
    )
}

fn series(series: &Series) -> String {
    let observation = series.observation;
    format!(
        "{{\"wall\":{},\"cpu\":{},\"up\":{},\"down\":{},\"local_peak\":{},\"remote_peak\":{}}}",
        list(&series.timings, |timing| timing.wall),
        list(&series.timings, |timing| timing.cpu),
        observation.wire.up,
        observation.wire.down,
        peak(observation.peaks.local),
        peak(observation.peaks.remote),
    )
}

fn peak(peak: Peak) -> String {
    format!("{{\"largest\":{},\"sum\":{}}}", peak.largest, peak.sum)
}

fn list(timings: &[Timing], measure: fn(&Timing) -> Duration) -> String {
    let seconds: Vec<String> =
        timings.iter().map(|timing| format!("{:.4}", measure(timing).as_secs_f64())).collect();
    format!("[{}]", seconds.join(","))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
