//! Every path that a request can name: absolute, with `..`, and through links that lead out.

use super::{Jail, there};
use crate::support::command::is_rsync;
use crate::support::snapshot::Columns;
use crate::support::tools;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

/// Whether the program under test is dsync, which alone has this.
fn is_ours() -> bool {
    if is_rsync() {
        tools::not_for_rsync("rsync has a script for it");
    }
    !is_rsync()
}

#[test]
fn paths_are_those_of_the_directory() {
    if !is_ours() {
        return;
    }
    for source in ["docs/f", "/docs/f", "~/docs/f", "./docs/../docs/f", "in/f", "/in/../docs/f", "d*/f"] {
        let jail = Jail::new();
        jail.run("", &["-a", &there(source), "to/"]).success();
        assert_eq!(jail.scene.read("to/f"), b"inside", "{source}");
    }
    for destination in ["docs", "/docs/", "in/", "~/docs", "new/../docs"] {
        let jail = Jail::new();
        fs::create_dir(jail.scene.path("jail/new")).unwrap();
        jail.run("", &["-a", "here/", &there(destination)]).success();
        assert_eq!(jail.scene.read("jail/docs/f"), b"newer content", "{destination}");
    }
    let jail = Jail::new();
    let listed = jail.run("", &["-r", &there("/")]).success().out();
    assert!(listed.contains("docs/f") && listed.contains("list"), "{listed}");
    let home = jail.run("", &[&there("")]).success().out();
    assert!(home.contains("docs") && !home.contains("outside"), "{home}");
}

#[test]
fn an_absolute_link_into_the_directory_is_followed() {
    if !is_ours() {
        return;
    }
    let jail = Jail::new();
    std::os::unix::fs::symlink(jail.scene.path("jail/docs"), jail.scene.path("jail/current")).unwrap();
    jail.run("", &["-a", &there("current/f"), "to/"]).success();
    assert_eq!(jail.scene.read("to/f"), b"inside");
    jail.run("", &["-a", "here/", &there("current/")]).success();
    assert_eq!(jail.scene.read("jail/docs/new"), b"new");
}

const OUTSIDE: [&str; 9] = [
    "../outside/",
    "/../outside/",
    "~/../outside/",
    "docs/../../outside/",
    "out/",
    "docs/out/",
    "abs/",
    "in/out/",
    "/out/dir/",
];

#[test]
fn no_source_is_outside() {
    if !is_ours() {
        return;
    }
    let files =
        ["out/only-outside", "../outside/only-outside", "o*/only*", "../o*/f", "abs/dir/*", "docs/up/"];
    for source in OUTSIDE.into_iter().chain(files) {
        for flags in ["-a", "-rtL", "-aR", "-rd"] {
            let jail = Jail::new();
            let output = jail.run("", &[flags, &there(source), "to/"]);
            // A pattern that matches nothing is a name that is not there.
            let said = ["leads out", "No such file", "..", "not a directory"];
            let told = output.err();
            assert!(output.code == Some(23) || output.code == Some(1), "{source} {flags}\n{output}");
            assert!(said.iter().any(|said| told.contains(said)), "{source} {flags}\n{output}");
            jail.assert_outside_untouched(source, &output);
        }
        let jail = Jail::new();
        let output = jail.run("", &["-rv", &there(source)]);
        assert!(output.code != Some(0), "{source}\n{output}");
        assert!(!output.out().contains("dir"), "{source}\n{output}");
        jail.assert_outside_untouched(source, &output);
    }
}

#[test]
fn what_links_lead_to_is_copied_only_inside() {
    if !is_ours() {
        return;
    }
    for flags in [&["-rtL"][..], &["-rtk"], &["-rtl", "--copy-unsafe-links"], &["-rtLH"]] {
        let jail = Jail::new();
        std::os::unix::fs::symlink("f", jail.scene.path("jail/docs/near")).unwrap();
        let output = jail.run("", &[flags, &[there("docs/").as_str(), "to/"]].concat());
        jail.assert_outside_untouched(flags[0], &output);
        if flags.concat().contains('L') {
            assert_eq!(output.code, Some(23), "{output}");
            assert!(output.err().contains("leads out"), "{output}");
            assert_eq!(jail.scene.read("to/near"), b"inside");
        }
    }
}

#[test]
fn no_list_of_names_is_outside_nor_what_it_names() {
    if !is_ours() {
        return;
    }
    let jail = Jail::new();
    jail.run("", &["-a", "--files-from=:list", &there("docs"), "to/"]).success();
    assert_eq!(jail.scene.paths("to"), ["f"]);
    for list in ["../outside/list", "/../outside/list", "out/list", "abs/list", "/etc/passwd", "docs"] {
        for (source, destination) in [(there("docs"), "to/".to_owned()), ("here".to_owned(), there("docs/"))]
        {
            let jail = Jail::new();
            let from = format!("--files-from=:{list}");
            let output = jail.run("", &["-a", &from, &source, &destination]);
            assert!(output.code != Some(0), "{list}\n{output}");
            assert!(!jail.scene.path("to/g").exists(), "{list} was read\n{output}");
            jail.assert_outside_untouched(list, &output);
        }
    }
    for name in ["out/only-outside", "docs/out/f", "abs/f", "docs/up/", "out/", "../outside/f"] {
        for flags in ["-a", "-rtL"] {
            let jail = Jail::new();
            fs::write(jail.scene.path("here/names"), format!("{name}\n")).unwrap();
            let output = jail.run("", &[flags, "--files-from=here/names", &there("/"), "to/"]);
            assert_eq!(output.code, Some(23), "{name} {flags}\n{output}");
            jail.assert_outside_untouched(name, &output);
        }
    }
}

/// Files of rules are looked for in the directories above the top, but not above the directory itself.
#[test]
fn no_rules_come_from_outside() {
    if !is_ours() {
        return;
    }
    for (at, is_heeded) in [("jail/.rules", true), (".rules", false)] {
        let jail = Jail::new();
        fs::write(jail.scene.path(at), "- f\n").unwrap();
        let output = jail.run("", &["-r", "--filter=: /.rules", &there("docs/"), "to/"]).success();
        assert_eq!(!jail.scene.path("to/f").exists(), is_heeded, "{at}\n{output}");
    }
}

#[test]
fn no_destination_is_outside() {
    if !is_ours() {
        return;
    }
    let more =
        ["out", "out/new", "../outside/new", "out/f", "abs/new/", "docs/up", "../jail/../outside/new/"];
    for destination in OUTSIDE.into_iter().chain(more) {
        for flags in [&["-a"][..], &["-a", "--mkpath"], &["-a", "--delete"], &["-a", "-n"]] {
            for source in ["here/", "here/f"] {
                let jail = Jail::new();
                let output = jail.run("", &[flags, &[source, there(destination).as_str()]].concat());
                let what = format!("{source} to {destination} {flags:?}");
                assert_eq!(output.code, Some(3), "{what}\n{output}");
                assert!(output.err().contains("leads out"), "{what}\n{output}");
                jail.assert_outside_untouched(&what, &output);
            }
        }
    }
}

/// What options name is resolved from the destination, or from the directory if it begins with a slash.
#[test]
fn what_options_name_is_inside() {
    if !is_ours() {
        return;
    }
    let paths =
        ["../../outside", "/../outside", "/out", "../out", "out", "/abs", "/out/dir", "../../outside/new"];
    for option in
        ["--backup-dir", "--temp-dir", "--partial-dir", "--compare-dest", "--copy-dest", "--link-dest"]
    {
        for path in paths {
            let jail = Jail::new();
            // What would be found there is the same as what is sent.
            fs::write(jail.scene.path("here/f"), "SECRE2").unwrap();
            let time = fs::metadata(jail.scene.path("outside/f")).unwrap().modified().unwrap();
            fs::File::options()
                .write(true)
                .open(jail.scene.path("here/f"))
                .and_then(|file| file.set_modified(time))
                .unwrap();
            let asked = format!("{option}={path}");
            let output = jail.run("", &["-ab", "--delay-updates", &asked, "here/", &there("docs/")]);
            let what = asked.as_str();
            jail.assert_outside_untouched(what, &output);
            // One that goes with each directory, and is a link there, is looked at when there is a part to be kept.
            let is_told = !output.err().is_empty() || (option == "--partial-dir" && !path.starts_with('/'));
            assert!(is_told, "{what}\n{output}");
            if output.err().contains("leads out") {
                let ends_it = matches!(option, "--temp-dir" | "--partial-dir" | "--backup-dir");
                assert_eq!(output.code, Some(if ends_it { 1 } else { 23 }), "{what}\n{output}");
                assert!(output.err().contains(option), "{what}\n{output}");
            }
            let arrived = fs::metadata(jail.scene.path("jail/docs/f")).unwrap();
            assert_eq!(arrived.nlink(), 1, "{what}\n{output}");
        }
    }
    let jail = Jail::new();
    fs::create_dir(jail.scene.path("jail/tmp")).unwrap();
    let options = ["-ab", "--backup-dir=/kept", "--temp-dir=/tmp", "--partial-dir=/parts"];
    jail.run("", &[&options[..], &["here/", &there("docs/")]].concat()).success();
    assert_eq!(jail.scene.read("jail/kept/f"), b"inside");
    assert_eq!(jail.scene.read("jail/docs/f"), b"newer content");
    jail.run("", &["-a", "--link-dest=/docs", "here/", &there("next/")]).success();
    assert_eq!(fs::metadata(jail.scene.path("jail/next/f")).unwrap().nlink(), 2);
    jail.run("", &["-a", "--link-dest=../next", "here/", &there("last/")]).success();
    assert_eq!(fs::metadata(jail.scene.path("jail/last/f")).unwrap().nlink(), 3);
}

/// What a client plants does not tell it what there is outside.
#[test]
fn a_planted_link_asks_nothing() {
    if !is_ours() {
        return;
    }
    let jail = Jail::new();
    let path = |name: &str| jail.scene.path(name).display().to_string();
    let back: String = jail.scene.path("outside/dir").components().skip(1).map(|_| "/..").collect();
    for (name, outside) in [("probe-1", "outside/dir"), ("probe-2", "outside/none")] {
        let text = format!("{}{back}{}", path(outside), path("jail/docs/f"));
        std::os::unix::fs::symlink(text, jail.scene.path("here").join(name)).unwrap();
    }
    jail.run("", &["-a", "here/", &there("docs/")]).success();
    let said = |name: &str| {
        let output = jail.run("", &["-aL", &there(&format!("docs/{name}")), "to/"]).expect(23);
        output.err().replace(name, "")
    };
    let there_is = said("probe-1");
    assert!(there_is.contains("leads out"), "{there_is}");
    assert_eq!(there_is, said("probe-2"));
}

/// What a replica keeps of its history is neither read nor written by a run that names it, whatever it may do else.
#[test]
fn what_a_replica_keeps_is_nobodys() {
    if !is_ours() {
        return;
    }
    let jail = Jail::new();
    jail.run("", &["-2", "--conflict=local", "here", &there("docs")]).success();
    std::os::unix::fs::symlink("docs/.dsync", jail.scene.path("jail/state")).unwrap();
    let before = jail.scene.snapshot("jail");
    let check = |arguments: &[&str], code: i32| {
        let output = jail.run("", arguments);
        assert_eq!(output.code, Some(code), "{arguments:?}\n{output}");
        assert!(output.err().contains(".dsync, which is for dsync alone"), "{arguments:?}\n{output}");
        assert!(jail.scene.paths("to").is_empty(), "{arguments:?}\n{output}");
        before.assert_same(&jail.scene.snapshot("jail"), Columns::ALL);
    };
    for path in [
        "docs/.dsync",
        "docs/.dsync/",
        "docs/.dsync/history",
        "docs/.dsync/*",
        "state/",
        "docs/./.dsync/history",
    ] {
        for flags in ["-a", "-aR", "-aL"] {
            check(&[flags, &there(path), "to/"], 23);
        }
        check(&["-a", "here/f", &there(path)], 3);
        check(&["-a", "--mkpath", "--delete", "here/", &there(&format!("{path}/new/"))], 3);
    }
    fs::write(jail.scene.path("names"), "docs/.dsync/history\n").unwrap();
    check(&["-a", "--files-from=names", &there("/"), "to/"], 23);
    check(&["-a", "--files-from=:docs/.dsync/history", &there("/"), "to/"], 11);
    check(&["-2", "here", &there("docs/.dsync")], 41);
    let missing = ["-a", "--force", "--files-from=names", "--delete-missing-args"];
    check(&[&missing[..], &["here/", &there("/")]].concat(), 23);
    check(&["-a", "--filter=: .dsync/history", &there("docs/"), "to/"], 23);
    check(&["-a", "--temp-dir=.dsync", "here/", &there("docs/")], 1);
    check(&["-a", "--partial-dir=.dsync", "here/", &there("docs/")], 1);
    check(&["-a", "--link-dest=.dsync/staging", "here/", &there("docs/")], 23);
    // A run that names what holds it passes by.
    jail.run("", &["-a", &there("docs/"), "to/"]).success();
    assert!(!jail.scene.path("to/.dsync").exists());
}

#[test]
fn no_replica_is_outside() {
    if !is_ours() {
        return;
    }
    for root in OUTSIDE {
        for roots in [["here".to_owned(), there(root)], [there(root), "here".to_owned()]] {
            let jail = Jail::new();
            let output = jail.run("", &["-2", &roots[0], &roots[1]]);
            assert!(output.code != Some(0), "{root}\n{output}");
            assert!(output.err().contains("leads out"), "{root}\n{output}");
            jail.assert_outside_untouched(root, &output);
        }
    }
    let jail = Jail::new();
    jail.run("", &["-2", "--conflict=local", "here", &there("/docs")]).success();
    assert_eq!(jail.scene.read("here/g"), b"too");
    assert_eq!(jail.scene.read("jail/docs/new"), b"new");
    fs::remove_file(jail.scene.path("here/new")).unwrap();
    fs::rename(jail.scene.path("here/g"), jail.scene.path("here/h")).unwrap();
    jail.run("", &["-2", "here", &there("in")]).success();
    assert!(!jail.scene.path("jail/docs/new").exists());
    assert_eq!(jail.scene.read("jail/docs/h"), b"too");
}
