//! What a scan does: recovers from a crash, and tells edits by comparing the tree with the history.

use crate::twoway::facet::{Facet, Register};
use crate::twoway::record::{Record, State};
use crate::twoway::tests::model::*;
use crate::twoway::version::Version;
use filetime::FileTime;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Replica {
    /// Takes over what was done before a crash and not recorded.
    fn recover(&mut self) {
        for (path, (intended, absorbed)) in std::mem::take(&mut self.database.intents) {
            let there = self.tree.get(&path);
            let done = match (&intended.state, there) {
                (State::Absent, None) => !intended.occupied,
                (State::Absent, Some(there)) => {
                    intended.occupied
                        && there.state.is_directory()
                        && !self.tree.keys().any(|below| {
                            is_below(below, &path) && self.database.record(below).state.is_present()
                        })
                }
                (state, Some(there)) => there.state == *state && there.mode == intended.attributes.mode,
                (_, None) => false,
            };
            if done {
                let (mut intended, mut absorbed) = (intended, absorbed);
                // What is not as intended was not come to.
                let planned = intended.extended.get(Facet::Xattrs).map(|register| register.sum);
                if there.is_some_and(|there| planned.is_some_and(|planned| planned != sum(there.xattrs))) {
                    intended.extended.set_from(&self.database.record(&path).extended, Facet::Xattrs);
                    absorbed.remove(&(path.clone(), Of::Xattrs));
                }
                self.database.note(path, intended);
                self.absorbed.extend(absorbed);
            }
        }
    }

    /// Whether a directory is still what was left of one that was removed: all that takes part in it is such, too.
    fn is_emptied(&self, path: &[u8], filter: Filter) -> bool {
        let known = self.database.record(path);
        let is_dir = self.tree.get(path).is_some_and(|thing| thing.state.is_directory());
        is_dir
            && !known.state.is_present()
            && known.occupied
            && self
                .tree
                .keys()
                .filter(|below| parent(below).as_deref() == Some(path) && !is_ignored(below, filter))
                .all(|below| self.is_emptied(below, filter))
    }

    /// What is seen at a path, with whether a directory stands there that cannot go.
    fn look(&self, path: &[u8], filter: Filter) -> (State, bool) {
        let Some(there) = self.tree.get(path) else { return (State::Absent, false) };
        if self.is_emptied(path, filter) {
            return (State::Absent, true);
        }
        let holds = |below: &Path| {
            is_below(below, path) && (is_ignored(below, filter) || self.is_emptied(below, filter))
        };
        (there.state.clone(), there.state.is_directory() && self.tree.keys().any(holds))
    }

    pub(super) fn scan(&mut self, filter: Filter, xattrs: bool, event: &mut u64) {
        self.recover();
        self.unknown.clear();
        let generation = self.database.generation + 1;
        let mut edited = false;
        let paths: BTreeSet<Path> = self.tree.keys().chain(self.database.history.keys()).cloned().collect();
        // What is above a path decides whether it is looked at, so before any record changes.
        let looks: Vec<_> = paths.into_iter().map(|path| (self.look(&path, filter), path)).collect();
        for ((state, occupied), path) in looks {
            let hidden = self.unknown.iter().any(|unknown| is_below(&path, unknown));
            if hidden || is_ignored(&path, filter) {
                continue;
            }
            let there = self.tree.get(&path);
            if there.is_some_and(|there| there.unreadable) {
                self.unknown.insert(path);
                continue;
            }
            let known = self.database.record(&path);
            let there = there.filter(|_| state.is_present());
            let seen = Record {
                attributes: there.map_or(known.attributes, |thing| attributes(thing.mode)),
                mtime: there.map_or(known.mtime, |thing| FileTime::from_unix_time(thing.mtime, 0)),
                state,
                occupied,
                ..known.clone()
            };
            let xattrs = there.filter(|_| xattrs).map(|there| there.xattrs);
            edited |= self.tell(path, known, (seen, xattrs), generation, event);
        }
        if edited {
            *event += 1;
            self.database.count_on(*event);
        }
    }

    /// Records what is seen at a path. Returns whether it was edited.
    fn tell(
        &mut self,
        path: Path,
        known: Record,
        (seen, xattrs): (Record, Option<u8>),
        generation: u64,
        event: &mut u64,
    ) -> bool {
        let present = seen.state.is_present();
        let content = seen.state != known.state;
        let meta = present && (!seen.state.is_like(&known.state) || seen.attributes != known.attributes);
        let author = self.author();
        let bump = |version: &Arc<Version>, really| match really {
            true => Arc::new(version.edited(author, generation)),
            false => version.clone(),
        };
        let mut record =
            Record { content: bump(&known.content, content), meta: bump(&known.meta, meta), ..seen };
        let created = !record.state.is_like(&known.state);
        let mut marked = false;
        if let Some(xattrs) = xattrs {
            let before = record.extended.get(Facet::Xattrs).cloned();
            let has_other = before.as_ref().map_or(xattrs > 0, |before| before.sum != sum(xattrs));
            marked = has_other || (created && xattrs > 0);
            let version = bump(&before.map_or_else(Arc::default, |before| before.version), marked);
            record.extended.set(Facet::Xattrs, Register { sum: sum(xattrs), version });
        }
        let last = self.last.get(&path).cloned().unwrap_or((State::Absent, record.attributes.mode, 0));
        let now = (record.state.clone(), record.attributes.mode, xattrs.unwrap_or(last.2));
        self.last.insert(path.clone(), now.clone());
        let is_new = !now.0.is_like(&last.0);
        let really = [
            now.0 != last.0,
            present && (is_new || now.1 != last.1),
            xattrs.is_some() && (now.2 != last.2 || (is_new && now.2 > 0)),
        ];
        for (of, really) in [Of::Content, Of::Attributes, Of::Xattrs].into_iter().zip(really) {
            if really {
                *event += 1;
                self.absorbed.entry((path.clone(), of)).or_default().insert(*event);
            }
        }
        self.database.note(path, record);
        content || meta || marked
    }

    /// Whether both sides would say that the same is there.
    pub(super) fn seen(&self, path: &[u8], filter: Filter, xattrs: bool) -> Option<(State, u32, i64, u8)> {
        let thing = self.tree.get(path).filter(|_| !self.is_emptied(path, filter))?;
        Some((thing.state.clone(), thing.mode, thing.mtime, if xattrs { thing.xattrs } else { 0 }))
    }
}
