//! Questions to the person at the terminal: host keys, passwords, passphrases.
//!
//! They go to the controlling terminal, never to standard input and output, which may be a pipe. Where there is no
//! terminal nobody is asked. What is asked about may come from a server, so it is escaped.

use crate::cli::output::Screen;
use crate::cli::terminal::{self, WithoutEcho};
use crate::report::Prompter;
use crate::tree::Escaped;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::Arc;

/// The longest answer read, in bytes.
const MAX_ANSWER: u64 = 4096;

/// How often an answer that is neither yes nor no is asked for again.
const ATTEMPTS: usize = 3;

/// Asks on the controlling terminal.
pub(super) struct TerminalPrompter {
    screen: Arc<Screen>,
}

impl TerminalPrompter {
    /// A prompter that takes turns with what `screen` shows.
    pub(super) fn new(screen: Arc<Screen>) -> TerminalPrompter {
        TerminalPrompter { screen }
    }
}

impl Prompter for TerminalPrompter {
    fn interactive(&self) -> bool {
        terminal::open().is_ok()
    }

    fn confirm(&self, text: &str) -> io::Result<bool> {
        let question = format!("{} [y/N] ", shown(text).trim_end());
        self.screen.ask(|| {
            for _ in 0..ATTEMPTS {
                if let Some(answer) = yes_or_no(&ask(&question)?) {
                    return Ok(answer);
                }
            }
            Ok(false)
        })
    }

    fn secret(&self, prompt: &str) -> io::Result<String> {
        self.screen.ask(|| {
            // What reads the answer turns the echo off itself, but only after it has written the prompt.
            let _unseen = WithoutEcho::begin()?;
            rpassword::prompt_password(shown(prompt))
        })
    }

    fn line(&self, prompt: &str) -> io::Result<String> {
        self.screen.ask(|| ask(&shown(prompt)))
    }
}

/// The answer, if it is one. An empty line is no.
pub(super) fn yes_or_no(answer: &str) -> Option<bool> {
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// Shows a prompt as it is and reads a line.
fn ask(prompt: &str) -> io::Result<String> {
    let mut terminal = terminal::open()?;
    terminal.write_all(prompt.as_bytes())?;
    let mut line = String::new();
    BufReader::new(terminal.take(MAX_ANSWER)).read_line(&mut line)?;
    if line.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the terminal gave no answer"));
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// The text with its line ends, and nothing else that acts on a terminal. Names in it are escaped already, so what
/// reads as an escape stays one.
pub(super) fn shown(text: &str) -> String {
    const MARK: &str = "\\#";
    let line = |line: &str| {
        let parts: Vec<String> = line.split(MARK).map(|part| Escaped(part.as_bytes()).to_string()).collect();
        parts.join(MARK)
    };
    let lines: Vec<String> = text.split('\n').map(line).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        for (answer, meaning) in [
            ("y", Some(true)),
            (" YES ", Some(true)),
            ("", Some(false)),
            ("n", Some(false)),
            ("No", Some(false)),
            ("yep", None),
            ("ye s", None),
        ] {
            assert_eq!(yes_or_no(answer), meaning, "{answer:?}");
        }
    }

    #[test]
    fn text_of_a_server_cannot_act_on_the_terminal() {
        assert_eq!(shown("one\ntwo\x1b[2J\r"), "one\ntwo\\#033[2J\\#015");
    }

    #[test]
    fn names_are_escaped_once() {
        let name = Escaped(b"odd\nname \\ \\#012 \xff").to_string();
        assert_eq!(shown(&format!("about {name}\x07?")), format!("about {name}\\#007?"));
    }
}
