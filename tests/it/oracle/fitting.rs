//! What the trees of a case must hold, or not, for some options to matter and the outcome to be known.

use crate::oracle::case;
use crate::oracle::options::{self, Choice};
use crate::oracle::random::Random;
use crate::support::snapshot::{Content, Stamp};
use crate::support::tools;
use crate::support::tree::{Entry, Node, Tree};
use crate::support::xattr::ACCESS_ACL;
use filetime::FileTime;
use std::collections::BTreeMap;

/// Times of the last access are drawn from here on: what is read gets no other one while it has one ahead of its time.
pub(super) const FIRST_ACCESS: i64 = 4_000_000_000;

/// What links say that are munged.
const MUNGED: &[u8] = b"/rsyncd-munged/";

/// The directory that has what kept links lead to.
const KEPT: &[u8] = b".kept/";

/// Has a source hold what the options are about.
pub(super) fn source(random: &mut Random, options: &[Choice], tree: &mut Tree) {
    let has = |name: &str| options::has(options, name);
    if has("-k") {
        link_to_directories(random, tree);
    }
    if has("--munge-links") {
        munge(random, tree);
    }
    let is_about = |names: &[&str]| names.iter().any(|name| has(name));
    if is_about(&["--safe-links", "--munge-links"]) {
        let target = *random.pick(&[&b"/etc/passwd"[..], b"../../lib", b"a/../../b"]);
        add(random, tree, &Node::Symlink(target.to_vec()));
    }
    if is_about(&["--devices", "--specials", "--no-devices", "--copy-devices"]) {
        let is_possible = tools::can_make_devices();
        add(random, tree, &if is_possible { Node::CharDevice(1, 3) } else { Node::Fifo });
        add(random, tree, &Node::Fifo);
    }
    if has("--copy-devices") {
        // What others hold, nobody knows.
        for entry in tree.entries.values_mut() {
            if let Node::CharDevice(1, minor) = &mut entry.node {
                *minor = 3;
            } else if let Node::BlockDevice(..) = entry.node {
                entry.node = Node::CharDevice(1, 5);
            }
        }
    }
    if has("--fake-super") {
        // These are what attributes are kept in.
        let entries = tree.entries.values_mut();
        entries.for_each(|entry| entry.xattrs.retain(|name, _| !name.starts_with(b"user.rsync.")));
        // rsync copies what a file itself has besides what it stands for.
        let is_plain = |name: &[u8]| name.starts_with(b"user.") || name.starts_with(b"system.");
        tree.entries.values_mut().for_each(|entry| entry.xattrs.retain(|name, _| is_plain(name)));
    }
    if has("-U") {
        read(random, tree);
    }
    if is_about(&["-L", "-k", "--copy-unsafe-links"]) {
        // rsync reads no file of rules behind another user's link.
        let links = tree.entries.values_mut().filter(|entry| matches!(entry.node, Node::Symlink(_)));
        links.for_each(|entry| entry.owner = None);
    }
    if has("-A") {
        // Where a directory is sticky, or made so, rsync takes what the group may away if the mask is the same.
        let may_be_sticky =
            |entry: &Entry| entry.mode & 0o1000 != 0 || (entry.is_directory() && has("--chmod"));
        let sticky = tree.entries.values_mut().filter(|entry| may_be_sticky(entry));
        sticky.for_each(|entry| drop(entry.xattrs.remove(ACCESS_ACL)));
        if has("--chmod") {
            // Where the mask becomes what the group may, rsync takes that away from the group.
            let entries = tree.entries.values_mut();
            entries.for_each(|entry| entry.xattrs.retain(|name, acl| name != ACCESS_ACL || masks_all(acl)));
        }
    }
}

/// Whether an ACL has the same for its mask and for the group of the file.
fn masks_all(acl: &[u8]) -> bool {
    let (_, entries) = acl.split_at(4);
    let of = |tag: u8| entries.chunks(8).find(|entry| entry[0] == tag).map(|entry| entry[2]);
    of(4) == of(16)
}

/// The same for a destination, where there is to be `wanted`.
pub(super) fn destination(random: &mut Random, options: &[Choice], tree: &mut Tree, wanted: &Tree) {
    let has = |name: &str| options::has(options, name);
    if has("--munge-links") {
        munge(random, tree);
    }
    if has("-U") {
        read(random, tree);
    }
    if has("--fake-super") && !keeps_permissions(options) {
        // rsync takes the mode of anything that has the name, and a link has one here.
        case::leave_out_other_kinds(tree, wanted);
    }
    if has("-K") {
        // What a munged or another absolute link leads to is none of the tree's, and dsync does not look what it is.
        let leads_out = |entry: &Entry| matches!(&entry.node, Node::Symlink(target) if target.starts_with(MUNGED) || target.starts_with(b"/"));
        tree.entries.retain(|_, entry| !leads_out(entry));
        keep_links(random, tree, wanted);
    }
    if has("-E") && !keeps_permissions(options) {
        let files = tree.entries.values_mut().filter(|entry| matches!(entry.node, Node::File(_)));
        files.filter(|_| random.chance(30)).for_each(|entry| entry.mode ^= 0o111);
        // Of a file that nobody may read, rsync wants no execute permission where it compares with others.
        let files = tree.entries.values_mut().filter(|entry| matches!(entry.node, Node::File(_)));
        files.filter(|entry| entry.mode & 0o444 == 0).for_each(|entry| entry.mode |= 0o400);
    }
    const LEAVING_OUT: [&str; 15] = [
        "--exclude",
        "--exclude-from",
        "-f",
        "-F",
        "dir-merge",
        "-C",
        "--max-size",
        "--min-size",
        "-u",
        "--existing",
        "--ignore-existing",
        "-R",
        "--files-from",
        "-d",
        "--safe-links",
    ];
    if has("-H") && LEAVING_OUT.iter().any(|name| has(name)) {
        // A further name that is left out tells which of two files a new name was linked to: with its whole list at
        // hand, rsync finds one that comes later.
        tree.links.clear();
    }
    if has("--no-super") {
        // A group that is not the user's to give stays what the directory had when the file was made in it.
        tree.entries
            .values_mut()
            .filter(|entry| entry.is_directory())
            .for_each(|entry| entry.mode &= !0o2000);
    }
    if has("--no-implied-dirs") || has("--ignore-existing") {
        // rsync tells of what is to go into a directory, also where there is something else in the place of that; or
        // gives that the directory's time.
        let is_directory =
            |tree: &Tree, path: &Vec<u8>| tree.entries.get(path).is_some_and(Entry::is_directory);
        let paths =
            tree.entries.keys().filter(|path| !is_directory(tree, path) && is_directory(wanted, path));
        let paths: Vec<Vec<u8>> = paths.cloned().collect();
        paths.iter().for_each(|path| tree.remove(path));
    }
}

/// Chooses a directory of a source that is to be another file system, with something in it. No file has names on both.
pub(super) fn mount(random: &mut Random, tree: &mut Tree) -> Option<Vec<u8>> {
    let above =
        tree.entries.keys().filter_map(|path| Some(&path[..path.iter().rposition(|byte| *byte == b'/')?]));
    let mut full: Vec<&[u8]> = above.collect();
    full.dedup();
    if full.is_empty() {
        return None;
    }
    let at = random.pick(&full).to_vec();
    let inside = [at.as_slice(), b"/"].concat();
    tree.links.retain(|path, other| path.starts_with(&inside) == other.starts_with(&inside));
    // Older systems have none of the user's own there.
    let there = tree.entries.iter_mut().filter(|(path, _)| **path == at || path.starts_with(&inside));
    there.for_each(|(_, entry)| entry.xattrs.retain(|name, _| !name.starts_with(b"user.")));
    Some(at)
}

/// Has trees that were drawn keep attributes in attributes, if the options ask for it: all at the side of the
/// destination, where rsync makes over what does not, and about every other source.
pub(super) fn keep(
    random: &mut Random,
    options: &[Choice],
    sources: &mut [Tree],
    there: &mut dyn Iterator<Item = &mut Tree>,
) {
    if options::has(options, "--fake-super") {
        sources.iter_mut().filter(|_| random.chance(50)).for_each(fake_all);
        let stay = !keeps_permissions(options);
        there.for_each(|tree| {
            let files = tree.entries.values_mut().filter(|entry| matches!(entry.node, Node::File(_)));
            // What is to stay as it is, rsync gives the permissions of the file that stands for it.
            files.filter(|_| stay).for_each(|entry| entry.mode = (entry.mode & 0o777) | 0o600);
            fake_all(tree);
        });
    }
}

/// Whether permissions are those of the source.
fn keeps_permissions(options: &[Choice]) -> bool {
    ["-a", "-p", "-A"].iter().any(|name| options::has(options, name))
}

/// Adds something to a directory.
fn add(random: &mut Random, tree: &mut Tree, node: &Node) {
    let directories = tree.entries.iter().filter(|(_, entry)| entry.is_directory());
    let directories: Vec<&Vec<u8>> = directories.map(|(path, _)| path).collect();
    let above = *random.pick(&directories);
    let name = *random.pick(&[&b"b"[..], b"doc", b"odd", b"x.log"]);
    let path = if above.is_empty() { name.to_vec() } else { [above, name].join(&b'/') };
    if !tree.entries.contains_key(&path) {
        tree.insert(&path, Entry::new(node.clone()));
    }
}

fn fake_all(tree: &mut Tree) {
    tree.entries.values_mut().for_each(fake);
}

/// Adds links that lead to directories; what would lead around leads nowhere.
fn link_to_directories(random: &mut Random, tree: &mut Tree) {
    for entry in tree.entries.values_mut() {
        if let Node::Symlink(target) = &mut entry.node
            && target.starts_with(b"..")
        {
            *target = b"nowhere".to_vec();
        }
    }
    let directories = tree.entries.iter().filter(|(path, entry)| !path.is_empty() && entry.is_directory());
    let directories: Vec<Vec<u8>> = directories.map(|(path, _)| path.clone()).collect();
    for path in directories {
        let (above, name) = parted(&path);
        let link = [above, *random.pick(&[&b"aa"[..], b"link", b"zz"])].concat();
        if random.chance(40) && !tree.entries.contains_key(&link) {
            tree.insert(&link, Entry::new(Node::Symlink(name.to_vec())));
        }
    }
}

/// Munges some links.
fn munge(random: &mut Random, tree: &mut Tree) {
    for entry in tree.entries.values_mut() {
        if let Node::Symlink(target) = &mut entry.node
            && random.chance(35)
        {
            target.splice(0..0, MUNGED.iter().copied());
        }
    }
}

/// Has some entries read at other times, and all at times that stay when they are read again.
fn read(random: &mut Random, tree: &mut Tree) {
    for entry in tree.entries.values_mut() {
        // Those of links are left as they are.
        let is_link = matches!(entry.node, Node::Symlink(_));
        if entry.atime.is_none() || (!is_link && random.chance(20)) {
            let seconds = FIRST_ACCESS + if is_link { 0 } else { random.below(1000) as i64 };
            entry.atime = Some(FileTime::from_unix_time(seconds, random.below(1000) as u32));
        }
    }
}

/// Makes links of some directories, to where they are then.
fn keep_links(random: &mut Random, tree: &mut Tree, wanted: &Tree) {
    let is_there = |tree: &Tree, path: &Vec<u8>| tree.entries.get(path).is_some_and(Entry::is_directory);
    let directories = tree.entries.keys().filter(|path| !path.is_empty() && is_there(tree, path));
    let directories: Vec<Vec<u8>> = directories.filter(|path| is_there(wanted, path)).cloned().collect();
    for (number, path) in directories.into_iter().enumerate() {
        if !is_there(tree, &path) || random.chance(55) {
            continue; // or it has moved with one above it
        }
        let moved = [KEPT, number.to_string().as_bytes()].concat();
        let below = [path.as_slice(), b"/"].concat();
        let is_moved = |other: &Vec<u8>| *other == path || other.starts_with(&below);
        let (there, rest): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut tree.entries).into_iter().partition(|(other, _)| is_moved(other));
        tree.entries = rest;
        for (other, entry) in there {
            tree.insert(&[moved.as_slice(), &other[path.len()..]].concat(), entry);
        }
        // rsync sets permissions and owners of the link, or fails.
        if let (Some(entry), Some(known)) = (tree.entries.get_mut(&moved), wanted.entries.get(&path)) {
            // An ACL says the mode, too.
            (entry.mode, entry.owner, entry.xattrs) = (known.mode, known.owner, known.xattrs.clone());
        }
        tree.links.retain(|name, other| !is_moved(name) && !is_moved(other));
        let level = path.iter().filter(|byte| **byte == b'/').count();
        tree.insert(&path, Entry::new(Node::Symlink([b"../".repeat(level), moved].concat())));
    }
}

/// Whether this is a link, which may be kept, or what one leads to that was made for that.
pub(super) fn is_kept(path: &[u8], stamp: &Stamp) -> bool {
    matches!(stamp.content, Content::Target(_))
        || path.strip_prefix(KEPT).is_some_and(|below| !below.contains(&b'/'))
}

/// Makes of an entry what stands for it where attributes are kept in attributes.
fn fake(entry: &mut Entry) {
    let (kind, content, device) = match &entry.node {
        Node::File(content) => (0o100_000, content.clone(), (0, 0)),
        Node::Directory => (0o040_000, Vec::new(), (0, 0)),
        Node::Symlink(target) => (0o120_000, target.clone(), (0, 0)),
        Node::Fifo => (0o010_000, Vec::new(), (0, 0)),
        Node::Socket => (0o140_000, Vec::new(), (0, 0)),
        Node::CharDevice(major, minor) => (0o020_000, Vec::new(), (*major, *minor)),
        Node::BlockDevice(major, minor) => (0o060_000, Vec::new(), (*major, *minor)),
    };
    let is_directory = entry.is_directory();
    let mode = if kind == 0o120_000 { 0o777 } else { entry.mode };
    let own = (mode & 0o777) | if is_directory { 0o700 } else { 0o600 };
    let (user, group) = entry.owner.unwrap_or_default();
    entry.xattrs.retain(|name, _| !name.starts_with(b"system."));
    entry.xattrs = std::mem::take(&mut entry.xattrs)
        .into_iter()
        .map(|(name, value)| match name.starts_with(b"user.") {
            true => (name, value),
            false => ([b"user.rsync.", name.as_slice()].concat(), value),
        })
        .collect();
    let is_plain = matches!(entry.node, Node::File(_) | Node::Directory);
    if !is_plain || (own, user, group) != (mode, 0, 0) {
        let (major, minor) = device;
        let stat = format!("{:o} {major},{minor} {user}:{group}", kind | mode);
        entry.xattrs.insert(b"user.rsync.%stat".to_vec(), stat.into_bytes());
    }
    if !is_directory {
        entry.node = Node::File(content);
    }
    entry.mode = own;
    entry.owner = None;
}

/// A path up to and with its last slash, and the name.
fn parted(path: &[u8]) -> (&[u8], &[u8]) {
    path.split_at(path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1))
}
