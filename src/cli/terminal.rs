//! The controlling terminal, and the echo that a question for a secret takes from it.

use rustix::io::retry_on_intr;
use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use std::fs::File;
use std::io;

const TERMINAL: &str = "/dev/tty";

/// For reading and writing; an error where there is no terminal, and so nobody to ask.
pub(super) fn open() -> io::Result<File> {
    File::options().read(true).write(true).open(TERMINAL)
}

/// The terminal, and how it was at some moment.
pub(super) struct Terminal {
    device: File,
    modes: Termios,
}

impl Terminal {
    /// As it is now.
    pub(super) fn remember() -> io::Result<Terminal> {
        let device = open()?;
        let modes = tcgetattr(&device)?;
        Ok(Terminal { device, modes })
    }

    /// Makes it what it was. Only in the foreground: elsewhere the terminal is another's, and would stop this process
    /// for trying.
    pub(super) fn restore(&self) {
        if tcgetpgrp(&self.device).is_ok_and(|group| group == getpgrp()) {
            // Fails where the terminal is gone, and then needs no restoring.
            let _ = self.set(OptionalActions::Now, &self.modes);
        }
    }

    fn set(&self, when: OptionalActions, modes: &Termios) -> io::Result<()> {
        Ok(retry_on_intr(|| tcsetattr(&self.device, when, modes))?)
    }
}

/// A terminal that shows nothing of what is typed until this is dropped.
pub(super) struct WithoutEcho(Terminal);

impl WithoutEcho {
    /// Takes the echo. Whoever does so before a question is shown keeps an answer that comes at once, as one that is
    /// pasted does, from the screen.
    ///
    /// What was typed before is thrown away, as `ssh` does: it was echoed, was meant for something else, such as the
    /// shell that is back after this run, and as an answer would be told to a server.
    pub(super) fn begin() -> io::Result<WithoutEcho> {
        let terminal = Terminal::remember()?;
        let mut modes = terminal.modes.clone();
        modes.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        terminal.set(OptionalActions::Flush, &modes)?;
        Ok(WithoutEcho(terminal))
    }
}

impl Drop for WithoutEcho {
    /// What was typed after the answer stays: nothing of it was shown, and whoever reads next may be meant. In the
    /// background this stops the process until it is asked for again, as reading there does; a terminal that was left
    /// without an echo would be worse.
    fn drop(&mut self) {
        // Fails where the terminal is gone, and then needs no restoring.
        let _ = self.0.set(OptionalActions::Now, &self.0.modes);
    }
}
