//! A run whose line breaks: it is made again, and goes on where the last attempt was.
//!
//! Each attempt is a whole run. What is done by then is found to be the same, and the files in hand go on with what
//! was staged of them, which the side that writes leaves where it hears nothing any more (it removes that where it is
//! told that nobody wants the run). So there is nothing to remember here but how often it was tried.

use crate::request::Options;
use crate::session::{Cancel, Failure, Outcome, Why};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The longest that is waited before another attempt, if nobody says how long.
const LONGEST: Duration = Duration::from_secs(60);

/// How often a run is tried again whose line breaks, and after how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retry {
    /// `--retry`: how often.
    pub times: u32,
    /// `--retry-delay`: how long after each failure. `None`: one second after the first, then twice as long each time,
    /// up to a minute.
    pub delay: Option<Duration>,
}

impl Retry {
    /// How long to wait before the attempt of this number, the first again being 1.
    fn delay(self, attempt: u32) -> Duration {
        let doubled = || 1_u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX);
        self.delay.unwrap_or_else(|| Duration::from_secs(doubled().min(LONGEST.as_secs())))
    }
}

/// Why a run with these options cannot be made a second time to the same effect, if it cannot.
pub fn once_only(options: &Options) -> Option<&'static str> {
    let writes_under_its_name = options.in_place || options.partial || options.append.is_some();
    let leaves_what_is_there = options.update || options.ignore_existing;
    if options.max_delete.is_some() {
        Some("--max-delete counts what one attempt removes")
    } else if options.remove_source_files {
        Some("what the first attempt removed at the source would be missing in the second")
    } else if options.backup.is_some() {
        Some("the second attempt would replace the backups of the first")
    } else if writes_under_its_name && leaves_what_is_there {
        Some("what is there of a file in hand would count as there already")
    } else {
        None
    }
}

/// What an attempt came to that did not come to its end.
#[derive(Debug)]
pub(super) struct Broken {
    pub failure: Failure,
    /// Bytes this side sent.
    pub sent: u64,
    /// Bytes this side received.
    pub received: u64,
}

impl<E: Into<Failure>> From<E> for Broken {
    fn from(error: E) -> Broken {
        Broken { failure: error.into(), sent: 0, received: 0 }
    }
}

/// Makes a run, and makes it again as long as its line breaks and there are attempts left. `tell` hears of each.
pub(super) fn persist(
    retry: Retry,
    cancel: &Cancel,
    tell: impl Fn(String),
    attempt: impl Fn() -> Result<Outcome, Broken>,
) -> Result<Outcome, Failure> {
    let start = Instant::now();
    let (mut sent, mut received) = (0_u64, 0_u64);
    let mut tries = 0;
    loop {
        let broken = match attempt() {
            // A run that came to its end is done, even if somebody wanted to stop it by then.
            Ok(outcome) => {
                return Ok(Outcome {
                    sent: outcome.sent.saturating_add(sent),
                    received: outcome.received.saturating_add(received),
                    elapsed: start.elapsed(),
                    retries: tries,
                    ..outcome
                });
            }
            Err(broken) => broken,
        };
        match cancel.why() {
            // Whatever a cancelled run trips over on its way out, it was the cancelling that ended it.
            Some(Why::Cancelled) => return Err(Failure::Cancelled),
            Some(Why::OutOfTime) => return Err(Failure::OutOfTime),
            None => {}
        }
        let failure = broken.failure;
        let may_pass = failure.is_of_the_line() || (tries > 0 && failure.may_pass_soon());
        if tries >= retry.times || !may_pass {
            return Err(failure);
        }
        tries += 1;
        sent = sent.saturating_add(broken.sent);
        received = received.saturating_add(broken.received);
        let delay = retry.delay(tries);
        let (seconds, times) = (delay.as_secs(), retry.times);
        tell(format!("{failure}; trying again in {seconds} s ({tries} of {times})"));
        wait(delay, cancel);
        match cancel.why() {
            Some(Why::Cancelled) => return Err(Failure::Cancelled),
            Some(Why::OutOfTime) => return Err(Failure::OutOfTime),
            None => {}
        }
    }
}

/// Waits, unless the run is stopped meanwhile.
fn wait(delay: Duration, cancel: &Cancel) {
    let (wake, woken) = mpsc::channel();
    cancel.on_cancel(move || {
        // Who waits no longer hears nothing.
        let _ = wake.send(());
    });
    // Nothing comes if nobody stops the run.
    let _ = woken.recv_timeout(delay);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Totals;
    use crate::request::{Append, Backup, DeletionLimit};
    use crate::transport::RemoteExit;
    use crate::wire::WireError;
    use std::cell::{Cell, RefCell};
    use std::thread;

    const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

    fn done() -> Outcome {
        Outcome {
            totals: Totals::default(),
            sent: 5,
            received: 7,
            listed: 0,
            compressed: None,
            elapsed: Duration::ZERO,
            connecting: None,
            retries: 0,
            two_way: None,
        }
    }

    fn lost() -> Broken {
        Broken { failure: Failure::Lost(None), sent: 100, received: 10 }
    }

    /// What comes of attempts of which each but the last fails as told, and how many were made.
    fn tried(retry: Retry, failures: Vec<Broken>) -> (Result<Outcome, Failure>, u32) {
        let (made, failures) = (Cell::new(0), RefCell::new(failures.into_iter()));
        let attempt = || {
            made.set(made.get() + 1);
            failures.borrow_mut().next().map_or_else(|| Ok(done()), Err)
        };
        (persist(retry, &Cancel::new(), |_| (), attempt), made.get())
    }

    #[test]
    fn a_lost_line_is_tried_again_so_often() {
        let twice = Retry { times: 2, delay: AT_ONCE };
        let (ended, made) = tried(twice, vec![lost(), lost()]);
        let outcome = ended.unwrap();
        assert_eq!((outcome.sent, outcome.received, outcome.retries, made), (205, 27, 2, 3));
        let (ended, made) = tried(twice, vec![lost(), lost(), lost()]);
        assert!(matches!(ended, Err(Failure::Lost(None))));
        assert_eq!(made, 3);
        assert_eq!(tried(Retry::default(), vec![lost()]).1, 1);
    }

    #[test]
    fn what_would_fail_again_is_not_tried_again() {
        let retry = Retry { times: 5, delay: AT_ONCE };
        for failure in [
            Failure::Lost(Some(RemoteExit::Status(11))),
            Failure::NotStarted(None),
            Failure::NotStarted(Some(RemoteExit::Status(0))),
            Failure::Protocol("nonsense"),
            Failure::Usage("nonsense".into()),
            Failure::Wire(WireError::Malformed("frame")),
        ] {
            let shown = failure.to_string();
            assert_eq!(tried(retry, vec![failure.into()]).1, 1, "{shown}");
        }
        for failure in [
            Failure::Lost(Some(RemoteExit::Status(255))),
            Failure::Lost(Some(RemoteExit::Lost("reset".into()))),
            Failure::Wire(WireError::Timeout(3)),
        ] {
            let shown = failure.to_string();
            assert_eq!(tried(retry, vec![failure.into()]).1, 2, "{shown}");
        }
        // A host that is not there is, after it was.
        assert_eq!(tried(retry, vec![lost(), Failure::NotStarted(None).into()]).1, 3);
    }

    #[test]
    fn each_wait_is_twice_as_long() {
        let waits = |numbers: [u32; 4]| numbers.map(|number| Retry::default().delay(number).as_secs());
        assert_eq!(waits([1, 2, 3, 6]), [1, 2, 4, 32]);
        assert_eq!(waits([7, 8, 64, 1000]), [60, 60, 60, 60]);
        assert_eq!(Retry { times: 9, delay: AT_ONCE }.delay(9), Duration::ZERO);
    }

    #[test]
    fn a_stopped_run_waits_no_longer() {
        let cancel = Cancel::new();
        let stop = cancel.clone();
        let retry = Retry { times: 1, delay: Some(Duration::from_secs(3600)) };
        let ended = thread::scope(|scope| {
            let tell = |_| drop(scope.spawn(|| stop.cancel()));
            let made = Cell::new(false);
            persist(retry, &cancel, tell, || {
                if made.replace(true) { Err(Failure::Cancelled.into()) } else { Err(lost()) }
            })
        });
        assert!(matches!(ended, Err(Failure::Cancelled)));
    }

    #[test]
    fn what_is_done_is_done_and_what_failed_after_a_stop_was_stopped() {
        let stopped = |ended: fn() -> Result<Outcome, Broken>| {
            let cancel = Cancel::new();
            let attempt = || {
                cancel.cancel();
                ended()
            };
            persist(Retry::default(), &cancel, |_| (), attempt)
        };
        assert!(stopped(|| Ok(done())).is_ok());
        assert!(matches!(stopped(|| Err(lost())), Err(Failure::Cancelled)));
    }

    #[test]
    fn what_counts_in_one_attempt_is_made_once() {
        let backup = || Some(Backup { directory: None, suffix: b"~".to_vec() });
        assert_eq!(once_only(&Options::default()), None);
        assert_eq!(once_only(&Options { in_place: true, times: true, ..Options::default() }), None);
        for options in [
            Options { max_delete: Some(DeletionLimit::Count(3)), ..Options::default() },
            Options { backup: backup(), times: true, ..Options::default() },
            Options { remove_source_files: true, ..Options::default() },
            Options { partial: true, ignore_existing: true, ..Options::default() },
            Options { append: Some(Append::Trusting), update: true, ..Options::default() },
        ] {
            assert!(once_only(&options).is_some(), "{options:?}");
        }
    }
}
