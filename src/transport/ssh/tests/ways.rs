//! The ways to a server: through other servers, and through a program.

use std::fs;
use std::time::{Duration, Instant};

use super::sshd::{Sshd, keygen};
use super::{Heard, LONG, Script, echo_both_ways, host, output, within};
use crate::transport::ssh::{Options, connect};
use crate::transport::{Connection, Error, RemoteExit};

/// Two servers to jump through and one to reach. Each has keys of its own, and each is known from a file of its own.
struct Three {
    one: Sshd,
    two: Sshd,
    last: Sshd,
}

impl Three {
    fn start() -> Option<Self> {
        let [one, two] = ["LogLevel DEBUG", "LogLevel DEBUG"].map(Sshd::start);
        Some(Self { one: one?, two: two?, last: Sshd::start("")? })
    }

    /// Options with a configuration in which the hosts are called one, two and box, with these lines more.
    fn options(&self, [one, two, last]: [&str; 3]) -> Options {
        let text = [self.one.stanza("one", one), self.two.stanza("two", two), self.last.stanza("box", last)];
        fs::write(self.last.path("ssh_config"), text.concat()).unwrap();
        self.last.options(Script::nobody(), &Heard::default())
    }
}

fn run(options: &Options) -> Result<Connection, Error> {
    connect(&host("box"), b"echo here", options)
}

fn forwarded(sshd: &Sshd, to: &Sshd) -> bool {
    sshd.log().contains(&format!("target 127.0.0.1 port {}", to.port()))
}

#[test]
fn hosts_are_jumped_through_in_their_order() {
    let Some(three) = Three::start() else { return };
    for (lines, seen) in [
        (["", "", "ProxyJump one,two"], [true, true]),
        (["", "ProxyJump one", "ProxyJump two"], [true, true]),
    ] {
        assert_eq!(output(run(&three.options(lines)).unwrap()), "here\n", "{lines:?}");
        let seen_by = [forwarded(&three.one, &three.two), forwarded(&three.two, &three.last)];
        assert_eq!(seen_by, seen, "{lines:?}");
        fs::write(three.one.path("sshd.log"), "").unwrap();
    }
    assert!(!forwarded(&three.one, &three.last));
    assert_eq!(output(run(&three.options(["", "ProxyJump two", "ProxyJump one"])).unwrap()), "here\n");
    assert!(forwarded(&three.one, &three.last), "the list of the host itself counts, not that of others");
}

#[test]
fn every_step_is_told_to_whoever_asks() {
    let Some(three) = Three::start() else { return };
    let heard = Heard::default();
    let mut options = three.options(["", "", "ProxyJump one"]);
    options.tell_steps = true;
    let notices = heard.notices.clone();
    options.on_notice = std::sync::Arc::new(move |notice| notices.lock().unwrap().push(notice));
    assert_eq!(output(run(&options).unwrap()), "here\n");
    let told: Vec<String> = heard.notices.lock().unwrap().iter().map(ToString::to_string).collect();
    let told = told.join("\n");
    let (one, last) = (three.one.port(), three.last.port());
    let steps = [
        "ssh: asking \"ssh\" \"-G\"",
        &format!("one is 127.0.0.1 port {one}, user"),
        &format!("connecting to 127.0.0.1 at 127.0.0.1:{one}"),
        "offers the key ssh-ed25519 SHA256:",
        ": known",
        "the server is SSH-2.0-OpenSSH",
        "algorithms: ",
        "the server accepts publickey",
        "offering the key",
        "logged in as",
        &format!("box is 127.0.0.1 port {last}, user"),
        &format!("asking 127.0.0.1 to connect to 127.0.0.1 port {last}"),
        "running \"echo here\"",
    ];
    let mut rest = told.as_str();
    for step in steps {
        let found = rest.split_once(step);
        (_, rest) = found.unwrap_or_else(|| panic!("no {step:?} in its place in\n{told}"));
    }
}

#[test]
fn both_directions_full_do_not_stall_behind_others() {
    let Some(three) = Three::start() else { return };
    let connection = connect(&host("box"), b"cat", &three.options(["", "", "ProxyJump one,two"])).unwrap();
    let exit = within(LONG, move || echo_both_ways(connection, 24 << 20));
    assert_eq!(exit, Some(RemoteExit::Status(0)));
}

#[test]
fn several_channels_through_a_jump_and_an_end_that_the_servers_see() {
    let Some(three) = Three::start() else { return };
    let first = run(&three.options(["", "", "ProxyJump one"])).unwrap();
    let second = first.control.another().unwrap();
    assert_eq!(output(second), "here\n");
    assert_eq!(output(first), "here\n");
    let until = Instant::now() + LONG;
    while !three.one.log().contains("isconnected") {
        assert!(Instant::now() < until, "the server before was not told");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_server_that_dies_on_the_way_is_named() {
    let Some(three) = Three::start() else { return };
    let options = three.options(["", "", "ProxyJump one"]);
    let Connection { mut reader, writer, control } = connect(&host("box"), b"cat", &options).unwrap();
    three.one.end_sessions();
    let error = within(LONG, move || {
        let error = std::io::Read::read(&mut reader, &mut [0; 10]).unwrap_err();
        drop(writer);
        error
    });
    assert!(error.to_string().contains("which led to it, was lost"), "{error:?}");
    drop(control);
}

#[test]
fn every_host_on_the_way_has_to_be_known() {
    let Some(three) = Three::start() else { return };
    keygen(&three.one.path("other_key"), "ed25519", "");
    three.one.know("other_key.pub");
    let changed = run(&three.options(["", "", "ProxyJump one,two"])).unwrap_err();
    let port = format!("[127.0.0.1]:{}", three.one.port());
    assert!(matches!(&changed, Error::ChangedHostKey { host, .. } if *host == port), "{changed:?}");
    three.one.write_known_hosts("");
    let unknown = run(&three.options(["", "", "ProxyJump one,two"])).unwrap_err();
    assert!(matches!(&unknown, Error::UnknownHostKey { host, .. } if *host == port), "{unknown:?}");
    three.one.know("host_key.pub");
    three.last.write_known_hosts("");
    let unknown = run(&three.options(["", "", "ProxyJump one,two"])).unwrap_err();
    let port = format!("[127.0.0.1]:{}", three.last.port());
    assert!(matches!(&unknown, Error::UnknownHostKey { host, .. } if *host == port), "{unknown:?}");
}

#[test]
fn a_host_that_does_not_lead_on_is_named() {
    let Some(gate) = Sshd::start("AllowTcpForwarding no") else { return };
    let Some(open) = Sshd::start("") else { return };
    for (server, forbidden, advice) in [(&gate, true, "AllowTcpForwarding"), (&open, false, "sshd runs")] {
        let config = server.stanza("gate", "") + "Host box\nHostName 127.0.0.1\nPort 1\nProxyJump gate\n";
        fs::write(server.path("ssh_config"), config).unwrap();
        let error = run(&server.options(Script::nobody(), &Heard::default())).unwrap_err();
        assert!(
            matches!(&error, Error::Jump { port: 1, forbidden: said, .. } if *said == forbidden),
            "{error:?}"
        );
        assert!(error.hint().unwrap().contains(advice), "{error:?}");
    }
}

#[test]
fn hosts_that_are_reached_through_one_another_are_reached_by_nobody() {
    let Some(sshd) = Sshd::start("") else { return };
    fs::write(sshd.path("ssh_config"), "Host box\nProxyJump other\nHost other\nProxyJump box\n").unwrap();
    let error = run(&sshd.options(Script::nobody(), &Heard::default())).unwrap_err();
    assert!(matches!(error, Error::TooManyJumps { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("ProxyJump"));
}

#[test]
fn a_proxy_command_leads_to_the_host() {
    let Some(gate) = Sshd::start("") else { return };
    let Some(sshd) = Sshd::start("") else { return };
    fs::write(gate.path("ssh_config"), gate.stanza("gate", "")).unwrap();
    let gate_config = gate.path("ssh_config");
    sshd.configure(&format!("ProxyCommand ssh -F {} -W %h:%p gate", gate_config.display()));
    let connection =
        connect(&host("box"), b"cat", &sshd.options(Script::nobody(), &Heard::default())).unwrap();
    let exit = within(LONG, move || echo_both_ways(connection, 8 << 20));
    assert_eq!(exit, Some(RemoteExit::Status(0)));
}

#[test]
fn a_proxy_command_that_fails_is_named_with_its_words() {
    let Some(sshd) = Sshd::start("") else { return };
    let words = sshd.path("words");
    let command = format!("sh -c 'echo \"$@\" >{}; exit 7' x %h %n %p %r 100%%", words.display());
    sshd.configure(&format!("ProxyCommand {command}\nUser someone"));
    let error = run(&sshd.options(Script::nobody(), &Heard::default())).unwrap_err();
    assert!(error.to_string().contains("ended with exit code 7"), "{error:?}");
    assert!(error.hint().unwrap().contains("standard error"));
    let said = fs::read_to_string(words).unwrap();
    assert_eq!(said, format!("127.0.0.1 box {} someone 100%\n", sshd.port()));
    sshd.configure("ProxyCommand sleep 60");
    let mut options = sshd.options(Script::nobody(), &Heard::default());
    options.connect_timeout = Some(Duration::from_secs(1));
    let silent = within(LONG, move || run(&options).unwrap_err());
    assert!(matches!(silent, Error::Timeout { .. }), "{silent:?}");
}
