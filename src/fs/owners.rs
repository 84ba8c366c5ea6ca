//! Users and groups of this host: numbers to names and back, and who this process is.
//!
//! A name or number that is not found is `None` and never a number, so nothing goes to root for want of an answer.
//! Names come from a peer, so those that no system has are refused before the name service sees them.

use crate::fs::Error;
use crate::tree::{Gid, Uid};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::hash::Hash;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, PoisonError};

/// Answers kept of each kind. A tree with more owners, or a peer that sends ever new names, starts anew.
const KEPT: usize = 16_384;

/// The longest name asked for, in bytes; Linux's LOGIN_NAME_MAX, NUL included.
const LONGEST_NAME: usize = 256;

/// What this host answers about users and groups. Each question is asked once. Shared by threads.
#[derive(Debug)]
pub struct Owners {
    effective_user: Uid,
    effective_group: Gid,
    /// Whether what only root may is tried, where somebody said.
    tries: Option<bool>,
    groups: Vec<Gid>,
    user_names: Answers<Uid, Vec<u8>>,
    group_names: Answers<Gid, Vec<u8>>,
    user_ids: Answers<Vec<u8>, Uid>,
    group_ids: Answers<Vec<u8>, Gid>,
}

impl Owners {
    /// Learns who this process is.
    pub fn new() -> Result<Owners, Error> {
        let mut groups =
            rustix::process::getgroups().map_err(Error::when("reading the groups of this process"))?;
        groups.push(rustix::process::getegid());
        Ok(Owners {
            effective_user: effective_user(),
            effective_group: Gid(rustix::process::getegid().as_raw()),
            tries: None,
            groups: groups.into_iter().map(|group| Gid(group.as_raw())).collect(),
            user_names: Answers::default(),
            group_names: Answers::default(),
            user_ids: Answers::default(),
            group_ids: Answers::default(),
        })
    }

    /// The same for who tries what only root may, or does not, whoever he is.
    pub fn trying(self, tries: Option<bool>) -> Owners {
        Owners { tries, ..self }
    }

    /// Whether this process tries what only root may: to set any owner, and to make devices.
    pub fn is_super(&self) -> bool {
        self.tries.unwrap_or(self.is_root())
    }

    /// The user this process acts as.
    pub fn effective_user(&self) -> Uid {
        self.effective_user
    }

    /// The group that files get which this process makes, if their directory does not give them another.
    pub fn effective_group(&self) -> Gid {
        self.effective_group
    }

    /// Whether this process may do everything.
    pub fn is_root(&self) -> bool {
        self.effective_user == Uid::ROOT
    }

    /// Whether this process belongs to the group, and so may give it to its own files.
    pub fn in_group(&self, group: Gid) -> bool {
        self.groups.contains(&group)
    }

    /// The name of a user, if there is one fit to be sent.
    pub fn user_name(&self, user: Uid) -> Option<Vec<u8>> {
        self.user_names.get(user, |&Uid(user)| sendable(uzers::get_user_by_uid(user)?.name()))
    }

    /// The name of a group, if there is one fit to be sent.
    pub fn group_name(&self, group: Gid) -> Option<Vec<u8>> {
        self.group_names.get(group, |&Gid(group)| sendable(uzers::get_group_by_gid(group)?.name()))
    }

    /// The number of the user of that name, `None` if there is none. A name that cannot be one is an error.
    pub fn user_id(&self, name: &[u8]) -> Result<Option<Uid>, Error> {
        check(name, "looking up user")?;
        let ask = |name: &Vec<u8>| Some(Uid(uzers::get_user_by_name(OsStr::from_bytes(name))?.uid()));
        Ok(self.user_ids.get(name.to_vec(), ask))
    }

    /// The number of the group of that name, `None` if there is none. A name that cannot be one is an error.
    pub fn group_id(&self, name: &[u8]) -> Result<Option<Gid>, Error> {
        check(name, "looking up group")?;
        let ask = |name: &Vec<u8>| Some(Gid(uzers::get_group_by_name(OsStr::from_bytes(name))?.gid()));
        Ok(self.group_ids.get(name.to_vec(), ask))
    }
}

/// The user this process acts as.
pub fn effective_user() -> Uid {
    Uid(rustix::process::geteuid().as_raw())
}

fn sendable(name: &OsStr) -> Option<Vec<u8>> {
    is_name(name.as_bytes()).then(|| name.as_bytes().to_vec())
}

fn is_name(name: &[u8]) -> bool {
    (1..LONGEST_NAME).contains(&name.len()) && !name.iter().any(|b| b.is_ascii_control() || *b == b':')
}

fn check(name: &[u8], doing: &'static str) -> Result<(), Error> {
    if is_name(name) {
        return Ok(());
    }
    Err(Error::refused(
        doing,
        io::ErrorKind::InvalidInput,
        "the name is empty, too long or holds control characters",
    ))
}

/// What was answered before.
#[derive(Debug)]
struct Answers<K, V>(Mutex<HashMap<K, Option<V>>>);

impl<K, V> Default for Answers<K, V> {
    fn default() -> Self {
        Answers(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Answers<K, V> {
    /// The answer kept, or that of `ask`. The name service is asked with the lock released, as it may take seconds.
    fn get(&self, question: K, ask: impl FnOnce(&K) -> Option<V>) -> Option<V> {
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&question) {
            return known.clone();
        }
        let answer = ask(&question);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(question, answer.clone());
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_both_ways_and_nobody_else_is_root() {
        let owners = Owners::new().unwrap();
        for _ in 0..2 {
            assert_eq!(owners.user_name(Uid::ROOT).unwrap(), b"root");
            assert_eq!(owners.user_id(b"root").unwrap(), Some(Uid::ROOT));
            assert_eq!(owners.user_id(b"no-such-user-here").unwrap(), None);
            assert_eq!(owners.group_id(b"no-such-group-here").unwrap(), None);
            assert_eq!(owners.user_name(Uid(u32::MAX - 7)), None);
            assert_eq!(owners.group_name(Gid(u32::MAX - 7)), None);
        }
        let group = owners.group_name(Gid::ROOT).unwrap();
        assert_eq!(owners.group_id(&group).unwrap(), Some(Gid::ROOT));
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        let owners = Owners::new().unwrap();
        for bad in [&b""[..], b"ro\0ot", b"root\n", b"\x1b[2J", b"root:x", &[b'r'; 256]] {
            assert_eq!(owners.user_id(bad).unwrap_err().kind(), io::ErrorKind::InvalidInput);
            assert!(owners.group_id(bad).is_err());
        }
    }

    #[test]
    fn a_process_is_in_its_own_group() {
        let owners = Owners::new().unwrap();
        assert!(owners.in_group(Gid(rustix::process::getegid().as_raw())));
        assert!(!owners.in_group(Gid(u32::MAX - 7)));
        assert_eq!(owners.is_root(), owners.effective_user() == Uid::ROOT);
    }

    #[test]
    fn answers_stay_bounded() {
        let answers: Answers<usize, usize> = Answers::default();
        for question in 0..KEPT * 2 + 3 {
            assert_eq!(answers.get(question, |&q| Some(q)), Some(question));
        }
        assert!(answers.0.lock().unwrap().len() <= KEPT);
        assert_eq!(answers.get(KEPT * 2, |_| None), Some(KEPT * 2));
    }
}
