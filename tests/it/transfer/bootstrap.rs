//! Hosts that have no dsync, or one that does not understand this one: it is put there.

use crate::support::cable::Cable;
use crate::support::command::{self, Invocation, Output, Running};
use crate::support::disk::Disk;
use crate::support::login::{HOST, Login};
use crate::support::scene::Scene;
use crate::support::transport::{remote, rsh_script};
use crate::support::tree::Tree;
use crate::support::{lifetime, russh_server, sshd, tools};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// What is said while it is put there.
const PUTTING: &str = "dsync: putting dsync ";

/// A scene with a small source, and a way to a server whose user has a home of its own with no dsync in it.
struct Bare {
    scene: Scene,
    login: Login,
}

/// How the server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    BuiltIn,
    Ssh,
    /// A remote shell of another name, of which nothing is known.
    Other,
}

impl Bare {
    /// `None`, after having said why, where there is no server.
    fn new() -> Option<Bare> {
        if command::is_rsync() {
            tools::not_for_rsync("rsync has to be installed");
            return None;
        }
        let login = sshd::login_with("")?;
        Some(Bare { scene: Scene::with_source(&Tree::new().file("file", "x").file("d/other", "y")), login })
    }

    fn options(&self, by: By) -> Vec<OsString> {
        let config = self.login.config.as_os_str();
        let shell = |words: &str| {
            let mut shell = OsString::from(words);
            shell.push(config);
            vec!["-e".into(), shell]
        };
        match by {
            By::BuiltIn => vec!["--ssh-config".into(), config.to_owned()],
            By::Ssh => shell("ssh -o BatchMode=yes -F "),
            By::Other => {
                let home = self.login.home.display();
                let body = format!("cd {home}; HOME={home} PATH={home}/bin:$PATH exec /bin/sh -c \"$*\"\n");
                let script = rsh_script(self.scene.root(), &body);
                vec!["-e".into(), format!("/bin/sh {}", script.display()).into()]
            }
        }
    }

    /// A push to `to` in the scene.
    fn push(&self, by: By, options: &[&str]) -> Invocation {
        let operands = [self.scene.path("source/").into_os_string(), remote(self.scene.path("to"))];
        small().args(["-a"]).args(self.options(by)).args(options).args(operands)
    }

    fn cache(&self) -> PathBuf {
        self.login.home.join(".cache/dsync")
    }

    /// The files below the directory of all versions.
    fn placed(&self) -> Vec<PathBuf> {
        let versions = fs::read_dir(self.cache()).into_iter().flatten();
        let mut files: Vec<PathBuf> = versions
            .flat_map(|version| fs::read_dir(version.unwrap().path()).unwrap())
            .map(|file| file.unwrap().path())
            // What is written beside it.
            .filter(|file| !file.ends_with("dsync.sum"))
            .collect();
        files.sort();
        files
    }

    /// The only one there is.
    #[track_caller]
    fn only(&self) -> PathBuf {
        match &self.placed()[..] {
            [only] => only.clone(),
            others => panic!("not one: {others:?}"),
        }
    }

    /// A program in the search path of the server's user.
    fn program(&self, name: &str, body: &str) {
        let bin = self.login.home.join("bin");
        fs::create_dir_all(&bin).unwrap();
        let script = bin.join(name);
        // Written by another process: what this one has open while a child is started cannot be executed.
        let write = format!("printf %s \"$1\" >'{0}'; chmod 755 '{0}'", script.display());
        let text = format!("#!/bin/sh\n{body}\n");
        assert!(Command::new("sh").args(["-c", &write, "sh", &text]).status().unwrap().success());
    }

    #[track_caller]
    fn arrived(&self) {
        assert_eq!(self.scene.paths("to"), ["d", "d/other", "file"]);
    }
}

/// The program under test without what debuggers need, which is most of it.
fn small() -> Invocation {
    static SMALL: OnceLock<PathBuf> = OnceLock::new();
    let program = SMALL.get_or_init(|| {
        let copy = lifetime::directory().join("dsync");
        let stripped = Command::new("strip").arg("-o").arg(&copy).arg(command::binary()).status();
        match stripped.is_ok_and(|status| status.success()) {
            true => copy,
            false => command::binary().to_owned(),
        }
    });
    Invocation::new(program, [] as [&str; 0])
}

/// Fails the test unless the run succeeded and said no more than that it puts dsync there, as often as that. What is
/// not known to be a shell is asked for dsync in plain words, and may say that there is none.
#[track_caller]
fn put(output: Output, times: usize) -> Output {
    let output = output.expect(0);
    let err = output.err();
    let is_put = |line: &&str| line.starts_with(PUTTING);
    assert!(err.lines().all(|line| is_put(&line) || line.ends_with("dsync: not found")), "{output}");
    assert_eq!(err.lines().filter(is_put).count(), times, "{output}");
    output
}

/// What a dsync of another protocol says, in a file.
fn foreign_greeting(path: &Path) {
    let hello = dsync::wire::hello::Hello { versions: (9, 12), ..dsync::wire::hello::Hello::new(0) };
    fs::write(path, hello.encode()).unwrap();
}

#[test]
fn a_host_without_dsync_gets_it_once() {
    for by in [By::BuiltIn, By::Ssh, By::Other] {
        if by == By::Ssh && tools::find("ssh").is_none() {
            return;
        }
        let Some(bare) = Bare::new() else { return };
        let told = put(bare.push(by, &[]).run(), 1);
        assert!(told.err().contains(" MB) onto loop ..."), "{told}");
        bare.arrived();
        let placed = bare.only();
        let stamp = |path: &Path| {
            let meta = path.metadata().unwrap();
            (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec())
        };
        let (mode, before) = (placed.metadata().unwrap().mode() & 0o7777, stamp(&placed));
        assert_eq!(mode, 0o700);
        // Everything else that needs a peer finds it there.
        put(bare.push(by, &["--delete"]).run(), 0);
        if by == By::BuiltIn {
            bare.push(by, &["--delete", "--streams=3"]).run().success();
        }
        let pull = [remote(bare.scene.path("source/")), bare.scene.path("back").into_os_string()];
        put(small().args(["-a"]).args(bare.options(by)).args(pull).run(), 0);
        assert_eq!(bare.scene.paths("back"), ["d", "d/other", "file"]);
        let list = put(small().args(bare.options(by)).args([remote(bare.scene.path("source/"))]).run(), 0);
        assert!(list.out().contains("file"), "{list}");
        let both = [bare.scene.path("source/").into_os_string(), remote(bare.scene.path("both"))];
        fs::create_dir(bare.scene.path("both")).unwrap();
        put(small().args(["--two-way"]).args(bare.options(by)).args(both).run(), 0);
        assert_eq!(stamp(&bare.only()), before, "{by:?}: it was put there again");
        // With -q nothing is said of it.
        fs::remove_file(&placed).unwrap();
        put(bare.push(by, &["-q"]).run(), 0);
        assert!(bare.only().exists());
    }
}

#[test]
fn between_two_hosts_both_get_it() {
    let Some(bare) = Bare::new() else { return };
    let operands = [remote(bare.scene.path("source/")), remote(bare.scene.path("to"))];
    // They are one, so the second finds what the first was given.
    put(small().args(["-a"]).args(bare.options(By::BuiltIn)).args(operands).run(), 1);
    bare.arrived();
}

#[test]
fn one_that_does_not_understand_this_one_is_passed_over() {
    for by in [By::BuiltIn, By::Other] {
        let Some(bare) = Bare::new() else { return };
        let greeting = bare.scene.path("greeting");
        foreign_greeting(&greeting);
        // Of another protocol; something else of this name; nothing that runs; and one that waits for the end.
        for (times, body) in [
            (1, format!("cat {}", greeting.display())),
            (0, "exit 64".to_owned()),
            (0, "kill -9 $$".to_owned()),
            (0, format!("cat {}; exec cat >/dev/null", greeting.display())),
        ] {
            // A remote shell of ours tells of programs that are killed.
            if by == By::Other && body.contains("kill") {
                continue;
            }
            bare.program("dsync", &body);
            put(bare.push(by, &["--ignore-times"]).run(), times);
            bare.arrived();
        }
    }
}

#[test]
fn a_dsync_that_is_installed_is_used() {
    let Some(bare) = Bare::new() else { return };
    bare.program("dsync", &format!("exec {} \"$@\"", command::binary().display()));
    bare.push(By::BuiltIn, &[]).run().success();
    bare.arrived();
    assert!(!bare.cache().exists());
}

#[test]
fn a_damaged_one_is_replaced() {
    let Some(bare) = Bare::new() else { return };
    put(bare.push(By::BuiltIn, &[]).run(), 1);
    let placed = bare.only();
    let whole = fs::read(&placed).unwrap();
    let mut damaged = whole.clone();
    damaged[..64].fill(0);
    // One that would run, and even be of use.
    let mut altered = whole.clone();
    *altered.last_mut().unwrap() ^= 1;
    for content in [&whole[..whole.len() / 2], &damaged[..], &altered[..], &[]] {
        let other = bare.scene.path("other");
        fs::write(&other, content).unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(Command::new("cp").arg(&other).arg(&placed).status().unwrap().success());
        let output = bare.push(By::BuiltIn, &["--ignore-times"]).run().expect(0);
        assert!(output.err().contains(PUTTING), "{output}");
        assert!(fs::read(bare.only()).unwrap() == whole, "not mended");
    }
    bare.push(By::BuiltIn, &["--ignore-times"]).run().success();
}

/// Waits until there is something in the directory of all versions.
fn begun(bare: &Bare, run: &mut Running) -> PathBuf {
    let until = Instant::now() + Duration::from_secs(30);
    while Instant::now() < until && !run.has_ended() {
        if let Some(part) = bare.placed().into_iter().find(|path| path.ends_with("dsync") || is_part(path)) {
            return part;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("nothing was put there");
}

fn is_part(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tmp")
}

#[test]
fn one_that_is_killed_meanwhile_leaves_nothing_that_is_run() {
    for by in [By::BuiltIn, By::Ssh] {
        let Some(bare) = Bare::new() else { return };
        // The far end is slow, so that it is in the middle of it.
        bare.program("cat", "head -c 100000; sleep 1; exec /bin/cat");
        let mut run = bare.push(by, &[]).start();
        let part = begun(&bare, &mut run);
        assert!(is_part(&part), "{}", part.display());
        run.signal_group(rustix::process::Signal::KILL);
        drop(run);
        let until = Instant::now() + Duration::from_secs(30);
        while !bare.placed().is_empty() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(bare.placed().is_empty(), "{:?}", bare.placed());
        fs::remove_file(bare.login.home.join("bin/cat")).unwrap();
        put(bare.push(by, &[]).run(), 1);
        bare.arrived();
    }
}

#[test]
fn an_interrupt_ends_it() {
    let Some(bare) = Bare::new() else { return };
    bare.program("cat", "head -c 100000; sleep 20; exec /bin/cat");
    let mut run = bare.push(By::BuiltIn, &[]).start();
    begun(&bare, &mut run);
    run.signal(rustix::process::Signal::INT);
    let output = run.finish().expect(20);
    assert!(output.elapsed < Duration::from_secs(15), "{output}");
}

#[test]
fn a_line_that_breaks_meanwhile_is_told_as_such() {
    let Some(mut bare) = Bare::new() else { return };
    let files = Scene::new();
    let cable = Cable::to(bare.login.port);
    let through = Login { port: cable.port, ..bare.login.clone() };
    bare.login.config = through.variant(files.root(), &through.known_hosts_text(), &through.user_key);
    bare.program("cat", "head -c 100000; sleep 20; exec /bin/cat");
    let mut run = bare.push(By::BuiltIn, &[]).start();
    begun(&bare, &mut run);
    cable.cut();
    let output = run.finish().expect(12);
    for part in ["the host did not say how that went", "  hint: Run this again; --retry=N"] {
        assert!(output.err().contains(part), "{part}\n{output}");
    }
}

#[test]
fn it_is_not_mistaken_for_silence() {
    for by in [By::BuiltIn, By::Other] {
        let Some(bare) = Bare::new() else { return };
        bare.program("cat", "sleep 3; exec /bin/cat");
        put(bare.push(by, &["--timeout=1"]).run(), 1);
        bare.arrived();
    }
    // Nor between two hosts.
    let Some(bare) = Bare::new() else { return };
    bare.program("cat", "sleep 3; exec /bin/cat");
    let operands = [remote(bare.scene.path("source/")), remote(bare.scene.path("to"))];
    put(small().args(["-a", "--timeout=1"]).args(bare.options(By::BuiltIn)).args(operands).run(), 1);
}

#[test]
fn two_at_once_do_no_harm() {
    let Some(bare) = Bare::new() else { return };
    let runs: Vec<Running> = ["one", "two", "three"]
        .iter()
        .map(|name| {
            let operands = [bare.scene.path("source/").into_os_string(), remote(bare.scene.path(name))];
            small().args(["-a"]).args(bare.options(By::BuiltIn)).args(operands).start()
        })
        .collect();
    for run in runs {
        let output = run.finish().expect(0);
        assert!(output.err().lines().all(|line| line.starts_with(PUTTING)), "{output}");
    }
    bare.only();
    for name in ["one", "two", "three"] {
        assert_eq!(bare.scene.paths(name), ["d", "d/other", "file"]);
    }
}

#[test]
fn nothing_is_put_there_if_the_user_says_so() {
    let Some(bare) = Bare::new() else { return };
    let output = bare.push(By::BuiltIn, &["--no-bootstrap"]).run().expect(127);
    assert!(output.err().contains("Install dsync on the host"), "{output}");
    let output = bare.push(By::BuiltIn, &["--remote-path=/no/such/dsync"]).run().expect(127);
    assert!(output.err().contains("/no/such/dsync"), "{output}");
    let program = format!("--remote-path={}", command::binary().display());
    bare.push(By::BuiltIn, &[&program]).run().success();
    assert!(!bare.login.home.join(".cache").exists());
}

#[test]
fn another_machine_gets_nothing() {
    for by in [By::BuiltIn, By::Ssh] {
        let Some(bare) = Bare::new() else { return };
        bare.program("uname", "case $1 in -s) echo SunOS;; -m) echo sparc64;; esac");
        let output = bare.push(by, &[]).run().expect(127);
        for part in ["loop has no dsync", "the host is SunOS sparc64", "cargo install", "--remote-path"] {
            assert!(output.err().contains(part), "{part}\n{output}");
        }
        assert!(!output.err().contains(PUTTING), "{output}");
        assert!(!bare.cache().exists() && !bare.scene.path("to").exists());
        // Where there is one of another protocol, it is that which is in the way.
        let greeting = bare.scene.path("greeting");
        foreign_greeting(&greeting);
        bare.program("dsync", &format!("cat {}", greeting.display()));
        let output = bare.push(by, &[]).run().expect(2);
        assert!(output.err().contains("another protocol (9 to 12)"), "{output}");
    }
}

#[test]
fn where_no_program_runs_that_is_said() {
    let Some(bare) = Bare::new() else { return };
    let home = Scene::new();
    let Some(disk) = Disk::noexec(&home, "cache") else { return };
    std::os::unix::fs::symlink(&disk.at, bare.login.home.join(".cache")).unwrap();
    let output = bare.push(By::BuiltIn, &[]).run().expect(127);
    for part in ["no program runs below", "noexec", "XDG_CACHE_HOME"] {
        assert!(output.err().contains(part), "{part}\n{output}");
    }
    assert!(bare.placed().is_empty(), "{:?}", bare.placed());
}

#[test]
fn a_directory_that_others_may_write_to_is_refused() {
    let Some(bare) = Bare::new() else { return };
    put(bare.push(By::BuiltIn, &[]).run(), 1);
    fs::set_permissions(bare.cache(), fs::Permissions::from_mode(0o777)).unwrap();
    let output = bare.push(By::BuiltIn, &["--ignore-times"]).run().expect(127);
    for part in ["is a link, belongs to another user, or others may write to it", "chmod go-w"] {
        assert!(output.err().contains(part), "{part}\n{output}");
    }
}

#[test]
fn a_home_without_room_is_told() {
    let Some(bare) = Bare::new() else { return };
    let home = Scene::new();
    let Some(disk) = Disk::small(&home, "cache", 1) else { return };
    std::os::unix::fs::symlink(&disk.at, bare.login.home.join(".cache")).unwrap();
    let output = bare.push(By::BuiltIn, &[]).run().expect(127);
    for part in ["cannot be written", "No space left on device"] {
        assert!(output.err().contains(part), "{part}\n{output}");
    }
    assert!(bare.placed().is_empty(), "{:?}", bare.placed());
    drop(disk);
}

#[test]
fn words_of_login_scripts_are_told_as_such() {
    for by in [By::BuiltIn, By::Other] {
        let Some(bare) = Bare::new() else { return };
        for name in ["sh", "dsync"] {
            bare.program(name, "echo Welcome; [ ${0##*/} = sh ] && exec /bin/sh \"$@\"");
        }
        if by == By::BuiltIn {
            fs::remove_file(bare.login.home.join("bin/dsync")).unwrap();
        }
        let output = bare.push(by, &[]).run().expect(2);
        assert!(output.err().contains("printed text before dsync began to speak: \"Welcome\""), "{output}");
        assert!(!output.err().contains("absent"), "{output}");
        assert!(!bare.scene.path("to").exists() && !bare.cache().exists());
    }
}

/// What is called dsync on a host need not be one, and may say so in any way.
#[test]
fn a_program_of_another_kind_is_passed_over() {
    for by in [By::BuiltIn, By::Other] {
        let Some(bare) = Bare::new() else { return };
        bare.program("dsync", "echo 'usage: dsync [OPTIONS] user'; exit 64");
        let output = bare.push(by, &["--no-bootstrap"]).run().expect(2);
        for part in ["usage: dsync [OPTIONS] user", "only called dsync", "--remote-path"] {
            assert!(output.err().contains(part), "{part}\n{output}");
        }
        put(bare.push(by, &[]).run(), 1);
        bare.arrived();
        put(bare.push(by, &["--ignore-times"]).run(), 0);
        bare.program("uname", "case $1 in -m) echo pdp11;; *) exec /bin/uname \"$@\";; esac");
        fs::remove_dir_all(bare.cache()).unwrap();
        let output = bare.push(by, &[]).run().expect(127);
        for part in [
            "another program called dsync, which says \"usage: dsync [OPTIONS] user\"",
            "pdp11",
            "--remote-path",
        ] {
            assert!(output.err().contains(part), "{part}\n{output}");
        }
    }
}

#[test]
fn a_host_that_is_not_reached_is_not_asked_again() {
    let Some(bare) = Bare::new() else { return };
    let script = rsh_script(bare.scene.root(), "echo asked >&2; exit 255\n");
    let shell = format!("/bin/sh {}", script.display());
    let operands = [bare.scene.path("source/").into_os_string(), remote(bare.scene.path("to"))];
    let output = small().args(["-a", "-e", &shell]).args(operands).run().expect(255);
    assert_eq!(output.err().matches("asked").count(), 1, "{output}");
}

/// The server in the test process says how a command ended in its own way, and is asked in the same.
#[test]
fn other_servers_do_as_well() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync has to be installed");
    }
    let login = russh_server::login();
    let scene = Scene::with_source(&Tree::new().file("file", "x"));
    let operands = [scene.path("source/").into_os_string(), OsString::from(format!("{HOST}:bootstrapped"))];
    let run = small().args(["-a".as_ref(), "--ssh-config".as_ref(), login.config.as_os_str()]).args(operands);
    put(run.clone().run(), 1);
    put(run.run(), 0);
    assert_eq!(fs::read(login.home.join("bootstrapped/file")).unwrap(), b"x");
}
