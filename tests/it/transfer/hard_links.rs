//! Names that are one file at the source become one file (`-H`).

use crate::support::command::Output;
use crate::support::disk::Disk;
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, Snapshot, assert_same};
use crate::support::transport::Way;
use crate::support::tree::{Node, Tree, noise};
use crate::support::xattr::{self, ACCESS_ACL, acl};
use filetime::FileTime;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Which paths below `root` are one file, as far as several are.
fn groups(root: &Path) -> BTreeSet<BTreeSet<String>> {
    let shown = |path: Vec<u8>| path.escape_ascii().to_string();
    let groups = Snapshot::of(root).groups().into_iter();
    groups.map(|names| names.into_iter().map(shown).collect()).collect()
}

fn group<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

/// A source whose names are linked as told.
fn linked(tree: &Tree, links: &[(&str, &str)]) -> Scene {
    let scene = Scene::with_source(tree);
    for (name, other) in links {
        fs::hard_link(scene.path("source").join(name), scene.path("source").join(other)).unwrap();
    }
    scene
}

fn run(way: Way, scene: &Scene, options: &[&str]) -> Output {
    way.copy(options, &[scene.path("source/")], scene.path("to")).run()
}

fn three() -> Scene {
    let tree = Tree::new().file("a/x", "one file").directory("b").file("single", "another");
    linked(&tree, &[("a/x", "b/y"), ("a/x", "z")])
}

#[test]
fn what_is_here_under_a_later_name_of_the_directory_is_not_sent_again() {
    for way in Way::all() {
        let tree =
            Tree::new().file("d/m", noise(70_000, 1)).file("e", noise(70_000, 2)).file("k", noise(500, 3));
        let links = [("d/m", "d/b"), ("d/m", "d/a"), ("d/m", "d/z"), ("e", "a"), ("k", "j")];
        let scene = linked(&tree, &links);
        let same = |name: &str, to: &str| {
            let options = ["-a", &scene.path("source").join(name).display().to_string()].map(str::to_owned);
            assert!(
                std::process::Command::new("cp")
                    .args(options)
                    .arg(scene.path("to").join(to))
                    .status()
                    .unwrap()
                    .success()
            );
        };
        fs::create_dir_all(scene.path("to/d")).unwrap();
        // One that is there, one in the place of another, and two that are like the file by their size and time alone.
        same("d/m", "d/m");
        same("e", "e");
        fs::write(scene.path("to/a"), "of another content").unwrap();
        same("k", "p");
        same("d/m", "d/x");
        let before = Snapshot::of(&scene.path("to"));
        let dry = run(way, &scene, &["-aHin", "--delete"]).success();
        assert_eq!(Snapshot::of(&scene.path("to")), before);
        let copied = run(way, &scene, &["-aHi", "--delete", "--stats"]).success();
        assert_eq!(copied.number("Literal data:"), 500, "{way:?}\n{copied}");
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
        let expected = [group(["a", "e"]), group(["d/a", "d/b", "d/m", "d/z"]), group(["j", "k"])];
        assert_eq!(groups(&scene.path("to")), expected.into(), "{way:?}\n{copied}");
        let lines = [
            "hf+++++++++ d/a => d/m\n",
            "hf+++++++++ d/b => d/m\n",
            "hf+++++++++ d/z => d/m\n",
            "hf.st...... a => e\n",
            "k => j\n",
        ];
        for line in lines {
            assert!(copied.out().contains(line) && dry.out().contains(line), "{way:?} {line}\n{copied}{dry}");
        }
    }
}

#[test]
fn a_new_name_begins_with_a_file_like_it_rather_than_waiting() {
    for way in Way::all() {
        let scene = linked(&Tree::new().file("a", noise(300_000, 1)), &[("a", "c")]);
        // Of the same size and time as the file, under a name that is none of it.
        fs::create_dir(scene.path("to")).unwrap();
        let mut copy = std::process::Command::new("cp");
        copy.arg("-p").args([scene.path("source/a"), scene.path("to/old")]);
        assert!(copy.status().unwrap().success());
        let copied = run(way, &scene, &["-aH", "--no-whole-file", "--fuzzy", "--stats"]).success();
        assert_eq!(copied.number("Literal data:"), 0, "{way:?}\n{copied}");
        assert_eq!(groups(&scene.path("to")), [group(["a", "c"])].into(), "{way:?}\n{copied}");
    }
}

#[test]
fn names_in_any_directories_are_one_file_and_stay_so() {
    for way in Way::all() {
        let scene = three();
        let first = run(way, &scene, &["-aHi", "--stats"]).success();
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
        assert_eq!(groups(&scene.path("to")), [group(["a/x", "b/y", "z"])].into(), "{way:?}\n{first}");
        assert_eq!(first.number("Number of regular files transferred:"), 2, "{way:?}\n{first}");
        assert_eq!(first.number("Number of created files:"), 7, "{way:?}\n{first}");
        for line in ["hf+++++++++ a/x => z\n", "hf+++++++++ b/y => z\n"] {
            assert!(first.out().contains(line), "{way:?}\n{first}");
        }
        let before = scene.snapshot("to");
        let again = run(way, &scene, &["-aHi"]).success();
        assert!(
            !again.out().lines().any(|line| line.starts_with(['<', '>', 'h', '.', 'c'])),
            "{way:?}\n{again}"
        );
        assert!(before == scene.snapshot("to"), "{way:?}: the second run changed something");
        let all = run(way, &scene, &["-aHii"]).success();
        assert!(all.out().contains("hf          b/y\n"), "{way:?}\n{all}");
    }
}

#[test]
fn a_changed_file_is_sent_once() {
    for way in Way::plain() {
        for options in [&["-aHi", "--stats"][..], &["-aHi", "--stats", "--inplace"]] {
            let scene = three();
            run(way, &scene, &["-aH"]).success();
            let inode = fs::metadata(scene.path("to/z")).unwrap().ino();
            fs::write(scene.path("source/a/x"), "changed, and longer").unwrap();
            let again = run(way, &scene, options).success();
            assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
            assert_eq!(groups(&scene.path("to")), [group(["a/x", "b/y", "z"])].into(), "{way:?}\n{again}");
            assert_eq!(again.number("Number of regular files transferred:"), 1, "{way:?}\n{again}");
            let in_place = options.len() > 2;
            assert_eq!(again.out().contains("hf.st...... a/x => z\n"), !in_place, "{way:?}\n{again}");
            assert_eq!(fs::metadata(scene.path("to/z")).unwrap().ino() == inode, in_place, "{way:?}");
        }
    }
}

#[test]
fn what_was_apart_is_put_together() {
    for way in Way::plain() {
        for options in [&["-aHi"][..], &["-aHci"], &["-aHi", "--size-only"], &["-aHIi"]] {
            let scene = three();
            run(way, &scene, &["-a"]).success();
            assert_eq!(groups(&scene.path("to")), BTreeSet::new());
            let kept = fs::metadata(scene.path("to/z")).unwrap().ino();
            let output = run(way, &scene, options).success();
            assert_eq!(groups(&scene.path("to")), [group(["a/x", "b/y", "z"])].into(), "{way:?}\n{output}");
            assert!(output.out().contains("hf          a/x => z\n"), "{way:?} {options:?}\n{output}");
            let same = fs::metadata(scene.path("to/z")).unwrap().ino() == kept;
            assert_eq!(same, options != ["-aHIi"], "{way:?} {options:?}\n{output}");
            assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
        }
    }
}

#[test]
fn contents_are_compared_once_for_all_names() {
    for way in Way::plain() {
        let scene = three();
        run(way, &scene, &["-aH"]).success();
        let unchanged = run(way, &scene, &["-aHci"]).success();
        assert!(!unchanged.out().contains("hf"), "{way:?}\n{unchanged}");
        // Of the same length and time.
        let time = fs::metadata(scene.path("to/z")).unwrap().modified().unwrap();
        fs::write(scene.path("to/z"), "eno file").unwrap();
        fs::File::options().write(true).open(scene.path("to/z")).unwrap().set_modified(time).unwrap();
        let output = run(way, &scene, &["-aHci", "--stats"]).success();
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
        assert_eq!(groups(&scene.path("to")), [group(["a/x", "b/y", "z"])].into(), "{way:?}\n{output}");
        assert_eq!(output.number("Number of regular files transferred:"), 1, "{way:?}\n{output}");
        let order: Vec<String> = output
            .out()
            .lines()
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.get(12..)?.split(' ').next().map(str::to_owned))
            .filter(|name| ["z", "a/x", "b/y"].contains(&name.as_str()))
            .collect();
        assert_eq!(order, ["z", "a/x", "b/y"], "{way:?}\n{output}");
    }
}

#[test]
fn symbolic_links_and_fifos_have_several_names_too() {
    for way in Way::plain() {
        let tree = Tree::new().symlink("l", "target").node("p", Node::Fifo).directory("d");
        let scene = linked(&tree, &[("l", "d/l"), ("p", "p2")]);
        let output = run(way, &scene, &["-aHi"]).success();
        assert_eq!(groups(&scene.path("to")), [group(["d/l", "l"]), group(["p", "p2"])].into());
        assert!(output.out().contains("hL+++++++++ d/l => l\n"), "{way:?}\n{output}");
        assert!(output.out().contains("hS+++++++++ p2 => p\n"), "{way:?}\n{output}");
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
        assert!(!run(way, &scene, &["-aHi"]).success().out().contains('h'));
    }
}

/// What is new is listed as soon as it is seen to be, and before what has to be compared first.
#[test]
fn directories_that_are_listed_in_another_order_than_they_are_read_in_change_nothing() {
    for way in Way::all() {
        for options in [&["-aH"][..], &["-aH", "--chmod=D755", "--bwlimit=1g"]] {
            let tree = Tree::new().file("a/a/b/first", "one file").directory("new/x");
            let scene = linked(&tree, &[("a/a/b/first", "second"), ("a/a/b/first", "new/x/third")]);
            fs::create_dir_all(scene.path("to/a/a")).unwrap();
            run(way, &scene, options).success();
            let expected = [group(["a/a/b/first", "new/x/third", "second"])].into();
            assert_eq!(groups(&scene.path("to")), expected, "{way:?} {options:?}");
        }
    }
}

#[test]
fn names_of_several_arguments_are_linked_and_those_outside_are_not() {
    for way in Way::plain() {
        let scene = three();
        fs::hard_link(scene.path("source/single"), scene.path("outside")).unwrap();
        fs::create_dir(scene.path("to")).unwrap();
        fs::write(scene.path("to/outside"), "another").unwrap();
        let arguments = ["source/a", "source/b", "source/single"].map(|name| scene.path(name));
        way.copy(&["-aH"], &arguments, scene.path("to")).run().success();
        assert_eq!(groups(&scene.path("to")), [group(["a/x", "b/y"])].into(), "{way:?}");
    }
}

#[test]
fn without_the_option_each_name_is_a_file_and_links_at_the_destination_stay() {
    let scene = three();
    run(Way::LOCAL, &scene, &["-a"]).success();
    assert_eq!(groups(&scene.path("to")), BTreeSet::new());
    // Names that are one file here only.
    fs::remove_file(scene.path("to/single")).unwrap();
    fs::hard_link(scene.path("to/z"), scene.path("to/single")).unwrap();
    fs::write(scene.path("source/single"), "one file").unwrap();
    Tree::new().file("source/single", "one file").write(scene.root());
    run(Way::LOCAL, &scene, &["-aH"]).success();
    assert_eq!(groups(&scene.path("to")), [group(["a/x", "b/y", "single", "z"])].into());
    fs::write(scene.path("source/single"), "no longer").unwrap();
    run(Way::LOCAL, &scene, &["-aH"]).success();
    assert_eq!(groups(&scene.path("to")), [group(["a/x", "b/y", "z"])].into());
    assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
}

#[test]
fn a_name_that_is_skipped_takes_no_part() {
    for way in Way::plain() {
        let scene = three();
        fs::create_dir_all(scene.path("to/a")).unwrap();
        fs::write(scene.path("to/a/x"), "mine").unwrap();
        run(way, &scene, &["-aH", "--ignore-existing"]).success();
        assert_eq!(groups(&scene.path("to")), [group(["b/y", "z"])].into(), "{way:?}");
        assert_eq!(scene.read("to/a/x"), b"mine");

        let scene = three();
        fs::create_dir_all(scene.path("to/a")).unwrap();
        fs::create_dir_all(scene.path("to/b")).unwrap();
        fs::write(scene.path("to/b/y"), "old").unwrap();
        fs::write(scene.path("to/a/x"), "old").unwrap();
        run(way, &scene, &["-aH", "--existing"]).success();
        assert_eq!(groups(&scene.path("to")), [group(["a/x", "b/y"])].into(), "{way:?}");
        assert!(!scene.path("to/z").exists());

        // Unlike rsync's, for which only the first name counts.
        let scene = three();
        fs::create_dir_all(scene.path("to/b")).unwrap();
        fs::write(scene.path("to/b/y"), "newer than the source's").unwrap();
        run(way, &scene, &["-aHu"]).success();
        assert_eq!(groups(&scene.path("to")), [group(["a/x", "z"])].into(), "{way:?}");
        assert_eq!(scene.read("to/b/y"), b"newer than the source's");
    }
}

#[test]
fn a_dry_run_tells_the_same_and_does_nothing() {
    for way in Way::plain() {
        for options in [["-aHi", "-aHin"], ["-aHci", "-aHcin"], ["-aHi", "-aHin"]] {
            let scene = three();
            fs::create_dir_all(scene.path("to/b/y")).unwrap();
            fs::write(scene.path("to/z"), "eno file").unwrap();
            let before = scene.snapshot("to");
            let would = run(way, &scene, &[options[1]]).success();
            assert!(before == scene.snapshot("to"), "{way:?}");
            let does = run(way, &scene, &[options[0]]).success();
            let lines = |output: &Output| {
                output
                    .out()
                    .lines()
                    .take_while(|line| !line.is_empty())
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            assert_eq!(lines(&would), lines(&does), "{way:?}");
        }
    }
}

#[test]
fn a_name_in_the_place_of_another_kind_counts_as_made() {
    for way in Way::plain() {
        let scene = three();
        fs::create_dir_all(scene.path("to/b/y")).unwrap();
        fs::create_dir_all(scene.path("to/a")).unwrap();
        fs::write(scene.path("to/a/x"), "old").unwrap();
        let output = run(way, &scene, &["-aHi", "--stats"]).success();
        // The first name, the one in the place of a directory, and the single file.
        assert_eq!(output.number("Number of created files:"), 3, "{way:?}\n{output}");
        assert!(output.out().contains("hf.stp..... b/y => z\n"), "{way:?}\n{output}");
    }
}

#[test]
fn a_full_directory_in_the_way_of_a_name_stays() {
    let scene = three();
    fs::create_dir_all(scene.path("to/b/y")).unwrap();
    fs::write(scene.path("to/b/y/mine"), "mine").unwrap();
    assert_eq!(run(Way::LOCAL, &scene, &["-aH"]).code, Some(23));
    assert_eq!(groups(&scene.path("to")), [group(["a/x", "z"])].into());
    assert_eq!(scene.read("to/b/y/mine"), b"mine");
    run(Way::LOCAL, &scene, &["-aH", "--force"]).success();
    assert_eq!(groups(&scene.path("to")), [group(["a/x", "b/y", "z"])].into());
}

#[test]
fn a_name_takes_the_place_of_one_that_cannot_be_had() {
    for way in Way::plain() {
        // A full directory is in the way of the first; the second has to be fetched then.
        let scene = three();
        fs::create_dir_all(scene.path("to/z")).unwrap();
        fs::write(scene.path("to/z/mine"), "mine").unwrap();
        let output = run(way, &scene, &["-aH"]);
        assert_eq!(output.code, Some(23), "{output}");
        assert_eq!(groups(&scene.path("to")), [group(["a/x", "b/y"])].into(), "{way:?}\n{output}");
        assert_eq!(scene.read("to/b/y"), b"one file");
    }
}

#[test]
fn large_files_wait_for_their_first_name() {
    for way in Way::plain() {
        let content = noise(3 << 20, 7);
        let tree = Tree::new().file("first", &content).directory("d");
        let links: Vec<String> = (0..300).map(|n| format!("d/{n:03}")).collect();
        let links: Vec<(&str, &str)> = links.iter().map(|name| ("first", name.as_str())).collect();
        let scene = linked(&tree, &links);
        run(way, &scene, &["-aH", "--partial"]).success();
        assert_eq!(groups(&scene.path("to")).first().unwrap().len(), 301, "{way:?}");
        let mut changed = content.clone();
        changed.splice(5000..5000, *b"inserted");
        fs::write(scene.path("source/first"), &changed).unwrap();
        let output = run(way, &scene, &["-aH", "--stats", "--no-whole-file"]).success();
        assert!(output.number("Literal data:") < 100_000, "{output}");
        assert_eq!(groups(&scene.path("to")).first().unwrap().len(), 301, "{way:?}");
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
    }
}

/// Directories that hold names of groups are listed, so that what is the same can be linked.
#[test]
fn fingerprints_do_not_hide_a_name_that_is_apart() {
    for way in Way::plain() {
        let scene = three();
        run(way, &scene, &["-aH"]).success();
        let bytes = scene.read("to/b/y");
        let time = fs::metadata(scene.path("to/b/y")).unwrap().modified().unwrap();
        fs::remove_file(scene.path("to/b/y")).unwrap();
        fs::write(scene.path("to/b/y"), bytes).unwrap();
        fs::File::options().write(true).open(scene.path("to/b/y")).unwrap().set_modified(time).unwrap();
        run(way, &scene, &["-aH"]).success();
        assert_eq!(groups(&scene.path("to")), [group(["a/x", "b/y", "z"])].into(), "{way:?}");
    }
}

#[test]
fn many_groups_take_no_long_search() {
    let files = if cfg!(debug_assertions) { 20_000 } else { 100_000 };
    let scene = Scene::in_memory();
    for dir in ["source/a", "source/b"] {
        fs::create_dir_all(scene.path(dir)).unwrap();
    }
    for n in 0..files {
        let (one, other) = (format!("source/a/{n:06}"), format!("source/b/{n:06}"));
        fs::write(scene.path(&one), n.to_string()).unwrap();
        fs::hard_link(scene.path(&one), scene.path(&other)).unwrap();
    }
    run(Way::LOCAL, &scene, &["-aH"]).success();
    let pairs = groups(&scene.path("to"));
    assert_eq!(pairs.len(), files);
    assert!(pairs.iter().all(|names| names.len() == 2));
}

/// Between two file systems there are no links.
#[test]
fn where_links_are_refused_each_name_is_a_file() {
    let scene = three();
    fs::create_dir(scene.path("to")).unwrap();
    let Some(disk) = Disk::small(&scene, "to/b", 1) else { return };
    let output = run(Way::LOCAL, &scene, &["-aH"]);
    let content = fs::read(disk.at.join("y"));
    drop(disk);
    assert_eq!(content.unwrap(), b"one file", "{output}");
    assert_eq!(output.code, Some(23), "{output}");
    assert_eq!(output.err().matches("a file of its own").count(), 1, "{output}");
    assert_eq!(groups(&scene.path("to")), [group(["a/x", "z"])].into());
}

#[test]
fn all_names_have_the_attributes_that_are_asked_for() {
    if !xattr::are_here() {
        return;
    }
    for way in Way::all() {
        let scene = three();
        let source = scene.path("source/z");
        xattr::set(&source, b"user.a", b"1");
        xattr::set(&source, ACCESS_ACL, &acl(0o644, 6, &[(4, 6)], &[]));
        for change in ["nothing", "attributes", "everything"] {
            match change {
                "attributes" => xattr::set(&source, b"user.a", b"2"),
                "everything" => {
                    fs::write(&source, noise(200_000, 3)).unwrap();
                    xattr::set(&source, b"user.b", b"3");
                }
                _ => {}
            }
            let output = run(way, &scene, &["-aHAXi"]).success();
            assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
            let all = [group(["a/x", "b/y", "z"])].into();
            assert_eq!(groups(&scene.path("to")), all, "{way:?} {change}\n{output}");
        }
        let again = run(way, &scene, &["-aHAXi"]).success();
        assert!(!again.out().contains("hf") && !again.out().contains(".f"), "{way:?}\n{again}");
    }
}

/// Times of access are those of the file, whichever name is written.
#[test]
fn times_of_access_are_kept_with_hard_links() {
    let long_ago = FileTime::from_unix_time(1_400_000_000, 5);
    for way in Way::plain() {
        let scene = three();
        filetime::set_file_atime(scene.path("source/z"), long_ago).unwrap();
        run(way, &scene, &["-aHU"]).success();
        let accessed = FileTime::from_last_access_time(&fs::metadata(scene.path("to/a/x")).unwrap());
        assert_eq!(accessed, long_ago, "{way:?}");
    }
}

#[test]
fn what_links_lead_to_is_one_file_with_its_other_names() {
    for way in Way::plain() {
        let tree = Tree::new().file("a", "one file").file("alone", "2").symlink("c", "a").directory("dir");
        let scene = linked(&tree.symlink("d", "alone").symlink("e", "alone"), &[("a", "b"), ("a", "dir/x")]);
        run(way, &scene, &["-aHL"]).success();
        assert_eq!(groups(&scene.path("to")), [group(["a", "b", "c", "dir/x"])].into(), "{way:?}");
    }
}

#[test]
fn names_that_several_arguments_show_are_one_file() {
    for way in Way::plain() {
        let scene = linked(&Tree::new().file("a", "one file"), &[("a", "b")]);
        let sources = [scene.path("source"), scene.path("source/")];
        way.copy(&["-aH"], &sources, scene.path("to")).run().success();
        let all = [group(["a", "b", "source/a", "source/b"])].into();
        assert_eq!(groups(&scene.path("to")), all, "{way:?}");
    }
}

#[test]
fn a_format_shows_of_which_name_a_name_becomes_another() {
    for way in Way::plain() {
        let scene = linked(&Tree::new().file("a", "one file"), &[("a", "b")]);
        let output = run(way, &scene, &["-aH", "--out-format=%n|%L|%12L|"]).success();
        assert!(output.out().contains("a||                |\n"), "{way:?}\n{output}");
        assert!(output.out().contains("b| => a| =>            a|\n"), "{way:?}\n{output}");
    }
}
