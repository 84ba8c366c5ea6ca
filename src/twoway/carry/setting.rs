//! What is known of an entry while ACLs and extended attributes are set where it is, which takes several steps.
//!
//! A run that is killed between two of them leaves attributes that are neither those of before nor those that are
//! intended, of which the history has sums only. So before the first step it is written down, in the staging directory,
//! what the entry had and what it gets; whoever [recovers](super::recover()) can tell then what is half set from what
//! somebody else has set since.

use crate::fs::{Dir, Error, WriteDir, WriteFile};
use crate::tree::{Kind, Name, RelPath};
use crate::twoway::carry::lock;
use crate::twoway::facet::{Facet, Value, Wanted};
use crate::twoway::text;
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Mutex;

/// The name of the file.
const NAME: &str = "setting";

const NOTING: &str = "noting what is set in";

/// The longest note, in bytes: three facets before and after, and a path.
const LONGEST: u64 = 16 << 20;

/// Where it is written down. One entry at a time is set where it is.
pub(super) struct Setting {
    staging: WriteDir,
    file: Mutex<Option<WriteFile>>,
}

/// An entry that is being set.
#[derive(Serialize, Deserialize)]
struct Note {
    #[serde(with = "text::path")]
    path: RelPath,
    /// Of each facet what it had and what it gets.
    facets: Vec<(Facet, Vec<u8>, Vec<u8>)>,
}

/// What was being set when a run was killed, if anything was.
#[derive(Default)]
pub(super) struct HalfSet(Option<Note>);

impl Setting {
    pub(super) fn new(staging: WriteDir) -> Setting {
        Setting { staging, file: Mutex::default() }
    }

    /// Writes down what an entry has and is going to get.
    pub(super) fn begin(&self, path: &RelPath, has: &Wanted, gets: &Wanted) -> Result<(), Error> {
        let both =
            |(facet, value): (Facet, &Value)| has.get(facet).map(|has| (facet, has.encode(), value.encode()));
        let note = Note { path: path.clone(), facets: gets.iter().filter_map(both).collect() };
        let bytes = postcard::to_stdvec(&note).map_err(|error| failed(io::Error::other(error)))?;
        let mut file = lock(&self.file);
        if file.is_none() {
            *file = Some(self.staging.open_in_place(&name()?)?);
        }
        file.as_ref().map_or(Ok(()), |file| file.write_at(&bytes, 0))
    }

    /// It has got it.
    pub(super) fn done(&self) -> Result<(), Error> {
        lock(&self.file).as_ref().map_or(Ok(()), |file| file.set_len(0))
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        if lock(&self.file).take().is_some()
            && let Ok(name) = name()
        {
            // What cannot be removed now is cleared by the next run.
            let _ = self.staging.remove(&name, Kind::File);
        }
    }
}

impl HalfSet {
    /// Reads what a run left in its staging directory. What cannot be read was never written as a whole, and then
    /// nothing was set.
    pub(super) fn left_in(staging: &Dir) -> HalfSet {
        let read = || {
            let file = staging.open_file(&name().ok()?).ok()?;
            let len = usize::try_from(file.len().min(LONGEST)).ok()?;
            let mut bytes = vec![0; len];
            let read = file.read_full_at(&mut bytes, 0).ok()?;
            postcard::from_bytes(bytes.get(..read)?).ok()
        };
        HalfSet(read())
    }

    /// Whether an entry that has this now was being set.
    pub(super) fn is(&self, path: &RelPath, facet: Facet, now: &Value) -> bool {
        let Some(note) = self.0.as_ref().filter(|note| note.path == *path) else { return false };
        note.facets.iter().filter(|(of, ..)| *of == facet).any(|(_, had, gets)| {
            let decoded = |bytes| Value::decode(facet, bytes).ok();
            decoded(had).zip(decoded(gets)).is_some_and(|(had, gets)| now.is_between(&had, &gets))
        })
    }
}

fn name() -> Result<Name, Error> {
    Name::new(NAME).map_err(|error| failed(io::Error::other(error)))
}

fn failed(source: io::Error) -> Error {
    Error { doing: NOTING, source }
}
