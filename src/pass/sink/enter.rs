//! What the sink does with a directory before anything in it is compared: it is found or made, and opened.

use crate::fs::{Dir, SetAcls, SetExtended, SetMeta};
use crate::pass::decide::{Decision, Policy, Seen, Update};
use crate::pass::sink::destination::{self, Destination};
use crate::pass::sink::directories::{Counterpart, FinalAcls, OpenDir};
use crate::pass::sink::entry::opened_up;
use crate::pass::sink::linked::{Child, Standing};
use crate::pass::sink::{Goal, Sink};
use crate::pass::{Context, PassError, Sweep};
use crate::report::Event;
use crate::request::Missing;
use crate::tree::filter::Scope;
use crate::tree::{Entry, Kind, Name, Node, RelPath};
use crate::view;
use crate::wire::{Begin, DirId};
use std::collections::{HashSet, VecDeque};

impl Sink<'_> {
    /// Opens the destination, or leaves it alone if there is nothing to put there.
    pub(super) fn open_destination(&self, begin: &Begin, root_is_empty: bool) -> Result<(), PassError> {
        let Context { options, paths, .. } = self.context;
        let at = |root| Destination { root, ..Destination::default() };
        let destination = match &self.goal {
            Goal::Planned { root, .. } => at(Some(root.clone())),
            Goal::Listing => at(None),
            Goal::Destination(path) if root_is_empty && begin.root.is_none() => {
                // As in rsync, what is above the destination is made for nothing, too.
                let makes = options.make_path && self.context.sweep != Sweep::Now;
                let open = || destination::open(path, true, self.dry_run(), options, *paths);
                let made_above = if makes { open()?.made_above } else { None };
                Destination { made_above, ..Destination::default() }
            }
            Goal::Destination(path) => {
                let open = |dry_run| destination::open(path, begin.single, dry_run, options, *paths);
                match self.context.sweep == Sweep::Now {
                    true if open(true)?.created => at(None),
                    _ => open(self.dry_run())?,
                }
            }
        };
        let mut destination = destination.written_by(options, *paths)?;
        destination.is_listed = begin.root.is_some();
        if let Some((count, path)) = &destination.made_above {
            self.announcer.say(Event::CreatedPath { count: *count, path: path.clone() });
        }
        if destination.created {
            self.announcer.say(Event::CreatedDestination);
        }
        if let Some(bases) = self.open_bases(destination.root.as_ref()) {
            // It is set once, as the destination is.
            let _ = self.bases.set(bases);
        }
        self.destination.set(destination).map_err(|_| PassError::Protocol("a second root is listed"))
    }

    pub(super) fn enter_root(&self, begin: &Begin, destination: &Destination) -> OpenDir {
        let counterpart = match &destination.root {
            None => Counterpart::Absent,
            Some(root) => match root.writable() {
                Some(dir) => Counterpart::Writable(dir),
                None => Counterpart::ReadOnly(root.dir().clone()),
            },
        };
        let mut open = OpenDir::new(RelPath::root(), None, counterpart);
        // Beside a single file, nothing is deleted.
        let top = open.counterpart.dir().filter(|_| destination.rename.is_none());
        open.scope = self.scope_above(top, destination.is_listed);
        if destination.is_listed {
            self.enter_scope(&mut open);
        }
        if let Some(meta) = begin.root.filter(|_| self.goal.only_shows()) {
            self.show(RelPath::root(), &Node::Directory, &meta);
        }
        let is_goal = matches!(self.goal, Goal::Destination(_)) && self.context.sweep != Sweep::Now;
        let is_copied = destination.rename.is_none() && is_goal;
        let root = begin.root.filter(|_| is_copied);
        if let Some(meta) = root {
            let meta = self.meta_here(Kind::Directory, meta);
            let extra = self.owners.translate_extra(begin.extra.clone());
            let want = Seen { meta: &meta, extra: extra.as_deref() };
            let own = open.counterpart.dir().and_then(|dir| dir.own_meta().ok());
            let own_extra = self.look_at_root(&open.counterpart);
            if let (Counterpart::Writable(dir), Some(own)) = (&open.counterpart, &own)
                && self.shuts_out(own)
                && dir.set_own_meta(&opened_up(own)).is_ok()
            {
                open.finally.mode = Some(own.mode);
            }
            let update = match own {
                Some(own) if !destination.created => {
                    let have = Seen { meta: &own, extra: own_extra.as_deref() };
                    self.policy().attributes(Kind::Directory, want, have, self.may_set_group(meta.gid))
                }
                _ => {
                    // What it got from the directory it is in.
                    let umask = self.umask_in(&open.counterpart);
                    self.new_root(want, &Policy { umask, ..self.policy() })
                }
            };
            if destination.created && update.change.new {
                self.count_created(Kind::Directory);
            }
            self.announce(RelPath::root, &Node::Directory, &meta, &update);
            open.finally = SetMeta { mode: update.set.mode.or(open.finally.mode), ..update.set };
            open.acls = FinalAcls::of(&update, extra.as_deref());
            open.xattrs = update.xattrs;
            if let Some(own) = own {
                hand_down_group(&open, own.mode);
            }
            open.time_if_touched = meta.mtime;
            open.keeps_time = self.policy().keeps_time(Kind::Directory);
        }
        open
    }

    /// Enters a directory that was listed: makes it, or sets going what its own attributes need.
    pub(super) fn enter_child(&self, parent: DirId, index: u32) -> Result<OpenDir, PassError> {
        let (path, unusable, scope, child) = self.directories.with(parent, |dir| {
            (dir.path.clone(), dir.unusable, dir.scope.clone(), dir.children.remove(&index))
        })?;
        let child = child.ok_or(PassError::Protocol("a listing is of no listed directory"))?;
        let path = path.join(&child.entry.name);
        let Child { entry, own, standing } = self.through_link(&path, child);
        let mut open = OpenDir::new(path, Some(parent), Counterpart::Absent);
        open.scope = scope;
        open.unusable = unusable || standing == Standing::Barred;
        if open.unusable {
            return Ok(open);
        }
        let counterpart = match self.directories.counterpart(self, parent)? {
            Ok(counterpart) => counterpart,
            Err(error) => {
                self.tally.failed(&open.path, &error);
                open.unusable = true;
                return Ok(open);
            }
        };
        if self.goal.only_shows() {
            self.show(open.path.clone(), &entry.node, &entry.meta);
            open.fresh = true;
            return Ok(open);
        }
        if self.goal.agenda().is_some() {
            self.open_existing(&mut open, &counterpart, &entry, None);
            return Ok(open);
        }
        if self.context.sweep == Sweep::Now {
            match own.as_ref().filter(|own| own.is_dir()) {
                Some(own) => self.open_existing(&mut open, &counterpart, &entry, Some(own)),
                None => open.unusable = true,
            }
            self.enter_scope(&mut open);
            return Ok(open);
        }
        if standing == Standing::Implied {
            self.enter_implied(&mut open, &counterpart, &entry, own.as_ref());
            return Ok(open);
        }
        let policy = self.policy_in(|| self.umask_in(&counterpart), &entry, own.as_ref());
        let decision = policy.decide(&entry, own.as_ref(), self.may_set_group(entry.meta.gid));
        match self.based_directory(&open.path, &entry, &policy, decision) {
            Decision::Skip(reason) => {
                self.skipped(&open.path, &entry.node, reason);
                open.unusable = true;
            }
            Decision::Attributes(update) => {
                self.announce(|| open.path.clone(), &entry.node, &entry.meta, &update);
                open.finally = update.set;
                open.acls = FinalAcls::of(&update, entry.extra.as_deref());
                open.xattrs = update.xattrs;
                self.open_existing(&mut open, &counterpart, &entry, own.as_ref());
            }
            Decision::Make(update) => {
                self.make_directory(&mut open, &counterpart, &entry, own.as_ref(), &update)
            }
            Decision::Transfer(_) | Decision::Compare => {
                return Err(PassError::Protocol("a listing is of no directory"));
            }
        }
        self.set_grants_first(&open);
        open.time_if_touched = entry.meta.mtime;
        open.keeps_time = self.policy().keeps_time(Kind::Directory);
        self.enter_scope(&mut open);
        Ok(open)
    }

    /// Where permissions are not those of the source, what is made in a directory gets what the default ACL of that
    /// grants, which so has to be there before. Its owner may do all until it is full; it then gets all its attributes,
    /// and what cannot be set is told.
    fn set_grants_first(&self, open: &OpenDir) {
        let options = &self.context.options;
        if let (Counterpart::Writable(dir), Some(FinalAcls { acls, mode })) = (&open.counterpart, &open.acls)
            && !options.perms
            && !options.dry_run
            && !open.unusable
        {
            let acls = Some(SetAcls { acls: acls.as_deref(), mode: mode | 0o700 });
            let _ = dir.set_own_extended(&SetExtended { acls, xattrs: None });
        }
    }

    /// Whether what files of rules here say matters to this run: as long as nothing is deleted and no fingerprint is
    /// compared, it does not.
    fn asks_scope(&self) -> bool {
        let options = &self.context.options;
        let deletes = options.delete.is_some() || options.force || options.missing == Missing::Deleted;
        let asks = deletes || !self.context.local;
        asks && self.scope.has_files() && self.goal.agenda().is_none()
    }

    /// Goes on from what holds above a directory to what holds in it.
    fn enter_scope(&self, open: &mut OpenDir) {
        let here = open.counterpart.dir().filter(|_| self.asks_scope() && !open.fresh);
        if let Some(dir) = here {
            let scope = view::enter(&open.scope, dir, &open.path);
            open.scope = self.scope_or_closed(&open.path, scope);
        }
    }

    /// What holds above the destination, which is `top`. If that is not listed itself, but only the place of what was
    /// named, files of rules in it count as at the source: if they are looked for further up.
    fn scope_above(&self, top: Option<&Dir>, is_listed: bool) -> Scope {
        let top = top.filter(|_| self.asks_scope());
        let scope = top.map_or(Ok(self.scope.clone()), |top| view::enter_above(&self.scope, top, !is_listed));
        self.scope_or_closed(&RelPath::root(), scope)
    }

    /// What holds in a directory of the destination that need not have been listed.
    pub(super) fn scope_at(&self, path: &RelPath) -> Scope {
        if !self.asks_scope() {
            return self.scope.clone();
        }
        let mut here = RelPath::root();
        let mut names = path.elements();
        let mut scope = None;
        let is_listed = self.destination.get().is_some_and(|destination| destination.is_listed);
        loop {
            let opened = self.counterpart_at(&here).unwrap_or(Counterpart::Absent);
            let above = scope.unwrap_or_else(|| self.scope_above(opened.dir(), is_listed));
            let dir = opened.dir().filter(|_| is_listed || !here.is_root());
            let entered = dir.map_or(Ok(above.clone()), |dir| view::enter(&above, dir, &here));
            let entered = self.scope_or_closed(&here, entered);
            match names.next().and_then(|name| Name::new(name).ok()) {
                Some(name) => here = here.join(&name),
                None => return entered,
            }
            scope = Some(entered);
        }
    }

    /// What holds in a directory. Where nobody knows that, nothing is deleted, which is told.
    pub(super) fn scope_or_closed(&self, path: &RelPath, scope: Result<Scope, crate::fs::Error>) -> Scope {
        scope.unwrap_or_else(|error| {
            if self.deletes() {
                self.tally.failed(path, &error);
            }
            Scope::closed()
        })
    }

    /// What is told of a destination that is made: whatever differs from a directory that is compared with besides.
    fn new_root(&self, want: Seen<'_>, policy: &Policy<'_>) -> Update {
        let may_set_group = self.may_set_group(want.meta.gid);
        let dirs = self.bases().map(|bases| bases.at(&RelPath::root())).unwrap_or_default();
        let found = dirs.iter().filter_map(|(_, dir)| {
            let (meta, extra) = (dir.own_meta().ok()?, self.look_at_basis(dir).ok()?);
            let have = Seen { meta: &meta, extra: extra.as_deref() };
            Some(policy.based_directory(want, have, may_set_group))
        });
        found
            .min_by_key(|update| !update.change.is_nothing())
            .unwrap_or_else(|| policy.new_directory(want, may_set_group))
    }

    /// The same for a directory that is listed.
    fn based_directory(
        &self,
        path: &RelPath,
        entry: &Entry,
        policy: &Policy<'_>,
        decision: Decision,
    ) -> Decision {
        let (Decision::Make(_), Some(bases), Some((parent, name))) =
            (decision, self.bases(), path.split_last())
        else {
            return decision;
        };
        let found = self.found(&bases.at(&parent), entry, &name);
        let may_set_group = self.may_set_group(entry.meta.gid);
        let updates = found
            .iter()
            .map(|(_, found)| policy.based_directory(entry.into(), (&found.entry).into(), may_set_group));
        updates.min_by_key(|update| !update.change.is_nothing()).map_or(decision, Decision::Make)
    }

    /// A directory was made, which counts if there is none like it.
    fn count_made(&self, update: &Update) {
        if update.change.new {
            self.count_created(Kind::Directory);
        }
    }

    fn open_existing(&self, open: &mut OpenDir, parent: &Counterpart, entry: &Entry, own: Option<&Entry>) {
        if let Some(own) = own
            && self.open_up(parent, own)
        {
            open.finally.mode = open.finally.mode.or(Some(own.meta.mode));
        }
        match self.open_child(parent, &open.path, &entry.name) {
            Ok(here) => {
                open.counterpart = here;
                if let Some(own) = own {
                    hand_down_group(open, own.meta.mode);
                }
            }
            Err(error) => {
                if self.context.sweep != Sweep::Now {
                    self.tally.failed(&open.path, &error);
                }
                open.unusable = true;
            }
        }
    }

    /// Enters a directory that is there only for what is below it: one that is here stays as it is, another is made as
    /// any program would make it.
    fn enter_implied(&self, open: &mut OpenDir, parent: &Counterpart, entry: &Entry, own: Option<&Entry>) {
        if let Some(own) = own.filter(|own| own.is_dir()) {
            return self.open_existing(open, parent, entry, Some(own));
        }
        open.fresh = true;
        if self.context.options.existing && own.is_none() {
            return; // nor will anything be made in it
        }
        let Counterpart::Writable(dir) = parent else { return };
        match dir.make_dir(&entry.name, 0o777).and_then(|()| parent.open(&entry.name)) {
            Ok(here) => {
                open.counterpart = here;
                if let Some(parent) = open.parent {
                    self.directories.touch(parent);
                }
            }
            Err(error) => {
                self.tally.failed(&open.path, &error);
                open.unusable = true;
            }
        }
    }

    fn make_directory(
        &self,
        open: &mut OpenDir,
        parent: &Counterpart,
        entry: &Entry,
        own: Option<&Entry>,
        update: &Update,
    ) {
        open.fresh = true;
        open.finally = update.set;
        open.acls = FinalAcls::of(update, entry.extra.as_deref());
        open.xattrs = update.xattrs;
        if let Some(own) = own
            && !self.make_room(parent, &open.scope, &open.path, own)
        {
            open.unusable = true;
            return;
        }
        self.announce(|| open.path.clone(), &entry.node, &entry.meta, update);
        let Counterpart::Writable(dir) = parent else {
            self.count_made(update);
            return;
        };
        // Usable by its owner until it is full; the rest of the mode follows then.
        let mode = open.finally.mode.unwrap_or(0o777);
        // With an ACL the bits of the group are a mask, which without that ACL would let the group in.
        let mask = if entry.acls().is_some() && self.context.options.perms { 0 } else { 0o070 };
        let made = dir.make_dir(&entry.name, (mode & (0o707 | mask)) | 0o700);
        match made.and_then(|()| parent.open(&entry.name)) {
            Ok(here) => {
                open.counterpart = here;
                self.count_made(update);
                let inherited = open.counterpart.dir().and_then(|dir| dir.own_meta().ok());
                let inherited = inherited.map_or(mode, |own| own.mode);
                if self.context.options.perms {
                    hand_down_group(open, inherited);
                } else {
                    // What the directory got from its parent and the umask is what it is to have, setgid included.
                    let setgid = inherited & 0o2000;
                    open.finally.mode = (mode & 0o700 != 0o700).then_some(mode | setgid);
                }
                if let Some(parent) = open.parent {
                    self.directories.touch(parent);
                }
            }
            Err(error) => {
                self.tally.failed(&open.path, &error);
                open.unusable = true;
            }
        }
    }

    /// What is in a directory of the destination. What cannot be read is told, unless it was `told` before.
    pub(super) fn own(
        &self,
        path: &RelPath,
        counterpart: &Counterpart,
        rename: Option<&Name>,
        told: bool,
    ) -> Own {
        let failed = |path: &RelPath, error: &crate::fs::Error| {
            if !told {
                self.tally.failed(path, error);
            }
        };
        let Some(dir) = counterpart.dir() else { return Own::default() };
        let listing = match dir.list() {
            Ok(listing) => listing,
            Err(error) => {
                failed(path, &error);
                return Own { incomplete: true, ..Own::default() };
            }
        };
        let incomplete = !listing.is_whole();
        let mut own = Own { entries: listing.entries.into(), incomplete, ..Own::default() };
        for (name, error) in listing.failed {
            match Name::new(name) {
                Ok(name) => {
                    failed(&path.join(&name), &error);
                    own.unreadable.insert(name);
                }
                Err(_) => failed(path, &error),
            }
        }
        listing.broken.iter().for_each(|error| failed(path, error));
        own.entries.retain(|entry| {
            let staged = entry.kind() == Kind::File && crate::fs::is_stage_name(&entry.name);
            if staged {
                own.leftovers.insert(entry.name.clone());
            }
            !staged
        });
        if let Some(rename) = rename {
            own.entries.retain(|entry| entry.name == *rename);
        }
        own
    }
}

/// A directory of the mode `has` is going to begin, or to stop, giving its group to what is made in it: it does so at
/// once, since all else about its mode waits until it is full.
fn hand_down_group(open: &OpenDir, has: u32) {
    if let (Some(mode), Counterpart::Writable(dir)) = (open.finally.mode, &open.counterpart)
        && (mode ^ has) & 0o2000 != 0
    {
        // Without the ACL that is to come, the bits of the group would let it in.
        let closed = if open.acls.as_ref().is_some_and(|acls| acls.acls.is_some()) { 0o070 } else { 0 };
        let now = SetMeta { mode: Some((mode & !closed) | 0o700), ..SetMeta::default() };
        // What comes of it is seen when the directory gets its mode.
        let _ = dir.set_own_meta(&now);
    }
}

/// What is here in a directory.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// Sorted by name, without what is dsync's own.
    pub entries: VecDeque<Entry>,
    /// Staged files that killed runs left.
    pub leftovers: HashSet<Name>,
    /// Names under which there is something that could not be looked at, which was told.
    pub unreadable: HashSet<Name>,
    /// Whether there is or may be more, which could not be read.
    pub incomplete: bool,
    /// Whether the entries that take part by the rules here were looked at closer, as far as that is asked for.
    pub looked_closer: bool,
}

impl Own {
    /// How many entries and names it holds.
    pub(super) fn weight(&self) -> usize {
        self.entries.len().saturating_add(self.leftovers.len()).saturating_add(self.unreadable.len())
    }
}
