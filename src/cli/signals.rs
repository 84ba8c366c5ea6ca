//! Signals that stop a run.
//!
//! The first one asks the run to stop: it settles what it has staged, a two-way run finishes what is in hand if that
//! does not take long, and it ends with code 20. A second one ends the process at once, which is safe too, since files
//! are only ever put in place whole. So does the first while a question is open; the terminal then gets back the echo
//! that a question for a password takes from it. One that comes right after the first is taken for the same: where a
//! program that passes signals on, like timeout(1), is in the foreground too, one Ctrl-C arrives twice. Signals that
//! were ignored when the process was started stay ignored, as `nohup` and background jobs of shells expect. A reader of
//! standard output that goes away sends nothing here: Rust's runtime turns SIGPIPE into an error of the write.

use crate::cli::failure::{SIGNAL, last_line};
use crate::cli::output::Screen;
use crate::cli::terminal::Terminal;
use crate::session::Cancel;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long after the first signal another one is still taken for the same.
const ECHO: Duration = Duration::from_millis(200);

/// Makes the signals stop the run of `cancel`. A peer has no `screen`: whoever it works for says what happens.
pub(super) fn install(cancel: Cancel, screen: Option<Arc<Screen>>) -> io::Result<()> {
    let ignored = ignored_mask(&std::fs::read_to_string("/proc/self/status").unwrap_or_default());
    let taken = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored(ignored, *signal));
    let mut signals = Signals::new(taken)?;
    // None where there is no terminal, and so nobody to ask. How it was before anything was asked there.
    let terminal = Terminal::remember().ok();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut first: Option<Instant> = None;
        for _ in signals.forever() {
            // A question on the terminal has nothing staged behind it, and nobody left to answer it.
            let asking = screen.as_ref().is_some_and(|screen| screen.is_asking());
            if let Some(terminal) = terminal.as_ref().filter(|_| asking) {
                terminal.restore();
            }
            if asking {
                // The prompt is on the line that is left, and whoever asks has the screen.
                let _ = writeln!(io::stderr(), "\n{}", last_line(SIGNAL));
            }
            if asking || first.is_some_and(|first| first.elapsed() >= ECHO) {
                std::process::exit(i32::from(SIGNAL));
            }
            if first.is_none() {
                first = Some(Instant::now());
                cancel.cancel();
                if let Some(screen) = &screen {
                    screen.try_err("dsync: stopping; a second signal stops at once\n");
                }
            }
        }
    })?;
    Ok(())
}

/// The mask of ignored signals in the text of `/proc/PID/status` (proc_pid_status(5)); empty if it is not there.
fn ignored_mask(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Whether a mask holds a signal, which are numbered from 1.
fn is_ignored(mask: u64, signal: i32) -> bool {
    let bit = u32::try_from(signal).ok().and_then(|signal| signal.checked_sub(1));
    bit.and_then(|bit| 1_u64.checked_shl(bit)).is_some_and(|bit| mask & bit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_found() {
        let status =
            "Name:\tx\nSigBlk:\t0000000000000007\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        let mask = ignored_mask(status);
        assert!(is_ignored(mask, SIGHUP));
        assert!(!is_ignored(mask, SIGINT));
        assert!(!is_ignored(mask, SIGTERM));
        assert_eq!(ignored_mask("nothing"), 0);
    }
}
