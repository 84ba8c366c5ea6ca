//! What is left to the `ssh` program, and what never is.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

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
    assert!(matches!(refused, Error::Directive { directive: "RevokedHostKeys", .. }), "{refused:?}");
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
        assert!(matches!(&refused, Error::Algorithms { kind: said, .. } if *said == kind), "{refused:?}");
        assert!(refused.hint().unwrap().contains("--ssh=external"), "{refused:?}");
        assert!(!refused.is_of_the_line(), "{refused:?}");
    }
}

/// The program reads the same configuration, so it has nothing more to offer.
#[test]
fn a_server_that_the_configuration_has_no_algorithm_for_is_left_alone() {
    let Some(sshd) = Sshd::start("Ciphers aes256-ctr") else { return };
    sshd.configure("Ciphers aes128-ctr");
    let heard = Heard::default();
    let refused = connect(&host("box"), b"true", &options(&sshd, Choice::Auto, &heard)).unwrap_err();
    assert!(matches!(refused, Error::Algorithms { kind: "cipher", .. }), "{refused:?}");
    assert!(refused.hint().unwrap().contains("Allow one that the server offers"), "{refused:?}");
    assert!(externals(&heard).is_empty());
}

/// A script that can be run at once: one written by this process may still be open in a child that another test is
/// starting, and then cannot.
fn executable(sshd: &Sshd, name: &str, text: &str) -> PathBuf {
    let file = sshd.path(name);
    let mut shell = Command::new("/bin/sh");
    let written = shell.args(["-c", "printf %s \"$1\" >\"$0\" && chmod 700 \"$0\""]);
    assert!(written.arg(&file).arg(text).status().unwrap().success());
    file
}

#[test]
fn key_files_that_only_the_program_reads_are_left_to_it_before_anything_is_asked() {
    let Some(sshd) = Sshd::start("PasswordAuthentication yes") else { return };
    let run = |program: &str, arguments: &str| {
        let command = &mut Command::new(program);
        let made = command.args(arguments.split(' ')).current_dir(sshd.path("home/.ssh")).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    run("ssh-keygen", "-q -t ecdsa -m PEM -N secret -f pem");
    run("ssh-keygen", "-q -t ed25519 -Z 3des-cbc -N secret -f own");
    run("ssh-keygen", "-q -t rsa -b 2048 -m PEM -N  -f 3des");
    run("openssl", "rsa -in 3des -traditional -des3 -passout pass:secret -out 3des");
    let askpass = executable(&sshd, "askpass", "#!/bin/sh\necho secret\n");
    let asking = format!("SSH_ASKPASS_REQUIRE=force SSH_ASKPASS={} exec ssh \"$@\"\n", askpass.display());
    let program = executable(&sshd, "ssh", &format!("#!/bin/sh\n{asking}"));
    for name in ["pem", "own", "3des"] {
        let key = sshd.path(&format!("home/.ssh/{name}"));
        fs::rename(key.with_extension("pub"), sshd.path("authorized_keys")).unwrap();
        sshd.configure(&format!("IdentityFile {}\nNumberOfPasswordPrompts 1", key.display()));
        let (heard, script) = (Heard::default(), Script::of(&["no"]));
        let mut options = Options { choice: Choice::Auto, ..sshd.options(Arc::clone(&script), &heard) };
        options.environment.ssh_program = program.clone().into();
        assert_eq!(output(connect(&host("box"), b"echo here", &options).unwrap()), "here\n");
        assert_eq!(script.asked(), [""; 0], "{name}");
        let [notice] = &externals(&heard)[..] else { panic!("{:?}", externals(&heard)) };
        assert!(notice.contains(&format!("only it can read the key {}", key.display())), "{notice}");

        options.choice = Choice::BuiltIn;
        let refused = connect(&host("box"), b"true", &options).unwrap_err();
        assert!(refused.to_string().contains("in a form that this client does not read"), "{refused:?}");
        let advice = format!("ssh-keygen -p -f {}", key.display());
        assert!(refused.hint().unwrap().contains(&advice), "{refused:?}");
        assert!(matches!(&script.asked()[..], [asked] if asked.contains("password")), "{:?}", script.asked());

        options.prompter = Script::nobody();
        let refused = connect(&host("box"), b"true", &options).unwrap_err();
        assert!(refused.to_string().contains("it has a passphrase, and there is no terminal"), "{refused:?}");

        // What the advice is good for.
        run("ssh-keygen", &format!("-q -p -P secret -N secret -f {name}"));
        options.prompter = Script::of(&["secret"]);
        assert_eq!(output(connect(&host("box"), b"true", &options).unwrap()), "", "{name}");
    }
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut options =
        super::options(dir.path(), &dir.path().join("none"), Script::nobody(), &Heard::default());
    options.choice = Choice::External;
    options.environment.ssh_program = "/nonexistent/ssh".into();
    let error = connect(&host("box"), b"true", &options).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/ssh"), "{error:?}");
    assert!(error.hint().unwrap().contains("OpenSSH client"), "{error:?}");
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
        options.environment.ssh_program = executable(&sshd, &format!("ssh-{name}"), &script).into();
        let refused = connect(&host("box"), b"true", &options).unwrap_err();
        assert!(refused.beyond_the_client().is_none(), "{name}: {refused}");
        assert!(externals(&heard).is_empty() && !trap.exists(), "{name}");
    }
}
