//! What is said of links, and taking back what a run did to them.

use crate::support::command::{Output, dsync};
use crate::support::transport::Way;
use crate::support::tree::Tree;
use crate::two_way::Two;
use crate::two_way::crash::{MANY, Victim, crashing_with};
use crate::two_way::linked::{assert_groups, groups, join, one_file};

/// One of the commands about a side.
fn look(two: &Two, word: &str, side: &str) -> Output {
    dsync([word.into(), "-v".into(), two.scene.path(side).into_os_string()]).run()
}

#[track_caller]
fn assert_line(output: &Output, words: &[&str]) {
    let has_words = |line: &str| line.split_whitespace().take(words.len()).eq(words.iter().copied());
    assert!(output.out().lines().any(has_words), "{words:?}: {output}");
}

/// Two names with the same content, which are one file on neither side.
fn alike() -> Two {
    let tree = Tree::new().file("a", "the same").file("b", "the same").file("other", "other");
    let two = Two::new(Way::LOCAL, &tree, &Tree::new());
    two.sync(&["-H"]).success();
    assert_groups(&two, &[&["a"], &["b"], &["other"]]);
    two
}

#[test]
fn links_are_told_where_they_are_going_to_be_and_where_they_were_made() {
    let two = alike();
    join(&two, "left/a", "left/b");
    assert_line(&look(&two, "status", "left").success(), &["links", "b"]);
    let shown = two.sync(&["-Hn"]).success();
    assert_line(&shown, &["links", "b"]);
    assert!(shown.out().contains(" with other links"), "{shown}");
    let json = two.sync(&["-Hn", "--json"]).success();
    assert!(json.out().contains("\"change\":\"links\""), "{json}");
    assert_eq!(groups(&two, "right", &["a", "b"]).len(), 2);
    two.sync(&["-H"]).success();
    assert_line(&look(&two, "log", "right").success(), &["links", "b"]);
    two.chmod("left/a", 0o600);
    let shown = two.sync(&["-Hn"]).success();
    assert_line(&shown, &["attributes", "a"]);
    assert!(!shown.out().contains("links"), "{shown}");
}

/// Undoes what the last run did on the right, and brings that to the left.
#[track_caller]
fn undo(two: &Two, wanted: &[&[&str]]) {
    let names = wanted.concat();
    let undone = look(two, "undo", "right").success();
    let mut wanted_there: Vec<Vec<&str>> = wanted.iter().map(|group| group.to_vec()).collect();
    wanted_there.sort();
    assert_eq!(groups(two, "right", &names), wanted_there, "{undone}");
    two.sync(&["-H"]).success();
    assert_groups(two, wanted);
}

#[test]
fn a_link_that_was_made_is_taken_apart_again() {
    let two = alike();
    join(&two, "left/a", "left/b");
    two.sync(&["-H"]).success();
    assert_groups(&two, &[&["a", "b"], &["other"]]);
    undo(&two, &[&["a"], &["b"], &["other"]]);
}

#[test]
fn a_name_that_left_its_file_is_one_of_its_names_again() {
    let two = one_file(Way::LOCAL);
    two.remove("left/a");
    two.write("left/a", "the same");
    two.sync(&["-H"]).success();
    assert_groups(&two, &[&["a"], &["b", "dir/c"], &["other"]]);
    undo(&two, &[&["a", "b", "dir/c"], &["other"]]);
}

#[test]
fn a_content_that_is_put_back_has_its_names_again() {
    let two = one_file(Way::LOCAL);
    two.write("left/b", "edited through one name");
    two.sync(&["-H"]).success();
    undo(&two, &[&["a", "b", "dir/c"], &["other"]]);
    assert_eq!(two.read("left/dir/c"), "the same");
    for name in ["a", "b", "dir/c"] {
        two.remove(&format!("left/{name}"));
    }
    two.sync(&["-H", "--allow-mass-delete"]).success();
    assert_eq!(two.paths("right"), ["dir", "other"]);
    undo(&two, &[&["a", "b", "dir/c"], &["other"]]);
}

/// What a killed run has in the trash is still the file that it was a name of.
#[test]
fn names_that_a_killed_run_took_from_a_file_are_its_names_again() {
    for at in 1..MANY {
        let two = one_file(Way::LOCAL);
        two.write("left/other", "edited");
        two.remove("left/b");
        two.remove("left/a");
        two.write("left/a", "of its own");
        let crashed = crashing_with(&two, &["-H"], Victim::Asking, at);
        let undone = look(&two, "undo", "right").success();
        let names = ["a", "b", "dir/c", "other"];
        let wanted = [vec!["a", "b", "dir/c"], vec!["other"]];
        assert_eq!(groups(&two, "right", &names), wanted, "{at}: {undone}\n{crashed}");
        if crashed.signal.is_none() {
            assert!(at > 20, "there are few points: {at}");
            return;
        }
    }
    panic!("more points than can be");
}
