//! The attributes that the other side has told, until they are set: in a file of the staging directory, as there may be
//! more of them than memory has room for. Each is there once, by its sum, however many entries are to get it.

use crate::fs::{Error, WriteDir, WriteFile};
use crate::tree::{Kind, Name};
use crate::twoway::facet::{Facet, FacetSum, Value};
use std::collections::HashMap;
use std::io;

/// The name of the file.
const NAME: &str = "attributes";

const KEEPING: &str = "keeping attributes in";

/// Attributes by facet and sum.
pub(super) struct Values {
    staging: WriteDir,
    file: Option<WriteFile>,
    /// Where each is, and how long; `None` until it was told.
    places: HashMap<(Facet, FacetSum), Option<(u64, u32)>>,
    end: u64,
}

impl Values {
    pub(super) fn new(staging: WriteDir) -> Values {
        Values { staging, file: None, places: HashMap::new(), end: 0 }
    }

    /// Takes note that these are needed. Returns whether that is news.
    pub(super) fn need(&mut self, facet: Facet, sum: FacetSum) -> bool {
        let is_news = !self.places.contains_key(&(facet, sum));
        self.places.entry((facet, sum)).or_default();
        is_news
    }

    /// Keeps attributes that were told; those that nobody needs are not kept.
    pub(super) fn put(&mut self, facet: Facet, value: &Value) -> Result<(), Error> {
        let Some(sum) = value.sum(facet) else { return Ok(()) };
        let Some(place @ None) = self.places.get_mut(&(facet, sum)) else { return Ok(()) };
        let bytes = value.encode();
        let len = u32::try_from(bytes.len()).map_err(|error| failed(io::Error::other(error)))?;
        let file = match self.file.take() {
            Some(file) => file,
            None => self.staging.open_in_place(&name()?)?,
        };
        let file = self.file.insert(file);
        file.write_at(&bytes, self.end)?;
        *place = Some((self.end, len));
        self.end = self.end.saturating_add(u64::from(len));
        Ok(())
    }

    /// The attributes with this sum, if they were told.
    pub(super) fn get(&self, facet: Facet, sum: FacetSum) -> Result<Option<Value>, Error> {
        let place = self.places.get(&(facet, sum)).copied().flatten();
        let Some(((at, len), file)) = place.zip(self.file.as_ref()) else { return Ok(None) };
        let mut bytes = vec![0; usize::try_from(len).map_err(|error| failed(io::Error::other(error)))?];
        let read = file.read_full_at(&mut bytes, at).map_err(failed)?;
        let value = Value::decode(facet, bytes.get(..read).unwrap_or_default());
        Ok(value.ok().filter(|value| value.sum(facet) == Some(sum)))
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        if self.file.take().is_some()
            && let Ok(name) = name()
        {
            // What cannot be removed now is cleared by the next run.
            let _ = self.staging.remove(&name, Kind::File);
        }
    }
}

fn name() -> Result<Name, Error> {
    Name::new(NAME).map_err(|error| failed(io::Error::other(error)))
}

fn failed(source: io::Error) -> Error {
    Error { doing: KEEPING, source }
}
