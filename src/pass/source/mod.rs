//! The role that reads: lists its view of a tree, and answers requests about what it listed.
//!
//! Threads: one walks and lists (`walk`), several read content (`content`), one counts ahead when progress is
//! shown (`count`), and the calling thread reads messages, which never makes it wait. What is told as a difference
//! (`delta`) is told in `rounds`, and if it is large it is summed `ahead` of the first. One removes what the sink has,
//! if that is asked for (`removal`). A listing is `kept` from before
//! it is sent until the sink closes its directory.

mod ahead;
mod batch;
mod content;
mod count;
mod delta;
mod groups;
mod kept;
mod outgoing;
mod removal;
mod rounds;
mod walk;

use crate::delta::{BlockLen, Gap, SignatureBuilder, SignatureHeader, SignaturePart};
use crate::fs::{Look, Owners, Removal};
use crate::pass::tally::Tally;
use crate::pass::{Context, PassError, Sweep, TALK};
use crate::report::{Problem, Role, Totals};
use crate::tree::{Entry, RelPath};
use crate::view::{View, ViewError, source_look};
use crate::wire::{
    Check, DirId, Fetch, FetchWhat, FileId, Identify, Link, Message, Permit, Received, Receiver, Sender,
    SumsPart, Want,
};
use ahead::Ahead;
use content::{Asked, Job};
use crossbeam_channel as channel;
use kept::{Kept, KeptListings};
use removal::{Confirmations, Confirmed};
use rounds::{Rounds, Telling};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// What the threads of a source share.
struct Source<'a> {
    context: &'a Context,
    view: &'a View,
    sender: Sender,
    kept: KeptListings,
    rounds: Rounds,
    owners: Owners,
    tally: Tally<'a>,
    /// What is looked at of each entry besides what the system always tells: of its extended attributes these are sent.
    look: Look,
    /// Whether anything of the source could not be read, so that nothing may be deleted any more.
    incomplete: AtomicBool,
    /// Whether what the sink confirms is removed, and a sender that tells whether the link goes on meanwhile: that is
    /// done when all else is.
    removal: Option<(Removal, Sender)>,
}

impl Source<'_> {
    /// Reports an error in reading the tree, after which no listing counts as complete.
    fn unreadable(&self, path: &RelPath, error: &crate::fs::Error) {
        self.incomplete.store(true, Ordering::Release);
        if self.tells() {
            self.tally.failed(path, error);
        }
    }

    /// Whether what is met is told: it is not where another pass will meet it again.
    fn tells(&self) -> bool {
        self.context.sweep != Sweep::Now
    }
}

/// Whether a run removes anything at the source.
fn removal(context: &Context) -> Option<Removal> {
    let options = &context.options;
    let is_asked = options.remove_source_files && !options.dry_run && !options.list_only;
    (is_asked && context.sweep != Sweep::Now).then(Removal::asked_for)
}

/// Plays the source until the sink is done. `missing` are arguments that could not be opened. Returns what both roles
/// counted.
///
/// The link then is as it was before the pass, and another may follow. After an error it is closed.
pub fn run(
    link: &mut Link,
    view: &View,
    missing: &[ViewError],
    context: &Context,
) -> Result<Totals, PassError> {
    let sender = link.sender.for_a_while();
    let source = Source {
        context,
        view,
        sender: sender.clone(),
        kept: KeptListings::default(),
        rounds: Rounds::new(context.share_of_open_files(8, 256)),
        owners: Owners::new()?,
        tally: Tally::new(Role::Source, context),
        look: source_look(&context.options),
        removal: removal(context).map(|removal| (removal, link.sender.for_a_while())),
        incomplete: AtomicBool::new(missing.iter().any(|error| error.hides_entries)),
    };
    for error in missing.iter().filter(|_| source.tells()) {
        source.tally.report(Problem {
            doing: error.doing.to_owned(),
            path: error.path.clone(),
            cause: crate::pass::tally::describe(&error.source),
            class: crate::report::ProblemClass::Failed,
            role: Role::Source,
        });
    }
    let outcome = thread::scope(|scope| {
        let (queue, jobs) = channel::unbounded();
        let (confirmed, confirmations) = channel::unbounded();
        let spawned = spawn(scope, &source, &jobs, confirmations);
        drop(jobs);
        let outcome = match spawned {
            Ok(()) => receive(&mut link.receiver, &source, &queue, Confirmations::new(confirmed)),
            Err(error) => Err(PassError::thread(error)),
        };
        match &outcome {
            Err(error) => {
                error.close(&sender);
                source.kept.stop();
            }
            // The walk has ended. A sink that asked for more than it then cared for must not keep anybody waiting for
            // credit that nobody receives any more.
            Ok(_) => sender.retire(),
        }
        drop(queue);
        outcome
    });
    let theirs = outcome?;
    let mut totals = source.tally.totals();
    if !source.tells() {
        totals = Totals::default();
    }
    // Nothing more can be sent after it. If this fails the sink has gone already, and it was done.
    let _ = link.sender.send(Message::Finish(totals));
    totals.merge(&theirs);
    Ok(totals)
}

/// Tells the sink that there is nothing to begin with, since the sources cannot be opened at all.
pub fn give_up(link: &Link, error: ViewError) -> PassError {
    let error = PassError::Sources(error);
    error.close(&link.sender);
    error
}

fn spawn<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    source: &'scope Source<'scope>,
    jobs: &channel::Receiver<Job>,
    confirmations: channel::Receiver<Confirmed>,
) -> std::io::Result<()> {
    let named = |name: &str| thread::Builder::new().name(name.to_owned());
    named("walk").spawn_scoped(scope, || walk::run(source))?;
    for _ in 0..source.context.workers() {
        let jobs = jobs.clone();
        named("content").spawn_scoped(scope, move || content::run(source, &jobs))?;
    }
    if let Some((removal, lasting)) = &source.removal {
        let run = move || removal::run(source, *removal, lasting, &confirmations);
        named("remove").spawn_scoped(scope, run)?;
    }
    // Whoever selected what is shown knows how much it is.
    if source.context.options.detail.progress && !source.view.is_planned() {
        named("count").spawn_scoped(scope, || count::run(source))?;
    }
    Ok(())
}

/// Reads messages until the sink's last.
fn receive(
    receiver: &mut Receiver,
    source: &Source<'_>,
    queue: &channel::Sender<Job>,
    mut confirmations: Confirmations,
) -> Result<Totals, PassError> {
    let mut inbox = Inbox { source, queue, signatures: HashMap::new() };
    loop {
        let Received { message, permit } = receiver.receive()?;
        match message {
            Message::Want(want) => inbox.want(want, permit)?,
            Message::Sums(part) => inbox.sums(&part, permit)?,
            Message::Fetch(fetch) => inbox.fetch(fetch, permit)?,
            Message::Check(Check { file, dir, index, sum }) => {
                let job = Job::Check { file, listed: source.listed(dir, index)?, sum, _permit: permit };
                inbox.enqueue(job)?;
            }
            Message::Identify(Identify { file, dir, index }) => {
                let listed = source.listed(dir, index)?;
                inbox.enqueue(Job::Identify { file, listed, _permit: permit })?;
            }
            Message::Again(again) => {
                let listed = source.listed(again.dir, again.index)?;
                listed.check_segments(again.segment_len)?;
                inbox.enqueue(Job::Again { again, listed, _permit: permit })?;
            }
            Message::Expand(expand) => source.kept.ask(expand)?,
            Message::Close(dir) => {
                inbox.close(dir);
                source.rounds.close(dir);
                confirmations.close(source, dir);
                source.kept.close(dir)?;
            }
            Message::Confirm(confirm) => confirmations.add(source, &confirm)?,
            // Somebody has heard them on the way.
            Message::Event(_) if source.context.options.relayed => {}
            Message::Event(event) => source.context.reporter.report(event),
            Message::Progress(reading) => source.context.progress.set_done(&reading),
            Message::Abort(abort) => return Err(PassError::Peer(abort)),
            // What was asked for since was not sent.
            Message::Finish(_) if source.context.stop.is_asked() => return Err(PassError::Stopped),
            Message::Finish(totals) if source.kept.is_done() => return Ok(totals),
            Message::Finish(_) => {
                return Err(PassError::Protocol("the sink ended too early"));
            }
            // The link's own.
            Message::Alive | Message::Credit { .. } | Message::Invite(_) | Message::Spread(_) => {}
            Message::Begin(_)
            | Message::Listing(_)
            | Message::Mention(_)
            | Message::Listed
            | Message::Verdict(_)
            | Message::Identified(_)
            | Message::Content(_)
            | Message::Fetched(_) => {
                return Err(PassError::Protocol("a sink sent what only a source sends"));
            }
            Message::Talk(_) => return Err(PassError::Protocol(TALK)),
        }
    }
}

/// An entry the sink asked about, with the listing it is in.
#[derive(Clone)]
struct Listed {
    kept: Arc<Kept>,
    index: usize,
}

impl Listed {
    fn entry(&self) -> Option<&Entry> {
        self.kept.listing.entries.get(self.index)
    }

    fn len(&self) -> u64 {
        self.entry().map_or(0, |entry| entry.node.size())
    }

    /// How many segments of this length it may turn out to have.
    fn most_segments(&self, segment_len: BlockLen) -> usize {
        segment_len.most_segments(self.len())
    }

    /// Whether its sums in segments of this length may be asked for.
    fn check_segments(&self, segment_len: BlockLen) -> Result<(), PassError> {
        if segment_len == BlockLen::SEGMENT || segment_len.may_divide(self.len()) {
            return Ok(());
        }
        Err(PassError::Protocol("a file is to be summed in too many segments"))
    }
}

impl Source<'_> {
    /// Finds what a request is about. Asking for what was not listed, or is no file, breaks the protocol.
    fn listed(&self, dir: DirId, index: u32) -> Result<Listed, PassError> {
        let listed = Listed { kept: self.kept_of(dir)?, index: index as usize };
        check_is_file(listed.entry())?;
        Ok(listed)
    }

    fn kept_of(&self, dir: DirId) -> Result<Arc<Kept>, PassError> {
        self.kept.get(dir).ok_or(PassError::Protocol("a request names a directory that is not open"))
    }
}

fn check_is_file(entry: Option<&Entry>) -> Result<(), PassError> {
    match entry {
        Some(entry) if entry.kind() == crate::tree::Kind::File => Ok(()),
        _ => Err(PassError::Protocol("a request names an entry that is no listed file")),
    }
}

/// Requests being put together.
struct Inbox<'a, 'b> {
    source: &'a Source<'b>,
    queue: &'a channel::Sender<Job>,
    signatures: HashMap<FileId, Arriving>,
}

/// A file whose signatures are still arriving: that of its basis, or those of its gaps.
struct Arriving {
    telling: Box<Telling>,
    builder: SignatureBuilder,
    ahead: Option<Arc<Ahead>>,
    permits: Vec<Permit>,
}

impl Inbox<'_, '_> {
    fn want(&mut self, want: Want, permit: Permit) -> Result<(), PassError> {
        let listed = self.source.listed(want.dir, want.index)?;
        let Want { file, dir, basis, refine, from, .. } = want;
        let Some(header) = basis else {
            return self.enqueue(Job::Send { file, listed, from, _permit: permit });
        };
        let builder =
            SignatureBuilder::new(header).map_err(|_| PassError::Protocol("an impossible signature"))?;
        let telling = Box::new(Telling {
            dir,
            listed,
            basis_len: header.basis_len,
            gaps: vec![Gap::whole(header.basis_len)],
            block_len: header.block_len,
            strong_len: header.strong_len,
            refine,
            begun: None,
            room: None,
        });
        if refine && !header.block_len.may_refine(telling.listed.len()) {
            return Err(PassError::Protocol("a file is to be told in too short blocks"));
        }
        let ahead = self.sum_ahead(&telling, header)?;
        let arriving = Arriving { telling, builder, ahead, permits: vec![permit] };
        if arriving.builder.missing() == 0 {
            return self.complete(file, arriving);
        }
        if self.signatures.insert(file, arriving).is_some() {
            return Err(PassError::Protocol("a file was asked for twice"));
        }
        Ok(())
    }

    fn fetch(&self, fetch: Fetch, permit: Permit) -> Result<(), PassError> {
        let Fetch { batch, dir, indices, what } = fetch;
        let kept = self.source.kept_of(dir)?;
        let entry = |index: &u32| kept.listing.entries.get(*index as usize);
        match what {
            FetchWhat::Content => indices.iter().try_for_each(|index| check_is_file(entry(index)))?,
            FetchWhat::Xattrs => {
                let is_root = indices.is_empty() && kept.dir.path().is_root();
                let listed = !indices.is_empty() && indices.iter().all(|index| entry(index).is_some());
                if self.source.look.xattrs.is_none() || !(is_root || listed) {
                    return Err(PassError::Protocol("a request names attributes that are not to be had"));
                }
            }
        }
        self.enqueue(Job::Fetch { fetch: Fetch { batch, dir, indices, what }, kept, _permit: permit })
    }

    /// Has a file summed that is going to be told, if that is worth it and there is room.
    fn sum_ahead(&self, telling: &Telling, header: SignatureHeader) -> Result<Option<Arc<Ahead>>, PassError> {
        let len = telling.listed.len();
        if !telling.refine || len < ahead::LEAST || !header.mostly_stays(len) {
            return Ok(None);
        }
        let (listed, segment_len) = (telling.listed.clone(), telling.block_len);
        let segments = usize::try_from(len.div_ceil(segment_len.get().into())).unwrap_or(usize::MAX);
        let Some(room) = self.source.rounds.room().and_then(|room| room.for_sums(segments)) else {
            return Ok(None);
        };
        let ahead = Arc::new(Ahead::new(listed, segment_len, room));
        self.enqueue(Job::Ahead(ahead.clone()))?;
        Ok(Some(ahead))
    }

    /// Forgets what was asked for of a directory and has not all of its sums.
    fn close(&mut self, dir: DirId) {
        for (_, arriving) in self.signatures.extract_if(|_, arriving| arriving.telling.dir == dir) {
            if let Some(ahead) = arriving.ahead {
                ahead.abandon();
            }
        }
    }

    fn sums(&mut self, part: &SumsPart, permit: Permit) -> Result<(), PassError> {
        let mut arriving = match self.signatures.remove(&part.file) {
            Some(arriving) => arriving,
            None => self.answered(part.file)?,
        };
        arriving
            .builder
            .push(SignaturePart { weak: &part.weak, strong: &part.strong })
            .map_err(|_| PassError::Protocol("an impossible signature"))?;
        arriving.permits.push(permit);
        if arriving.builder.missing() == 0 {
            return self.complete(part.file, arriving);
        }
        self.signatures.insert(part.file, arriving);
        Ok(())
    }

    /// A file whose round is over, of which the first sums have come.
    fn answered(&self, file: FileId) -> Result<Arriving, PassError> {
        let telling =
            self.source.rounds.take(file).ok_or(PassError::Protocol("sums of a file nobody asked for"))?;
        let builder = SignatureBuilder::for_gaps(&telling.gaps, telling.block_len, telling.strong_len)
            .map_err(|_| PassError::Protocol("an impossible signature"))?;
        Ok(Arriving { telling, builder, ahead: None, permits: Vec::new() })
    }

    fn complete(&self, file: FileId, arriving: Arriving) -> Result<(), PassError> {
        let Arriving { telling, builder, ahead, permits } = arriving;
        let signatures = builder.finish().map_err(|_| PassError::Protocol("an impossible signature"))?;
        let asked = Box::new(Asked { file, telling, signatures, summed: None, _permits: permits });
        let Some(ahead) = ahead else { return self.enqueue(Job::Round(asked)) };
        ahead.asked(asked).map_or(Ok(()), |asked| self.enqueue(Job::Round(asked)))
    }

    fn enqueue(&self, job: Job) -> Result<(), PassError> {
        // The workers end only when the link is closed.
        self.queue.send(job).map_err(|_| PassError::Lost)
    }
}
