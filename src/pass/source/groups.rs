//! Which listed names are one file (`-H`): each such file gets a number, by which the sink knows its other names.
//!
//! A file is remembered from the first of its names that is told until as many were told as it has, or the run ends:
//! then some are outside of what is listed. Where a name may be listed under several paths (of several arguments, or by
//! links that are followed) their number says nothing, and every file is remembered to the end.
//!
//! What counts is the order in which names are told. It is not that in which directories are read, since the listing
//! of one may be asked for long after it was mentioned.

use crate::request::Options;
use crate::tree::{Entry, Group, Inode};
use crate::view::View;
use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};

/// The files that have names which were not told.
#[derive(Debug)]
pub(super) struct Groups {
    /// Whether anybody asked for them.
    wanted: bool,
    /// Whether each name is listed once at most.
    once: bool,
    known: HashMap<(u64, u64), Known>,
    next: u32,
}

#[derive(Debug)]
struct Known {
    number: u32,
    /// How many names were not told.
    left: u64,
}

impl Groups {
    /// None so far, of what a view shows in a run with these options.
    pub(super) fn new(options: &Options, view: &View) -> Groups {
        let once = view.is_of_one() && !options.link_rules.follows();
        Groups { wanted: options.hard_links, once, known: HashMap::new(), next: 0 }
    }

    /// Takes out of the entries of a listing what is not needed to number them.
    pub(super) fn keep_needed(&self, entries: &mut [Entry]) {
        if !self.wanted {
            for entry in entries {
                entry.take_inode();
            }
        }
    }

    /// What is told of an entry next: with the number of its file, if that is asked for, in place of what no other host
    /// is told.
    pub(super) fn told(&mut self, entry: &Entry) -> Entry {
        let mut told = entry.told();
        if self.wanted
            && let Some(inode) = entry.inode()
        {
            told.extra_mut().group = self.group_of(inode);
        }
        told
    }

    /// `None` if there are no numbers left.
    fn group_of(&mut self, Inode { identity, names }: Inode) -> Option<Group> {
        match self.known.entry(identity) {
            Vacant(place) => {
                let number = self.next;
                self.next = number.checked_add(1)?;
                place.insert(Known { number, left: names.saturating_sub(1) });
                Some(Group { number, last: false })
            }
            Occupied(mut known) => {
                let Known { number, left } = known.get_mut();
                *left = left.saturating_sub(u64::from(self.once));
                let group = Group { number: *number, last: *left == 0 };
                if group.last {
                    known.remove();
                }
                Some(group)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Gid, Meta, Name, Node, Uid};
    use filetime::FileTime;

    fn groups(once: bool) -> Groups {
        Groups { wanted: true, once, known: HashMap::new(), next: 0 }
    }

    fn entry(file: u64, names: u64) -> Entry {
        let meta = Meta { mode: 0o644, mtime: FileTime::zero(), uid: Uid::ROOT, gid: Gid::ROOT };
        let mut entry = Entry::new(Name::new(*b"x").unwrap(), Node::Fifo, meta);
        if names > 1 {
            entry.extra_mut().inode = Some(Inode { identity: (1, file), names });
        }
        entry
    }

    fn told(groups: &mut Groups, listing: &[Entry]) -> Vec<Entry> {
        listing.iter().map(|entry| groups.told(entry)).collect()
    }

    #[test]
    fn names_of_one_file_have_one_number() {
        let mut groups = groups(true);
        let listing = [entry(7, 3), entry(8, 1), entry(9, 2), entry(7, 3), entry(9, 2), entry(7, 3)];
        let group = |number, last| Some(Group { number, last });
        let expected =
            [group(0, false), None, group(1, false), group(0, false), group(1, true), group(0, true)];
        assert!(told(&mut groups, &listing).iter().map(Entry::group).eq(expected));
        assert!(groups.known.is_empty());
    }

    #[test]
    fn one_with_names_elsewhere_is_remembered() {
        let mut groups = groups(true);
        told(&mut groups, &[entry(7, 3), entry(7, 3)]);
        let later = groups.told(&entry(7, 3));
        assert_eq!(later.group(), Some(Group { number: 0, last: true }));
        assert!(groups.known.is_empty());
    }

    #[test]
    fn where_names_may_come_twice_none_is_the_last() {
        let listing = told(&mut groups(false), &[entry(7, 2), entry(7, 2), entry(7, 2)]);
        assert!(listing.iter().all(|entry| entry.group() == Some(Group { number: 0, last: false })));
    }

    #[test]
    fn which_file_of_the_host_it_is_is_told_to_nobody() {
        for wanted in [false, true] {
            let mut groups = Groups { wanted, ..groups(true) };
            let mut listing = [entry(7, 2), entry(8, 1)];
            groups.keep_needed(&mut listing);
            assert_eq!(listing.each_ref().map(|entry| entry.extra.is_some()), [wanted, false]);
            let listing = told(&mut groups, &listing);
            assert!(listing.iter().all(|entry| entry.inode().is_none()));
            assert!(listing.iter().map(|entry| entry.extra.is_some()).eq([wanted, false]));
        }
    }
}
