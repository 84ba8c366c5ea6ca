//! Messages to test with: one of each kind, and any.

use crate::delta::{BlockLen, Digest, SignatureHeader, StrongLen, Sum};
use crate::report::{
    Action, Change, Counts, Event, Facts, Item, Problem, ProblemClass, ProgressReading, Role, Skip,
    TimeChange, Totals,
};
use crate::tree::{
    Acl, Acls, Asked, BUCKET_SUM_LEN, BucketSum, Buckets, DefaultAcl, Entry, Extra, FINGERPRINT_LEN,
    Fingerprint, Gid, Group, Kind, MAX_NAME, Meta, Name, Node, Owner, Rdev, RelPath, Uid, XattrSums,
};
use crate::wire::{
    Abort, AbortKind, Again, BatchId, Begin, ChannelSet, Check, Confirm, Content, ContentEnd, ContentOp,
    DirId, Expand, Fetch, FetchWhat, Fetched, FetchedFile, FileId, FileThere, Identified, Identify, Listing,
    ListingEnd, Mention, Message, OwnerKind, OwnerName, Rank, SumsPart, Verdict, Want,
};
use bytes::Bytes;
use filetime::FileTime;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use std::sync::Arc;

pub(super) fn name(bytes: impl AsRef<[u8]>) -> Name {
    Name::new(bytes.as_ref()).unwrap()
}

fn meta(mode: u32, seconds: i64, nanos: u32, (uid, gid): (u32, u32)) -> Meta {
    Meta { mode, mtime: FileTime::from_unix_time(seconds, nanos), uid: Uid(uid), gid: Gid(gid) }
}

pub(super) fn file(bytes: impl AsRef<[u8]>, size: u64) -> Entry {
    let meta = meta(0o644, 1_700_000_000, 0, (1000, 1000));
    Entry::new(name(bytes), Node::File { size }, meta)
}

fn owner(kind: OwnerKind, id: u32, name: &[u8]) -> OwnerName {
    OwnerName { kind, id, name: name.into() }
}

/// A listing of the root without anything special about it.
pub(super) fn listing(entries: Vec<Entry>) -> Message {
    let end = Some(ListingEnd::Whole);
    let same = Buckets::default();
    Message::Listing(Listing {
        dir: DirId(0),
        parent: None,
        same,
        same_entries: 0,
        entries,
        owners: Vec::new(),
        asked: Default::default(),
        end,
    })
}

pub(super) fn literal(file: u32, data: impl Into<Bytes>) -> Message {
    Message::Content(Content {
        attached: Bytes::new(),
        file: FileId(file),
        ops: vec![ContentOp::Literal(data.into())],
        end: None,
        packed: false,
    })
}

/// An entry of each kind, so chosen that each way of telling attributes occurs.
fn entries() -> Vec<Entry> {
    let rdev = |major, minor| Rdev { major, minor };
    let entry = |bytes: &[u8], node, meta| Entry::new(name(bytes), node, meta);
    let grouped = |bytes: &[u8], node, group| {
        let mut entry = Entry::new(name(bytes), node, meta(0o644, 7, 0, (1000, 1000)));
        entry.extra_mut().group = Some(Group { number: group, last: group > 0 });
        entry
    };
    vec![
        entry(b"block", Node::BlockDevice(rdev(8, 1)), meta(0o660, 1_700_000_000, 5, (0, 6))),
        entry(b"char", Node::CharDevice(rdev(u32::MAX, 0)), meta(0o660, 1_700_000_000, 5, (0, 6))),
        entry(b"dir", Node::Directory, meta(0o1777, -1, 999_999_999, (0, 0))),
        entry(b"fifo", Node::Fifo, meta(0o600, 0, 0, (0, 0))),
        entry(b"file", Node::File { size: 0 }, meta(0o4755, i64::MAX, 0, (u32::MAX, u32::MAX))),
        entry(b"file.large", Node::File { size: u64::MAX }, meta(0, i64::MIN, 0, (1000, 1000))),
        grouped(b"hard", Node::File { size: 1 }, 0),
        grouped(b"hard.2", Node::File { size: 1 }, u32::MAX),
        entry(b"link", Node::Symlink { target: (*b"../\xff").into() }, meta(0o777, 7, 0, (1000, 1000))),
        entry(b"socket", Node::Socket, meta(0o777, 7, 0, (1000, 100))),
    ]
}

fn acls() -> Arc<Acls> {
    let rest = Acl { group: 5, users: [(5, 7), (1000, 0)].into(), groups: [(u32::MAX - 1, 4)].into() };
    let default = DefaultAcl { user: 7, mask: Some(5), other: 0, rest: rest.clone() };
    Arc::new(Acls { access: Some(rest), default: Some(default) })
}

fn extra(acls: Option<Arc<Acls>>, xattrs: XattrSums) -> Option<Box<Extra>> {
    Extra { acls, xattrs, ..Extra::default() }.boxed()
}

/// Entries of which more is told, in each of the ways.
fn entries_with_extras() -> Vec<Entry> {
    let with = |name: &str, extra| Entry { extra, ..file(name, 1) };
    let other = DefaultAcl { mask: None, ..DefaultAcl::default() };
    let sums = XattrSums { user: Some([1; 16]), other: Some([2; 16]) };
    let atime = Some(FileTime::from_unix_time(-5, 6));
    vec![
        with("a", extra(Some(acls()), XattrSums::default())),
        with("b", extra(Some(acls()), sums)),
        with("c", extra(Some(Arc::new(Acls { access: None, default: Some(other) })), sums)),
        with("d", Extra { atime, ..Extra::default() }.boxed()),
        with("e", None),
    ]
}

fn totals() -> Totals {
    let counts =
        |first: u64| Counts { files: first, directories: 2, symlinks: 3, devices: 4, specials: u64::MAX };
    Totals {
        listed: counts(100),
        total_size: 1 << 40,
        created: counts(50),
        deleted: counts(0),
        transferred: 10,
        transferred_size: 1000,
        literal: 600,
        matched: 400,
        listing_millis: 17,
        vanished: 1,
        failed: 2,
        not_deleted: 3,
    }
}

fn item() -> Event {
    Event::Item(Item {
        path: RelPath::new(*b"dir/link").unwrap(),
        kind: Kind::Symlink,
        target: Some(b"to".to_vec()),
        leader: Some(RelPath::new(*b"dir/other").unwrap()),
        size: 2,
        change: Change {
            content: true,
            time: TimeChange::Source,
            perms: true,
            group: true,
            ..Change::only(Action::Create)
        },
        facts: Some(Box::new(Facts {
            modified: -5,
            mode: 0o4755,
            owner: Some(Uid(1000)),
            group: None,
            sent: 300,
            sum: Some(vec![7; 16]),
        })),
    })
}

fn problem() -> Event {
    Event::Problem(Problem {
        doing: "opening".into(),
        path: b"a/b".to_vec(),
        cause: "Permission denied".into(),
        class: ProblemClass::Vanished,
        role: Role::Source,
    })
}

fn complete(len: u64) -> Option<ContentEnd> {
    Some(ContentEnd::Complete { len, sum: Sum(*b"0123456789abcdef") })
}

/// Each message, with a name; what differs on the wire within one kind has several.
pub(super) fn each() -> Vec<(&'static str, Message)> {
    let (dir, index) = (DirId(300), 70_000);
    let header = SignatureHeader {
        basis_len: 1 << 33,
        block_len: BlockLen::new(1 << 20).unwrap(),
        strong_len: StrongLen::new(9).unwrap(),
    };
    let ops = vec![
        ContentOp::Literal(Bytes::from_static(b"hello")),
        ContentOp::Copy { offset: 1 << 35, len: 200 },
        ContentOp::Rewrite { offset: 1 << 20, data: Bytes::from_static(b"\0\xff") },
    ];
    let gap = ContentOp::Gap { len: 300_000, offset: 1 << 33, basis_len: 262_144 };
    let round = Some(ContentEnd::Round {
        block_len: BlockLen::new(16 << 10).unwrap(),
        strong_len: StrongLen::new(4).unwrap(),
    });
    let root = Some(meta(0o755, 1_700_000_000, 123_456_789, (0, 0)));
    let owners = vec![owner(OwnerKind::User, 0, b"root"), owner(OwnerKind::Group, 1000, b"users")];
    let part = |entries, parent, end| {
        let same = Buckets::default();
        let (owners, asked) = (Vec::new(), Asked::default());
        Listing { dir, parent, same, same_entries: 0, entries, owners, asked, end }
    };
    vec![
        (
            "begin",
            Message::Begin(Begin { extra: None, root, single: false, bare: true, owners: owners.clone() }),
        ),
        (
            "begin-extra",
            Message::Begin(Begin {
                root: Some(meta(0o755, 0, 0, (0, 0))),
                extra: extra(Some(acls()), XattrSums { user: Some([9; 16]), other: None }),
                single: false,
                bare: false,
                owners: Vec::new(),
            }),
        ),
        (
            "begin-single",
            Message::Begin(Begin { extra: None, root: None, single: true, bare: false, owners: Vec::new() }),
        ),
        (
            "listing",
            Message::Listing(Listing {
                dir,
                parent: Some((DirId(299), 4)),
                same: Buckets::default(),
                same_entries: 0,
                entries: entries(),
                owners,
                asked: Default::default(),
                end: Some(ListingEnd::Whole),
            }),
        ),
        ("listing-part", Message::Listing(part(vec![file("a", 1), file("ab", 2)], None, None))),
        ("listing-extra", Message::Listing(part(entries_with_extras(), None, None))),
        ("listing-incomplete", Message::Listing(part(Vec::new(), None, Some(ListingEnd::Broken)))),
        (
            "listing-of-names",
            Message::Listing(Listing {
                asked: Asked {
                    absent: vec![RelPath::new(*b"x/gone").unwrap(), name("y").into()],
                    implied: vec![name("a")],
                },
                ..part(vec![file("b", 1)], None, Some(ListingEnd::Part))
            }),
        ),
        (
            "listing-of-buckets",
            Message::Listing(Listing {
                same: Buckets::from_bytes(&[0xfe, 0x03]),
                same_entries: 300,
                ..part(vec![file("a", 1)], Some((DirId(299), 4)), Some(ListingEnd::Whole))
            }),
        ),
        (
            "mention",
            Message::Mention(Mention {
                acls: Vec::new(),
                dir,
                parent: Some((DirId(299), 4)),
                fingerprint: Some(Fingerprint([7; FINGERPRINT_LEN])),
                owned_by: vec![
                    Owner { uid: Uid(7), gid: Gid(0) },
                    Owner { uid: Uid(1000), gid: Gid(u32::MAX) },
                ],
                owners: vec![owner(OwnerKind::User, 7, b"seven")],
            }),
        ),
        (
            "mention-acls",
            Message::Mention(Mention {
                dir,
                parent: Some((DirId(299), 4)),
                fingerprint: Some(Fingerprint([7; FINGERPRINT_LEN])),
                owned_by: vec![Owner { uid: Uid(0), gid: Gid(0) }],
                acls: vec![acls()],
                owners: vec![owner(OwnerKind::User, 5, b"five")],
            }),
        ),
        (
            "mention-root",
            Message::Mention(Mention {
                acls: Vec::new(),
                dir: DirId(0),
                parent: None,
                fingerprint: None,
                owned_by: Vec::new(),
                owners: Vec::new(),
            }),
        ),
        ("expand", Message::Expand(Expand { dir, below: false, sums: Vec::new() })),
        ("expand-below", Message::Expand(Expand { dir: DirId(0), below: true, sums: Vec::new() })),
        ("expand-buckets", Message::Expand(expand(dir, &[0, 0xab]))),
        ("listed", Message::Listed),
        (
            "want-rest",
            Message::Want(Want {
                file: FileId(1),
                dir,
                index,
                basis: None,
                refine: false,
                from: 5_000_000_000,
            }),
        ),
        ("want", Message::Want(Want { file: FileId(1), dir, index, basis: None, refine: false, from: 0 })),
        (
            "want-delta",
            Message::Want(Want {
                file: FileId(u32::MAX),
                dir,
                index,
                basis: Some(header),
                refine: false,
                from: 0,
            }),
        ),
        (
            "want-refined",
            Message::Want(Want { file: FileId(3), dir, index, basis: Some(header), refine: true, from: 0 }),
        ),
        (
            "sums",
            Message::Sums(SumsPart {
                file: FileId(1),
                weak: vec![0, 1, 0x1234_5678, u32::MAX],
                strong: Bytes::from_static(b"AAAAABBBBBCCCCCDDDDD"),
            }),
        ),
        ("check", Message::Check(Check { file: FileId(1), dir, index, sum: Sum([0xab; 16]) })),
        ("identify", Message::Identify(Identify { file: FileId(1), dir, index })),
        ("identified", Message::Identified(Identified { file: FileId(1), digest: Some(Digest([0xcd; 32])) })),
        ("identified-not", Message::Identified(Identified { file: FileId(1), digest: None })),
        ("verdict-same", Message::Verdict(Verdict { file: FileId(1), same: true })),
        ("verdict-differs", Message::Verdict(Verdict { file: FileId(1), same: false })),
        (
            "content",
            Message::Content(Content {
                attached: Bytes::new(),
                file: FileId(1),
                ops,
                end: None,
                packed: false,
            }),
        ),
        (
            "content-end",
            Message::Content(Content {
                attached: Bytes::new(),
                file: FileId(128),
                ops: Vec::new(),
                end: complete(5_000_000_000),
                packed: false,
            }),
        ),
        (
            "content-attached",
            Message::Content(Content {
                file: FileId(1),
                ops: Vec::new(),
                attached: Bytes::from_static(b"\x06user.a\x01b"),
                end: complete(1),
                packed: false,
            }),
        ),
        (
            "content-round",
            Message::Content(Content {
                attached: Bytes::new(),
                file: FileId(1),
                ops: vec![gap],
                end: round,
                packed: false,
            }),
        ),
        (
            "content-unreadable",
            Message::Content(Content {
                attached: Bytes::new(),
                file: FileId(2),
                ops: Vec::new(),
                end: Some(ContentEnd::Unreadable),
                packed: false,
            }),
        ),
        (
            "again",
            Message::Again(Again {
                file: FileId(1),
                dir,
                index,
                segment_len: BlockLen::SEGMENT,
                segments: vec![Sum([1; 16]), Sum([2; 16])],
            }),
        ),
        (
            "fetch",
            Message::Fetch(Fetch {
                what: FetchWhat::Content,
                batch: BatchId(300),
                dir,
                indices: vec![0, 1, 2, 9, 70_000, u32::MAX],
            }),
        ),
        (
            "fetched",
            Message::Fetched(Fetched {
                batch: BatchId(300),
                files: vec![
                    FetchedFile::Whole { attached: 0, len: 5, sum: Some(Sum([3; 16])) },
                    FetchedFile::Longer,
                    FetchedFile::Unreadable,
                    FetchedFile::Whole { attached: 0, len: 0, sum: Some(Sum([4; 16])) },
                ],
                data: Bytes::from_static(b"hello"),
                packed: false,
            }),
        ),
        (
            "fetch-xattrs",
            Message::Fetch(Fetch { batch: BatchId(1), dir, indices: Vec::new(), what: FetchWhat::Xattrs }),
        ),
        (
            "fetched-xattrs",
            Message::Fetched(Fetched {
                batch: BatchId(1),
                files: vec![
                    FetchedFile::Xattrs { attached: 9 },
                    FetchedFile::Whole { attached: 9, len: 1, sum: Some(Sum([3; 16])) },
                ],
                data: Bytes::from_static(b"\x06user.a\x01b\x06user.a\x01bc"),
                packed: false,
            }),
        ),
        ("close", Message::Close(dir)),
        (
            "confirm",
            Message::Confirm(Confirm {
                dir,
                index: 300,
                there: FileThere {
                    ino: 1 << 40,
                    ctime: FileTime::from_unix_time(1_600_000_000, 123_456_789),
                },
            }),
        ),
        ("event-created", Message::Event(Event::CreatedDestination)),
        ("event-item", Message::Event(item())),
        (
            "event-deleted",
            Message::Event(Event::Deleted { path: RelPath::new(*b"x").unwrap(), kind: Kind::Directory }),
        ),
        (
            "event-skipped",
            Message::Event(Event::Skipped { path: RelPath::root(), reason: Skip::NotExisting }),
        ),
        ("event-problem", Message::Event(problem())),
        (
            "event-followed",
            Message::Event(Event::FollowedLink {
                path: RelPath::new(*b"a/l").unwrap(),
                target: b"/t\xff".to_vec(),
            }),
        ),
        ("event-removed", Message::Event(Event::Removed { path: RelPath::new(*b"a/f").unwrap() })),
        ("event-notice", Message::Event(Event::Notice("n\u{f6}".into()))),
        ("event-remote", Message::Event(Event::Remote(b"\xffr\n".to_vec()))),
        (
            "progress",
            Message::Progress(ProgressReading {
                total_bytes: 1 << 40,
                total_files: 1000,
                total_known: true,
                done_bytes: 300,
                done_files: 2,
            }),
        ),
        ("credit-listing", Message::Credit { rank: Rank::Listing, bytes: 65_536 }),
        ("credit-again", Message::Credit { rank: Rank::Again, bytes: 1 }),
        ("alive", Message::Alive),
        ("invite", Message::Invite(*b"0123456789abcdef")),
        ("spread", Message::Spread(ChannelSet(0b1010))),
        ("finish", Message::Finish(totals())),
        ("talk", Message::Talk(Bytes::from_static(b"between\0replicas"))),
        ("abort", Message::Abort(Abort { text: "no room".into(), kind: AbortKind::Selection })),
    ]
}

fn expand(dir: DirId, sums: &[u8]) -> Expand {
    let sums = sums.iter().map(|byte| BucketSum([*byte; BUCKET_SUM_LEN])).collect();
    Expand { dir, below: false, sums }
}

fn any_name() -> impl Strategy<Value = Name> {
    let short = vec(any::<u8>(), 1..12);
    let long = vec(any::<u8>(), MAX_NAME - 2..=MAX_NAME);
    prop_oneof![9 => short, 1 => long].prop_filter_map("no name", |bytes| Name::new(bytes).ok())
}

fn any_meta() -> impl Strategy<Value = Meta> {
    let nanos = prop_oneof![Just(0), 0..1_000_000_000_u32];
    let seconds = prop_oneof![1_700_000_000..1_700_000_100_i64, any::<i64>()];
    let owner = prop_oneof![Just(0), any::<u32>()];
    (prop_oneof![Just(0o644), 0..=0o7777_u32], seconds, nanos, owner.clone(), owner)
        .prop_map(|(mode, seconds, nanos, uid, gid)| meta(mode, seconds, nanos, (uid, gid)))
}

fn any_node() -> impl Strategy<Value = Node> {
    let rdev = || any::<(u32, u32)>().prop_map(|(major, minor)| Rdev { major, minor });
    prop_oneof![
        any::<u64>().prop_map(|size| Node::File { size }),
        Just(Node::Directory),
        vec(1_u8.., 0..40).prop_map(|target| Node::Symlink { target: target.into() }),
        Just(Node::Fifo),
        Just(Node::Socket),
        rdev().prop_map(Node::CharDevice),
        rdev().prop_map(Node::BlockDevice),
    ]
}

fn any_entries() -> impl Strategy<Value = Vec<Entry>> {
    btree_map(any_name(), (any_node(), any_meta(), any_extra()), 0..12).prop_map(|entries| {
        let entry = |(name, (node, meta, extra))| {
            let mut entry = Entry { extra, ..Entry::new(name, node, meta) };
            // A directory has one name.
            if let Some(extra) = entry.extra.take_if(|_| entry.node == Node::Directory) {
                entry.extra = Extra { group: None, ..*extra }.boxed();
            }
            entry
        };
        entries.into_iter().map(entry).collect()
    })
}

fn any_acl() -> impl Strategy<Value = Acl> {
    let grants = || btree_map(0..u32::MAX, 0..8_u8, 0..4);
    (0..8_u8, grants(), grants()).prop_map(|(group, users, groups)| Acl { group, users, groups })
}

fn any_acls() -> impl Strategy<Value = Arc<Acls>> {
    let default = (0..8_u8, option::of(0..8_u8), 0..8_u8, any_acl())
        .prop_map(|(user, mask, other, rest)| DefaultAcl { user, mask, other, rest });
    let acls =
        (option::of(any_acl()), option::of(default)).prop_map(|(access, default)| Acls { access, default });
    // Some occur again and again.
    prop_oneof![acls.prop_map(Arc::new), Just(self::acls())]
}

fn any_extra() -> impl Strategy<Value = Option<Box<Extra>>> {
    let sum = || option::of(any::<[u8; 16]>());
    let xattrs = (sum(), sum()).prop_map(|(user, other)| XattrSums { user, other });
    let atime = (any::<i64>(), 0..1_000_000_000_u32).prop_map(|(s, n)| FileTime::from_unix_time(s, n));
    let group = any::<(u32, bool)>().prop_map(|(number, last)| Group { number, last });
    (option::of(atime), option::of(any_acls()), xattrs, option::of(group)).prop_map(
        |(atime, acls, xattrs, group)| Extra { atime, acls, xattrs, group, inode: None, stamp: None }.boxed(),
    )
}

fn any_owners() -> impl Strategy<Value = Vec<OwnerName>> {
    let kind = prop_oneof![Just(OwnerKind::User), Just(OwnerKind::Group)];
    let one = (kind, any::<u32>(), vec(any::<u8>(), 0..20));
    vec(one.prop_map(|(kind, id, name)| owner(kind, id, &name)), 0..3)
}

fn any_listing() -> impl Strategy<Value = Message> {
    let parent = option::of(any::<(u32, u32)>().prop_map(|(dir, index)| (DirId(dir), index)));
    let end = prop_oneof![
        Just(ListingEnd::Whole),
        Just(ListingEnd::Broken),
        Just(ListingEnd::Part),
        Just(ListingEnd::BrokenPart)
    ];
    let asked = (vec(any_name(), 0..3), vec(any_name(), 0..3)).prop_map(|(absent, mut implied)| {
        implied.sort();
        Asked { absent: absent.into_iter().map(RelPath::from).collect(), implied }
    });
    let end = option::of(end);
    (any::<u32>(), parent, vec(any::<u8>(), 0..5), any_entries(), any_owners(), asked, end).prop_map(
        |(dir, parent, same, entries, owners, asked, end)| {
            let same = Buckets::from_bytes(&same);
            let same_entries = if same == Buckets::default() { 0 } else { 1 << 40 | u64::from(dir) };
            let dir = DirId(dir);
            Message::Listing(Listing { dir, parent, same, same_entries, entries, owners, asked, end })
        },
    )
}

fn any_mention() -> impl Strategy<Value = Message> {
    let parent = option::of(any::<(u32, u32)>().prop_map(|(dir, index)| (DirId(dir), index)));
    let fingerprint = option::of(any::<[u8; FINGERPRINT_LEN]>().prop_map(Fingerprint));
    let owned_by =
        vec(any::<(u32, u32)>().prop_map(|(uid, gid)| Owner { uid: Uid(uid), gid: Gid(gid) }), 0..4);
    (any::<u32>(), parent, fingerprint, owned_by, vec(any_acls(), 0..4), any_owners()).prop_map(
        |(dir, parent, fingerprint, owned_by, acls, owners)| {
            Message::Mention(Mention { dir: DirId(dir), parent, fingerprint, owned_by, acls, owners })
        },
    )
}

fn any_sum() -> impl Strategy<Value = Sum> {
    any::<[u8; 16]>().prop_map(Sum)
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![vec(any::<u8>(), 0..200), vec(Just(7), 0..5000)].prop_map(Bytes::from)
}

fn any_header() -> impl Strategy<Value = SignatureHeader> {
    (any::<u64>(), 1..=16_u64 << 20, 2..=16_u64).prop_filter_map(
        "too many blocks",
        |(basis, block, strong)| {
            let header = SignatureHeader {
                basis_len: basis >> 20,
                block_len: BlockLen::new(block).unwrap(),
                strong_len: StrongLen::new(strong).unwrap(),
            };
            header.validate().is_ok().then_some(header)
        },
    )
}

fn any_content() -> impl Strategy<Value = Message> {
    let op = prop_oneof![
        any_bytes().prop_map(ContentOp::Literal),
        any::<(u64, u64)>().prop_map(|(offset, len)| ContentOp::Copy { offset, len }),
        any::<(u64, u64, u64)>().prop_map(|(len, offset, basis_len)| ContentOp::Gap {
            len,
            offset,
            basis_len
        }),
        (any::<u64>(), any_bytes()).prop_map(|(offset, data)| ContentOp::Rewrite { offset, data }),
    ];
    let end = prop_oneof![
        Just(None),
        Just(Some(ContentEnd::Unreadable)),
        any_header().prop_map(|SignatureHeader { block_len, strong_len, .. }| {
            Some(ContentEnd::Round { block_len, strong_len })
        }),
        (any::<u64>(), any_sum()).prop_map(|(len, sum)| Some(ContentEnd::Complete { len, sum })),
    ];
    (any::<u32>(), vec(op, 0..6), end).prop_map(|(file, ops, end)| {
        let is_whole = matches!(end, Some(ContentEnd::Complete { len, .. }) if len % 2 == 0);
        let attached = if is_whole { Bytes::from_static(b"attached") } else { Bytes::new() };
        Message::Content(Content { file: FileId(file), ops, attached, end, packed: false })
    })
}

fn any_fetch() -> impl Strategy<Value = Message> {
    let indices = btree_set(prop_oneof![0..50_u32, any::<u32>()], 0..20);
    (any::<(u32, u32)>(), indices).prop_map(|((batch, dir), indices)| {
        let indices = indices.into_iter().collect();
        let what = if batch % 2 == 0 { FetchWhat::Content } else { FetchWhat::Xattrs };
        Message::Fetch(Fetch { what, batch: BatchId(batch), dir: DirId(dir), indices })
    })
}

fn any_fetched() -> impl Strategy<Value = Message> {
    let whole = (any_bytes(), any_sum(), 0..9_u32).prop_map(|(data, sum, attached)| {
        let attached = attached.min(data.len() as u32);
        let len = data.len() as u32 - attached;
        (FetchedFile::Whole { attached, len, sum: Some(sum) }, data)
    });
    let none = FetchedFile::Xattrs { attached: 0 };
    let other = prop_oneof![Just(FetchedFile::Longer), Just(FetchedFile::Unreadable), Just(none)];
    let file = prop_oneof![4 => whole, 1 => other.prop_map(|file| (file, Bytes::new()))];
    (any::<u32>(), vec(file, 0..10)).prop_map(|(batch, files)| {
        let (files, data): (Vec<FetchedFile>, Vec<Bytes>) = files.into_iter().unzip();
        Message::Fetched(Fetched { batch: BatchId(batch), files, data: data.concat().into(), packed: false })
    })
}

/// Any message that can be sent.
pub(super) fn any_message() -> impl Strategy<Value = Message> {
    let place = || any::<(u32, u32, u32)>().prop_map(|(file, dir, index)| (FileId(file), DirId(dir), index));
    let sums = (any::<u32>(), vec(any::<u32>(), 0..20), any_bytes())
        .prop_map(|(file, weak, strong)| Message::Sums(SumsPart { file: FileId(file), weak, strong }));
    let want = (place(), option::of(any_header()), any::<bool>(), any::<u64>()).prop_map(
        |(place, basis, refine, from)| {
            let (file, dir, index) = place;
            let (refine, from) = (refine && basis.is_some(), if basis.is_some() { 0 } else { from });
            Message::Want(Want { file, dir, index, basis, refine, from })
        },
    );
    let check = (place(), any_sum())
        .prop_map(|((file, dir, index), sum)| Message::Check(Check { file, dir, index, sum }));
    let again =
        (place(), 1..=16_u64 << 20, vec(any_sum(), 0..5)).prop_map(|((file, dir, index), len, segments)| {
            let segment_len = BlockLen::new(len).unwrap();
            Message::Again(Again { file, dir, index, segment_len, segments })
        });
    let credit = (0..4_usize, any::<u64>())
        .prop_map(|(rank, bytes)| Message::Credit { rank: Rank::CREDITED[rank], bytes });
    let expand = (any::<u32>(), vec(any::<u8>(), 0..9))
        .prop_map(|(dir, sums)| Message::Expand(expand(DirId(dir), &sums)));
    let text = "\\PC{0,30}".prop_map(|text| Message::Event(Event::Notice(text)));
    prop_oneof![
        4 => any_listing(),
        4 => any_content(),
        2 => any_fetched(),
        1 => any_fetch(),
        2 => any_mention(),
        1 => want,
        1 => sums,
        1 => check,
        1 => again,
        1 => credit,
        1 => expand,
        1 => text,
        1 => any_bytes().prop_map(Message::Talk),
        2 => (0..each().len()).prop_map(|place| each().swap_remove(place).1),
    ]
}

/// Messages have no equality, since one of them may hold an open file; what they show is all there is to them.
pub(super) fn shown(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| format!("{message:?}")).collect()
}
