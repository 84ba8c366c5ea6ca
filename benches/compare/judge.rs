//! Holds results to their bounds.
//!
//! Bytes and memory do not depend on the machine, so a bound on them that is broken is a fault. Times do, so an aim
//! that is missed is only told.

use crate::compare::Row;
use crate::statistics::median_of;

/// What is at fault in one row, a sentence each.
pub(crate) fn broken(row: &Row) -> Vec<String> {
    let peaks = row.dsync.observation.peaks;
    let moved = row.dsync.observation.wire.total();
    let resident = [("local", peaks.local.sum), ("remote", peaks.remote.sum)];
    let wire = row.bounds.wire.filter(|bound| moved >= *bound);
    let wire =
        wire.map(|bound| format!("dsync moved {moved} bytes on the wire, which must be below {bound}"));
    let peak = row.bounds.peak;
    let too_much = resident.into_iter().filter(|(_, bytes)| *bytes >= peak).map(|(side, bytes)| {
        format!("dsync's {side} side had {bytes} bytes resident, which must be below {peak}")
    });
    wire.into_iter().chain(too_much).map(|what| told(row, &what)).collect()
}

/// Which aims one row misses, a sentence each.
pub(crate) fn below_the_aim(row: &Row) -> Vec<String> {
    let slow = row.bounds.least_ratio.filter(|least| row.ratio < *least);
    let slow = slow.map(|least| format!("{:.2} times faster than rsync, the aim is {least}", row.ratio));
    let crawling = row.bounds.least_speedup.zip(row.rival.as_ref());
    let crawling = crawling.filter(|(least, rival)| rival.speedup < *least).map(|(least, rival)| {
        format!("{:.2} times faster than with {}, the aim is {least}", rival.speedup, rival.way.name())
    });
    let took = median_of(&row.dsync.timings, |timing| timing.wall);
    let late = row.bounds.most_seconds.filter(|most| took > *most);
    let late = late.map(|most| format!("{took:.2} s, the aim is {most} s"));
    slow.into_iter().chain(crawling).chain(late).map(|what| told(row, &what)).collect()
}

fn told(row: &Row, what: &str) -> String {
    format!("{}, {}: {what}", row.case, row.mode.name())
}
