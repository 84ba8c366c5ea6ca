//! Answers requests for batches: small files of one directory, or the extended attributes of entries of one, read one
//! after the other into few messages.

use crate::delta::SegmentSums;
use crate::fs::{Dir, Error};
use crate::pass::SMALL;
use crate::pass::source::Source;
use crate::pass::source::content::Stop;
use crate::pass::source::kept::Kept;
use crate::tree::{RelPath, Xattrs};
use crate::wire::{BatchId, Closed, Fetch, FetchWhat, Fetched, FetchedFile, Message, encode_attached};

/// A message is sent once it holds so many bytes of content.
const FULL: usize = 128 << 10;

impl Source<'_> {
    /// Sends what is asked for of a listing.
    pub(super) fn fetch(&self, fetch: &Fetch, kept: &Kept) -> Result<(), Closed> {
        let Fetch { batch, ref indices, what, .. } = *fetch;
        let mut opened = Opened { source: self, kept, last: None };
        let mut files = Vec::new();
        let mut data = Vec::new();
        let mut packed = false;
        if what == FetchWhat::Xattrs && indices.is_empty() {
            files.push(self.root_xattrs(&mut data)?);
        }
        for (number, &index) in indices.iter().enumerate() {
            if files.is_empty() {
                let rest = indices.get(number..).unwrap_or_default();
                files.reserve(rest.len());
                data.reserve(if what == FetchWhat::Content { room(kept, rest) } else { 0 });
            }
            let name = kept.listing.entries.get(index as usize).map(|entry| entry.name.as_bytes());
            let is_packed = self.is_packed(name.unwrap_or_default());
            if is_packed != packed && !files.is_empty() {
                self.send_fetched(batch, &mut files, &mut data, packed)?;
            }
            packed = is_packed;
            files.push(match what {
                FetchWhat::Content => self.fetch_one(&mut opened, index as usize, &mut data)?,
                FetchWhat::Xattrs => self.xattrs_of_one(&mut opened, index as usize, &mut data)?,
            });
            if data.len() >= FULL {
                self.send_fetched(batch, &mut files, &mut data, packed)?;
            }
        }
        if files.is_empty() { Ok(()) } else { self.send_fetched(batch, &mut files, &mut data, packed) }
    }

    fn send_fetched(
        &self,
        batch: BatchId,
        files: &mut Vec<FetchedFile>,
        data: &mut Vec<u8>,
        packed: bool,
    ) -> Result<(), Closed> {
        let (files, data) = (std::mem::take(files), std::mem::take(data).into());
        self.sender.send(Message::Fetched(Fetched { batch, files, data, packed }))
    }

    fn fetch_one(
        &self,
        opened: &mut Opened<'_>,
        index: usize,
        data: &mut Vec<u8>,
    ) -> Result<FetchedFile, Closed> {
        if self.context.stop.is_asked() {
            return Ok(FetchedFile::Unreadable);
        }
        let before = data.len();
        let read = opened.attach(index, data).and_then(|attached| {
            let start = data.len();
            Ok((attached, start, opened.read(index, data)?))
        });
        match read {
            Ok((attached, start, true)) => {
                let content = data.get(start..).unwrap_or_default();
                let sums = self.context.sums;
                // Between two local paths the sink writes these very bytes.
                let sum = (!self.context.local).then(|| SegmentSums::of(sums, content).root(sums));
                // No longer than `SMALL`.
                return Ok(FetchedFile::Whole { attached, len: content.len() as u32, sum });
            }
            Ok((_, _, false)) => {
                data.truncate(before);
                return Ok(FetchedFile::Longer);
            }
            Err(stop) => self.tell_unread(&opened.path(index), stop)?,
        }
        data.truncate(before);
        Ok(FetchedFile::Unreadable)
    }

    fn xattrs_of_one(
        &self,
        opened: &mut Opened<'_>,
        index: usize,
        data: &mut Vec<u8>,
    ) -> Result<FetchedFile, Closed> {
        match opened.attach(index, data) {
            Ok(attached) => Ok(FetchedFile::Xattrs { attached }),
            Err(stop) => {
                self.tell_unread(&opened.path(index), stop)?;
                Ok(FetchedFile::Unreadable)
            }
        }
    }

    /// The attributes of the transfer root.
    fn root_xattrs(&self, data: &mut Vec<u8>) -> Result<FetchedFile, Closed> {
        match self.look.xattrs.as_ref().map(|names| self.view.root_xattrs(names)).transpose() {
            Ok(xattrs) => Ok(FetchedFile::Xattrs { attached: attach(&xattrs.unwrap_or_default(), data) }),
            Err(error) => {
                self.tell_unread(&RelPath::root(), error.into())?;
                Ok(FetchedFile::Unreadable)
            }
        }
    }
}

/// Appends attributes, and returns how many bytes that were: less than 4 GiB, as there are not more than some.
fn attach(xattrs: &Xattrs, data: &mut Vec<u8>) -> u32 {
    let attached = encode_attached(xattrs);
    data.extend_from_slice(&attached);
    u32::try_from(attached.len()).unwrap_or(u32::MAX)
}

/// How many bytes the next message is going to hold, if the files are as they were listed.
fn room(kept: &Kept, indices: &[u32]) -> usize {
    let sizes = indices.iter().filter_map(|index| kept.listing.entries.get(*index as usize));
    let mut room: u64 = 0;
    for entry in sizes {
        if room >= FULL as u64 {
            break;
        }
        room = room.saturating_add(entry.node.size().min(SMALL));
    }
    // One byte more shows that the last file ends.
    usize::try_from(room).unwrap_or_default().saturating_add(1)
}

/// The directory the files of a batch are in: one for each argument that has some of them.
struct Opened<'a> {
    source: &'a Source<'a>,
    kept: &'a Kept,
    last: Option<(usize, Dir)>,
}

impl Opened<'_> {
    /// Appends the content of a file to `data`. `false` if it is too long for a batch.
    fn read(&mut self, index: usize, data: &mut Vec<u8>) -> Result<bool, Stop> {
        let listing = &self.kept.listing;
        let entry = listing.entries.get(index).ok_or_else(Error::not_listed)?;
        let (view, listed) = (self.source.view, &self.kept.dir);
        let file = view.open_file_in(self.dir(listing.origin(index))?, listed, &entry.name)?;
        if file.len() > SMALL {
            return Ok(false);
        }
        file.append_to(data).map_err(Stop::Unreadable)
    }

    /// Appends the extended attributes of an entry, if these are asked for and it has any. Returns how many bytes that
    /// were.
    fn attach(&mut self, index: usize, data: &mut Vec<u8>) -> Result<u32, Stop> {
        let Kept { dir: listed, listing, .. } = self.kept;
        let has_some = listing.entries.get(index).ok_or_else(Error::not_listed)?.has_xattrs();
        if self.source.look.xattrs.is_none() || !has_some {
            return Ok(0);
        }
        let (view, look) = (self.source.view, &self.source.look);
        let dir = self.dir(listing.origin(index))?;
        Ok(attach(&view.xattrs(dir, (listed, listing), index, look)?, data))
    }

    fn dir(&mut self, place: usize) -> Result<&Dir, Error> {
        let dir = match self.last.take() {
            Some((known, dir)) if known == place => dir,
            _ => self.source.view.dir_of(&self.kept.dir, place)?,
        };
        Ok(&self.last.insert((place, dir)).1)
    }

    fn path(&self, index: usize) -> RelPath {
        let dir = self.kept.dir.path();
        let entry = self.kept.listing.entries.get(index);
        entry.map_or_else(|| dir.clone(), |entry| dir.join(&entry.name))
    }
}
