//! Where the key of a host is looked up, and under which name.

use std::fs;
use std::path::PathBuf;

use super::sshd::{Sshd, keygen};
use super::{Heard, Script, host, output};
use crate::transport::ssh::connect;
use crate::transport::{Connection, Error};

fn run(sshd: &Sshd) -> Result<Connection, Error> {
    connect(&host("box"), b"echo here", &sshd.options(Script::nobody(), &Heard::default()))
}

/// The server's key and another one, as lines of a file have them.
fn keys(sshd: &Sshd) -> [String; 2] {
    keygen(&sshd.path("other_key"), "ed25519", "");
    ["host_key.pub", "other_key.pub"].map(|name| fs::read_to_string(sshd.path(name)).unwrap())
}

#[test]
fn a_host_is_known_by_its_alias_and_by_nothing_else() {
    let Some(sshd) = Sshd::start("") else { return };
    let ([key, other], port) = (keys(&sshd), sshd.port());
    sshd.configure("HostKeyAlias The-Alias");
    sshd.write_known_hosts(&format!("[127.0.0.1]:{port} {other}the-alias {key}"));
    assert_eq!(output(run(&sshd).unwrap()), "here\n");
    sshd.write_known_hosts(&format!("the-alias {other}[127.0.0.1]:{port} {key}"));
    let changed = run(&sshd).unwrap_err();
    assert!(
        matches!(&changed, Error::ChangedHostKey { host, line: 1, .. } if host == "the-alias"),
        "{changed:?}"
    );
    sshd.write_known_hosts("");
    sshd.configure("HostKeyAlias The-Alias\nStrictHostKeyChecking accept-new");
    assert_eq!(output(run(&sshd).unwrap()), "here\n");
    let stored = fs::read_to_string(sshd.path("home/.ssh/known_hosts")).unwrap();
    assert!(stored.starts_with("the-alias ssh-ed25519 "), "{stored}");
}

#[test]
fn each_file_of_known_hosts_counts() {
    let Some(sshd) = Sshd::start("") else { return };
    let [key, _] = keys(&sshd);
    let files: [PathBuf; 4] = ["one", "two", "three", "four"].map(|name| sshd.path(name));
    let [one, two, three, four] = files.each_ref().map(|file| file.display());
    let lines = format!("UserKnownHostsFile {one} {two}\nGlobalKnownHostsFile {three} {four}");
    sshd.configure(&lines);
    for file in &files {
        assert!(matches!(run(&sshd).unwrap_err(), Error::UnknownHostKey { .. }), "{}", file.display());
        fs::write(file, format!("[127.0.0.1]:{} {key}", sshd.port())).unwrap();
        assert_eq!(output(run(&sshd).unwrap()), "here\n", "{}", file.display());
        fs::remove_file(file).unwrap();
    }
    // A host that is met is recorded in the first, and a word against it holds wherever it is.
    sshd.configure(&format!("StrictHostKeyChecking accept-new\n{lines}"));
    assert_eq!(output(run(&sshd).unwrap()), "here\n");
    assert_eq!(files.each_ref().map(|file| file.exists()), [true, false, false, false]);
    fs::write(&files[3], format!("@revoked * {key}")).unwrap();
    let revoked = run(&sshd).unwrap_err();
    assert!(matches!(&revoked, Error::RevokedHostKey { file, .. } if *file == files[3]), "{revoked:?}");
}
