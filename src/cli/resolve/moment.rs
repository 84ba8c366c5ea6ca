//! When a run is to stop (`--stop-after`, `--stop-at`).
//!
//! A time is written as `[[[year-]month-]day][Thour[:minute]]` or `[hour]:minute`; slashes do as well as dashes. What
//! is left out before what is given is the next that fits; what is left out after it is the earliest.

use crate::cli::failure::Failure;
use crate::cli::flags::Flags;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use std::time::{Duration, SystemTime};

/// When the run ends at the latest, if it is to.
pub(super) fn end(flags: &Flags) -> Result<Option<SystemTime>, Failure> {
    let far = |what: &str| Failure::usage(format!("{what} is too far away"));
    match (flags.stop_after, flags.stop_at.as_deref()) {
        (_, Some(text)) => {
            let now = Zoned::now();
            let moment = next(text, now.datetime()).ok_or_else(|| {
                Failure::usage(format!("--stop-at: {text:?} is no time"))
                    .with_hint("Times are like 14:00, :30, 31T14:00, 12-24 or 2030-12-24T14:00.")
            })?;
            let zoned = moment.to_zoned(TimeZone::system()).map_err(|_| far("--stop-at"))?;
            if zoned <= now {
                return Err(Failure::usage(format!("--stop-at: {text} is not in the future")));
            }
            Ok(Some(SystemTime::from(zoned.timestamp())))
        }
        (Some(0), None) => Err(Failure::usage("--stop-after: 0 minutes are over at once")),
        (Some(minutes), None) => {
            let end = SystemTime::now().checked_add(Duration::from_secs(u64::from(minutes) * 60));
            end.map(Some).ok_or_else(|| far("--stop-after"))
        }
        (None, None) => Ok(None),
    }
}

/// What is said of a time.
#[derive(Debug, Default)]
struct Said {
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    hour: Option<i8>,
    minute: Option<i8>,
}

/// The next moment after `now` that a text names; that itself, if it names the year. `None` if it is no time, or there
/// is no such.
fn next(text: &str, now: DateTime) -> Option<DateTime> {
    let said = said(text)?;
    let minute = said.minute.unwrap_or(0);
    let at =
        |date: Date, hour: i8| DateTime::new(date.year(), date.month(), date.day(), hour, minute, 0, 0).ok();
    let later = |moment: &DateTime| *moment > now;
    match (said.year, said.month, said.day, said.hour) {
        (Some(year), Some(month), Some(day), hour) => {
            at(Date::new(year, month, day).ok()?, hour.unwrap_or(0))
        }
        (None, Some(month), Some(day), hour) => (0..=8).find_map(|years| {
            let date = Date::new(now.year().checked_add(years)?, month, day).ok()?;
            at(date, hour.unwrap_or(0)).filter(later)
        }),
        (None, None, Some(day), hour) => (0..=48).find_map(|months| {
            let first = now.date().first_of_month().checked_add(months.months()).ok()?;
            let date = Date::new(first.year(), first.month(), day).ok()?;
            at(date, hour.unwrap_or(0)).filter(later)
        }),
        (None, None, None, Some(hour)) => (0..=1).find_map(|days| {
            let date = now.date().checked_add(days.days()).ok()?;
            at(date, hour).filter(later)
        }),
        (None, None, None, None) => (0..=1).find_map(|hours| {
            let moment = now.checked_add(hours.hours()).ok()?;
            at(moment.date(), moment.hour()).filter(later)
        }),
        _ => None,
    }
}

fn said(text: &str) -> Option<Said> {
    if text.is_empty() {
        return None;
    }
    let (date, time) = match text.split_once(['T', 't']) {
        Some((date, time)) => (date, Some(time)),
        None if text.contains(':') => ("", Some(text)),
        None => (text, None),
    };
    let mut said = Said::default();
    if !date.is_empty() {
        let mut parts = date.rsplit(['-', '/']);
        said.day = Some(number(parts.next()?, 1..=31)?);
        said.month =
            parts.next().map(|month| number(month, 1..=12)).map_or(Some(None), |month| month.map(Some))?;
        said.year = match parts.next() {
            None => None,
            Some(year) => {
                let year: i16 = number(year, 0..=9999)?;
                Some(if year < 100 { year.checked_add(2000)? } else { year })
            }
        };
        if parts.next().is_some() {
            return None;
        }
    }
    if let Some(time) = time {
        let (hour, minute) = match time.split_once(':') {
            Some((hour, minute)) => (hour, Some(minute)),
            None => (time, None),
        };
        if !hour.is_empty() {
            said.hour = Some(number(hour, 0..=23)?);
        }
        if let Some(minute) = minute {
            said.minute = Some(number(minute, 0..=59)?);
        }
        // A minute by itself is written with a colon alone.
        if said.hour.is_none() && (said.minute.is_none() || text.contains(['T', 't'])) {
            return None;
        }
    }
    Some(said)
}

/// A number of digits alone.
fn number<T: std::str::FromStr + PartialOrd>(text: &str, range: std::ops::RangeInclusive<T>) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?.filter(|number| range.contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str, now: &str) -> String {
        next(text, now.parse().unwrap())
            .map_or("none".to_owned(), |moment| moment.strftime("%F %R").to_string())
    }

    #[test]
    fn what_is_left_out_is_the_next_that_fits() {
        for (text, now, expected) in [
            ("2031-02-03T04:05", "2026-11-22T13:00", "2031-02-03 04:05"),
            ("31/02/03T4:5", "2026-11-22T13:00", "2031-02-03 04:05"),
            ("2020-01-01T00:00", "2026-11-22T13:00", "2020-01-01 00:00"),
            ("1-30", "2026-11-22T13:00", "2027-01-30 00:00"),
            ("11-22", "2026-11-22T13:00", "2027-11-22 00:00"),
            ("11-22T14", "2026-11-22T13:00", "2026-11-22 14:00"),
            ("2-29", "2026-11-22T13:00", "2028-02-29 00:00"),
            ("1", "2026-11-22T13:00", "2026-12-01 00:00"),
            ("31", "2026-11-22T13:00", "2026-12-31 00:00"),
            ("22T13:01", "2026-11-22T13:00", "2026-11-22 13:01"),
            ("14:00", "2026-11-22T13:00", "2026-11-22 14:00"),
            ("T14", "2026-11-22T13:00", "2026-11-22 14:00"),
            ("13:00", "2026-11-22T13:00", "2026-11-23 13:00"),
            (":59", "2026-11-22T13:00", "2026-11-22 13:59"),
            (":00", "2026-12-31T23:30", "2027-01-01 00:00"),
        ] {
            assert_eq!(after(text, now), expected, "{text} {now}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "", "x", "25:00", "12:60", "13-1", "32", "2-30", "1-2-3-4", "T", "1T", "T:30", "5T:30", "+1:00",
            "-1",
        ] {
            assert_eq!(after(text, "2026-11-22T13:00"), "none", "{text}");
        }
    }
}
