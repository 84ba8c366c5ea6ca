//! Random trees, and the small changes that make one tree a plausible older or newer state of another.

use crate::oracle::random::Random;
use crate::support::tree::{Entry, Node, Tree};
use crate::support::{tools, xattr};
use filetime::FileTime;
use std::mem::discriminant;

/// Names that are apt to be mishandled somewhere: by a shell, by a pattern, by an output, by a text type.
const ODD_NAMES: [&[u8]; 14] = [
    b"two words",
    "\u{fc}n\u{ef}".as_bytes(),
    b"not utf-8 \xff\xfe",
    b"new\nline",
    b"-dash",
    b"*",
    b"[x]",
    b"back\\slash",
    b"\\#101",
    b"quote'\"s",
    b"$HOME",
    b"host:colon",
    b".dsync-notes",
    &[b'x'; 255],
];

/// Names that patterns match in several places.
const PLAIN_NAMES: [&str; 14] = [
    "a", "b", "c", "lib", "src", "doc", "main.c", "util.c", "main.o", "README", "data", ".hidden", "tmp~",
    "x.log",
];

/// A tree of up to `size` entries.
pub(crate) fn tree(random: &mut Random, size: usize) -> Tree {
    let mut tree = Tree::new();
    alter_attributes(random, tree.entries.get_mut(&[][..]).unwrap());
    for _ in 0..size {
        add(random, &mut tree, 4);
    }
    link(random, &mut tree);
    tree
}

/// Makes some names one file.
fn link(random: &mut Random, tree: &mut Tree) {
    let files = tree.entries.iter().filter(|(_, entry)| !entry.is_directory());
    let mut paths: Vec<Vec<u8>> = files.map(|(path, _)| path.clone()).collect();
    random.shuffle(&mut paths);
    let (first, others) = paths.split_at(paths.len() / 3);
    for path in others {
        if !first.is_empty() && random.chance(40) {
            let other = random.pick(first).clone();
            tree.entries.insert(path.clone(), tree.entries[&other].clone());
            tree.links.insert(path.clone(), other);
        }
    }
}

/// Adds an entry with a random name in a random directory not deeper than `depth`, unless the name is taken.
fn add(random: &mut Random, tree: &mut Tree, depth: usize) {
    let directories: Vec<&Vec<u8>> = directories(tree, depth).collect();
    let mut path = (*random.pick(&directories)).clone();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend(name(random));
    if !tree.entries.contains_key(&path) {
        let entry = entry(random);
        tree.insert(&path, entry);
    }
}

/// A tree of a few directories with many entries in each, or hardly any.
pub(crate) fn wide(random: &mut Random) -> Tree {
    let mut tree = Tree::new().directory("a/b").directory("d").directory(b"\xfe");
    for _ in 0..1 + random.below(3) {
        let top = *random.pick(&[&b""[..], b"a/", b"a/b/", b"d/", b"\xfe/"]);
        let entries = if random.chance(20) { random.below(4) } else { 50 + random.below(451) };
        for _ in 0..entries {
            let path = [top, &numbered_name(random)[..]].concat();
            let mut entry = entry(random);
            match &mut entry.node {
                Node::File(content) => content.truncate(40),
                Node::Directory if random.chance(60) => entry.node = Node::Fifo,
                _ => {}
            }
            if !tree.entries.contains_key(&path) {
                tree.insert(&path, entry);
            }
        }
    }
    let dirs: Vec<Vec<u8>> = directories(&tree, 3).filter(|path| !path.is_empty()).cloned().collect();
    for dir in dirs {
        if random.chance(30) {
            tree.insert(&[&dir, &b"/inside"[..]].concat(), entry(random));
        }
    }
    tree
}

/// A name among many that begin alike, with some before and after all of them.
fn numbered_name(random: &mut Random) -> Vec<u8> {
    let number = random.below(2000);
    match random.below(20) {
        0 => name(random),
        1 => number.to_be_bytes().into_iter().filter(|byte| !b"/\0".contains(byte)).chain([1]).collect(),
        2 => format!("{}{number}", "long".repeat(50)).into_bytes(),
        3 => [b"\xff\xff", number.to_string().as_bytes()].concat(),
        4..7 => number.to_string().into_bytes(),
        _ => format!("file-{number:04}").into_bytes(),
    }
}

/// A tree that differs from `tree` in a few entries.
pub(crate) fn nearly(random: &mut Random, tree: &Tree) -> Tree {
    let mut other = tree.clone();
    let paths: Vec<&Vec<u8>> = tree.entries.keys().collect();
    for _ in 0..random.below(20) {
        let path = if random.chance(5) { paths[0] } else { *random.pick(&paths) };
        match other.entries.get_mut(path) {
            Some(Entry { node: Node::Symlink(target), .. }) if random.chance(30) => target.push(b'x'),
            // Most of what is drawn is what it was before.
            Some(entry) if random.chance(50) => (0..3).for_each(|_| alter_attributes(random, entry)),
            _ => {
                change(random, &mut other, path, Obstacles { full_directories: true, for_directories: true })
            }
        }
    }
    for _ in 0..random.below(4) {
        add(random, &mut other, 3);
    }
    other
}

/// The directories that are not deeper than `depth`.
fn directories(tree: &Tree, depth: usize) -> impl Iterator<Item = &Vec<u8>> {
    let entries = tree.entries.iter();
    let found = entries.filter(move |(path, entry)| entry.node == Node::Directory && level(path) < depth);
    found.map(|(path, _)| path)
}

fn level(path: &[u8]) -> usize {
    if path.is_empty() { 0 } else { 1 + path.iter().filter(|byte| **byte == b'/').count() }
}

fn name(random: &mut Random) -> Vec<u8> {
    if random.chance(12) {
        random.pick(&ODD_NAMES).to_vec()
    } else {
        random.pick(&PLAIN_NAMES).as_bytes().to_vec()
    }
}

fn entry(random: &mut Random) -> Entry {
    let node = match random.below(100) {
        0..28 => Node::Directory,
        _ => node(random),
    };
    let mut entry = Entry::new(node);
    entry.mtime = FileTime::from_unix_time(
        1_500_000_000 + 1000 * random.below(1000) as i64,
        if random.chance(30) { 0 } else { random.below(1_000_000_000) as u32 },
    );
    alter_attributes(random, &mut entry);
    entry
}

/// Anything but a directory.
fn node(random: &mut Random) -> Node {
    match random.below(100) {
        0..72 => Node::File(content(random)),
        72..88 => Node::Symlink(
            random
                .pick(&[&b"a"[..], b"src", b"../lib", b"nowhere", b"/etc/passwd", b"main.c", b"\xff", b".."])
                .to_vec(),
        ),
        88..93 => Node::Fifo,
        93..96 => Node::Socket,
        _ if !tools::can_make_devices() => Node::Fifo,
        96..98 => Node::CharDevice(1, 3 + random.below(3) as u32),
        _ => Node::BlockDevice(7, random.below(3) as u32),
    }
}

/// Mostly small; sometimes of several blocks of a delta.
fn content(random: &mut Random) -> Vec<u8> {
    let length = match random.below(100) {
        0..10 => 0,
        10..60 => random.below(60),
        60..90 => 500 + random.below(4000),
        _ => 20_000 + random.below(60_000),
    };
    random.bytes(length)
}

/// Gives an entry a mode and, for root, an owner. Others must stay able to read and remove what they made.
fn alter_attributes(random: &mut Random, entry: &mut Entry) {
    if random.chance(30) {
        let modes: &[u32] = match (&entry.node, tools::is_root()) {
            (Node::Directory, true) => &[0o700, 0o555, 0o1777, 0o2775, 0o000, 0o751],
            (Node::Directory, false) => &[0o700, 0o755, 0o1777, 0o2775, 0o751],
            (_, true) => &[0o600, 0o444, 0o4755, 0o2711, 0o666, 0o000, 0o755, 0o111],
            (_, false) => &[0o600, 0o444, 0o666, 0o755],
        };
        entry.mode = *random.pick(modes);
    }
    if tools::is_root() && random.chance(30) {
        // One with a name, one without.
        entry.owner = Some((*random.pick(&[0, 1, 12_345]), *random.pick(&[0, 1, 23_456])));
    }
    if random.chance(30) && xattr::are_here() {
        alter_xattrs(random, entry);
    }
}

/// Gives an entry extended attributes, ACLs, both, or none of them any more.
fn alter_xattrs(random: &mut Random, entry: &mut Entry) {
    entry.xattrs.clear();
    let users = matches!(entry.node, Node::File(_) | Node::Directory);
    for _ in 0..random.below(4) {
        // Only root has others, and other kinds of entries have only those.
        let name = match (users, tools::is_root() && random.chance(35)) {
            (true, false) => *random.pick(&[&b"user.a"[..], b"user.rsync.x", b"user.\xff \n", b"user.long"]),
            (_, true) => *random.pick(&[&b"trusted.a"[..], b"trusted.overlay"]),
            (false, false) => continue,
        };
        let length = match random.below(10) {
            0 => 0,
            1 => 900,
            _ => random.below(50),
        };
        entry.xattrs.insert(name.to_vec(), random.bytes(length));
    }
    if matches!(entry.node, Node::Symlink(_)) {
        return;
    }
    if random.chance(40) {
        entry.xattrs.insert(xattr::ACCESS_ACL.to_vec(), acl(random, entry.mode));
    }
    if entry.node == Node::Directory && random.chance(30) {
        let mode = *random.pick(&[0o755, 0o770, 0o777]);
        entry.xattrs.insert(xattr::DEFAULT_ACL.to_vec(), acl(random, mode));
    }
}

/// An ACL that goes with a mode.
fn acl(random: &mut Random, mode: u32) -> Vec<u8> {
    let mut some = |ids: [u32; 2]| {
        let ids = ids.into_iter().filter(|_| random.chance(60)).collect::<Vec<_>>();
        ids.into_iter().map(|id| (id, random.below(8) as u16)).collect::<Vec<_>>()
    };
    let (users, groups) = (some([1, 12_345]), some([2, 23_456]));
    xattr::acl(mode, random.below(8) as u16, &users, &groups)
}

/// What an earlier state must not have in the place of what is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Obstacles {
    /// Directories that hold something, where there is to be none.
    pub(crate) full_directories: bool,
    /// Anything, where there is to be a directory.
    pub(crate) for_directories: bool,
}

/// What a destination may look like before the run that is to make it like `tree`.
pub(crate) fn earlier(random: &mut Random, tree: &Tree, obstacles: Obstacles) -> Tree {
    let mut earlier = tree.clone();
    let paths: Vec<Vec<u8>> = tree.entries.keys().cloned().collect();
    for path in paths {
        change(random, &mut earlier, &path, obstacles);
    }
    for _ in 0..random.below(7) {
        add(random, &mut earlier, 5);
    }
    clear(&mut earlier, tree, obstacles);
    earlier.links.retain(|_, _| random.chance(60));
    agree(&mut earlier);
    earlier
}

/// Names of one file say the same of it: else it would have the content of the one and the time of the other.
fn agree(tree: &mut Tree) {
    for (path, other) in &tree.links {
        if let Some(entry) = tree.entries.get(other).cloned()
            && let Some(linked) = tree.entries.get_mut(path)
            && discriminant(&linked.node) == discriminant(&entry.node)
        {
            *linked = entry;
        }
    }
}

/// Takes out of `earlier` what would bring rsync, not dsync, into difficulties.
fn clear(earlier: &mut Tree, tree: &Tree, obstacles: Obstacles) {
    let wanted = |path: &[u8]| tree.entries.get(path).map(|entry| entry.node == Node::Directory);
    if !obstacles.for_directories {
        earlier.entries.retain(|path, entry| entry.node == Node::Directory || wanted(path) != Some(true));
    }
    if !obstacles.full_directories {
        let others = tree.entries.iter().filter(|(_, entry)| entry.node != Node::Directory);
        let places: Vec<Vec<u8>> = others.map(|(path, _)| [path.as_slice(), b"/"].concat()).collect();
        earlier.entries.retain(|path, _| !places.iter().any(|place| path.starts_with(place)));
    }
    // Without -p, rsync gives a device, fifo or socket the mode of what stood in its place, even if that was a link.
    let special = |node: &Node| !matches!(node, Node::File(_) | Node::Directory | Node::Symlink(_));
    earlier.entries.retain(|path, entry| match tree.entries.get(path) {
        Some(wanted) if special(&wanted.node) => entry.node == Node::Directory || entry.node == wanted.node,
        _ => true,
    });
    for (path, entry) in &mut earlier.entries {
        // rsync changes the owner first, which clears these bits, and then itemizes what it finds.
        if let Some(wanted) = tree.entries.get(path)
            && entry.mode & 0o6000 != 0
        {
            entry.owner = wanted.owner;
        }
    }
}

fn change(random: &mut Random, tree: &mut Tree, path: &[u8], obstacles: Obstacles) {
    let Some(entry) = tree.entries.get_mut(path) else {
        return; // a directory above it is gone
    };
    match random.below(100) {
        0..8 if !path.is_empty() => tree.remove(path),
        8..18 => {
            // The change that only -c and -I see.
            if let Node::File(content) = &mut entry.node
                && !content.is_empty()
                // Whether it is seen would depend on which name of a file is looked at, and dsync does not link a new
                // name that comes first to an old one.
                && tree.links.is_empty()
            {
                let at = random.below(content.len());
                content[at] ^= 0x55;
            }
        }
        18..30 => {
            if let Node::File(content) = &mut entry.node {
                edit(random, content);
                let before = entry.mtime.unix_seconds();
                shift_time(random, entry);
                if entry.mtime.unix_seconds() == before && !tree.links.is_empty() {
                    entry.mtime = FileTime::from_unix_time(before + 1, 7); // for the same reason
                }
            }
        }
        30..41 => shift_time(random, entry),
        41..48 => alter_attributes(random, entry),
        48..56 if !path.is_empty() && (obstacles.for_directories || entry.node != Node::Directory) => {
            let other = if random.chance(50) { Node::Directory } else { node(random) };
            let filled = other == Node::Directory && obstacles.full_directories && random.chance(75);
            tree.remove(path);
            tree.insert(path, Entry::new(other));
            if filled {
                tree.insert(&[path, b"/inside"].concat(), Entry::new(Node::File(b"in the way".to_vec())));
            }
        }
        _ => {}
    }
}

/// The kinds of edits a delta must follow: in place, inserted, appended, cut, replaced.
fn edit(random: &mut Random, content: &mut Vec<u8>) {
    let at = random.below(content.len() + 1);
    match random.below(5) {
        0 => {
            let length = 1 + random.below(300);
            content.splice(at..at, random.bytes(length));
        }
        1 => content.truncate(at),
        2 => {
            let length = 1 + random.below(3000);
            content.extend(random.bytes(length));
        }
        3 => {
            let end = (at + 40).min(content.len());
            content.splice(at..end, random.bytes(end - at));
        }
        _ => {
            let length = random.below(5000);
            *content = random.bytes(length);
        }
    }
}

/// Older, newer, or other only below the second.
fn shift_time(random: &mut Random, entry: &mut Entry) {
    let seconds = entry.mtime.unix_seconds();
    entry.mtime = match random.below(5) {
        0 | 1 => FileTime::from_unix_time(seconds - 1 - random.below(100_000) as i64, 5),
        2 | 3 => FileTime::from_unix_time(seconds + 1 + random.below(100_000) as i64, 6),
        _ => FileTime::from_unix_time(seconds, random.below(1_000_000_000) as u32),
    };
}
