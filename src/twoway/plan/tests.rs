use super::*;
use crate::twoway::decide::Side;
use crate::twoway::packed::Collector;
use crate::twoway::policy::Policy;
use crate::twoway::reconcile::{Change, Why};
use crate::twoway::tests::{plan_by, plan_of};

fn paths(plan: &Plan, steps: impl IntoIterator<Item = usize>) -> Vec<String> {
    steps.into_iter().map(|number| plan.steps.get(number).unwrap().path.to_string()).collect()
}

fn renames(base: &str, left: &str, right: &str) -> Vec<String> {
    let (plan, _) = plan_of(base, left, right);
    let path = |number| plan.steps.get(number).unwrap().path;
    let shown = |rename: &Rename| format!("{:?} {} {}", rename.side, path(rename.from), path(rename.to));
    plan.renames().iter().map(shown).collect()
}

#[test]
fn a_renamed_file_is_found() {
    assert_eq!(renames("f=1", "g=1", "f=1"), ["Right f g"]);
    assert_eq!(renames("d/ d/f=1", "e/ e/g=1", "d/ d/f=1"), ["Right d/f e/g"]);
    assert_eq!(renames("f=1 g=2", "g=1 h=2", "f=1 g=2"), [""; 0], "what is there already is no new name");
    assert_eq!(renames("f=1 g=2", "f=1 h=2", "e=1 g=2"), ["Left f e", "Right g h"]);
}

#[test]
fn what_is_no_clear_rename_is_none() {
    assert_eq!(renames("f=1", "f=1 g=1", "f=1"), [""; 0], "copied");
    assert_eq!(renames("f=1", "g=1 h=1", "f=1"), [""; 0], "one of two");
    assert_eq!(renames("f=1 g=1", "h=1", "f=1 g=1"), [""; 0], "either of two");
    assert_eq!(renames("f=1", "g=1", "f=2"), [""; 0], "edited there");
    assert_eq!(renames("f=0", "g=0", "f=0"), [""; 0], "empty");
}

#[test]
fn a_summary_tells_who_changes_what_and_why() {
    let base = "a=1 b=2 c=3 d=4 e=5 f=6 l>x";
    let (plan, _) =
        plan_by(&Policy::Skip, base, "a=9 c=3 d=7 e=5:600 f=8 n=2 l=3", "a=1 b=2 c=3 d=8 e=5 l>x m/");
    let summary = Summary::new(&plan);
    let on = |side, change| paths(&plan, summary.of(side).steps(change).iter().copied());
    assert_eq!(on(Side::Left, Change::Create), ["m"]);
    assert_eq!(on(Side::Right, Change::Create), ["f"]);
    assert_eq!(on(Side::Right, Change::Update), ["a"]);
    assert_eq!(on(Side::Right, Change::Replace), ["l"]);
    assert_eq!(on(Side::Right, Change::Adjust), ["e"]);
    assert_eq!(on(Side::Right, Change::Remove), [""; 0]);
    let [rename] = summary.right.renames[..] else { panic!("{summary:#?}") };
    assert_eq!(paths(&plan, [rename.from, rename.to]), ["b", "n"]);
    assert_eq!((summary.left.bytes, summary.right.bytes), (0, 9 + 8 + 3));
    assert_eq!(paths(&plan, summary.conflicts.iter().copied()), ["d"]);
    assert_eq!(paths(&plan, summary.kept.iter().copied()), ["f"]);
    assert!(!summary.is_in_sync());
    let (same, _) = plan_of("a=1", "a=2", "a=2");
    assert!(Summary::new(&same).is_in_sync());
}

#[test]
fn a_plan_can_be_written_and_read() {
    let (plan, _) = plan_by(
        &Policy::KeepBoth,
        "a=1 b=2 d/ d/x=1 odd=1",
        "a=3 d=5 l>target p|",
        "a=4:600~5 b=3 d/ d/x=2 odd\\#377=1 \\#012=2",
    );
    let written = serde_json::to_string_pretty(&plan).unwrap();
    let read: Plan = serde_json::from_str(&written).unwrap();
    assert_eq!(read, plan);
    assert_eq!(read.validate(), Ok(()));
    assert!(written.contains(r#""path": "a.conflict-03030303""#), "{written}");
    assert!(written.contains(r#""path": "d/x""#), "{written}");
    assert!(written.contains(r#""target": "target""#), "{written}");
    assert!(written.contains(r#""path": "odd\\#377""#), "{written}");
}

#[test]
fn what_cannot_be_a_plan_is_refused() {
    let (plan, _) = plan_of("", "a=1 b=1", "");
    for places in [[1, 0], [0, 0]] {
        let mut swapped = Collector::as_they_come();
        places.iter().for_each(|place| swapped.push(&plan.steps.get(*place).unwrap()));
        let swapped = Plan { steps: swapped.finish(), ..plan.clone() };
        let written = serde_json::to_string(&swapped).unwrap();
        let read: Plan = serde_json::from_str(&written).unwrap();
        assert!(matches!(read.validate(), Err(InvalidPlan::Order(_))));
    }
    let newer = Plan { format: FORMAT + 1, ..plan.clone() };
    assert_eq!(newer.validate(), Err(InvalidPlan::Format(FORMAT + 1)));
    let written = serde_json::to_string(&plan).unwrap();
    assert!(written.contains(r#""path":"a""#));
    for wrong in ["../a", "/a", "a//b", "\\\\#9"] {
        let wrong = written.replace(r#""path":"a""#, &format!(r#""path":"{wrong}""#));
        assert!(serde_json::from_str::<Plan>(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_plan_can_be_settled_later() {
    let (plan, _) = plan_by(&Policy::Prefer(Side::Left), "a=1 b=1", "a=2 b=2", "a=3 b=1");
    let later = plan.clone().settled_in(plan.settler.count + 7);
    for (step, later) in plan.steps.iter().zip(&later.steps) {
        let count = |step: &Step| step.after.left.content.count(plan.settler.author);
        let more = if step.why == Why::Clear { 0 } else { 7 };
        assert_eq!(count(&later), count(&step) + more);
        assert_eq!(later.before, step.before);
    }
}
