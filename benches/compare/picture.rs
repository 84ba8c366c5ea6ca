//! The result as a picture: for each case a bar for rsync, for dsync and for the limit.
//!
//! It is SVG written by hand and its colours follow the reader's light or dark theme. Times of one case span from a
//! tenth of a second to ten, so each case has a scale of its own: the length of a bar is the time relative to the
//! case's longest.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use crate::compare::Row;
use crate::failure::{Doing, Failure};
use crate::measure::Timing;
use crate::report::Report;
use crate::statistics::median_of;

const WIDTH: u32 = 860;
/// Where the bars begin; the names of the cases are before.
const BARS_LEFT: u32 = 350;
/// Length of a case's longest bar; the seconds are after it.
const LONGEST: u32 = 350;
const BAR: u32 = 11;
const BAR_STEP: u32 = 13;
/// Between two cases.
const GAP: u32 = 11;
const LEFT: u32 = 10;
const HEAD: u32 = 62;
const FOOT_LINE: u32 = 14;

const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: 600 }
.small { font-size: 10px; fill: #59636e }
.rsync { fill: #9aa4b0 }
.dsync { fill: #1a7f5a }
.limit { fill: #d9a441 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .small { fill: #9198a1 }
  .rsync { fill: #6b7683 }
  .dsync { fill: #3fb68b }
  .limit { fill: #b98526 }
}";

/// Draws the report to `path`.
pub(crate) fn write(report: &Report, path: &Path) -> Result<(), Failure> {
    let doing = || format!("Writing {}", path.display());
    let text = drawn(report).doing(doing)?;
    fs::write(path, text).doing(doing)
}

fn drawn(report: &Report) -> Result<String, fmt::Error> {
    let mut body = String::new();
    let mut y = HEAD;
    for row in &report.rows {
        y = case(&mut body, row, y)? + GAP;
    }
    for line in feet(report) {
        y += FOOT_LINE;
        label(&mut body, ("small", "start"), LEFT, y, &line)?;
    }
    let mut svg = String::new();
    let height = y + FOOT_LINE;
    writeln!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">"#
    )?;
    writeln!(svg, "<title>Times of dsync, of rsync and of the limit</title>\n<style>\n{STYLE}\n</style>")?;
    head(&mut svg)?;
    writeln!(svg, "{body}</svg>")?;
    Ok(svg)
}

/// What is below the bars: machine, date and how it was measured.
fn feet(report: &Report) -> Vec<String> {
    let machine = &report.machine;
    let mut lines = vec![
        format!("{}; {} UTC", machine.host, machine.date),
        format!("{}; {}", machine.dsync, machine.rsync),
        format!("{}; trees in {}", machine.ssh, machine.trees),
    ];
    lines.extend(report.method.iter().cloned());
    lines
}

/// The title and what the colours mean.
fn head(svg: &mut String) -> fmt::Result {
    label(svg, ("title", "start"), LEFT, 24, "Time of each case, on its own scale: shorter is better")?;
    let meanings =
        [("rsync", "rsync"), ("dsync", "dsync"), ("limit", "limit: cat | ssh, tar | ssh, cp or find")];
    for ((class, meaning), x) in meanings.into_iter().zip([BARS_LEFT, BARS_LEFT + 75, BARS_LEFT + 150]) {
        writeln!(svg, r#"<rect class="{class}" x="{x}" y="36" width="{BAR}" height="{BAR}" rx="2"/>"#)?;
        label(svg, ("", "start"), x + BAR + 5, 46, meaning)?;
    }
    Ok(())
}

/// Draws one case from `top` on, and tells where it ends.
fn case(svg: &mut String, row: &Row, top: u32) -> Result<u32, fmt::Error> {
    let wall = |timings: &[Timing]| median_of(timings, |timing| timing.wall);
    let mut bars = vec![("rsync", wall(&row.rsync.timings)), ("dsync", wall(&row.dsync.timings))];
    bars.extend(row.limit.as_ref().map(|limit| ("limit", wall(&limit.timings))));
    let longest = bars.iter().map(|(_, seconds)| *seconds).fold(f64::MIN_POSITIVE, f64::max);
    let name = format!("{}, {}", row.case, row.mode.name());
    label(svg, ("", "end"), BARS_LEFT - 10, top + BAR_STEP + 4, &name)?;
    let mut y = top;
    for (class, seconds) in bars {
        let length = seconds / longest * f64::from(LONGEST);
        writeln!(
            svg,
            r#"<rect class="{class}" x="{BARS_LEFT}" y="{y}" width="{length:.1}" height="{BAR}" rx="2"/>"#
        )?;
        let times =
            if class == "dsync" { format!(" ({:.1} times faster)", row.ratio) } else { String::new() };
        let after = BARS_LEFT + length.ceil() as u32 + 6;
        label(svg, ("small", "start"), after, y + 9, &format!("{seconds:.2} s{times}"))?;
        y += BAR_STEP;
    }
    Ok(y)
}

fn label(svg: &mut String, (class, anchor): (&str, &str), x: u32, y: u32, text: &str) -> fmt::Result {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    writeln!(svg, r#"<text class="{class}" text-anchor="{anchor}" x="{x}" y="{y}">{text}</text>"#)
}
