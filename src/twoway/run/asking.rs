//! Conflicts that no record decides: a person or a command is asked while the plan is made.

use crate::fs::{Dir, SetMeta, WriteDir, WriteFile};
use crate::tree::{Name, RelPath};
use crate::twoway::decide::Side;
use crate::twoway::exchange::Conversation;
use crate::twoway::history::History;
use crate::twoway::names::{InCommon, Likeness};
use crate::twoway::policy::{Conflict, ConflictKind, Merged, Policies, Policy, Resolution, Resolver};
use crate::twoway::record::ContentSum;
use crate::twoway::run::contents::OfConflict;
use crate::twoway::run::{Answer, Asked, Overseer, Stopped};
use crate::twoway::version::{Order, Version};
use filetime::FileTime;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Read};

/// Settles conflicts by policies, and asks where these say so.
pub(super) struct Asking<'a, 'l> {
    pub policies: &'a Policies,
    pub overseer: &'a dyn Overseer,
    pub conversation: RefCell<&'a mut Conversation<'l>>,
    pub root: &'a Dir,
    pub history: &'a History,
    /// Where what was merged is kept until it is installed; `None` in a dry run.
    pub staging: Option<&'a WriteDir>,
    /// The planner's side.
    pub side: Side,
    /// How many have been asked about.
    pub number: u64,
    /// How many there are to ask about.
    pub count: u64,
    /// What was merged, by path.
    pub merged: HashMap<RelPath, Name>,
    /// What is the same of names of one file; `None` where it is not kept alike which those are.
    pub in_common: Option<InCommon>,
    /// What came of merging the names of a file that has several on both sides.
    pub files: HashMap<Linked, (Resolution, Option<Name>)>,
    /// Why nothing is to be done after all.
    pub stopped: Option<Stopped>,
}

/// A file that has the same names on both sides, with the command that merges what is written to it.
pub(super) type Linked = (Box<str>, Likeness, Likeness);

/// Counts the conflicts that somebody is to be asked about, as if all of them were left.
pub(super) struct Counting<'a> {
    pub policies: &'a Policies,
    pub count: u64,
}

impl Resolver for Counting<'_> {
    fn resolve(&mut self, conflict: &Conflict<'_>) -> Resolution {
        let policy = self.policies.of(conflict.path);
        self.count = self.count.saturating_add(u64::from(policy.asks()));
        policy.resolve(conflict)
    }

    fn removals_win(&self, path: &RelPath) -> Option<Side> {
        self.policies.of(path).removals_win()
    }
}

/// Bytes read at once.
const PIECE: usize = 64 << 10;

impl Resolver for Asking<'_, '_> {
    fn resolve(&mut self, conflict: &Conflict<'_>) -> Resolution {
        let policy = self.policies.of(conflict.path);
        if !policy.asks() || self.stopped.is_some() {
            return policy.resolve(conflict);
        }
        let linked = self.linked(conflict);
        if let Some((resolution, merged)) = linked.as_ref().and_then(|linked| self.files.get(linked)) {
            self.merged.extend(merged.clone().map(|name| (conflict.path.clone(), name)));
            return *resolution;
        }
        let resolution = self.ask(conflict, policy);
        if let Some(linked) = linked {
            self.files.insert(linked, (resolution, self.merged.get(conflict.path).cloned()));
        }
        resolution
    }

    fn removals_win(&self, path: &RelPath) -> Option<Side> {
        self.policies.of(path).removals_win()
    }
}

impl Asking<'_, '_> {
    /// The file of which a conflict is about one name, if it has others and what is written to it is merged.
    fn linked(&self, conflict: &Conflict<'_>) -> Option<Linked> {
        let Policy::Merge(command) = self.policies.of(conflict.path) else { return None };
        let in_common = self.in_common.filter(|_| conflict.kind == ConflictKind::Content)?;
        let likeness = |record| Likeness::of(record, in_common);
        Some((command.clone(), likeness(conflict.left)?, likeness(conflict.right)?))
    }

    fn ask(&mut self, conflict: &Conflict<'_>, policy: &Policy) -> Resolution {
        self.number = self.number.saturating_add(1);
        let contents = OfConflict {
            root: self.root,
            history: self.history,
            side: self.side,
            path: conflict.path,
            common: common(conflict),
            conversation: &self.conversation,
        };
        let count = self.count.max(self.number);
        let asked = Asked { conflict: *conflict, policy, number: self.number, count, contents: &contents };
        match self.overseer.resolve(&asked) {
            Ok(Answer::Skip) => Resolution::Skip,
            Ok(Answer::Win(side)) => Resolution::Win(side),
            Ok(Answer::KeepBoth) => Resolution::KeepBoth,
            Ok(Answer::Merged(content)) => self.merge(conflict.path, content),
            Err(stopped) => {
                self.stopped = Some(stopped);
                Resolution::Skip
            }
        }
    }

    fn merge(&mut self, path: &RelPath, content: Box<dyn Read + Send>) -> Resolution {
        let name = Name::new(format!("merged-{}", self.number));
        let kept = |name| Ok((keep(self.staging, &name, content)?, name));
        match name.map_err(io::Error::other).and_then(kept) {
            Ok((merged, name)) => {
                self.merged.insert(path.clone(), name);
                Resolution::Merged(merged)
            }
            Err(error) => {
                let text = format!("what {path} was merged to cannot be kept: {error}");
                self.stopped = Some(Stopped(text));
                Resolution::Skip
            }
        }
    }
}

/// The edits that both sides of a conflict have absorbed; none where that does not tell them apart from what either is.
fn common(conflict: &Conflict<'_>) -> Version {
    let (left, right) = (&conflict.left.content, &conflict.right.content);
    match left.order(right) {
        Order::Concurrent => left.common(right),
        Order::Equal | Order::Newer | Order::Older => Version::new(),
    }
}

/// Writes what was merged to a file of this name, or where nothing is written only looks at it.
fn keep(staging: Option<&WriteDir>, name: &Name, mut content: Box<dyn Read + Send>) -> io::Result<Merged> {
    let open = |dir: &WriteDir| dir.open_in_place(name).and_then(|file| file.set_len(0).map(|()| file));
    let file: Option<WriteFile> = staging.map(open).transpose().map_err(|error| error.source)?;
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE];
    let mut size: u64 = 0;
    loop {
        let read = content.read(&mut piece)?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        if let Some(file) = &file {
            file.write_at(bytes, size).map_err(|error| error.source)?;
        }
        size = size.saturating_add(read as u64);
    }
    let mtime = FileTime::now();
    if let Some(file) = &file {
        file.set_meta(&SetMeta { mtime: Some(mtime), ..SetMeta::default() }).map_err(|error| error.source)?;
    }
    Ok(Merged { sum: ContentSum(*hasher.finalize().as_bytes()), size, mtime })
}
