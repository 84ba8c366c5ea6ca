//! What was planned is fetched, and nothing else is touched.

use super::*;
use filetime::FileTime;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

/// Two trees, and the runs between them.
struct Trees {
    at: tempfile::TempDir,
    heard: Arc<Heard>,
    context: Context,
}

impl Trees {
    fn new() -> Trees {
        let (at, heard) = (tempfile::tempdir().unwrap(), Arc::default());
        fs::create_dir(at.path().join("one")).unwrap();
        fs::create_dir(at.path().join("other")).unwrap();
        let mut context = context(&heard);
        context.options.detail.changes = true;
        Trees { at, heard, context }
    }

    fn one(&self) -> PathBuf {
        self.at.path().join("one")
    }

    fn other(&self) -> PathBuf {
        self.at.path().join("other")
    }

    /// Fetches what is selected, as far as it was planned.
    fn fetch_of(&self, plan: &Plan, selected: &[&str]) -> Totals {
        let paths = selected.iter().map(|name| path(name));
        let view = View::planned(root(&self.one()).dir().clone(), Selection::new(paths));
        let (mut source, mut sink) = if self.context.local { Link::pair() } else { pumped() };
        let (read, written) = pass((&mut source, &mut sink), &view, plan.goal(&self.other()), &self.context);
        assert_eq!(read.unwrap(), written.as_ref().copied().unwrap());
        assert!(!files(&self.other()).keys().any(|name| name.contains(".dsync")), "something is left staged");
        written.unwrap()
    }

    fn fetch(&self, plan: &Plan) -> Totals {
        let selected: Vec<String> = plan.files.keys().map(RelPath::to_string).collect();
        self.fetch_of(plan, &selected.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

const NO_TIME: FileTime = FileTime::from_unix_time(1_000_000_000, 0);

#[test]
fn only_what_was_planned_arrives_whatever_it_looks_like() {
    let trees = Trees::new();
    let (one, other) = (trees.one(), trees.other());
    for name in ["a/x/f", "a/x/g", "b", "same", "c/f", "d/f"] {
        put(&one, name, format!("new {name}"));
    }
    for name in ["a/x/g", "b", "same", "extra"] {
        put(&other, name, format!("old {name}"));
    }
    for tree in [&one, &other] {
        filetime::set_file_mtime(tree.join("same"), NO_TIME).unwrap();
    }
    fs::create_dir(other.join("c")).unwrap();
    fs::set_permissions(one.join("c"), fs::Permissions::from_mode(0o711)).unwrap();
    fs::set_permissions(other.join("c"), fs::Permissions::from_mode(0o750)).unwrap();
    let plan = Plan::new(&[("a/x/g", false), ("same", false), ("c/f", true)]);
    let totals = trees.fetch_of(&plan, &["a/x/f", "a/x/g", "b", "same", "c/f"]);
    let is = |name: &str| String::from_utf8(files(&other).remove(name).unwrap()).unwrap();
    assert_eq!(files(&other).keys().collect::<Vec<_>>(), ["a/x/g", "b", "c/f", "extra", "same"]);
    assert_eq!(
        ["a/x/g", "b", "c/f", "extra", "same"].map(is).join(","),
        "new a/x/g,old b,new c/f,old extra,new same"
    );
    assert_eq!(trees.heard.said(), ["a/x/g", "c/f new", "same"]);
    assert_eq!((totals.transferred, totals.created.files, totals.failed), (3, 1, 0));
    assert_eq!(fs::metadata(other.join("c")).unwrap().mode() & 0o777, 0o750);
    assert_ne!(FileTime::from_last_modification_time(&fs::metadata(other.join("same")).unwrap()), NO_TIME);
}

#[test]
fn many_small_files_come_together_and_large_ones_staged() {
    for local in [false, true] {
        let mut trees = Trees::new();
        trees.context.local = local;
        let deep = format!("d{}", "/d".repeat(60));
        let mut wanted = Vec::new();
        for number in 0..2000 {
            wanted.push(format!("small/{number}"));
            put(&trees.one(), &wanted[number], format!("{number}"));
        }
        wanted.push(format!("{deep}/large"));
        wanted.push(format!("{deep}/small"));
        put(&trees.one(), &wanted[2000], noise(400_000, 1));
        put(&trees.one(), &wanted[2001], "");
        fs::create_dir(trees.other().join("small")).unwrap();
        fs::create_dir_all(trees.other().join(&deep)).unwrap();
        let plan = Plan::new(&wanted.iter().map(|name| (name.as_str(), true)).collect::<Vec<_>>());
        let totals = trees.fetch(&plan);
        assert_eq!((totals.transferred, totals.created.files, totals.failed), (2002, 2002, 0));
        assert_eq!(files(&trees.other()), files(&trees.one()));
        let staged: Vec<String> =
            plan.installed().into_iter().filter(|(_, staged)| *staged).map(|(name, _)| name).collect();
        assert_eq!(staged, [wanted[2000].clone()]);
    }
}

#[test]
fn of_a_large_file_only_the_difference_comes() {
    let mut trees = Trees::new();
    // What was asked of other runs does not change how one that was planned is done.
    let options = &mut trees.context.options;
    (options.in_place, options.partial) = (true, true);
    options.delete =
        Some(crate::request::Deletion { excluded: true, ignore_errors: true, ..Default::default() });
    let old = noise(3_000_000, 1);
    let mut new = old.clone();
    new.splice(1_000_000..1_000_100, noise(5000, 2));
    put(&trees.one(), "dir/large", &new);
    put(&trees.other(), "dir/large", &old);
    put(&trees.other(), "dir/extra", "extra");
    let before = fs::metadata(trees.other().join("dir/large")).unwrap().ino();
    let plan = Plan::new(&[("dir/large", false)]);
    let totals = trees.fetch(&plan);
    assert!(totals.literal < 100_000 && totals.matched > 2_500_000, "{totals:?}");
    assert_eq!(plan.installed(), [("dir/large".to_owned(), true)]);
    assert_eq!(files(&trees.other())["dir/large"], new);
    assert_eq!(files(&trees.other())["dir/extra"], b"extra");
    assert_ne!(fs::metadata(trees.other().join("dir/large")).unwrap().ino(), before);
}

#[test]
fn a_large_file_goes_on_with_what_a_killed_run_left() {
    let trees = Trees::new();
    let content = noise(2_000_000, 1);
    put(&trees.one(), "large", &content);
    let staged = crate::fs::stage_name(&Name::new(*b"large").unwrap()).to_string();
    put(&trees.other(), &staged, &content[..1_500_000]);
    let totals = trees.fetch(&Plan::new(&[("large", true)]));
    assert!(totals.literal < 600_000 && totals.matched > 1_400_000, "{totals:?}");
    assert_eq!(files(&trees.other()), files(&trees.one()));
}

#[test]
fn a_new_file_is_told_as_what_differs_from_one_it_is_like() {
    let old = noise(300_000, 1);
    let new = [&old[..], b"more"].concat();
    let names = ["like", "unlike", "like nothing"];
    let like = [("like", "dir/old"), ("unlike", "dir/other"), ("like nothing", "dir/gone")];
    let like = like.map(|(name, other)| (path(name), path(other)));
    for whole in [false, true] {
        let mut trees = Trees::new();
        trees.context.options.whole_file = Some(whole);
        names.iter().for_each(|name| put(&trees.one(), name, &new));
        put(&trees.other(), "dir/old", &old);
        put(&trees.other(), "dir/other", noise(300_000, 2));
        let plan = Plan { like: like.clone().into(), ..Plan::new(&names.map(|name| (name, true))) };
        let totals = trees.fetch(&plan);
        assert_eq!(totals.matched > 290_000, !whole, "{totals:?}");
        assert_eq!(totals.literal > 900_000, whole, "{totals:?}");
        for name in names {
            assert_eq!(files(&trees.other())[name], new, "{name}");
        }
        assert_eq!(files(&trees.other())["dir/old"], old);
    }
}

#[test]
fn what_is_not_installed_counts_as_failed_and_leaves_everything_as_it_was() {
    for (local, refinement) in [(false, true), (false, false), (true, true)] {
        let mut trees = Trees::new();
        trees.context.local = local;
        trees.context.options.shortcuts.refinement = refinement;
        let names = ["small", "medium", "large"];
        for (name, len) in names.into_iter().zip([20, 1000, 2_000_000]) {
            put(&trees.one(), name, noise(len, 1));
            put(&trees.other(), name, noise(len, 2));
        }
        put(&trees.one(), "fine", "fine");
        let before = files(&trees.other());
        let mut plan = Plan::new(&names.map(|name| (name, false)));
        plan.refused = names.map(path).into();
        plan.files.insert(path("fine"), true);
        let totals = trees.fetch(&plan);
        assert_eq!((totals.failed, totals.transferred), (3, 1));
        let mut after = files(&trees.other());
        assert_eq!(after.remove("fine").unwrap(), b"fine");
        assert_eq!(after, before);
        // Whoever refused has told why.
        assert!(trees.heard.take().iter().all(|event| !matches!(event, Event::Problem(_))));
    }
}

#[test]
fn what_cannot_be_installed_is_told() {
    let trees = Trees::new();
    for (name, len) in [("small", 20), ("large", 200_000)] {
        put(&trees.one(), name, noise(len, 1));
        fs::create_dir_all(trees.other().join(name)).unwrap();
    }
    put(&trees.one(), "fine", "fine");
    let totals = trees.fetch(&Plan::new(&[("small", false), ("large", false), ("fine", true)]));
    assert_eq!((totals.failed, totals.transferred), (2, 1));
    let said = trees.heard.said();
    let told = |name: &str| said.contains(&format!("renaming into place {name}"));
    assert!(told("small") && told("large"), "{said:?}");
}

#[test]
fn directories_are_opened_and_never_made() {
    let trees = Trees::new();
    for name in ["missing/f", "file/f", "there/f", "there/missing/x/f"] {
        put(&trees.one(), name, name);
    }
    put(&trees.other(), "file", "file");
    fs::create_dir(trees.other().join("there")).unwrap();
    let wanted = ["missing/f", "file/f", "there/f", "there/missing/x/f"].map(|name| (name, true));
    let totals = trees.fetch(&Plan::new(&wanted));
    assert_eq!((totals.failed, totals.transferred), (3, 1));
    assert_eq!(files(&trees.other()).keys().collect::<Vec<_>>(), ["file", "there/f"]);
    assert!(!trees.other().join("missing").exists() && !trees.other().join("there/missing").exists());
    let said = trees.heard.said();
    assert_eq!(said[..3], ["file", "missing", "there/missing"].map(|dir| format!("opening directory {dir}")));
}

#[test]
fn what_vanished_is_told_if_it_was_listed() {
    for local in [false, true] {
        let mut trees = Trees::new();
        trees.context.local = local;
        let names = ["small", "large", "replaced"];
        for (name, len) in names.into_iter().zip([20, 2_000_000, 2_000_000]) {
            put(&trees.one(), name, noise(len, 1));
            put(&trees.other(), name, noise(len, 2));
        }
        let before = files(&trees.other());
        let mut plan = Plan::new(&names.map(|name| (name, false)));
        plan.files.insert(path("never/there"), true);
        plan.files.insert(path("gone"), true);
        plan.source = trees.one();
        plan.meanwhile.insert(path("small"), |source| fs::remove_file(source.join("small")).unwrap());
        plan.meanwhile.insert(path("large"), |source| fs::remove_file(source.join("large")).unwrap());
        plan.meanwhile.insert(path("replaced"), |source| {
            fs::remove_file(source.join("replaced")).unwrap();
            fs::create_dir(source.join("replaced")).unwrap();
        });
        let totals = trees.fetch(&plan);
        assert_eq!(
            (totals.vanished, totals.failed, totals.transferred),
            (2, 1, 0),
            "{:?}",
            trees.heard.said()
        );
        assert_eq!(files(&trees.other()), before);
    }
}
