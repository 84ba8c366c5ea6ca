//! What a user does to a tree, drawn at random and done on disk, and trees on disk as the model sees them.

use crate::oracle::random::Random;
use crate::support::tree::noise;
use crate::support::xattr;
use crate::two_way::model::{Marks, Node, Nodes, What};
use filetime::FileTime;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Something done to a tree. What cannot be done, for lack of a directory above or of the thing itself, is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// This content is written into the file, or into a new one instead of what is there; and the second it is dated.
    Write(&'static str, u8, u8),
    /// The same as a new file that is renamed over the old one.
    Replace(&'static str, u8, u8),
    /// The file is overwritten with as many bytes of this letter, and gets its old time back.
    Restore(&'static str, u8),
    Link(&'static str, u8, u8),
    MakeDir(&'static str, u8),
    Remove(&'static str),
    Chmod(&'static str, u8),
    /// An extended attribute gets this value, or goes.
    Mark(&'static str, u8),
    /// An ACL lets this user in, or goes.
    Grant(&'static str, u8),
    Touch(&'static str, u8),
    Rename(&'static str, &'static str),
    /// The first name becomes one more of the file that has the second.
    Join(&'static str, &'static str),
    /// The file is written anew under this name, with all that it has, and keeps its other names without it.
    Part(&'static str),
}

/// The inode of each name that is no directory's.
pub(super) type Files = BTreeMap<String, u64>;

const PLACES: [&str; 11] =
    ["a", "b.txt", "c", "d", "a/a", "a/b.txt", "c/a", "c/d", "a/a/a", "a/a/b", "c/d/a"];
const MODES: [u32; 4] = [0o644, 0o600, 0o755, 0o750];
const TARGETS: [&str; 4] = ["a", "../outside", "../outside/kept", "nowhere"];
/// When edits are dated; the base is older.
const EDITED: i64 = 1_650_000_000;

impl Edit {
    fn draw(random: &mut Random, places: &[&'static str]) -> Edit {
        let at = *random.pick(places);
        let mut number = |bound: usize| u8::try_from(random.below(bound)).unwrap();
        let (kind, content, common, time) = (number(100), number(200), number(7), number(6));
        // Equal contents on purpose.
        let content = if content < 120 { common } else { content };
        match kind {
            0..24 => Edit::Write(at, content, time),
            24..34 => Edit::Replace(at, content, time),
            34..39 => Edit::Restore(at, common),
            39..45 => Edit::Link(at, common % 4, time),
            45..53 => Edit::MakeDir(at, time),
            53..63 => Edit::Remove(at),
            63..71 => Edit::Chmod(at, common % 4),
            71..73 => Edit::Mark(at, common % 3),
            73..75 => Edit::Grant(at, common % 3),
            75..81 => Edit::Touch(at, time),
            _ => {
                let &to = random.pick(places);
                Edit::Rename(at, to)
            }
        }
    }

    /// What changes which names are one file.
    pub(super) fn of_names(random: &mut Random, places: &[&'static str]) -> Edit {
        let (&at, &of) = (random.pick(places), random.pick(&PLACES));
        if random.chance(75) { Edit::Join(at, of) } else { Edit::Part(at) }
    }

    /// What is done at few places, where two sides are likely to meet.
    pub(super) fn some(random: &mut Random, places: &[&'static str], most: usize) -> Vec<Edit> {
        (0..random.below(most + 1)).map(|_| Edit::draw(random, places)).collect()
    }

    /// What makes a tree out of nothing.
    pub(super) fn first(random: &mut Random) -> Vec<Edit> {
        let mut edits = Vec::new();
        for place in PLACES {
            let holds_more = PLACES.iter().any(|other| other.starts_with(&format!("{place}/")));
            match random.below(10) {
                0..2 => {}
                2..8 if holds_more => edits.push(Edit::MakeDir(place, 0)),
                2..4 => edits.push(Edit::Link(place, 0, 0)),
                number => edits.push(Edit::Write(place, u8::try_from(random.below(7) * number).unwrap(), 0)),
            }
        }
        edits
    }

    /// A few places.
    pub(super) fn places(random: &mut Random) -> Vec<&'static str> {
        let mut places = PLACES.to_vec();
        random.shuffle(&mut places);
        places.truncate(2 + random.below(6));
        places
    }

    fn apply(&self, root: &Path) {
        let at = |path: &str| root.join(path);
        match self {
            Edit::Write(path, content, time) => put(&at(path), *time, |at| {
                fs::write(at, content_of(*content)).unwrap();
            }),
            Edit::Replace(path, content, time) => put(&at(path), *time, |at| {
                let new = at.with_file_name("new");
                fs::write(&new, content_of(*content)).unwrap();
                fs::rename(new, at).unwrap();
            }),
            Edit::Restore(path, letter) => restore(&at(path), b'a' + letter),
            Edit::Link(path, target, time) => {
                let at = at(path);
                if has_room(&at) {
                    remove(&at);
                    symlink(TARGETS[usize::from(*target)], &at).unwrap();
                    date(&at, *time);
                }
            }
            Edit::MakeDir(path, time) => {
                let at = at(path);
                if has_room(&at) && !is_dir(&at) {
                    remove(&at);
                    fs::create_dir(&at).unwrap();
                    date(&at, *time);
                }
            }
            Edit::Remove(path) => remove(&at(path)),
            Edit::Chmod(path, mode) => {
                let at = at(path);
                if there(&at).is_some_and(|meta| !meta.is_symlink()) {
                    let mode = MODES[usize::from(*mode)] | if is_dir(&at) { 0o700 } else { 0 };
                    fs::set_permissions(&at, fs::Permissions::from_mode(mode)).unwrap();
                }
            }
            Edit::Mark(path, value) => {
                let at = at(path);
                if there(&at).is_some_and(|meta| !meta.is_symlink()) {
                    set_or_remove(&at, Marks::NAME.as_bytes(), (*value > 0).then(|| vec![*value]));
                }
            }
            Edit::Grant(path, user) => {
                let at = at(path);
                if let Some(meta) = there(&at).filter(|meta| !meta.is_symlink()) {
                    let acl = (*user > 0).then(|| Marks::acl(*user, meta.mode()));
                    set_or_remove(&at, xattr::ACCESS_ACL, acl);
                }
            }
            Edit::Touch(path, time) => {
                if there(&at(path)).is_some() {
                    date(&at(path), *time);
                }
            }
            Edit::Rename(from, to) => rename(&at(from), &at(to)),
            Edit::Join(path, of) => join(&at(path), &at(of)),
            Edit::Part(path) => part(&at(path)),
        }
    }
}

/// Does all this to the tree at `root`. Directories that changed by it get times that a repetition gives them again.
pub(super) fn edit(root: &Path, edits: &[Edit]) {
    for edit in edits {
        edit.apply(root);
    }
    date_directories(root, 0);
}

fn date_directories(directory: &Path, depth: u8) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if is_dir(&path) && !path.ends_with(".dsync") {
            date_directories(&path, depth + 1);
        }
    }
    if there(directory).unwrap().mtime() > EDITED + 1000 {
        let name = directory.file_name().unwrap().as_bytes().last().unwrap();
        date(directory, if depth == 0 { 9 } else { name % 4 });
    }
}

fn put(at: &Path, time: u8, write: impl FnOnce(&Path)) {
    if has_room(at) {
        if there(at).is_some_and(|meta| !meta.is_file()) {
            remove(at);
        }
        write(at);
        date(at, time);
    }
}

fn set_or_remove(at: &Path, name: &[u8], value: Option<Vec<u8>>) {
    match value {
        Some(value) => xattr::set(at, name, &value),
        None if xattr::get(at, name).is_some() => xattr::remove(at, name),
        None => {}
    }
}

fn restore(at: &Path, letter: u8) {
    if let Some(meta) = there(at).filter(fs::Metadata::is_file) {
        let content = vec![letter; usize::try_from(meta.len()).unwrap()];
        fs::write(at, content).unwrap();
        filetime::set_file_mtime(at, FileTime::from_last_modification_time(&meta)).unwrap();
    }
}

fn rename(from: &Path, to: &Path) {
    let nested = from.starts_with(to) || to.starts_with(from);
    if !nested && there(from).is_some() && has_room(to) {
        remove(to);
        fs::rename(from, to).unwrap();
    }
}

fn join(at: &Path, of: &Path) {
    let is_one = there(of).is_some_and(|meta| !meta.is_dir());
    if at != of && is_one && has_room(at) && !of.starts_with(at) {
        remove(at);
        fs::hard_link(of, at).unwrap();
    }
}

fn part(at: &Path) {
    if let Some(meta) = there(at).filter(fs::Metadata::is_file) {
        let new = at.with_file_name("new");
        fs::copy(at, &new).unwrap();
        xattr::read(at).iter().for_each(|(name, value)| xattr::set(&new, name, value));
        filetime::set_file_mtime(&new, FileTime::from_last_modification_time(&meta)).unwrap();
        fs::rename(new, at).unwrap();
    }
}

fn date(at: &Path, time: u8) {
    filetime::set_symlink_file_times(
        at,
        FileTime::zero(),
        FileTime::from_unix_time(EDITED + i64::from(time), 0),
    )
    .unwrap();
}

fn there(at: &Path) -> Option<fs::Metadata> {
    at.symlink_metadata().ok()
}

fn is_dir(at: &Path) -> bool {
    there(at).is_some_and(|meta| meta.is_dir())
}

fn has_room(at: &Path) -> bool {
    is_dir(at.parent().unwrap())
}

fn remove(at: &Path) {
    match there(at) {
        Some(meta) if meta.is_dir() => fs::remove_dir_all(at).unwrap(),
        Some(_) => fs::remove_file(at).unwrap(),
        None => {}
    }
}

/// The bytes that are meant by a number: different for different ones, of few different lengths, and sometimes so many
/// that differences are sent.
pub(super) fn content_of(number: u8) -> Vec<u8> {
    match number {
        0 => Vec::new(),
        190.. => [noise(70_000, 7), noise(3000, u64::from(number))].concat(),
        _ => format!("{number:03}").repeat(1 + usize::from(number) % 4).into_bytes(),
    }
}

/// The tree at `root`, without dsync's own.
pub(super) fn read(root: &Path) -> Node {
    let meta = root.symlink_metadata().unwrap();
    let mtime = meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
    let (what, mode) = if meta.is_dir() {
        let mut nodes = Nodes::new();
        for entry in fs::read_dir(root).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != ".dsync" {
                nodes.insert(entry.file_name().into_string().unwrap(), read(&entry.path()));
            }
        }
        (What::Dir(nodes), meta.mode() & 0o7777)
    } else if meta.is_symlink() {
        (What::Link(fs::read_link(root).unwrap().as_os_str().as_bytes().to_vec()), 0)
    } else {
        (What::File(fs::read(root).unwrap()), meta.mode() & 0o7777)
    };
    Node { what, mode, mtime, marks: marks(root) }
}

/// Which names are one file, in the tree at `root`.
pub(super) fn files(root: &Path) -> Files {
    let is_name = |(path, stamp): (PathBuf, [i64; 8])| {
        let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let is_own = path.split('/').next() == Some(".dsync");
        (!is_own && !is_dir(&root.join(&path))).then(|| (path, stamp[4].cast_unsigned()))
    };
    stamps(root).into_iter().filter_map(is_name).collect()
}

fn marks(at: &Path) -> Marks {
    let found = xattr::read(at);
    // The header, the owner, and then the user that is named: a tag, permissions, a number.
    let user = found.get(xattr::ACCESS_ACL).map_or(0, |acl| acl[4 + 8 + 4]);
    Marks([user, found.get(Marks::NAME.as_bytes()).map_or(0, |value| value[0])])
}

/// All that a file system tells about what is at and below `root`, but when it was read.
pub(super) fn stamps(root: &Path) -> BTreeMap<PathBuf, [i64; 8]> {
    let mut found = BTreeMap::new();
    gather_stamps(root, &mut found);
    found
}

fn gather_stamps(at: &Path, found: &mut BTreeMap<PathBuf, [i64; 8]>) {
    let Some(meta) = there(at) else { return };
    if meta.is_dir() {
        for entry in fs::read_dir(at).unwrap() {
            gather_stamps(&entry.unwrap().path(), found);
        }
    }
    let number = |n: u64| n.cast_signed();
    let times = [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
    let rest = [number(meta.ino()), number(meta.size()), i64::from(meta.mode()), number(meta.nlink())];
    let mut stamp = [0; 8];
    stamp[..4].copy_from_slice(&times);
    stamp[4..].copy_from_slice(&rest);
    found.insert(at.to_owned(), stamp);
}
