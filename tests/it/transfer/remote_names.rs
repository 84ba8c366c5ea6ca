//! Remote paths arrive as typed: no shell on the way takes anything out of them, and wildcards expand over there.

use crate::support::command::{self, Invocation, dsync};
use crate::support::login::{Login, user};
use crate::support::scene::Scene;
use crate::support::transport::{
    Direction, Transport, Way, login_options, remote, rsh_script, shell_options,
};
use crate::support::tree::Tree;
use crate::support::{sshd, tools};
use std::ffi::OsString;
use std::fs;

const ODD: [&str; 11] = [
    "two words",
    " leading",
    "trailing ",
    "quote'and\"quote",
    "$HOME",
    "`touch pwned`",
    "semi;colon & more",
    "new\nline",
    "-dash",
    "~",
    "colon:inside",
];

#[test]
fn odd_names_arrive_as_typed() {
    for way in Way::remote() {
        for name in ODD {
            if command::is_rsync() && name.contains('\n') {
                continue; // it cannot pass them on
            }
            let scene = Scene::new().tree(name, &Tree::new().file("x", "1"));
            let to = format!("to {name}");
            way.copy(&["-a"], &[scene.path(&format!("{name}/"))], scene.path(&to)).run().success();
            assert_eq!(scene.paths(&to), ["x"], "{way:?} {name:?}");
            assert_eq!(fs::read_dir(scene.root()).unwrap().count(), 2, "{way:?} {name:?}");
        }
    }
}

#[test]
fn wildcards_expand_on_the_remote_side() {
    for way in pulls() {
        let tree = Tree::new()
            .file("a.c", "1")
            .file("b.c", "2")
            .file("c.h", "3")
            .file(".hidden.c", "4")
            .file("d/e", "5");
        let scene = Scene::with_source(&tree);
        let copy = |pattern: &str, to: &str| {
            way.copy(&["-a"], &[scene.path("source").join(pattern)], scene.path(to)).run().success();
            scene.paths(to)
        };
        assert_eq!(copy("*.c", "stars/"), ["a.c", "b.c"], "{way:?}");
        assert_eq!(copy("?.h", "mark/"), ["c.h"], "{way:?}");
        assert_eq!(copy("[ac].[ch]", "class/"), ["a.c", "c.h"], "{way:?}");
        assert_eq!(copy("*", "all/"), ["a.c", "b.c", "c.h", "d", "d/e"], "{way:?}");
        assert_eq!(copy("*/", "inside/"), ["e"], "{way:?}");
    }
}

#[test]
fn a_wildcard_without_a_match_is_a_missing_file() {
    for way in pulls() {
        let scene = Scene::with_source(&Tree::new().file("a.c", "1"));
        let sources = [scene.path("source/*.x"), scene.path("source/a.c")];
        way.copy(&["-a"], &sources, scene.path("to/")).run().expect(23);
        assert_eq!(scene.paths("to"), ["a.c"], "{way:?}");
    }
}

#[test]
fn further_sources_may_leave_the_host_out() {
    for way in pulls() {
        let scene = Scene::with_source(&Tree::new().file("a", "1").file("b", "2"));
        let second: OsString = [":", scene.path("source/b").to_str().unwrap()].concat().into();
        let mut arguments = way.transport.options();
        arguments.extend(["-a".into(), remote(scene.path("source/a")), second, scene.path("to/").into()]);
        dsync(arguments).run().success();
        assert_eq!(scene.paths("to"), ["a", "b"], "{way:?}");
    }
}

#[test]
fn no_path_means_the_home_directory() {
    for (login, options) in logins() {
        // The home directory is shared by all tests, so the names in it are this test's own.
        let scene = Scene::with_source(&Tree::new().file("pushed-home", "1"));
        let push = |to: &str| {
            let mut arguments = options.clone();
            arguments.extend(["-a".into(), scene.path("source/pushed-home").into(), to.into()]);
            dsync(arguments).run().success();
        };
        push("loop:");
        assert_eq!(fs::read(login.home.join("pushed-home")).unwrap(), b"1");
        push("loop:in-home/");
        assert_eq!(fs::read(login.home.join("in-home/pushed-home")).unwrap(), b"1");
        let mut arguments = options.clone();
        arguments.extend(["-a".into(), "loop:in-home/".into(), scene.path("to").into()]);
        dsync(arguments).run().success();
        assert_eq!(scene.paths("to"), ["pushed-home"]);
    }
}

#[test]
fn a_user_may_be_named() {
    for (_, options) in logins() {
        let scene = Scene::with_source(&Tree::new().file("x", "1"));
        let from = format!("{}@loop:{}/", user(), scene.path("source").display());
        dsync(options).args(["-a".into(), OsString::from(from), scene.path("to").into()]).run().success();
        assert_eq!(scene.paths("to"), ["x"]);
    }
}

#[test]
fn addresses_of_version_6_stand_in_brackets() {
    let Some(login) = sshd::login() else { return };
    if std::net::TcpStream::connect(("::1", login.port)).is_err() {
        return tools::missing("::1, the loopback of IPv6");
    }
    let scene = Scene::with_source(&Tree::new().file("x", "1"));
    let from = format!("[::1]:{}/", scene.path("source").display());
    let options = login_options(&login.config);
    dsync(options).args(["-a".into(), OsString::from(from), scene.path("to").into()]).run().success();
    assert_eq!(scene.paths("to"), ["x"]);
}

#[test]
fn urls_name_user_host_and_port() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync has no ssh:// operands");
    }
    for (login, options) in logins() {
        let scene = Scene::with_source(&Tree::new().file("x y", "1"));
        let authority = format!("{}@127.0.0.1:{}", user(), login.port);
        let from = format!("ssh://{authority}{}/", scene.path("source").display());
        dsync(options).args(["-a".into(), OsString::from(from), scene.path("to").into()]).run().success();
        assert_eq!(scene.paths("to"), ["x y"]);
    }
}

#[test]
fn a_colon_after_a_slash_is_part_of_a_local_name() {
    let scene = Scene::new().tree("odd:name", &Tree::new().file("x", "1"));
    Way::LOCAL.copy(&["-a"], &["./odd:name/"], "./to:here").current_dir(scene.root()).run().success();
    assert_eq!(scene.paths("to:here"), ["x"]);
}

#[test]
fn a_host_that_looks_like_an_option_is_refused() {
    let scene = Scene::with_source(&Tree::new().file("x", "1"));
    let script = rsh_script(scene.root(), "touch \"$0.ran\"; exit 1\n");
    for host in ["-oProxyCommand=x", "-l"] {
        let to = format!("{host}:/tmp/x");
        let run: Invocation = dsync(shell_options(&script));
        let source = scene.path("source/").into_os_string();
        let output = run.args(["-a".into(), "--".into(), source, OsString::from(to)]).run();
        assert!(matches!(output.code, Some(1 | 4)), "{output}");
        assert!(!scene.path("rsh.ran").exists(), "{host} reached the shell");
    }
}

fn pulls() -> Vec<Way> {
    Way::remote().into_iter().filter(|way| way.direction == Direction::Pull).collect()
}

/// The SSH servers there are, with the options to reach them.
fn logins() -> Vec<(&'static Login, Vec<OsString>)> {
    let servers = [sshd::login().map(|_| Transport::OpenSsh), Some(Transport::Embedded)];
    servers.into_iter().flatten().map(|transport| (transport.login().unwrap(), transport.options())).collect()
}
