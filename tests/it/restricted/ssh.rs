//! Through OpenSSH's server, by the line of `authorized_keys` that the manual page has.

use super::{Jail, there};
use crate::support::command::{binary, dsync, is_rsync};
use crate::support::login::Login;
use crate::support::sshd;
use crate::support::tools;
use crate::support::transport::login_options;
use std::fs;
use std::path::Path;

/// A way in that leads to a server restricted to `jail` and nowhere else.
fn login(jail: &Path, restriction: &str) -> Option<Login> {
    if is_rsync() {
        tools::not_for_rsync("rsync has a script for it");
        return None;
    }
    let (program, jail) = (binary().display(), jail.display());
    sshd::login_to(&format!("{program} --server --restrict {jail} {restriction}"))
}

#[test]
fn a_key_of_its_own_is_enough() {
    let jail = Jail::new();
    let Some(login) = login(&jail.scene.path("jail"), "") else { return };
    let run = |arguments: &[&str]| {
        let options = login_options(&login.config);
        let output = dsync(options).args(arguments.iter().map(|word| (*word).to_owned()));
        output.current_dir(jail.scene.root()).run()
    };
    run(&["-a", "here/", &there("docs/")]).success();
    assert_eq!(jail.scene.read("jail/docs/f"), b"newer content");
    run(&["-a", &there("docs/g"), "to/"]).success();
    assert_eq!(jail.scene.read("to/g"), b"too");
    let listed = run(&[&there("")]).success().out();
    assert!(listed.contains("docs") && !listed.contains("outside"), "{listed}");
    run(&["-2", "here", &there("both")]).expect(41);
    fs::create_dir(jail.scene.path("jail/both")).unwrap();
    run(&["-2", "here", &there("both")]).success();
    assert_eq!(jail.scene.read("jail/both/new"), b"new");
    fs::remove_file(jail.scene.path("here/new")).unwrap();
    run(&["-2", "here", &there("both")]).success();
    assert!(!jail.scene.path("jail/both/new").exists());
    for path in ["../outside/", "/../outside/", "out/"] {
        let output = run(&["-a", &there(path), "to/"]).expect(23);
        assert!(output.err().contains("leads out"), "{output}");
        jail.assert_outside_untouched(path, &output);
        let output = run(&["-a", "here/", &there(path)]).expect(3);
        jail.assert_outside_untouched(path, &output);
    }
    // The command that the client has is nobody's concern.
    let output = run(&["-a", "--remote-path=touch outside/touched;", &there("docs/f"), "to/"]).success();
    jail.assert_outside_untouched("another command", &output);
}

/// The line was written by somebody else than who is told.
#[test]
fn what_is_wrong_with_the_line_is_told_once() {
    let jail = Jail::new();
    let no_such = jail.scene.path("no-such");
    for (dir, restriction, told, code) in [
        (no_such.as_path(), "", "no-such: opening directory: No such file or directory", 11),
        (&jail.scene.path("jail"), "--archive", "does not heed --archive", 1),
        (&jail.scene.path("jail"), "--read-only --write-only", "leave nothing to serve", 1),
    ] {
        let Some(login) = login(dir, restriction) else { return };
        let config = login.config.display();
        for way in [format!("--ssh-config={config}"), format!("-essh -o BatchMode=yes -F {config}")] {
            let output = dsync(["-a".to_owned(), way, "here/".to_owned(), there("docs/")]);
            let output = output.current_dir(jail.scene.root()).run().expect(code);
            assert_eq!(output.err().matches(told).count(), 1, "{output}");
            assert!(output.err().contains("on the remote side: "), "{output}");
            assert_eq!(jail.scene.read("jail/docs/f"), b"inside");
        }
    }
}

#[test]
fn a_mode_is_part_of_the_line() {
    for (restriction, refused, told) in [
        ("--read-only", ["here/", "host:docs/"], "writing here is refused"),
        ("--write-only", ["host:docs/", "to/"], "reading here is refused"),
    ] {
        let jail = Jail::new();
        let Some(login) = login(&jail.scene.path("jail"), restriction) else { return };
        let ends = refused.map(|end| end.strip_prefix("host:").map_or(end.to_owned(), there));
        let output = dsync(login_options(&login.config)).args(["-a".to_owned()]).args(ends);
        let output = output.current_dir(jail.scene.root()).run().expect(1);
        assert!(output.err().contains(told), "{output}");
    }
}
