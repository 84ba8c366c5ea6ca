use std::fs;
use std::io::{Read, Write};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::sshd::{Agent, Sshd, certify, keygen, login_name};
use super::{Heard, LONG, Script, echo_both_ways, host, output, within};
use crate::testing::find;
use crate::transport::ssh::{Options, connect};
use crate::transport::{Connection, Error, Notice, RemoteExit};

fn run(sshd: &Sshd, command: &str, prompter: &Arc<Script>) -> Result<Connection, Error> {
    connect(&host("box"), command.as_bytes(), &sshd.options(Arc::clone(prompter), &Heard::default()))
}

#[test]
fn both_directions_full_do_not_stall() {
    let Some(sshd) = Sshd::start("") else { return };
    let connection = run(&sshd, "cat", &Script::nobody()).unwrap();
    let exit = within(LONG, move || echo_both_ways(connection, 256 << 20));
    assert_eq!(exit, Some(RemoteExit::Status(0)));
}

/// The server wants new keys again and again while both directions are full. `DSYNC_TEST_VOLUME_MIB` makes it more than
/// fits a test series: 8192 takes about a minute.
#[test]
fn new_keys_on_the_way_do_not_stall() {
    let asked = std::env::var("DSYNC_TEST_VOLUME_MIB").ok().and_then(|text| text.parse().ok());
    let (mib, limit): (u64, u64) = asked.map_or((96, 8), |asked| (asked, 64));
    let Some(sshd) = Sshd::start(&format!("RekeyLimit {limit}M\nLogLevel DEBUG1")) else { return };
    let connection = run(&sshd, "cat", &Script::nobody()).unwrap();
    let exit = within(Duration::from_secs(60 + mib / 16), move || echo_both_ways(connection, mib << 20));
    assert_eq!(exit, Some(RemoteExit::Status(0)));
    let rounds = sshd.log().matches("SSH2_MSG_NEWKEYS received").count() as u64;
    assert!(rounds > mib / limit / 2, "only {rounds} rounds of keys");
}

#[test]
fn the_algorithms_that_either_side_asks_for_are_used() {
    let mine = |kex, cipher, mac| format!("KexAlgorithms {kex}\nCiphers {cipher}\nMACs {mac}");
    for (kex, cipher, mac) in [
        ("ecdh-sha2-nistp384", "aes256-ctr", "hmac-sha2-512"),
        ("curve25519-sha256", "aes128-ctr", "hmac-sha2-256-etm@openssh.com"),
        ("diffie-hellman-group14-sha256", "aes192-ctr", "hmac-sha1"),
    ] {
        for (ours, theirs) in
            [(mine(kex, cipher, mac), String::new()), (String::new(), mine(kex, cipher, mac))]
        {
            let Some(sshd) = Sshd::start(&theirs) else { return };
            sshd.configure(&ours);
            let heard = Heard::default();
            let options = Options { tell_steps: true, ..sshd.options(Script::nobody(), &heard) };
            let connection = connect(&host("box"), b"cat", &options).unwrap();
            let exit = within(LONG, move || echo_both_ways(connection, 1 << 20));
            assert_eq!(exit, Some(RemoteExit::Status(0)), "{kex} {cipher} {mac}");
            let told = format!("algorithms: {kex}, host key ssh-ed25519, {cipher}, {mac}");
            let notices = heard.notices.lock().unwrap();
            assert!(notices.iter().any(|notice| notice.to_string().contains(&told)), "{told}: {notices:?}");
        }
    }
}

#[test]
fn several_channels_share_a_connection_and_end_alone() {
    let Some(sshd) = Sshd::start("MaxSessions 3") else { return };
    let first = run(&sshd, "cat", &Script::nobody()).unwrap();
    let second = first.control.another().unwrap();
    let third = first.control.another().unwrap();
    let refused = first.control.another().unwrap_err();
    assert!(matches!(refused, Error::Channel { .. }), "{refused:?}");
    third.control.close();
    drop(third);
    let rest =
        [first, second].map(|connection| std::thread::spawn(move || echo_both_ways(connection, 8 << 20)));
    let exits = within(LONG, move || rest.map(|thread| thread.join().unwrap()));
    assert_eq!(exits, [Some(RemoteExit::Status(0)), Some(RemoteExit::Status(0))]);
}

#[test]
fn exit_status_standard_error_and_signals_arrive() {
    let Some(sshd) = Sshd::start("") else { return };
    let heard = Heard::default();
    let options = sshd.options(Script::nobody(), &heard);
    let cases = [
        ("echo out; echo err >&2; exit 3", RemoteExit::Status(3)),
        ("kill -TERM $$", RemoteExit::Signal("TERM".to_owned())),
    ];
    for (command, expected) in cases {
        let Connection { mut reader, writer, control } =
            connect(&host("box"), command.as_bytes(), &options).unwrap();
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        assert_eq!(control.wait(LONG), Some(expected));
        drop(writer);
    }
    assert_eq!(*heard.stderr.lock().unwrap(), b"err\n");
}

#[test]
fn closing_wakes_reader_and_writer() {
    let Some(sshd) = Sshd::start("") else { return };
    let Connection { mut reader, mut writer, control } = run(&sshd, "sleep 60", &Script::nobody()).unwrap();
    let reading = std::thread::spawn(move || reader.read(&mut [0; 10]));
    let writing = std::thread::spawn(move || writer.write_all(&vec![0; 64 << 20]));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(control.wait(Duration::ZERO), None);
    control.close();
    let (read, written) = within(LONG, move || (reading.join().unwrap(), writing.join().unwrap()));
    assert!(read.is_err() && written.is_err());
    assert!(matches!(control.wait(LONG), Some(RemoteExit::Lost(_))));
    within(LONG, move || drop(control));
}

#[test]
fn a_server_that_dies_is_an_error_for_reader_and_writer() {
    let Some(sshd) = Sshd::start("") else { return };
    // The session's own server process, which is the shell's parent.
    let connection = run(&sshd, "kill -9 $PPID; sleep 60", &Script::nobody()).unwrap();
    let Connection { mut reader, mut writer, control } = connection;
    let (read, written) = within(LONG, move || {
        let read = reader.read(&mut [0; 10]).map_err(|error| error.to_string());
        let written = (0..64).try_for_each(|_| writer.write_all(&[0; 1 << 20]));
        (read, written)
    });
    assert!(read.unwrap_err().contains("closed the connection"));
    assert!(written.is_err());
    assert!(matches!(control.wait(LONG), Some(RemoteExit::Lost(_))));
}

#[test]
fn writing_to_a_command_that_ended_fails() {
    let Some(sshd) = Sshd::start("") else { return };
    let Connection { reader, mut writer, control } = run(&sshd, "true", &Script::nobody()).unwrap();
    let written = within(LONG, move || (0..64).try_for_each(|_| writer.write_all(&[0; 1 << 20])));
    assert!(written.unwrap_err().to_string().contains("has ended"));
    assert_eq!(control.wait(LONG), Some(RemoteExit::Status(0)));
    drop(reader);
}

#[test]
fn an_unknown_host_is_asked_about_once() {
    let Some(sshd) = Sshd::start("") else { return };
    sshd.write_known_hosts("");
    let refused = run(&sshd, "echo hi", &Script::nobody()).unwrap_err();
    assert!(matches!(refused, Error::UnknownHostKey { .. }), "{refused:?}");
    let no = Script::of(&["no"]);
    assert!(matches!(run(&sshd, "echo hi", &no).unwrap_err(), Error::UnknownHostKey { .. }));
    let yes = Script::of(&["yes"]);
    let heard = Heard::default();
    let connection = connect(&host("box"), b"echo hi", &sshd.options(Arc::clone(&yes), &heard)).unwrap();
    assert_eq!(output(connection), "hi\n");
    assert!(yes.asked()[0].contains("ssh-ed25519 SHA256:"), "{:?}", yes.asked());
    assert!(matches!(heard.notices.lock().unwrap()[..], [Notice::HostKeyAdded { .. }]));
    assert_eq!(output(run(&sshd, "echo hi", &Script::nobody()).unwrap()), "hi\n");
}

#[test]
fn the_advice_about_an_unknown_key_is_for_why_nobody_vouched() {
    let Some(sshd) = Sshd::start("") else { return };
    let (own, other) = (sshd.path("own"), sshd.path("other"));
    let files = format!("UserKnownHostsFile {} {}", own.display(), other.display());
    let add = format!("add the key to {} after checking it", own.display());
    for (lines, script, asked, advice) in [
        ("StrictHostKeyChecking yes", Script::of(&["yes"]), 0, "StrictHostKeyChecking lets nobody be asked"),
        ("BatchMode yes", Script::of(&["yes"]), 0, "from a terminal without BatchMode"),
        ("", Script::nobody(), 0, "Connect once from a terminal, or"),
        ("", Script::of(&["no"]), 1, "Ask the administrator"),
    ] {
        sshd.configure(&format!("{lines}\n{files}"));
        let hint = run(&sshd, "true", &script).unwrap_err().hint().unwrap();
        assert!(hint.contains(advice), "{lines}: {hint}");
        let place = if asked == 0 { add.clone() } else { format!("add it to {}", own.display()) };
        assert!(hint.contains(&place), "{lines}: {hint}");
        assert_eq!(script.asked().len(), asked, "{lines}");
    }
    sshd.configure("StrictHostKeyChecking yes\nUserKnownHostsFile none");
    let hint = run(&sshd, "true", &Script::nobody()).unwrap_err().hint().unwrap();
    assert!(hint.contains("add the key to a file that UserKnownHostsFile names"), "{hint}");
}

#[test]
fn strict_host_key_checking_is_honoured() {
    let Some(sshd) = Sshd::start("") else { return };
    sshd.write_known_hosts("");
    sshd.configure("StrictHostKeyChecking yes");
    let yes = Script::of(&["yes"]);
    assert!(matches!(run(&sshd, "true", &yes).unwrap_err(), Error::UnknownHostKey { .. }));
    assert!(yes.asked().is_empty());
    sshd.configure("StrictHostKeyChecking accept-new\nHashKnownHosts yes");
    assert_eq!(output(run(&sshd, "true", &Script::nobody()).unwrap()), "");
    let stored = fs::read_to_string(sshd.path("home/.ssh/known_hosts")).unwrap();
    assert!(stored.starts_with("|1|"), "{stored}");
    keygen(&sshd.path("other_key"), "ed25519", "");
    sshd.know("other_key.pub");
    let changed = run(&sshd, "true", &Script::of(&["yes"])).unwrap_err();
    assert!(matches!(changed, Error::ChangedHostKey { line: 1, .. }), "{changed:?}");
    assert!(changed.hint().unwrap().contains("line 1"));
}

#[test]
fn host_certificates_and_known_key_types_are_asked_for() {
    if find("sshd").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("certified");
    keygen(&key, "ecdsa", "");
    keygen(&dir.path().join("authority"), "ed25519", "");
    certify(&dir.path().join("authority"), &key.with_extension("pub"), &["-h", "-n", "127.0.0.1"]);
    let more = format!("HostKey {0}\nHostCertificate {0}-cert.pub", key.display());
    let Some(sshd) = Sshd::start(&more) else { return };
    let authority = fs::read_to_string(dir.path().join("authority.pub")).unwrap();
    sshd.write_known_hosts(&format!("@cert-authority 127.0.0.1 {authority}"));
    assert_eq!(output(run(&sshd, "true", &Script::nobody()).unwrap()), "");
    sshd.write_known_hosts(&format!("@cert-authority 127.0.0.1 {authority}@revoked * {authority}"));
    assert!(matches!(
        run(&sshd, "true", &Script::nobody()).unwrap_err(),
        Error::RevokedHostKey { line: 2, .. }
    ));
    // Only the second of the server's keys is known, so it must be the one that is asked for.
    let ecdsa = fs::read_to_string(key.with_extension("pub")).unwrap();
    sshd.write_known_hosts(&format!("127.0.0.1 {ecdsa}"));
    assert_eq!(output(run(&sshd, "true", &Script::nobody()).unwrap()), "");
}

#[test]
fn keys_of_every_kind_log_in() {
    let Some(sshd) = Sshd::start("") else { return };
    for (kind, passphrase) in [("rsa", ""), ("ecdsa", ""), ("ed25519", "open sesame"), ("rsa", "open sesame")]
    {
        let key = sshd.path(&format!("home/.ssh/key_{kind}_{}", passphrase.len()));
        keygen(&key, kind, passphrase);
        fs::copy(key.with_extension("pub"), sshd.path("authorized_keys")).unwrap();
        sshd.configure(&format!("IdentityFile {}", key.display()));
        let script = Script::of(if passphrase.is_empty() { &[] } else { &["wrong", "open sesame"] });
        assert_eq!(output(run(&sshd, "true", &script).unwrap()), "", "{kind}");
        assert!(script.answers.lock().unwrap().is_empty(), "{kind}: {:?}", script.asked());
    }
}

#[test]
fn old_pem_keys_log_in() {
    let Some(sshd) = Sshd::start("") else { return };
    let key = sshd.path("home/.ssh/pem");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-m", "PEM", "-N", "secret", "-f"])
        .arg(&key)
        .status();
    assert!(made.unwrap().success());
    fs::rename(key.with_extension("pub"), sshd.path("authorized_keys")).unwrap();
    sshd.configure(&format!("IdentityFile {}", key.display()));
    assert_eq!(output(run(&sshd, "true", &Script::of(&["secret"])).unwrap()), "");
}

#[test]
fn user_certificates_log_in() {
    for kind in ["ed25519", "rsa"] {
        let dir = tempfile::tempdir().unwrap();
        keygen(&dir.path().join("authority"), "ed25519", "");
        let more = format!("TrustedUserCAKeys {}/authority.pub", dir.path().display());
        let Some(sshd) = Sshd::start(&more) else { return };
        fs::write(sshd.path("authorized_keys"), "").unwrap();
        let key = sshd.path("home/.ssh/certified");
        keygen(&key, kind, "");
        certify(&dir.path().join("authority"), &key.with_extension("pub"), &["-n", &login_name()]);
        sshd.configure(&format!("IdentityFile {}", key.display()));
        assert_eq!(output(run(&sshd, "true", &Script::nobody()).unwrap()), "", "{kind}");
    }
}

#[test]
fn the_agent_logs_in_with_keys_and_certificates() {
    let dir = tempfile::tempdir().unwrap();
    keygen(&dir.path().join("authority"), "ed25519", "");
    let more = format!("TrustedUserCAKeys {}/authority.pub", dir.path().display());
    let Some(sshd) = Sshd::start(&more) else { return };
    let agent = Agent::start(sshd.path("agent"));
    let mut options = sshd.options(Script::nobody(), &Heard::default());
    options.environment.agent_socket = Some(agent.socket.clone());
    let first = "IdentityAgent SSH_AUTH_SOCK\nIdentityFile none";

    let rsa = sshd.path("rsa");
    keygen(&rsa, "rsa", "");
    agent.add(&rsa);
    fs::copy(rsa.with_extension("pub"), sshd.path("authorized_keys")).unwrap();
    sshd.configure(first);
    assert_eq!(output(connect(&host("box"), b"true", &options).unwrap()), "");

    sshd.configure(&format!("{first}\nIdentitiesOnly yes"));
    fs::remove_file(sshd.path("home/.ssh/id_test")).unwrap();
    fs::remove_file(sshd.path("home/.ssh/id_test.pub")).unwrap();
    let refused = connect(&host("box"), b"true", &options).unwrap_err();
    assert!(matches!(&refused, Error::Authentication(refusal) if refusal.tried.is_empty()), "{refused:?}");

    fs::write(sshd.path("authorized_keys"), "").unwrap();
    certify(&dir.path().join("authority"), &rsa.with_extension("pub"), &["-n", &login_name()]);
    sshd.configure(&format!("{first}\nCertificateFile {}-cert.pub", rsa.display()));
    assert_eq!(output(connect(&host("box"), b"true", &options).unwrap()), "", "certificate beside the agent");
    agent.add(&rsa);
    sshd.configure(first);
    assert_eq!(output(connect(&host("box"), b"true", &options).unwrap()), "", "certificate in the agent");
}

#[test]
fn a_refused_login_says_what_was_tried() {
    let Some(sshd) = Sshd::start("") else { return };
    fs::write(sshd.path("authorized_keys"), "").unwrap();
    let refused = run(&sshd, "true", &Script::nobody()).unwrap_err();
    let message = refused.to_string();
    assert!(message.contains("id_test") && message.contains("accepts publickey"), "{message}");
}

#[test]
fn a_key_that_others_may_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let Some(sshd) = Sshd::start("") else { return };
    fs::set_permissions(sshd.path("home/.ssh/id_test"), fs::Permissions::from_mode(0o644)).unwrap();
    let heard = Heard::default();
    let refused = connect(&host("box"), b"true", &sshd.options(Script::nobody(), &heard)).unwrap_err();
    assert!(matches!(refused, Error::Authentication(_)), "{refused:?}");
    assert!(heard.notices.lock().unwrap()[0].to_string().contains("others may read it"));
}

#[test]
fn two_keys_in_a_row() {
    let Some(sshd) = Sshd::start("AuthenticationMethods publickey,publickey") else { return };
    let second = sshd.path("home/.ssh/second");
    keygen(&second, "ecdsa", "");
    let both = fs::read_to_string(sshd.path("authorized_keys")).unwrap()
        + &fs::read_to_string(second.with_extension("pub")).unwrap();
    fs::write(sshd.path("authorized_keys"), both).unwrap();
    let refused = run(&sshd, "true", &Script::nobody()).unwrap_err();
    assert!(matches!(refused, Error::Authentication(_)), "{refused:?}");
    sshd.configure(&format!("IdentityFile {}", second.display()));
    assert_eq!(output(run(&sshd, "true", &Script::nobody()).unwrap()), "");
}
