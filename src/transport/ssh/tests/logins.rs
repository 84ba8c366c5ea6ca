//! What is offered to a server for a login, what is not, and what is said when nothing helps.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use russh::MethodKind;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{KeypairData, SkEd25519};

use super::device::Device;
use super::in_process;
use super::sshd::{Agent, Sshd, keygen};
use super::without_sshd::Home;
use super::{Heard, Script, host, output};
use crate::transport::refusal::Refusal;
use crate::transport::ssh::{Choice, Options, connect};
use crate::transport::{Error, Notice};

fn options(sshd: &Sshd) -> Options {
    sshd.options(Script::nobody(), &Heard::default())
}

fn refused(options: &Options) -> Error {
    connect(&host("box"), b"true", options).unwrap_err()
}

fn refusal(error: &Error) -> &Refusal {
    let Error::Authentication(refusal) = error else { panic!("{error:?}") };
    refusal
}

/// A key of the user's that the server lets in.
fn accepted_key(sshd: &Sshd, kind: &str) -> PathBuf {
    let key = sshd.path(&format!("home/.ssh/accepted_{kind}"));
    keygen(&key, kind, "");
    fs::copy(key.with_extension("pub"), sshd.path("authorized_keys")).unwrap();
    key
}

#[test]
fn security_keys_log_in_through_the_agent() {
    let Some(sshd) = Sshd::start("") else { return };
    let device = Device::new();
    let public = device.public_key().to_openssh().unwrap();
    fs::write(sshd.path("authorized_keys"), format!("{public}\n")).unwrap();
    let key = KeypairData::SkEd25519(SkEd25519::new(device.public(), 1, vec![7; 64]).unwrap());
    let file = sshd.path("home/.ssh/id_device");
    let text = PrivateKey::new(key, "").unwrap().to_openssh(LineEnding::LF).unwrap();
    fs::write(&file, text.as_bytes()).unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let socket = sshd.path("device");
    device.serve(&socket);
    for lines in [
        format!("IdentityAgent {}\nIdentityFile none", socket.display()),
        format!("IdentityAgent {}\nIdentitiesOnly yes\nIdentityFile {}", socket.display(), file.display()),
    ] {
        sshd.configure(&lines);
        assert_eq!(output(connect(&host("box"), b"true", &options(&sshd)).unwrap()), "", "{lines}");
    }
    sshd.configure(&format!("IdentityFile {}", file.display()));
    let error = refused(&options(&sshd));
    assert!(error.to_string().contains("a security key that the agent does not hold"), "{error:?}");
    assert!(error.beyond_the_client().unwrap().contains("security key"), "{error:?}");
    assert!(error.hint().unwrap().contains("--ssh=external"), "{error:?}");
}

/// Twice a key is wanted here, and the agent is waited for once.
#[test]
fn an_agent_that_says_nothing_is_left_out() {
    let Some(sshd) = Sshd::start("AuthenticationMethods publickey,publickey") else { return };
    let first = fs::read_to_string(sshd.path("authorized_keys")).unwrap();
    let second = accepted_key(&sshd, "ecdsa");
    let public = fs::read_to_string(second.with_extension("pub")).unwrap();
    fs::write(sshd.path("authorized_keys"), first + &public).unwrap();
    let socket = sshd.path("silent");
    let _silent = UnixListener::bind(&socket).unwrap();
    sshd.configure(&format!("IdentityAgent {}\nIdentityFile {}", socket.display(), second.display()));
    let heard = Heard::default();
    let options =
        Options { agent_timeout: Duration::from_millis(50), ..sshd.options(Script::nobody(), &heard) };
    assert_eq!(output(connect(&host("box"), b"true", &options).unwrap()), "");
    let reason = format!("{}: it did not answer within 0.05 seconds", socket.display());
    assert_eq!(heard.notices.lock().unwrap()[..], [Notice::AgentSkipped { reason }]);
}

#[test]
fn a_server_that_allows_few_tries_gets_the_named_key_early() {
    let Some(sshd) = Sshd::start("MaxAuthTries 2") else { return };
    let key = accepted_key(&sshd, "ed25519");
    let agent = Agent::start(sshd.path("agent"));
    for name in ["one", "two", "three"] {
        keygen(&sshd.path(name), "ed25519", "");
        agent.add(&sshd.path(name));
    }
    agent.add(&key);
    let lines = format!("IdentityAgent {}", agent.socket.display());
    sshd.configure(&format!("{lines}\nIdentityFile none"));
    let error = refused(&options(&sshd));
    assert!(matches!(&error, Error::LoginEnded { tried, .. } if tried.len() == 2), "{error:?}");
    assert!(error.to_string().contains("Too many authentication failures"), "{error:?}");
    assert!(!error.is_of_the_line(), "{error:?}");
    assert!(error.hint().unwrap().contains("IdentitiesOnly"), "{error:?}");
    sshd.configure(&format!("{lines}\nIdentityFile {}", key.display()));
    assert_eq!(output(connect(&host("box"), b"true", &options(&sshd)).unwrap()), "");
}

#[test]
fn only_allowed_algorithms_log_in() {
    let Some(sshd) = Sshd::start("LogLevel DEBUG") else { return };
    let key = accepted_key(&sshd, "rsa");
    for (allowed, used) in [("rsa-sha2-256", "rsa-sha2-256"), ("rsa-sha2-512,rsa-sha2-256", "rsa-sha2-512")] {
        let before = sshd.log().len();
        sshd.configure(&format!("PubkeyAcceptedAlgorithms {allowed}\nIdentityFile {}", key.display()));
        assert_eq!(output(connect(&host("box"), b"true", &options(&sshd)).unwrap()), "", "{allowed}");
        assert!(sshd.log().get(before..).unwrap().contains(&format!("pkalg {used}")), "{allowed}");
    }
    for (lines, reason) in [
        ("PubkeyAcceptedAlgorithms ssh-ed25519", "PubkeyAcceptedAlgorithms does not have rsa-sha2-256"),
        ("RequiredRSASize 8192", "shorter than RequiredRSASize"),
    ] {
        sshd.configure(&format!("{lines}\nIdentityFile {}", key.display()));
        let error = refused(&options(&sshd));
        assert!(refusal(&error).untried[0].contains(reason), "{error:?}");
    }
}

#[test]
fn a_short_key_of_a_host_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    keygen(&dir.path().join("rsa"), "rsa", "");
    let Some(sshd) = Sshd::start(&format!("HostKey {}/rsa", dir.path().display())) else { return };
    let key = fs::read_to_string(dir.path().join("rsa.pub")).unwrap();
    sshd.write_known_hosts(&format!("127.0.0.1 {key}"));
    sshd.configure("HostKeyAlgorithms rsa-sha2-512");
    assert_eq!(output(connect(&host("box"), b"true", &options(&sshd)).unwrap()), "");
    sshd.configure("HostKeyAlgorithms rsa-sha2-512\nRequiredRSASize 4096");
    let error = refused(&options(&sshd));
    assert!(matches!(error, Error::ShortHostKey { bits: 3072, required: 4096, .. }), "{error:?}");
}

#[test]
fn without_strict_checking_a_host_with_another_key_is_told_no_secret() {
    let Some(sshd) = Sshd::start("") else { return };
    keygen(&sshd.path("other_key"), "ed25519", "");
    sshd.know("other_key.pub");
    sshd.configure("StrictHostKeyChecking no");
    let heard = Heard::default();
    let connection = connect(&host("box"), b"true", &sshd.options(Script::nobody(), &heard)).unwrap();
    assert_eq!(output(connection), "");
    assert!(matches!(heard.notices.lock().unwrap()[..], [Notice::HostKeyDiffers { line: 1, .. }]));
    let known = fs::read_to_string(sshd.path("home/.ssh/known_hosts")).unwrap();
    assert_eq!(known.lines().count(), 1, "nothing is added beside the other key");

    let server = in_process::start(&[MethodKind::Password, MethodKind::KeyboardInteractive]);
    let Some(home) = Home::new(server.address.port(), "StrictHostKeyChecking no") else { return };
    let other = fs::read_to_string(sshd.path("other_key.pub")).unwrap();
    home.write_known_hosts(&format!("[127.0.0.1]:{} {other}", server.address.port()));
    let script = Script::of(&["right"]);
    let error = refused(&home.options(&script, &Heard::default()));
    assert!(error.to_string().contains("the host's key is not the known one"), "{error:?}");
    assert!(script.asked().is_empty());
}

#[test]
fn a_step_that_was_accepted_and_the_next_that_cannot_be_asked_for_are_both_told() {
    let Some(sshd) = Sshd::start("PasswordAuthentication yes\nAuthenticationMethods publickey,password")
    else {
        return;
    };
    let error = refused(&options(&sshd));
    let Refusal { tried, untried, accepted, .. } = refusal(&error);
    assert!(tried[0].contains("id_test"), "{error:?}");
    assert_eq!(untried, &["password (there is no terminal to ask at)"]);
    assert_eq!(accepted, &["password"]);
    sshd.configure("PasswordAuthentication no");
    let error = refused(&options(&sshd));
    assert!(error.to_string().contains("password (turned off by the configuration)"), "{error:?}");
    assert!(error.hint().unwrap().contains("has to allow what the host accepts"), "{error:?}");
}

#[test]
fn where_the_configuration_turns_off_what_the_server_accepts_no_key_helps() {
    let Some(sshd) = Sshd::start("") else { return };
    fs::write(sshd.path("authorized_keys"), "").unwrap();
    let somebody = || Script::of(&[]);
    for (lines, script, turned_off) in [
        ("PubkeyAuthentication no", Script::nobody(), true),
        ("PreferredAuthentications password", somebody(), true),
        ("KbdInteractiveAuthentication no", Script::nobody(), false),
    ] {
        sshd.configure(lines);
        let error = refused(&sshd.options(script, &Heard::default()));
        assert_eq!(refusal(&error).turned_off, turned_off, "{lines}: {error}");
        let advice = if turned_off { "has to allow what the host accepts" } else { "Offer a key" };
        assert!(error.hint().unwrap().contains(advice), "{lines}: {error}");
    }
}

/// A connection that `ssh` shares. Dropping it ends it.
struct Master(Child);

impl Master {
    fn start(sshd: &Sshd) -> Master {
        let mut command = Command::new("ssh");
        command.arg("-F").arg(sshd.path("ssh_config")).args(["-M", "-N", "box"]).stdin(Stdio::null());
        let master = Master(command.spawn().unwrap());
        while !sshd.path("control").exists() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        master
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

#[test]
fn a_connection_that_the_program_shares_is_used_where_nothing_else_lets_us_in() {
    let Some(mut sshd) = Sshd::start("MaxAuthTries 2") else { return };
    let control = format!("ControlPath {}", sshd.path("control").display());
    sshd.configure(&control);
    let _master = Master::start(&sshd);
    let shared = |sshd: &Sshd, why: &str| {
        let heard = Heard::default();
        let options = Options { choice: Choice::Auto, ..sshd.options(Script::nobody(), &heard) };
        let shared = connect(&host("box"), b"echo shared", &options).map(output);
        assert_eq!(shared.unwrap_or_else(|error| panic!("{why}: {error}")), "shared\n");
        assert!(heard.notices.lock().unwrap()[0].to_string().contains("ControlPath"), "{why}");
        let built_in = Options { choice: Choice::BuiltIn, ..options };
        refused(&built_in)
    };
    fs::write(sshd.path("authorized_keys"), "").unwrap();
    let error = shared(&sshd, "no key is accepted");
    assert!(matches!(error, Error::Authentication(_)), "{error:?}");

    let keys = ["one", "two", "three"].map(|name| {
        keygen(&sshd.path(name), "ed25519", "");
        format!("IdentityFile {}", sshd.path(name).display())
    });
    sshd.configure(&format!("{control}\n{}", keys.join("\n")));
    let error = shared(&sshd, "too many keys are not accepted");
    assert!(matches!(error, Error::LoginEnded { .. }), "{error:?}");

    sshd.configure(&format!("{control}\nProxyCommand false"));
    let error = shared(&sshd, "the proxy does not lead there");
    assert!(matches!(error, Error::Proxy { .. }), "{error:?}");

    sshd.configure(&control);
    sshd.listen_no_more();
    let error = shared(&sshd, "nobody listens");
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
}

#[test]
fn a_connection_that_the_program_shares_is_not_used_where_the_host_is_not_to_be_trusted() {
    let Some(sshd) = Sshd::start("") else { return };
    let control = format!("ControlPath {}\nStrictHostKeyChecking yes", sshd.path("control").display());
    sshd.configure(&control);
    let _master = Master::start(&sshd);
    keygen(&sshd.path("other_key"), "ed25519", "");
    sshd.know("other_key.pub");
    let options = Options { choice: Choice::Auto, ..options(&sshd) };
    let error = refused(&options);
    assert!(matches!(error, Error::ChangedHostKey { .. }), "{error:?}");
    sshd.write_known_hosts("");
    let error = refused(&options);
    assert!(matches!(error, Error::UnknownHostKey { .. }), "{error:?}");
}

#[test]
fn methods_that_only_the_program_does_are_named() {
    let server = in_process::start(&[MethodKind::HostBased]);
    for (lines, beyond) in [("HostbasedAuthentication yes", true), ("", false)] {
        let Some(home) = Home::new(server.address.port(), lines) else { return };
        let error = refused(&home.options(&Script::nobody(), &Heard::default()));
        assert_eq!(error.beyond_the_client().is_some(), beyond, "{error:?}");
        assert_eq!(
            error.to_string().contains("hostbased (which this client does not do)"),
            beyond,
            "{error:?}"
        );
    }
}
