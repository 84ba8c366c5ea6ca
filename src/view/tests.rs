//! Several arguments as one tree.

use super::*;
use crate::fs::Root;
use crate::tree::Kind;
use crate::tree::filter::{Action, Rule, Rules};
use std::path::Path;

/// A place with files at these paths; a path that ends in a slash is a directory, `->` makes a link.
fn place(paths: &[&str]) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for path in paths {
        let at = place.path().join(path.split("->").next().unwrap_or_default());
        std::fs::create_dir_all(if path.ends_with('/') { &at } else { at.parent().unwrap() }).unwrap();
        match path.split_once("->") {
            Some((_, target)) => std::os::unix::fs::symlink(target, &at).unwrap(),
            None if !path.ends_with('/') => std::fs::write(&at, path).unwrap(),
            None => {}
        }
    }
    place
}

fn view_with(place: &Path, arguments: &[&str], rules: Rules) -> (View, Vec<ViewError>) {
    let argument = |name: &&str| (place.join("").to_str().unwrap().to_owned() + name).into_bytes();
    let options = Options { recursive: true, rules, ..Options::default() };
    View::open(&arguments.iter().map(argument).collect::<Vec<_>>(), None, &options, Links::Trusted).unwrap()
}

fn view(place: &Path, arguments: &[&str]) -> View {
    let (view, missing) = view_with(place, arguments, Rules::new());
    assert!(missing.is_empty(), "{missing:?}");
    view
}

/// Everything below `dir`: for a file its path and what is in it, for a directory its path; and every trouble.
fn walk(view: &View, dir: &ViewDir) -> Vec<String> {
    let listing = view.list(dir);
    let mut all: Vec<String> =
        listing.troubles.iter().map(|trouble| format!("{} {}", dir.path(), trouble.error)).collect();
    for (index, entry) in listing.entries.iter().enumerate() {
        let path = dir.path().join(&entry.name);
        match entry.kind() {
            Kind::Directory => {
                all.push(format!("{path}/"));
                all.extend(walk(view, &view.child(dir, &listing, &entry.name)));
            }
            Kind::File => {
                let file = view.open_file(dir, listing.origin(index), &entry.name).unwrap();
                let mut content = vec![0; usize::try_from(file.len()).unwrap()];
                file.read_full_at(&mut content, 0).unwrap();
                all.push(format!("{path}={}", String::from_utf8(content).unwrap()));
            }
            kind => all.push(format!("{path} {kind:?}")),
        }
    }
    all
}

fn tree(place: &Path, arguments: &[&str]) -> Vec<String> {
    let view = view(place, arguments);
    walk(&view, &view.root())
}

#[test]
fn a_slash_at_the_end_means_what_is_inside() {
    let place = place(&["a/f", "a/sub/g", "b"]);
    let at = place.path();
    assert_eq!(tree(at, &["a"]), ["a/", "a/f=a/f", "a/sub/", "a/sub/g=a/sub/g"]);
    for inside in ["a/", "a//", "a/.", "a/./", "a/sub/.."] {
        assert_eq!(tree(at, &[inside]), ["f=a/f", "sub/", "sub/g=a/sub/g"], "{inside}");
    }
    assert_eq!(tree(at, &["a/sub/g", "b"]), ["b=b", "g=a/sub/g"]);
    assert_eq!(tree(at, &[]), [""; 0]);
}

#[test]
fn of_two_entries_the_first_wins() {
    let place = place(&["a/f", "a/x/one", "b/f", "b/g", "b/x/one", "b/x/two"]);
    let at = place.path();
    assert_eq!(tree(at, &["a/", "b/"]), ["f=a/f", "g=b/g", "x/", "x/one=a/x/one", "x/two=b/x/two"]);
    assert_eq!(tree(at, &["b/", "a/"]), ["f=b/f", "g=b/g", "x/", "x/one=b/x/one", "x/two=b/x/two"]);
    assert_eq!(tree(at, &["a/f", "b/f"]), ["f=a/f"]);
    assert_eq!(tree(at, &["a/x", "b/x"]), ["x/", "x/one=a/x/one", "x/two=b/x/two"]);
}

#[test]
fn of_two_directories_the_first_has_the_attributes() {
    use std::os::unix::fs::PermissionsExt;
    let place = place(&["a/", "b/x/", "c/x/"]);
    for (name, mode) in [("b/x", 0o700), ("c/x", 0o711)] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(place.path().join(name), mode).unwrap();
    }
    for (arguments, mode) in [(["a/", "b/", "c/"], 0o700), (["c/", "b/", "a/"], 0o711)] {
        let view = view(place.path(), &arguments);
        assert_eq!(view.list(&view.root()).entries[0].meta.mode, mode, "{arguments:?}");
    }
}

#[test]
fn a_directory_beats_anything_else() {
    let place = place(&["a/n", "b/n/in", "c/n->nowhere"]);
    let at = place.path();
    for order in [["a/", "b/", "c/"], ["c/", "b/", "a/"], ["b/", "a/", "c/"]] {
        assert_eq!(tree(at, &order), ["n/", "n/in=b/n/in"], "{order:?}");
    }
    assert_eq!(tree(at, &["a/n", "b/n"]), ["n/", "n/in=b/n/in"]);
    assert_eq!(tree(at, &["c/n", "a/n"]), ["n Symlink"]);
}

#[test]
fn a_directory_need_not_be_in_every_argument() {
    let place = place(&["a/", "b/only/deep/f", "c/only/g"]);
    let all = ["only/", "only/deep/", "only/deep/f=b/only/deep/f", "only/g=c/only/g"];
    assert_eq!(tree(place.path(), &["a/", "b/", "c/"]), all);
    assert_eq!(tree(place.path(), &["c/", "a/", "b/"]), all);
}

#[test]
fn the_same_directory_twice_is_listed_once() {
    let place = place(&["a/f", "a/x/g", "l->a"]);
    let at = place.path();
    let once = ["f=a/f", "x/", "x/g=a/x/g"];
    assert_eq!(tree(at, &["a/", "a/", "l/"]), once);
    assert_eq!(tree(at, &["a/f", "a/f", "a/x", "a/x/"]), ["f=a/f", "g=a/x/g", "x/", "x/g=a/x/g"]);
}

#[test]
fn rules_hide_names_in_every_argument() {
    let place = place(&["a/f.o", "a/f.c", "b/f.o", "b/sub/k.o", "b/sub/k.c"]);
    let mut rules = Rules::new();
    rules.push(Rule::new(Action::Exclude, "*.o")).unwrap();
    let (view, _) = view_with(place.path(), &["a/", "b", "a/f.o"], rules);
    assert_eq!(walk(&view, &view.root()), ["b/", "b/sub/", "b/sub/k.c=b/sub/k.c", "f.c=a/f.c"]);
}

#[test]
fn what_one_argument_hides_another_may_show() {
    let place = place(&["a/n", "b/n/in"]);
    let mut rules = Rules::new();
    rules.push(Rule::new(Action::Exclude, "n/")).unwrap();
    let (view, _) = view_with(place.path(), &["b/", "a/"], rules);
    assert_eq!(walk(&view, &view.root()), ["n=a/n"]);
}

#[test]
fn what_is_dsyncs_own_is_never_listed() {
    let staged = crate::fs::stage_name(&Name::new(*b"n").unwrap());
    let place =
        place(&[&format!("a/{staged}"), "a/.dsync/history", "a/.dsync-other", &format!("a/x/{staged}/f")]);
    let listed = tree(place.path(), &["a/"]);
    // A directory of that name is not a staged file.
    let expected = [".dsync-other=a/.dsync-other".to_owned(), "x/".to_owned()];
    assert_eq!(listed.get(..2).unwrap_or_default(), expected);
    assert_eq!(listed.len(), 4, "{listed:?}");
    let (view, told) = view_with(place.path(), &[&format!("a/{staged}"), "a/.dsync"], Rules::new());
    assert_eq!(walk(&view, &view.root()), [""; 0]);
    let told: Vec<String> = told.iter().map(|error| error.source.to_string()).collect();
    assert!(told.len() == 2 && told.iter().all(|text| text.starts_with("it is dsync's own")), "{told:?}");
}

#[test]
fn missing_arguments_are_told_and_left_out() {
    let place = place(&["a/f", "b"]);
    let (view, missing) = view_with(place.path(), &["nothing", "b/", "a/", "nothing/x"], Rules::new());
    assert_eq!(walk(&view, &view.root()), ["f=a/f"]);
    let told: Vec<String> = missing.iter().map(|error| error.source.to_string()).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[1].starts_with("Not a directory"), "{told:?}");
}

#[test]
fn a_directory_that_went_away_is_a_trouble() {
    let place = place(&["a/x/f", "b/"]);
    let view = view(place.path(), &["a/", "b/"]);
    let root = view.root();
    let listing = view.list(&root);
    let child = view.child(&root, &listing, &listing.entries[0].name);
    std::fs::remove_dir_all(place.path().join("a/x")).unwrap();
    let listing = view.list(&child);
    assert!(listing.entries.is_empty());
    assert!(listing.troubles.len() == 1 && listing.troubles[0].error.is_not_found());
}

#[test]
fn the_root_has_attributes_if_an_argument_is_its_contents() {
    let place = place(&["a/f", "b/f"]);
    let at = place.path();
    let b = Root::open(at.join("b").as_os_str(), Links::Trusted).unwrap().dir().own_meta().unwrap();
    assert_eq!(view(at, &["a", "b"]).root_meta(), None);
    assert_eq!(view(at, &["a", "b/"]).root_meta(), Some(b));
}

#[test]
fn one_entry_that_is_no_directory_may_be_renamed() {
    let place = place(&["a/f", "b", "l->a"]);
    for (arguments, recursive, single) in [
        (&["b"][..], true, true),
        (&["l"], true, true),
        (&["a"], true, false),
        (&["a/"], true, false),
        (&["b", "a/f"], true, false),
        (&["b", "a"], true, false),
        // Without -r a directory takes no part.
        (&["b", "a"], false, true),
        (&["a", "b", "a/"], false, true),
        (&["a"], false, false),
        (&[], true, false),
    ] {
        let argument = |name: &&str| place.path().join(name).into_os_string().into_encoded_bytes();
        let names: Vec<Vec<u8>> = arguments.iter().map(argument).collect();
        let (view, _) =
            View::open(&names, None, &Options { recursive, ..Options::default() }, Links::Trusted).unwrap();
        assert_eq!(view.is_single(), single, "{arguments:?}, entered: {recursive}");
    }
}

fn selected(place: &Path, paths: &[&str]) -> Vec<String> {
    let root = Root::open(place.as_os_str(), Links::Trusted).unwrap();
    let paths = paths.iter().map(|path| RelPath::new(path.as_bytes()).unwrap());
    let view = View::planned(root.dir().clone(), Selection::new(paths));
    assert!(!view.is_single() && view.root_meta().is_none());
    walk(&view, &view.root())
}

#[test]
fn what_is_listed_below_what_is_shown_anyway_is_missed_all_the_same() {
    let place = place(&["a/x/f", "a/g"]);
    let argument = place.path().as_os_str().as_encoded_bytes().to_vec();
    for recursive in [true, false] {
        let names_from = Some(crate::request::NamesFrom::Asking);
        let options = Options { recursive, dirs: true, relative: true, names_from, ..Options::default() };
        let list = b"a/\0a/gone\0a/x/gone\0a/g\0";
        let (view, missing) =
            View::open(std::slice::from_ref(&argument), Some(list), &options, Links::Trusted).unwrap();
        assert!(missing.is_empty());
        let shown = walk(&view, &view.root());
        let told = shown.iter().filter(|line| line.contains("No such file")).count();
        assert_eq!(told, 2, "{shown:?}");
        assert_eq!(shown.iter().filter(|line| line.contains('=')).count(), if recursive { 2 } else { 1 });
    }
}

#[test]
fn of_a_selection_nothing_else_is_shown() {
    let place = place(&["a/x/f", "a/x/g", "a/y", "b", "c/f", "l->b"]);
    let at = place.path();
    assert_eq!(selected(at, &[]), [""; 0]);
    assert_eq!(selected(at, &["a/x/g", "b", "l"]), ["a/", "a/x/", "a/x/g=a/x/g", "b=b", "l Symlink"]);
    // Not there, or not of the kind that could be meant.
    assert_eq!(selected(at, &["a/x", "b/x", "c/g", "d", "l/x"]), ["a/", "c/"]);
    let staged = crate::fs::stage_name(&Name::new(*b"x").unwrap()).to_string();
    std::fs::write(at.join(&staged), "").unwrap();
    std::fs::create_dir(at.join(".dsync")).unwrap();
    std::fs::write(at.join(".dsync/x"), "").unwrap();
    assert_eq!(selected(at, &[".dsync/x", &staged]), [""; 0]);
}

#[test]
fn what_is_selected_is_not_found_by_reading_directories() {
    use std::os::unix::fs::PermissionsExt as _;
    if crate::testing::is_root() {
        return;
    }
    let place = place(&["a/f", "shut/f"]);
    let shut = |name: &str, mode| {
        std::fs::set_permissions(place.path().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    shut("a", 0o100);
    shut("shut", 0o400);
    let (open, told) = (selected(place.path(), &["a/f"]), selected(place.path(), &["shut/f"]));
    shut("a", 0o700);
    shut("shut", 0o700);
    assert_eq!(open, ["a/", "a/f=a/f"]);
    assert!(told.len() == 2 && told[1].starts_with("shut "), "{told:?}");
}
