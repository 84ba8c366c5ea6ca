//! Filter rules for names of extended attributes (modifier `x`), held against the installed rsync.

use crate::support::command::{Invocation, Output};
use crate::support::scene::Scene;
use crate::support::transport::Way;
use crate::support::tree::{Tree, noise};
use crate::support::{command, tools, xattr};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const ENTRIES: [&str; 4] = ["", "file", "dir", "dir/file"];

/// A file that only some sources have.
const NEW: &str = "dir/new";

/// Entries that have these attributes, and with root's those besides.
fn tree(names: &[&str], of_root: &str, value: &str) -> Tree {
    let mut tree = Tree::new().file("file", "same").file("dir/file", "same");
    for entry in ENTRIES {
        let own = tools::is_root().then_some(&of_root);
        tree = names.iter().chain(own).fold(tree, |tree, name| tree.xattr(entry, name, value));
    }
    tree
}

fn scene(rules: &[(&str, &str)]) -> Scene {
    let source = tree(&["user.a", "user.b", "user.c/d"], "trusted.t", "source");
    let source = rules.iter().fold(source, |tree, (file, lines)| tree.file(file, *lines));
    let own = tree(&["user.a", "user.x"], "trusted.u", "own");
    Scene::with_source(&source).tree("theirs", &own).tree("to", &own)
}

/// What entries have.
fn attributes(at: &Path) -> BTreeMap<&'static str, xattr::Xattrs> {
    let all = ENTRIES.iter().chain([&NEW]);
    all.map(|entry| (*entry, xattr::read(&at.join(entry)))).collect()
}

fn items(output: &Output) -> Vec<String> {
    let mut items: Vec<String> = output.items().iter().map(|line| line.replacen('<', ">", 1)).collect();
    items.sort_unstable();
    items
}

/// Both programs do the same with these rules, and then have nothing left to do.
#[track_caller]
fn compare(way: Way, scene: &Scene, rules: &[&str]) {
    let Some(rsync) = tools::find("rsync") else { return };
    let words = || ["-rlptXi"].into_iter().chain(rules.iter().copied());
    let from = scene.path("source/");
    let theirs = Invocation::new(&rsync, words()).args([from.clone(), scene.path("theirs")]).run().success();
    let words: Vec<&str> = words().collect();
    let ours = || way.copy(&words, std::slice::from_ref(&from), scene.path("to")).run().success();
    assert_eq!(items(&ours()), items(&theirs), "{way:?} {rules:?}");
    assert_eq!(attributes(&scene.path("to")), attributes(&scene.path("theirs")), "{way:?} {rules:?}");
    assert_eq!(ours().items(), [""; 0], "{way:?} {rules:?}");
}

#[test]
fn names_take_part_as_in_rsync() {
    if !xattr::are_here() || command::is_rsync() {
        return;
    }
    for way in Way::all() {
        compare(way, &scene(&[]), &["-f-x user.a", "-f-x *.u"]);
        compare(way, &scene(&[]), &["-f-xs user.a"]);
        compare(way, &scene(&[]), &["-f-xr user.[ax]", "--exclude=user.*"]);
        compare(way, &scene(&[]), &["-f-xr *"]);
        compare(way, &scene(&[]), &["-f-x! user.?"]);
        compare(way, &scene(&[]), &["-f+x user.b", "-fHx **", "-f- nothing"]);
        compare(way, &scene(&[]), &["-f-x user.a", "--delete-excluded", "--delete"]);
    }
    for rule in
        ["-x user.c*", "-x user.c**", "-x d", "-x c/d", "-x /user.b", "-x user.b/", "Px user.x", "-xp user.a"]
    {
        compare(Way::LOCAL, &scene(&[]), &["-f", rule]);
    }
}

#[test]
fn files_of_rules_count_at_the_source() {
    if !xattr::are_here() || command::is_rsync() {
        return;
    }
    for way in Way::all() {
        let rules =
            [("dir/.rsync-filter", "-x user.a\n-xr user.x\n-x /user.b\n"), (".rsync-filter", "- x\n")];
        compare(way, &scene(&rules), &["-F"]);
        let rules = [(".rsync-filter", "-x /user.a\n- x\n")];
        compare(way, &scene(&rules), &["-FF", "--delete-before"]);
    }
    // As in rsync, the modifier says nothing of what is in a file that is merged.
    for rule in [":-x .rules", ":x+ .rules"] {
        compare(Way::LOCAL, &scene(&[(".rules", "user.a\n")]), &["-f", rule, "-f- .rules"]);
    }
    let scene = scene(&[]);
    fs::write(scene.path("merged"), "-x user.a\n-xs user.b\n").unwrap();
    let rule = format!(". {}", scene.path("merged").display());
    compare(Way::LOCAL, &scene, &["-f", &rule]);
}

/// Content comes with the attributes that take part, to files that are new and to those that are not.
#[test]
fn what_comes_with_content_is_what_the_rules_let_through() {
    let Some(rsync) = tools::find("rsync").filter(|_| xattr::are_here()) else { return };
    let mut source = tree(&["user.a", "user.b", "user.d"], "trusted.t", "source")
        .file("file", "longer than before")
        .file(NEW, noise(300_000, 1))
        .file("dir/.f", "-x user.b\n");
    for entry in ["file", NEW] {
        source =
            ["user.a", "user.b", "user.d"].iter().fold(source, |tree, name| tree.xattr(entry, name, "new"));
    }
    let own = tree(&["user.a", "user.b", "user.x"], "trusted.t", "own");
    for way in Way::all() {
        let scene = Scene::with_source(&source).tree("theirs", &own).tree("to", &own);
        let (options, from) = (["-rlptX", "-f-x user.a", "-f: .f"], scene.path("source/"));
        Invocation::new(&rsync, options).args([from.clone(), scene.path("theirs")]).run().success();
        way.copy(&options, &[from], scene.path("to")).run().success();
        let theirs = attributes(&scene.path("theirs"));
        assert_eq!(attributes(&scene.path("to")), theirs, "{way:?}");
        assert_eq!(theirs[NEW].keys().filter(|name| name.starts_with(b"user.")).count(), 1);
    }
}

/// What is kept of the destination's own is kept whole, and a file with attributes that no source has is not taken along
/// for another, whatever rules hide them.
#[test]
fn rules_take_nothing_from_what_is_kept_here() {
    let scene = Scene::with_source(&Tree::new().file("file", "new").file("moved", noise(70_000, 1)))
        .tree("to", &Tree::new().file("file", "old").xattr("file", "user.keep", "own"));
    let keep = |at: &str| xattr::get(&scene.path(at), b"user.keep");
    for rules in [&[][..], &["-X"]] {
        let options = [&["-rlpt", "--inplace", "-I", "-b", "--suffix=.b", "-f-x *.keep"], rules].concat();
        Way::LOCAL.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(keep("to/file.b").as_deref(), Some(&b"own"[..]), "{rules:?}");
        assert_eq!(keep("to/file").as_deref(), Some(&b"own"[..]), "{rules:?}");
        fs::rename(scene.path("to/moved"), scene.path("to/before")).unwrap();
        rustix::fs::setxattr(scene.path("to/before"), "user.keep", b"own", rustix::fs::XattrFlags::empty())
            .unwrap();
        let options = [&["-rlpt", "--detect-renames", "--delete", "-f-x *.keep"], rules].concat();
        Way::LOCAL.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(keep("to/moved"), None, "{rules:?}");
    }
}
