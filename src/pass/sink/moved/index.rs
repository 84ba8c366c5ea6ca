//! Which files are at the destination, by their length, their time and their name.
//!
//! Made once, of what was there before anything was changed. It is bounded: of more than [`MOST`] files the longest are
//! kept, since these are the ones that it costs most to send. Whatever is looked up takes a bounded number of steps,
//! also where very many files have one length or one name.

use crate::pass::SMALL;
use crate::tree::{Entry, Name, RelPath};
use std::cmp::Reverse;
use std::ops::Range;

/// Files shorter than this are sent: to ask about one costs as much, in bytes.
pub(super) const LEAST: u64 = 1 << 10;

/// How many files are kept: less than a hundred bytes each.
const MOST: usize = 1 << 19;

/// How many files a new one may be compared with.
const TRIES: usize = 4;

/// How many files of one length, or one name, are looked at for each.
const LOOKED_AT: usize = 64;

/// A file of the destination.
#[derive(Debug, Clone)]
struct File {
    size: u64,
    /// When it was changed, in whole seconds.
    seconds: i64,
    /// The place of its directory.
    dir: u32,
    name: Name,
    /// For how many new files it was named first.
    used: u8,
    /// Whether it is going to be another file, or none.
    gone: bool,
    /// Whether it is known to stay as it is.
    stays: bool,
}

/// The files of the destination.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Sorted by length and time.
    files: Vec<File>,
    /// Places of the same files, sorted by name and directory.
    by_name: Vec<u32>,
    /// The directories they are in, sorted.
    dirs: Vec<RelPath>,
}

/// An index in the making.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    files: Vec<File>,
    dirs: Vec<RelPath>,
}

impl Gathering {
    /// The files of one directory, of which each path is told once.
    pub(super) fn add<'e>(&mut self, dir: &RelPath, files: impl Iterator<Item = &'e Entry>) {
        let Ok(place) = u32::try_from(self.dirs.len()) else { return };
        let before = self.files.len();
        let seen = files.filter(|file| file.node.size() >= LEAST).map(|file| File {
            size: file.node.size(),
            seconds: file.meta.mtime.unix_seconds(),
            dir: place,
            name: file.name.clone(),
            used: 0,
            gone: false,
            stays: false,
        });
        self.files.extend(seen);
        if self.files.len() > before {
            self.dirs.push(dir.clone());
        }
        if self.files.len() >= 2 * MOST {
            self.keep_longest();
        }
    }

    fn keep_longest(&mut self) {
        if self.files.len() > MOST {
            self.files.select_nth_unstable_by_key(MOST, |file| Reverse(file.size));
            self.files.truncate(MOST);
        }
        // Directories of which no file is left go too, and the others get new places, in their order.
        self.files.sort_unstable_by_key(|file| file.dir);
        let mut used = Vec::new();
        let mut last = None;
        for file in &mut self.files {
            if last.replace(file.dir) != Some(file.dir) {
                used.push(file.dir);
            }
            file.dir = u32::try_from(used.len().saturating_sub(1)).unwrap_or(u32::MAX);
        }
        let take = |place: &u32| self.dirs.get(*place as usize).cloned();
        self.dirs = used.iter().filter_map(take).collect();
    }

    /// All that was added.
    pub(super) fn finish(mut self) -> Index {
        self.keep_longest();
        let Gathering { mut files, dirs } = self;
        let mut order: Vec<u32> = (0..).take(dirs.len()).collect();
        let path = |place: &u32| dirs.get(*place as usize);
        order.sort_unstable_by(|one, other| path(one).cmp(&path(other)));
        let mut places = vec![0; dirs.len()];
        for (new, old) in (0..).zip(&order) {
            if let Some(place) = places.get_mut(*old as usize) {
                *place = new;
            }
        }
        files
            .iter_mut()
            .for_each(|file| file.dir = places.get(file.dir as usize).copied().unwrap_or_default());
        let dirs = order.iter().filter_map(|place| path(place).cloned()).collect();
        files.sort_unstable_by_key(|file| (file.size, file.seconds));
        files.shrink_to_fit();
        let mut by_name: Vec<u32> = (0..).take(files.len()).collect();
        by_name.sort_unstable_by_key(|place| files.get(*place as usize).map(|file| (&file.name, file.dir)));
        Index { files, by_name, dirs }
    }
}

impl Index {
    /// Paths of files that may have the content of a new one, the likeliest first: with its length, time and name, then
    /// with two of these. Of a large file, those count too that have no more than its length.
    pub(super) fn candidates(&mut self, entry: &Entry) -> Vec<RelPath> {
        let (size, seconds) = (entry.node.size(), entry.meta.mtime.unix_seconds());
        if size < LEAST {
            return Vec::new();
        }
        let key = |file: &File| (file.size, file.seconds);
        let of_time = self.range(|file| key(file) < (size, seconds), |file| key(file) <= (size, seconds));
        let of_size = self.range(|file| file.size < size, |file| file.size <= size);
        let named = self.named(&entry.name).take(LOOKED_AT);
        let mut places: Vec<usize> = named.filter(|place| of_size.contains(place)).collect();
        places.extend(of_time.take(LOOKED_AT));
        if size > SMALL {
            places.extend(of_size.take(LOOKED_AT));
        }
        places.sort_unstable();
        places.dedup();
        let mut found: Vec<(u8, u8, usize)> = Vec::new();
        for place in places {
            let Some(file) = self.files.get(place).filter(|file| !file.gone) else { continue };
            let hints = u8::from(file.seconds == seconds) + u8::from(file.name == entry.name);
            found.push((2 - hints, file.used, place));
        }
        found.sort_unstable();
        found.truncate(TRIES);
        let first = found.first().and_then(|(_, _, place)| self.files.get_mut(*place));
        if let Some(first) = first {
            first.used = first.used.saturating_add(1);
        }
        found.iter().filter_map(|(_, _, place)| self.path(*place)).collect()
    }

    /// The path of a file with this name, of a length as near as possible.
    pub(super) fn namesake(&self, entry: &Entry) -> Option<RelPath> {
        let distance = |place: &usize| {
            let file = self.files.get(*place).filter(|file| !file.gone)?;
            Some(file.size.abs_diff(entry.node.size()))
        };
        let near = self.named(&entry.name).take(LOOKED_AT);
        let nearest = near.filter_map(|place| Some((distance(&place)?, place))).min()?;
        self.path(nearest.1)
    }

    /// The file of this path is going to be another one, or none.
    pub(super) fn forget(&mut self, path: &RelPath) {
        if let Some(file) = self.file_mut(path) {
            file.gone = true;
        }
    }

    /// The same of all files below a path.
    pub(super) fn forget_below(&mut self, above: &RelPath) {
        let start = self.dirs.partition_point(|dir| dir < above);
        // Whatever is below it begins like it.
        let rest = self.dirs.get(start..).unwrap_or_default();
        let begins = |dir: &&RelPath| dir.as_bytes().starts_with(above.as_bytes());
        let below: Vec<u32> = (0..)
            .zip(rest.iter().take_while(begins))
            .filter(|(_, dir)| *dir == above || dir.is_below(above))
            .filter_map(|(place, _)| u32::try_from(start).ok()?.checked_add(place))
            .collect();
        if !below.is_empty() {
            let is_below = |file: &&mut File| below.binary_search(&file.dir).is_ok();
            self.files.iter_mut().filter(is_below).for_each(|file| file.gone = true);
        }
    }

    /// The file of this path stays as it is.
    pub(super) fn keep(&mut self, path: &RelPath) {
        if let Some(file) = self.file_mut(path) {
            file.stays = true;
        }
    }

    /// Whether it is known that the file of this path stays as it is.
    pub(super) fn is_kept(&self, path: &RelPath) -> bool {
        let found = self.place(path).and_then(|place| self.files.get(place));
        found.is_some_and(|file| file.stays)
    }

    /// The places of the files between those of which the one is true, and those of which the other is not.
    fn range(&self, before: impl Fn(&File) -> bool, within: impl Fn(&File) -> bool) -> Range<usize> {
        self.files.partition_point(before)..self.files.partition_point(within)
    }

    /// The places of the files of this name.
    fn named<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = usize> + 'a {
        let start = self.by_name.partition_point(|place| self.name(*place) < Some(name));
        let rest = self.by_name.get(start..).unwrap_or_default();
        rest.iter().take_while(|place| self.name(**place) == Some(name)).map(|place| *place as usize)
    }

    fn name(&self, place: u32) -> Option<&Name> {
        Some(&self.files.get(place as usize)?.name)
    }

    fn path(&self, place: usize) -> Option<RelPath> {
        let file = self.files.get(place)?;
        Some(self.dirs.get(file.dir as usize)?.join(&file.name))
    }

    fn file_mut(&mut self, path: &RelPath) -> Option<&mut File> {
        let place = self.place(path)?;
        self.files.get_mut(place)
    }

    fn place(&self, path: &RelPath) -> Option<usize> {
        let (dir, name) = path.split_last()?;
        let dir = u32::try_from(self.dirs.binary_search(&dir).ok()?).ok()?;
        let key = |place: &u32| self.files.get(*place as usize).map(|file| (&file.name, file.dir));
        let at = self.by_name.binary_search_by(|place| key(place).cmp(&Some((&name, dir)))).ok()?;
        self.by_name.get(at).map(|place| *place as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Gid, Meta, Node, Uid};
    use filetime::FileTime;

    fn file(name: &str, size: u64, seconds: i64) -> Entry {
        let meta =
            Meta { mode: 0o644, mtime: FileTime::from_unix_time(seconds, 5), uid: Uid::ROOT, gid: Gid::ROOT };
        Entry::new(Name::new(name.as_bytes()).unwrap(), Node::File { size }, meta)
    }

    fn path(path: &str) -> RelPath {
        RelPath::new(path.as_bytes()).unwrap()
    }

    fn index(files: &[(&str, u64, i64)]) -> Index {
        let mut gathering = Gathering::default();
        for (place, size, seconds) in files {
            let (dir, name) = path(place).split_last().unwrap();
            gathering.add(&dir, [file(&name.to_string(), *size, *seconds)].iter());
        }
        gathering.finish()
    }

    fn found(index: &mut Index, name: &str, size: u64, seconds: i64) -> Vec<String> {
        index.candidates(&file(name, size, seconds)).iter().map(RelPath::to_string).collect()
    }

    #[test]
    fn what_agrees_most_comes_first() {
        let files =
            [("z/a", 5000, 1), ("b/other", 5000, 1), ("a", 5000, 9), ("c/b", 5000, 9), ("a/a", 6000, 1)];
        assert_eq!(found(&mut index(&files), "a", 5000, 1), ["z/a", "b/other", "a"]);
        assert_eq!(
            found(&mut index(&files), "new", 5000, 7),
            [""; 0],
            "nothing but the length of a small file"
        );
        assert_eq!(found(&mut index(&files), "a", 5001, 1), [""; 0]);
        let large = [("x", 5_000_000, 1), ("y", 5_000_000, 2)];
        assert_eq!(found(&mut index(&large), "new", 5_000_000, 2), ["y", "x"]);
    }

    #[test]
    fn small_files_are_not_looked_for() {
        assert_eq!(found(&mut index(&[("dir/a", LEAST - 1, 1)]), "a", LEAST - 1, 1), [""; 0]);
        assert_eq!(found(&mut index(&[("dir/a", LEAST, 1)]), "a", LEAST, 1), ["dir/a"]);
    }

    #[test]
    fn of_many_alike_a_few_are_tried_and_each_in_turn() {
        let names: Vec<String> = (0..10_000).map(|n| format!("d{}/{n}", n % 7)).collect();
        let files: Vec<(&str, u64, i64)> = names.iter().map(|name| (name.as_str(), 1 << 20, 3)).collect();
        let mut index = index(&files);
        assert_eq!(found(&mut index, "9999", 1 << 20, 3).first().unwrap(), "d3/9999");
        let first: Vec<String> = (0..8).map(|_| found(&mut index, "new", 1 << 20, 3).remove(0)).collect();
        let mut different = first.clone();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), first.len());
        assert_eq!(found(&mut index, "new", 1 << 20, 3).len(), TRIES);
    }

    #[test]
    fn what_changes_is_no_candidate_any_more() {
        let files = [("a", 5000, 1), ("dir/a", 5000, 1), ("dir/sub/a", 5000, 1), ("dir-x/a", 5000, 1)];
        let mut index = index(&files);
        index.forget(&path("a"));
        index.forget(&path("missing/a"));
        assert_eq!(found(&mut index, "a", 5000, 1).len(), 3);
        index.forget_below(&path("dir"));
        assert_eq!(found(&mut index, "a", 5000, 1), ["dir-x/a"]);
        assert!(!index.is_kept(&path("dir-x/a")));
        index.keep(&path("dir-x/a"));
        assert!(index.is_kept(&path("dir-x/a")));
    }

    #[test]
    fn one_of_the_same_name_and_about_the_same_length() {
        let files = [("x/disk.img", 5000, 1), ("y/disk.img", 900_000, 2), ("z/other", 800_000, 3)];
        let index = index(&files);
        let nearest = index.namesake(&file("disk.img", 800_000, 4));
        assert_eq!(nearest.unwrap().to_string(), "y/disk.img");
        assert_eq!(index.namesake(&file("disk", 800_000, 4)), None);
    }

    #[test]
    fn the_longest_are_kept() {
        let mut gathering = Gathering::default();
        for dir in 0..20_u32 {
            let files: Vec<Entry> =
                (0..60_000).map(|n| file(&n.to_string(), 2000 + u64::from(dir), 1)).collect();
            gathering.add(&path(&dir.to_string()), files.iter());
            assert!(gathering.files.len() < 2 * MOST + 60_000);
        }
        let mut index = gathering.finish();
        assert_eq!((index.files.len(), index.dirs.len()), (MOST, 9));
        assert_eq!(found(&mut index, "7", 2019, 1).first().unwrap(), "19/7");
        assert_eq!(found(&mut index, "7", 2000, 1), [""; 0]);
    }
}
