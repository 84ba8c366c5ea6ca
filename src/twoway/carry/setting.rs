//! What is known of an entry while ACLs and extended attributes are set where it is, which takes several steps.
//!
//! A run that is killed between two of them leaves attributes that are neither those of before nor those that are
//! intended, of which the history has sums only. So before the first step it is written down, in the staging directory,
//! what the entry had and what it gets; whoever [recovers](super::recover()) can tell then what is half set from what
//! somebody else has set since. These notes stay until the log has what they say, since of a run that is killed before
//! nothing else tells what the entries had.

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

/// Bytes of notes after which they are to be dropped.
const MANY: u64 = 1 << 20;

/// Where it is written down. One entry at a time is set where it is.
pub(super) struct Setting {
    staging: WriteDir,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    file: Option<WriteFile>,
    end: u64,
}

/// An entry that is being set, or was.
#[derive(Serialize, Deserialize)]
struct Note {
    #[serde(with = "text::path")]
    path: RelPath,
    /// Of each facet what it had and what it gets.
    facets: Vec<(Facet, Vec<u8>, Vec<u8>)>,
}

/// What was being set when a run was killed, and what it had set before.
#[derive(Default)]
pub(super) struct HalfSet(Vec<Note>);

impl Setting {
    pub(super) fn new(staging: WriteDir) -> Setting {
        Setting { staging, notes: Mutex::default() }
    }

    /// Writes down what an entry has and is going to get.
    pub(super) fn begin(&self, path: &RelPath, has: &Wanted, gets: &Wanted) -> Result<(), Error> {
        let both =
            |(facet, value): (Facet, &Value)| has.get(facet).map(|has| (facet, has.encode(), value.encode()));
        let note = Note { path: path.clone(), facets: gets.iter().filter_map(both).collect() };
        let bytes = postcard::to_stdvec(&note).map_err(|error| failed(io::Error::other(error)))?;
        let mut notes = lock(&self.notes);
        let file = match notes.file.take() {
            Some(file) => file,
            None => self.staging.open_in_place(&name()?)?,
        };
        let at = notes.end;
        notes.file.insert(file).write_at(&bytes, at)?;
        notes.end = notes.end.saturating_add(bytes.len() as u64);
        Ok(())
    }

    /// Whether there are so many notes that those which the log has are to be dropped.
    pub(super) fn has_many(&self) -> bool {
        lock(&self.notes).end > MANY
    }

    /// Drops all notes.
    pub(super) fn drop_notes(&self) -> Result<(), Error> {
        let mut notes = lock(&self.notes);
        notes.end = 0;
        notes.file.as_ref().map_or(Ok(()), |file| file.set_len(0))
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        if lock(&self.notes).file.take().is_some()
            && let Ok(name) = name()
        {
            // What cannot be removed now is cleared by the next run.
            let _ = self.staging.remove(&name, Kind::File);
        }
    }
}

impl HalfSet {
    /// Reads what a run left in its staging directory. What cannot be read was never written as a whole, and then
    /// nothing was set of it.
    pub(super) fn left_in(staging: &Dir) -> HalfSet {
        let read = || {
            let file = staging.open_file(&name().ok()?).ok()?;
            let len = usize::try_from(file.len().min(MANY.saturating_add(LONGEST))).ok()?;
            let mut bytes = vec![0; len];
            let read = file.read_full_at(&mut bytes, 0).ok()?;
            let (mut notes, mut rest) = (Vec::new(), bytes.get(..read)?);
            while let Ok((note, after)) = postcard::take_from_bytes(rest) {
                notes.push(note);
                rest = after;
            }
            Some(notes)
        };
        HalfSet(read().unwrap_or_default())
    }

    /// What entries had before they were set.
    pub(super) fn replaced(&self) -> impl Iterator<Item = (Facet, Value)> {
        let facets = self.0.iter().flat_map(|note| &note.facets);
        facets.filter_map(|(facet, had, _)| Some((*facet, Value::decode(*facet, had).ok()?)))
    }

    /// Whether an entry that has this now was being set.
    pub(super) fn is(&self, path: &RelPath, facet: Facet, now: &Value) -> bool {
        let Some(note) = self.0.iter().rev().find(|note| note.path == *path) else { return false };
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
