//! The two command lines of a connection: the local one of `-e`, and the one that runs on the far side.
//!
//! No shell ever sees a path or an option of a run. The local command is split here and executed directly; the
//! remote one is the same for every run, or a script of ours.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::transport::Error;

/// What makes dsync a peer.
pub(in crate::transport) const SERVER_FLAG: &str = "--server";

/// Splits a remote shell command into its words, as rsync does with the value of `-e`.
///
/// Words are separated by spaces, and only by those. Single and double quotes keep spaces; within quotes, the quote
/// written twice stands for itself. There are no backslashes and no variables (rsync(1), `--rsh`).
///
/// # Errors
/// When there is no word, or a quote does not end.
pub fn split_command(command: &OsStr) -> Result<Vec<OsString>, Error> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = command.as_bytes().iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (Some(open), _) if byte == open => {
                if bytes.next_if_eq(&open).is_some() {
                    word.get_or_insert_default().push(open);
                } else {
                    quote = None;
                }
            }
            (None, b' ') => words.extend(word.take().map(OsString::from_vec)),
            (None, b'\'' | b'"') => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            _ => word.get_or_insert_default().push(byte),
        }
    }
    if let Some(open) = quote {
        return Err(Error::UnbalancedQuote { quote: char::from(open) });
    }
    words.extend(word.map(OsString::from_vec));
    if words.is_empty() { Err(Error::EmptyCommand) } else { Ok(words) }
}

/// What is run on the far side: words, which are joined by blanks for the login shell there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteCommand(Vec<OsString>);

impl RemoteCommand {
    /// A peer: `program`, which is a shell fragment, and the server flag.
    ///
    /// # Errors
    /// When `program` is empty, or holds a line break or a NUL.
    pub fn server(program: &OsStr) -> Result<RemoteCommand, Error> {
        Ok(RemoteCommand(vec![checked_program(program)?.to_owned(), SERVER_FLAG.into()]))
    }

    /// A script for the POSIX shell, whatever the login shell is: for those of sh, csh, fish and others the same text
    /// stands for itself between single quotes.
    ///
    /// # Errors
    /// When the script holds what one of these shells would take for something else: a single quote, a backslash, an
    /// exclamation mark, or what no line holds.
    pub fn script(script: &str) -> Result<RemoteCommand, Error> {
        if script.contains(|c: char| matches!(c, '\'' | '\\' | '!') || c.is_control()) {
            return Err(Error::RemoteProgram { program: script.to_owned() });
        }
        Ok(RemoteCommand(vec![format!("exec sh -c '{script}'").into()]))
    }

    /// A line as a login shell is given it.
    pub(in crate::transport) fn whole(line: &[u8]) -> RemoteCommand {
        RemoteCommand(vec![OsStr::from_bytes(line).to_owned()])
    }

    /// Its words.
    pub(in crate::transport) fn words(&self) -> &[OsString] {
        &self.0
    }

    /// What a login shell is given.
    pub fn line(&self) -> Vec<u8> {
        self.0.join(OsStr::new(" ")).into_vec()
    }
}

/// Returns `program` if it cannot end the line it is put on.
fn checked_program(program: &OsStr) -> Result<&OsStr, Error> {
    if program.as_bytes().iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
        return Err(Error::RemoteProgram { program: program.to_string_lossy().into_owned() });
    }
    if program.as_bytes().iter().all(|&byte| byte == b' ') {
        return Err(Error::EmptyCommand);
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_rsync_splits_them() {
        let cases: &[(&str, &str, &[&str])] = &[
            ("plain", "ssh -p 2234", &["ssh", "-p", "2234"]),
            ("spaces around", "  ssh   -v ", &["ssh", "-v"]),
            ("tab is no separator", "ssh\t-v", &["ssh\t-v"]),
            ("double quotes", r#"ssh -o "ProxyCommand nc %h %p""#, &["ssh", "-o", "ProxyCommand nc %h %p"]),
            ("quote inside a word", "ssh a'b c'd", &["ssh", "ab cd"]),
            ("doubled quote within quotes", r#"ssh 'it''s' "x""y""#, &["ssh", "it's", "x\"y"]),
            ("doubled quote outside quotes", "ssh a''b", &["ssh", "ab"]),
            ("empty word", "ssh '' b", &["ssh", "", "b"]),
            ("four quotes", "ssh ''''x", &["ssh", "'x"]),
            ("other quote within quotes", r#"ssh 'a"b' "c'd""#, &["ssh", "a\"b", "c'd"]),
            ("no backslashes", r"ssh a\ b", &["ssh", r"a\", "b"]),
        ];
        for (name, command, expected) in cases {
            assert_eq!(split_command(OsStr::new(command)).unwrap(), *expected, "{name}");
        }
    }

    #[test]
    fn broken_commands_are_refused() {
        assert!(matches!(split_command(OsStr::new("")), Err(Error::EmptyCommand)));
        assert!(matches!(split_command(OsStr::new("  ")), Err(Error::EmptyCommand)));
        let unbalanced = split_command(OsStr::new("ssh 'a"));
        assert!(matches!(unbalanced, Err(Error::UnbalancedQuote { quote: '\'' })));
    }

    #[test]
    fn the_remote_command_is_one_line() {
        let line = |program: &str| RemoteCommand::server(OsStr::new(program)).map(|command| command.line());
        assert_eq!(line("dsync").unwrap(), b"dsync --server");
        assert_eq!(line("cd /a && dsync").unwrap(), b"cd /a && dsync --server");
        for program in ["", " ", "a\nb", "a\rb", "a\0b"] {
            assert!(line(program).is_err(), "{program:?}");
        }
    }

    #[test]
    fn a_script_is_one_word_to_every_shell() {
        let script = r#"echo "$HOME" `pwd` $(ls) {a,b} * ? [a] ~ #x %1 ^a^b; a && b || c > d < e & f (g) = "#;
        let line = RemoteCommand::script(script).unwrap().line();
        assert_eq!(line, format!("exec sh -c '{script}'").into_bytes());
        // The real shells, as far as there are any; those of the sh family always are.
        for shell in ["sh", "bash", "dash", "zsh", "ksh", "csh", "tcsh", "fish"] {
            let line = RemoteCommand::script("printf %s ok-${x-y}; exit 7").unwrap().line();
            let run = std::process::Command::new(shell).arg("-c").arg(OsStr::from_bytes(&line)).output();
            let Ok(output) = run else { continue };
            assert_eq!((&output.stdout[..], output.status.code()), (&b"ok-y"[..], Some(7)), "{shell}");
        }
        for script in ["a'b", "a\\b", "!a", "a\nb", "a\tb", "a\0b"] {
            assert!(RemoteCommand::script(script).is_err(), "{script:?}");
        }
    }
}
