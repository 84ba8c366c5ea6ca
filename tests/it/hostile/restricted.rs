//! Clients of a server that is restricted to a directory, who know the protocol and keep to nothing else; and somebody
//! who swaps what is in the directory meanwhile.

use super::peer::{Peer, directory, file, listing};
use super::races::Flipper;
use super::victim::{Outcome, Victim};
use crate::restricted::{Jail, there};
use crate::support::command::is_rsync;
use crate::support::scene::Scene;
use crate::support::snapshot::Columns;
use crate::support::tools;
use crate::support::tree::Tree;
use dsync::request::{Backup, Bases, BasisKind, Missing, NamesFrom, Options, Part, Request};
use dsync::tree::{Kind, RelPath};
use dsync::wire::hello::{self, Hello, Join};
use dsync::wire::{Abort, AbortKind, Confirm, DirId, FileId, FileThere, Message, Want};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A directory for a server, and one that is out of bounds.
fn scene() -> Scene {
    let jail =
        Tree::new().file("docs/f", "inside").file("docs/dir/deep", "inside").symlink("out", "../outside");
    let outside = Tree::new().file("only-outside", "SECRET").file("dir/only-outside", "SECRET");
    Scene::new().tree("jail", &jail).tree("outside", &outside)
}

fn serve(scene: &Scene, modes: &[&str], part: Part, options: Options) -> (Peer, Victim) {
    let restrict = format!("--restrict={}", scene.path("jail").display());
    let arguments: Vec<String> =
        std::iter::once(restrict).chain(modes.iter().map(|mode| (*mode).to_owned())).collect();
    Victim::serve(scene, &arguments, &Request { part, options })
}

fn source(argument: &str) -> Part {
    Part::Source { arguments: vec![argument.as_bytes().to_vec()] }
}

fn sink(destination: &str) -> Part {
    Part::Sink { destination: destination.as_bytes().to_vec() }
}

fn recursive() -> Options {
    Options { recursive: true, links: true, times: true, ..Options::default() }
}

/// All that a server says until it ends, when nothing more is said to it.
fn all_of(mut peer: Peer, victim: Victim) -> (String, Outcome) {
    let mut said = String::new();
    while let Some(message) = peer.next() {
        let is_last = matches!(message, Message::Abort(_) | Message::Listed | Message::Finish(_));
        said.push_str(&format!("{message:?}\n"));
        if is_last {
            break;
        }
    }
    drop(peer);
    (said, victim.finish())
}

/// Whether a text holds what is outside, as text or as the numbers of its bytes.
fn tells_secrets(said: &str) -> bool {
    let numbers = |text: &str| {
        let numbers: Vec<String> = text.bytes().map(|byte| byte.to_string()).collect();
        numbers.join(", ")
    };
    ["SECRET", "only-outside"].iter().any(|secret| said.contains(secret) || said.contains(&numbers(secret)))
}

#[test]
fn what_is_outside_is_listed_to_nobody() {
    let paths =
        ["../outside/", "/../outside/", "out/", "out/only-outside", "../o*/*", "docs/../../outside/", "out"];
    for path in paths {
        for set in [
            |_: &mut Options| {},
            |options: &mut Options| options.relative = true,
            |options: &mut Options| options.link_rules.copy = true,
            |options: &mut Options| options.link_rules.copy_unsafe = true,
            |options: &mut Options| options.list_only = true,
            |options: &mut Options| options.missing = Missing::Deleted,
            |options: &mut Options| options.explain = vec![RelPath::new(*b"only-outside").unwrap()],
        ] {
            let scene = scene();
            let before = scene.snapshot("outside");
            let mut options = recursive();
            set(&mut options);
            let (mut peer, victim) = serve(&scene, &[], source(path), options);
            peer.send(Message::Close(DirId(0)));
            let (said, outcome) = all_of(peer, victim);
            outcome.assert_orderly(path);
            // The path itself is told back, or its last name.
            let is_named = path.contains("only-outside") && !said.contains("SECRET");
            assert!(is_named || !tells_secrets(&said.replace(path, "")), "{path}\n{said}");
            before.assert_same(&scene.snapshot("outside"), Columns::ALL);
        }
    }
}

/// Everything a request can name, at once, each of it outside.
#[test]
fn a_sink_reaches_nothing_outside_whatever_its_request_names() {
    let bytes = |path: &str| path.as_bytes().to_vec();
    for path in ["../outside", "../../outside", "/../outside", "/out", "../out", "../outside/new"] {
        for destination in ["docs", "/docs", "../outside", "out", "out/new", "/../outside/new"] {
            let scene = scene();
            let before = scene.snapshot("outside");
            let options = Options {
                make_path: true,
                delete: Some(Default::default()),
                force: true,
                backup: Some(Backup { directory: Some(bytes(path)), suffix: bytes("~") }),
                bases: Some(Bases { kind: BasisKind::Link, directories: vec![bytes(path)] }),
                temp_dir: Some(bytes(path)),
                partial_dir: Some(bytes(&format!("{path}/parts"))),
                delay_updates: true,
                names_from: Some(NamesFrom::Peer {
                    file: bytes(&format!("{path}/only-outside")),
                    nul: false,
                }),
                ..recursive()
            };
            let (peer, victim) = serve(&scene, &[], sink(destination), options.clone());
            let (said, outcome) = all_of(peer, victim);
            outcome.assert_orderly(path);
            assert!(!said.contains("SECRET") && said.contains("Abort"), "{path} {destination}\n{said}");
            let (mut peer, victim) =
                serve(&scene, &[], sink(destination), Options { names_from: None, ..options });
            peer.begin_with(vec![file("f", 0), directory("dir"), file("only-outside", 0)]);
            peer.send(listing(1, Some((0, 1)), Vec::new(), true));
            peer.send(Message::Listed);
            let (said, outcome) = all_of(peer, victim);
            outcome.assert_orderly(path);
            assert!(!said.contains("SECRET"), "{path} {destination}\n{said}");
            before.assert_same(&scene.snapshot("outside"), Columns::ALL);
        }
    }
}

/// What the messages of a run ask for, its request has to have asked for.
#[test]
fn messages_widen_no_mode() {
    let scene = scene();
    let before = scene.snapshot("jail");
    let (mut peer, victim) = serve(&scene, &["--read-only"], source("docs/"), recursive());
    let entries = peer.expect_root();
    let place = entries.iter().position(|entry| entry.kind() == Kind::File).unwrap();
    let there = FileThere { ino: 0, ctime: filetime::FileTime::zero() };
    let index = u32::try_from(place).unwrap();
    peer.send(Message::Confirm(Confirm { dir: DirId(0), index, there }));
    let (_, outcome) = all_of(peer, victim);
    outcome.assert_orderly("a confirmation");
    before.assert_same(&scene.snapshot("jail"), Columns::ALL);

    let (mut peer, victim) = serve(&scene, &["--no-delete"], sink("docs"), recursive());
    peer.begin();
    let Message::Listing(mut gone) = listing(0, None, Vec::new(), true) else { panic!("it is one") };
    gone.asked.absent = vec![RelPath::new(*b"f").unwrap(), RelPath::new(*b"dir").unwrap()];
    peer.send(Message::Listing(gone));
    peer.send(Message::Listed);
    let (_, outcome) = all_of(peer, victim);
    outcome.assert_orderly("absent paths");
    let differences = before.differences(&scene.snapshot("jail"), super::CONTENT);
    assert!(differences.is_empty(), "{differences:#?}");

    let (mut peer, victim) = serve(&scene, &["--write-only"], sink("docs"), recursive());
    peer.begin();
    let want = Want { file: FileId(0), dir: DirId(0), index: 0, basis: None, refine: false, from: 0 };
    peer.send(Message::Want(want));
    let (said, outcome) = all_of(peer, victim);
    outcome.assert_orderly("a want");
    assert!(!said.contains("inside") && said.contains("Abort"), "{said}");
}

/// A refusal is an answer to the request, before anything is looked at.
#[test]
fn a_refusal_is_told_with_its_class() {
    let scene = scene();
    for (mode, part) in [("--read-only", sink("docs")), ("--write-only", source("docs/"))] {
        let (mut peer, victim) = serve(&scene, &[mode], part, recursive());
        let Abort { text, kind } = peer.expect("a refusal", |message| match message {
            Message::Abort(abort) => Some(abort.clone()),
            _ => None,
        });
        assert!(text.contains("refused") && text.contains(mode), "{text}");
        assert_eq!(kind, AbortKind::Usage);
        assert_eq!(victim.finish().code, Some(1));
    }
}

/// Further channels would be joined outside of the directory.
#[test]
fn nobody_joins_a_restricted_server() {
    let scene = scene();
    let mut child = Command::new(env!("CARGO_BIN_EXE_dsync"))
        .args(["--server".to_owned(), format!("--restrict={}", scene.path("jail").display())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let hello = Hello { join: Some(Join { token: [7; 16], number: 1 }), ..Hello::new(0) };
    child.stdin.take().unwrap().write_all(&hello.encode()).unwrap();
    let mut output = child.stdout.take().unwrap();
    Hello::read(&mut output).unwrap();
    let refusal = hello::read_joined(&mut output).unwrap().unwrap();
    assert!(refusal.contains("restricted"), "{refusal}");
    assert!(child.wait().unwrap().success());
}

/// The kernel keeps every thread of a server, since it does so before there are any: each has what goes with that
/// (prctl(2), PR_SET_NO_NEW_PRIVS), which nothing else sets here.
#[test]
fn the_kernel_keeps_every_thread() {
    let scene = scene();
    let has_none = |status: &str| status.lines().any(|line| line == "NoNewPrivs:\t0");
    if !has_none(&fs::read_to_string("/proc/self/status").unwrap()) {
        return tools::missing("a process that may have new privileges");
    }
    let (mut peer, victim) = serve(&scene, &[], sink("docs"), recursive());
    peer.begin_with(vec![file("f", 9)]);
    peer.expect("a want or a fetch", |message| {
        matches!(message, Message::Want(_) | Message::Fetch(_)).then_some(())
    });
    let threads: Vec<String> = fs::read_dir(victim.process().join("task"))
        .unwrap()
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok())
        .collect();
    assert!(threads.len() > 2, "it has several threads");
    let free = threads.iter().filter(|status| has_none(status)).count();
    assert!(free == 0 || free == threads.len(), "{free} of {} threads are not kept", threads.len());
    if free > 0 {
        tools::missing("a kernel with Landlock");
    }
    drop(peer);
    victim.finish();
}

/// How long each kind of run is repeated.
const REPEATED: Duration = Duration::from_millis(1000);

/// A directory in the way of every path is swapped for a link that leads out, while runs name it.
#[test]
fn directories_that_are_swapped_lead_nowhere_else() {
    if is_rsync() {
        return tools::not_for_rsync("rsync has a script for it");
    }
    let runs: [&[&str]; 7] = [
        &["-a", "host:flip/docs/", "to/"],
        &["-aL", "host:/", "to/"],
        &["-aR", "host:flip/docs/f", "to/"],
        &["-a", "--files-from=here/names", "host:/", "to/"],
        &["-aI", "--delete", "here/", "host:flip/docs/"],
        &["-aIb", "--backup-dir=/flip/docs", "--partial-dir=/flip/docs", "here/", "host:docs/"],
        &["-aI", "--link-dest=/flip/docs", "--temp-dir=/flip/docs", "here/", "host:docs/"],
    ];
    for arguments in runs {
        let jail = Jail::new();
        let at = |path: &str| jail.scene.path(path);
        fs::create_dir_all(at("jail/flip/docs")).unwrap();
        fs::write(at("jail/flip/docs/f"), "inside").unwrap();
        fs::write(at("here/names"), "flip/docs/f\n").unwrap();
        fs::remove_file(at("jail/out")).unwrap();
        symlink(at("outside"), at("trap")).unwrap();
        fs::create_dir_all(at("outside/docs")).unwrap();
        fs::write(at("outside/docs/f"), "SECRET").unwrap();
        let outside = jail.scene.snapshot("outside");
        let (since, mut flips, mut count) = (Instant::now(), 0, 0);
        while since.elapsed() < REPEATED {
            let flipper = Flipper::start([at("jail/flip"), at("trap")]);
            let words: Vec<String> = arguments
                .iter()
                .map(|word| word.strip_prefix("host:").map_or((*word).to_owned(), there))
                .collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let output = jail.run("", &words);
            flips += flipper.finish();
            count += 1;
            let what = arguments.join(" ");
            assert!(!output.err().contains("panicked"), "{what}\n{output}");
            let differences = outside.differences(&jail.scene.snapshot("outside"), Columns::ALL);
            assert!(differences.is_empty(), "{what}: outside changed {differences:#?}\n{output}");
            let mut secrets = ["to", "jail/docs"].into_iter().flat_map(|tree| {
                jail.scene.paths(tree).into_iter().map(move |path| format!("{tree}/{path}"))
            });
            let secret = secrets.find(|path| fs::read(at(path)).is_ok_and(|content| content == b"SECRET"));
            // What a link in the tree leads to is not what was copied.
            let secret = secret.filter(|path| !at(path).is_symlink());
            assert_eq!(secret, None, "{what}\n{output}");
        }
        assert!(flips > count, "{flips} flips in {count} runs are no race");
    }
}
