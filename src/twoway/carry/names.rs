//! Making names one file, and names of one file several.
//!
//! Which names are to be one the plan says by their [identities](crate::twoway::facet), so that is found out for all
//! names of a file at once, before anything is done: those with the same identity become one if their contents and
//! attributes are to be the same. Where one of them is as it is to be, the others are linked to it, and where none is,
//! one is made in its own way, and its content comes from the other side once. Names that leave a file get a copy of
//! their own, and before anything else is done to that file, which is not theirs any more.
//!
//! A name is given in the staging directory and put in its place from there, as everything is.

use crate::fs::{Linkable, Linked, Slot, WriteDir, stage_name};
use crate::pass::Place;
use crate::tree::{InodeId, Kind, Name, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::carry::copy::is_as_planned;
use crate::twoway::carry::{CHANGED, Carrier, Done, NO_FILE, Outcome, Settings, Trouble, kind, lock};
use crate::twoway::crash;
use crate::twoway::facet::{Facet, FacetSum, Register};
use crate::twoway::history::{self, History, Known, Look};
use crate::twoway::names::{InCommon, Likeness, Member, Role, roles};
use crate::twoway::reconcile::{Change, Why};
use crate::twoway::record::{Record, State};
use crate::twoway::task::{Outline, Task};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// What identities begin with that are made up for the time until the next run.
const PURPOSE: &str = "dsync 2026 identity of a file that a killed run has left";

impl Carrier {
    /// Finds out which names are to be one file, of those that take part: what is to be done, and what stays.
    ///
    /// # Errors
    /// Those of reading the history.
    pub fn find_names(&self, takes_part: &dyn Fn(&RelPath) -> bool) -> Result<(), TwoWayError> {
        if !self.settings.shared.facets.contains(Facet::Links) {
            return Ok(());
        }
        let (mut members, mut identities, mut changed) = (Vec::new(), HashSet::new(), BTreeSet::new());
        let is_named = |outline: &Outline| outline.is_named && (outline.here.is_some() || outline.is_news);
        let mut noted = Vec::new();
        for (number, task) in self.tasks.such(is_named) {
            changed.insert(task.path.clone());
            identities.extend(task.before.extended.identity());
            identities.extend(task.after.extended.identity());
            if !self.is_waiting(number) || matches!(task.why, Why::CopyOf { .. }) {
                continue;
            }
            let inode = match task.here {
                None if !task.after.state.is_present() => continue,
                None | Some(Change::Adjust) => {
                    self.journal.known(&task.path)?.and_then(|known| inode(&known))
                }
                Some(Change::Create | Change::Update | Change::Replace) => None,
                _ => continue,
            };
            if task.here.is_some_and(|change| change.is_only_of_names(&task.before, &task.after)) {
                noted.push(number);
            }
            let likeness = Likeness::of(&task.after, self.in_common());
            let number = task.here.map(|_| number);
            members.push(Member { path: task.path, task: number, inode, likeness, mtime: task.after.mtime });
        }
        if members.is_empty() {
            return Ok(());
        }
        for row in self.journal.rows()? {
            let (key, known) = row?;
            let Some(identity) = known.record.extended.identity() else { continue };
            if !identities.contains(&identity) || known.is_unknown || !known.record.state.is_present() {
                continue;
            }
            let path = history::path(&key)?;
            if !changed.contains(&path) && takes_part(&path) {
                let (inode, likeness) = (inode(&known), Likeness::of(&known.record, self.in_common()));
                members.push(Member { path, task: None, inode, likeness, mtime: known.record.mtime });
            }
        }
        members.sort_by(|one, other| one.path.walk_order(&other.path));
        let roles = roles(&members);
        noted.retain(|number| !roles.by_task.contains_key(number));
        *lock(&self.roles) = roles;
        noted.into_iter().try_for_each(|number| self.note(number))?;
        self.journal.flush()
    }

    /// Writes down what is known of a name that is one with those that it is to be one with.
    fn note(&self, number: usize) -> Result<(), TwoWayError> {
        let Some(task) = self.tasks.get(number) else { return Ok(()) };
        let Some(known) = self.journal.known(&task.path)? else { return Ok(()) };
        if known.record != task.before || known.is_unknown {
            return Ok(());
        }
        self.set_outcome(number, Outcome::Noted);
        self.journal.record(vec![(task.path, Known::there(task.after, known.look))], None)
    }

    fn in_common(&self) -> InCommon {
        let Settings { shared, owner, group, .. } = self.settings;
        InCommon { shared, owner, group }
    }

    /// What becomes of a name, if it does not go its own way.
    pub(super) fn role(&self, number: usize) -> Option<Role> {
        lock(&self.roles).by_task.get(&number).cloned()
    }

    /// Whether a name is linked to another.
    pub(super) fn is_linked(&self, number: usize) -> bool {
        matches!(self.role(number), Some(Role::Link(_)))
    }

    /// Gives names files of their own, and then links those that are to be one with these, or with what stays.
    pub(super) fn part_and_link(&self) -> Result<(), TwoWayError> {
        for (number, _) in self.roles().into_iter().filter(|(_, role)| *role == Role::Apart) {
            if let Some(task) = self.tasks.get(number) {
                self.part(number, &task)?;
            }
        }
        self.journal.flush()?;
        self.link_all(&|leader| {
            let task = self.tasks.find(leader).filter(|(_, task)| task.here.is_some());
            task.is_none_or(|(number, _)| self.is_done_by_now(number))
        })
    }

    /// Links the others, when everything has its content.
    pub(super) fn link_the_rest(&self) -> Result<(), TwoWayError> {
        self.leave_unfetched();
        self.journal.flush()?;
        self.link_all(&|_| true)?;
        self.give_one_time()
    }

    fn roles(&self) -> BTreeMap<usize, Role> {
        lock(&self.roles).by_task.clone()
    }

    fn link_all(&self, is_ready: &dyn Fn(&RelPath) -> bool) -> Result<(), TwoWayError> {
        let mut leaders: BTreeMap<RelPath, Vec<RelPath>> = BTreeMap::new();
        for (number, role) in self.roles() {
            let Role::Link(leader) = role else { continue };
            if !self.is_waiting(number) || !is_ready(&leader) {
                continue;
            }
            let Some(task) = self.tasks.get(number) else { continue };
            if task.before.state.is_directory() {
                self.clear_below(number, &task)?;
            }
            let known = self.journal.known(&leader)?;
            self.carry_out(number, &task, |look| self.link(&task, &leader, known.as_ref(), look).map(Some))?;
            leaders.entry(leader).or_default().push(task.path);
        }
        self.journal.flush()?;
        for (leader, linked) in leaders {
            let there = self.names_there(&leader);
            let all = [leader].into_iter().chain(there).chain(linked);
            all.into_iter().try_for_each(|path| self.look_once_more(path))?;
        }
        self.journal.flush()
    }

    /// Makes what is at a path a file of its own.
    pub(super) fn part(&self, number: usize, task: &Task) -> Result<(), TwoWayError> {
        if !matches!(task.after.state, State::File { .. }) {
            return self.make_node(number, task, None);
        }
        self.carry_out(number, task, |look| {
            let look = look.ok_or(Trouble::Refused(CHANGED))?;
            let (_, dir, name) = self.place(&task.path)?;
            let file = dir.open_file(&name)?;
            if file.stamp() != self.links.hold(&dir, &name)?.look(look).stamp {
                return Err(Trouble::Refused(CHANGED));
            }
            let staged = dir.stage(&name)?;
            staged.copy_all_of(&file)?;
            if !is_as_planned(&staged, &task.after.state)? {
                return Err(Trouble::Refused(CHANGED));
            }
            let at = Place { path: &task.path, dir: &dir, name: &name };
            self.put(&at, task, Some(look), staged).map(Some)
        })
    }

    /// Makes a path another name of the file that has the name `leader`, of which this is known.
    fn link(
        &self,
        task: &Task,
        leader: &RelPath,
        known: Option<&Known>,
        look: Option<&Look>,
    ) -> Result<Done, Trouble> {
        let likeness = |record: &Record| Likeness::of(record, self.in_common());
        let is_like = |known: &&Known| !known.is_unknown && likeness(&known.record) == likeness(&task.after);
        let its_look = known.filter(is_like).and_then(|known| known.look).ok_or(Trouble::Refused(NO_FILE))?;
        let (_, from, from_name) = self.place(leader)?;
        let (_, dir, name) = self.place(&task.path)?;
        let staged = stage_name(&name);
        if let Err(error) = self.give_another_name((&from, &from_name), &its_look, &staged)? {
            return self.copy_instead(task, (&from, &from_name), look, error);
        }
        crash::point("linked in staging");
        let kind = kind(&task.after).unwrap_or(Kind::File);
        let placed = match look {
            None => {
                let at = Slot { dir: &dir, name: &name };
                let moved = Slot { dir: &self.staging, name: &staged }.move_to(at);
                moved
                    .map_err(Trouble::from)
                    .and_then(|stamp| stamp.map(|stamp| (stamp, None)).ok_or_else(|| Trouble::taken(at)))
            }
            Some(look) => {
                self.replace(task, look, kind, |_, _| Ok(())).map(|(stamp, trashed)| (stamp, Some(trashed)))
            }
        };
        let (stamp, trashed) = placed.inspect_err(|_| {
            // What cannot be removed now is cleared by the next run.
            let _ = self.staging.remove(&staged, kind);
        })?;
        self.links.hold_to_link().is_changed(&its_look, None, &from, &from_name);
        Ok(Done { look: Some(self.look(stamp, &task.after)), trashed, ..Done::default() })
    }

    /// Gives a file that looked like this a name in the staging directory. What the file system has against that is
    /// returned.
    fn give_another_name(
        &self,
        (from, from_name): (&WriteDir, &Name),
        look: &Look,
        staged: &Name,
    ) -> Result<Result<(), crate::fs::Error>, Trouble> {
        let mut held = self.links.hold_to_link();
        let expected = held.look(look).stamp;
        if from.stamped(from_name)?.is_none_or(|found| found.stamp != expected) {
            return Err(Trouble::Refused(CHANGED));
        }
        let file = Linkable { dir: from, name: from_name, identity: (expected.dev, expected.ino) };
        match self.staging.link_as(staged, file)? {
            Linked::Made => held.is_changed(look, None, from, from_name),
            Linked::Gone => return Err(Trouble::Refused(CHANGED)),
            Linked::Refused(error) => return Ok(Err(error)),
        }
        Ok(Ok(()))
    }

    /// Makes a copy of what cannot be linked, which is told, and left to be tried again.
    fn copy_instead(
        &self,
        task: &Task,
        (from, from_name): (&WriteDir, &Name),
        look: Option<&Look>,
        error: crate::fs::Error,
    ) -> Result<Done, Trouble> {
        if !matches!(task.after.state, State::File { .. }) {
            return Err(Trouble::Failed(error));
        }
        let (_, dir, name) = self.place(&task.path)?;
        let staged = dir.stage(&name)?;
        staged.copy_all_of(&from.open_file(from_name)?)?;
        if !is_as_planned(&staged, &task.after.state)? {
            return Err(Trouble::Refused(CHANGED));
        }
        let mut done = self.put(&Place { path: &task.path, dir: &dir, name: &name }, task, look, staged)?;
        self.not_set(&task.path)(&error);
        done.unset.insert(Facet::Links, None);
        Ok(done)
    }
}

/// The names that a killed run has given to other files than had them before, with these files.
pub(super) type Moved = BTreeMap<RelPath, InodeId>;

/// Says of names which files they are of, after a run that was killed and may have moved some names of a file and not
/// others: those that it moved to a file have the identity that it has, or a new one, but no edits of it, so that
/// whatever anybody has takes its place. Who said that they still are, or already, what was planned for all of them,
/// would have the next scan find a file that was taken apart, or two that were made one.
pub(super) fn settle_names(
    history: &History,
    moved: &Moved,
    now: &mut Vec<(RelPath, Known)>,
) -> Result<(), TwoWayError> {
    if moved.is_empty() {
        return Ok(());
    }
    let mut identities: BTreeMap<InodeId, Option<FacetSum>> =
        moved.values().map(|inode| (*inode, None)).collect();
    let mut nameless = Vec::new();
    for row in history.snapshot()?.rows()? {
        let (key, known) = row?;
        let Some(inode) = inode(&known).filter(|inode| identities.contains_key(inode)) else { continue };
        let path = history::path(&key)?;
        let register = known.record.extended.get(Facet::Links);
        if moved.contains_key(&path) || register.is_none() || !known.record.state.is_present() {
            continue;
        }
        match known.record.extended.identity() {
            Some(identity) => drop(identities.insert(inode, Some(identity))),
            None => nameless.push((path, inode, known)),
        }
    }
    let unedited = |inode: &InodeId| {
        let sum = Some(identities.get(inode).copied().flatten().unwrap_or_else(|| of_inode(inode)));
        Register { sum, version: Arc::default() }
    };
    for (path, known) in now.iter_mut() {
        if let Some(inode) = moved.get(path) {
            known.record.extended.set(Facet::Links, unedited(inode));
        }
    }
    for (path, inode, mut known) in nameless {
        match now.iter_mut().find(|(found, _)| *found == path) {
            Some((_, known)) => known.record.extended.set(Facet::Links, unedited(&inode)),
            None => {
                known.record.extended.set(Facet::Links, unedited(&inode));
                now.push((path, known));
            }
        }
    }
    Ok(())
}

/// An identity that nobody else has for a file of this system.
fn of_inode((device, inode): &InodeId) -> FacetSum {
    let mut hasher = blake3::Hasher::new_derive_key(PURPOSE);
    hasher.update(&device.to_le_bytes());
    hasher.update(&inode.to_le_bytes());
    let mut identity = [0; 16];
    hasher.finalize_xof().fill(&mut identity);
    FacetSum(identity)
}

/// The file that is known to have a name.
pub(super) fn inode(known: &Known) -> Option<InodeId> {
    known.look.map(|look| look.stamp.inode())
}
