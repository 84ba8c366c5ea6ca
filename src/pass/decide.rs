//! What an entry needs: the one place where the options meet the two states of an entry.
//!
//! Pure: from what the source lists and what the sink has to a [`Decision`]. Everything that is done to an entry
//! afterwards (staging, backup, deletion of what is in the way) follows from it and decides nothing again.

use crate::fs::SetMeta;
use crate::report::{Action, Change, Skip, TimeChange};
use crate::request::Options;
use crate::tree::{Entry, Extra, Kind, Meta, Node, Owner, RelPath, XattrSums, executable_like};
use filetime::FileTime;

/// What the sink may and by what it fills in what the source does not say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy<'a> {
    pub options: &'a Options,
    /// The bits that new entries do not get where nobody asked to preserve permissions: the umask, or what a
    /// directory's default ACL has in its place.
    pub umask: u32,
    /// Whether the running user tries what only root may: to change owners, and to make devices.
    pub is_root: bool,
}

/// What to do about one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Leave it alone.
    Skip(Skip),
    /// Set attributes, if any differ; the rest is the same.
    Attributes(Update),
    /// Make it, in place of whatever is there: anything without content.
    Make(Update),
    /// Get its content.
    Transfer(Update),
    /// Sizes agree and `-c` was given: whether to transfer depends on the content.
    Compare,
}

/// How an entry of the source is found elsewhere at the destination (`--link-dest` and its relatives).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Likeness {
    /// With all attributes that are kept.
    Exact,
    /// With the same content, but other attributes.
    Content,
    /// As a file of the same length, and `-c` was given: the content has to be compared.
    Length,
    /// As another version.
    Version,
}

/// The difference, as reported and as set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Update {
    pub change: Change,
    pub set: SetMeta,
    /// Whether the ACLs are to be set to the source's, and the mode that these then go with.
    pub acls: Option<u32>,
    pub xattrs: SetXattrs,
}

/// What is to be done about extended attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum SetXattrs {
    /// Nothing.
    #[default]
    Leave,
    /// The source has none that would be set here: those that are here go.
    Clear,
    /// They become the source's, which has to be asked for them.
    Fetch,
}

/// An entry, as far as its attributes go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub meta: &'a Meta,
    pub extra: Option<&'a Extra>,
}

impl<'a> From<&'a Entry> for Seen<'a> {
    fn from(entry: &'a Entry) -> Seen<'a> {
        Seen { meta: &entry.meta, extra: entry.extra.as_deref() }
    }
}

impl Seen<'_> {
    fn xattrs(&self) -> XattrSums {
        self.extra.map_or_else(XattrSums::default, |extra| extra.xattrs)
    }
}

impl Update {
    /// Nothing differs, as far as is known.
    pub(crate) fn none() -> Update {
        Update::of(UNCHANGED, SetMeta::default())
    }

    /// It is another name of a file that is as the entry is at the source.
    pub(crate) fn is_linked() -> Update {
        Update::of(Change::only(Action::Linked), SetMeta::default())
    }

    /// A file is fetched because that was planned, and its attributes are left to the plan.
    pub(crate) fn planned(is_new: bool) -> Update {
        let change = Change { new: is_new, content: !is_new, ..Change::only(Action::Transfer) };
        Update::of(change, SetMeta::default())
    }

    fn of(change: Change, set: SetMeta) -> Update {
        Update { change, set, acls: None, xattrs: SetXattrs::Leave }
    }

    /// Whether nothing is to be set.
    pub(crate) fn sets_nothing(&self) -> bool {
        self.set.is_empty() && self.acls.is_none() && self.xattrs == SetXattrs::Leave
    }
}

const UNCHANGED: Change = Change::only(Action::Attributes);

/// What the source says of an entry, with the permissions that `--chmod` makes of its.
pub(crate) fn asked_meta(options: &Options, kind: Kind, meta: Meta, umask: u32) -> Meta {
    let mode = match kind {
        Kind::Symlink => meta.mode,
        _ => options.chmod.apply(meta.mode, kind == Kind::Directory, umask),
    };
    Meta { mode, ..meta }
}

/// Why an entry of the directory `dir` is left alone in a run with these options, if it is; `own` is what the sink
/// has of it. What the user may not do at the destination is none of the reasons.
pub(crate) fn passed_over(
    options: &Options,
    dir: &RelPath,
    entry: &Entry,
    own: Option<&Entry>,
) -> Option<Skip> {
    if options.leaves_out(entry, dir) {
        return Some(Skip::Unsafe);
    }
    let policy = Policy { options, umask: 0, is_root: true };
    match policy.decide(entry, own, false) {
        Decision::Skip(skip) => Some(skip),
        Decision::Attributes(_) | Decision::Make(_) | Decision::Transfer(_) | Decision::Compare => None,
    }
}

impl Policy<'_> {
    /// Decides about `entry`, of which the sink has `own`. The entry's owners are this host's numbers already;
    /// `may_set_group` is about its group.
    pub(crate) fn decide(&self, entry: &Entry, own: Option<&Entry>, may_set_group: bool) -> Decision {
        let options = self.options;
        match own {
            None if options.existing && entry.is_dir() => return Decision::Skip(Skip::NoSuchDirectory),
            None if options.existing => return Decision::Skip(Skip::NotExisting),
            Some(own) if options.ignore_existing && !(own.is_dir() && entry.is_dir()) => {
                return Decision::Skip(Skip::Exists);
            }
            _ if !self.is_wanted(entry.kind()) => return Decision::Skip(Skip::NotRegular),
            _ => {}
        }
        if let Node::File { size } = entry.node {
            if options.max_size.is_some_and(|most| size > most) {
                return Decision::Skip(Skip::TooLarge);
            }
            if options.min_size.is_some_and(|least| size < least) {
                return Decision::Skip(Skip::TooSmall);
            }
            if let Some(own) = own.filter(|own| options.update && own.kind() == Kind::File)
                && self.is_newer(own.meta.mtime, entry.meta.mtime)
            {
                return Decision::Skip(Skip::Newer);
            }
        }
        let same_kind = own.filter(|own| own.kind() == entry.kind());
        match (&entry.node, same_kind) {
            (Node::File { size }, Some(own)) => self.file(entry, *size, own, may_set_group),
            (Node::File { .. }, None) => Decision::Transfer(self.new_entry(entry, may_set_group)),
            (node, Some(own)) if *node == own.node => {
                Decision::Attributes(self.attributes(entry.kind(), entry.into(), own.into(), may_set_group))
            }
            (_, Some(own)) => {
                let mut update = self.replacement(entry, own, may_set_group);
                update.change.action = Action::Create;
                update.change.content = true;
                // What is made anew has none yet.
                update.change.xattrs = update.xattrs == SetXattrs::Fetch;
                Decision::Make(update)
            }
            (_, None) => Decision::Make(self.new_entry(entry, may_set_group)),
        }
    }

    /// Whether entries of this kind get the time that they have at the source.
    pub(crate) fn keeps_time(&self, kind: Kind) -> bool {
        let options = self.options;
        let omitted = match kind {
            Kind::Directory => options.omit_dir_times,
            Kind::Symlink => options.omit_link_times,
            _ => false,
        };
        options.times && !omitted
    }

    /// Whether two times count as one.
    fn is_same_time(&self, one: FileTime, other: FileTime) -> bool {
        match u64::try_from(self.options.modify_window) {
            Err(_) => one == other,
            Ok(window) => one.unix_seconds().abs_diff(other.unix_seconds()) <= window,
        }
    }

    /// Whether what is here, of the time `have`, is newer than what the source has. Within the window it is too, but
    /// for its last second, as in rsync.
    fn is_newer(&self, have: FileTime, want: FileTime) -> bool {
        match i64::from(self.options.modify_window) {
            ..0 => have > want,
            0 => have.unix_seconds() > want.unix_seconds(),
            window => want.unix_seconds().saturating_sub(have.unix_seconds()) < window,
        }
    }

    /// Which kinds the options ask for, as far as the user may make them.
    pub(crate) fn is_wanted(&self, kind: Kind) -> bool {
        self.options.asks_for(kind) && (self.is_root || !kind.is_device())
    }

    /// Goes on with a file of equal size whose content was compared.
    pub(crate) fn compared(&self, same: bool, entry: &Entry, own: &Entry, may_set_group: bool) -> Decision {
        if same {
            return Decision::Attributes(self.attributes(
                entry.kind(),
                entry.into(),
                own.into(),
                may_set_group,
            ));
        }
        if self.options.append.is_some() {
            return Decision::Skip(Skip::NotShorter);
        }
        let mut update = self.replacement(entry, own, may_set_group);
        update.change.content = true;
        Decision::Transfer(update)
    }

    fn file(&self, entry: &Entry, size: u64, own: &Entry, may_set_group: bool) -> Decision {
        let options = self.options;
        let differs = if own.node.size() != size {
            true
        } else if options.checksum && size > 0 {
            return Decision::Compare;
        } else if options.size_only || options.checksum {
            false
        } else {
            options.ignore_times || !self.is_same_time(own.meta.mtime, entry.meta.mtime)
        };
        if differs && options.append.is_some() && own.node.size() >= size {
            // Files only grow, so it is something of its own.
            Decision::Skip(Skip::NotShorter)
        } else if differs {
            Decision::Transfer(self.replacement(entry, own, may_set_group))
        } else {
            Decision::Attributes(self.attributes(entry.kind(), entry.into(), own.into(), may_set_group))
        }
    }

    /// What attributes differ between two entries of a kind, and how to set them on the existing one.
    pub(crate) fn attributes(
        &self,
        kind: Kind,
        want: Seen<'_>,
        have: Seen<'_>,
        may_set_group: bool,
    ) -> Update {
        let options = self.options;
        let has_mode = kind != Kind::Symlink;
        let mode = self.existing_mode(kind, want.meta.mode, have.meta.mode);
        let perms = has_mode && mode != have.meta.mode;
        let (owner, group) = self.owner_differs(want.meta.owner(), have.meta.owner(), may_set_group);
        let time = self.keeps_time(kind) && !self.is_same_time(want.meta.mtime, have.meta.mtime);
        let atime = self.atime(kind, want);
        let atime_here = have.extra.and_then(|extra| extra.atime);
        let atime_differs =
            atime.is_some_and(|atime| atime_here.is_none_or(|here| !self.is_same_time(atime, here)));
        let acls_of = |seen: &Seen<'_>| seen.extra.and_then(|extra| extra.acls.clone());
        let acls = options.acls && has_mode && acls_of(&want) != acls_of(&have);
        let xattrs = self.fetch_xattrs(want);
        let xattrs_differ =
            options.xattrs > 0 && want.xattrs().seen_by(self.is_root) != have.xattrs().seen_by(self.is_root);
        Update {
            change: Change {
                action: Action::Attributes,
                new: false,
                content: false,
                size: false,
                time: if time { TimeChange::Source } else { TimeChange::None },
                perms,
                owner,
                group,
                atime: atime_differs,
                acls,
                xattrs: xattrs_differ,
            },
            set: SetMeta {
                // A change of owner clears setuid and setgid, and one of ACLs may, so the mode has to be set again.
                mode: (perms || ((owner || group || acls) && has_mode)).then_some(mode),
                owner: owner.then_some(want.meta.uid),
                group: group.then_some(want.meta.gid),
                mtime: time.then_some(want.meta.mtime),
                // With the other time, it would become now.
                atime: if atime_differs { atime } else { atime.and(atime_here).filter(|_| time) },
            },
            acls: acls.then_some(mode),
            xattrs: match xattrs_differ {
                // A change of owner takes a file's capabilities away.
                false if owner || group => xattrs,
                false => SetXattrs::Leave,
                true if xattrs == SetXattrs::Leave => SetXattrs::Clear,
                true => xattrs,
            },
        }
    }

    /// The mode of an entry that is there already.
    fn existing_mode(&self, kind: Kind, want: u32, have: u32) -> u32 {
        if self.options.perms {
            want
        } else if self.options.executability && kind == Kind::File {
            executable_like(have, want)
        } else {
            have
        }
    }

    /// The time of last access that an entry is to get, if one is kept.
    fn atime(&self, kind: Kind, want: Seen<'_>) -> Option<FileTime> {
        want.extra?.atime.filter(|_| self.options.atimes && kind != Kind::Directory)
    }

    /// What is to be done to an entry without extended attributes.
    fn fetch_xattrs(&self, want: Seen<'_>) -> SetXattrs {
        let fetch = self.options.xattrs > 0 && !want.xattrs().seen_by(self.is_root).is_empty();
        if fetch { SetXattrs::Fetch } else { SetXattrs::Leave }
    }

    /// Whether the user is to be set where it should be another, and whether the group is. Both are this host's.
    pub(crate) fn owner_differs(&self, want: Owner, have: Owner, may_set_group: bool) -> (bool, bool) {
        let user = self.options.owner && self.is_root && want.uid != have.uid;
        let group = self.options.group && may_set_group && want.gid != have.gid;
        (user, group)
    }

    /// The same where the existing entry is replaced by one newly made, which has no attributes yet.
    fn replacement(&self, entry: &Entry, own: &Entry, may_set_group: bool) -> Update {
        let differing = self.attributes(entry.kind(), entry.into(), own.into(), may_set_group);
        let mut change = differing.change;
        change.action = Action::Transfer;
        // With -c, sizes that differ are contents that differ.
        change.content = self.options.checksum && entry.kind() == Kind::File;
        change.size = entry.kind() == Kind::File && entry.node.size() != own.node.size();
        if !self.keeps_time(entry.kind()) {
            // As rsync shows it, times that are only not kept here are not those of the transfer.
            change.time = if self.options.times { TimeChange::Source } else { TimeChange::Now };
        }
        let mode = self.existing_mode(entry.kind(), entry.meta.mode, own.meta.mode);
        if self.options.in_place && entry.kind() == Kind::File {
            // The file stays the same one; only what differs has to be set, and the time that writing changes.
            let mtime = self.options.times.then_some(entry.meta.mtime);
            // Writing by a user other than root clears setuid and setgid.
            let cleared = (own.meta.mode & 0o6000 != 0).then_some(mode);
            return Update {
                change,
                set: SetMeta {
                    mtime,
                    mode: differing.set.mode.or(cleared),
                    atime: self.atime(entry.kind(), entry.into()),
                    ..differing.set
                },
                // Writing takes capabilities away, and the others come with the content.
                xattrs: match differing.xattrs {
                    SetXattrs::Leave => self.fetch_xattrs(entry.into()),
                    differing => differing,
                },
                ..differing
            };
        }
        Update { change, ..self.all(entry.kind(), entry.into(), mode, may_set_group) }
    }

    /// What is told of an entry that becomes another name of a file that is as the entry is at the source.
    pub(crate) fn linked(&self, entry: &Entry, own: Option<&Entry>, may_set_group: bool) -> Update {
        let Some(own) = own else {
            return Update::of(Change { new: true, ..Change::only(Action::Link) }, SetMeta::default());
        };
        let mut change = self.attributes(entry.kind(), entry.into(), own.into(), may_set_group).change;
        change.action = Action::Link;
        change.size = entry.kind() == Kind::File && entry.node != own.node;
        if !self.keeps_time(entry.kind()) {
            change.time = TimeChange::Now;
        }
        Update::of(change, SetMeta::default())
    }

    /// How like `entry` the one is that was found elsewhere; `None` if it is of another kind.
    pub(crate) fn likeness(&self, entry: &Entry, found: &Entry, may_set_group: bool) -> Option<Likeness> {
        if found.kind() != entry.kind() {
            return None;
        }
        let of = |update: Update| {
            if update.change.is_nothing() { Likeness::Exact } else { Likeness::Content }
        };
        Some(match &entry.node {
            Node::File { size } => match self.file(entry, *size, found, may_set_group) {
                Decision::Attributes(update) => of(update),
                Decision::Compare => Likeness::Length,
                _ => Likeness::Version,
            },
            _ => {
                let update = self.attributes(entry.kind(), entry.into(), found.into(), may_set_group);
                let is_exact = found.node == entry.node && update.change.is_nothing();
                if is_exact { Likeness::Exact } else { Likeness::Version }
            }
        })
    }

    /// What is told and set of a directory that is made, if there is one elsewhere.
    pub(crate) fn based_directory(&self, want: Seen<'_>, found: Seen<'_>, may_set_group: bool) -> Update {
        let mut change = self.attributes(Kind::Directory, want, found, may_set_group).change;
        change.action = Action::Copied;
        if change.differs() && !self.keeps_time(Kind::Directory) {
            change.time = TimeChange::Now;
        }
        Update { change, ..self.new_directory(want, may_set_group) }
    }

    /// What is told and set of an entry that is made, if it is told by what differs from the one found elsewhere.
    pub(crate) fn based(
        &self,
        entry: &Entry,
        found: &Entry,
        likeness: Likeness,
        may_set_group: bool,
    ) -> Update {
        let kind = entry.kind();
        let mut change = self.attributes(kind, entry.into(), found.into(), may_set_group).change;
        let is_version = likeness == Likeness::Version;
        change.action = match kind {
            Kind::File if is_version => Action::Transfer,
            _ if is_version => Action::Create,
            _ => Action::Copied,
        };
        change.content = is_version && (self.options.checksum || kind != Kind::File);
        change.size = kind == Kind::File && entry.node != found.node;
        if !self.keeps_time(kind) && (is_version || kind == Kind::File) {
            change.time = TimeChange::Now;
        }
        let mut update = Update { change, ..self.newly_made(kind, entry.into(), may_set_group) };
        if kind == Kind::File && is_version && !self.options.perms {
            // As a file that is here keeps its own.
            update.set.mode = Some(self.existing_mode(kind, entry.meta.mode, found.meta.mode) & 0o777);
        }
        update
    }

    fn new_entry(&self, entry: &Entry, may_set_group: bool) -> Update {
        self.newly_made(entry.kind(), entry.into(), may_set_group)
    }

    /// What a newly made directory is to have.
    pub(crate) fn new_directory(&self, want: Seen<'_>, may_set_group: bool) -> Update {
        self.newly_made(Kind::Directory, want, may_set_group)
    }

    fn newly_made(&self, kind: Kind, want: Seen<'_>, may_set_group: bool) -> Update {
        let action = if kind == Kind::File { Action::Transfer } else { Action::Create };
        let mode = want.meta.mode;
        let mode = if self.options.perms { mode } else { mode & 0o777 & !self.umask };
        let change = Change { new: true, ..Change::only(action) };
        Update { change, ..self.all(kind, want, mode, may_set_group) }
    }

    /// Every attribute that a newly made entry is to have.
    fn all(&self, kind: Kind, want: Seen<'_>, mode: u32, may_set_group: bool) -> Update {
        let options = self.options;
        let Meta { mtime, uid, gid, .. } = *want.meta;
        let has_mode = kind != Kind::Symlink;
        // The file that stands for a link has a mode.
        let is_faked = options.fakes_super();
        let set = SetMeta {
            mode: (has_mode || is_faked).then_some(mode),
            owner: (options.owner && self.is_root).then_some(uid),
            group: (options.group && may_set_group).then_some(gid),
            mtime: self.keeps_time(kind).then_some(mtime),
            atime: self.atime(kind, want),
        };
        Update {
            // Also where the source has none: the directory may have given it some.
            acls: (options.acls && has_mode).then_some(mode),
            xattrs: self.fetch_xattrs(want),
            ..Update::of(UNCHANGED, set)
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
