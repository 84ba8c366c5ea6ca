//! The one place that writes to standard output and standard error.
//!
//! Lines of both streams and the progress bar meet on the same terminal. Here they take turns: the bar is taken away
//! while something is written above it, and while a bar is up, lines are gathered and written with its next step, so
//! that a run over many small files does not redraw for each. Order between the two streams is kept, also where both
//! go to one file.

use indicatif::ProgressBar;
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// When standard output is written (`--outbuf`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::cli) enum Buffering {
    /// At once on a terminal, else when enough came together.
    #[default]
    ByTarget,
    /// With each line.
    Lines,
    /// When enough came together.
    Blocks,
}

/// Gathered output that is written without waiting for more, in bytes.
const ENOUGH: usize = 1 << 15;

/// Standard output, standard error and the bar between them.
pub(in crate::cli) struct Screen {
    state: Mutex<State>,
    out_is_terminal: bool,
    manner: OnceLock<Manner>,
    asking: AtomicBool,
}

/// How lines are written, if not in the usual way.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::cli) struct Manner {
    /// When standard output is written.
    pub buffering: Buffering,
    /// Whether all goes to standard error (`--stderr=all`).
    pub all_to_stderr: bool,
    /// Whether bytes above 127 are written as they are (`-8`).
    pub eight_bit: bool,
}

#[derive(Default)]
struct State {
    gathered: String,
    bar: Option<ProgressBar>,
    /// Nobody reads standard output any more.
    out_closed: bool,
    /// Why standard output took no more, if not because its reader went away.
    out_error: Option<io::Error>,
}

impl Screen {
    /// The process's own streams.
    pub(in crate::cli) fn new() -> Screen {
        Screen {
            state: Mutex::default(),
            out_is_terminal: io::stdout().is_terminal(),
            manner: OnceLock::new(),
            asking: AtomicBool::new(false),
        }
    }

    /// Sets how lines are written, once.
    pub(in crate::cli) fn set_manner(&self, manner: Manner) {
        // A second one would come from a second command line.
        let _ = self.manner.set(manner);
    }

    fn manner(&self) -> Manner {
        self.manner.get().copied().unwrap_or_default()
    }

    /// Writes whole lines to standard output: at once on a terminal without a bar, else when enough came together.
    pub(in crate::cli) fn out(&self, lines: &str) {
        let manner = self.manner();
        if manner.all_to_stderr {
            return self.err(lines);
        }
        let mut state = self.lock();
        state.gathered.push_str(lines);
        let at_once = match manner.buffering {
            Buffering::ByTarget => self.out_is_terminal && state.bar.is_none(),
            Buffering::Lines => true,
            Buffering::Blocks => false,
        };
        if at_once || state.gathered.len() >= ENOUGH {
            self.write_gathered(&mut state);
        }
    }

    /// Writes whole lines to standard error, after what was gathered before.
    pub(in crate::cli) fn err(&self, lines: &str) {
        let mut state = self.lock();
        self.write_gathered(&mut state);
        self.write_err(&state, lines);
    }

    /// Writes what was gathered.
    pub(in crate::cli) fn flush(&self) {
        self.write_gathered(&mut self.lock());
    }

    /// Writes lines to standard error if that is possible at once: not while somebody else writes or asks.
    pub(in crate::cli) fn try_err(&self, lines: &str) {
        if let Ok(state) = self.state.try_lock() {
            self.write_err(&state, lines);
        }
    }

    /// Lets `talk` have the terminal for itself.
    pub(in crate::cli) fn aside<R>(&self, talk: impl FnOnce() -> R) -> R {
        let mut state = self.lock();
        self.write_gathered(&mut state);
        above(state.bar.as_ref(), talk)
    }

    /// The same for a question that a signal may end at once.
    pub(in crate::cli) fn ask<R>(&self, question: impl FnOnce() -> R) -> R {
        self.asking.store(true, Ordering::Release);
        let answer = self.aside(question);
        self.asking.store(false, Ordering::Release);
        answer
    }

    /// Whether a question is waiting for its answer.
    pub(in crate::cli) fn is_asking(&self) -> bool {
        self.asking.load(Ordering::Acquire)
    }

    /// Puts up a bar, or takes it down.
    pub(in crate::cli) fn set_bar(&self, bar: Option<ProgressBar>) {
        let mut state = self.lock();
        self.write_gathered(&mut state);
        state.bar = bar;
    }

    /// Why standard output took less than all, if it did. A reader that went away is no reason: the run goes on, and
    /// whoever closed the pipe does not want the rest.
    pub(in crate::cli) fn take_out_error(&self) -> Option<io::Error> {
        self.lock().out_error.take()
    }

    fn write_gathered(&self, state: &mut State) {
        let text = std::mem::take(&mut state.gathered);
        if text.is_empty() || state.out_closed {
            return;
        }
        let bar = state.bar.as_ref().filter(|_| self.out_is_terminal);
        let written = above(bar, || {
            let mut out = io::stdout().lock();
            out.write_all(&self.bytes(&text)).and_then(|()| out.flush())
        });
        if let Err(error) = written {
            state.out_closed = true;
            state.out_error = (error.kind() != io::ErrorKind::BrokenPipe).then_some(error);
        }
    }

    fn write_err(&self, state: &State, lines: &str) {
        // There is nowhere left to tell about a failure to write here.
        above(state.bar.as_ref(), || {
            let _ = io::stderr().write_all(&self.bytes(lines));
        });
    }

    /// The bytes that stand for lines.
    fn bytes<'a>(&self, lines: &'a str) -> Cow<'a, [u8]> {
        if self.manner().eight_bit { with_high_bytes(lines) } else { Cow::Borrowed(lines.as_bytes()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lines in which names and all text from elsewhere are [`Escaped`](crate::tree::Escaped), with the bytes above 127 put
/// back. What stands for such a byte cannot have been anything else.
fn with_high_bytes(lines: &str) -> Cow<'_, [u8]> {
    let mut parts = lines.split("\\#");
    let first = parts.next().unwrap_or_default();
    if first.len() == lines.len() {
        return Cow::Borrowed(lines.as_bytes());
    }
    let mut bytes = first.as_bytes().to_vec();
    for part in parts {
        let escape = part.split_at_checked(3).and_then(|(digits, rest)| {
            let octal = digits.bytes().all(|digit| digit.is_ascii_digit());
            let byte = u8::from_str_radix(digits, 8).ok().filter(|byte| octal && !byte.is_ascii())?;
            Some((byte, rest))
        });
        match escape {
            Some((byte, rest)) => {
                bytes.push(byte);
                bytes.extend_from_slice(rest.as_bytes());
            }
            None => {
                bytes.extend_from_slice(b"\\#");
                bytes.extend_from_slice(part.as_bytes());
            }
        }
    }
    Cow::Owned(bytes)
}

/// Does something to the terminal while the bar is out of the way.
fn above<R>(bar: Option<&ProgressBar>, write: impl FnOnce() -> R) -> R {
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Escaped;

    #[test]
    fn high_bytes_come_back_and_controls_do_not() {
        for (name, shown) in [
            (&b"plain"[..], &b"plain"[..]),
            (b"x\xff\xc3\xa9y", b"x\xff\xc3\xa9y"),
            (b"a\x1b\xfe\n", b"a\\#033\xfe\\#012"),
            (b"\\#377\xff", b"\\#134#377\xff"),
            (b"\\#", b"\\#134#"),
        ] {
            assert_eq!(&*with_high_bytes(&Escaped(name).to_string()), shown);
        }
        assert_eq!(&*with_high_bytes("\\#+77 \\#9\u{e9}9 \\#400"), "\\#+77 \\#9\u{e9}9 \\#400".as_bytes());
    }
}
