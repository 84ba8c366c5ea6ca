use super::*;
use std::os::unix::ffi::OsStrExt;

fn parse(operand: &[u8]) -> Result<Target, Error> {
    Target::parse(OsStr::from_bytes(operand))
}

fn remote(user: Option<&str>, name: &str, port: Option<u16>, path: &str) -> Target {
    let host = Host { user: user.map(str::to_owned), name: name.to_owned(), port };
    Target::Remote(RemoteTarget { host, path: path.as_bytes().to_vec() })
}

#[test]
fn operands() {
    let local = |path: &str| Target::Local(path.as_bytes().to_vec());
    let cases = [
        ("a plain name", "dir/file", local("dir/file")),
        ("nothing", "", local("")),
        ("colon after a slash", "dir/a:b", local("dir/a:b")),
        ("a local name with a colon", "./a:b", local("./a:b")),
        ("absolute with a colon", "/a:b", local("/a:b")),
        ("a bracket and a slash", "[a/b]:c", local("[a/b]:c")),
        ("at sign without colon", "user@host", local("user@host")),
        ("host", "host:path", remote(None, "host", None, "path")),
        ("user", "user@host:/abs", remote(Some("user"), "host", None, "/abs")),
        ("home", "host:", remote(None, "host", None, "")),
        ("home of a user", "host:~bob/x", remote(None, "host", None, "~bob/x")),
        ("at sign in the user", "a@b@host:p", remote(Some("a@b"), "host", None, "p")),
        ("at sign in the path", "host:p@q", remote(None, "host", None, "p@q")),
        ("colon in the path", "host:a:b", remote(None, "host", None, "a:b")),
        ("v6", "[2001:db8::1]:path", remote(None, "2001:db8::1", None, "path")),
        ("v6 with a zone", "[fe80::1%eth0]:p", remote(None, "fe80::1%eth0", None, "p")),
        ("v6 with user", "user@[::1]:", remote(Some("user"), "::1", None, "")),
        ("v6 and brackets in the path", "[::1]:a]:b", remote(None, "::1", None, "a]:b")),
        ("brackets in the path", "host:x@[y]:z", remote(None, "host", None, "x@[y]:z")),
        ("brackets around a name", "[host]:p", remote(None, "host", None, "p")),
        ("same host", ":path", Target::SameHost(b"path".to_vec())),
        ("same host, home", ":", Target::SameHost(Vec::new())),
        ("windows domain", r"DOM\bob@host:p", remote(Some(r"DOM\bob"), "host", None, "p")),
        ("url", "ssh://user@host:2222/a/b", remote(Some("user"), "host", Some(2222), "/a/b")),
        ("url in capitals", "SSH://host/a", remote(None, "host", None, "/a")),
        ("url without path", "ssh://host", remote(None, "host", None, "")),
        ("url of the root", "ssh://host/", remote(None, "host", None, "/")),
        ("url of the home", "ssh://host/~", remote(None, "host", None, "")),
        ("url below the home", "ssh://host/~/a", remote(None, "host", None, "a")),
        ("url of another home", "ssh://host/~bob", remote(None, "host", None, "/~bob")),
        ("url with v6", "ssh://[::1]:22/a", remote(None, "::1", Some(22), "/a")),
        ("url with escapes", "ssh://host/a%20b%25", remote(None, "host", None, "/a b%")),
        ("url with an empty port", "ssh://host:/a", remote(None, "host", None, "/a")),
    ];
    for (name, operand, expected) in cases {
        assert_eq!(parse(operand.as_bytes()).unwrap(), expected, "{name}");
    }
}

#[test]
fn refused_operands() {
    let cases: &[(&str, &[u8], &str)] = &[
        ("daemon", b"host::module/x", "rsync daemon"),
        ("daemon without host", b"::module", "rsync daemon"),
        ("daemon url", b"rsync://host/module", "rsync daemon"),
        ("daemon url in capitals", b"RSYNC://host/module", "rsync daemon"),
        ("host like an option", b"-oProxyCommand=x:p", "start with -"),
        ("user like an option", b"-lroot@host:p", "start with -"),
        ("url host like an option", b"ssh://-oProxyCommand=x/p", "start with -"),
        ("url host like an option, escaped", b"ssh://%2doProxyCommand=x/p", "start with -"),
        ("empty host after user", b"user@:p", "host name is empty"),
        ("empty user", b"@host:p", "empty"),
        ("url without host", b"ssh:///p", "host name is empty"),
        ("blank", b"ho st:p", "blank"),
        ("newline", b"host\nname:p", "control character"),
        ("escape", b"h\x1b[31m:p", "control character"),
        ("command substitution", b"$(id):p", "character"),
        ("backquote", b"`id`:p", "character"),
        ("semicolon in user", b"a;b@host:p", "shell"),
        ("not UTF-8", b"h\xff:p", "UTF-8"),
        ("open bracket", b"[::1:p", "not followed"),
        ("bracket without path", b"[::1]", "not followed"),
        ("password", b"ssh://user:secret@host/p", "passwords"),
        ("port zero", b"ssh://host:0/p", "port"),
        ("port too large", b"ssh://host:65536/p", "port"),
        ("signed port", b"ssh://host:+22/p", "port"),
        ("short escape", b"ssh://host/a%2", "hexadecimal"),
        ("escaped NUL", b"ssh://host/a%00", "hexadecimal"),
        ("junk after bracket", b"ssh://[::1]x/p", "follows"),
    ];
    for (name, operand, expected) in cases {
        let message = parse(operand).expect_err(name).to_string();
        assert!(message.contains(expected), "{name}: {message}");
    }
}

#[test]
fn hosts_are_shown_as_they_are_written() {
    let shown = |operand: &[u8]| match parse(operand).unwrap() {
        Target::Remote(remote) => remote.host.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(shown(b"user@host:p"), "user@host");
    assert_eq!(shown(b"[::1]:p"), "[::1]");
    assert_eq!(shown(b"ssh://[::1]:2/p"), "[::1]:2");
}

proptest::proptest! {
    #[test]
    fn no_operand_panics_and_no_host_is_an_option(operand in proptest::collection::vec(0u8.., 0..40)) {
        if let Ok(Target::Remote(remote)) = parse(&operand) {
            assert!(!remote.host.name.is_empty() && !remote.host.name.starts_with('-'));
            assert!(remote.host.user.is_none_or(|user| !user.starts_with('-')));
        }
    }
}
