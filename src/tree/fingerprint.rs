//! A few bytes that stand for all that a run compares in a directory, or in a part of one.
//!
//! The commonest run changes nothing. So the source sends, instead of a directory's listing, its fingerprint; a sink
//! that finds the same fingerprint in its own directory knows that every comparison there would find nothing to do,
//! and asks for no listing. It is a keyed BLAKE3 hash (J. O'Connor, J.-P. Aumasson, S. Neves, Z. Wilcox-O'Hearn,
//! *BLAKE3: one function, fast everywhere*, 2020), cut to 64 bits: nothing verifies it afterwards, and two directories
//! that collide would be a change missed, so it must not collide for anybody who does not know the key, and with the
//! key drawn for each run a collision by chance (1 in 2^64 for each directory) is gone in the next run.
//!
//! Where a directory differs, mostly few of its entries do. Both sides put each entry into one of a number of
//! **buckets**, by a hash of its name, so that they agree without knowing each other's entries, and compare a sum of
//! each bucket: the sum of the keyed hashes of its entries, as long as a fingerprint. The sink's entries of a bucket
//! whose sum is the same stand for those of the source and take their places in its listing, so the source says besides
//! how many they are: buckets that collide with other numbers of entries in them are an error instead of shifted
//! places.
//!
//! What is hashed is exact, never a summary: path, names, kinds, and of each entry whatever [`Aspects`] says. What it
//! leaves out may differ. An owner has no number that both hosts share, so a directory's owners are told beside its
//! fingerprint, and hashed is which of these each entry has; so are its ACLs, which name owners. The two together are
//! the entry's **place**.

use crate::tree::{Entry, Kind, Name, Node, RelPath, XattrSums};

/// Length of a fingerprint in bytes.
pub const FINGERPRINT_LEN: usize = 8;

/// Length of a bucket's sum in bytes.
pub const BUCKET_SUM_LEN: usize = 8;

/// The most buckets of a directory.
pub const MAX_BUCKETS: usize = 1 << 16;

/// The most entries that buckets have on average, as far as [`MAX_BUCKETS`] suffice.
const FULLEST: usize = 32;

/// Bytes hashed at once: several parts of 1 KiB can be hashed side by side.
const GATHERED: usize = 16 << 10;

/// The fingerprint of one directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; FINGERPRINT_LEN]);

/// The sum of one bucket of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BucketSum(pub [u8; BUCKET_SUM_LEN]);

/// Some of a directory's buckets: those that are the same on both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Buckets(Box<[u8]>);

impl Buckets {
    /// Those whose sums agree.
    pub fn that_agree(ours: &[BucketSum], theirs: &[BucketSum]) -> Buckets {
        let bit = |place: usize| u8::from(ours.get(place) == theirs.get(place));
        let byte = |first: usize| {
            (first..ours.len().min(first + 8)).rev().fold(0, |byte, place| byte << 1 | bit(place))
        };
        Buckets((0..ours.len()).step_by(8).map(byte).collect())
    }

    /// Those whose bits are set, the lowest bit of the first byte being that of bucket 0.
    pub fn from_bytes(bytes: &[u8]) -> Buckets {
        Buckets(bytes.into())
    }

    /// A bit for each bucket. No bytes at all where buckets were not compared.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is about a directory of so many buckets.
    pub fn are_of(&self, count: usize) -> bool {
        self.0.len() == count.div_ceil(8)
    }

    /// Whether this bucket is among them.
    pub fn contains(&self, bucket: usize) -> bool {
        self.0.get(bucket / 8).is_some_and(|byte| byte >> (bucket % 8) & 1 == 1)
    }
}

/// Which attributes of the entries a fingerprint stands for. Name, kind, size, link target and device number always
/// count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Aspects {
    /// The modification time of files, in whole seconds.
    pub file_time: bool,
    /// That of directories.
    pub directory_time: bool,
    /// That of symbolic links.
    pub link_time: bool,
    /// That of everything else.
    pub other_time: bool,
    /// Of whatever time counts, also the nanoseconds.
    pub nanoseconds: bool,
    /// The mode, except of symbolic links.
    pub mode: bool,
    /// Whether files can be executed by anybody.
    pub executable: bool,
    /// The sums of extended attributes.
    pub xattrs: bool,
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
    /// place.
    pub fn of<'a>(&self, path: &RelPath, entries: impl Iterator<Item = (&'a Entry, u32)>) -> Fingerprint {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        let mut bytes = Vec::with_capacity(GATHERED);
        self.put_text(path.as_bytes(), &mut bytes);
        for (entry, place) in entries {
            self.put_entry(entry, place, &mut bytes);
            if bytes.len() >= GATHERED {
                hasher.update(&bytes);
                bytes.clear();
            }
        }
        hasher.update(&bytes);
        let mut fingerprint = [0; FINGERPRINT_LEN];
        hasher.finalize_xof().fill(&mut fingerprint);
        Fingerprint(fingerprint)
    }

    /// Which of `count` buckets an entry of this name is in; 0 if there are none.
    pub fn bucket(&self, name: &Name, count: usize) -> usize {
        self.short_hash(name.as_bytes()).checked_rem(count as u64).map_or(0, |bucket| bucket as usize)
    }

    /// The sums of `count` buckets of these entries, in any order, each with its place.
    pub fn bucket_sums<'a>(
        &self,
        count: usize,
        entries: impl Iterator<Item = (&'a Entry, u32)>,
    ) -> Vec<BucketSum> {
        let mut sums = vec![0_u64; count];
        let mut bytes = Vec::with_capacity(128);
        for (entry, place) in entries {
            self.put_entry(entry, place, &mut bytes);
            if let Some(sum) = sums.get_mut(self.bucket(&entry.name, count)) {
                *sum = sum.wrapping_add(self.short_hash(&bytes));
            }
            bytes.clear();
        }
        sums.into_iter().map(|sum| BucketSum(sum.to_le_bytes())).collect()
    }

    /// Into how many buckets a directory with so many entries is best put: 0 if that would not pay.
    ///
    /// A sum takes [`BUCKET_SUM_LEN`] bytes, a listed entry about twice as many. So if one entry differs, the sums and
    /// the listing of its bucket together are shortest for the square root of twice the entries.
    /// In large directories it is rarely only one, so there are more.
    pub fn bucket_count(entries: usize) -> usize {
        let for_one_change = entries.saturating_mul(2).isqrt();
        let count = for_one_change.max(entries / FULLEST).min(MAX_BUCKETS);
        if count < 2 { 0 } else { count }
    }

    fn short_hash(&self, bytes: &[u8]) -> u64 {
        let hash = blake3::keyed_hash(&self.key, bytes);
        hash.as_bytes().iter().take(8).rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    /// Every field has a fixed length or carries its own, so that no two lists of entries give the same bytes.
    fn put_entry(&self, entry: &Entry, place: u32, out: &mut Vec<u8>) {
        let aspects = self.aspects;
        self.put_text(entry.name.as_bytes(), out);
        let kind = entry.kind();
        out.push(kind.code());
        match &entry.node {
            Node::File { size } => out.extend_from_slice(&size.to_le_bytes()),
            Node::Symlink { target } => self.put_text(target, out),
            Node::CharDevice(rdev) | Node::BlockDevice(rdev) => {
                out.extend_from_slice(&rdev.major.to_le_bytes());
                out.extend_from_slice(&rdev.minor.to_le_bytes());
            }
            Node::Directory | Node::Fifo | Node::Socket => {}
        }
        let time = match kind {
            Kind::File => aspects.file_time,
            Kind::Directory => aspects.directory_time,
            Kind::Symlink => aspects.link_time,
            _ => aspects.other_time,
        };
        if time {
            out.extend_from_slice(&entry.meta.mtime.unix_seconds().to_le_bytes());
            if aspects.nanoseconds {
                out.extend_from_slice(&entry.meta.mtime.nanoseconds().to_le_bytes());
            }
        }
        if aspects.mode && kind != Kind::Symlink {
            out.extend_from_slice(&entry.meta.mode.to_le_bytes());
        }
        if aspects.executable && kind == Kind::File {
            out.push(u8::from(entry.meta.mode & 0o111 != 0));
        }
        if aspects.xattrs {
            let XattrSums { user, other } =
                entry.extra.as_ref().map_or_else(XattrSums::default, |extra| extra.xattrs);
            for sum in [user, other] {
                out.push(sum.is_some().into());
                out.extend_from_slice(&sum.unwrap_or_default());
            }
        }
        out.extend_from_slice(&place.to_le_bytes());
    }

    fn put_text(&self, text: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&(text.len() as u64).to_le_bytes());
        out.extend_from_slice(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Gid, Meta, Rdev, Uid};
    use filetime::FileTime;
    use proptest::prelude::*;

    const ALL: Aspects = Aspects {
        file_time: true,
        directory_time: true,
        link_time: true,
        other_time: true,
        nanoseconds: false,
        mode: true,
        executable: false,
        xattrs: false,
    };

    fn entry(name: &str, node: Node) -> Entry {
        let meta = Meta { mode: 0o644, mtime: FileTime::from_unix_time(7, 5), uid: Uid(1), gid: Gid(2) };
        Entry::new(Name::new(name.as_bytes()).unwrap(), node, meta)
    }

    fn of(aspects: Aspects, entries: &[(Entry, u32)]) -> Fingerprint {
        let entries = entries.iter().map(|(entry, owner)| (entry, *owner));
        Fingerprinter::new(1, aspects).of(&RelPath::root(), entries)
    }

    /// Whether one entry among others can be told from another, by the fingerprint of all and by the sum of its bucket.
    #[track_caller]
    fn differs(aspects: Aspects, one: (&Entry, u32), other: (&Entry, u32)) -> bool {
        let fingerprinter = Fingerprinter::new(1, aspects);
        let around = |(entry, owner): (&Entry, u32)| {
            let others = ["0", "1", "z"].map(|name| (self::entry(name, Node::Fifo), 0));
            let mut all: Vec<(Entry, u32)> = others.into_iter().chain([(entry.clone(), owner)]).collect();
            all.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
            all
        };
        let sums = |entries: &[(Entry, u32)]| {
            fingerprinter.bucket_sums(3, entries.iter().map(|(entry, owner)| (entry, *owner)))
        };
        let (one, other) = (around(one), around(other));
        let whole = of(aspects, &one) != of(aspects, &other);
        assert_eq!(whole, sums(&one) != sums(&other));
        whole
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
        for aspects in [ALL, Aspects::default()] {
            for changed in &always {
                assert!(differs(aspects, (&base, 0), (changed, 0)));
            }
            assert!(differs(aspects, (&base, 0), (&base, 1)));
            assert!(!differs(aspects, (&base, 1), (&base, 1)));
        }
        let none = Aspects::default();
        let sometimes: [(Aspects, Entry); 5] = [
            (
                Aspects { file_time: true, ..none },
                with(|entry| entry.meta.mtime = FileTime::from_unix_time(8, 5)),
            ),
            (
                Aspects { file_time: true, nanoseconds: true, ..none },
                with(|entry| entry.meta.mtime = FileTime::from_unix_time(7, 6)),
            ),
            (Aspects { mode: true, ..none }, with(|entry| entry.meta.mode = 0o640)),
            (Aspects { executable: true, ..none }, with(|entry| entry.meta.mode = 0o645)),
            (
                Aspects { xattrs: true, ..none },
                with(|entry| {
                    let xattrs = XattrSums { other: Some([1; 16]), ..XattrSums::default() };
                    entry.extra = crate::tree::Extra { xattrs, ..Default::default() }.boxed();
                }),
            ),
        ];
        for (aspects, changed) in &sometimes {
            assert!(differs(*aspects, (&base, 0), (changed, 0)), "{aspects:?}");
            assert!(!differs(none, (&base, 0), (changed, 0)), "{aspects:?}");
        }
        // Their numbers are not those of the other host, and fractions of seconds are not compared.
        let elsewhere = with(|entry| {
            (entry.meta.uid, entry.meta.gid) = (Uid(9), Gid(9));
            entry.meta.mtime = FileTime::from_unix_time(7, 6);
        });
        assert!(!differs(ALL, (&base, 0), (&elsewhere, 0)));
    }

    #[test]
    fn kinds_targets_and_devices_count() {
        let mut nodes = nodes();
        nodes.push(Node::Symlink { target: b"y".as_slice().into() });
        nodes.push(Node::CharDevice(Rdev { major: 1, minor: 3 }));
        nodes.push(Node::BlockDevice(Rdev { major: 2, minor: 2 }));
        let all: Vec<Entry> = nodes.into_iter().map(|node| entry("a", node)).collect();
        for (place, one) in all.iter().enumerate() {
            for other in all.iter().skip(place + 1) {
                assert!(differs(Aspects::default(), (one, 0), (other, 0)), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn entries_cannot_be_mistaken_for_others() {
        let file = |name| (entry(name, Node::Fifo), 0);
        let link = |target: &[u8]| (entry("l", Node::Symlink { target: target.into() }), 0);
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
        let of = |seed, path: &RelPath| Fingerprinter::new(seed, ALL).of(path, std::iter::empty());
        assert_ne!(of(1, &path), of(1, &RelPath::root()));
        assert_ne!(of(1, &path), of(2, &path));
        assert_eq!(of(1, &path), of(1, &path));
        let entry = entry("a", Node::Fifo);
        let sums = |seed| Fingerprinter::new(seed, ALL).bucket_sums(1, std::iter::once((&entry, 0)));
        assert_ne!(sums(1), sums(2));
    }

    #[test]
    fn times_of_what_is_no_file_are_an_aspect_of_their_own() {
        for node in nodes().into_iter().skip(1) {
            let base = entry("a", node);
            let mut later = base.clone();
            later.meta.mtime = FileTime::from_unix_time(8, 0);
            let others = Aspects { file_time: true, ..Aspects::default() };
            let aspects = match base.kind() {
                Kind::Directory => Aspects { directory_time: true, ..Aspects::default() },
                Kind::Symlink => Aspects { link_time: true, ..Aspects::default() },
                _ => Aspects { other_time: true, ..Aspects::default() },
            };
            assert!(!differs(others, (&base, 0), (&later, 0)));
            assert!(differs(aspects, (&base, 0), (&later, 0)));
        }
    }

    #[test]
    fn small_directories_have_no_buckets_and_large_ones_not_too_many() {
        for (entries, buckets) in
            [(0, 0), (1, 0), (2, 2), (100, 14), (2560, 80), (100_000, 3125), (usize::MAX, MAX_BUCKETS)]
        {
            assert_eq!(Fingerprinter::bucket_count(entries), buckets, "{entries}");
        }
    }

    #[test]
    fn buckets_are_filled_evenly() {
        let fingerprinter = Fingerprinter::new(1, ALL);
        let mut filled = [0; 16];
        for number in 0..1600 {
            let name = Name::new(format!("file-{number:06}").into_bytes()).unwrap();
            filled[fingerprinter.bucket(&name, 16)] += 1;
        }
        assert!(filled.iter().all(|count| (60..150).contains(count)), "{filled:?}");
        assert_eq!(fingerprinter.bucket(&Name::new(*b"a").unwrap(), 0), 0);
    }

    /// Both ends of a run must compute the same, whatever their versions.
    #[test]
    fn known_answers() {
        let fingerprinter = Fingerprinter::new(0x0123_4567_89ab_cdef, ALL);
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        let entries: Vec<Entry> = names.iter().zip(nodes()).map(|(name, node)| entry(name, node)).collect();
        let owned = || entries.iter().zip(0..);
        let path = RelPath::root().join(&Name::new(*b"dir").unwrap());
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let sums: Vec<String> = fingerprinter.bucket_sums(1, owned()).iter().map(|sum| hex(&sum.0)).collect();
        let bucket = fingerprinter.bucket(&Name::new(*b"name").unwrap(), MAX_BUCKETS);
        let whole = hex(&fingerprinter.of(&path, owned()).0);
        assert_eq!(
            (whole.as_str(), bucket, sums.join(" ").as_str()),
            ("1d5ba895e694ad95", 22698, "baa25af1a6fad6ff")
        );
    }

    proptest! {
        #[test]
        fn buckets_that_agree_are_told_apart(ours in prop::collection::vec(0_u8..2, 0..40), theirs in any::<[bool; 40]>()) {
            let sum = |number: u8| BucketSum([number; BUCKET_SUM_LEN]);
            let one: Vec<BucketSum> = ours.iter().map(|number| sum(*number)).collect();
            let other: Vec<BucketSum> =
                ours.iter().zip(theirs).map(|(number, same)| sum(if same { *number } else { 7 })).collect();
            let same = Buckets::from_bytes(Buckets::that_agree(&one, &other).as_bytes());
            prop_assert!(same.are_of(ours.len()) && !same.are_of(ours.len() + 8));
            for (place, agrees) in theirs.into_iter().enumerate() {
                prop_assert_eq!(same.contains(place), place < ours.len() && agrees);
            }
            prop_assert!(!same.contains(usize::MAX));
        }
    }
}
