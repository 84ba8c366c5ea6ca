//! Which attributes an entry is to get, and setting those of what stays where it is.

use crate::fs::{Error, SetMeta, Stamped};
use crate::tree::{InodeId, Kind, Meta, Node, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::carry::names::inode;
use crate::twoway::carry::{CHANGED, Carrier, Done, Outcome, Settings, Trouble, kind};
use crate::twoway::facet::{At, Facet, Seen};
use crate::twoway::history::Look;
use crate::twoway::reconcile::Change;
use crate::twoway::record::{Attributes, Record, State};
use crate::twoway::scan;
use crate::twoway::task::Task;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

impl Settings {
    /// All attributes of an entry that is made as recorded, in place of one of its kind that had those of `old`: what
    /// is not synchronised stays as it was.
    pub(super) fn all(&self, record: &Record, old: Option<&Meta>) -> SetMeta {
        let theirs = record.attributes.mode;
        let own = old.map_or(theirs & 0o777 & !self.umask, |old| old.mode);
        // Who is not root can give nothing away, so what is replaced is as the running user makes it.
        let kept = old.filter(|_| self.is_root);
        let mode = self.shared.modes.taken(own, theirs, kind(record));
        let (owner, group) = record.attributes.owner;
        SetMeta {
            mode: (kind(record) != Some(Kind::Symlink)).then_some(mode),
            owner: if self.owner { owner } else { kept.map(|old| old.uid) },
            group: if self.group { group } else { kept.map(|old| old.gid) },
            mtime: Some(record.mtime),
            atime: None,
        }
    }

    /// Those that an entry has not.
    pub(super) fn lacking(&self, record: &Record, has: &Meta) -> SetMeta {
        let all = self.all(record, Some(has));
        let owner = all.owner.filter(|owner| *owner != has.uid);
        let group = all.group.filter(|group| *group != has.gid);
        // Who gives an entry away may find that it has lost bits.
        let is_given_away = owner.is_some() || group.is_some();
        SetMeta {
            mode: all.mode.filter(|mode| is_given_away || *mode != has.mode),
            owner,
            group,
            mtime: all.mtime.filter(|mtime| *mtime != has.mtime),
            atime: None,
        }
    }
}

/// Names of a file that are to get other attributes.
pub(super) struct Alike {
    names: u64,
    /// A hash of the attributes, if all are to get the same.
    wanted: Option<u64>,
}

/// For how many seconds a file counts as just written.
const YOUNG: i64 = 2;

impl Carrier {
    /// The look at an entry that was just changed.
    pub(super) fn look(&self, stamp: crate::fs::Stamp, record: &Record) -> Look {
        let look = scan::look(stamp, self.began);
        // Only the content of a file could be changed without a trace. Whoever writes to it now makes it younger than
        // it was made here.
        let is_old = stamp.mtime.unix_seconds().saturating_add(YOUNG) < stamp.ctime.unix_seconds();
        Look { settled: look.settled || is_old || !matches!(record.state, State::File { .. }), ..look }
    }

    /// The look at an entry whose attributes were just set, where it is: its time of modification says nothing of when
    /// it was written to.
    pub(super) fn look_again(&self, stamp: crate::fs::Stamp, record: &Record) -> Look {
        let look = scan::look(stamp, self.began);
        Look { settled: look.settled || !matches!(record.state, State::File { .. }), ..look }
    }

    /// Sets the attributes of what is no directory, where it is.
    pub(super) fn adjust(&self, number: usize, task: &Task) -> Result<(), TwoWayError> {
        if self.is_shared(&task.path)? {
            // Nobody has said that its names are one file, so the others keep what they have.
            return self.part(number, task);
        }
        self.carry_out(number, task, |look| {
            let (_, dir, name) = self.place(&task.path)?;
            let mut held = self.links.hold(&dir, &name)?;
            let expected = look.map(|look| held.look(look).stamp);
            let is_expected = |found: &Stamped| expected == Some(found.stamp);
            let found = dir.stamped(&name)?.filter(is_expected).ok_or(Trouble::Refused(CHANGED))?;
            let set = self.settings.lacking(&task.after, &found.entry.meta);
            let at = At::Entry(&dir, &name, found.entry.kind());
            let unset = self.set_where_it_is(task, at, (&set, found.entry.meta.mode), &|set| {
                dir.set_meta(&name, found.entry.kind(), set)
            })?;
            let is_same = |now: &Stamped| {
                let id = |of: &Stamped| (of.stamp.dev, of.stamp.ino, of.stamp.size);
                id(now) == id(&found) && now.entry.kind() == found.entry.kind()
            };
            let now = dir.stamped(&name)?.filter(is_same).ok_or(Trouble::Refused(CHANGED))?;
            if let Some(look) = look {
                held.is_changed(look, Some(task.after.mtime), &dir, &name);
            }
            let look = Some(self.look_again(now.stamp, &task.after));
            Ok(Some(Done { look, trashed: None, unset }))
        })
    }

    /// Whether a path that is to get other attributes is a name of a file that has others besides, of which not all are
    /// to get the same, where it is not kept alike which names are one file.
    fn is_shared(&self, path: &RelPath) -> Result<bool, TwoWayError> {
        if self.settings.shared.facets.contains(Facet::Links) {
            return Ok(false);
        }
        let found = self.place(path).and_then(|(_, dir, name)| match dir.stamp_of_linked(&name)? {
            Some(stamp) => Ok(Some((stamp, dir.link_count(&name)?))),
            None => Ok(None),
        });
        // What cannot be told shows when it is to be set.
        let Ok(Some((stamp, count))) = found else { return Ok(false) };
        let alike = match self.alike.get() {
            Some(alike) => alike,
            None => {
                let found = self.find_alike()?;
                self.alike.get_or_init(|| found)
            }
        };
        Ok(alike.get(&stamp.inode()).is_none_or(|alike| alike.wanted.is_none() || alike.names < count))
    }

    /// Of each file how many of its names are to get other attributes, and whether these are the same for all.
    fn find_alike(&self) -> Result<HashMap<InodeId, Alike>, TwoWayError> {
        let mut files: HashMap<InodeId, Alike> = HashMap::new();
        for (number, task) in self.tasks.such(|outline| outline.here == Some(Change::Adjust)) {
            let Some(inode) = self.journal.known(&task.path)?.as_ref().and_then(inode) else { continue };
            if self.outcome(number) == Outcome::Left {
                continue;
            }
            let sums: Vec<_> =
                task.after.extended.iter().map(|(facet, register)| (facet, register.sum)).collect();
            let mut hasher = DefaultHasher::new();
            let Attributes { mode, owner } = task.after.attributes;
            (mode, owner, task.after.mtime, sums).hash(&mut hasher);
            let wanted = hasher.finish();
            let file = files.entry(inode).or_insert(Alike { names: 0, wanted: Some(wanted) });
            file.names = file.names.saturating_add(1);
            file.wanted = file.wanted.filter(|others| *others == wanted);
        }
        Ok(files)
    }

    /// Sets attributes of an entry that has this mode, and of its facets what is planned. Returns what it has of those
    /// that could not be set.
    pub(super) fn set_where_it_is(
        &self,
        task: &Task,
        at: At<'_>,
        (set, mode): (&SetMeta, u32),
        set_meta: &dyn Fn(&SetMeta) -> Result<(), Error>,
    ) -> Result<Seen, Trouble> {
        let wanted = self.lacking_extended(&task.before.extended, &task.after.extended)?;
        if wanted.is_empty() {
            set_meta(set)?;
            return Ok(Seen::new());
        }
        let (owner, rest) = set.split_owner();
        set_meta(&owner)?;
        let unset = self.set_extended_at(task, at, set.mode.unwrap_or(mode), &wanted)?;
        set_meta(&rest)?;
        Ok(unset)
    }
}

/// What is recorded as an entry without content; nothing of what is no such thing.
pub(super) fn node(record: &Record) -> Option<Node> {
    Some(match (&record.state, kind(record)?) {
        (State::Symlink { target }, _) => Node::Symlink { target: target.clone() },
        (State::Special(_, Some(device)), Kind::CharDevice) => Node::CharDevice(*device),
        (State::Special(_, Some(device)), Kind::BlockDevice) => Node::BlockDevice(*device),
        (_, Kind::Fifo) => Node::Fifo,
        (_, Kind::Socket) => Node::Socket,
        _ => return None,
    })
}
