//! Questions of the SSH client where there is no terminal: put to a program, as `ssh` does.
//!
//! `SSH_ASKPASS` names the program, which is given the question and prints the answer. It is for the login only:
//! whoever could answer there is not taken to be there for other questions of a run.

use crate::cli::prompt::{TerminalPrompter, shown, yes_or_no};
use crate::report::Prompter;
use std::ffi::OsString;
use std::io;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// A program that asks, and when it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Askpass {
    pub program: OsString,
    /// Whether it also asks where there is a terminal.
    pub first: bool,
}

impl Askpass {
    /// What the variables say: `SSH_ASKPASS`, `SSH_ASKPASS_REQUIRE`, and whether there is a display.
    pub(super) fn of(program: Option<OsString>, require: Option<OsString>, display: bool) -> Option<Askpass> {
        let program = program?;
        let word = require.unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let first = match word.as_str() {
            "never" => return None,
            "force" => true,
            _ if !display => return None,
            "prefer" => true,
            _ => false,
        };
        Some(Askpass { program, first })
    }
}

/// Asks on the terminal, or by the program.
pub(super) struct LoginPrompter {
    pub terminal: Arc<TerminalPrompter>,
    pub askpass: Option<Askpass>,
}

impl LoginPrompter {
    /// The program, if it is to ask.
    fn program(&self) -> Option<&OsString> {
        let askpass = self.askpass.as_ref()?;
        (askpass.first || !self.terminal.interactive()).then_some(&askpass.program)
    }

    fn answer(&self, prompt: &str, on_terminal: impl Fn(&str) -> io::Result<String>) -> io::Result<String> {
        match self.program() {
            Some(program) => run(program, prompt),
            None => on_terminal(prompt),
        }
    }
}

impl Prompter for LoginPrompter {
    fn interactive(&self) -> bool {
        self.askpass.is_some() || self.terminal.interactive()
    }

    fn confirm(&self, text: &str) -> io::Result<bool> {
        match self.program() {
            Some(program) => {
                let answer = run(program, &format!("{} (yes/no) ", text.trim_end()))?;
                Ok(yes_or_no(&answer).unwrap_or(false))
            }
            None => self.terminal.confirm(text),
        }
    }

    fn secret(&self, prompt: &str) -> io::Result<String> {
        self.answer(prompt, |prompt| self.terminal.secret(prompt))
    }

    fn line(&self, prompt: &str) -> io::Result<String> {
        self.answer(prompt, |prompt| self.terminal.line(prompt))
    }
}

/// The first line that the program prints, if it succeeds.
fn run(program: &OsString, prompt: &str) -> io::Result<String> {
    let in_doing = |error: &dyn std::fmt::Display| format!("{}: {error}", program.to_string_lossy());
    let output = Command::new(program)
        .arg(shown(prompt))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| io::Error::new(error.kind(), in_doing(&error)))?;
    if !output.status.success() {
        return Err(io::Error::other(in_doing(&"no answer was given")));
    }
    let text = String::from_utf8(output.stdout);
    let text =
        text.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, in_doing(&"the answer is not UTF-8")))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_say_whether_a_program_asks() {
        let asked = |require: &str, display| {
            let require = Some(OsString::from(require)).filter(|word| !word.is_empty());
            Askpass::of(Some("ask".into()), require, display).map(|askpass| askpass.first)
        };
        for (require, display, expected) in [
            ("", true, Some(false)),
            ("", false, None),
            ("never", true, None),
            ("prefer", true, Some(true)),
            ("prefer", false, None),
            ("force", false, Some(true)),
            ("FORCE", false, Some(true)),
            ("other", true, Some(false)),
        ] {
            assert_eq!(asked(require, display), expected, "{require:?} {display}");
        }
        assert_eq!(Askpass::of(None, Some("force".into()), true), None);
    }
}
