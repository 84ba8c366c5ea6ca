//! A few bytes that stand for all that a run compares in a directory.
//!
//! The commonest run changes nothing. So the source sends, instead of a directory's listing, its fingerprint; a sink
//! that finds the same fingerprint in its own directory knows that every comparison there would find nothing to do,
//! and asks for no listing. It is a keyed BLAKE3 hash (J. O'Connor, J.-P. Aumasson, S. Neves, Z. Wilcox-O'Hearn,
//! *BLAKE3: one function, fast everywhere*, 2020), cut to 64 bits: nothing verifies it afterwards, and two directories
//! that collide would be a change missed, so it must not collide for anybody who does not know the key, and with the
//! key drawn for each run a collision by chance (1 in 2^64 for each directory) is gone in the next run.
//!
//! What is hashed is exact, never a summary: path, names, kinds, and of each entry whatever [`Aspects`] says. What it
//! leaves out may differ.

use crate::tree::{Entry, Kind, Meta, Node, RelPath};

/// Length of a fingerprint in bytes.
pub const FINGERPRINT_LEN: usize = 8;

/// The fingerprint of one directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; FINGERPRINT_LEN]);

/// Which attributes of the entries a fingerprint stands for. Name, kind, size, link target and device number always
/// count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Aspects {
    /// The modification time of files, in whole seconds.
    pub file_time: bool,
    /// That of everything else.
    pub other_time: bool,
    /// The mode, except of symbolic links.
    pub mode: bool,
    /// The owner, by the source's number.
    pub owner: bool,
    /// The group, by the source's number.
    pub group: bool,
}

/// What makes fingerprints comparable: both ends of a run have the same.
#[derive(Debug, Clone)]
pub struct Fingerprinter {
    key: [u8; blake3::KEY_LEN],
    aspects: Aspects,
}

impl Fingerprinter {
    /// For a run with this seed.
    pub fn new(seed: u64, aspects: Aspects) -> Fingerprinter {
        let key = blake3::derive_key("dsync 2026 fingerprints of directories", &seed.to_le_bytes());
        Fingerprinter { key, aspects }
    }

    /// The fingerprint of the directory at `path` with these entries, which must be sorted by name, each with its
    /// attributes by the source's numbers.
    pub fn of<'a>(&self, path: &RelPath, entries: impl Iterator<Item = (&'a Entry, Meta)>) -> Fingerprint {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        let mut bytes = Vec::with_capacity(128);
        self.put_text(path.as_bytes(), &mut bytes);
        for (entry, meta) in entries {
            self.put_entry(entry, &meta, &mut bytes);
            hasher.update(&bytes);
            bytes.clear();
        }
        // The path of an empty directory.
        hasher.update(&bytes);
        let mut fingerprint = [0; FINGERPRINT_LEN];
        hasher.finalize_xof().fill(&mut fingerprint);
        Fingerprint(fingerprint)
    }

    /// Every field has a fixed length or carries its own, so that no two lists of entries give the same bytes.
    fn put_entry(&self, entry: &Entry, meta: &Meta, out: &mut Vec<u8>) {
        let Aspects { file_time, other_time, mode, owner, group } = self.aspects;
        self.put_text(entry.name.as_bytes(), out);
        let kind = entry.kind();
        out.push(kind as u8);
        match &entry.node {
            Node::File { size } => out.extend_from_slice(&size.to_le_bytes()),
            Node::Symlink { target } => self.put_text(target, out),
            Node::CharDevice(rdev) | Node::BlockDevice(rdev) => {
                out.extend_from_slice(&rdev.major.to_le_bytes());
                out.extend_from_slice(&rdev.minor.to_le_bytes());
            }
            Node::Directory | Node::Fifo | Node::Socket => {}
        }
        if if kind == Kind::File { file_time } else { other_time } {
            out.extend_from_slice(&meta.mtime.unix_seconds().to_le_bytes());
        }
        let numbers = [(mode && kind != Kind::Symlink, meta.mode), (owner, meta.uid), (group, meta.gid)];
        for (_, number) in numbers.into_iter().filter(|(counts, _)| *counts) {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn put_text(&self, text: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&(text.len() as u64).to_le_bytes());
        out.extend_from_slice(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Name, Rdev};
    use filetime::FileTime;

    const ALL: Aspects = Aspects { file_time: true, other_time: true, mode: true, owner: true, group: true };

    fn entry(name: &str, node: Node) -> Entry {
        let meta = Meta { mode: 0o644, mtime: FileTime::from_unix_time(7, 5), uid: 1, gid: 2 };
        Entry { name: Name::new(name.as_bytes()).unwrap(), node, meta }
    }

    fn of(aspects: Aspects, entries: &[Entry]) -> Fingerprint {
        Fingerprinter::new(1, aspects).of(&RelPath::root(), entries.iter().map(|entry| (entry, entry.meta)))
    }

    fn nodes() -> Vec<Node> {
        let rdev = Rdev { major: 1, minor: 2 };
        vec![
            Node::File { size: 5 },
            Node::Directory,
            Node::Symlink { target: b"x".as_slice().into() },
            Node::Fifo,
            Node::Socket,
            Node::CharDevice(rdev),
            Node::BlockDevice(rdev),
        ]
    }

    #[test]
    fn every_attribute_counts_if_its_aspect_does() {
        let base = entry("a", Node::File { size: 5 });
        let with = |change: fn(&mut Entry)| {
            let mut changed = base.clone();
            change(&mut changed);
            changed
        };
        let always = [
            with(|entry| entry.name = Name::new(*b"b").unwrap()),
            with(|entry| entry.node = Node::File { size: 6 }),
            with(|entry| entry.node = Node::Fifo),
        ];
        for changed in &always {
            for aspects in [ALL, Aspects::default()] {
                assert_ne!(
                    of(aspects, std::slice::from_ref(&base)),
                    of(aspects, std::slice::from_ref(changed))
                );
            }
        }
        let none = Aspects::default();
        let sometimes: [(Aspects, Entry); 4] = [
            (
                Aspects { file_time: true, ..none },
                with(|entry| entry.meta.mtime = FileTime::from_unix_time(8, 5)),
            ),
            (Aspects { mode: true, ..none }, with(|entry| entry.meta.mode = 0o640)),
            (Aspects { owner: true, ..none }, with(|entry| entry.meta.uid = 9)),
            (Aspects { group: true, ..none }, with(|entry| entry.meta.gid = 9)),
        ];
        for (aspects, changed) in &sometimes {
            let differs = |aspects| {
                of(aspects, std::slice::from_ref(&base)) != of(aspects, std::slice::from_ref(changed))
            };
            assert!(differs(*aspects), "{aspects:?}");
            assert!(!differs(none), "{aspects:?}");
        }
    }

    #[test]
    fn kinds_targets_and_devices_count() {
        let mut nodes = nodes();
        nodes.push(Node::Symlink { target: b"y".as_slice().into() });
        nodes.push(Node::CharDevice(Rdev { major: 1, minor: 3 }));
        nodes.push(Node::BlockDevice(Rdev { major: 2, minor: 2 }));
        let all: Vec<Fingerprint> =
            nodes.into_iter().map(|node| of(Aspects::default(), &[entry("a", node)])).collect();
        for (place, one) in all.iter().enumerate() {
            assert!(!all.iter().skip(place + 1).any(|other| one == other));
        }
    }

    #[test]
    fn entries_cannot_be_mistaken_for_others() {
        let file = |name| entry(name, Node::Fifo);
        let link = |target: &[u8]| entry("l", Node::Symlink { target: target.into() });
        let lists = [
            vec![],
            vec![file("ab")],
            vec![file("a"), file("b")],
            vec![link(b"ab")],
            vec![link(b"a"), file("b")],
        ];
        let all: Vec<Fingerprint> = lists.iter().map(|list| of(Aspects::default(), list)).collect();
        for (place, one) in all.iter().enumerate() {
            assert!(!all.iter().skip(place + 1).any(|other| one == other), "{place}");
        }
    }

    #[test]
    fn path_and_seed_count() {
        let path = RelPath::root().join(&Name::new(*b"d").unwrap());
        let one = Fingerprinter::new(1, ALL);
        assert_ne!(one.of(&path, std::iter::empty()), one.of(&RelPath::root(), std::iter::empty()));
        assert_ne!(
            one.of(&path, std::iter::empty()),
            Fingerprinter::new(2, ALL).of(&path, std::iter::empty())
        );
        assert_eq!(
            one.of(&path, std::iter::empty()),
            Fingerprinter::new(1, ALL).of(&path, std::iter::empty())
        );
    }

    #[test]
    fn times_of_what_is_no_file_are_an_aspect_of_their_own() {
        for node in nodes().into_iter().skip(1) {
            let base = entry("a", node);
            let mut later = base.clone();
            later.meta.mtime = FileTime::from_unix_time(8, 0);
            let aspects = Aspects { file_time: true, ..Aspects::default() };
            assert_eq!(of(aspects, std::slice::from_ref(&base)), of(aspects, std::slice::from_ref(&later)));
            let aspects = Aspects { other_time: true, ..Aspects::default() };
            assert_ne!(of(aspects, &[base]), of(aspects, &[later]));
        }
    }
}
