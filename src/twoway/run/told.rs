//! What has changed on either side, put together: which paths a plan is made of, with what both sides know of each.

use crate::fs::Dir;
use crate::pass::{OwnerMap, PassError};
use crate::tree::RelPath;
use crate::twoway::TwoWayError;
use crate::twoway::decide::Side;
use crate::twoway::exchange::{Conversation, Garbled, Talk};
use crate::twoway::facet::{Facet, FacetSum, Value, Visible};
use crate::twoway::hiding::Cursor;
use crate::twoway::history::{self, History, Known, Partner, Snapshot};
use crate::twoway::packed::{Batch, PackedRecord, Packing};
use crate::twoway::reconcile::Pair;
use crate::twoway::record::Record;
use crate::twoway::run::RunError;
use crate::twoway::run::alike::Similar;
use crate::twoway::run::own::Own;
use crate::twoway::version::Author;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::iter::Peekable;
use std::sync::Arc;

/// What is known of a path here.
pub(super) type Row = Result<(RelPath, Record), TwoWayError>;

/// Keys of the history.
pub(super) type Keys = BTreeSet<Vec<u8>>;

/// What a replica knows of paths that take part in this run.
pub(super) struct Knowledge {
    snapshot: Snapshot,
    hiding: RefCell<Cursor>,
    owners: Arc<OwnerMap>,
}

impl Knowledge {
    pub(super) fn new(own: &Own) -> Result<Knowledge, TwoWayError> {
        let hiding = RefCell::new(own.hiding.cursor());
        Ok(Knowledge { snapshot: own.history.snapshot()?, hiding, owners: own.owners.clone() })
    }

    /// Who has which number here.
    pub(super) fn owners(&self) -> &OwnerMap {
        &self.owners
    }

    fn takes_part(&self, path: &RelPath, record: &Record) -> bool {
        !self.hides(path, record.state.is_directory() || record.occupied)
    }

    /// Whether a path takes no part.
    pub(super) fn hides(&self, path: &RelPath, is_directory: bool) -> bool {
        self.hiding.borrow_mut().hides(path, is_directory)
    }

    /// What others are told of a path.
    pub(super) fn told(&self, path: &RelPath) -> Result<Record, TwoWayError> {
        let known = self.snapshot.known(&history::key(path))?.map(|known| known.told());
        Ok(known.filter(|record| self.takes_part(path, record)).unwrap_or_else(Record::never))
    }

    /// Everything, in order.
    pub(super) fn all(&self) -> Result<impl Iterator<Item = Row>, TwoWayError> {
        let told = |row: Result<(Vec<u8>, Known), TwoWayError>| {
            let (key, known) = row?;
            Ok((history::path(&key)?, known.told()))
        };
        let takes_part = |row: &Row| match row {
            Ok((path, record)) => self.takes_part(path, record),
            Err(_) => true,
        };
        Ok(self.snapshot.rows()?.map(told).filter(takes_part))
    }

    /// Adds what has changed here since the partner acknowledged something, and what was left undone with it.
    pub(super) fn changed(
        &self,
        history: &History,
        author: Author,
        partner: &Partner,
        keys: &mut Keys,
    ) -> Result<(), TwoWayError> {
        let mut add = |path: &RelPath, known: &Record| {
            if self.takes_part(path, known) {
                keys.insert(history::key(path));
            }
        };
        history.changes(partner.acknowledged, &mut |path| {
            if let Some(known) = self.snapshot.known(&history::key(&path))? {
                add(&path, &known.record);
            }
            Ok(())
        })?;
        for path in history.pending(author)? {
            if let Some(known) = self.snapshot.known(&history::key(&path))? {
                add(&path, &known.record);
            }
            history.below(&path, &mut |path, known| {
                add(&path, &known.record);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Tells the planner what is known here: of all these paths and those above them, or of everything.
    pub(super) fn tell(
        &self,
        conversation: &mut Conversation<'_>,
        keys: Option<Keys>,
        root: &Dir,
    ) -> Result<(), RunError> {
        let owners = &self.owners;
        let mut telling = Telling { conversation, packing: Packing::default(), owners, root };
        match keys {
            None => {
                for row in self.all()? {
                    let (path, record) = row?;
                    telling.add(&path, &record)?;
                }
            }
            Some(keys) => {
                for key in with_ancestors(keys) {
                    let path = history::path(&key)?;
                    telling.add(&path, &self.told(&path)?)?;
                }
            }
        }
        telling.send(true)
    }
}

struct Telling<'a, 'l> {
    conversation: &'a mut Conversation<'l>,
    packing: Packing<PackedRecord>,
    owners: &'a OwnerMap,
    root: &'a Dir,
}

impl Telling<'_, '_> {
    fn add(&mut self, path: &RelPath, record: &Record) -> Result<(), RunError> {
        self.packing.record(path, record);
        if self.owners.tells_names()
            && let Some(sum) = acl_of(record)
            && let Some(acl) = find_acl(self.root, path, sum)
        {
            self.packing.acl(&acl, self.owners);
        }
        if self.packing.is_full() { self.send(false) } else { Ok(()) }
    }

    fn send(&mut self, is_last: bool) -> Result<(), RunError> {
        let bytes = postcard::to_stdvec(&self.packing.take_named(self.owners)).map_err(|_| UNREADABLE)?;
        Ok(self.conversation.say(&Talk::Records(bytes, is_last))?)
    }
}

/// The sum of the ACLs of a path, if it has any.
pub(super) fn acl_of(record: &Record) -> Option<FacetSum> {
    record.extended.get(Facet::Acls)?.sum
}

/// The ACLs with this sum, if they are there still: else the path has changed, and is left.
pub(super) fn find_acl(root: &Dir, path: &RelPath, sum: FacetSum) -> Option<Value> {
    let found = Value::at(root, path, (Facet::Acls, &Visible::ALL)).ok();
    found.filter(|value| value.sum(Facet::Acls) == Some(sum))
}

fn with_ancestors(mut keys: Keys) -> Keys {
    let mut above = Keys::new();
    for key in &keys {
        let mut rest = key.as_slice();
        while let Some(end) = rest.iter().rposition(|byte| *byte == 0) {
            rest = rest.get(..end).unwrap_or_default();
            if !above.insert(rest.to_vec()) {
                break;
            }
        }
    }
    keys.append(&mut above);
    keys
}

/// The longest batch of records accepted, in bytes.
const LONGEST: usize = 256 << 10;

const UNREADABLE: PassError = PassError::Protocol("records cannot be read");

pub(super) const UNHEARD_OF: PassError =
    PassError::Protocol("a record is of a generation that nobody has heard of");

/// What the follower knows of the paths that it does not tell of.
#[derive(Debug)]
pub(super) enum Rest {
    /// Nothing: it tells of everything.
    Nothing,
    /// What is known of them here, but that in some stretches it has other versions.
    Alike(Similar),
}

/// What the follower has told, packed as it came.
#[derive(Debug)]
pub(super) struct Told {
    rest: Rest,
    owners: Arc<OwnerMap>,
    /// Each with its first path.
    batches: Vec<(RelPath, Vec<u8>)>,
    count: usize,
    /// The ACLs there that name somebody, by the sums that they have here.
    acls: HashMap<FacetSum, Value>,
}

impl Told {
    /// Hears all of it, from somebody who knows as much of generations: no version can count more.
    pub(super) fn hear(conversation: &mut Conversation<'_>, own: &Own, rest: Rest) -> Result<Told, RunError> {
        let lineages = own.history.lineages();
        let (batches, acls) = (Vec::new(), HashMap::new());
        let mut told = Told { rest, owners: own.owners.clone(), batches, count: 0, acls };
        let mut last: Option<RelPath> = None;
        loop {
            let Talk::Records(bytes, is_last) = conversation.hear()? else {
                return Err(PassError::Protocol("the other replica does not tell its records").into());
            };
            let batch = if bytes.len() <= LONGEST { read(&bytes)? } else { return Err(UNREADABLE.into()) };
            if batch.counts().any(|(author, count)| count > lineages.newest(author)) {
                return Err(UNHEARD_OF.into());
            }
            told.acls.extend(batch.learn(&told.owners).map_err(PassError::from)?.into_values());
            let records = unpacked(batch, &told.owners)?;
            for (path, _) in &records {
                if last.replace(path.clone()).is_some_and(|last| last.walk_order(path).is_ge()) {
                    return Err(PassError::Protocol("records are told out of order").into());
                }
            }
            told.count = told.count.saturating_add(records.len());
            if let Some((first, _)) = records.into_iter().next() {
                told.batches.push((first, bytes));
            }
            if is_last {
                return Ok(told);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The stretches of which nothing was told, as only the versions are others there; and the ACLs of the follower's
    /// that name somebody, by the sums that they have here.
    pub(super) fn into_parts(self) -> (Similar, HashMap<FacetSum, Value>) {
        let similar = match self.rest {
            Rest::Nothing => Similar::default(),
            Rest::Alike(similar) => similar,
        };
        (similar, self.acls)
    }

    /// What the follower knows of a path; `None` if it was not told, so that at most the versions are others than here.
    pub(super) fn knows(&self, path: &RelPath) -> Option<Record> {
        let is_all = matches!(self.rest, Rest::Nothing);
        self.find(path).or_else(|| is_all.then(Record::never))
    }

    /// What was told of a path, if anything.
    fn find(&self, path: &RelPath) -> Option<Record> {
        let after = self.batches.partition_point(|(first, _)| first.walk_order(path).is_le());
        let (_, bytes) = self.batches.get(after.checked_sub(1)?)?;
        let records = self.unpack(bytes).ok()?;
        records.into_iter().find(|(told, _)| told == path).map(|(_, record)| record)
    }

    fn iter(&self) -> impl Iterator<Item = (RelPath, Record)> {
        // All of them were read when they came.
        self.batches.iter().flat_map(|(_, bytes)| self.unpack(bytes).unwrap_or_default())
    }

    fn unpack(&self, bytes: &[u8]) -> Result<Vec<(RelPath, Record)>, PassError> {
        unpacked(read(bytes)?, &self.owners)
    }
}

fn read(bytes: &[u8]) -> Result<Batch<PackedRecord>, PassError> {
    postcard::from_bytes(bytes).map_err(|_| UNREADABLE)
}

fn unpacked(batch: Batch<PackedRecord>, owners: &OwnerMap) -> Result<Vec<(RelPath, Record)>, PassError> {
    batch.records(owners).map_err(|Garbled(what)| PassError::Protocol(what))
}

/// The paths of a plan with what both sides know of each, in order.
pub(super) struct Pairs<'a> {
    side: Side,
    own: &'a Knowledge,
    told: Peekable<Box<dyn Iterator<Item = (RelPath, Record)> + 'a>>,
    /// What is known here of paths that may not be told, with what the other side knows of them then.
    rest: Peekable<Box<dyn Iterator<Item = Both> + 'a>>,
    /// Whether all that is known here is among these.
    has_all: bool,
    /// Why the paths ended early.
    pub(super) failure: Option<TwoWayError>,
}

/// What is known of a path here and by the other side.
type Both = Result<(RelPath, Record, Record), TwoWayError>;

impl<'a> Pairs<'a> {
    /// Those that are compared. `side` is the planner's, and so are the records in `own`.
    pub(super) fn new(side: Side, own: &'a Knowledge, told: &'a Told) -> Result<Pairs<'a>, TwoWayError> {
        let (rest, has_all): (Box<dyn Iterator<Item = Both>>, bool) = match &told.rest {
            Rest::Nothing => (Box::new(own.all()?.map(|row| with(row, |_| Record::never()))), true),
            Rest::Alike(similar) if similar.is_empty() => (Box::new(std::iter::empty()), false),
            Rest::Alike(similar) => (Box::new(similar.on_both(own.all()?)), false),
        };
        Ok(Pairs::of(side, (own, told), rest, has_all))
    }

    /// All paths, also those that the other side has not told since it knows the same of them, whatever the versions.
    pub(super) fn of_all(side: Side, own: &'a Knowledge, told: &'a Told) -> Result<Pairs<'a>, TwoWayError> {
        match &told.rest {
            Rest::Nothing => Pairs::new(side, own, told),
            Rest::Alike(_) => {
                let rest = Box::new(own.all()?.map(|row| with(row, Record::clone)));
                Ok(Pairs::of(side, (own, told), rest, true))
            }
        }
    }

    fn of(
        side: Side,
        (own, told): (&'a Knowledge, &'a Told),
        rest: Box<dyn Iterator<Item = Both> + 'a>,
        has_all: bool,
    ) -> Pairs<'a> {
        let told: Box<dyn Iterator<Item = _>> = Box::new(told.iter());
        Pairs { side, own, told: told.peekable(), rest: rest.peekable(), has_all, failure: None }
    }

    fn next_pair(&mut self) -> Result<Option<(RelPath, Pair)>, TwoWayError> {
        let order = match (self.rest.peek(), self.told.peek()) {
            (None, None) => return Ok(None),
            (Some(Err(_)), _) | (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(Ok((own, ..))), Some((told, _))) => own.walk_order(told),
        };
        let rest = if order.is_le() { self.rest.next().transpose()? } else { None };
        let told = if order.is_ge() { self.told.next() } else { None };
        let (path, ours, theirs) = match (rest, told) {
            (None, None) => return Ok(None),
            (Some(both), None) => both,
            (None, Some((path, theirs))) if self.has_all => (path, Record::never(), theirs),
            (None, Some((path, theirs))) => {
                let ours = self.own.told(&path)?;
                (path, ours, theirs)
            }
            (Some((path, ours, _)), Some((_, theirs))) => (path, ours, theirs),
        };
        Ok(Some((path, pair(self.side, ours, theirs))))
    }
}

/// What is known of a path here, with what the other side knows then.
fn with(row: Row, theirs: impl Fn(&Record) -> Record) -> Both {
    row.map(|(path, ours)| {
        let theirs = theirs(&ours);
        (path, ours, theirs)
    })
}

impl Iterator for Pairs<'_> {
    type Item = (RelPath, Pair);

    fn next(&mut self) -> Option<(RelPath, Pair)> {
        if self.failure.is_some() {
            return None;
        }
        self.next_pair().unwrap_or_else(|error| {
            self.failure = Some(error);
            None
        })
    }
}

/// A pair of what the planner, on this side, and the follower know.
pub(super) fn pair(side: Side, ours: Record, theirs: Record) -> Pair {
    match side {
        Side::Left => Pair { left: ours, right: theirs },
        Side::Right => Pair { left: theirs, right: ours },
    }
}
