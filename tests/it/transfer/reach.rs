//! How hosts are reached that take more than a connection, and what is said when one is not.

use crate::support::command::{self, Output, dsync};
use crate::support::login::{Login, new_key, user};
use crate::support::scene::Scene;
use crate::support::transport::{login_options, remote};
use crate::support::tree::Tree;
use crate::support::{russh_server, sshd, tools};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use uzers::os::unix::UserExt as _;

/// What a configuration says about a server.
fn stanza(name: &str, login: &Login, more: &str) -> String {
    format!(
        "Host {name}\n{more}\nHostName 127.0.0.1\nPort {}\nUser {}\nIdentityFile {}\nIdentitiesOnly yes\n\
         IdentityAgent none\nUserKnownHostsFile {}\nGlobalKnownHostsFile /dev/null\n",
        login.port,
        user(),
        login.key.display(),
        login.directory.join("known_hosts").display(),
    )
}

/// Files to copy and a configuration to reach the host of the tests.
struct Trip {
    scene: Scene,
    config: PathBuf,
}

impl Trip {
    fn new(config: &str) -> Trip {
        let scene = Scene::with_source(&Tree::new().file("file", "x").file("sub/other", vec![7; 300_000]));
        let path = scene.path("ssh_config");
        fs::write(&path, config).unwrap();
        Trip { scene, config: path }
    }

    fn push(&self, options: &[&str]) -> command::Invocation {
        let operands = [self.scene.path("source/").into_os_string(), remote(self.scene.path("to"))];
        dsync(login_options(&self.config)).args(["-a"]).args(options).args(operands)
    }

    fn pull(&self, options: &[&str]) -> command::Invocation {
        let operands = [remote(self.scene.path("source/")), self.scene.path("back").into_os_string()];
        dsync(login_options(&self.config)).args(["-a"]).args(options).args(operands)
    }

    /// Pushes and pulls, and checks that everything arrives.
    #[track_caller]
    fn works(&self, options: &[&str]) -> [Output; 2] {
        let outputs = [self.push(options).run().expect(0), self.pull(options).run().expect(0)];
        for name in ["to", "back"] {
            assert_eq!(self.scene.paths(name), ["file", "sub", "sub/other"], "{name}");
        }
        outputs
    }
}

#[test]
fn a_host_behind_another() {
    let (Some(gate), Some(last)) = (sshd::login_with(""), sshd::login()) else { return };
    Trip::new(&[stanza("gate", &gate, ""), stanza("loop", last, "ProxyJump gate")].concat()).works(&[]);
    let trip = Trip::new(&stanza("gate", &gate, ""));
    let command = format!("ProxyCommand ssh -F {} -W %h:%p gate", trip.config.display());
    Trip::new(&stanza("loop", last, &command)).works(&[]);
}

#[test]
fn the_program_does_what_is_asked_of_it() {
    if command::is_rsync() {
        return tools::not_for_rsync("it has no client of its own");
    }
    let Some(login) = sshd::login() else { return };
    Trip::new(&stanza("loop", login, "")).works(&["--ssh=external", "--streams=2"]);
    let told = |more: &str, options: &[&str]| {
        Trip::new(&stanza("loop", login, more)).works(options).map(|output| output.err())
    };
    for err in told("KnownHostsCommand /bin/true", &[]) {
        assert!(
            err.contains("through the ssh program, since the configuration for loop sets KnownHostsCommand"),
            "{err}"
        );
    }
    for err in told("", &[]) {
        assert_eq!(err, "");
    }
    let trip = Trip::new(&stanza("loop", login, "KnownHostsCommand /bin/true"));
    let refused = trip.push(&["--ssh=builtin"]).run().expect(255);
    assert!(refused.err().contains("--ssh=external"), "{refused}");
    let wrong = trip.push(&["--ssh=telnet"]).run().expect(1);
    assert!(wrong.err().contains("builtin, external or auto"), "{wrong}");
}

#[test]
fn each_step_is_told_to_whoever_asks() {
    if command::is_rsync() {
        return tools::not_for_rsync("its remote shell tells");
    }
    let Some(login) = sshd::login() else { return };
    let trip = Trip::new(&stanza("loop", login, ""));
    for option in ["--ssh-debug", "-vvv"] {
        let err = trip.push(&[option]).run().expect(0).err();
        for part in [
            "ssh: loop is 127.0.0.1 port",
            "SHA256:",
            ": known",
            "offering the key",
            "logged in as",
            "--server",
        ] {
            assert!(err.contains(part), "{option}: no {part:?} in {err}");
        }
    }
    assert_eq!(trip.push(&["-vv"]).run().success().err(), "");
}

/// Whoever has another's HOME, as by `sudo -E`, gets what `ssh` would take, and not half of each.
#[test]
fn keys_are_looked_for_in_the_home_of_the_account() {
    if command::is_rsync() {
        return tools::not_for_rsync("its remote shell tells");
    }
    let Some(login) = sshd::login() else { return };
    let trip = Trip::new(&stanza("loop", login, "IdentityFile ~/.ssh/of_nobody"));
    let push = trip.push(&["--ssh-debug"]).variable("HOME", trip.scene.path("home").display());
    let err = push.run().expect(0).err();
    let account = uzers::get_user_by_uid(uzers::get_effective_uid()).unwrap();
    let key = account.home_dir().join(".ssh/of_nobody");
    assert!(err.contains(&format!("identity files: {}, ", key.display())), "{err}");
}

#[test]
fn a_program_gives_the_passphrase_where_there_is_no_terminal() {
    let Some(login) = sshd::login() else { return };
    let mut locked = login.clone();
    let files = Scene::new();
    locked.key = files.path("locked");
    fs::copy(&login.key, &locked.key).unwrap();
    let keygen = ["-q", "-p", "-P", "", "-N", "open sesame", "-f"];
    let program = tools::find("ssh-keygen").expect("it comes with sshd");
    command::Invocation::new(&program, keygen).args([&locked.key]).run().success();
    let ask = files.path("ask");
    fs::write(
        &ask,
        format!("#!/bin/sh\necho \"$1\" >>{}\necho open sesame\n", files.path("asked").display()),
    )
    .unwrap();
    fs::set_permissions(&ask, fs::Permissions::from_mode(0o700)).unwrap();
    let trip = Trip::new(&stanza("loop", &locked, ""));
    let Some(run) = trip.push(&[]).without_terminal() else { return };
    run.clone()
        .variable("SSH_ASKPASS", ask.display())
        .variable("SSH_ASKPASS_REQUIRE", "force")
        .run()
        .success();
    let asked = String::from_utf8(files.read("asked")).unwrap();
    assert!(asked.contains("assphrase for key"), "{asked}");
    let refused =
        run.variable("SSH_ASKPASS", ask.display()).variable("SSH_ASKPASS_REQUIRE", "never").run().expect(255);
    if !command::is_rsync() {
        for part in [
            "it has a passphrase, and there is no terminal to ask at",
            "accepts publickey",
            "hint: Offer a key",
        ] {
            assert!(refused.err().contains(part), "{part}: {refused}");
        }
    }
}

/// Each way in which a host is not reached ends with the advice that fits it.
#[test]
fn every_failure_ends_with_advice() {
    if command::is_rsync() {
        return tools::not_for_rsync("its remote shell says what it says");
    }
    let Some(login) = sshd::login() else { return };
    let files = Scene::new();
    let with_hosts = |name: &str, text: &str| {
        fs::write(files.path(name), text).unwrap();
        format!("UserKnownHostsFile {}", files.path(name).display())
    };
    let other = new_key().public_key().to_openssh().unwrap();
    let changed = with_hosts("changed", &format!("[127.0.0.1]:{} {other}\n", login.port));
    let unknown = with_hosts("unknown", "");
    let strict = format!("lets nobody be asked; add the key to {}", files.path("unknown").display());
    let strange_key = Login { key: russh_server::login().key.clone(), ..login.clone() };
    let say_nothing = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let no_ssh = format!("Port {}", say_nothing.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in say_nothing.incoming().map_while(Result::ok) {
            use std::io::Write as _;
            let _ = (&stream).write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
        }
    });
    let cases: [(&str, String, &[&str], i32, &str); 13] = [
        ("unknown key", stanza("loop", login, &unknown), &[], 255, "Connect once from a terminal"),
        (
            "unknown key, and strict",
            stanza("loop", login, &format!("StrictHostKeyChecking yes\n{unknown}")),
            &[],
            255,
            &strict,
        ),
        (
            "all turned off",
            stanza("loop", login, "PubkeyAuthentication no"),
            &[],
            255,
            "has to allow what the host accepts",
        ),
        (
            "no address of that kind",
            stanza("loop", login, ""),
            &["-6"],
            255,
            "Leave the choice of addresses out: -6",
        ),
        ("changed key", stanza("loop", login, &changed), &[], 255, "remove line 1 of"),
        (
            "no method left",
            stanza("loop", &strange_key, "BatchMode yes"),
            &[],
            255,
            "Offer a key that the host knows",
        ),
        ("refused", stanza("loop", login, "Port 1"), &[], 255, "Nothing listens there"),
        (
            "no such name",
            stanza("loop", login, "HostName no-such-host.invalid"),
            &[],
            255,
            "Check the spelling",
        ),
        ("no SSH", stanza("loop", login, &no_ssh), &[], 255, "Give the port that its SSH server listens at"),
        (
            "nothing in common",
            stanza("loop", login, "Ciphers 3des-cbc"),
            &["--ssh=builtin"],
            255,
            "--ssh=external",
        ),
        (
            "the program does not get there",
            stanza("loop", login, "Port 1"),
            &["--ssh=external"],
            255,
            "What the remote shell said above tells why",
        ),
        ("no program", stanza("loop", login, ""), &["--remote-path=/no/such/dsync"], 127, "--remote-path"),
        ("another program", stanza("loop", login, ""), &["--remote-path=echo hello;"], 2, "login scripts"),
    ];
    for (name, config, options, code, advice) in cases {
        let trip = Trip::new(&config);
        let Some(run) = trip.push(options).without_terminal() else { return };
        assert_advice(&run.run().expect(code), advice, name);
        assert!(!trip.scene.path("to").exists(), "{name}");
    }
}

/// Fails the test unless a run ended with this piece of advice, and no other.
#[track_caller]
fn assert_advice(output: &Output, advice: &str, name: &str) {
    let err = output.err();
    let hints: Vec<&str> = err.lines().filter(|line| line.trim_start().starts_with("hint: ")).collect();
    assert!(matches!(hints[..], [hint] if hint.contains(advice)), "{name}: {output}");
}

/// So does a run whose peer is killed.
#[test]
fn a_peer_that_is_killed_ends_with_advice() {
    if command::is_rsync() {
        return tools::not_for_rsync("it gives no advice");
    }
    let Some(login) = sshd::login() else { return };
    let killer = "{ dd bs=1 count=1000 2>/dev/null; kill -KILL $$; }";
    let program = format!("--remote-path={} --server | {killer}; :", command::binary().display());
    let output = Trip::new(&stanza("loop", login, "")).pull(&[&program]).run().expect(12);
    assert!(output.err().contains("the remote dsync was lost (signal KILL ended it)"), "{output}");
    assert_advice(&output, "a lack of memory", "a peer that is killed");
}
