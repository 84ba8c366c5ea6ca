//! What is unsettled in each listed directory, and what is done once nothing is.
//!
//! A directory is open from the first part of its listing until its own entries and all directories below it are
//! settled. Only then does it get its attributes, since changing what is in it changes its time and a mode without
//! write permission would be in the way; and only then is the source told to forget its listing.

use crate::fs::{Dir, Error, Listing, ReadFile, SetAcls, SetExtended, SetMeta, WriteDir};
use crate::pass::PassError;
use crate::pass::decide::{SetXattrs, Update};
use crate::pass::sink::Sink;
use crate::pass::sink::landings::Identity;
use crate::pass::sink::linked::Child;
use crate::tree::filter::Scope;
use crate::tree::{Acls, Extra, Name, Node, RelPath};
use crate::wire::{DirId, Message};
use filetime::FileTime;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The sink's own directory behind a listed one.
#[derive(Debug, Clone)]
pub(super) enum Counterpart {
    /// There is none: a dry run, or it could not be made (and that was told).
    Absent,
    /// There is one, whose handle was given up for others; it is opened again when it is needed.
    Closed,
    /// A dry run looks at it.
    ReadOnly(Dir),
    /// It is filled.
    Writable(WriteDir),
}

impl Counterpart {
    /// One of its directories, with the same access.
    pub(super) fn open(&self, name: &Name) -> Result<Counterpart, Error> {
        match self {
            Counterpart::Absent | Counterpart::Closed => Err(absent()),
            Counterpart::ReadOnly(dir) => dir.open_dir(name).map(Counterpart::ReadOnly),
            Counterpart::Writable(dir) => dir.open_dir_writable(name).map(Counterpart::Writable),
        }
    }

    pub(super) fn list(&self) -> Result<Listing, Error> {
        self.dir().ok_or_else(absent)?.list()
    }

    pub(super) fn open_file(&self, name: &Name) -> Result<ReadFile, Error> {
        self.dir().ok_or_else(absent)?.open_file(name)
    }

    pub(super) fn identity(&self) -> Result<(u64, u64), Error> {
        self.dir().ok_or_else(absent)?.identity()
    }

    /// Which file has this name, if it is just this one.
    pub(super) fn identity_of(&self, name: &Name, node: &Node) -> Option<Identity> {
        let found = self.dir()?.stamped(name).ok()??;
        (found.entry.node == *node).then_some((found.stamp.dev, found.stamp.ino))
    }

    pub(super) fn dir(&self) -> Option<&Dir> {
        match self {
            Counterpart::Absent | Counterpart::Closed => None,
            Counterpart::ReadOnly(dir) => Some(dir),
            Counterpart::Writable(dir) => Some(dir),
        }
    }
}

const UNLISTED: &str = "the listings ended before all directories were listed";

fn absent() -> Error {
    let cause = std::io::Error::new(std::io::ErrorKind::NotFound, "the directory was not made");
    Error { doing: "writing to", source: cause }
}

/// A directory that is not settled yet.
#[derive(Debug)]
pub(super) struct OpenDir {
    pub path: RelPath,
    pub parent: Option<DirId>,
    /// Entries in flight, directories below that are not closed, and one for the listing while it lasts.
    pub unsettled: u64,
    /// Directories of this listing that were not listed themselves yet, by place.
    pub children: HashMap<u32, Child>,
    pub counterpart: Counterpart,
    /// Whether it was skipped, or could not be made or opened, which was told: what is listed in it is passed over.
    pub unusable: bool,
    /// Whether this run makes it, so that nothing is in it and its attributes are set in any case.
    pub fresh: bool,
    /// Attributes to set at the end.
    pub finally: SetMeta,
    /// ACLs to set then.
    pub acls: Option<FinalAcls>,
    /// What is to be done about extended attributes: those that have to come are set when they do.
    pub xattrs: SetXattrs,
    /// Whether its time is the source's (`-t`), which has to be set again if anything in it changed.
    pub keeps_time: bool,
    pub time_if_touched: FileTime,
    pub touched: bool,
    /// Whether the directories below are listed without being asked for.
    pub listed_below: bool,
    /// What holds in it.
    pub scope: Scope,
}

impl OpenDir {
    pub(super) fn new(path: RelPath, parent: Option<DirId>, counterpart: Counterpart) -> OpenDir {
        OpenDir {
            path,
            parent,
            unsettled: 0,
            children: HashMap::new(),
            counterpart,
            unusable: false,
            finally: SetMeta::default(),
            acls: None,
            xattrs: SetXattrs::Leave,
            keeps_time: false,
            time_if_touched: FileTime::zero(),
            fresh: false,
            touched: false,
            listed_below: false,
            scope: Scope::default(),
        }
    }
}

/// ACLs for a directory that is full.
#[derive(Debug)]
pub(super) struct FinalAcls {
    /// The source's.
    pub acls: Option<Arc<Acls>>,
    /// The mode they go with.
    pub mode: u32,
}

impl FinalAcls {
    /// Those that an update gives to an entry with this.
    pub(super) fn of(update: &Update, extra: Option<&Extra>) -> Option<FinalAcls> {
        update.acls.map(|mode| FinalAcls { acls: extra.and_then(|extra| extra.acls.clone()), mode })
    }
}

#[derive(Debug)]
pub(super) struct Directories {
    state: Mutex<State>,
    /// How many directories keep their handle.
    handles: usize,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<DirId, OpenDir>,
    /// Directories with a handle, oldest first.
    handles: VecDeque<DirId>,
    all_listed: bool,
    /// Whether the source was told that the root is settled, after which it hears of nothing but the end.
    root_closed: bool,
}

impl Directories {
    /// Nothing open yet. `handles` directories keep their handle; the others are opened again when needed.
    pub(super) fn new(handles: usize) -> Directories {
        Directories { state: Mutex::default(), handles }
    }

    pub(super) fn insert(&self, id: DirId, dir: OpenDir) {
        let mut state = self.lock();
        if dir.counterpart.dir().is_some() {
            state.handles.push_back(id);
        }
        state.open.insert(id, dir);
        if state.handles.len() > self.handles
            && let Some(oldest) = state.handles.pop_front()
            && let Some(dir) = state.open.get_mut(&oldest)
        {
            dir.counterpart = Counterpart::Closed;
        }
    }

    /// Changes an open directory.
    pub(super) fn with<T>(&self, id: DirId, change: impl FnOnce(&mut OpenDir) -> T) -> Result<T, PassError> {
        let mut state = self.lock();
        state
            .open
            .get_mut(&id)
            .map(change)
            .ok_or(PassError::Protocol("a directory that is not open is named"))
    }

    /// Write access to an open directory, opened again if its handle was given up.
    pub(super) fn writable(&self, sink: &Sink<'_>, id: DirId) -> Result<Result<WriteDir, Error>, PassError> {
        Ok(match self.counterpart(sink, id)? {
            Ok(Counterpart::Writable(dir)) => Ok(dir),
            Ok(_) => Err(absent()),
            Err(error) => Err(error),
        })
    }

    /// The counterpart of an open directory, opened again if its handle was given up: never `Closed`.
    pub(super) fn counterpart(
        &self,
        sink: &Sink<'_>,
        id: DirId,
    ) -> Result<Result<Counterpart, Error>, PassError> {
        let (counterpart, path) = self.with(id, |dir| (dir.counterpart.clone(), dir.path.clone()))?;
        Ok(match counterpart {
            Counterpart::Closed => sink.counterpart_at(&path),
            there => Ok(there),
        })
    }

    /// Something in the directory was changed, so its time has to be set again.
    pub(super) fn touch(&self, id: DirId) {
        let _ = self.with(id, |dir| dir.touched = true);
    }

    /// Every directory was listed; nothing new will be inserted.
    pub(super) fn all_listed(&self, sink: &Sink<'_>) -> Result<(), PassError> {
        let mut state = self.lock();
        if std::mem::replace(&mut state.all_listed, true) {
            return Err(PassError::Protocol("the listings ended twice"));
        }
        if state.open.values().any(|dir| !dir.children.is_empty()) {
            return Err(PassError::Protocol(UNLISTED));
        }
        let done = state.root_closed;
        drop(state);
        if done { sink.finish() } else { Ok(()) }
    }

    /// What is in `id` became known after all directories were listed or mentioned, so those in it were.
    pub(super) fn is_complete(&self, id: DirId) -> Result<(), PassError> {
        let is_complete = self.lock().open.get(&id).is_none_or(|dir| dir.children.is_empty());
        if is_complete { Ok(()) } else { Err(PassError::Protocol(UNLISTED)) }
    }

    /// So many things in `id` are settled. Closes it if these were the last, and then whatever that settles.
    pub(super) fn settle(&self, sink: &Sink<'_>, id: DirId, mut count: u64) -> Result<(), PassError> {
        let mut next = Some(id);
        while let Some(id) = next {
            let Some(dir) = self.take_settled(id, count)? else { return Ok(()) };
            (next, count) = (dir.parent, 1);
            finish(sink, &dir);
            sink.sender.send(Message::Close(id))?;
            if next.is_none() {
                // Whoever sees both says that all is done: the end of the listings may be handled meanwhile.
                let mut state = self.lock();
                state.root_closed = true;
                let done = state.all_listed;
                drop(state);
                return if done { sink.finish() } else { Ok(()) };
            }
        }
        Ok(())
    }

    fn take_settled(&self, id: DirId, count: u64) -> Result<Option<OpenDir>, PassError> {
        let mut state = self.lock();
        let dir =
            state.open.get_mut(&id).ok_or(PassError::Protocol("a directory that is not open is named"))?;
        dir.unsettled = dir.unsettled.saturating_sub(count);
        if dir.unsettled > 0 {
            return Ok(None);
        }
        let dir = state.open.remove(&id);
        if let Some(place) = state.handles.iter().position(|handle| *handle == id) {
            state.handles.remove(place);
        }
        Ok(dir)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives a settled directory its attributes.
fn finish(sink: &Sink<'_>, dir: &OpenDir) {
    if sink.dry_run() || dir.unusable {
        return;
    }
    let mut set = dir.finally;
    if dir.touched && dir.keeps_time {
        set.mtime = set.mtime.or(Some(dir.time_if_touched));
    }
    let syncs = dir.touched && sink.context.options.fsync;
    let acls =
        dir.acls.as_ref().map(|FinalAcls { acls, mode }| SetAcls { acls: acls.as_deref(), mode: *mode });
    let extended = SetExtended { acls, xattrs: sink.cleared(dir.xattrs) };
    if set == SetMeta::default() && extended.is_empty() && !syncs {
        return;
    }
    let here = match &dir.counterpart {
        Counterpart::Closed => sink.counterpart_at(&dir.path),
        there => Ok(there.clone()),
    };
    let handle = match here {
        Ok(Counterpart::Writable(handle)) => Ok(handle),
        Ok(_) => return,
        Err(error) => Err(error),
    };
    let done = handle.and_then(|handle| {
        let rest = sink.set_owner_first(&dir.path, &set, |owner| handle.set_own_meta(owner));
        sink.set_extended(&dir.path, &extended, |extended| handle.set_own_extended(extended));
        handle.set_own_meta(&rest)?;
        if syncs { handle.sync_names() } else { Ok(()) }
    });
    if let Err(error) = done {
        sink.tally.failed(&dir.path, &error);
    }
}

#[cfg(test)]
mod tests;
