//! Times as they are shown: local, to the second, with the zone's offset.

use filetime::FileTime;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A clock on the wall of some place.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Clock(TimeZone);

impl Clock {
    /// That of the user.
    pub(in crate::cli) fn local() -> Clock {
        Clock(TimeZone::system())
    }

    /// What it showed at this time.
    pub(in crate::cli) fn show(&self, time: FileTime) -> String {
        match Timestamp::from_second(time.unix_seconds()) {
            Ok(moment) => moment.to_zoned(self.0.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string(),
            // Longer ago, or later, than a calendar goes.
            Err(_) => format!("{} seconds since 1970", time.unix_seconds()),
        }
    }

    /// The same without its zone, as in a listing of files.
    pub(in crate::cli) fn show_short(&self, seconds: i64) -> String {
        match Timestamp::from_second(seconds) {
            Ok(moment) => moment.to_zoned(self.0.clone()).strftime("%Y/%m/%d %H:%M:%S").to_string(),
            Err(_) => format!("{seconds:>19}"),
        }
    }

    /// One at a fixed distance from UTC, in hours.
    #[cfg(test)]
    pub(in crate::cli) fn at(hours: i8) -> Clock {
        Clock(TimeZone::fixed(jiff::tz::offset(hours)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_local() {
        let time = FileTime::from_unix_time(1_795_339_201, 999_999_999);
        assert_eq!(Clock::at(0).show(time), "2026-11-22 09:20:01 +00:00");
        assert_eq!(Clock::at(-3).show(time), "2026-11-22 06:20:01 -03:00");
    }

    #[test]
    fn no_time_is_too_odd() {
        let show = |seconds| Clock::at(1).show(FileTime::from_unix_time(seconds, 0));
        assert_eq!(show(-1), "1970-01-01 00:59:59 +01:00");
        assert_eq!(show(i64::MAX), "9223372036854775807 seconds since 1970");
        assert_eq!(show(i64::MIN), "-9223372036854775808 seconds since 1970");
    }
}
