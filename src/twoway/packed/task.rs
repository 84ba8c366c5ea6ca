//! Tasks: as the follower is told them, and as it keeps them.

use crate::pass::OwnerMap;
use crate::tree::{Gid, Name, RelPath, Uid};
use crate::twoway::exchange::Garbled;
use crate::twoway::facet::{Extended, Facet, FacetSum, Register};
use crate::twoway::history::{Stored, Time};
use crate::twoway::packed::batch::{PackedFacets, check};
use crate::twoway::packed::owners::translate;
use crate::twoway::packed::step::{pack_each_once, unpack_each};
use crate::twoway::packed::{Batch, Packable, PackedRecord, Packing, Versions};
use crate::twoway::reconcile::{Change, Why};
use crate::twoway::record::{Attributes, Record};
use crate::twoway::task::Task;
use serde::{Deserialize, Serialize};

/// A task without its path, told to who knows what is there before it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PackedTask {
    why: Why,
    there: Option<Change>,
    renamed_from: Option<RelPath>,
    /// `None`: as it is.
    state: Option<Stored>,
    mode: Option<u32>,
    user: Option<Option<Uid>>,
    group: Option<Option<Gid>>,
    mtime: Option<Time>,
    content: u32,
    meta: u32,
    extended: Option<PackedFacets>,
    /// Whether the ACLs among them are those that are there, as far as who tells knows.
    acls_stay: bool,
    occupied: bool,
}

/// A task without its path.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeptTask {
    why: Why,
    there: Option<Change>,
    /// Each record once.
    records: Vec<PackedRecord>,
    /// Which it is before and after.
    which: [u8; 2],
    renamed_from: Option<RelPath>,
    at_hand: Option<Name>,
}

/// What is known of ACLs.
fn acls(extended: &Extended) -> Option<Option<FacetSum>> {
    extended.get(Facet::Acls).map(|register| register.sum)
}

impl Packing<PackedTask> {
    /// Adds a task. An owner, or an ACL, is told only where it is to be another than before, since the one before may be
    /// told of by a number that leads back to somebody else.
    pub fn task(&mut self, task: &Task) {
        let Task { before, after, .. } = task;
        let (had, gets) = (&before.attributes, &after.attributes);
        let is_made = !before.state.is_present();
        let user = (is_made || had.owner.0 != gets.owner.0).then_some(gets.owner.0);
        let group = (is_made || had.owner.1 != gets.owner.1).then_some(gets.owner.1);
        self.owners((user.flatten(), group.flatten()));
        let packed = PackedTask {
            why: task.why.clone(),
            there: task.there,
            renamed_from: task.renamed_from.clone(),
            state: (before.state != after.state).then(|| Stored::from(&after.state)),
            mode: (had.mode != gets.mode).then_some(gets.mode),
            user,
            group,
            mtime: (before.mtime != after.mtime).then(|| after.mtime.into()),
            content: self.version(&after.content),
            meta: self.version(&after.meta),
            extended: (before.extended != after.extended).then(|| self.facets(&after.extended)),
            acls_stay: acls(&before.extended) == acls(&after.extended),
            occupied: after.occupied,
        };
        self.add(&task.path, packed);
    }
}

impl Batch<PackedTask> {
    /// The tasks, for who knows what is there before them, with the numbers that owners have here.
    pub(crate) fn tasks<E: From<Garbled>>(
        self,
        owners: &OwnerMap,
        mut before: impl FnMut(&RelPath) -> Result<Record, E>,
    ) -> Result<Vec<Task>, E> {
        let versions = self.versions()?;
        let heard = self.learn(owners)?;
        let mut packed = Vec::with_capacity(self.len());
        self.hear(|path, task| {
            packed.push((path, task));
            Ok(())
        })?;
        let task = |(path, task): (RelPath, PackedTask)| {
            let before = before(&path)?;
            let state = match task.state {
                Some(state) => state.read().map_err(|_| Garbled("an impossible state"))?,
                None => before.state.clone(),
            };
            let Attributes { mode, owner: (user, group) } = before.attributes;
            let (new_user, new_group) = translate((task.user.flatten(), task.group.flatten()), owners);
            let attributes = Attributes {
                mode: task.mode.unwrap_or(mode),
                owner: (task.user.map_or(user, |_| new_user), task.group.map_or(group, |_| new_group)),
            };
            let after = Record {
                state,
                attributes,
                mtime: task.mtime.map_or(before.mtime, Into::into),
                content: versions.get(task.content)?,
                meta: versions.get(task.meta)?,
                extended: match task.extended {
                    Some(told) => {
                        let mut extended = versions.facets(told)?;
                        heard.translate(&mut extended);
                        match extended.get(Facet::Acls).cloned().zip(acls(&before.extended)) {
                            Some((told, sum)) if task.acls_stay => {
                                extended.set(Facet::Acls, Register { sum, ..told });
                            }
                            _ => {}
                        }
                        extended
                    }
                    None => before.extended.clone(),
                },
                occupied: task.occupied,
            };
            check(&after)?;
            let (there, renamed_from) = (task.there, task.renamed_from);
            Ok(Task { there, renamed_from, ..Task::between(path, task.why, before, after) })
        };
        packed.into_iter().map(task).collect()
    }
}

impl Packable for Task {
    type Packed = KeptTask;

    fn path(&self) -> &RelPath {
        &self.path
    }

    fn pack(&self, packing: &mut Packing<KeptTask>) -> KeptTask {
        let (records, which) = pack_each_once([&self.before, &self.after], packing);
        KeptTask {
            why: self.why.clone(),
            there: self.there,
            records,
            which,
            renamed_from: self.renamed_from.clone(),
            at_hand: self.at_hand.clone(),
        }
    }

    fn unpack(path: RelPath, packed: KeptTask, versions: &Versions) -> Result<Task, Garbled> {
        let KeptTask { why, there, records, which, renamed_from, at_hand } = packed;
        let [before, after] = unpack_each(records, which, versions)?;
        Ok(Task { there, renamed_from, at_hand, ..Task::between(path, why, before?, after?) })
    }
}
