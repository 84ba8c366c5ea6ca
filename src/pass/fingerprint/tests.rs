//! Whole directories, compared by fingerprint and by buckets as a source and a sink do it, for all options and with
//! owners that are others on the other host; the oracle is what `decide` makes of each entry.

use super::*;
use crate::pass::decide::{self, Decision, Update};
use crate::report::Skip;
use crate::tree::{Kind, Meta, Node, Rdev};
use filetime::FileTime;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn name(number: u8) -> Name {
    Name::new(format!("entry-{number:03}").into_bytes()).unwrap()
}

fn entry(number: u8, node: Node, mode: u32, seconds: i64, (uid, gid): (u32, u32)) -> Entry {
    let meta = Meta { mode, mtime: FileTime::from_unix_time(seconds, 5), uid: Uid(uid), gid: Gid(gid) };
    Entry::new(name(number), node, meta)
}

/// Names from this number on are hidden by the rules.
const HIDDEN: u8 = 250;

fn is_hidden(entry: &Entry) -> bool {
    entry.name >= name(HIDDEN)
}

/// Directories of the source, of the sink, what the run was asked, and who plays the sink.
#[derive(Debug)]
struct Case {
    source: Vec<Entry>,
    own: Vec<Entry>,
    options: Options,
    is_root: bool,
    /// What the source's numbers are here.
    here: [u32; 3],
    /// Whether a group of the sink's may be set.
    settable: [bool; 3],
}

impl Case {
    fn policy(&self) -> Policy<'_> {
        Policy { options: &self.options, umask: 0o022, is_root: self.is_root }
    }

    fn fingerprinter(&self) -> Fingerprinter {
        Fingerprinter::new(1, aspects(&self.options))
    }

    fn translate(&self, Owner { uid, gid }: Owner) -> Owner {
        let here = |number: u32| self.here.get(number as usize).copied().unwrap_or(number);
        Owner { uid: Uid(here(uid.0)), gid: Gid(here(gid.0)) }
    }

    fn may_set(&self, Gid(group): Gid) -> bool {
        self.is_root || self.settable.get(group as usize).copied().unwrap_or_default()
    }

    fn likenesses(&self, owners: &[Owner]) -> Likenesses {
        let here = |owner: &Owner| {
            let owner = self.translate(*owner);
            (owner, self.may_set(owner.gid))
        };
        let owners: Vec<(Owner, bool)> = owners.iter().map(here).collect();
        let likeness = |entry: &Entry| match is_hidden(entry) {
            true => Likeness::Hidden,
            false => Likeness::of(entry, &self.policy(), Told { owners: &owners, acls: &[] }),
        };
        Likenesses(self.own.iter().map(likeness).collect())
    }

    /// Whether nothing is done or said about an entry of which the sink has `own`.
    fn is_left(&self, entry: &Entry, own: &Entry) -> bool {
        let Owner { uid, gid } = self.translate(entry.meta.owner());
        let meta =
            asked_meta(&self.options, entry.kind(), Meta { uid, gid, ..entry.meta }, self.policy().umask);
        let entry = Entry { meta, ..entry.clone() };
        let decision = self.policy().decide(&entry, Some(own), self.may_set(gid));
        entry.name == own.name
            && (matches!(
                decision,
                Decision::Skip(Skip::Exists | Skip::Newer | Skip::TooLarge | Skip::TooSmall)
            ) || decision == Decision::Attributes(Update::none()))
    }

    /// What is not asked for is said, so it is always listed.
    fn leave_out_unwanted(&mut self) {
        let entries = std::mem::take(&mut self.source).into_iter();
        self.source = entries.filter(|entry| self.policy().is_wanted(entry.kind())).collect();
    }

    /// Whether the directories have the same fingerprint and the sink has nothing else that would be looked at.
    fn is_same(&self) -> bool {
        let owned = Owned::new(&self.source, &self.options).unwrap();
        let likenesses = self.likenesses(owned.owners());
        let (path, fingerprinter) = (RelPath::root(), self.fingerprinter());
        let theirs = owned.fingerprint(&fingerprinter, &path);
        !likenesses.0.contains(&Likeness::Unlike)
            && likenesses.fingerprint(&fingerprinter, &path, self.own.iter()) == theirs
    }

    /// Those that are not listed, with their numbers; the numbers of those that are; and what is left here.
    fn in_buckets(&self) -> (Vec<Numbered>, Vec<Numbered>, VecDeque<Entry>) {
        let owned = Owned::new(&self.source, &self.options).unwrap();
        let likenesses = self.likenesses(owned.owners());
        let (count, fingerprinter) = (Fingerprinter::bucket_count(self.own.len()), self.fingerprinter());
        let sums = likenesses.bucket_sums(&fingerprinter, count, self.own.iter());
        let same = owned.agreeing(&fingerprinter, &sums);
        let is_same = |entry: &Entry| same.contains(fingerprinter.bucket(&entry.name, count));
        let (standing, rest) = likenesses.split(self.own.clone().into(), is_same);
        let mut numbering = Numbering::new(standing);
        let (mut standing, mut listed) = (Vec::new(), Vec::new());
        for entry in self.source.iter().filter(|entry| !is_same(entry)) {
            let (before, number) = numbering.listed(&entry.name).unwrap();
            standing.extend(before);
            listed.push((number, entry.clone()));
        }
        standing.extend(numbering.rest().unwrap());
        (standing, listed, rest)
    }
}

/// Options with which fingerprints are used.
fn any_options() -> impl Strategy<Value = Options> {
    decide::tests::any_options().prop_filter("listed in any case", can_tell)
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let node = prop_oneof![
        6 => (0_u64..3).prop_map(|size| Node::File { size }),
        2 => Just(Node::Directory),
        1 => "[xy]".prop_map(|target| Node::Symlink { target: target.into_bytes().into() }),
        1 => Just(Node::Fifo),
        1 => (0_u32..2).prop_map(|minor| Node::CharDevice(Rdev { major: 1, minor })),
    ];
    (node, prop::sample::select(vec![0o644, 0o4755]), 99_i64..102, 0_u32..3, 0_u32..3)
        .prop_map(|(node, mode, seconds, uid, gid)| entry(0, node, mode, seconds, (uid, gid)))
}

/// What the sink has of an entry: the same, with one attribute changed, something else, or nothing.
fn any_own(entry: Entry) -> impl Strategy<Value = Option<Entry>> {
    let same = entry.clone();
    let changed = (0..6, Just(entry)).prop_map(|(which, mut entry)| {
        match which {
            0 => entry.meta.mode ^= 0o111,
            1 => entry.meta.mtime = FileTime::from_unix_time(105, 0),
            2 => entry.meta.mtime = FileTime::from_unix_time(entry.meta.mtime.unix_seconds(), 7),
            3 => entry.meta.uid = Uid((entry.meta.uid.0 + 1) % 3),
            4 => entry.meta.gid = Gid((entry.meta.gid.0 + 1) % 3),
            _ => entry.node = Node::File { size: 9 },
        }
        Some(entry)
    });
    prop_oneof![8 => Just(Some(same)), 2 => changed, 1 => any_entry().prop_map(Some), 1 => Just(None)]
}

fn named(entries: BTreeMap<u8, Entry>) -> Vec<Entry> {
    entries.into_iter().map(|(number, entry)| Entry { name: name(number), ..entry }).collect()
}

/// Directories much alike.
fn any_case() -> impl Strategy<Value = Case> {
    let pair = any_entry().prop_flat_map(|entry| (Just(entry.clone()), any_own(entry)));
    let both = prop::collection::btree_map(0_u8..20, pair, 0..16);
    let extra = prop::collection::btree_map(prop_oneof![0_u8..20, HIDDEN..], any_entry(), 0..3);
    let here = prop_oneof![3 => Just([0, 1, 2]), 1 => Just([0, 2, 1]), 1 => any::<[u32; 3]>().prop_map(|all| all.map(|n| n % 3))];
    (both, extra, any_options(), any::<bool>(), here, any::<[bool; 3]>()).prop_map(
        |(both, extra, options, is_root, here, settable)| {
            let source = both.iter().map(|(number, (entry, _))| (*number, entry.clone())).collect();
            let own = both.into_iter().filter_map(|(number, (_, own))| Some((number, own?)));
            let own = extra.into_iter().chain(own).collect();
            Case { source: named(source), own: named(own), options, is_root, here, settable }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_directory_with_the_same_fingerprint_is_left_alone(case in any_case()) {
        if case.is_same() {
            let shown: Vec<&Entry> = case.own.iter().filter(|own| !is_hidden(own)).collect();
            prop_assert_eq!(case.source.len(), shown.len());
            for (entry, own) in case.source.iter().zip(shown) {
                prop_assert!(case.is_left(entry, own), "{entry:?}");
            }
        }
    }

    /// Entries that are not listed have nothing to do, every entry has the number it has at the source, and what is
    /// left here is not the source's unless that is listed.
    #[test]
    fn what_is_not_listed_is_left_alone(case in any_case()) {
        let (standing, listed, rest) = case.in_buckets();
        for (number, own) in &standing {
            let entry = &case.source[*number as usize];
            prop_assert!(case.is_left(entry, own), "{entry:?}");
        }
        for (number, entry) in &listed {
            prop_assert_eq!(&case.source[*number as usize], entry);
        }
        let mut numbers: Vec<u32> = standing.iter().chain(&listed).map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        prop_assert!(numbers.into_iter().eq(0..case.source.len() as u32));
        for own in rest {
            let at_source = case.source.iter().any(|entry| entry.name == own.name);
            prop_assert_eq!(at_source, listed.iter().any(|(_, entry)| entry.name == own.name));
        }
    }

    /// What one owner alone has made, and a copy of it by somebody who may not set that owner, or no owner at all.
    #[test]
    fn owners_that_are_not_set_are_not_compared(case in any_case(), there in 0_u32..3, here in 0_u32..3) {
        let mut case = Case { is_root: false, settable: [false; 3], ..case };
        case.leave_out_unwanted();
        case.own = case.source.iter().map(|entry| Entry { meta: asked_meta(&case.options, entry.kind(), entry.meta, 0), ..entry.clone() }).collect();
        case.source.iter_mut().for_each(|entry| (entry.meta.uid, entry.meta.gid) = (Uid(there), Gid(there)));
        case.own.iter_mut().for_each(|entry| (entry.meta.uid, entry.meta.gid) = (Uid(here), Gid(here)));
        prop_assert!(case.is_same());
        prop_assert!(case.own.len() < 2 || case.in_buckets().1.is_empty());
    }

    /// Hosts that give the same people different numbers.
    #[test]
    fn a_true_copy_by_root_is_the_same(case in any_case()) {
        let mut case = Case { is_root: true, here: [0, 2, 1], ..case };
        case.leave_out_unwanted();
        let copied = |entry: &Entry| {
            let Owner { uid, gid } = case.translate(entry.meta.owner());
            let meta = Meta { uid, gid, ..entry.meta };
            Entry { meta: asked_meta(&case.options, entry.kind(), meta, 0), ..entry.clone() }
        };
        case.own = case.source.iter().map(copied).collect();
        prop_assert!(case.is_same());
        prop_assert!(case.own.len() < 2 || case.in_buckets().1.is_empty());
    }
}

#[test]
fn directories_of_many_owners_are_listed() {
    let options = Options { group: true, ..Options::default() };
    let entries = |owners: u8| -> Vec<Entry> {
        (0..2 * owners)
            .map(|number| entry(number, Node::Fifo, 0, 0, (u32::from(number), u32::from(number / 2))))
            .collect()
    };
    let most = MENTIONED_OWNERS as u8;
    assert!(
        Owned::new(&entries(most), &options).is_some_and(|owned| owned.owners().len() == MENTIONED_OWNERS)
    );
    assert!(Owned::new(&entries(most + 1), &options).is_none());
    assert!(Owned::new(&entries(most + 1), &Options::default()).is_some());
}

#[test]
fn numbers_of_what_cannot_be() {
    let standing = || [3, 5].map(|number| entry(number, Node::Fifo, 0, 0, (0, 0))).into();
    let listed = |numbers: &[u8]| -> Result<Vec<u32>, &'static str> {
        let mut numbering = Numbering::new(standing());
        numbers.iter().map(|number| Ok(numbering.listed(&name(*number))?.1)).collect()
    };
    assert_eq!(listed(&[1, 4, 6]), Ok(vec![0, 2, 4]));
    for (numbers, told) in
        [(&[4, 4], "not sorted"), (&[4, 1], "not sorted"), (&[4, 5], "said to be the same")]
    {
        assert!(listed(numbers).unwrap_err().contains(told), "{numbers:?}");
    }
    let last = Numbering { next: u32::MAX, ..Numbering::new(standing()) };
    assert!(last.rest().is_err());
}

/// A file among others that are the same is the only one of its kind that is listed where there are many buckets.
#[test]
fn one_change_among_many_is_listed_with_few_others() {
    let source: Vec<Entry> =
        (0..200).map(|number| entry(number, Node::File { size: 5 }, 0o644, 9, (1, 1))).collect();
    let mut own = source.clone();
    own[100].node = Node::File { size: 6 };
    let (owner, group, times) = (true, true, true);
    let options = Options { owner, group, times, ..Options::default() };
    let case = Case { source, own, options, is_root: true, here: [0, 1, 2], settable: [true; 3] };
    assert!(!case.is_same());
    let (standing, listed, rest) = case.in_buckets();
    assert!((1..40).contains(&listed.len()), "{}", listed.len());
    assert!(listed.iter().any(|(number, _)| *number == 100));
    assert_eq!((standing.len() + listed.len(), rest.len()), (200, listed.len()));
    assert!(case.own.iter().all(|own| own.kind() == Kind::File));
}
