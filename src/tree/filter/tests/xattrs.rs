//! Rules for names of extended attributes.

use crate::tree::filter::tests::scopes::entered;
use crate::tree::filter::{Scope, Side, Verdict, XattrRules};

/// Which of these attributes take part on a side, in `dir` of a tree that holds these files.
fn included(side: Side, options: &[&str], files: &[(&str, &str)], dir: &str) -> String {
    let scope = entered(options, files, dir).unwrap();
    let rules = XattrRules::among(&scope, side).expect("there is such a rule");
    let names = ["trusted.t", "user.a", "user.b", "user.c/d"];
    names.into_iter().filter(|name| rules.include(name.as_bytes())).collect::<Vec<_>>().join(" ")
}

/// As found by trying the installed rsync; what a sender does not send and what a receiver does not take.
#[test]
fn names_are_matched_like_paths() {
    for (options, expected) in [
        (&["-x user.a"][..], "trusted.t user.b user.c/d"),
        (&["-x /user.a"], "trusted.t user.b user.c/d"),
        (&["-/x user.a"], "trusted.t user.b user.c/d"),
        (&["-/x /user.a"], "trusted.t user.b user.c/d"),
        (&["-xp user.a"], "trusted.t user.b user.c/d"),
        (&["-x user.a/"], "trusted.t user.a user.b user.c/d"),
        (&["-x a"], "trusted.t user.a user.b user.c/d"),
        (&["-x *.a"], "trusted.t user.b user.c/d"),
        (&["-x user.*"], "trusted.t user.c/d"),
        (&["-x user.**"], "trusted.t"),
        (&["-x d"], "trusted.t user.a user.b"),
        (&["-x c/d"], "trusted.t user.a user.b user.c/d"),
        (&["-x! user.?"], "user.a user.b"),
        (&["+x user.a", "-x *"], "user.a"),
        (&["-x *", "+x user.a"], ""),
        // Those for other names say nothing here.
        (&["- user.a", "-x user.b"], "trusted.t user.a user.c/d"),
        (&["-! user.a", "-x user.b"], "trusted.t user.a user.c/d"),
    ] {
        for side in [Side::Sender, Side::Receiver] {
            assert_eq!(included(side, options, &[], ""), expected, "{options:?} {side:?}");
        }
    }
}

#[test]
fn they_say_nothing_of_other_names() {
    for option in ["-x *", "-x! *", "-sx **"] {
        let scope = entered(&[option], &[], "").unwrap();
        for side in [Side::Sender, Side::Receiver] {
            assert_eq!(scope.check(b"user.a", false, side, false), Verdict::Included, "{option}");
        }
    }
    let rules = |options: &[&str]| XattrRules::among(&entered(options, &[], "").unwrap(), Side::Sender);
    assert!(rules(&["- user.a", ": .f"]).is_none());
    assert!(XattrRules::among(&Scope::default(), Side::Receiver).is_none());
}

#[test]
fn what_the_receiver_leaves_is_not_sent() {
    let both = |option| [Side::Sender, Side::Receiver].map(|side| included(side, &[option], &[], ""));
    assert_eq!(both("-xs user.a"), ["trusted.t user.b user.c/d", "trusted.t user.a user.b user.c/d"]);
    assert_eq!(both("-xr user.a"), ["trusted.t user.b user.c/d"; 2]);
    assert_eq!(both("Px *"), [""; 2]);
    let excluded = entered(&["-x user.a", "-xsr user.b"], &[], "").unwrap();
    let receiver = XattrRules::among(&excluded, Side::Receiver).unwrap();
    assert!(!receiver.include(b"user.a") && !receiver.include(b"user.b"));
}

#[test]
fn files_of_rules_count_at_the_sender_and_an_anchored_name_at_the_top() {
    let files =
        [(".f", "-x /user.a\n- user.c/d"), ("sub/.f", "-x user.b\n-x /trusted.t"), ("sub/below/.f", "")];
    let (sender, receiver) = (Side::Sender, Side::Receiver);
    assert_eq!(included(sender, &[": .f"], &files, ""), "trusted.t user.b user.c/d");
    assert_eq!(included(sender, &[": .f"], &files, "sub"), "trusted.t user.c/d");
    assert_eq!(included(sender, &[": .f"], &files, "sub/below"), "trusted.t user.c/d");
    assert_eq!(included(sender, &[":n .f", "-x *.t"], &files, "sub/below"), "user.a user.b user.c/d");
    assert_eq!(included(receiver, &[": .f"], &files, "sub"), "trusted.t user.a user.b user.c/d");
    // The modifier of a merge rule says nothing of what is in the file, as in rsync.
    assert!(XattrRules::among(&entered(&[":x .g"], &[(".g", "- user.a")], "").unwrap(), sender).is_none());
}
