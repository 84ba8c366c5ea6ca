//! What an entry needs: the one place where the options meet the two states of an entry.
//!
//! Pure: from what the source lists and what the sink has to a [`Decision`]. Everything that is done to an entry
//! afterwards (staging, backup, deletion of what is in the way) follows from it and decides nothing again.

use crate::fs::SetMeta;
use crate::report::{Action, Change, Skip, TimeChange};
use crate::request::Options;
use crate::tree::{Entry, Kind, Meta, Node, Owner};
use filetime::FileTime;

/// What the sink may and by what it fills in what the source does not say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy<'a> {
    pub options: &'a Options,
    /// The umask, for permissions nobody asked to preserve.
    pub umask: u32,
    /// Whether the running user is root, who alone changes owners and makes devices.
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

/// The difference, as reported and as set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Update {
    pub change: Change,
    pub set: SetMeta,
}

impl Update {
    /// Nothing differs, as far as is known.
    pub(crate) fn none() -> Update {
        Update { change: UNCHANGED, set: SetMeta::default() }
    }

    /// A file is fetched because that was planned, and its attributes are left to the plan.
    pub(crate) fn planned(is_new: bool) -> Update {
        let change = Change { action: Action::Transfer, new: is_new, content: !is_new, ..UNCHANGED };
        Update { change, set: SetMeta::default() }
    }
}

const UNCHANGED: Change = Change {
    action: Action::Attributes,
    new: false,
    content: false,
    size: false,
    time: TimeChange::None,
    perms: false,
    owner: false,
    group: false,
};

impl Policy<'_> {
    /// Decides about `entry`, of which the sink has `own`. The entry's owners are this host's numbers already;
    /// `may_set_group` is about its group.
    pub(crate) fn decide(&self, entry: &Entry, own: Option<&Entry>, may_set_group: bool) -> Decision {
        let options = self.options;
        match own {
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
                Decision::Attributes(self.attributes(entry.kind(), &entry.meta, &own.meta, may_set_group))
            }
            (_, Some(own)) => {
                let mut update = self.replacement(entry, own, may_set_group);
                update.change.action = Action::Create;
                update.change.content = true;
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

    /// Whether what is here, of the time `have`, is newer than what the source has. Within the window it is too, but for
    /// its last second, as in rsync.
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
                &entry.meta,
                &own.meta,
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
            Decision::Attributes(self.attributes(entry.kind(), &entry.meta, &own.meta, may_set_group))
        }
    }

    /// What attributes differ between two entries of a kind, and how to set them on the existing one.
    pub(crate) fn attributes(&self, kind: Kind, want: &Meta, have: &Meta, may_set_group: bool) -> Update {
        let options = self.options;
        let has_mode = kind != Kind::Symlink;
        let perms = options.perms && has_mode && want.mode != have.mode;
        let (owner, group) = self.owner_differs(want.owner(), have.owner(), may_set_group);
        let time = self.keeps_time(kind) && !self.is_same_time(want.mtime, have.mtime);
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
            },
            set: SetMeta {
                // A change of owner clears setuid and setgid, so the mode has to be set again.
                mode: (perms || ((owner || group) && has_mode)).then_some(if options.perms {
                    want.mode
                } else {
                    have.mode
                }),
                owner: owner.then_some(want.uid),
                group: group.then_some(want.gid),
                mtime: time.then_some(want.mtime),
            },
        }
    }

    /// Whether the user is to be set where it should be another, and whether the group is. Both are this host's.
    pub(crate) fn owner_differs(&self, want: Owner, have: Owner, may_set_group: bool) -> (bool, bool) {
        let user = self.options.owner && self.is_root && want.uid != have.uid;
        let group = self.options.group && may_set_group && want.gid != have.gid;
        (user, group)
    }

    /// The same where the existing entry is replaced by one newly made, which has no attributes yet.
    fn replacement(&self, entry: &Entry, own: &Entry, may_set_group: bool) -> Update {
        let differing = self.attributes(entry.kind(), &entry.meta, &own.meta, may_set_group);
        let mut change = differing.change;
        change.action = Action::Transfer;
        // With -c, sizes that differ are contents that differ.
        change.content = self.options.checksum && entry.kind() == Kind::File;
        change.size = entry.kind() == Kind::File && entry.node.size() != own.node.size();
        if !self.keeps_time(entry.kind()) {
            change.time = TimeChange::Now;
        }
        let mode = if self.options.perms { entry.meta.mode } else { own.meta.mode };
        if self.options.in_place && entry.kind() == Kind::File {
            // The file stays the same one; only what differs has to be set, and the time that writing changes.
            let mtime = self.options.times.then_some(entry.meta.mtime);
            // Writing by a user other than root clears setuid and setgid.
            let cleared = (own.meta.mode & 0o6000 != 0).then_some(mode);
            return Update {
                change,
                set: SetMeta { mtime, mode: differing.set.mode.or(cleared), ..differing.set },
            };
        }
        Update { change, set: self.all(entry.kind(), &entry.meta, mode, may_set_group) }
    }

    fn new_entry(&self, entry: &Entry, may_set_group: bool) -> Update {
        self.newly_made(entry.kind(), &entry.meta, may_set_group)
    }

    /// What a newly made directory is to have.
    pub(crate) fn new_directory(&self, meta: &Meta, may_set_group: bool) -> Update {
        self.newly_made(Kind::Directory, meta, may_set_group)
    }

    fn newly_made(&self, kind: Kind, meta: &Meta, may_set_group: bool) -> Update {
        let action = if kind == Kind::File { Action::Transfer } else { Action::Create };
        let mode = if self.options.perms { meta.mode } else { meta.mode & 0o777 & !self.umask };
        Update {
            change: Change { action, new: true, ..UNCHANGED },
            set: self.all(kind, meta, mode, may_set_group),
        }
    }

    /// Every attribute that a newly made entry is to have.
    fn all(&self, kind: Kind, meta: &Meta, mode: u32, may_set_group: bool) -> SetMeta {
        let options = self.options;
        let Meta { mtime, uid, gid, .. } = *meta;
        SetMeta {
            mode: (kind != Kind::Symlink).then_some(mode),
            owner: (options.owner && self.is_root).then_some(uid),
            group: (options.group && may_set_group).then_some(gid),
            mtime: self.keeps_time(kind).then_some(mtime),
        }
    }
}

#[cfg(test)]
mod tests;
