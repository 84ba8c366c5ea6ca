//! The file of a history as the database uses it.
//!
//! The database could lock it itself. It does not: the replica has a lock, which is held as long as its history is
//! open, and of two locks that a process leaves when it ends, one is free before the other.

use crate::twoway::crash;
use redb::StorageBackend;
use redb::backends::FileBackend;
use std::io::Result;

#[derive(Debug)]
pub(super) struct Unlocked {
    pub file: FileBackend,
    /// Whether it was empty: then what is written comes by the points at which a test may kill a run.
    pub is_begun: bool,
}

impl StorageBackend for Unlocked {
    fn len(&self) -> Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len)?;
        if self.is_begun {
            crash::point("history resized");
        }
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        self.file.sync_data()?;
        if self.is_begun {
            crash::point("history synced");
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.file.write(offset, data)
    }

    fn close(&self) -> Result<()> {
        self.file.close()
    }
}
