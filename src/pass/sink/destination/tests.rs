//! What the destination argument means, for each thing that may be there.

use super::*;
use std::path::Path;

/// A place with a directory, a file, and links to both and to nothing.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    std::fs::create_dir(at("dir")).unwrap();
    std::fs::write(at("file"), "content").unwrap();
    for (target, name) in [("dir", "to-dir"), ("file", "to-file"), ("nothing", "dangling")] {
        std::os::unix::fs::symlink(target, at(name)).unwrap();
    }
    place
}

/// What becomes of an argument: "fill" a directory, "make" it, or give one entry a "name".
fn meaning(place: &Path, argument: &str, single: bool, dry_run: bool) -> String {
    let path = place.join("").to_str().unwrap().to_owned() + argument;
    match open(path.as_bytes(), single, dry_run, &Options::default(), Links::Trusted) {
        Ok(Destination { root, rename, created, .. }) => {
            let writable = root.as_ref().is_some_and(|root| root.writable().is_some());
            assert_eq!(writable, !dry_run, "{argument}: a dry run gets nothing that can be written");
            assert!(root.is_some() || (dry_run && created), "{argument}");
            match (rename, created) {
                (None, false) => "fill".to_owned(),
                (None, true) => "make".to_owned(),
                (Some(name), false) => format!("name {name}"),
                (Some(_), true) => "both".to_owned(),
            }
        }
        Err(DestinationError::NotADirectory(_)) => "not a directory".to_owned(),
        Err(DestinationError::Failed { unfit: true, .. }) => "does not do".to_owned(),
        Err(DestinationError::Failed { unfit: false, .. } | DestinationError::NoTemp { .. }) => {
            "failed".to_owned()
        }
        Err(error) => panic!("{argument}: {error}"),
    }
}

#[test]
fn the_argument_and_what_is_there_decide() {
    for (argument, one_file, anything_else) in [
        ("dir", "fill", "fill"),
        ("dir/", "fill", "fill"),
        ("dir/.", "fill", "fill"),
        ("dir/..", "fill", "fill"),
        ("to-dir", "fill", "fill"),
        ("to-dir/", "fill", "fill"),
        ("file", "name file", "not a directory"),
        ("to-file", "name to-file", "not a directory"),
        ("new", "name new", "make"),
        ("new/", "make", "make"),
        ("new//", "make", "make"),
        ("new/.", "make", "make"),
        ("dir/new", "name new", "make"),
        ("to-dir/new", "name new", "make"),
        // A link to nothing is an entry to be replaced, not a directory to be made elsewhere.
        ("dangling", "name dangling", "failed"),
        ("no/such", "does not do", "failed"),
        ("file/below", "does not do", "does not do"),
    ] {
        for (single, expected) in [(true, one_file), (false, anything_else)] {
            let place = place();
            assert_eq!(
                meaning(place.path(), argument, single, false),
                expected,
                "{argument}, one file: {single}"
            );
        }
    }
}

#[test]
fn a_dry_run_makes_nothing_and_means_the_same() {
    for argument in ["dir", "to-dir/", "file", "new", "new/", "dir/new", "dangling"] {
        let place = place();
        for single in [true, false] {
            let dry = meaning(place.path(), argument, single, true);
            assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 5, "{argument}");
            // Whether a directory can be made is found out by making it.
            let real = meaning(place.path(), argument, single, false);
            assert!(dry == real || (dry, &*real) == ("make".to_owned(), "failed"), "{argument}: {real}");
            let _ = std::fs::remove_dir(place.path().join("new"));
            let _ = std::fs::remove_dir(place.path().join("dir/new"));
        }
    }
}

#[test]
fn errors_name_the_argument() {
    let place = place();
    let path = place.path().join("no/su\x1bch");
    let error =
        open(path.as_os_str().as_bytes(), true, false, &Options::default(), Links::Trusted).unwrap_err();
    assert!(error.is_selection(), "a missing parent");
    let text = error.to_string();
    assert!(text.contains("no/su") && text.contains("No such file") && !text.contains('\x1b'), "{text}");
}
