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
use crate::twoway::carry::copy::{copy_into, is_as_planned};
use crate::twoway::carry::{CHANGED, Carrier, Done, NO_FILE, Trouble, kind, lock};
use crate::twoway::crash;
use crate::twoway::facet::{Facet, FacetSum, Register};
use crate::twoway::history::{self, History, Known, Look};
use crate::twoway::reconcile::{Change, Why};
use crate::twoway::record::{Record, State};
use crate::twoway::task::Task;
use filetime::FileTime;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What identities begin with that are made up for the time until the next run.
const PURPOSE: &str = "dsync 2026 identity of a file that a killed run has left";

/// What becomes of a name that has a task, where it does not go its own way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// It becomes another name of the file that has this one.
    Link(RelPath),
    /// It becomes a file of its own, with the content it has.
    Apart,
}

/// What becomes of the names of files that have several, or are to have.
#[derive(Debug, Default)]
pub(super) struct Roles {
    /// By the number of the task.
    pub(super) by_task: BTreeMap<usize, Role>,
    /// By the name that leads the others of its file.
    pub(super) files: BTreeMap<RelPath, File>,
}

/// Names that are to be one file.
#[derive(Debug, Default)]
pub(super) struct File {
    /// The tasks that make others of the leader's.
    pub(super) linked: Vec<usize>,
    /// The others that lead to it already.
    pub(super) there: Vec<RelPath>,
    /// What time of modification it gets: that of the latest, if they are to have several.
    pub(super) mtime: Option<FileTime>,
}

/// A name of a file that has several, or is to have.
#[derive(Debug, Clone)]
struct Member {
    path: RelPath,
    /// What is to be done to it, if anything is.
    task: Option<usize>,
    /// Which file has its content already.
    inode: Option<InodeId>,
    /// What is to be one file with it; `None` if nothing is.
    likeness: Option<Likeness>,
    mtime: FileTime,
}

/// What is the same of names that are to be one file. They get one time of modification, whichever each was to have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Likeness {
    identity: FacetSum,
    state: State,
    mode: u32,
    owner: (Option<u32>, Option<u32>),
    sums: Vec<(Facet, Option<FacetSum>)>,
}

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
        for (number, task) in self.tasks.such(|outline| outline.here.is_some() && outline.is_named) {
            changed.insert(task.path.clone());
            identities.extend(task.before.extended.identity());
            identities.extend(task.after.extended.identity());
            let is_merged = task.at_hand.is_some();
            if !self.is_waiting(number) || is_merged || matches!(task.why, Why::CopyOf(_)) {
                continue;
            }
            let inode = match task.here {
                Some(Change::Adjust) => self.journal.known(&task.path)?.and_then(|known| inode(&known)),
                Some(Change::Create | Change::Update | Change::Replace) => None,
                _ => continue,
            };
            let likeness = self.likeness(&task.after);
            let mtime = task.after.mtime;
            members.push(Member { path: task.path, task: Some(number), inode, likeness, mtime });
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
                let (inode, likeness) = (inode(&known), self.likeness(&known.record));
                members.push(Member { path, task: None, inode, likeness, mtime: known.record.mtime });
            }
        }
        members.sort_by(|one, other| one.path.walk_order(&other.path));
        *lock(&self.roles) = roles(&members);
        Ok(())
    }

    fn likeness(&self, record: &Record) -> Option<Likeness> {
        let shared = self.settings.shared;
        let (user, group) = record.attributes.owner;
        let sums = record.extended.only(shared.facets.attributes());
        Some(Likeness {
            identity: record.extended.identity()?,
            state: record.state.clone(),
            mode: shared.modes.taken(0o600, record.attributes.mode, kind(record)),
            owner: (user.filter(|_| self.settings.owner), group.filter(|_| self.settings.group)),
            sums: sums.iter().map(|(facet, register)| (facet, register.sum)).collect(),
        })
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
            copy_into(&staged, &file)?;
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
        let is_like =
            |known: &&Known| !known.is_unknown && self.likeness(&known.record) == self.likeness(&task.after);
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
        copy_into(&staged, &from.open_file(from_name)?)?;
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

/// What becomes of the names of files, which come in the order of a walk: those that are to be one file, of which none
/// is to be anything else.
fn roles(members: &[Member]) -> Roles {
    let mut roles = Roles::default();
    let files = files(members);
    // Who keeps what is there: what stays as it is, or else who comes first.
    let mut kept: HashMap<InodeId, (bool, usize)> = HashMap::new();
    for (number, file) in files.iter().enumerate() {
        for member in file {
            let Some(inode) = member.inode else { continue };
            let claim = (member.task.is_some(), number);
            let best = kept.entry(inode).or_insert(claim);
            *best = (*best).min(claim);
        }
    }
    for (number, file) in files.iter().enumerate() {
        let keeps = |member: &&&Member| {
            member.inode.and_then(|inode| kept.get(&inode)).is_some_and(|(_, keeper)| *keeper == number)
        };
        let leader = file.iter().filter(keeps).min_by_key(|member| member.task.is_some());
        let is_parted = leader.is_none();
        let leader = leader.or_else(|| file.iter().find(|member| member.inode.is_some()));
        let Some(leader) = leader.or_else(|| file.first()) else { continue };
        let (mut linked, mut there) = (Vec::new(), Vec::new());
        for member in file {
            let is_leader = member.path == leader.path;
            let is_there = !is_parted && member.inode.is_some() && member.inode == leader.inode;
            let role = match (is_leader, is_there) {
                (true, _) => (is_parted && leader.inode.is_some()).then_some(Role::Apart),
                (false, true) => None,
                (false, false) => Some(Role::Link(leader.path.clone())),
            };
            if let (Some(task), Some(role)) = (member.task, &role) {
                roles.by_task.insert(task, role.clone());
            }
            if !is_leader && is_there {
                there.push(member.path.clone());
            } else if !is_leader {
                linked.extend(member.task);
            }
        }
        let latest = file.iter().map(|member| member.mtime).max();
        let mtime = latest.filter(|latest| file.iter().any(|member| member.mtime != *latest));
        if file.len() > 1 {
            roles.files.insert(leader.path.clone(), File { linked, there, mtime });
        }
    }
    roles
}

/// The members by what is to be one file.
fn files(members: &[Member]) -> Vec<Vec<&Member>> {
    let mut files: Vec<Vec<&Member>> = Vec::new();
    let mut places: HashMap<&Likeness, usize> = HashMap::new();
    for member in members {
        let place = member.likeness.as_ref().and_then(|likeness| places.get(likeness)).copied();
        match place.and_then(|place| files.get_mut(place)) {
            Some(file) => file.push(member),
            None => {
                places.extend(member.likeness.as_ref().map(|likeness| (likeness, files.len())));
                files.push(vec![member]);
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twoway::record::ContentSum;
    use proptest::prelude::*;

    fn likeness(identity: u8) -> Likeness {
        Likeness {
            identity: FacetSum([identity; 16]),
            state: State::File { sum: ContentSum([0; 32]), size: 0 },
            mode: 0o644,
            owner: (None, None),
            sums: Vec::new(),
        }
    }

    /// What is done to a name, the file it is one of, and what it is to be one with. What stays was found by a scan, so
    /// of its identity it has all.
    fn a_name() -> impl Strategy<Value = (bool, Option<u64>, Option<u8>)> {
        prop_oneof![
            (0..3_u8).prop_map(|file| (false, Some(u64::from(file)), Some(file))),
            (proptest::option::of(0..3_u64), proptest::option::of(0..5_u8))
                .prop_map(|(file, identity)| (true, file, identity)),
        ]
    }

    proptest! {
        /// In the end those names are one file that are to be, and nothing is done to what stays.
        #[test]
        fn names_become_one_that_are_to_be(all in proptest::collection::vec(a_name(), 0..9)) {
            let member = |(place, (has_task, file, identity)): (usize, &(bool, Option<u64>, Option<u8>))| Member {
                path: RelPath::new(format!("{place}").as_bytes()).unwrap(),
                task: has_task.then_some(place),
                inode: file.map(|file| (1, file)),
                likeness: identity.map(likeness),
                mtime: FileTime::zero(),
            };
            let members: Vec<Member> = all.iter().enumerate().map(member).collect();
            let roles = roles(&members).by_task;
            // Files that are made have numbers of their own.
            let own = |place: usize| match roles.get(&place) {
                None => members[place].inode.unwrap_or((2, place as u64)),
                Some(_) => (2, place as u64),
            };
            let file = |place: usize| match roles.get(&place) {
                Some(Role::Link(leader)) => {
                    let leader = members.iter().position(|member| member.path == *leader).unwrap();
                    assert!(!matches!(roles.get(&leader), Some(Role::Link(_))));
                    own(leader)
                }
                _ => own(place),
            };
            for place in 0..members.len() {
                prop_assert!(all[place].0 || !roles.contains_key(&place));
                for other in place + 1..members.len() {
                    let are_one = members[place].likeness.is_some()
                        && members[place].likeness == members[other].likeness;
                    prop_assert_eq!(file(place) == file(other), are_one, "{} {} {:?}", place, other, roles);
                }
            }
        }
    }
}
