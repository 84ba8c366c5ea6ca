//! Owners of two replicas: by name on hosts whose users have other numbers, and by number where that is asked for.

use crate::support::command::{self, Invocation, Output};
use crate::support::people::{NAMELESS, THERE, can_have_hosts, here, host};
use crate::support::scene::Scene;
use crate::support::transport::{Direction, Way, remote};
use crate::support::tree::Tree;
use crate::support::xattr::{self, ACCESS_ACL, acl};
use crate::two_way::Two;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, lchown};

/// A replica here and one on a host with users of its own.
struct Hosts {
    two: Two,
    /// Where the other host's replica stands on the command line.
    direction: Direction,
}

impl Hosts {
    fn new(direction: Direction, here: &Tree, there: &Tree) -> Hosts {
        let scene = Scene::new().tree("here", here).tree("there", there);
        Hosts { two: Two { scene, way: Way::LOCAL }, direction }
    }

    fn scene(&self) -> &Scene {
        &self.two.scene
    }

    fn sync(&self, options: &[&str]) -> Output {
        let (here, there) = (self.scene().path("here").into_os_string(), remote(self.scene().path("there")));
        let operands = if self.direction == Direction::Push { [here, there] } else { [there, here] };
        let invocation = Invocation::new(command::binary(), host(self.scene())).args(["-2"]);
        invocation.args(options.iter().copied()).args(operands).run()
    }

    #[track_caller]
    fn assert_owner(&self, path: &str, (user, group): (u32, u32)) {
        assert_eq!(owner(self.scene(), path), (user, group), "{:?} {path}", self.direction);
    }
}

fn owner(scene: &Scene, path: &str) -> (u32, u32) {
    let meta = fs::symlink_metadata(scene.path(path)).unwrap();
    (meta.uid(), meta.gid())
}

fn give(scene: &Scene, path: &str, (user, group): (u32, u32)) {
    lchown(scene.path(path), Some(user), Some(group)).unwrap();
}

const BOTH: [Direction; 2] = [Direction::Push, Direction::Pull];

#[test]
fn a_name_goes_both_ways() {
    if !can_have_hosts() {
        return;
    }
    let here = here();
    for direction in BOTH {
        let ours = Tree::new().file("ours", "1").file("nameless", "2").file("both", "3");
        let hosts = Hosts::new(direction, &ours, &Tree::new().file("theirs", "4").file("both", "3"));
        give(hosts.scene(), "here/ours", here);
        give(hosts.scene(), "here/both", (0, here.1));
        give(hosts.scene(), "here/nameless", (NAMELESS, 0));
        give(hosts.scene(), "there/theirs", (THERE, THERE));
        give(hosts.scene(), "there/both", (0, THERE));
        for side in ["here", "there"] {
            hosts.two.touch(&format!("{side}/both"), 1_600_000_000);
        }
        hosts.sync(&["-og"]).success();
        let is_as_it_was = || {
            for (side, of) in [("here", here), ("there", (THERE, THERE))] {
                let at = |name: &str| format!("{side}/{name}");
                hosts.assert_owner(&at("ours"), of);
                hosts.assert_owner(&at("theirs"), of);
                hosts.assert_owner(&at("both"), (0, of.1));
                hosts.assert_owner(&at("nameless"), (NAMELESS, 0));
            }
        };
        is_as_it_was();
        // Of another kind of run nothing is known to be alike.
        for options in [&["-ogi"][..], &["-ogi", "--exclude=x"]] {
            let again = hosts.sync(options).success();
            assert_eq!(again.out(), "", "{direction:?} {options:?}");
        }
        for (side, other, file, mode) in [
            ("here", "there", "ours", 0o640),
            ("there", "here", "ours", 0o660),
            ("here", "there", "theirs", 0o604),
            ("there", "here", "nameless", 0o600),
        ] {
            hosts.two.chmod(&format!("{side}/{file}"), mode);
            hosts.sync(&["-og"]).success();
            let meta = fs::metadata(hosts.scene().path(&format!("{other}/{file}"))).unwrap();
            assert_eq!(meta.mode() & 0o7777, mode, "{direction:?} {file}");
            is_as_it_was();
        }
        // A change of one side alone, and the same change of both.
        give(hosts.scene(), "there/ours", (THERE, 0));
        give(hosts.scene(), "here/both", here);
        give(hosts.scene(), "there/both", (THERE, THERE));
        hosts.sync(&["-og"]).success();
        hosts.assert_owner("here/ours", (here.0, 0));
        hosts.assert_owner("there/ours", (THERE, 0));
        hosts.assert_owner("here/both", here);
        hosts.assert_owner("there/both", (THERE, THERE));
    }
}

/// A number of theirs without a name is taken for what it is here, and is left where it is when something else is
/// changed there, even if it is the number of somebody here who has another one there.
#[test]
fn who_cannot_be_told_of_by_name_stays_who_he_is() {
    if !can_have_hosts() {
        return;
    }
    let here = here();
    for direction in BOTH {
        let hosts = Hosts::new(direction, &Tree::new(), &Tree::new().file("a", "1"));
        give(hosts.scene(), "there/a", here);
        hosts.sync(&["-og"]).success();
        hosts.assert_owner("here/a", here);
        hosts.two.chmod("here/a", 0o640);
        hosts.sync(&["-og"]).success();
        assert_eq!(fs::metadata(hosts.scene().path("there/a")).unwrap().mode() & 0o7777, 0o640);
        hosts.assert_owner("there/a", here);
    }
}

#[test]
fn numbers_are_kept_where_they_are_asked_for() {
    if !can_have_hosts() {
        return;
    }
    let here = here();
    for direction in BOTH {
        let hosts = Hosts::new(direction, &Tree::new().file("ours", "1"), &Tree::new().file("theirs", "2"));
        give(hosts.scene(), "here/ours", here);
        give(hosts.scene(), "there/theirs", (THERE, THERE));
        hosts.sync(&["-og", "--numeric-ids"]).success();
        hosts.assert_owner("there/ours", here);
        hosts.assert_owner("here/theirs", (THERE, THERE));
        assert_eq!(hosts.sync(&["-og", "--numeric-ids", "-i"]).success().out(), "");
    }
}

/// Where everything is compared, what belongs to the same people is known to be alike, and not told.
#[test]
fn stretches_are_alike_by_name() {
    if !can_have_hosts() {
        return;
    }
    let tree = (0..400).fold(Tree::new(), |tree, n| tree.file(format!("file-{n}"), "content"));
    let hosts = Hosts::new(Direction::Push, &tree, &Tree::new());
    (0..400).for_each(|n| give(hosts.scene(), &format!("here/file-{n}"), here()));
    hosts.sync(&["-og"]).success();
    // The rules are others, so everything is compared.
    let again = hosts.sync(&["-og", "--stats", "--exclude=x"]).success();
    assert!(again.number("Total bytes received:") < 4000, "{again}");
    hosts.two.write("there/file-7", "another");
    let changed = hosts.sync(&["-og", "--stats"]).success();
    assert!(changed.number("Total bytes received:") < 8000, "{changed}");
    hosts.assert_owner("there/file-8", (THERE, THERE));
}

/// Whom an ACL lets in, as the system keeps it, on a host that has these numbers.
fn letting_in((user, group): (u32, u32), perms: u16) -> Vec<u8> {
    acl(0o644, 4, &[(user, perms)], &[(group, 6)])
}

#[test]
fn acls_name_the_same_people() {
    if !can_have_hosts() {
        return;
    }
    let (here, there) = (here(), (THERE, THERE));
    for direction in BOTH {
        let plain = |names: &[&str]| names.iter().fold(Tree::new(), |tree, name| tree.file(name, "1"));
        let hosts =
            Hosts::new(direction, &plain(&["ours", "both", "split"]), &plain(&["theirs", "both", "split"]));
        let path = |path: &str| hosts.scene().path(path);
        let set = |at: &str, of, perms| xattr::set(&path(at), ACCESS_ACL, &letting_in(of, perms));
        set("here/ours", here, 6);
        set("there/theirs", there, 6);
        set("here/both", here, 4);
        set("there/both", there, 4);
        for name in ["both", "split"] {
            ["here", "there"]
                .iter()
                .for_each(|side| hosts.two.touch(&format!("{side}/{name}"), 1_600_000_000));
        }
        hosts.sync(&["-A"]).success();
        let lets_in = |name: &str, perms| {
            for (side, of) in [("here", here), ("there", there)] {
                let has = xattr::get(&path(&format!("{side}/{name}")), ACCESS_ACL);
                assert_eq!(has, Some(letting_in(of, perms)), "{direction:?} {side}/{name}");
            }
        };
        lets_in("ours", 6);
        lets_in("theirs", 6);
        lets_in("both", 4);
        for options in [&["-Ai"][..], &["-Ai", "--exclude=x"]] {
            assert_eq!(hosts.sync(options).success().out(), "", "{direction:?}");
        }
        // What is changed besides leaves them as they are, and so do they.
        hosts.two.write("there/ours", "another content");
        hosts.two.write("here/theirs", "another content");
        set("there/both", there, 5);
        set("here/split", here, 7);
        hosts.sync(&["-A"]).success();
        lets_in("ours", 6);
        lets_in("theirs", 6);
        lets_in("both", 5);
        lets_in("split", 7);
        // Of two versions of a file the one that gets another name takes its ACL along.
        set("here/split", here, 5);
        hosts.two.write("here/split", "here");
        hosts.two.write("there/split", "on the other side");
        hosts.two.touch("here/split", 1_700_000_000);
        hosts.two.touch("there/split", 1_700_000_100);
        set("there/theirs", there, 7);
        set("here/theirs", here, 4);
        for (side, seconds) in [("there", 1_700_000_100), ("here", 1_700_000_200)] {
            hosts.two.touch(&format!("{side}/theirs"), seconds);
        }
        hosts.sync(&["-A", "--conflict=keep-both", "--conflict-for=theirs=newer"]).success();
        lets_in("theirs", 4);
        let copy = hosts.two.paths("here").into_iter().find(|path| path.contains(".conflict-")).unwrap();
        let acl_of = |side: &str| xattr::get(&path(&format!("{side}/{copy}")), ACCESS_ACL);
        let who = [("here", here), ("there", there)].map(|(side, of)| (acl_of(side), letting_in(of, 5)));
        for (has, expected) in who {
            assert_eq!(has, Some(expected), "{direction:?} {copy}");
        }
        assert_eq!(hosts.sync(&["-Ai"]).success().out(), "", "{direction:?}");
    }
}

#[test]
fn acls_are_kept_by_number_where_that_is_asked_for() {
    if !can_have_hosts() {
        return;
    }
    let here = here();
    let hosts = Hosts::new(Direction::Push, &Tree::new().file("ours", "1"), &Tree::new());
    let set = letting_in(here, 6);
    xattr::set(&hosts.scene().path("here/ours"), ACCESS_ACL, &set);
    hosts.sync(&["-A", "--numeric-ids"]).success();
    assert_eq!(xattr::get(&hosts.scene().path("there/ours"), ACCESS_ACL), Some(set));
    assert_eq!(hosts.sync(&["-A", "--numeric-ids", "-i"]).success().out(), "");
}

/// What a run with these options does: at once, or by a plan that is carried out later.
fn sync(two: &Two, options: &[&str], by_plan: bool) -> Output {
    if !by_plan {
        return two.sync(options);
    }
    let plan = two.scene.path("plan");
    let planned = two.sync(&[options, &["-n", &format!("--plan={}", plan.display())]].concat());
    planned.success();
    two.sync(&[options, &[&format!("--apply={}", plan.display())]].concat())
}

/// Runs that leave owners out do not forget them, so that who gives something away meanwhile has done so on his side
/// alone.
#[test]
fn what_was_given_away_is_found_by_the_next_run_that_looks() {
    if !can_have_hosts() {
        return;
    }
    for (way, by_plan) in Way::plain().into_iter().map(|way| (way, false)).chain([(Way::LOCAL, true)]) {
        let tree = ["a", "b", "c", "d"]
            .into_iter()
            .fold(Tree::new().directory("dir"), |tree, name| tree.file(name, name));
        let two = Two::new(way, &tree, &Tree::new());
        two.sync(&["-og"]).success();
        let both = |path: &str, of: (u32, u32)| {
            for side in ["left", "right"] {
                assert_eq!(
                    owner(&two.scene, &format!("{side}/{path}")),
                    of,
                    "{way:?} {by_plan} {side}/{path}"
                );
            }
        };
        give(&two.scene, "left/a", (1234, 4321));
        give(&two.scene, "right/b", (1235, 0));
        give(&two.scene, "right/dir", (0, 4321));
        give(&two.scene, "left/c", (0, 1236));
        // What else is changed on either side goes along, and no owner with it.
        two.write("left/a", "another content");
        two.chmod("left/b", 0o640);
        two.chmod("right/c", 0o600);
        two.write("right/d", "another content");
        for options in [&[][..], &["-o"], &[]] {
            sync(&two, options, by_plan).success();
            assert_eq!(owner(&two.scene, "right/a").1, 0, "{way:?} {by_plan} {options:?}");
        }
        let users = |path: &str| ["left", "right"].map(|side| owner(&two.scene, &format!("{side}/{path}")).0);
        assert_eq!((users("a"), users("b")), ([1234; 2], [1235; 2]), "{way:?} {by_plan}");
        assert_eq!(
            (two.read("right/a"), two.read("left/d")),
            ("another content".into(), "another content".into())
        );
        sync(&two, &["-og"], by_plan).success();
        both("a", (1234, 4321));
        both("b", (1235, 0));
        both("c", (0, 1236));
        both("d", (0, 0));
        both("dir", (0, 4321));
        two.assert_same();
        assert_eq!(two.sync(&["-ogi"]).success().out(), "", "{way:?} {by_plan}");
    }
}
