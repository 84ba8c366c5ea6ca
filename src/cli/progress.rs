//! The progress bar: one calm line for the whole run, at the bottom of the terminal; or lines of JSON.
//!
//! It is about the run, not about a file: bytes and files settled, of all that were found. While the source is still
//! being counted it says so and shows no percentage, because there is none to show; once the totals are known the
//! percentage only grows, and it is 100 when the run is over, not before.

use crate::cli::output::size::Numbers;
use crate::cli::output::{Screen, json};
use crate::report::{Progress, ProgressReading};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Steps a second: enough to look alive, few enough to be read.
const STEPS_PER_SECOND: u8 = 8;

/// How far back the rate looks, in seconds: the weight of a moment falls to a third in that time.
const RATE_MEMORY: f64 = 4.0;

/// Cells of the drawn bar.
const CELLS: u64 = 10;

/// What shows how far a run is, and the thread that keeps it moving.
pub(super) enum Bar {
    /// A bar on the screen.
    Drawn {
        bar: ProgressBar,
        screen: Arc<Screen>,
        progress: Arc<Progress>,
        stop: Sender<()>,
        thread: JoinHandle<Meter>,
        start: Instant,
    },
    /// Lines of JSON.
    Lines { screen: Arc<Screen>, progress: Arc<Progress>, stop: Sender<()>, thread: JoinHandle<()> },
}

impl Bar {
    /// Puts up a bar that shows `progress` until it is finished. The caller has made sure that standard error is a
    /// terminal.
    pub(super) fn start(progress: &Arc<Progress>, screen: &Arc<Screen>, numbers: Numbers) -> io::Result<Bar> {
        let target = ProgressDrawTarget::stderr_with_hz(STEPS_PER_SECOND);
        let bar = ProgressBar::with_draw_target(None, target);
        // A template that were wrong would leave indicatif's own, which is no reason to fail.
        if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
            bar.set_style(style);
        }
        screen.set_bar(Some(bar.clone()));
        let (stop, stopped) = mpsc::channel();
        let start = Instant::now();
        let step = Duration::from_secs(1) / u32::from(STEPS_PER_SECOND);
        let parts = (bar.clone(), Arc::clone(screen), Arc::clone(progress));
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(move || {
            let (bar, screen, progress) = parts;
            let mut meter = Meter::new(numbers);
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(step) {
                screen.flush();
                bar.set_message(meter.step(&progress.read(), start.elapsed()));
            }
            meter
        });
        match thread {
            Ok(thread) => {
                let (screen, progress) = (Arc::clone(screen), Arc::clone(progress));
                Ok(Bar::Drawn { bar, screen, progress, stop, thread, start })
            }
            Err(error) => {
                screen.set_bar(None);
                Err(error)
            }
        }
    }

    /// Writes a line of JSON every second that shows `progress`, until it is finished.
    pub(super) fn lines(progress: &Arc<Progress>, screen: &Arc<Screen>) -> io::Result<Bar> {
        let (stop, stopped) = mpsc::channel();
        let parts = (Arc::clone(screen), Arc::clone(progress));
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(move || {
            let (screen, progress) = parts;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(Duration::from_secs(1)) {
                screen.out(&json::progress(&progress.read()));
                screen.flush();
            }
        })?;
        Ok(Bar::Lines { screen: Arc::clone(screen), progress: Arc::clone(progress), stop, thread })
    }

    /// Takes the bar down. Of a run that came to its end, the last line stays.
    pub(super) fn finish(self, complete: bool) {
        match self {
            Bar::Drawn { bar, screen, progress, stop, thread, start } => {
                drop(stop);
                let meter = thread.join();
                screen.flush();
                bar.finish_and_clear();
                screen.set_bar(None);
                if let (Ok(meter), true) = (meter, complete) {
                    screen.err(&(meter.last(&progress.read(), start.elapsed()) + "\n"));
                }
            }
            Bar::Lines { screen, progress, stop, thread } => {
                drop(stop);
                // A thread that failed has nothing to add.
                let _ = thread.join();
                screen.out(&json::progress(&progress.read()));
            }
        }
    }
}

/// Turns readings into lines.
pub(super) struct Meter {
    numbers: Numbers,
    /// Bytes a second, smoothed. `None` until two readings were taken.
    rate: Option<f64>,
    before: Option<(Duration, u64)>,
    percent: u64,
}

impl Meter {
    fn new(numbers: Numbers) -> Meter {
        Meter { numbers, rate: None, before: None, percent: 0 }
    }

    /// The line for a reading taken `elapsed` after the start.
    fn step(&mut self, reading: &ProgressReading, elapsed: Duration) -> String {
        self.learn_rate(reading.done_bytes, elapsed);
        let bytes = self.numbers.bytes(reading.done_bytes.min(reading.total_bytes));
        let of_bytes = self.numbers.bytes(reading.total_bytes);
        let files = self.numbers.count(reading.done_files.min(reading.total_files));
        let of_files = self.numbers.count(reading.total_files);
        let rate = self.numbers.bytes(self.rate.unwrap_or_default() as u64);
        if !reading.total_known {
            let time = clock(elapsed);
            return format!(
                "counting  {bytes} of {of_bytes} so far  {files}/{of_files} files  {rate}/s  {time}"
            );
        }
        self.percent = self.percent.max(percent(reading)).min(99);
        let drawn = drawn(self.percent);
        let left = self.left(reading).map_or_else(|| "-:--:--".to_owned(), clock);
        format!(
            "{:>3}% {drawn}  {bytes}/{of_bytes}  {files}/{of_files} files  {rate}/s  {left} left",
            self.percent
        )
    }

    /// The line that stays when the run is over.
    fn last(&self, reading: &ProgressReading, elapsed: Duration) -> String {
        let bytes = self.numbers.bytes(reading.done_bytes);
        let files = self.numbers.count(reading.done_files);
        let seconds = elapsed.as_secs_f64().max(0.001);
        let rate = self.numbers.bytes((reading.done_bytes as f64 / seconds) as u64);
        format!("100% {}  {bytes}  {files} files  {rate}/s  {}", drawn(100), clock(elapsed))
    }

    fn learn_rate(&mut self, done: u64, elapsed: Duration) {
        if let Some((time, bytes)) = self.before {
            let seconds = elapsed.saturating_sub(time).as_secs_f64();
            if seconds <= 0.0 {
                return;
            }
            let now = done.saturating_sub(bytes) as f64 / seconds;
            let keep = (-seconds / RATE_MEMORY).exp();
            self.rate = Some(self.rate.map_or(now, |rate| rate * keep + now * (1.0 - keep)));
        }
        self.before = Some((elapsed, done));
    }

    /// The time left at the present rate, if there is one to go by.
    fn left(&self, reading: &ProgressReading) -> Option<Duration> {
        let rate = self.rate.filter(|rate| *rate >= 1.0)?;
        let bytes = reading.total_bytes.saturating_sub(reading.done_bytes) as f64;
        let longest = Duration::from_secs(100 * 3600);
        Duration::try_from_secs_f64(bytes / rate).ok().filter(|left| *left < longest)
    }
}

/// How much of the totals is done, rounded down. By files if there are no bytes.
fn percent(reading: &ProgressReading) -> u64 {
    let share = |done: u64, total: u64| {
        let percent = u128::from(done).saturating_mul(100).checked_div(u128::from(total));
        percent.and_then(|percent| u64::try_from(percent).ok())
    };
    let of_bytes = share(reading.done_bytes, reading.total_bytes);
    of_bytes.or_else(|| share(reading.done_files, reading.total_files)).unwrap_or(0)
}

/// The bar itself.
fn drawn(percent: u64) -> String {
    let full = (percent * CELLS / 100).min(CELLS);
    (0..CELLS).fold(String::from("["), |text, cell| text + if cell < full { "#" } else { "-" }) + "]"
}

/// Hours, minutes and seconds.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(done: (u64, u64), total: (u64, u64), total_known: bool) -> ProgressReading {
        ProgressReading {
            done_bytes: done.0,
            done_files: done.1,
            total_bytes: total.0,
            total_files: total.1,
            total_known,
        }
    }

    #[test]
    fn it_counts_then_measures_then_ends() {
        let mut meter = Meter::new(Numbers::new(2));
        let second = Duration::from_secs;
        for (time, reading, line) in [
            (0, reading((0, 0), (0, 0), false), "counting  0 of 0 so far  0/0 files  0/s  0:00:00"),
            (
                1,
                reading((2_000_000, 1), (5_000_000, 800), false),
                "counting  2.00M of 5.00M so far  1/800 files  2.00M/s  0:00:01",
            ),
            (
                2,
                reading((4_000_000, 900), (8_000_000, 1_200), true),
                " 50% [#####-----]  4.00M/8.00M  900/1,200 files  2.00M/s  0:00:02 left",
            ),
            (
                3,
                reading((8_000_000, 1_200), (8_000_000, 1_200), true),
                " 99% [#########-]  8.00M/8.00M  1,200/1,200 files  2.44M/s  0:00:00 left",
            ),
        ] {
            assert_eq!(meter.step(&reading, second(time)), line);
        }
        let last = meter.last(&reading((8_000_000, 1_200), (8_000_000, 1_200), true), second(4));
        assert_eq!(last, "100% [##########]  8.00M  1,200 files  2.00M/s  0:00:04");
    }

    #[test]
    fn the_percentage_never_falls() {
        let mut meter = Meter::new(Numbers::new(2));
        let mut shown = |done, total| {
            let line = meter.step(&reading((done, 0), (total, 9), true), Duration::from_secs(1));
            line.trim_start().split('%').next().unwrap().parse::<u64>().unwrap()
        };
        assert_eq!([shown(60, 100), shown(60, 200), shown(150, 200)], [60, 60, 75]);
        assert_eq!(shown(u64::MAX, 200), 99);
    }

    #[test]
    fn empty_files_are_measured_by_their_number() {
        assert_eq!(percent(&reading((0, 3), (0, 4), true)), 75);
        assert_eq!(percent(&reading((0, 0), (0, 0), true)), 0);
    }

    #[test]
    fn a_run_that_stands_still_has_no_time_left_to_tell() {
        let mut meter = Meter::new(Numbers::new(2));
        let stuck = reading((0, 0), (1 << 40, 1), true);
        meter.step(&stuck, Duration::from_secs(1));
        assert!(meter.step(&stuck, Duration::from_secs(2)).ends_with("-:--:-- left"));
    }

    #[test]
    fn times_are_shown_in_hours() {
        assert_eq!(clock(Duration::from_secs(100 * 3600 + 61)), "100:01:01");
    }
}
