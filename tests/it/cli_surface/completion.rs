//! Completions for shells, as `--generate` makes them and as the shells themselves read them.

use crate::cli_surface::{dsync, text};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn script(kind: &str) -> String {
    let output = dsync([format!("--generate={kind}")]);
    assert_eq!(output.status.code(), Some(0), "{kind}");
    text(&output.stdout)
}

/// A shell, if it is installed; which ones are is nobody's duty.
fn shell(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.exists());
    if found.is_none() {
        println!("skipped: {name} is not installed");
    }
    found
}

/// What a shell says to a script on its standard input.
fn read_by(shell: PathBuf, arguments: &[&str], script: &str) -> String {
    let mut child = Command::new(shell)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starting a shell");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(script.as_bytes()).expect("writing to a shell");
    drop(input);
    let output = child.wait_with_output().expect("waiting for a shell");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn shells_can_read_their_scripts() {
    for (name, arguments) in [("bash", &["-n"][..]), ("zsh", &["-n"]), ("fish", &["--no-execute"])] {
        if let Some(shell) = shell(name) {
            assert_eq!(read_by(shell, arguments, &script(&format!("complete-{name}"))), "");
        }
    }
}

#[test]
fn bash_completes_what_was_begun() {
    let Some(bash) = shell("bash") else { return };
    let complete = |word: &str| {
        let ask = format!(
            "\nCOMP_WORDS=(dsync -a {word})\nCOMP_CWORD=2\n_dsync dsync {word} -a\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
        );
        read_by(bash.clone(), &["--norc"], &(script("complete-bash") + &ask))
    };
    assert_eq!(complete("--two"), "--two-way\n");
    assert!(complete("--del").lines().any(|line| line == "--delete-excluded"));
    assert_eq!(complete("--secl"), "\n");
}

#[test]
fn the_manual_comes_with_the_program() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/man/dsync.1")).expect("the page");
    assert_eq!(script("man"), page);
    assert_eq!(dsync(["--generate=pdf"]).status.code(), Some(1));
}
