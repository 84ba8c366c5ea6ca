use crate::tree::filter::tests::{rule, rules};
use crate::tree::filter::{Action, Decision, FilterError, MAX_RULES, Rule, Rules, Side, Verdict};

use Side::{Receiver, Sender};
use Verdict::{Excluded, Included};

#[test]
fn first_match_wins() {
    let rules = rules(&["+ keep.o", "- *.o", "+ /top/", "-! */"]);
    let decision = |path: &str, is_dir| rules.decide(path.as_bytes(), is_dir, Sender, false);
    assert_eq!(decision("a/keep.o", false), Decision { verdict: Included, rule: Some(0) });
    assert_eq!(decision("a/b.o", false), Decision { verdict: Excluded, rule: Some(1) });
    assert_eq!(decision("top", true), Decision { verdict: Included, rule: Some(2) });
    assert_eq!(decision("top", false), Decision { verdict: Excluded, rule: Some(3) });
    assert_eq!(decision("other", true), Decision { verdict: Included, rule: None });
    assert_eq!(rules.get(3), Some(&rule("-! */")));
}

#[test]
fn sides() {
    // rule, sender, receiver, receiver with --delete-excluded
    let cases = [
        ("- x", Excluded, Excluded, Included),
        ("H x", Excluded, Included, Included),
        ("-s x", Excluded, Included, Included),
        ("P x", Included, Excluded, Excluded),
        ("-r x", Included, Excluded, Excluded),
        ("-sr x", Excluded, Excluded, Excluded),
    ];
    for (text, sender, receiver, receiver_deleting) in cases {
        let list = rules(&[text]);
        assert_eq!(list.check(b"x", false, Sender), sender, "{text}");
        assert_eq!(list.check(b"x", false, Receiver), receiver, "{text}");
        let list = list.with_delete_excluded();
        assert_eq!(list.check(b"x", false, Sender), sender, "{text} with --delete-excluded");
        assert_eq!(list.check(b"x", false, Receiver), receiver_deleting, "{text} with --delete-excluded");
    }
    let shown = rules(&["S x", "- *"]);
    assert_eq!((shown.check(b"x", false, Sender), shown.check(b"x", false, Receiver)), (Included, Excluded));
    let at_risk = rules(&["R x", "- *"]);
    assert_eq!(
        (at_risk.check(b"x", false, Sender), at_risk.check(b"x", false, Receiver)),
        (Excluded, Included)
    );
}

#[test]
fn perishable_rules_do_not_keep_a_directory_that_is_deleted() {
    let rules = rules(&["-p *.o", "- keep"]);
    assert_eq!(rules.decide(b"d/x.o", false, Receiver, false).verdict, Excluded);
    assert_eq!(rules.decide(b"d/x.o", false, Receiver, true).verdict, Included);
    assert_eq!(rules.decide(b"d/keep", false, Receiver, true).verdict, Excluded);
}

#[test]
fn absolute_rules_look_at_the_path_from_the_top() {
    let mut rules = rules(&["-/ /home/me/foo", "-/ src/bar", "-/ **/me/*/deep", "-/ name", "- /home"]);
    let excluded = |rules: &Rules, path: &str| rules.check(path.as_bytes(), false, Sender) == Excluded;
    assert!(!excluded(&rules, "foo"));
    assert!(excluded(&rules, "home/me/foo"));
    rules.set_root(b"/home/me/");
    assert!(excluded(&rules, "foo"));
    assert!(!excluded(&rules, "d/foo"));
    assert!(!excluded(&rules, "bar"));
    assert!(excluded(&rules, "x/deep"));
    assert!(excluded(&rules, "x/name"));
    assert!(excluded(&rules, "home"));
    rules.set_root(b"/usr/src");
    assert!(excluded(&rules, "bar"));
    rules.set_root(b"/");
    assert!(excluded(&rules, "home/me/foo"));
}

#[test]
fn the_root_itself_is_included() {
    let list = rules(&["- *", "-! x"]);
    assert_eq!(list.decide(b"", true, Sender, false), Decision { verdict: Included, rule: None });
}

#[test]
fn decoded_lists_are_checked() {
    let decoded = |pattern: &[u8]| Rules::from(vec![rule("- x"), Rule::new(Action::Exclude, pattern)]);
    assert!(decoded(b"y").validate().is_ok());
    for pattern in [&b""[..], b"a\0b", &[b'x'; 5000]] {
        let error = decoded(pattern).validate().expect_err("a bad rule");
        assert_eq!(error.to_string(), "Filter rule number 2");
    }
    let mut full = Rules::from(vec![rule("- x"); MAX_RULES]);
    assert!(full.validate().is_ok());
    assert!(matches!(full.push(rule("- y")), Err(FilterError::TooManyRules)));
    let over = Rules::from(vec![rule("- x"); MAX_RULES + 1]);
    assert!(matches!(over.validate(), Err(FilterError::TooManyRules)));
}
