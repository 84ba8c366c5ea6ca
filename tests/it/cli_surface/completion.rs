//! Completions for shells, as `--generate` makes them and as the shells themselves read them.

use crate::cli_surface::{dsync, text};
use crate::support::tools;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn script(kind: &str) -> String {
    let output = dsync([format!("--generate={kind}")]);
    assert_eq!(output.status.code(), Some(0), "{kind}");
    text(&output.stdout)
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
        if let Some(shell) = tools::find(name) {
            assert_eq!(read_by(shell, arguments, &script(&format!("complete-{name}"))), "");
        }
    }
}

#[test]
fn bash_completes_what_was_begun() {
    let Some(bash) = tools::find("bash") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("stable"), "").expect("a file");
    std::fs::write(folder.path().join("with blank"), "").expect("a file");
    // The words as bash parts them, of which the last is being completed.
    let complete = |words: &[&str]| {
        let [.., before, word] = words else { panic!("{words:?}") };
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let ask = format!(
            "\ncd '{}'\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_dsync dsync '{word}' '{before}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
            folder.path().display(),
            quoted.join(" "),
            words.len() - 1,
        );
        read_by(bash.clone(), &["--norc"], &(script("complete-bash") + &ask))
    };
    assert_eq!(complete(&["dsync", "-a", "--two"]), "--two-way\n");
    assert!(complete(&["dsync", "-a", "--del"]).lines().any(|line| line == "--delete-excluded"));
    assert!(complete(&["dsync", "-"]).lines().any(|line| line == "--archive"));
    assert_eq!(complete(&["dsync", "-a", "--secl"]), "\n");
    // Nothing, so that bash proposes files.
    assert_eq!(complete(&["dsync", "-a", ""]), "\n");
    assert_eq!(complete(&["dsync", "-a", "source/", "wi"]), "\n");
    assert_eq!(complete(&["dsync", "wi"]), "\n");
    let first = complete(&["dsync", ""]);
    let mut first: Vec<&str> = first.lines().collect();
    first.sort_unstable();
    assert_eq!(first, ["log", "stable", "status", "trash", "undo", "with blank"]);
    assert_eq!(complete(&["dsync", "sta"]), "status\nstable\n");
    for words in [
        &["dsync", "--generate", "=", "comp"][..],
        &["dsync", "--generate", "comp"],
        &["dsync", "-a", "--generate", "=", "comp"],
    ] {
        assert_eq!(complete(words), "complete-bash\ncomplete-zsh\ncomplete-fish\n", "{words:?}");
    }
    assert_eq!(complete(&["dsync", "--stderr", "="]), "errors\nall\nclient\n");
    assert_eq!(complete(&["dsync", "-2", "--conflict", "=", "ol"]), "older\n");
    assert_eq!(complete(&["dsync", "--outbuf", ""]), "N\nL\nB\n");
}

#[test]
fn the_manual_comes_with_the_program() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/man/dsync.1")).expect("the page");
    assert_eq!(script("man"), page);
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/man/dsync-events.schema.json");
    assert_eq!(script("events-schema"), std::fs::read_to_string(schema).expect("the schema"));
    assert_eq!(dsync(["--generate=pdf"]).status.code(), Some(1));
}
