//! A basis for a file that is not there yet: another file of the same directory that may be much like it (`--fuzzy`),
//! or of that directory where it is compared with others besides (if that is said twice).
//!
//! One with the same length and time is most likely the same file under its old name. Else the one with the most
//! similar name is taken, if that is similar enough: versions of a file differ in a number in the middle of their
//! names, so what counts is how much of both names is the same from the front and from the back.

use crate::tree::{Entry, Kind, Name};
use filetime::FileTime;
use std::collections::HashMap;

/// How many names before and after the new one are looked at, in the order of names.
const NEAREST: usize = 500;

/// Files shorter than this are not worth it, in bytes.
const LEAST: u64 = 256;

/// The files that may be a basis for new ones of a directory.
#[derive(Debug, Default)]
pub(super) struct Nearby {
    /// Those of the directory, and those of the same directory elsewhere.
    places: Vec<(Place, Files)>,
}

/// Where a file is: in the directory itself, or in the same one below one of those that are compared with besides, by
/// its place in their list.
pub(super) type Place = Option<usize>;

/// A file that is much like one that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Like {
    pub place: Place,
    pub name: Name,
}

/// The files of a directory, as they were before anything was done in it.
#[derive(Debug, Default)]
struct Files {
    /// Sorted.
    names: Vec<Name>,
    by_size_and_time: HashMap<(u64, FileTime), usize>,
}

impl Nearby {
    /// Adds what a directory holds, sorted by name. What is added first counts first.
    pub(super) fn add<'a>(&mut self, place: Place, entries: impl Iterator<Item = &'a Entry>) {
        self.places.push((place, Files::of(entries)));
    }

    /// The file that is most like one that is not there.
    pub(super) fn like(&self, entry: &Entry) -> Option<Like> {
        if entry.node.size() < LEAST {
            return None;
        }
        let like = |place: &Place, name: &Name| Like { place: *place, name: name.clone() };
        let exact = |(place, files): &(Place, Files)| Some(like(place, files.same(entry)?));
        let similar = |(place, files): &(Place, Files)| {
            let (name, likeness) = files.similar(entry)?;
            Some((like(place, name), likeness))
        };
        self.places.iter().find_map(exact).or_else(|| {
            let found = self.places.iter().rev().filter_map(similar);
            found.max_by_key(|(_, likeness)| *likeness).map(|(like, _)| like)
        })
    }
}

impl Files {
    fn of<'a>(entries: impl Iterator<Item = &'a Entry>) -> Files {
        let mut files = Files::default();
        for entry in entries.filter(|entry| entry.kind() == Kind::File && entry.node.size() >= LEAST) {
            files.by_size_and_time.insert((entry.node.size(), entry.meta.mtime), files.names.len());
            files.names.push(entry.name.clone());
        }
        files
    }

    /// The one that is most likely the same under another name.
    fn same(&self, entry: &Entry) -> Option<&Name> {
        self.names.get(*self.by_size_and_time.get(&(entry.node.size(), entry.meta.mtime))?)
    }

    /// The one with the most similar name, and how similar that is.
    fn similar(&self, entry: &Entry) -> Option<(&Name, usize)> {
        let place = self.names.partition_point(|name| *name < entry.name);
        let nearest = self.names.iter().skip(place.saturating_sub(NEAREST)).take(2 * NEAREST);
        let known = nearest.map(|name| (name, likeness(name.as_bytes(), entry.name.as_bytes())));
        known.filter(|(_, likeness)| *likeness >= ENOUGH).max_by_key(|(_, likeness)| *likeness)
    }
}

/// How alike two names must be, in thousandths.
const ENOUGH: usize = 600;

/// How much of two names is the same at their ends, in thousandths.
fn likeness(one: &[u8], other: &[u8]) -> usize {
    let pairs = |front: bool, most: usize| -> usize {
        let same = |(a, b): &(&u8, &u8)| a == b;
        match front {
            true => one.iter().zip(other).take(most).take_while(same).count(),
            false => one.iter().rev().zip(other.iter().rev()).take(most).take_while(same).count(),
        }
    };
    let shorter = one.len().min(other.len());
    let front = pairs(true, shorter);
    let back = pairs(false, shorter.saturating_sub(front));
    let both = one.len().saturating_add(other.len()).max(1);
    front.saturating_add(back).saturating_mul(2000) / both
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Gid, Meta, Node, Uid};

    fn entry(name: &str, size: u64, seconds: i64) -> Entry {
        let meta =
            Meta { mode: 0o644, mtime: FileTime::from_unix_time(seconds, 0), uid: Uid::ROOT, gid: Gid::ROOT };
        Entry::new(Name::new(name.as_bytes()).unwrap(), Node::File { size }, meta)
    }

    fn found(has: &[(&str, u64, i64)], name: &str, size: u64, seconds: i64) -> Option<String> {
        let mut entries: Vec<Entry> =
            has.iter().map(|(name, size, time)| entry(name, *size, *time)).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let mut nearby = Nearby::default();
        nearby.add(None, entries.iter());
        nearby.like(&entry(name, size, seconds)).map(|like| like.name.to_string())
    }

    #[test]
    fn what_is_nearer_counts_first_if_it_is_as_alike() {
        let mut nearby = Nearby::default();
        nearby.add(None, [entry("file-1", 1000, 5)].iter());
        nearby.add(Some(0), [entry("file-1", 1000, 6), entry("other", 2000, 7)].iter());
        nearby.add(Some(1), [entry("file-22", 1000, 8)].iter());
        let like = |name, size, seconds| {
            let like = nearby.like(&entry(name, size, seconds))?;
            Some((like.place, like.name.to_string()))
        };
        assert_eq!(like("file-3", 3000, 9), Some((None, "file-1".to_owned())));
        assert_eq!(like("file-3", 2000, 7), Some((Some(0), "other".to_owned())));
        assert_eq!(like("file-23", 3000, 9), Some((Some(1), "file-22".to_owned())));
        assert_eq!(like("unlike", 3000, 9), None);
    }

    #[test]
    fn the_same_length_and_time_is_the_same_file() {
        let has = [("report-1.txt", 1000, 5), ("zzz", 2000, 7)];
        assert_eq!(found(&has, "report-2.txt", 2000, 7).as_deref(), Some("zzz"));
    }

    #[test]
    fn else_the_name_decides() {
        let has = [
            ("linux-5.9.tar", 1000, 5),
            ("linux-6.12.tar", 1000, 5),
            ("other", 9000, 5),
            ("linux-6.2.tar", 10, 5),
        ];
        assert_eq!(found(&has, "linux-6.13.tar", 2000, 7).as_deref(), Some("linux-6.12.tar"));
        assert_eq!(found(&has, "something", 2000, 7), None);
        assert_eq!(found(&has, "linux-6.13.tar", 10, 7), None);
        assert_eq!(found(&[], "a", 2000, 7), None);
    }

    #[test]
    fn likeness_is_between_nothing_and_all() {
        for (one, other, expected) in [
            ("", "", 0),
            ("a", "a", 1000),
            ("a", "b", 0),
            ("aa", "a", 666),
            ("abc", "axc", 666),
            ("aXa", "aYYa", 571),
        ] {
            assert_eq!(likeness(one.as_bytes(), other.as_bytes()), expected, "{one} {other}");
        }
    }
}
