//! Connections that fail say why in a sentence, end with the code that scripts expect, and change nothing.

use crate::support::command::{self, Output, dsync};
use crate::support::login::{HOST, Login, new_key};
use crate::support::scene::Scene;
use crate::support::transport::{Way, login_options, remote, rsh_script, shell_options};
use crate::support::tree::Tree;
use crate::support::{russh_server, tools};
use std::ffi::OsString;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

fn scene() -> Scene {
    Scene::with_source(&Tree::new().file("file", "x"))
}

/// A push over a remote shell that runs `body`.
fn push_over(scene: &Scene, body: &str, options: &[&str]) -> Output {
    let script = rsh_script(scene.root(), body);
    let operands = [scene.path("source/").into_os_string(), remote(scene.path("to"))];
    dsync(shell_options(&script)).args(options).args(operands).run()
}

/// A push by the built-in client with the configuration `config`, without anybody to ask.
fn push_with(scene: &Scene, config: &Path) -> Option<Output> {
    let operands = [scene.path("source/").into_os_string(), remote(scene.path("to"))];
    let run = dsync(login_options(config)).args(["-a"]).args(operands).without_terminal()?;
    Some(run.run())
}

/// Fails the test unless the run ended with the code of its remote shell. rsync gives it only if the shell ends before
/// the broken connection is noticed.
#[track_caller]
fn expect_shell(output: Output, code: i32) -> Output {
    if command::is_rsync() && output.code == Some(12) { output } else { output.expect(code) }
}

#[test]
fn a_missing_remote_program() {
    for way in Way::remote() {
        let scene = scene();
        let run = way.copy(&["-a"], &[scene.path("source/")], scene.path("to"));
        let output = expect_shell(run.args(["--rsync-path=/no/such/dsync"]).run(), 127);
        assert!(output.err().contains("/no/such/dsync"), "{way:?}\n{output}");
        assert!(!scene.path("to").exists(), "{way:?}");
    }
}

#[test]
fn the_remote_program_may_be_a_fragment_of_shell() {
    for way in Way::remote() {
        let scene = scene();
        let program = format!("--rsync-path=cd / && exec {}", command::binary().display());
        way.copy(&["-a"], &[scene.path("source/")], scene.path("to")).args([program]).run().success();
        assert_eq!(scene.paths("to"), ["file"], "{way:?}");
    }
}

#[test]
fn the_exit_code_of_the_remote_shell_is_passed_on() {
    let scene = scene();
    let output = expect_shell(push_over(&scene, "echo 'no route' >&2; exit 77\n", &["-a"]), 77);
    assert!(output.err().contains("no route"), "{output}");
}

#[test]
fn a_shell_that_cannot_be_run() {
    let scene = scene();
    let output = dsync(["-a", "-e", "/no/such/shell -x"])
        .args([scene.path("source/").into_os_string(), remote(scene.path("to"))])
        .run();
    assert!(matches!(output.code, Some(2 | 12 | 14 | 127)), "{output}");
    assert!(output.err().contains("/no/such/shell"), "{output}");
}

#[test]
fn text_before_the_protocol_is_shown_for_what_it_is() {
    let scene = scene();
    let output = push_over(&scene, "echo Welcome to this host; exec /bin/sh -c \"$*\"\n", &["-a"]).expect(2);
    assert!(!scene.path("to/file").exists());
    if !command::is_rsync() {
        assert!(output.err().contains("Welcome to this host"), "{output}");
        assert!(output.err().lines().count() <= 4, "more than a sentence and its advice\n{output}");
    }
}

#[test]
fn a_program_that_is_no_peer() {
    let scene = scene();
    for body in ["head -c 100000 /dev/zero\n", "exec cat\n", "exec yes\n"] {
        let output = push_over(&scene, body, &["-a", "--timeout=3"]);
        assert!(matches!(output.code, Some(2 | 12)) || command::is_rsync(), "{body}{output}");
        assert!(!scene.path("to").exists());
    }
}

#[test]
fn a_peer_that_says_nothing_meets_the_timeout() {
    let scene = scene();
    let output = push_over(&scene, "exec sleep 20\n", &["-a", "--timeout=1"]).expect(30);
    assert!(output.elapsed < Duration::from_secs(15), "{output}");
}

/// Without a timeout of the run's: the built-in client knows when the remote program begins.
#[test]
fn a_program_that_never_greets_is_given_up() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync waits for ever");
    }
    let config = &russh_server::login().config;
    let scene = scene();
    let (here, there) = (scene.path("source/").into_os_string(), remote(scene.path("to")));
    let start = |program: &str, source: &OsString| {
        let run = dsync(["-a", "--ssh-config"]).args([config.as_os_str(), program.as_ref(), source, &there]);
        run.start()
    };
    // At once, as each takes a minute.
    let silent = start("--remote-path=sleep 90;", &here);
    let between = start("--remote-path=sleep 90;", &remote(scene.path("source/")));
    let talks = start("--remote-path=echo Welcome; sleep 90;", &here);
    for running in [silent, between] {
        let output = running.finish().expect(30);
        assert!(output.err().contains("what loop runs as dsync said nothing for 60 seconds"), "{output}");
        assert!(output.err().contains("--remote-path names"), "{output}");
    }
    let output = talks.finish().expect(2);
    assert!(output.err().contains("Welcome"), "{output}");
    assert!(!scene.path("to").exists());
}

/// A request of more than any socket takes at once: it holds the rules.
fn many_rules(scene: &Scene) -> String {
    let rules: String =
        (0..30_000).map(|number| format!("never-there-in-the-whole-source-{number}\n")).collect();
    std::fs::write(scene.path("rules"), rules).unwrap();
    format!("--exclude-from={}", scene.path("rules").display())
}

#[test]
fn a_peer_that_does_not_take_the_request_meets_the_timeout() {
    let scene = scene();
    let output = push_over(&scene, "exec sleep 20\n", &["-a", "--timeout=1", &many_rules(&scene)]).expect(30);
    assert!(output.elapsed < Duration::from_secs(15), "{output}");
}

#[test]
fn a_shell_that_says_much_before_it_takes_the_request_is_heard() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync sends its rules after the greeting");
    }
    let scene = scene();
    let body = "yes Welcome | head -c 1000000; exec /bin/sh -c \"$*\"\n";
    let run = push_over(&scene, body, &["-a", "--timeout=10", &many_rules(&scene)]).expect(2);
    assert!(run.err().contains("Welcome"), "{run}");
}

#[test]
fn a_peer_that_stops_in_the_middle_meets_the_timeout() {
    // The shell in front stops moving bytes after the first 100 kB of the peer.
    let scene = Scene::with_source(&Tree::new().file("large", vec![7; 8 << 20]));
    let script = rsh_script(scene.root(), "/bin/sh -c \"$*\" | { head -c 100000; exec sleep 20; }\n");
    let operands = [remote(scene.path("source/")), scene.path("to").into_os_string()];
    let output = dsync(shell_options(&script)).args(["-a", "--timeout=2"]).args(operands).run().expect(30);
    assert!(output.elapsed < Duration::from_secs(18), "{output}");
    assert!(!scene.path("to/large").exists());
}

#[test]
fn a_changed_host_key_is_refused() {
    let login = russh_server::login();
    let other = new_key().public_key().to_openssh().unwrap();
    let hosts = format!("[127.0.0.1]:{} {other}\n", login.port);
    refused(login, &hosts, true);
}

#[test]
fn an_unknown_host_key_is_refused_when_nobody_can_be_asked() {
    refused(russh_server::login(), "", true);
}

#[test]
fn a_revoked_host_key_is_refused() {
    let login = russh_server::login();
    let hosts = format!("@revoked * {}\n{}", login.host_key, login.known_hosts_text());
    refused(login, &hosts, false);
}

/// Checks that the server is not trusted with these known hosts, and that the message names the key it offered.
fn refused(login: &Login, known_hosts: &str, shows_fingerprint: bool) {
    let (scene, files) = (scene(), Scene::new());
    let config = login.variant(files.root(), known_hosts, &login.user_key);
    let Some(output) = push_with(&scene, &config) else { return };
    let output = output.expect(255);
    assert!(!scene.path("to").exists());
    if !command::is_rsync() {
        assert!(output.err().contains("127.0.0.1"), "{output}");
        assert!(!shows_fingerprint || output.err().contains("SHA256:"), "{output}");
    }
    let kept = std::fs::read_to_string(files.path("known_hosts")).unwrap();
    assert_eq!(kept, known_hosts, "the known hosts were changed");
}

#[test]
fn a_key_that_the_server_does_not_know_is_refused() {
    for login in [crate::support::sshd::login(), Some(russh_server::login())].into_iter().flatten() {
        let (scene, files) = (scene(), Scene::new());
        let config = login.variant(files.root(), &login.known_hosts_text(), &new_key());
        let Some(output) = push_with(&scene, &config) else { return };
        let output = output.expect(255);
        if !command::is_rsync() {
            assert!(output.err().contains("publickey"), "{output}");
        }
        assert!(!scene.path("to").exists());
    }
}

#[test]
fn nobody_listens() {
    let login = russh_server::login();
    let (scene, files) = (scene(), Scene::new());
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let elsewhere = Login { port, ..login.clone() };
    let config = elsewhere.variant(files.root(), "", &login.user_key);
    let Some(output) = push_with(&scene, &config) else { return };
    assert!(matches!(output.code, Some(10 | 255)), "{output}");
    assert!(output.err().contains("127.0.0.1"), "{output}");
}

#[test]
fn a_server_that_is_silent_meets_the_timeout() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync leaves this to its remote shell");
    }
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let login = Login { port: silent.local_addr().unwrap().port(), ..russh_server::login().clone() };
    let (scene, files) = (scene(), Scene::new());
    let config = login.variant(files.root(), "", &login.user_key);
    let operands = [scene.path("source/").into_os_string(), remote(scene.path("to"))];
    let output = dsync(login_options(&config)).args(["-a", "--timeout=2"]).args(operands).run();
    assert!(matches!(output.code, Some(30 | 35)), "{output}");
    assert!(output.elapsed < Duration::from_secs(20), "{output}");
}

#[test]
fn the_shell_gets_the_user_and_the_host() {
    let scene = scene();
    let script = scene.path("show");
    std::fs::write(&script, format!("printf '%s\\n' \"$@\" > {}/words; exit 3\n", scene.root().display()))
        .unwrap();
    let shell: OsString = format!("/bin/sh '{}' -x \"a b\"", script.display()).into();
    let source = scene.path("source/").into_os_string();
    let to = OsString::from(format!("me@{HOST}:dir"));
    expect_shell(dsync(["-a".into(), "-e".into(), shell, source, to]).run(), 3);
    let words = String::from_utf8(scene.read("words")).unwrap();
    let words: Vec<&str> = words.lines().collect();
    assert_eq!(words[..5], ["-x", "a b", "-l", "me", HOST]);
    assert!(words[5..].iter().any(|word| word.contains("--server")), "{words:?}");
}

#[test]
fn many_open_descriptors_are_no_obstacle() {
    let scene = scene();
    let open: String = (10..200).map(|number| format!("exec {number}</dev/null; ")).collect();
    // A plain shell need not know descriptors above 9.
    let Some(bash) = tools::find("bash") else { return };
    let script = format!("{open} exec {} -a source/ to", command::binary().display());
    command::Invocation::new(&bash, ["-c", &script]).current_dir(scene.root()).run().success();
    assert_eq!(scene.paths("to"), ["file"]);
}

#[test]
fn a_peer_of_another_protocol_version() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync speaks a protocol of its own");
    }
    let scene = scene();
    let hello = dsync::wire::hello::Hello { versions: (9, 12), ..dsync::wire::hello::Hello::new(0) };
    std::fs::write(scene.path("hello"), hello.encode()).unwrap();
    let say = format!("cat {}\n", scene.path("hello").display());
    // The second has closed its input when the sign of life at one second is written, and only then says hello.
    for (body, options) in
        [(say.clone(), &["-a"][..]), (format!("exec <&-; sleep 1.5; {say}"), &["-a", "--timeout=4"])]
    {
        let output = push_over(&scene, &body, options).expect(2);
        for part in ["protocol 1", "9 to 12", "install the same version on both hosts"] {
            assert!(output.err().contains(part), "{output}");
        }
    }
    assert!(!scene.path("to").exists());
}
