//! What each option makes of each pair of states, as a table; and what holds for every pair.

use super::*;
use crate::request::Chmod;
use crate::tree::{Acl, Acls, Gid, Name, Rdev, Uid};
use filetime::FileTime;
use proptest::prelude::*;
use std::sync::Arc;

/// The run's umask in all tests.
const UMASK: u32 = 0o027;

/// Options from words: clustered letters as on the command line, and the long names.
fn options(words: &str) -> Options {
    let mut options = Options { recursive: true, ..Options::default() };
    for word in words.split_whitespace() {
        match word {
            "checksum" => options.checksum = true,
            "existing" => options.existing = true,
            "ignore-existing" => options.ignore_existing = true,
            "ignore-times" => options.ignore_times = true,
            "in-place" => options.in_place = true,
            "size-only" => options.size_only = true,
            "update" => options.update = true,
            "at-most-5" => options.max_size = Some(5),
            "at-least-5" => options.min_size = Some(5),
            "window-2" => options.modify_window = 2,
            "nanoseconds" => options.modify_window = -1,
            "omit-dir-times" => options.omit_dir_times = true,
            "omit-link-times" => options.omit_link_times = true,
            letters => letters.chars().for_each(|letter| match letter {
                'a' => options = Options { devices: true, specials: true, ..archive(&options) },
                'l' => options.links = true,
                'p' => options.perms = true,
                't' => options.times = true,
                'o' => options.owner = true,
                'g' => options.group = true,
                'E' => options.executability = true,
                'A' => options.acls = true,
                'X' => options.xattrs = 1,
                'U' => options.atimes = true,
                other => panic!("no option {other}"),
            }),
        }
    }
    options
}

fn archive(options: &Options) -> Options {
    let (links, perms, times, owner, group) = (true, true, true, true, true);
    Options { links, perms, times, owner, group, ..options.clone() }
}

/// An entry of mode 0644, owned by 1:1, of second 100.
fn entry(node: Node) -> Entry {
    let meta = Meta { mode: 0o644, mtime: FileTime::from_unix_time(100, 0), uid: Uid(1), gid: Gid(1) };
    Entry::new(Name::new(*b"name").unwrap(), node, meta)
}

fn file(size: u64) -> Entry {
    entry(Node::File { size })
}

fn dir() -> Entry {
    entry(Node::Directory).mode(0o755)
}

fn link(target: &str) -> Entry {
    entry(Node::Symlink { target: target.as_bytes().into() }).mode(0o777)
}

fn device(minor: u32) -> Entry {
    entry(Node::CharDevice(Rdev { major: 1, minor }))
}

impl Entry {
    fn at(mut self, seconds: i64, nanoseconds: u32) -> Entry {
        self.meta.mtime = FileTime::from_unix_time(seconds, nanoseconds);
        self
    }

    fn mode(mut self, mode: u32) -> Entry {
        self.meta.mode = mode;
        self
    }

    /// With ACLs in which this user is named.
    fn with_acls(mut self, user: u32) -> Entry {
        let acl = Acl { users: [(user, 7)].into(), ..Acl::default() };
        let acls = Some(Arc::new(Acls { access: Some(acl), default: None }));
        self.extra = Some(Box::new(Extra { acls, ..self.extra.map_or_else(Extra::default, |extra| *extra) }));
        self
    }

    fn accessed_at(mut self, seconds: i64) -> Entry {
        let atime = Some(FileTime::from_unix_time(seconds, 0));
        self.extra = Extra { atime, ..self.extra.map_or_else(Extra::default, |extra| *extra) }.boxed();
        self
    }

    /// With these sums of attributes, where they are not 0.
    fn with_xattrs(mut self, user: u8, other: u8) -> Entry {
        let sum = |byte: u8| (byte > 0).then_some([byte; 16]);
        let xattrs = XattrSums { user: sum(user), other: sum(other) };
        self.extra = Extra { xattrs, ..self.extra.map_or_else(Extra::default, |extra| *extra) }.boxed();
        self
    }

    fn owners(mut self, uid: u32, gid: u32) -> Entry {
        (self.meta.uid, self.meta.gid) = (Uid(uid), Gid(gid));
        self
    }
}

/// A decision in short: what is done, the letters of what differs as `-i` prints them, and what is set.
fn short(decision: Decision) -> String {
    match decision {
        Decision::Skip(reason) => format!("skip {reason:?}"),
        Decision::Compare => "compare".to_owned(),
        Decision::Attributes(update) => format!("keep {}", short_update(&update)),
        Decision::Make(update) => format!("make {}", short_update(&update)),
        Decision::Transfer(update) => format!("transfer {}", short_update(&update)),
    }
}

fn short_update(Update { change, set, acls, xattrs }: &Update) -> String {
    let mut letters = String::new();
    for (differs, letter) in [
        (change.new, "+"),
        (change.content, "c"),
        (change.size, "s"),
        (change.time == TimeChange::Source, "t"),
        (change.time == TimeChange::Now, "T"),
        (change.perms, "p"),
        (change.owner, "o"),
        (change.group, "g"),
        (change.atime, "u"),
        (change.acls, "a"),
        (change.xattrs, "x"),
    ] {
        letters.push_str(if differs { letter } else { "" });
    }
    let letters = if letters.is_empty() { ".".to_owned() } else { letters };
    let set = [
        set.mode.map(|mode| format!(" mode={mode:o}")),
        set.owner.map(|owner| format!(" owner={owner}")),
        set.group.map(|group| format!(" group={group}")),
        set.mtime.map(|mtime| format!(" time={}", mtime.unix_seconds())),
        set.atime.map(|atime| format!(" atime={}", atime.unix_seconds())),
        acls.map(|mode| format!(" acls={mode:o}")),
        (*xattrs != SetXattrs::Leave).then(|| format!(" xattrs={xattrs:?}")),
    ];
    letters + &set.into_iter().flatten().collect::<String>()
}

/// A name, options, what the source lists, what the sink has, and the decision in short.
type Case = (&'static str, &'static str, Entry, Option<Entry>, &'static str);

fn check(table: Vec<Case>, is_root: bool, may_set_group: bool) {
    for (name, words, entry, own, expected) in table {
        let options = options(words);
        let policy = Policy { options: &options, umask: UMASK, is_root };
        let decision = policy.decide(&entry, own.as_ref(), may_set_group);
        assert_eq!(short(decision), expected, "{name} ({words})");
    }
}

/// As root, who may set any group.
fn check_as_root(table: Vec<Case>) {
    check(table, true, true);
}

#[test]
fn entries_that_are_new() {
    check_as_root(vec![
        ("a file", "a", file(5), None, "transfer + mode=644 owner=1 group=1 time=100"),
        ("less the umask", "", file(5).mode(0o6777), None, "transfer + mode=750"),
        ("with all its bits", "p", file(5).mode(0o6777), None, "transfer + mode=6777"),
        ("a directory", "t", dir().mode(0o3777), None, "make + mode=750 time=100"),
        ("a link, which has no mode", "a", link("x"), None, "make + owner=1 group=1 time=100"),
        ("a device", "a", device(3), None, "make + mode=644 owner=1 group=1 time=100"),
        ("a fifo", "a", entry(Node::Fifo), None, "make + mode=644 owner=1 group=1 time=100"),
    ]);
}

#[test]
fn files_by_the_quick_check() {
    let same = || Some(file(5));
    check_as_root(vec![
        ("equal", "a", file(5), same(), "keep ."),
        ("another size", "at", file(6), same(), "transfer s mode=644 owner=1 group=1 time=100"),
        ("later", "t", file(5).at(200, 0), same(), "transfer t mode=644 time=200"),
        ("earlier", "t", file(5).at(50, 0), same(), "transfer t mode=644 time=50"),
        ("later by less than a second", "t", file(5).at(100, 9), same(), "keep ."),
        ("times not kept", "", file(5).at(200, 0), same(), "transfer T mode=644"),
        ("its own mode stays", "", file(6), Some(file(5).mode(0o4600)), "transfer sT mode=4600"),
        ("unless it is asked for", "p", file(6), Some(file(5).mode(0o600)), "transfer sTp mode=644"),
    ]);
}

#[test]
fn files_by_other_checks() {
    let later = || file(5).at(200, 0);
    let same = || Some(file(5));
    check_as_root(vec![
        ("sizes are enough", "t size-only", later(), same(), "keep t time=200"),
        ("sizes differ", "t size-only", file(6), same(), "transfer s mode=644 time=100"),
        ("nothing is enough", "t ignore-times", file(5), same(), "transfer . mode=644 time=100"),
        ("nothing, times not kept", "ignore-times", file(5), same(), "transfer T mode=644"),
        ("sizes and nothing", "size-only ignore-times", file(5), same(), "keep ."),
        ("content", "a checksum", file(5), same(), "compare"),
        ("content, in spite of times", "a checksum ignore-times", later(), same(), "compare"),
        ("content, in spite of sizes", "a checksum size-only", file(5), same(), "compare"),
        ("content of two sizes", "t checksum", file(6), same(), "transfer cs mode=644 time=100"),
        ("no content on either side", "t checksum", file(0).at(9, 0), Some(file(0)), "keep t time=9"),
    ]);
}

#[test]
fn content_that_was_compared() {
    let options = options("pt checksum");
    let policy = Policy { options: &options, umask: UMASK, is_root: true };
    let (entry, own) = (file(5).at(200, 0), file(5).mode(0o600));
    let decide = |same| short(policy.compared(same, &entry, &own, true));
    assert_eq!(decide(true), "keep tp mode=644 time=200");
    assert_eq!(decide(false), "transfer ctp mode=644 time=200");
}

#[test]
fn attributes_alone() {
    let foreign = || file(5).owners(7, 8);
    check_as_root(vec![
        ("mode", "p", file(5).mode(0o4755), Some(file(5)), "keep p mode=4755"),
        ("mode nobody asked for", "t", file(5).mode(0o755), Some(file(5)), "keep ."),
        // A change of owner clears setuid and setgid.
        ("owners, and the mode again", "pog", foreign(), Some(file(5)), "keep og mode=644 owner=7 group=8"),
        ("its own mode again", "o", foreign(), Some(file(5).mode(0o6755)), "keep o mode=6755 owner=7"),
        ("owners nobody asked for", "pt", foreign(), Some(file(5)), "keep ."),
        ("of a directory", "pt", dir().mode(0o700).at(9, 0), Some(dir()), "keep tp mode=700 time=9"),
        (
            "of a link",
            "a",
            link("x").mode(0).owners(7, 1).at(9, 0),
            Some(link("x")),
            "keep to owner=7 time=9",
        ),
    ]);
}

#[test]
fn what_has_no_content() {
    check_as_root(vec![
        ("the same directory", "a", dir(), Some(dir()), "keep ."),
        ("the same target", "a", link("x"), Some(link("x")), "keep ."),
        ("another target", "lt", link("y").at(9, 0), Some(link("x")), "make ct time=9"),
        ("another target, times not kept", "l", link("y"), Some(link("x")), "make cT"),
        ("the same device", "a", device(3), Some(device(3)), "keep ."),
        ("another device", "a", device(5), Some(device(3)), "make c mode=644 owner=1 group=1 time=100"),
        ("a fifo", "a", entry(Node::Fifo), Some(entry(Node::Fifo)), "keep ."),
    ]);
}

#[test]
fn other_kinds_in_the_way() {
    check_as_root(vec![
        ("a file for a link", "lt", file(5), Some(link("x")), "transfer + mode=640 time=100"),
        ("a file for a directory", "t", file(5), Some(dir()), "transfer + mode=640 time=100"),
        ("a link for a file", "lt", link("x"), Some(file(5)), "make + time=100"),
        ("a link for a directory", "l", link("x"), Some(dir()), "make +"),
        ("a directory for a file", "t", dir(), Some(file(5)), "make + mode=750 time=100"),
        ("a directory for a link to one", "l", dir(), Some(link("x")), "make + mode=750"),
        (
            "a newer link does not matter",
            "t update",
            file(5),
            Some(link("x").at(900, 0)),
            "transfer + mode=640 time=100",
        ),
    ]);
}

#[test]
fn entries_left_alone() {
    let newer = || Some(file(5).at(101, 0));
    check_as_root(vec![
        ("a newer file", "a update", file(6), newer(), "skip Newer"),
        ("a newer file of the same size", "a update checksum", file(5), newer(), "skip Newer"),
        ("newer by less than a second", "a update", file(5), Some(file(5).at(100, 9)), "keep ."),
        ("an older file", "t update", file(5), Some(file(5).at(99, 0)), "transfer t mode=644 time=100"),
        ("a newer directory", "t update", dir(), Some(dir().at(900, 0)), "keep t time=100"),
        ("a newer link", "lt update", link("y"), Some(link("x").at(900, 0)), "make ct time=100"),
        ("a new file", "a existing", file(5), None, "skip NotExisting"),
        ("a new directory", "a existing", dir(), None, "skip NoSuchDirectory"),
        ("a known file", "t existing", file(6), Some(file(5)), "transfer s mode=644 time=100"),
        ("any known file", "a ignore-existing", file(6), Some(file(5)), "skip Exists"),
        ("any known link", "a ignore-existing", link("y"), Some(link("x")), "skip Exists"),
        ("a file in the way", "a ignore-existing", dir(), Some(file(5)), "skip Exists"),
        ("a known directory", "t ignore-existing", dir().at(9, 0), Some(dir()), "keep t time=9"),
        ("a file that is not there", "t ignore-existing", file(5), None, "transfer + mode=640 time=100"),
        ("nothing new, nothing known", "a existing ignore-existing", file(5), None, "skip NotExisting"),
        ("nothing known, nothing new", "a existing ignore-existing", file(6), Some(file(5)), "skip Exists"),
    ]);
}

#[test]
fn files_of_other_lengths() {
    check_as_root(vec![
        ("just short enough", "t at-most-5", file(5), None, "transfer + mode=640 time=100"),
        ("too long", "t at-most-5", file(6), None, "skip TooLarge"),
        ("too long, whatever is here", "t at-most-5", file(6), Some(dir()), "skip TooLarge"),
        ("just long enough", "t at-least-5", file(5), None, "transfer + mode=640 time=100"),
        ("too short", "t at-least-5", file(4), Some(file(9)), "skip TooSmall"),
        ("a link has no length", "l at-least-5", link("x"), None, "make +"),
        ("nor has a directory", "t at-least-5", dir(), None, "make + mode=750 time=100"),
    ]);
}

#[test]
fn times_that_are_nearly_the_same() {
    let at = |seconds| file(5).at(seconds, 9);
    check_as_root(vec![
        ("within the window", "t window-2", at(102), Some(file(5)), "keep ."),
        ("before it", "t window-2", at(97), Some(file(5)), "transfer t mode=644 time=97"),
        ("of a directory", "t window-2", dir().at(98, 0), Some(dir()), "keep ."),
        ("other nanoseconds", "t nanoseconds", at(100), Some(file(5)), "transfer t mode=644 time=100"),
        ("the same nanosecond", "t nanoseconds", at(100), Some(at(100)), "keep ."),
        ("a newer file", "t update window-2", at(100), Some(file(6).at(99, 0)), "skip Newer"),
        (
            "no newer file",
            "t update window-2",
            at(100),
            Some(file(6).at(98, 0)),
            "transfer s mode=644 time=100",
        ),
        ("newer by nanoseconds", "t update nanoseconds", file(5), Some(at(100)), "skip Newer"),
    ]);
}

#[test]
fn times_that_are_not_kept() {
    check_as_root(vec![
        ("of a directory", "t omit-dir-times", dir().at(9, 0), Some(dir()), "keep ."),
        ("of a new directory", "t omit-dir-times", dir(), None, "make + mode=750"),
        (
            "of files they are",
            "t omit-dir-times",
            file(5).at(9, 0),
            Some(file(5)),
            "transfer t mode=644 time=9",
        ),
        ("of a link", "lt omit-link-times", link("x").at(9, 0), Some(link("x")), "keep ."),
        ("of another link", "lt omit-link-times", link("y"), Some(link("x")), "make ct"),
    ]);
}

#[test]
fn kinds_that_were_not_asked_for() {
    check_as_root(vec![
        ("a link", "pt", link("x"), None, "skip NotRegular"),
        ("a link that is there", "pt", link("y"), Some(link("x")), "skip NotRegular"),
        ("a device", "lpt", device(3), None, "skip NotRegular"),
        ("a fifo", "lpt", entry(Node::Fifo), None, "skip NotRegular"),
        ("a socket", "lpt", entry(Node::Socket), None, "skip NotRegular"),
        ("nothing new", "lpt existing", entry(Node::Socket), None, "skip NotExisting"),
        ("nothing known", "ignore-existing", entry(Node::Fifo), Some(entry(Node::Fifo)), "skip Exists"),
    ]);
}

#[test]
fn what_a_user_may_not_do() {
    let foreign = || file(5).owners(7, 8);
    let table = || {
        vec![
            ("owners stay", "a", foreign(), Some(file(5)), "keep ."),
            ("a new file is one's own", "a", foreign(), None, "transfer + mode=644 time=100"),
            ("devices cannot be made", "a", device(3), None, "skip NotRegular"),
            ("fifos can", "a", entry(Node::Fifo), None, "make + mode=644 time=100"),
        ]
    };
    check(table(), false, false);
    check(
        vec![("one's own group can be given", "a", foreign(), None, "transfer + mode=644 group=8 time=100")],
        false,
        true,
    );
}

#[test]
fn a_file_written_in_place_gets_what_differs() {
    check_as_root(vec![
        ("content", "a in-place", file(6), Some(file(5)), "transfer s time=100"),
        (
            "content and mode",
            "pt in-place",
            file(6),
            Some(file(5).mode(0o600)),
            "transfer sp mode=644 time=100",
        ),
        ("what writing clears", "p in-place", file(6), Some(file(5).mode(0o4644)), "transfer sTp mode=644"),
        (
            "its own, what writing clears",
            "in-place",
            file(6),
            Some(file(5).mode(0o4644)),
            "transfer sT mode=4644",
        ),
        ("a new one", "pt in-place", file(6), None, "transfer + mode=644 time=100"),
    ]);
}

/// All options that `decide` knows, and changes of permissions.
pub(crate) fn any_options() -> impl Strategy<Value = Options> {
    let chmod = prop::sample::select(vec!["", "", "F600", "D700,u-w", "a+x", "Fgo=u"]);
    (any::<[bool; 22]>(), -1..2_i32, chmod).prop_map(
        |([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v], w, chmod)| Options {
            chmod: if chmod.is_empty() { Chmod::default() } else { chmod.parse().unwrap() },
            atimes: v,
            executability: s,
            acls: t,
            xattrs: u.into(),
            omit_dir_times: o,
            omit_link_times: p,
            max_size: q.then_some(1),
            min_size: r.then_some(1),
            modify_window: w,
            recursive: true,
            links: a,
            perms: b,
            times: c,
            owner: d,
            group: e,
            devices: f,
            specials: g,
            checksum: h,
            update: i,
            ignore_times: j,
            size_only: k,
            existing: l,
            ignore_existing: m,
            in_place: n,
            ..Options::default()
        },
    )
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let node = prop_oneof![
        (0_u64..3).prop_map(|size| Node::File { size }),
        Just(Node::Directory),
        "[xy]".prop_map(|target| Node::Symlink { target: target.into_bytes().into() }),
        Just(Node::Fifo),
        Just(Node::Socket),
        (0_u32..2).prop_map(|minor| Node::CharDevice(Rdev { major: 1, minor })),
        (0_u32..2).prop_map(|minor| Node::BlockDevice(Rdev { major: 1, minor })),
    ];
    let extra = (0_u32..2, 0_u8..3, 0_u8..3);
    (node, prop::sample::select(vec![0, 0o644, 0o4755]), 99_i64..102, 0_u32..2, 0_u32..2, extra).prop_map(
        |(node, mode, seconds, uid, gid, (acls, user, other))| {
            let entry = entry(node).mode(mode).at(seconds, 5).owners(uid, gid);
            let has_acls = acls > 0 && entry.kind() != Kind::Symlink;
            let entry = if has_acls { entry.with_acls(acls) } else { entry };
            entry.with_xattrs(user, other)
        },
    )
}

/// What is there after an update: attributes that are not set are the old ones, or those of a new entry.
fn carried_out(update: &Update, wanted: &Entry, old: Option<&Entry>) -> Entry {
    let node = &wanted.node;
    let extra = |entry: Option<&Entry>| {
        entry.and_then(|entry| entry.extra.clone()).map_or_else(Extra::default, |extra| *extra)
    };
    let (mut after, wanted) = (extra(old), extra(Some(wanted)));
    if update.acls.is_some() {
        after.acls = wanted.acls;
    }
    match update.xattrs {
        SetXattrs::Leave => {}
        SetXattrs::Clear => after.xattrs = XattrSums::default(),
        SetXattrs::Fetch => after.xattrs = wanted.xattrs,
    }
    let made = entry(node.clone()).mode(0o600).at(5000, 0).owners(0, 0);
    let before = old.map_or(made.meta, |own| own.meta);
    let SetMeta { mode, owner, group, mtime, .. } = update.set;
    let mtime = mtime.unwrap_or(before.mtime);
    let mut entry = entry(node.clone())
        .mode(mode.unwrap_or(before.mode))
        .owners(owner.unwrap_or(before.uid).0, group.unwrap_or(before.gid).0)
        .at(mtime.unix_seconds(), mtime.nanoseconds());
    entry.extra = after.boxed();
    entry
}

#[test]
fn executability_follows_without_other_permissions() {
    check_as_root(vec![
        ("none can", "tE", file(5).mode(0o644), Some(file(5).mode(0o755)), "keep p mode=644"),
        ("some can", "tE", file(5).mode(0o100), Some(file(5).mode(0o640)), "keep p mode=750"),
        ("some can already", "tE", file(5).mode(0o711), Some(file(5).mode(0o610)), "keep ."),
        ("of files only", "tE", dir().mode(0o700), Some(dir().mode(0o755)), "keep ."),
        ("with all of them", "ptE", file(5).mode(0o600), Some(file(5).mode(0o711)), "keep p mode=600"),
        ("of a changed one", "tE", file(6).mode(0o700), Some(file(5)), "transfer sp mode=755 time=100"),
        ("of a new one", "tE", file(6).mode(0o777), None, "transfer + mode=750 time=100"),
    ]);
}

#[test]
fn acls_are_set_with_the_mode_they_go_with() {
    check_as_root(vec![
        ("the same", "ptA", file(5).with_acls(1), Some(file(5).with_acls(1)), "keep ."),
        ("others", "ptA", file(5).with_acls(1), Some(file(5).with_acls(2)), "keep a mode=644 acls=644"),
        ("gone", "ptA", dir(), Some(dir().with_acls(2)), "keep a mode=755 acls=755"),
        ("nobody asks", "pt", file(5), Some(file(5).with_acls(2)), "keep ."),
        ("of what is new", "ptA", file(5), None, "transfer + mode=644 time=100 acls=644"),
        ("of a link", "lptA", link("a").with_acls(1), Some(link("b")), "make c time=100"),
        (
            "of a changed one",
            "ptA",
            file(6).with_acls(1),
            Some(file(5)),
            "transfer sa mode=644 time=100 acls=644",
        ),
    ]);
}

#[test]
fn times_of_last_access_are_kept_apart() {
    let at = |seconds| file(5).accessed_at(seconds);
    check_as_root(vec![
        ("the same", "tU", at(7), Some(at(7)), "keep ."),
        ("another", "tU", at(7), Some(at(8)), "keep u atime=7"),
        ("nobody asks", "t", at(7), Some(at(8)), "keep ."),
        ("without the other", "U", at(7), Some(at(8)), "keep u atime=7"),
        ("of what is new", "tU", at(7), None, "transfer + mode=640 time=100 atime=7"),
        ("in place", "tU in-place", file(6).accessed_at(7), Some(at(7)), "transfer s time=100 atime=7"),
        ("of a directory", "tU", dir().accessed_at(7), Some(dir().accessed_at(8)), "keep ."),
        // Setting one of the two would make the other what the clock says.
        ("beside the other", "tU size-only", at(7).at(90, 0), Some(at(7)), "keep t time=90 atime=7"),
        (
            "within the window",
            "tU size-only window-2",
            at(7).at(90, 0),
            Some(at(8)),
            "keep t time=90 atime=8",
        ),
    ]);
}

#[test]
fn extended_attributes_are_asked_for_where_they_differ() {
    let (some, others) = (|| file(5).with_xattrs(1, 2), || file(5).with_xattrs(1, 3));
    check_as_root(vec![
        ("the same", "tX", some(), Some(some()), "keep ."),
        ("others", "tX", some(), Some(others()), "keep x xattrs=Fetch"),
        ("gone", "tX", file(5), Some(others()), "keep x xattrs=Clear"),
        ("nobody asks", "t", some(), Some(others()), "keep ."),
        ("of what is new", "tX", some(), None, "transfer + mode=640 time=100 xattrs=Fetch"),
        ("none, and new", "tX", file(5), None, "transfer + mode=640 time=100"),
        (
            "of a changed one",
            "tX",
            file(6).with_xattrs(1, 0),
            Some(file(5).with_xattrs(1, 0)),
            "transfer s mode=644 time=100 xattrs=Fetch",
        ),
        (
            "in place",
            "tX in-place",
            file(6).with_xattrs(1, 0),
            Some(file(5).with_xattrs(1, 0)),
            "transfer s time=100 xattrs=Fetch",
        ),
        ("in place, gone", "tX in-place", file(6), Some(some()), "transfer sx time=100 xattrs=Clear"),
        ("of a link", "ltX", link("a").with_xattrs(0, 1), Some(link("a")), "keep x xattrs=Fetch"),
        // What is made anew has none yet, whatever was in its place.
        (
            "of a link made anew",
            "ltX",
            link("a").with_xattrs(0, 1),
            Some(link("b").with_xattrs(0, 1)),
            "make cx time=100 xattrs=Fetch",
        ),
        ("none, and made anew", "ltX", link("a"), Some(link("b").with_xattrs(0, 1)), "make c time=100"),
        (
            "of a device made anew",
            "aX",
            device(1).with_xattrs(0, 1),
            Some(device(2).with_xattrs(0, 1)),
            "make cx mode=644 owner=1 group=1 time=100 xattrs=Fetch",
        ),
        (
            "none, and a device",
            "aX",
            device(1),
            Some(device(2).with_xattrs(0, 1)),
            "make c mode=644 owner=1 group=1 time=100",
        ),
    ]);
    let table = vec![
        ("only root sees", "tX", some(), Some(others()), "keep ."),
        ("only root sets", "tX", file(5).with_xattrs(0, 1), None, "transfer + mode=640 time=100"),
        ("its own", "tX", some(), Some(file(5)), "keep x xattrs=Fetch"),
    ];
    check(table, false, true);
}

proptest! {
    #[test]
    fn decisions_agree_with_themselves(
        options in any_options(),
        entry in any_entry(),
        own in prop::option::of(any_entry()),
        [is_root, may_set_group] in any::<[bool; 2]>(),
    ) {
        let policy = Policy { options: &options, umask: UMASK, is_root };
        let is_file = entry.kind() == Kind::File;
        match policy.decide(&entry, own.as_ref(), may_set_group) {
            Decision::Skip(reason) => {
                let known = own.is_some();
                let is_not_there = matches!(reason, Skip::NotExisting | Skip::NoSuchDirectory);
                prop_assert_eq!(is_not_there, options.existing && !known);
                prop_assert!(known || !matches!(reason, Skip::Exists | Skip::Newer));
            }
            Decision::Attributes(update) => {
                prop_assert_eq!(&own.unwrap().node.kind(), &entry.kind());
                prop_assert_eq!(update.change.action, Action::Attributes);
                prop_assert_eq!(update.change.is_nothing(), update.sets_nothing());
            }
            Decision::Make(update) => {
                prop_assert!(!is_file && update.change.action == Action::Create);
                prop_assert_eq!(update.change.new, own.is_none_or(|own| own.kind() != entry.kind()));
            }
            Decision::Transfer(update) => {
                prop_assert!(is_file && update.change.action == Action::Transfer);
                prop_assert_eq!(update.change.new, own.is_none_or(|own| own.kind() != entry.kind()));
            }
            Decision::Compare => {
                prop_assert!(is_file && options.checksum);
                prop_assert_eq!(own.unwrap().node, entry.node);
            }
        }
    }

    #[test]
    fn what_is_the_same_is_left_alone(options in any_options(), entry in any_entry(), is_root in any::<bool>()) {
        let options = Options { ignore_times: false, ..options };
        let policy = Policy { options: &options, umask: UMASK, is_root };
        let decision = match policy.decide(&entry, Some(&entry), true) {
            Decision::Compare => policy.compared(true, &entry, &entry, true),
            other => other,
        };
        prop_assert!(
            matches!(decision, Decision::Skip(_)) || decision == Decision::Attributes(Update::none()),
            "{}", short(decision)
        );
    }

    #[test]
    fn a_second_run_does_nothing(
        options in any_options(),
        entry in any_entry(),
        own in prop::option::of(any_entry()),
        [is_root, may_set_group] in any::<[bool; 2]>(),
    ) {
        // Without -t a changed file has the time of the run, and the next one cannot know it.
        let options = Options { times: true, ignore_times: false, ..options };
        let policy = Policy { options: &options, umask: UMASK, is_root };
        let decide = |own: Option<&Entry>, same| match policy.decide(&entry, own, may_set_group) {
            Decision::Compare => policy.compared(same, &entry, own.unwrap(), may_set_group),
            other => other,
        };
        let kept = own.as_ref().filter(|own| options.in_place && own.kind() == Kind::File && entry.kind() == Kind::File);
        let after = match decide(own.as_ref(), false) {
            Decision::Attributes(update) => carried_out(&update, &entry, own.as_ref()),
            Decision::Make(update) => carried_out(&update, &entry, None),
            Decision::Transfer(update) => carried_out(&update, &entry, kept),
            Decision::Skip(_) | Decision::Compare => return Ok(()),
        };
        let again = decide(Some(&after), true);
        prop_assert!(
            matches!(again, Decision::Skip(Skip::Exists | Skip::Newer)) || again == Decision::Attributes(Update::none()),
            "{}", short(again)
        );
    }
}
