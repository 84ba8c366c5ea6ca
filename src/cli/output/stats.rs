//! The numbers at the end of a run, line by line with rsync's names, which scripts look for.

use crate::cli::output::size::Numbers;
use crate::report::Counts;
use crate::session::{Compressed, Outcome};
use std::fmt::Write;
use std::time::Duration;

/// The table of `--stats`, after an empty line. Of a two-way run, what was `planned` takes the place of what one
/// direction lists, makes and deletes.
pub(super) fn table(outcome: &Outcome, planned: Option<&[(String, String)]>, numbers: Numbers) -> String {
    let totals = &outcome.totals;
    let bytes = |number| format!("{} bytes", numbers.bytes(number));
    let seconds = |time: Duration| format!("{} seconds", numbers.fraction(time.as_secs_f64(), 3));
    let mut lines = Vec::new();
    match planned {
        Some(planned) => lines.extend(planned.iter().map(|(name, value)| (name.as_str(), value.clone()))),
        None => lines.extend([
            ("Number of files", counts(&totals.listed, numbers)),
            ("Number of created files", counts(&totals.created, numbers)),
            ("Number of deleted files", counts(&totals.deleted, numbers)),
        ]),
    }
    lines.push(("Number of regular files transferred", numbers.count(totals.transferred)));
    lines.extend(planned.is_none().then(|| ("Total file size", bytes(totals.total_size))));
    lines.extend([
        ("Total transferred file size", bytes(totals.transferred_size)),
        ("Literal data", bytes(totals.literal)),
        ("Matched data", bytes(totals.matched)),
    ]);
    let compressed = |Compressed { from, to }| format!("{} to {}", bytes(from), bytes(to));
    lines.extend(outcome.compressed.map(|content| ("Compressed data", compressed(content))));
    if planned.is_none() {
        lines.extend([
            ("File list size", numbers.bytes(outcome.listed)),
            ("File list generation time", seconds(Duration::from_millis(totals.listing_millis))),
            // Lists travel while they are made and while files do; they have no time of their own.
            ("File list transfer time", seconds(Duration::ZERO)),
        ]);
    }
    // What is counted above is what the last attempt did, which began where the others were.
    lines.extend((outcome.retries > 0).then(|| ("Times the line broke", outcome.retries.to_string())));
    lines.extend(outcome.connecting.map(|time| ("Connection time", seconds(time))));
    lines.extend([
        ("Total run time", seconds(outcome.elapsed)),
        ("Total bytes sent", numbers.bytes(outcome.sent)),
        ("Total bytes received", numbers.bytes(outcome.received)),
    ]);
    lines.iter().fold(String::from("\n"), |mut text, (name, value)| {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push('\n');
        text
    })
}

/// The last two lines of `-v`, after an empty line. A two-way run speaks of no total: it compares what changed.
pub(super) fn summary(outcome: &Outcome, numbers: Numbers, dry_run: bool) -> String {
    let moved = outcome.sent.saturating_add(outcome.received) as f64;
    let size = outcome.totals.total_size;
    // Half a second is added, as rsync does, so that the shortest runs do not claim absurd rates.
    let rate = moved / (outcome.elapsed.as_secs_f64() + 0.5);
    let speedup = size as f64 / moved.max(1.0);
    let mut text = String::from("\n");
    let dry_run = if dry_run { " (DRY RUN)" } else { "" };
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "sent {} bytes  received {} bytes  {} bytes/sec",
        numbers.bytes(outcome.sent),
        numbers.bytes(outcome.received),
        numbers.bytes_with_fraction(rate, 2),
    );
    let _ = match outcome.two_way {
        Some(_) => writeln!(text, "{dry_run}"),
        None => writeln!(
            text,
            "\ntotal size is {}  speedup is {}{dry_run}",
            numbers.bytes(size),
            numbers.fraction(speedup, 2),
        ),
    };
    text
}

/// The last line of a log whose run shows no numbers.
pub(super) fn log_line(outcome: &Outcome) -> String {
    let Outcome { sent, received, totals, .. } = outcome;
    format!("sent {sent} bytes  received {received} bytes  total size {}\n", totals.total_size)
}

/// A total, and in parentheses the kinds that occur.
fn counts(counts: &Counts, numbers: Numbers) -> String {
    let kinds = [
        ("reg", counts.files),
        ("dir", counts.directories),
        ("link", counts.symlinks),
        ("dev", counts.devices),
        ("special", counts.specials),
    ];
    let parts: Vec<String> = kinds
        .iter()
        .filter(|(_, number)| *number > 0)
        .map(|(name, number)| format!("{name}: {}", numbers.count(*number)))
        .collect();
    let total = numbers.count(counts.total());
    if parts.is_empty() { total } else { format!("{total} ({})", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Totals;

    fn outcome() -> Outcome {
        let listed = Counts { files: 1200, directories: 30, symlinks: 4, devices: 0, specials: 1 };
        let totals = Totals {
            listed,
            total_size: 5_000_000,
            created: Counts { files: 3, ..Counts::default() },
            transferred: 7,
            transferred_size: 70_000,
            literal: 20_000,
            matched: 50_000,
            listing_millis: 12,
            ..Totals::default()
        };
        Outcome {
            totals,
            sent: 24_000,
            received: 1_000,
            listed: 4_096,
            compressed: Some(Compressed { from: 18_000, to: 7_000 }),
            elapsed: Duration::from_millis(2_000),
            connecting: Some(Duration::from_millis(30)),
            retries: 0,
            two_way: None,
        }
    }

    #[test]
    fn the_table_has_the_names_of_rsync() {
        let expected = "
Number of files: 1,235 (reg: 1,200, dir: 30, link: 4, special: 1)
Number of created files: 3 (reg: 3)
Number of deleted files: 0
Number of regular files transferred: 7
Total file size: 5,000,000 bytes
Total transferred file size: 70,000 bytes
Literal data: 20,000 bytes
Matched data: 50,000 bytes
Compressed data: 18,000 bytes to 7,000 bytes
File list size: 4,096
File list generation time: 0.012 seconds
File list transfer time: 0.000 seconds
Connection time: 0.030 seconds
Total run time: 2.000 seconds
Total bytes sent: 24,000
Total bytes received: 1,000
";
        assert_eq!(table(&outcome(), None, Numbers::new(1)), expected);
    }

    #[test]
    fn without_a_peer_nothing_is_said_of_one() {
        let local =
            table(&Outcome { connecting: None, compressed: None, ..outcome() }, None, Numbers::new(1));
        assert!(!local.contains("Connection") && !local.contains("Compressed"), "{local}");
        assert!(local.contains("Total run time"), "{local}");
    }

    #[test]
    fn the_summary_at_each_level() {
        for (level, dry_run, expected) in [
            (
                1,
                false,
                "\nsent 24,000 bytes  received 1,000 bytes  10,000.00 bytes/sec\n\
                 total size is 5,000,000  speedup is 200.00\n",
            ),
            (
                2,
                true,
                "\nsent 24.00K bytes  received 1.00K bytes  10.00K bytes/sec\n\
                 total size is 5.00M  speedup is 200.00 (DRY RUN)\n",
            ),
            (
                0,
                false,
                "\nsent 24000 bytes  received 1000 bytes  10000.00 bytes/sec\n\
                 total size is 5000000  speedup is 200.00\n",
            ),
        ] {
            assert_eq!(summary(&outcome(), Numbers::new(level), dry_run), expected);
        }
    }

    #[test]
    fn a_run_that_moved_nothing_divides_by_nothing() {
        let nothing = Outcome {
            totals: Totals::default(),
            sent: 0,
            received: 0,
            listed: 0,
            compressed: None,
            elapsed: Duration::ZERO,
            connecting: None,
            retries: 0,
            two_way: None,
        };
        let expected = "\nsent 0 bytes  received 0 bytes  0.00 bytes/sec\ntotal size is 0  speedup is 0.00\n";
        assert_eq!(summary(&nothing, Numbers::new(1), false), expected);
    }
}
