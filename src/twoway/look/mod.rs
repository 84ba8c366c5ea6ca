//! Looking back: what a replica holds that partners have not seen, what runs did on it, and putting that back.
//!
//! Called by the command line, for one replica on this machine; no partner takes part. Looking leaves everything on the
//! disk as it is ([`Glance`]); `undo` and emptying the trash need the replica for
//! themselves ([`Hold`]).

mod compare;
pub mod status;
pub mod undo;

use crate::fs::{Links, Root};
use crate::twoway::TwoWayError;
use crate::twoway::carry;
use crate::twoway::history::{History, Origin};
use crate::twoway::record::Modes;
use crate::twoway::replica::{ReadReplica, Replica};
use crate::twoway::trash::{self, Trashed};
use std::ffi::OsStr;

/// A replica that is only looked at.
#[derive(Debug)]
pub struct Glance {
    replica: ReadReplica,
    history: History,
    origin: Origin,
}

/// A replica that is changed.
#[derive(Debug)]
pub struct Hold {
    replica: Replica,
    history: History,
}

fn root(path: &OsStr) -> Result<Root, TwoWayError> {
    Root::open(path, Links::Trusted).map_err(TwoWayError::at(path.to_string_lossy()))
}

impl Glance {
    /// Looks at the replica at a path that the user named; `None` if the directory there is none.
    ///
    /// # Errors
    /// There is no directory, a run has the replica, or it cannot be read.
    pub fn open(path: &OsStr) -> Result<Option<Glance>, TwoWayError> {
        let root = root(path)?.read_only();
        let Some(replica) = Replica::look(root.dir())? else { return Ok(None) };
        let (history, origin) = History::open_to_look(replica.history_file()?, root.dir())?;
        Ok(Some(Glance { replica, history, origin }))
    }

    /// What it remembers.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Finds out what the last run did, if it was killed before it could say that in its log.
    ///
    /// # Errors
    /// Those of reading.
    pub fn catch_up(&mut self) -> Result<(), TwoWayError> {
        carry::recover_to_look(&self.replica, &mut self.history, Modes::Whole).map(drop)
    }

    /// What it has in the trash, by the number of the run.
    ///
    /// # Errors
    /// The trash cannot be listed.
    pub fn trash(&self) -> Result<Vec<Trashed>, TwoWayError> {
        self.replica.all_trash()?.map_or(Ok(Vec::new()), |all| trash::list(&all))
    }
}

impl Hold {
    /// Opens the replica at a path that the user named; `None` if the directory there is none, and it does not become
    /// one. What a killed run left is taken over first, so that its log says all that it did, and nothing that is only
    /// in its trash is taken for rubbish.
    ///
    /// # Errors
    /// There is no directory, another run has the replica, or it cannot be opened.
    pub fn open(path: &OsStr) -> Result<Option<Hold>, TwoWayError> {
        let root = root(path)?;
        let Some(dir) = root.writable() else { return Ok(None) };
        if !Replica::is_at(&dir)? {
            return Ok(None);
        }
        let replica = Replica::open(&dir)?;
        let (mut history, _) = replica.history()?;
        carry::recover(&replica, &mut history, Modes::Whole)?;
        Ok(Some(Hold { replica, history }))
    }

    /// The replica.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// What it remembers.
    pub fn history(&self) -> &History {
        &self.history
    }
}

#[cfg(test)]
mod tests;
