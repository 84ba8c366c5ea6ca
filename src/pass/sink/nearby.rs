//! A basis for a file that is not there yet: another file of the same directory that may be much like it (`--fuzzy`).
//!
//! One with the same length and time is most likely the same file under its old name. Else the one with the most
//! similar name is taken, if that is similar enough: versions of a file differ in a number in the middle of their names,
//! so what counts is how much of both names is the same from the front and from the back.

use crate::tree::{Entry, Kind, Name};
use filetime::FileTime;
use std::collections::HashMap;

/// How many names before and after the new one are looked at, in the order of names.
const NEAREST: usize = 500;

/// Files shorter than this are not worth it, in bytes.
const LEAST: u64 = 256;

/// The files of a directory, as they were before anything was done in it.
#[derive(Debug, Default)]
pub(super) struct Nearby {
    /// Sorted.
    names: Vec<Name>,
    by_size_and_time: HashMap<(u64, FileTime), usize>,
}

impl Nearby {
    /// Of these entries, which are sorted by name.
    pub(super) fn of<'a>(entries: impl Iterator<Item = &'a Entry>) -> Nearby {
        let mut nearby = Nearby::default();
        for entry in entries.filter(|entry| entry.kind() == Kind::File && entry.node.size() >= LEAST) {
            nearby.by_size_and_time.insert((entry.node.size(), entry.meta.mtime), nearby.names.len());
            nearby.names.push(entry.name.clone());
        }
        nearby
    }

    /// The file that is most like one that is not there.
    pub(super) fn like(&self, entry: &Entry) -> Option<&Name> {
        if entry.node.size() < LEAST {
            return None;
        }
        let exact = self.by_size_and_time.get(&(entry.node.size(), entry.meta.mtime));
        if let Some(place) = exact {
            return self.names.get(*place);
        }
        let place = self.names.partition_point(|name| *name < entry.name);
        let nearest = self.names.iter().skip(place.saturating_sub(NEAREST)).take(2 * NEAREST);
        let likeness = |name: &&Name| likeness(name.as_bytes(), entry.name.as_bytes());
        nearest.filter(|name| likeness(name) >= ENOUGH).max_by_key(likeness)
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
    use crate::tree::{Meta, Node};

    fn entry(name: &str, size: u64, seconds: i64) -> Entry {
        let meta = Meta { mode: 0o644, mtime: FileTime::from_unix_time(seconds, 0), uid: 0, gid: 0 };
        Entry::new(Name::new(name.as_bytes()).unwrap(), Node::File { size }, meta)
    }

    fn found(has: &[(&str, u64, i64)], name: &str, size: u64, seconds: i64) -> Option<String> {
        let mut entries: Vec<Entry> =
            has.iter().map(|(name, size, time)| entry(name, *size, *time)).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Nearby::of(entries.iter()).like(&entry(name, size, seconds)).map(Name::to_string)
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
