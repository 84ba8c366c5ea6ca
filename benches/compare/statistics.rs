//! The two numbers a series of pairs comes down to.

use crate::compare::Series;
use crate::measure::Timing;

/// The median of one measure of some runs; 0 of no runs.
pub(crate) fn median_of(timings: &[Timing], measure: fn(&Timing) -> f64) -> f64 {
    median(timings.iter().map(measure).collect())
}

/// The median of the pairs' ratios of wall time, the first's to the second's: how many times faster the second is. Each
/// run is compared with its neighbour in time only, so that a machine that slows down half-way does not favour either.
pub(crate) fn paired_ratio(first: &Series, second: &Series) -> f64 {
    let pairs = first.timings.iter().zip(&second.timings);
    median(pairs.map(|(first, second)| first.wall / second.wall).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(0.0);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { at(middle) } else { (at(middle.saturating_sub(1)) + at(middle)) / 2.0 }
}
