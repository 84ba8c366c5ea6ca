//! What is not done unless somebody says that it is meant: the last look at a plan before anything is changed.
//!
//! A tree that lost most of its files was more likely not mounted, cleared by accident or the wrong one than meant to
//! be so on the other side, too.

use crate::twoway::decide::Side;
use crate::twoway::packed::Store;
use crate::twoway::reconcile::{Change, Step, Why};
use crate::twoway::record::Record;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::str::FromStr;

/// How many removals are too many for one side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MaxDelete {
    /// More than half of its files, and more than five.
    #[default]
    Half,
    /// More than so many.
    Count(u64),
    /// More than so many of each hundred files.
    Percent(u8),
    /// None are, and a tree may be emptied.
    Any,
}

/// How much there is on a side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Census {
    /// How many entries its history knew to be there before it was scanned.
    pub known: u64,
    /// How many of any kind the scan found.
    pub found: u64,
    /// How many of these are no directories.
    pub files: u64,
}

/// Why a plan is not carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Too many removals.
    Removals {
        /// Where they would be removed.
        side: Side,
        /// How many.
        removals: u64,
        /// Of how many.
        files: u64,
    },
    /// A tree that took part before has neither a history nor anything else in it.
    Lost {
        /// Where nothing is.
        side: Side,
    },
    /// Nothing is left of a tree that had at least two entries.
    Emptied {
        /// Where nothing is left.
        side: Side,
        /// How many entries its history knows.
        known: u64,
    },
    /// Another replica is where one was met before: it has a past of its own, and none with the one that looks.
    Another {
        /// Where it is.
        side: Side,
    },
    /// There is not enough room.
    Room {
        /// Where.
        side: Side,
        /// How many bytes it takes, at most.
        needed: u64,
        /// How many are free.
        free: u64,
    },
}

/// What is known of the past of a side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Past {
    /// Whether no run was ever carried out there, as far as is known there.
    pub is_new: bool,
    /// Whether the other side remembers that one was, with what had the same name.
    pub is_remembered: bool,
}

impl Past {
    /// Whether a side that had one has none any more.
    pub fn is_lost(self) -> bool {
        self.is_new && self.is_remembered
    }
}

/// What a plan removes, how much room it takes, and whether it settles anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    left: Count,
    right: Count,
    settles: bool,
    empties: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    removals: u64,
    bytes: u64,
}

/// How often something with the same content is removed and made on a side.
#[derive(Clone, Copy, Debug)]
struct Balance {
    side: Side,
    removed: u32,
    made: u32,
    /// How often it takes room where it is made.
    counted: u32,
    /// Its length, in bytes.
    size: u64,
}

/// Files of which a name was counted, by a hash of what makes names one file.
#[derive(Default)]
struct Files {
    hashing: RandomState,
    counted: HashSet<u64>,
}

impl Files {
    /// Whether what gets this name is no file that had another one counted.
    fn is_new(&mut self, side: Side, after: &Record) -> bool {
        let identity = after.extended.identity();
        identity
            .is_none_or(|identity| self.counted.insert(self.hashing.hash_one((side, identity, &after.state))))
    }
}

/// A text that is no [`MaxDelete`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is neither a number nor a percentage from 0% to 100%")]
pub struct InvalidMaxDelete(pub String);

impl Tally {
    /// Counts what steps do.
    pub fn new(steps: &Store<Step>) -> Tally {
        // By a hash of the content, as there may be millions: what is removed is only renamed if it is made again,
        // whatever the names.
        let mut balances: HashMap<u64, Balance> = HashMap::new();
        let hashing = RandomState::new();
        let mut tally = Tally::default();
        let (mut settles, mut empties) = (false, false);
        let look = &mut |step: &Step| {
            settles |= matches!(step.why, Why::Settled(..) | Why::Kept { .. } | Why::CopyOf { .. });
        };
        let mut files = Files::default();
        each(steps, look, &mut |side, before, after, change| match change {
            Change::Create | Change::Update | Change::Replace => {
                let bytes = &mut tally.of_mut(side).bytes;
                *bytes = bytes.saturating_add(if files.is_new(side, after) { after.state.size() } else { 0 });
            }
            Change::Empty => empties = true,
            Change::Remove if !before.state.is_directory() => {
                let none = Balance { side, removed: 0, made: 0, counted: 0, size: before.state.size() };
                let balance = balances.entry(hashing.hash_one((side, &before.state))).or_insert(none);
                balance.removed = balance.removed.saturating_add(1);
            }
            _ => {}
        });
        (tally.settles, tally.empties) = (settles, empties);
        if balances.is_empty() {
            return tally;
        }
        let mut files = Files::default();
        each(steps, &mut |_| {}, &mut |side, _, after, change| {
            if !matches!(change, Change::Create | Change::Update | Change::Replace) {
                return;
            }
            let is_new = files.is_new(side, after);
            if change == Change::Create
                && !after.state.is_directory()
                && let Some(balance) = balances.get_mut(&hashing.hash_one((side, &after.state)))
            {
                balance.made = balance.made.saturating_add(1);
                balance.counted = balance.counted.saturating_add(u32::from(is_new));
            }
        });
        for Balance { side, removed, made, counted, size } in balances.into_values() {
            let Count { removals, bytes } = tally.of_mut(side);
            *removals = removals.saturating_add(removed.saturating_sub(made).into());
            // What only gets another name takes no room.
            *bytes = bytes.saturating_sub(size.saturating_mul(removed.min(counted).into()));
        }
        tally
    }

    fn of(&self, side: Side) -> &Count {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    fn of_mut(&mut self, side: Side) -> &mut Count {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }

    /// How many files are removed on a side, and not renamed.
    pub fn removals(&self, side: Side) -> u64 {
        self.of(side).removals
    }

    /// How many bytes the plan takes on a side, at most: what it replaces is kept.
    pub fn bytes(&self, side: Side) -> u64 {
        self.of(side).bytes
    }

    /// Whether a directory is removed that stays for what is in it.
    pub fn empties(&self) -> bool {
        self.empties
    }

    /// Whether the plan settles anything, which is an edit of its own.
    pub fn settles(&self) -> bool {
        self.settles
    }

    /// Whether the plan whose steps were counted may be carried out between sides that have so much.
    pub fn guard(&self, left: Census, right: Census, limit: MaxDelete) -> Result<(), Refusal> {
        for (side, census) in [(Side::Left, left), (Side::Right, right)] {
            if limit != MaxDelete::Any && census.known >= 2 && census.found == 0 {
                return Err(Refusal::Emptied { side, known: census.known });
            }
            let removals = self.removals(side);
            if limit.is_exceeded(removals, census.files) {
                return Err(Refusal::Removals { side, removals, files: census.files });
            }
        }
        Ok(())
    }
}

/// Whether a plan may be made between a side with this past, in which there is so much, and another.
///
/// # Errors
/// It has lost its past, and all else.
pub fn guard_past(side: Side, past: Past, census: Census, limit: MaxDelete) -> Result<(), Refusal> {
    match limit != MaxDelete::Any && past.is_lost() && census.found == 0 {
        true => Err(Refusal::Lost { side }),
        false => Ok(()),
    }
}

/// Hands each step to `look`, and the records before and after each change to `counts`, with the side it is on.
fn each(
    steps: &Store<Step>,
    look: &mut dyn FnMut(&Step),
    counts: &mut dyn FnMut(Side, &Record, &Record, Change),
) {
    for step in steps {
        look(&step);
        for side in Side::BOTH {
            if let Some(change) = step.change(side) {
                counts(side, step.before.of(side), step.after.of(side), change);
            }
        }
    }
}

impl MaxDelete {
    fn is_exceeded(self, removals: u64, files: u64) -> bool {
        let is_more_than = |percent: u8| u128::from(removals) * 100 > u128::from(files) * u128::from(percent);
        match self {
            MaxDelete::Half => removals > 5 && is_more_than(50),
            MaxDelete::Count(count) => removals > count,
            MaxDelete::Percent(percent) => is_more_than(percent),
            MaxDelete::Any => false,
        }
    }
}

/// The value of `--max-delete` in a two-way run: `N` or `N%`.
impl FromStr for MaxDelete {
    type Err = InvalidMaxDelete;

    fn from_str(text: &str) -> Result<MaxDelete, InvalidMaxDelete> {
        let parsed = match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().filter(|percent| *percent <= 100).map(MaxDelete::Percent),
            None => text.parse().ok().map(MaxDelete::Count),
        };
        parsed.ok_or_else(|| InvalidMaxDelete(text.to_owned()))
    }
}

impl Refusal {
    /// Which side it is about.
    pub fn side(&self) -> Side {
        match *self {
            Refusal::Removals { side, .. }
            | Refusal::Lost { side }
            | Refusal::Emptied { side, .. }
            | Refusal::Another { side }
            | Refusal::Room { side, .. } => side,
        }
    }

    /// What is said of it, and how to go on where that is meant, if its side has this name.
    pub fn told(&self, name: &str) -> String {
        match self {
            Refusal::Removals { removals, files, .. } => format!(
                "{removals} of {files} files would be removed in {name}; if that is meant, say --allow-mass-delete"
            ),
            Refusal::Lost { .. } => format!(
                "there is nothing in {name}, which took part before, and not even its history; if it is not only \
                 unmounted, and meant to begin anew, say --allow-mass-delete"
            ),
            Refusal::Emptied { known, .. } => format!(
                "nothing is left of the {known} entries known in {name}; if that is meant, say --allow-mass-delete"
            ),
            Refusal::Another { .. } => format!(
                "{name} is not what was met there before, but has a history of its own; if the two are meant to be \
                 brought together, say --allow-mass-delete"
            ),
            Refusal::Room { needed, free, .. } => format!(
                "{name} needs {needed} bytes more, and {free} are free; make room (dsync trash --empty {name} removes \
                 what its trash holds), or leave something out with --exclude"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twoway::facet::{Facet, FacetSum, Register};
    use crate::twoway::tests::plan_of;
    use std::sync::Arc;

    #[test]
    fn what_has_lost_its_past_and_all_else_is_refused() {
        let (lost, empty) = (Past { is_new: true, is_remembered: true }, Census::default());
        let side = Side::Right;
        assert_eq!(guard_past(side, lost, empty, MaxDelete::Percent(100)), Err(Refusal::Lost { side }));
        assert_eq!(guard_past(side, lost, empty, MaxDelete::Any), Ok(()));
        let some = Census { found: 1, ..empty };
        assert_eq!(guard_past(side, lost, some, MaxDelete::Half), Ok(()));
        for past in [Past { is_new: false, ..lost }, Past { is_remembered: false, ..lost }] {
            assert_eq!(guard_past(side, past, empty, MaxDelete::Half), Ok(()));
        }
    }

    fn guard(base: &str, left: &str, right: &str, limit: MaxDelete) -> Result<(), Refusal> {
        let (plan, [left, right]) = plan_of(base, left, right);
        Tally::new(&plan.steps).guard(left, right, limit)
    }

    const TEN: &str = "a=1 b=2 c=3 d=4 e=5 f=6 g=7 h=8 i=9 j=10";

    #[test]
    fn more_than_half_and_more_than_five() {
        let removals = |removals, files| Err(Refusal::Removals { side: Side::Right, removals, files });
        assert_eq!(guard(TEN, "a=1 b=2 c=3 d=4", TEN, MaxDelete::Half), removals(6, 10));
        assert_eq!(guard(TEN, "a=1 b=2 c=3 d=4 e=5", TEN, MaxDelete::Half), Ok(()));
        assert_eq!(
            guard("a=1 b=2 c=3 d=4 e=5 f=6", "a=1", "a=1 b=2 c=3 d=4 e=5 f=6", MaxDelete::Half),
            Ok(())
        );
        assert_eq!(guard(TEN, "a=1", TEN, MaxDelete::Any), Ok(()));
    }

    #[test]
    fn renames_and_replacements_do_not_count() {
        let renamed = "x/ x/a=1 x/b=2 x/c=3 x/d=4 x/e=5 x/f=6 x/g=7 x/h=8 x/i=9 x/j=10";
        assert_eq!(guard(TEN, renamed, TEN, MaxDelete::Count(0)), Ok(()));
        let alike = "a=1 b=1 c=1 d=1 e=1 f=1";
        assert_eq!(guard(alike, "u=1 v=1 w=1 x=1 y=1 z=1", alike, MaxDelete::Count(0)), Ok(()));
        assert_eq!(guard("a=1 b=1", "a>x b/", "a=1 b=1", MaxDelete::Count(0)), Ok(()));
    }

    #[test]
    fn names_of_one_file_take_room_once() {
        let linked = |base, left, names: &[&str]| {
            let (plan, _) = plan_of(base, left, base);
            let with_names = |mut step: Step| {
                if names.contains(&step.path.to_string().as_str()) {
                    let register = Register { sum: Some(FacetSum([7; 16])), version: Arc::default() };
                    step.after.right.extended.set(Facet::Links, register.clone());
                    step.after.left.extended.set(Facet::Links, register);
                }
                step
            };
            let steps: Store<Step> = plan.steps.into_items().map(with_names).collect();
            Tally::new(&steps).bytes(Side::Right)
        };
        assert_eq!(linked("", "a=9 b=9 c=9 d=9", &[]), 36);
        assert_eq!(linked("", "a=9 b=9 c=9 d=9", &["a", "b", "c"]), 18);
        assert_eq!(linked("a=1 b=1", "a=9 b=9 c=9", &["a", "b", "c"]), 9);
        // What is only renamed takes no room, and no more than that.
        assert_eq!(linked("a=9 b=9", "c=9 d=9 e=50", &["c", "d"]), 50);
        // The same names with two contents are two files.
        assert_eq!(linked("", "a=9 b=4", &["a", "b"]), 13);
    }

    #[test]
    fn what_the_user_allows() {
        for (limit, is_too_much) in
            [("2", true), ("3", false), ("29%", true), ("30%", false), ("100%", false), ("0%", true)]
        {
            let outcome = guard(TEN, "a=1 b=2 c=3 d=4 e=5 f=6 g=7", TEN, limit.parse().unwrap());
            assert_eq!(outcome.is_err(), is_too_much, "{limit}");
        }
        for wrong in ["", "%", "101%", "-1", "many", "5 %"] {
            assert!(wrong.parse::<MaxDelete>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_emptied_root_is_refused_however_few_it_had() {
        let emptied = Err(Refusal::Emptied { side: Side::Left, known: 2 });
        assert_eq!(guard("a=1 b=2", "", "a=1 b=2", MaxDelete::Half), emptied);
        assert_eq!(guard("a=1 b=2", "", "a=1 b=2", MaxDelete::Percent(100)), emptied);
        assert_eq!(guard("a=1 b=2", "", "a=1 b=2", MaxDelete::Any), Ok(()));
        assert_eq!(guard("a=1", "", "a=1", MaxDelete::Half), Ok(()));
    }

    #[test]
    fn a_refusal_names_the_way_around_it() {
        let refusal = Refusal::Removals { side: Side::Right, removals: 6, files: 10 };
        assert_eq!(
            (refusal.side(), refusal.told("nas:notes").as_str()),
            (
                Side::Right,
                "6 of 10 files would be removed in nas:notes; if that is meant, say --allow-mass-delete"
            )
        );
        let side = Side::Left;
        for refusal in
            [Refusal::Lost { side }, Refusal::Emptied { side, known: 2 }, Refusal::Another { side }]
        {
            let told = refusal.told("notes");
            assert!(told.contains("notes") && told.contains("--allow-mass-delete"), "{told}");
        }
        let told = Refusal::Room { side, needed: 7, free: 6 }.told("notes");
        assert!(told.contains("dsync trash --empty notes ") && told.contains("--exclude"), "{told}");
    }
}
