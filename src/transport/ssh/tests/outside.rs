//! What is left to the `ssh` program, and what never is.

use std::fs;

use super::sshd::{Sshd, keygen};
use super::{Heard, Script, host, output};
use crate::transport::ssh::{Choice, Options, connect};
use crate::transport::{Error, Notice};

fn options(sshd: &Sshd, choice: Choice, heard: &Heard) -> Options {
    Options { choice, ..sshd.options(Script::nobody(), heard) }
}

fn externals(heard: &Heard) -> Vec<String> {
    let notices = heard.notices.lock().unwrap();
    notices.iter().filter(|notice| matches!(notice, Notice::External { .. })).map(Notice::to_string).collect()
}

#[test]
fn what_the_client_does_not_do_the_program_does_with_a_notice() {
    let Some(sshd) = Sshd::start("") else { return };
    fs::write(sshd.path("revoked"), "").unwrap();
    sshd.configure(&format!("RevokedHostKeys {}\nRemoteCommand false", sshd.path("revoked").display()));
    for choice in [Choice::Auto, Choice::External] {
        let heard = Heard::default();
        let connection = connect(&host("box"), b"echo $((40 + 2))", &options(&sshd, choice, &heard)).unwrap();
        let another = connection.control.another().unwrap();
        assert_eq!((output(connection), output(another)), ("42\n".to_owned(), "42\n".to_owned()));
        match choice {
            Choice::Auto => {
                assert_eq!(externals(&heard).len(), 1);
                assert!(externals(&heard)[0].contains("RevokedHostKeys"), "{:?}", externals(&heard));
            }
            _ => assert!(externals(&heard).is_empty(), "asked for, so there is nothing to say"),
        }
    }
    let refused = connect(&host("box"), b"true", &options(&sshd, Choice::BuiltIn, &Heard::default()));
    let refused = refused.unwrap_err();
    assert!(matches!(refused, Error::Directive { directive: "RevokedHostKeys", .. }), "{refused}");
    assert!(refused.hint().unwrap().contains("--ssh=external"));
}

#[test]
fn a_server_with_algorithms_that_only_the_program_has_is_reached_by_it() {
    for (lines, kind) in [
        ("KexAlgorithms sntrup761x25519-sha512@openssh.com", "key exchange"),
        ("Ciphers aes128-ctr\nMACs umac-128-etm@openssh.com", "MAC"),
    ] {
        let Some(sshd) = Sshd::start(lines) else { return };
        let heard = Heard::default();
        let connection = connect(&host("box"), b"echo here", &options(&sshd, Choice::Auto, &heard)).unwrap();
        assert_eq!(output(connection), "here\n");
        let [notice] = &externals(&heard)[..] else { panic!("{:?}", externals(&heard)) };
        assert!(notice.contains(&format!("no {kind} that the built-in client has")), "{notice}");
        let built_in = options(&sshd, Choice::BuiltIn, &Heard::default());
        let refused = connect(&host("box"), b"true", &built_in).unwrap_err();
        assert!(matches!(&refused, Error::Algorithms { kind: said, .. } if *said == kind), "{refused}");
        assert!(refused.hint().unwrap().contains("--ssh=external"), "{refused}");
        assert!(!refused.is_of_the_line(), "{refused}");
    }
}

/// The program reads the same configuration, so it has nothing more to offer.
#[test]
fn a_server_that_the_configuration_has_no_algorithm_for_is_left_alone() {
    let Some(sshd) = Sshd::start("Ciphers aes256-ctr") else { return };
    sshd.configure("Ciphers aes128-ctr");
    let heard = Heard::default();
    let refused = connect(&host("box"), b"true", &options(&sshd, Choice::Auto, &heard)).unwrap_err();
    assert!(matches!(refused, Error::Algorithms { kind: "cipher", .. }), "{refused}");
    assert!(refused.hint().unwrap().contains("Allow one that the server offers"), "{refused}");
    assert!(externals(&heard).is_empty());
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut options =
        super::options(dir.path(), &dir.path().join("none"), Script::nobody(), &Heard::default());
    options.choice = Choice::External;
    options.environment.ssh_program = "/nonexistent/ssh".into();
    let error = connect(&host("box"), b"true", &options).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/ssh"), "{error}");
    assert!(error.hint().unwrap().contains("OpenSSH client"), "{error}");
}

#[test]
fn a_host_that_is_not_to_be_trusted_is_not_tried_in_another_way() {
    let Some(sshd) = Sshd::start("") else { return };
    keygen(&sshd.path("other_key"), "ed25519", "");
    let key = fs::read_to_string(sshd.path("host_key.pub")).unwrap();
    // A shell that would let anybody in, were it asked.
    let trap = sshd.path("trap");
    for (name, prepare) in [
        ("unknown", Box::new(|| sshd.write_known_hosts("")) as Box<dyn Fn()>),
        ("changed", Box::new(|| sshd.know("other_key.pub"))),
        ("revoked", Box::new(|| sshd.write_known_hosts(&format!("@revoked * {key}")))),
    ] {
        prepare();
        sshd.configure("StrictHostKeyChecking yes");
        let heard = Heard::default();
        let mut options = options(&sshd, Choice::Auto, &heard);
        let script =
            format!("#!/bin/sh\ncase \"$*\" in *-G*) exec ssh \"$@\";; esac\ntouch {}\n", trap.display());
        let program = sshd.path(&format!("ssh-{name}"));
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        options.environment.ssh_program = program.into();
        let refused = connect(&host("box"), b"true", &options).unwrap_err();
        assert!(refused.beyond_the_client().is_none(), "{name}: {refused}");
        assert!(externals(&heard).is_empty() && !trap.exists(), "{name}");
    }
}
