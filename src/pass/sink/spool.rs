//! What is removed only when all else of a pass is done: with `--delete-delay` and `--delete-after`, and where a limit
//! is a part of what there is, which is known only then. With `--delete-before` the pass does nothing else.
//!
//! Until then only names are kept, with what holds in their directories. An error in reading the source, however late
//! it comes, keeps all of them.

use crate::fs::SetMeta;
use crate::pass::Sweep;
use crate::pass::sink::Sink;
use crate::pass::sink::directories::Counterpart;
use crate::pass::sink::entry::opened_up;
use crate::report::Event;
use crate::request::{DeletionLimit, DeletionTime};
use crate::tree::filter::Scope;
use crate::tree::{Name, RelPath};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// What is kept in mind. Filled by the comparison, emptied once at the end.
#[derive(Debug, Default)]
pub(super) struct Spool {
    dirs: Mutex<Vec<Spooled>>,
    /// How many entries the directories here had that were compared.
    seen: AtomicU64,
    /// How many entries may be removed in this pass, once that is known.
    limit: OnceLock<u64>,
    /// Whether something of the source could not be read.
    incomplete: AtomicBool,
}

/// Entries of one directory.
#[derive(Debug)]
pub(super) struct Spooled {
    pub path: RelPath,
    /// What holds in it.
    pub scope: Scope,
    /// Whether it has got its time, which removing them would change.
    pub keeps_time: bool,
    pub names: Vec<Name>,
}

impl Spool {
    pub(super) fn add(&self, spooled: Spooled) {
        self.dirs.lock().unwrap_or_else(PoisonError::into_inner).push(spooled);
    }

    /// A directory with so many entries is compared.
    pub(super) fn saw(&self, entries: usize) {
        self.seen.fetch_add(entries as u64, Ordering::Relaxed);
    }

    /// Something of the source could not be read.
    pub(super) fn give_up(&self) {
        self.incomplete.store(true, Ordering::Release);
    }

    fn take(&self) -> Vec<Spooled> {
        std::mem::take(&mut *self.dirs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink<'_> {
    /// How many entries may be removed in this pass.
    pub(super) fn deletion_limit(&self) -> Option<u64> {
        match (self.context.options.max_delete?, self.context.sweep) {
            (DeletionLimit::Count(count), Sweep::Done(before)) => Some(count.saturating_sub(before)),
            (DeletionLimit::Count(count), _) => Some(count),
            (DeletionLimit::Percent(_), _) => self.spool.limit.get().copied(),
        }
    }

    /// Says, once, that extra entries are kept because not all of the source could be read.
    pub(super) fn tell_kept_extras(&self) {
        if !self.kept_extras.swap(true, Ordering::Relaxed) {
            let text = "errors were met while reading the source, so nothing more is deleted in this run";
            self.announcer.say(Event::Notice(text.to_owned()));
        }
    }

    /// Removes what was kept in mind. Nothing else is going on any more.
    pub(super) fn delete_spooled(&self) {
        let Some(deletion) = self.context.options.delete else { return };
        let mut dirs = self.spool.take();
        if dirs.is_empty() {
            return;
        }
        if self.spool.incomplete.load(Ordering::Acquire) && !deletion.ignore_errors {
            self.tell_kept_extras();
            return;
        }
        if let Some(DeletionLimit::Percent(percent)) = self.context.options.max_delete {
            let below: u64 = dirs.iter().map(|dir| self.count_below(dir)).sum();
            let all = self.spool.seen.load(Ordering::Relaxed).saturating_add(below);
            // Rounded down, and no product is too large.
            let limit = u128::from(all) * u128::from(percent) / 100;
            let limit = u64::try_from(limit).unwrap_or(u64::MAX);
            let in_the_way = self.tally.totals().deleted.total();
            self.spool.limit.get_or_init(|| limit.saturating_add(in_the_way));
        }
        if deletion.when == DeletionTime::After {
            // Before any of the files of rules goes that say so.
            dirs.iter_mut().for_each(|dir| dir.scope = self.scope_at(&dir.path));
        }
        dirs.into_iter().for_each(|dir| self.delete_from(dir));
    }

    /// How many entries there are below those that are to go.
    fn count_below(&self, dir: &Spooled) -> u64 {
        let mut count: u64 = 0;
        let mut ahead: Vec<RelPath> = dir.names.iter().map(|name| dir.path.join(name)).collect();
        while let Some(path) = ahead.pop() {
            // It is no directory, or what cannot be read cannot be removed either.
            let Some(listing) = self.counterpart_at(&path).ok().and_then(|here| here.list().ok()) else {
                continue;
            };
            count = count.saturating_add(listing.entries.len() as u64);
            let below = listing.entries.iter().filter(|entry| entry.is_dir());
            ahead.extend(below.map(|entry| path.join(&entry.name)));
        }
        count
    }

    fn delete_from(&self, dir: Spooled) {
        let Spooled { path, scope, keeps_time, names } = dir;
        let here = match self.counterpart_at(&path) {
            Ok(here) => here,
            // It was behind a link that stays (-K), and went with what that leads to.
            Err(error) if error.is_not_found() => return,
            Err(error) => return self.tally.failed(&path, &error),
        };
        let before = here.dir().and_then(|dir| dir.own_meta().ok());
        let shuts_out = before.is_some_and(|before| self.shuts_out(&before));
        if let (true, Some(before), Counterpart::Writable(dir)) = (shuts_out, &before, &here) {
            // If that does not help, each entry tells.
            let _ = dir.set_own_meta(&opened_up(before));
        }
        for name in names {
            match here.dir().map_or(Ok(None), |dir| dir.entry(&name)) {
                Ok(Some(entry)) => self.delete_extra(&here, &scope, path.join(&name), entry),
                Ok(None) => {}
                Err(error) => self.tally.failed(&path.join(&name), &error),
            }
        }
        if let (Some(before), Counterpart::Writable(dir)) = (before, &here) {
            let again = SetMeta {
                mode: shuts_out.then_some(before.mode),
                mtime: keeps_time.then_some(before.mtime),
                ..SetMeta::default()
            };
            if let Err(error) = dir.set_own_meta(&again) {
                self.tally.failed(&path, &error);
            }
        }
    }
}
