//! Each change of each kind of thing.

use super::*;
use crate::twoway::record::Modes;

#[test]
fn everything_can_be_made() {
    let mut scene = Scene::new(&[("here", "1")]);
    let tasks = vec![
        scene.becomes("dir", State::Directory, 0o2750),
        scene.becomes("dir/deep", State::Directory, 0o555),
        scene.becomes("dir/deep/file", file("content"), 0o4755),
        scene.becomes("dir/small", file("even"), 0o640),
        scene.becomes("dir/empty", file(""), 0o600),
        scene.becomes("dir/link", link("../here"), 0),
        scene.becomes("fifo", State::Special(Kind::Fifo, None), 0o640),
    ];
    let came = scene.run(tasks, &[("dir/deep/file", "content"), ("dir/small", "even"), ("dir/empty", "")]);
    assert_eq!(
        scene.tree(""),
        [
            "dir/",
            "dir/deep/",
            "dir/deep/file=content",
            "dir/empty=",
            "dir/link->../here",
            "dir/small=even",
            "fifo|",
            "here=1"
        ]
    );
    for (path, mode) in [
        ("dir", 0o2750),
        ("dir/deep", 0o555),
        ("dir/deep/file", 0o4755),
        ("dir/small", 0o640),
        ("fifo", 0o640),
    ] {
        assert_eq!(scene.looks(path), (THEN, mode), "{path}");
    }
    assert_eq!(
        came.said,
        ["new Create dir", "new Create dir/deep", "new Create dir/link", "new Create fifo"]
    );
    assert_eq!((came.totals.created.directories, came.totals.created.total()), (2, 4));
    assert_eq!(scene.tree(".dsync/trash"), [""; 0]);
}

#[test]
fn everything_can_be_removed_and_is_in_the_trash() {
    let mut scene =
        Scene::new(&[("dir/deep/file", "1"), ("dir/link", "->x"), ("dir/empty", "/"), ("stays", "2")]);
    fs::set_permissions(scene.path("dir/deep"), fs::Permissions::from_mode(0o750)).unwrap();
    scene.scan();
    let tasks: Vec<Task> =
        ["dir", "dir/deep", "dir/deep/file", "dir/empty", "dir/link"].map(|path| scene.goes(path)).into();
    let came = scene.run(tasks, &[]);
    assert_eq!(scene.tree(""), ["stays=2"]);
    assert_eq!(scene.trash(), ["dir/", "dir/deep/", "dir/deep/file=1", "dir/empty/", "dir/link->x"]);
    assert_eq!(scene.looks(&format!(".dsync/trash/{RUN}/dir/deep")).1, 0o750);
    assert_eq!(scene.looks(&format!(".dsync/trash/{RUN}")).1, 0o700);
    assert_eq!(came.said.len(), 5);
    assert_eq!((came.totals.deleted.directories, came.totals.deleted.total()), (3, 5));
    assert!(came.log.iter().all(|entry| entry.trashed.as_ref() == Some(&entry.path)));
}

#[test]
fn everything_can_be_replaced_by_every_other_kind() {
    let kinds = || {
        [
            ("file", file("new"), "file=new"),
            ("link", link("new"), "link->new"),
            ("fifo", State::Special(Kind::Fifo, None), "fifo|"),
            ("dir", State::Directory, "dir/"),
        ]
    };
    for (from, what) in [("file", "old"), ("link", "->old"), ("fifo", "|"), ("dir", "/")] {
        for (to, state, line) in kinds() {
            let mut scene = Scene::new(&[]);
            if what == "|" {
                let mode = rustix::fs::Mode::from_raw_mode(0o600);
                let at = scene.path("it");
                rustix::fs::mknodat(rustix::fs::CWD, at, rustix::fs::FileType::Fifo, mode, 0).unwrap();
            } else {
                scene.put("it", what);
            }
            if from == "dir" {
                scene.put("it/inside", "kept");
            }
            scene.scan();
            let old = scene.tree("");
            let mut tasks = vec![scene.becomes("it", state, 0o640)];
            if from == "dir" && to != "dir" {
                tasks.push(scene.goes("it/inside"));
            }
            let is_update = matches!((from, to), ("fifo", "fifo") | ("dir", "dir"));
            let came = scene.run(tasks, &[("it", "new")]);
            let new = scene.tree("");
            if !is_update {
                assert_eq!(new, [line.replace(to, "it")], "{from} {to}");
                assert_eq!(scene.trash(), old, "{from} {to}");
                assert!(came.log.iter().all(|entry| entry.trashed.as_ref() == Some(&entry.path)));
            }
            assert_eq!(scene.looks("it").0, THEN, "{from} {to}");
        }
    }
}

#[test]
fn attributes_are_set_where_they_are() {
    let mut scene = Scene::new(&[("dir/file", "1"), ("dir/link", "->x")]);
    let inode = fs::metadata(scene.path("dir/file")).unwrap().ino();
    let old = |record: &mut Record| record.mtime = FileTime::from_unix_time(THEN, 0);
    let chmod = |mode: u32| {
        move |record: &mut Record| {
            record.attributes.mode = mode;
            old(record);
        }
    };
    let tasks = vec![
        scene.task("", old),
        scene.task("dir", chmod(0o511)),
        scene.task("dir/file", chmod(0o400)),
        scene.task("dir/link", old),
    ];
    let came = scene.run(tasks, &[]);
    assert_eq!(scene.looks("").0, THEN);
    assert_eq!((scene.looks("dir"), scene.looks("dir/file")), ((THEN, 0o511), (THEN, 0o400)));
    assert_eq!(scene.looks("dir/link").0, THEN);
    assert_eq!(fs::metadata(scene.path("dir/file")).unwrap().ino(), inode);
    let mut said = came.said;
    said.sort();
    assert_eq!(said, ["Attributes .", "Attributes dir", "Attributes dir/file", "Attributes dir/link"]);
}

#[test]
fn a_directory_keeps_its_time_when_something_is_done_in_it() {
    let mut scene = Scene::new(&[("dir/old", "1"), ("dir/gone", "1")]);
    let then = FileTime::from_unix_time(THEN, 0);
    filetime::set_file_mtime(scene.path("dir"), then).unwrap();
    scene.scan();
    let tasks = vec![
        scene.becomes("dir/old", file("newer"), 0o600),
        scene.becomes("dir/new", file("newer"), 0o600),
        scene.goes("dir/gone"),
    ];
    scene.run(tasks, &[("dir/old", "newer"), ("dir/new", "newer")]);
    assert_eq!(scene.looks("dir").0, THEN);
    assert_eq!(scene.trash(), ["dir/", "dir/gone=1", "dir/old=1"]);
}

#[test]
fn without_permissions_entries_keep_or_get_usual_ones() {
    let mut scene = Scene::new(&[("old", "1")]);
    fs::set_permissions(scene.path("old"), fs::Permissions::from_mode(0o604)).unwrap();
    scene.settings.shared.modes = Modes::Own;
    scene.scan();
    let tasks = vec![
        scene.becomes("old", file("22"), 0o777),
        scene.becomes("new", file("333"), 0o666),
        scene.becomes("dir", State::Directory, 0o777),
    ];
    scene.run(tasks, &[("old", "22"), ("new", "333")]);
    let modes = ["old", "new", "dir"].map(|path| scene.looks(path).1);
    assert_eq!(modes, [0o604, 0o644, 0o755]);
}

#[test]
fn what_is_not_to_be_kept_is_gone_at_the_end() {
    let mut scene = Scene::new(&[("a/b/file", "1"), ("a/c", "2"), ("x", "/"), ("x/y", "3")]);
    scene.settings.keep_trash = false;
    let tasks = vec![
        scene.goes("a"),
        scene.goes("a/b"),
        scene.goes("a/b/file"),
        scene.becomes("a/c", State::Absent, 0),
        scene.becomes("x", link("z"), 0),
        scene.goes("x/y"),
    ];
    scene.run(tasks, &[]);
    assert_eq!(scene.tree(".dsync/trash"), [""; 0]);
    assert_eq!(scene.tree(""), ["x->z"]);
}

#[test]
fn a_directory_that_stays_for_others_is_emptied_and_comes_back() {
    let mut scene = Scene::new(&[("dir/file", "1"), ("dir/deep/.dsync/history", "1")]);
    assert!(scene.record("dir").occupied);
    let kept = |record: &mut Record| record.state = State::Absent;
    let tasks = vec![scene.task("dir", kept), scene.task("dir/deep", kept), scene.goes("dir/file")];
    assert_eq!(tasks[0].here, Some(Change::Empty));
    scene.run(tasks, &[]);
    let theirs = ["dir/deep/.dsync/", "dir/deep/.dsync/history=1"];
    assert_eq!(scene.tree(""), [&["dir/", "dir/deep/"], &theirs[..]].concat());
    let tasks =
        vec![scene.becomes("dir", State::Directory, 0o700), scene.becomes("dir/new", file("2"), 0o600)];
    scene.run(tasks, &[("dir/new", "2")]);
    assert_eq!(scene.tree(""), [&["dir/", "dir/deep/"], &theirs[..], &["dir/new=2"]].concat());
    assert_eq!(scene.looks("dir"), (THEN, 0o700));
}

#[test]
fn records_without_work_are_written_down() {
    let mut scene = Scene::new(&[("file", "1")]);
    let task = scene.task("file", |_| {});
    assert_eq!((task.here, task.is_news()), (None, true));
    let came = scene.run(vec![task], &[]);
    assert_eq!((came.said.len(), came.log.len()), (0, 0));
}

#[test]
fn a_loser_is_copied_before_anything_else() {
    for content in ["loser", "a loser!"] {
        let mut scene = Scene::new(&[("name", content), ("link", "->loser")]);
        let copy = |scene: &Scene, at: &str, of: &str, state: State| {
            let why = Why::CopyOf { original: path(of), loser: Side::Right };
            Task { why, ..scene.becomes(at, state, 0o640) }
        };
        let tasks = vec![
            copy(&scene, "name.conflict", "name", file(content)),
            copy(&scene, "link.conflict", "link", link("loser")),
            scene.becomes("name", file("the winner"), 0o600),
            scene.becomes("link", link("winner"), 0),
        ];
        let (carrier, said) = scene.begin(tasks.clone());
        carrier.copy_losers().unwrap();
        assert_eq!(
            scene.tree(""),
            [
                "link->loser".to_owned(),
                "link.conflict->loser".to_owned(),
                format!("name.conflict={content}"),
                format!("name={content}")
            ]
        );
        carrier.write_down().unwrap();
        carrier.make().unwrap();
        assert_eq!(scene.fetch(&carrier, &[("name", "the winner"), ("name.conflict", content)]), [true]);
        carrier.finish().unwrap();
        let came = scene.end(carrier, &said);
        assert_eq!(came.left, [""; 0], "{:?}", came.said);
        scene.is_known(&tasks);
        assert_eq!(scene.trash(), ["link->loser".to_owned(), format!("name={content}")]);
    }
}

/// A copy is told as what differs from its original, where that is a file of about its length; what is no task's path
/// is not opened, whatever the other side calls the original.
#[test]
fn a_copy_may_be_like_its_original_alone() {
    let like = |original: &str, content: &str| {
        let mut scene = Scene::new(&[("name", "0123456789"), ("other", "0123456789"), ("link", "->loser")]);
        let why = Why::CopyOf { original: path(original), loser: Side::Left };
        let copy = Task { why, ..scene.becomes("name.conflict", file(content), 0o640) };
        let (name, link) =
            (scene.becomes("name", file("0123456789"), 0o600), scene.becomes("link", link("x"), 0));
        let (carrier, said) = scene.begin(vec![copy, name, link]);
        let at = path("name.conflict");
        let entry = listed(&at.split_last().unwrap().1, content.len());
        let like = carrier.wants(&at, &entry).unwrap().like;
        scene.end(carrier, &said);
        like.map(|path| path.to_string())
    };
    let sizes = [2, 3, 10, 40, 41].map(|len| like("name", &"x".repeat(len)).is_some());
    assert_eq!(sizes, [false, true, true, true, false]);
    for original in ["other", "link", "nothing", ".dsync/history"] {
        assert_eq!(like(original, "0123456789"), None, "{original}");
    }
}
