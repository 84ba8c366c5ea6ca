//! Which names are to be one file: of all names with one identity those whose contents and attributes are the same, too.
//!
//! The side that makes a plan asks that to say what there is to be done, and each replica does when it carries it out:
//! the answer depends on nothing but what is known of the names before and after.

use crate::tree::{Gid, InodeId, RelPath, Uid};
use crate::twoway::facet::{Facet, FacetSum};
use crate::twoway::record::{Record, Shared, State};
use filetime::FileTime;
use std::collections::{BTreeMap, HashMap};

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
    pub by_task: BTreeMap<usize, Role>,
    /// By the name that leads the others of its file.
    pub files: BTreeMap<RelPath, File>,
}

/// Names that are to be one file.
#[derive(Debug, Default)]
pub(super) struct File {
    /// The tasks that make others of the leader's.
    pub linked: Vec<usize>,
    /// The others that lead to it already.
    pub there: Vec<RelPath>,
    /// What time of modification it gets: that of the latest, if they are to have several.
    pub mtime: Option<FileTime>,
}

/// A name of a file that has several, or is to have.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub path: RelPath,
    /// What is to be done to it, if anything is.
    pub task: Option<usize>,
    /// Which file has its content already.
    pub inode: Option<InodeId>,
    /// What is to be one file with it; `None` if nothing is.
    pub likeness: Option<Likeness>,
    pub mtime: FileTime,
}

/// What is the same of names that are to be one file. They get one time of modification, whichever each was to have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Likeness {
    identity: FacetSum,
    state: State,
    mode: u32,
    owner: (Option<Uid>, Option<Gid>),
    sums: Vec<(Facet, Option<FacetSum>)>,
}

/// What names that are to be one file have to have in common, apart from their identity and content.
#[derive(Debug, Clone, Copy)]
pub(super) struct InCommon {
    /// Which attributes are kept alike, but for owners.
    pub shared: Shared,
    /// Whether owners are.
    pub owner: bool,
    /// Whether groups are.
    pub group: bool,
}

impl Likeness {
    /// What the names have in common that are one file with what this is known of; `None` if it stands alone.
    pub(super) fn of(record: &Record, in_common: InCommon) -> Option<Likeness> {
        let InCommon { shared, owner, group } = in_common;
        let (user, its_group) = record.attributes.owner;
        let sums = record.extended.only(shared.facets.attributes());
        Some(Likeness {
            identity: record.extended.identity()?,
            state: record.state.clone(),
            mode: shared.modes.taken(0o600, record.attributes.mode, record.state.kind()),
            owner: (user.filter(|_| owner), its_group.filter(|_| group)),
            sums: sums.iter().map(|(facet, register)| (facet, register.sum)).collect(),
        })
    }

    /// The identity that they have.
    pub(super) fn identity(&self) -> FacetSum {
        self.identity
    }
}

/// What becomes of the names of files, which come in the order of a walk: those that are to be one file, of which none
/// is to be anything else.
pub(super) fn roles(members: &[Member]) -> Roles {
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
