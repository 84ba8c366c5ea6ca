//! The command line from outside: help, version, usage errors, exit codes, and the manual page made from it.

#![allow(clippy::expect_used, reason = "a test stops where it cannot go on")]

mod completion;
mod man_page;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::process::{Command, Output, Stdio};

fn dsync<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    command(arguments).output().expect("running dsync")
}

fn command<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dsync"));
    command.args(arguments).stdin(Stdio::null()).env_remove("RSYNC_RSH").env_remove("DSYNC_RSH");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

#[test]
fn help_goes_to_standard_output() {
    for arguments in [&["--help"][..], &["-h"], &["-av", "--help", "a", "b"]] {
        let output = dsync(arguments);
        assert_eq!(output.status.code(), Some(0));
        let help = text(&output.stdout);
        for part in
            ["Usage: dsync [OPTION]... SRC... DEST\n", "\nDeleting:\n", "--remote-path", "\nExamples:\n"]
        {
            assert!(help.contains(part), "{part:?} is missing in {help}");
        }
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn version_goes_to_standard_output() {
    for argument in ["-V", "--version"] {
        let output = dsync([argument]);
        assert_eq!(output.status.code(), Some(0));
        let expected = format!("dsync  version {}  protocol version ", env!("CARGO_PKG_VERSION"));
        assert!(text(&output.stdout).starts_with(&expected));
    }
    let json: serde_json::Value = serde_json::from_slice(&dsync(["-VV"]).stdout).expect("-VV is JSON");
    assert_eq!(json["program"], "dsync");
    assert_eq!(json["capabilities"]["symlinks"], true);
}

#[test]
fn listings_of_output_flags_are_no_errors() {
    let output = dsync(["--info=help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("\nPROGRESS "));
    assert_eq!(dsync(["--debug=help"]).status.code(), Some(0));
}

#[test]
fn no_arguments_are_answered_with_the_usage() {
    let output = dsync::<&str>([]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(text(&output.stderr).starts_with("Usage: dsync "));
}

#[test]
fn a_wrong_command_line_touches_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("source");
    fs::create_dir(&source).expect("making the source");
    fs::write(source.join("file"), "content").expect("filling the source");
    for (arguments, message) in [
        (&["-av", "--frobnicate", "source/", "made"][..], "dsync: --frobnicate: unknown option"),
        (&["-a%?", "source/", "made"], "dsync: -%: unknown option"),
        (&["-a", "--exlude=x", "source/", "made"], "dsync: --exlude: unknown option"),
        (&["-a", "--timeout=soon", "source/", "made"], "dsync: --timeout: the value \"soon\" is not valid"),
        (&["-a", "--bwlimit=1x", "source/", "made"], "dsync: --bwlimit: the value \"1x\" is not valid"),
        (&["-a", "-f", "nosuch x", "source/", "made"], "dsync: Filter rule \"nosuch x\""),
        (
            &["--delete", "source/", "made"],
            "dsync: --delete does not work without --recursive (-r) or --dirs (-d)",
        ),
        (&["-aR", "source/../source", "made"], "dsync: source/../source: there is a .. on a path"),
        (&["-a", "one:source", "source", "made"], "dsync: all sources must be on the same host"),
        (&["-a", "source/", "host::made"], "dsync: \"host::made\" names an rsync daemon"),
        (&["-a", "--", "source/", "-oProxyCommand=x:made"], "dsync: Remote operand"),
        (&["--server", "source/"], "dsync: --server takes no operands"),
    ] {
        let output = command(arguments).current_dir(folder.path()).output().expect("running dsync");
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(errors.starts_with(message), "{arguments:?}: {errors}");
        assert!(errors.ends_with("dsync error: syntax or usage error (code 1)\n"), "{arguments:?}: {errors}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!folder.path().join("made").exists(), "{arguments:?}");
    }
}

/// With rsync's code for what it cannot do.
#[test]
fn what_is_not_to_be_had_touches_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("source")).expect("making the source");
    for (option, message) in [
        ("--cc=crc32", "dsync: --checksum-choice: unknown checksum \"crc32\""),
        ("--cc=md5,crc32", "dsync: --checksum-choice: unknown checksum \"crc32\""),
        ("--zc=lzw", "dsync: --compress-choice: unknown compression \"lzw\""),
    ] {
        let output =
            command(["-a", option, "source/", "made"]).current_dir(folder.path()).output().expect("running");
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{option}: {errors}");
        assert!(errors.starts_with(message), "{option}: {errors}");
        assert!(errors.ends_with("dsync error: what is asked for is not supported (code 4)\n"), "{errors}");
        assert!(!folder.path().join("made").exists(), "{option}");
    }
}

#[test]
fn a_similar_option_is_suggested() {
    let output = dsync(["--delet", "a", "b"]);
    assert!(text(&output.stderr).contains("\n  hint: Did you mean --delete?\n"));
}

#[test]
fn a_missing_file_of_rules_is_a_file_error() {
    let output = dsync(["-a", "--exclude-from=/nonexistent/rules", "a", "b"]);
    assert_eq!(output.status.code(), Some(11));
    assert!(text(&output.stderr).starts_with("dsync: Reading filter rules from /nonexistent/rules: "));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = command(["--help"]).stdout(writer).status().expect("running dsync");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_full_standard_output_is_an_error() {
    let full = File::options().write(true).open("/dev/full").expect("opening /dev/full");
    let output = command(["--help"]).stdout(full).stderr(Stdio::piped()).output().expect("running dsync");
    assert_eq!(output.status.code(), Some(11));
    assert!(text(&output.stderr).starts_with("dsync: writing to standard output: "));
}
