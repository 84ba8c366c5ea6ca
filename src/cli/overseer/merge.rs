//! `--conflict=merge=CMD`: a command makes one file of two.
//!
//! The command is run by `sh -c` and finds the files by variables, as the tools of git do: `LOCAL` and `REMOTE` are
//! what the first and the second side have, `BASE` what both were made of, and to `MERGED` it writes the result. All
//! are copies in a directory of their own, so that whatever the command does to them harms nothing. A command that
//! fails, or writes no `MERGED`, has merged nothing.
//!
//! Most often there is no `BASE`: who edits a file overwrites what both sides had when they were last the same. It is
//! in a trash where a run replaced it, by the version of a third replica or by an older one that was put back. An older
//! version is never taken for it, since that loses edits without a word: of a line that went from it to another, and
//! back to it on one side, the other wins. Where there is none the variable is empty, which is no file: commands that
//! need three then fail, and none takes another's `BASE` from the environment.

use crate::cli::failure::with_sources;
use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::policy::{Conflict, ConflictKind};
use crate::twoway::record::State;
use crate::twoway::run::{Answer, Asked};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// The largest file that is merged, in bytes.
const MAX_SIZE: u64 = 1 << 30;
/// The longest extension that the copies get, so that tools know what is in them.
const MAX_EXTENSION: usize = 16;

/// What the copies are called, whose versions they hold, and which variables name them.
const COPIES: [(&str, Side, &str); 2] = [("local", Side::Left, "LOCAL"), ("remote", Side::Right, "REMOTE")];

/// Merges the two contents of a conflict by a command, which `run` runs to its end.
///
/// # Errors
/// Why nothing was merged, as a phrase.
pub(super) fn merge(
    command: &str,
    asked: &Asked<'_>,
    run: &dyn Fn(&mut Command) -> io::Result<ExitStatus>,
) -> Result<Answer, String> {
    if asked.conflict.kind != ConflictKind::Content || !are_files(&asked.conflict) {
        return Err("only the contents of files can be merged".to_owned());
    }
    let folder = tempfile::Builder::new().prefix("dsync-merge-").tempdir();
    let folder = folder.map_err(|error| format!("making a temporary directory: {error}"))?;
    let place = |name: &str| folder.path().join(format!("{name}{}", extension(asked.conflict.path)));
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command);
    for (name, side, variable) in COPIES {
        let path = place(name);
        if !copy(&path, &mut |file| asked.contents.fetch(side, MAX_SIZE, file))? {
            return Err("a file changed meanwhile, or is too large".to_owned());
        }
        shell.env(variable, path);
    }
    shell.env("BASE", base(asked, &place("base"))?.unwrap_or_default());
    let merged: PathBuf = place("merged");
    shell.env("MERGED", &merged);
    let status = run(&mut shell).map_err(|error| format!("running sh: {error}"))?;
    if !status.success() {
        return Err(format!("the command ended with {status}"));
    }
    // Stays readable when the directory is gone.
    let file = File::open(&merged).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!(
            "the command ended well and wrote nothing: {command}; it is to write the merged content to \"$MERGED\", \
             and to end with another status if it has none"
        ),
        _ => format!("opening what the command wrote: {}", with_sources(&error)),
    })?;
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(Answer::Merged(Box::new(file))),
        _ => Err("what the command wrote is no file".to_owned()),
    }
}

/// Makes a copy of what both were made of, if one of the sides has it.
fn base(asked: &Asked<'_>, path: &Path) -> Result<Option<PathBuf>, String> {
    for side in Side::BOTH {
        if copy(path, &mut |file| asked.contents.fetch_base(side, MAX_SIZE, file))? {
            return Ok(Some(path.to_owned()));
        }
        std::fs::remove_file(path).map_err(unwritable)?;
    }
    Ok(None)
}

/// Whether both sides have a regular file.
pub(super) fn are_files(conflict: &Conflict<'_>) -> bool {
    [conflict.left, conflict.right].iter().all(|record| matches!(record.state, State::File { .. }))
}

/// Makes a file of what `fetch` writes; whether it is all of what was asked for.
fn copy(path: &Path, fetch: &mut dyn FnMut(&mut File) -> Result<bool, String>) -> Result<bool, String> {
    fetch(&mut File::create_new(path).map_err(unwritable)?)
}

fn unwritable(error: io::Error) -> String {
    format!("writing a temporary file: {error}")
}

/// The extension of a path, with its dot, if it is a plain one.
fn extension(path: &RelPath) -> String {
    let name = path.as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0) else {
        return String::new();
    };
    let extension = name.get(dot..).unwrap_or_default();
    let is_plain =
        extension.len() <= MAX_EXTENSION && extension.iter().skip(1).all(|byte| byte.is_ascii_alphanumeric());
    if is_plain { String::from_utf8_lossy(extension).into_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::overseer::dialogue::scripted::{Files, conflict_of};
    use std::io::Read;

    fn merged(command: &str, files: &Files, kind: (&str, &str)) -> Result<String, String> {
        conflict_of(kind.0, kind.1, files, |asked| {
            match merge(command, asked, &|command| command.status())? {
                Answer::Merged(mut content) => {
                    let mut text = String::new();
                    content.read_to_string(&mut text).unwrap();
                    Ok(text)
                }
                _ => panic!("an answer that no merge gives"),
            }
        })
    }

    const FILES: Files = Files { left: Some(b"left\n"), right: Some(b"right\n"), base: None };
    const CONTENTS: (&str, &str) = ("a=2", "a=3");

    #[test]
    fn the_command_finds_the_files_by_variables() {
        let both = "cat \"$LOCAL\" \"$REMOTE\" > \"$MERGED\"";
        assert_eq!(merged(both, &FILES, CONTENTS).as_deref(), Ok("left\nright\n"));
    }

    #[test]
    fn what_both_were_made_of_is_told_where_a_side_has_it() {
        let tell = "if test -n \"$BASE\"; then cat \"$BASE\"; else echo none; fi > \"$MERGED\"";
        assert_eq!(merged(tell, &FILES, CONTENTS).as_deref(), Ok("none\n"));
        for side in Side::BOTH {
            let files = Files { base: Some((side, b"base\n")), ..FILES };
            assert_eq!(merged(tell, &files, CONTENTS).as_deref(), Ok("base\n"), "{side:?}");
        }
    }

    #[test]
    fn what_fails_merges_nothing() {
        for (command, why) in [
            ("echo x > \"$MERGED\"; exit 1", "the command ended with exit status: 1"),
            (
                "true",
                "the command ended well and wrote nothing: true; it is to write the merged content to \"$MERGED\"",
            ),
            ("mkdir \"$MERGED\"", "what the command wrote is no file"),
            ("nosuch-command 2>&-", "the command ended with exit status: 127"),
        ] {
            let error = merged(command, &FILES, CONTENTS).unwrap_err();
            assert!(error.starts_with(why), "{command}: {error}");
        }
        let gone = Files { right: None, ..FILES };
        assert!(merged("true", &gone, CONTENTS).unwrap_err().contains("changed meanwhile"));
        assert!(merged("true", &FILES, ("a=2", "a>x")).unwrap_err().contains("only the contents"));
    }

    #[test]
    fn copies_keep_a_plain_extension() {
        for (path, expected) in [
            ("d/a.txt", ".txt"),
            ("a", ""),
            (".profile", ""),
            ("a.t t", ""),
            ("a.tar.gz", ".gz"),
            ("x.d/a", ""),
        ] {
            assert_eq!(extension(&RelPath::new(path.as_bytes()).unwrap()), expected, "{path}");
        }
    }
}
