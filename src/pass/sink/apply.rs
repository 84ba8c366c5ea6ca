//! Builds files from content, verifies them, and gives them their names.
//!
//! Each file belongs to one of several threads, so its content arrives in order. A round that ends with gaps is passed
//! on to those who sign, and the file waits here for the next. What is written is summed as it is written, but for the
//! segments that had gaps, which are read again at the end; where the file sum at the end does not agree (the basis
//! changed under the signature, or two blocks collided), only the segments that differ are asked for again, twice at
//! most.

use crate::delta::{
    BlockLen, DeltaError, Held, MAX_SEGMENTS, Op, Patch, Patched, SegmentSums, StrongLen, Sum,
};
use crate::fs::Stage;
use crate::pass::sink::backup::Fate;
use crate::pass::sink::batches::NO_ATTRIBUTES;
use crate::pass::sink::flights::{Flight, Prepared};
use crate::pass::sink::gaps::OpenGaps;
use crate::pass::sink::landings::Landing;
use crate::pass::sink::sign::{Finer, Job};
use crate::pass::sink::target::{BasisFile, Target};
use crate::pass::sink::tell::Late;
use crate::pass::sink::{Arrived, Sink};
use crate::pass::tally::describe;
use crate::pass::{InHand, PassError};
use crate::tree::Xattrs;
use crate::wire::{Again, ContentEnd, ContentOp, FileId, Message, Permit, decode_attached};
use crossbeam_channel::{Receiver, Sender};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

/// How often a file that does not verify is repaired.
const REPAIRS: u32 = 2;
/// Why a file is given up that has got more segments than are repaired.
const GROWN: &str = "it grew too much while it was being copied; run again";
/// Bytes of a local file copied at once.
const COPY_PIECE: u64 = 64 << 20;
/// Files a peer may have open at this side at once, on each thread, besides those that wait for a round or a repair. An
/// honest one has about one. Of those that wait for a round there are no more than files with a basis under way.
const OPEN_LIMIT: usize = 64;
/// And if they are updated in place, when overwritten bytes of each are kept.
const OPEN_IN_PLACE_LIMIT: usize = 16;
/// Files that may be in repair at once, on each thread: their staged files are open meanwhile.
const REPAIR_LIMIT: usize = 64;

/// Builds files until the queue ends.
pub(super) fn run(
    sink: &Sink<'_>,
    arrived: &Receiver<(Arrived, Permit)>,
    signing: &Sender<Job>,
) -> Result<(), PassError> {
    let mut open: HashMap<FileId, Build> = HashMap::new();
    let built = build(sink, arrived, signing, &mut open);
    if sink.context.options.partial {
        open.into_values().try_for_each(|build| build.keep_partial(sink))?;
    } else {
        sink.set_aside(open.into_values().filter_map(Build::into_stage));
    }
    built
}

fn build(
    sink: &Sink<'_>,
    arrived: &Receiver<(Arrived, Permit)>,
    signing: &Sender<Job>,
    open: &mut HashMap<FileId, Build>,
) -> Result<(), PassError> {
    let open_limit = if sink.context.options.in_place { OPEN_IN_PLACE_LIMIT } else { OPEN_LIMIT };
    for (arrived, _permit) in arrived {
        // What is queued when a run is stopped is not worth writing.
        if sink.sender.is_stopped() {
            break;
        }
        let content = match arrived {
            Arrived::Content(content) => content,
            Arrived::Batch(fetched) => {
                sink.fetched(fetched, signing)?;
                continue;
            }
        };
        let file = content.file;
        if content.end == Some(ContentEnd::Unreadable) && content.ops.is_empty() && !open.contains_key(&file)
        {
            Build::unread(sink, file)?.settle(sink, file)?;
            sign_waiting(sink, file, signing)?;
            continue;
        }
        let mut build = match open.remove(&file) {
            Some(build) => build,
            None if open.values().filter(|build| !build.waits()).count() >= open_limit => {
                return Err(PassError::Protocol("too many files are sent at once"));
            }
            None => Build::begin(sink, file)?,
        };
        for op in content.ops {
            build.op(sink, op)?;
        }
        build.xattrs = decode_attached(content.attached).map_err(|_| NO_ATTRIBUTES)?;
        build.count_gaps()?;
        let again = match content.end {
            None => Some(build),
            Some(ContentEnd::Round { block_len, strong_len }) => {
                build.end_round(sink, file, (block_len, strong_len), signing)?
            }
            Some(end) => {
                let repaired = |build: &&Build| matches!(build.state, State::Repairing { .. });
                let may_repair = open.values().filter(repaired).count() < REPAIR_LIMIT;
                build.end(sink, file, end, may_repair)?
            }
        };
        if again.is_none() {
            sign_waiting(sink, file, signing)?;
        }
        open.extend(again.map(|build| (file, build)));
    }
    Ok(())
}

/// Has those signed for which there is room now that this file has landed.
fn sign_waiting(sink: &Sink<'_>, landed: FileId, signing: &Sender<Job>) -> Result<(), PassError> {
    let next = sink.room.give_back(landed).into_iter();
    next.map(Job::Sign).try_for_each(|job| signing.send(job).map_err(|_| PassError::Lost))
}

/// A file in the making.
struct Build {
    flight: Arc<Flight>,
    state: State,
    gaps: OpenGaps,
    repairs: u32,
    literal: u64,
    matched: u64,
    /// Bytes told to the progress.
    told: u64,
    /// How long its segments are.
    segment_len: BlockLen,
    /// How long the target may be whatever is written to it.
    held: u64,
    /// The extended attributes that came with the end.
    xattrs: Xattrs,
    /// How it went, for its other names.
    landing: Landing,
    /// It is not broken off until it is settled.
    in_hand: Option<InHand>,
}

enum State {
    /// From front to back, or gap by gap.
    Patching(Box<Patch<BasisFile, Target>>),
    /// Only where it did not verify.
    Repairing { target: Target, sums: Vec<Sum>, rewritten: BTreeSet<u64> },
    /// All of it was copied from an open file.
    Copied(Target),
    /// It failed, which was told. What still arrives is let pass.
    Failed,
}

impl Build {
    /// A file the source could not read, or that is not to be begun any more, for which nothing is staged.
    fn unread(sink: &Sink<'_>, file: FileId) -> Result<Build, PassError> {
        let flight = sink.flights.fetched(file)?;
        Ok(Build::new(sink, flight, State::Failed))
    }

    fn new(sink: &Sink<'_>, flight: Arc<Flight>, state: State) -> Build {
        let gaps = OpenGaps::new(sink.gaps.clone());
        let (segment_len, held, xattrs) = (BlockLen::SEGMENT, 0, Xattrs::NONE);
        Build {
            flight,
            state,
            gaps,
            repairs: 0,
            literal: 0,
            matched: 0,
            told: 0,
            segment_len,
            held,
            xattrs,
            landing: Landing::Failed,
            in_hand: None,
        }
    }

    fn begin(sink: &Sink<'_>, file: FileId) -> Result<Build, PassError> {
        let Some(in_hand) = sink.context.stop.hold() else { return Build::unread(sink, file) };
        let flight = sink.flights.fetched(file)?;
        let Prepared { basis, stage, held, refined } = sink.flights.prepared(file);
        let dir = sink.directories.writable(sink, flight.dir)?;
        sink.directories.touch(flight.dir);
        let from = flight.appended_to;
        let target = dir.and_then(|dir| match stage {
            Some(stage) => Ok((Target::Stage(stage), held)),
            None if from > 0 => {
                sink.keep_of(&dir, &flight.path, &flight.name, Fate::Overwritten)?;
                let file = dir.open_in_place(&flight.name)?;
                Ok((Target::rest(file, from)?, Held::default()))
            }
            None if sink.context.options.in_place => {
                if flight.own.is_some() {
                    sink.keep_of(&dir, &flight.path, &flight.name, Fate::Overwritten)?;
                }
                let file = dir.open_in_place(&flight.name)?;
                Target::in_place(file, basis.clone(), held)
            }
            None => Ok((Target::Stage(sink.stage(&dir, &flight.name)?), held)),
        });
        let target = target.and_then(|(target, held)| {
            if sink.context.options.preallocate {
                target.preallocate(flight.entry.node.size())?;
            }
            Ok((target, held))
        });
        let mut build = Build::new(sink, flight, State::Failed);
        build.in_hand = Some(in_hand);
        if from > 0 {
            // The places of its segments are others here, and what was read is what was summed.
            build.repairs = REPAIRS;
        }
        match target {
            Ok((target, held)) => {
                // One updated in place is as long as it was, whether or not anything was signed of it.
                build.held = if matches!(target, Target::InPlace { .. }) { u64::MAX } else { held.len };
                let basis = BasisFile(basis);
                let covered = basis.covered();
                let mut patch = Patch::new(sink.context.sums, basis, covered, target).over(held);
                if let Some(block_len) = refined {
                    build.segment_len = block_len;
                    patch = patch.refined(block_len);
                }
                build.state = State::Patching(Box::new(patch));
            }
            Err(error) => sink.tally.failed(&build.flight.path, &error),
        }
        Ok(build)
    }

    fn op(&mut self, sink: &Sink<'_>, op: ContentOp) -> Result<(), PassError> {
        let before = self.literal + self.matched;
        match (&mut self.state, op) {
            (State::Failed, _) => {}
            (State::Patching(patch), ContentOp::Literal(data)) => {
                self.literal += data.len() as u64;
                let done = patch.apply(Op::Literal(&data));
                self.patched(sink, done)?;
            }
            (State::Patching(patch), ContentOp::Copy { offset, len }) => {
                let done = patch.apply(Op::Copy { offset, len });
                self.matched = self.matched.saturating_add(len);
                self.patched(sink, done)?;
            }
            (State::Patching(patch), ContentOp::Gap { len, offset, basis_len }) => {
                let done = patch.apply(Op::Gap { len, offset, basis_len });
                self.patched(sink, done)?;
            }
            (State::Patching(patch), ContentOp::File(from))
                if sink.context.local && patch.prefix() == 0 && patch.open_gaps() == 0 =>
            {
                self.copy(sink, &from);
            }
            (State::Repairing { target, rewritten, .. }, ContentOp::Rewrite { offset, data }) => {
                self.literal += data.len() as u64;
                let segment = offset / u64::from(self.segment_len.get());
                if segment > self.segment_len.most_segments(self.flight.entry.node.size()) as u64 {
                    return Err(PassError::Protocol("a rewrite beyond any file that is repaired"));
                }
                rewritten.insert(segment);
                if segment >= MAX_SEGMENTS as u64 {
                    self.fail(sink, "verifying", GROWN);
                } else if let Err(error) = target.write_at(&data, offset) {
                    self.fail(sink, error.doing, &describe(&error.source));
                }
            }
            _ => return Err(PassError::Protocol("an operation that does not fit the file")),
        }
        if !matches!(self.state, State::Copied(_)) {
            self.advance(sink, (self.literal + self.matched).saturating_sub(before));
        }
        Ok(())
    }

    /// What came of applying an operation. An operation no honest peer sends ends the run; what basis or target
    /// could not do ends this file.
    fn patched(&mut self, sink: &Sink<'_>, done: Result<(), DeltaError>) -> Result<(), PassError> {
        match done {
            Ok(()) => {}
            Err(DeltaError::ReadBasis { source, .. }) => {
                let cause = match source.kind() {
                    io::ErrorKind::UnexpectedEof => {
                        "the old version became shorter during the run".to_owned()
                    }
                    _ => describe(&source),
                };
                self.fail(sink, "reading the old version of", &cause);
            }
            Err(DeltaError::WriteOutput { source, .. }) => self.fail(sink, "writing", &describe(&source)),
            Err(_) => return Err(PassError::Protocol("an operation that does not fit the file")),
        }
        Ok(())
    }

    fn copy(&mut self, sink: &Sink<'_>, from: &std::os::fd::OwnedFd) {
        let State::Patching(patch) = std::mem::replace(&mut self.state, State::Failed) else { return };
        let (target, threads) = (patch.into_output(), sink.context.workers());
        // If it becomes shorter meanwhile, something from behind its new end may have been copied.
        self.held = u64::MAX;
        if target.demands_sharing() {
            match target.share_all_of(from) {
                Ok(len) => {
                    self.literal = len;
                    self.advance(sink, len);
                    self.state = State::Copied(target);
                }
                Err(error) => self.fail(sink, error.doing, &describe(&error.source)),
            }
            return;
        }
        loop {
            // In pieces, so that stopping the run and telling how far it is need not wait for a huge file.
            match target.copy_from(from, self.literal, COPY_PIECE, self.literal, threads) {
                Ok(_) if sink.sender.is_stopped() => return,
                Ok(len) => {
                    self.literal += len;
                    self.advance(sink, len);
                    if len < COPY_PIECE {
                        break;
                    }
                }
                Err(error) => return self.fail(sink, error.doing, &describe(&error.source)),
            }
        }
        self.state = State::Copied(target);
    }

    /// Tells how far the file is, never more than it was said to hold.
    fn advance(&mut self, sink: &Sink<'_>, bytes: u64) {
        let advance = bytes.min(self.flight.entry.node.size().saturating_sub(self.told));
        self.told += advance;
        sink.context.progress.advance(advance);
        sink.tell_progress();
    }

    fn fail(&mut self, sink: &Sink<'_>, doing: &str, cause: &str) {
        if let State::Patching(patch) = std::mem::replace(&mut self.state, State::Failed) {
            self.give_up(sink, &patch.into_output());
        }
        sink.tally.problem(doing, &self.flight.path, &cause);
    }

    /// Nothing comes of what was written: a file that was appended to is as it was.
    fn give_up(&self, sink: &Sink<'_>, target: &Target) {
        if let Err(error) = target.take_back() {
            sink.tally.failed(&self.flight.path, &error);
        }
    }

    /// Whether the source has been asked for more of it.
    fn waits(&self) -> bool {
        self.gaps.any() || matches!(self.state, State::Repairing { .. })
    }

    /// Notes how many gaps the file has.
    fn count_gaps(&mut self) -> Result<(), PassError> {
        match &self.state {
            State::Patching(patch) => self.gaps.set(patch.open_gaps()),
            _ => self.gaps.set(0),
        }
    }

    /// Ends a round that left gaps, and has these signed. Of a file that failed there is nothing to sign; the source
    /// will see its directory closed.
    fn end_round(
        mut self,
        sink: &Sink<'_>,
        file: FileId,
        (block_len, strong_len): (BlockLen, StrongLen),
        signing: &Sender<Job>,
    ) -> Result<Option<Build>, PassError> {
        const UNFIT: PassError = PassError::Protocol("a round that does not fit the file");
        let patch = match &mut self.state {
            State::Patching(patch) => patch,
            State::Failed => return self.settle(sink, file).map(|()| None),
            _ => return Err(UNFIT),
        };
        let covers = patch.next_round(block_len).map_err(|_| UNFIT)?;
        let basis = patch.basis().0.clone().ok_or(UNFIT)?;
        let job = Job::Refine(Finer { file, basis, covers, block_len, strong_len });
        signing.send(job).map_err(|_| PassError::Lost)?;
        self.count_gaps()?;
        Ok(Some(self))
    }

    /// Ends the content. Returns the build if there is more to come, which may be if it is not to be given up.
    fn end(
        mut self,
        sink: &Sink<'_>,
        file: FileId,
        end: ContentEnd,
        may_repair: bool,
    ) -> Result<Option<Build>, PassError> {
        let state = std::mem::replace(&mut self.state, State::Failed);
        match (state, end) {
            (State::Patching(patch), ContentEnd::Complete { len, sum }) => {
                let Patched { output: target, sums, unsummed } =
                    patch.finish().map_err(|_| PassError::Protocol("an end that does not fit the file"))?;
                let changed = target.has_changed();
                let resummed = match changed.and_then(|changed| Ok(changed || target.is_cut(sums.len())?)) {
                    Ok(false) => resum(sink, &target, sums, unsummed.into_iter().flatten()),
                    Ok(true) => {
                        let all = 0..sums.sums().len() as u64;
                        resum(sink, &target, sums, all)
                    }
                    Err(error) => Err(error),
                };
                match resummed {
                    Ok(sums) => return self.verify(sink, file, (target, sums), (len, sum), may_repair),
                    Err(error) => self.fail(sink, "verifying", &describe(&error)),
                }
            }
            (State::Repairing { target, sums, rewritten }, ContentEnd::Complete { len, sum }) => {
                let cut = cut(&target, self.segment_len, sums, len);
                match cut.and_then(|sums| resum(sink, &target, sums, rewritten.into_iter())) {
                    Ok(sums) => return self.verify(sink, file, (target, sums), (len, sum), may_repair),
                    Err(error) => self.fail(sink, "verifying", &describe(&error)),
                }
            }
            (State::Copied(target), ContentEnd::Local) => self.install(sink, target, self.literal)?,
            (State::Patching(patch), ContentEnd::Unreadable) => self.give_up(sink, &patch.into_output()),
            (State::Failed, _) | (_, ContentEnd::Unreadable) => {}
            _ => return Err(PassError::Protocol("an end that does not fit the file")),
        }
        self.settle(sink, file)?;
        Ok(None)
    }

    fn verify(
        mut self,
        sink: &Sink<'_>,
        file: FileId,
        (target, sums): (Target, SegmentSums),
        (len, sum): (u64, Sum),
        may_repair: bool,
    ) -> Result<Option<Build>, PassError> {
        if sums.len() == len && sums.root(sink.context.sums) == sum {
            self.install(sink, target, len)?;
            self.settle(sink, file)?;
            return Ok(None);
        }
        let mut why = "it changed while it was being copied; run again";
        if self.repairs >= REPAIRS {
            self.give_up(sink, &target);
        } else if sums.sums().len() > MAX_SEGMENTS {
            why = "it changed while it was being copied, and is too long to be repaired; run again";
        } else {
            let Flight { dir, index, .. } = *self.flight;
            let segments = sums.sums().to_vec();
            self.repairs += 1;
            // They come with the answer again.
            self.xattrs = Xattrs::NONE;
            self.state = State::Repairing { target, sums: segments.clone(), rewritten: BTreeSet::new() };
            // Answers are content, which this thread takes: waiting for credit here could be waiting for itself. It is
            // short only while many huge files fail to verify at once.
            let segment_len = self.segment_len;
            let again = Message::Again(Again { file, dir, index, segment_len, segments });
            if may_repair && sink.sender.send_now(again)? {
                return Ok(Some(self));
            }
            why = "too much has to be repaired at once; run again";
        }
        self.fail(sink, "verifying", why);
        self.settle(sink, file)?;
        Ok(None)
    }

    fn install(&mut self, sink: &Sink<'_>, target: Target, len: u64) -> Result<(), PassError> {
        let Flight { dir, name, path, update, entry, own, .. } = &*self.flight;
        let mut identity = None;
        let cut = if self.held > len { target.set_len(len) } else { Ok(()) };
        let sum = sink.plain_sum_of(|buffer, offset| target.read_full_at(buffer, offset));
        let installed = match (sink.goal.agenda(), target) {
            (Some(agenda), Target::Stage(staged)) => {
                let dir = cut.and(sink.directories.writable(sink, *dir)?);
                dir.map(|dir| sink.install_planned((path, name), &dir, |place| agenda.install(place, staged)))
            }
            (_, target) => match cut.and_then(|()| target.brought_home(|| !sink.sender.is_stopped())) {
                Ok(target) => {
                    if sink.may_be_linked(entry) {
                        identity = target.stamp().ok().map(|stamp| (stamp.dev, stamp.ino));
                    }
                    let set = sink.set_owner_first(path, &update.set, |owner| target.set_meta(owner));
                    let kept = match target {
                        Target::Stage(_) if own.is_some() && !sink.delays_file(entry) => {
                            sink.keep_replaced(*dir, path, name)?
                        }
                        // What is written in place was kept before, and what waits will be.
                        _ => Ok(()),
                    };
                    let extended = sink.extended(entry.acls(), update, Some(&self.xattrs));
                    sink.set_extended(path, &extended, |extended| target.set_extended(extended));
                    let installed = match (kept, target) {
                        (Err(error), _) => Err(error),
                        (Ok(()), Target::Stage(staged)) => sink.delay(&self.flight, staged, &set)?,
                        (Ok(()), target) => target.install(&set),
                    };
                    installed.map(|()| true)
                }
                Err(error) => Err(error),
            },
        };
        let done = matches!(installed, Ok(true));
        match installed {
            Ok(true) => {
                self.landing = Landing::of(identity);
                self.count(sink, len.saturating_add(self.flight.appended_to));
                let late = Late { sent: self.literal, sum };
                let Flight { path, entry, update, .. } = &*self.flight;
                sink.tell_transferred(|| path.clone(), &entry.node, &entry.meta, update, late);
            }
            Ok(false) => {}
            Err(error) => sink.tally.failed(path, &error),
        }
        if done && !sink.delays_file(&self.flight.entry) {
            sink.confirm(self.flight.place(), &self.flight.entry)?;
        }
        if done && !sink.delays() { sink.clear_partial(&self.flight) } else { Ok(()) }
    }

    /// Counts a file that has got its new content.
    fn count(&self, sink: &Sink<'_>, len: u64) {
        sink.tally.count(|totals| {
            if self.flight.update.change.new {
                totals.created.add(crate::tree::Kind::File);
            }
            totals.transferred += 1;
            totals.transferred_size = totals.transferred_size.saturating_add(len);
            totals.literal = totals.literal.saturating_add(self.literal);
            totals.matched = totals.matched.saturating_add(self.matched);
        });
    }

    fn settle(self, sink: &Sink<'_>, file: FileId) -> Result<(), PassError> {
        sink.settle_progress(1, self.flight.entry.node.size().saturating_sub(self.told));
        sink.flights.land(file);
        sink.landed(&self.flight.entry, self.landing);
        sink.settle(self.flight.dir)
    }

    /// Where it is staged, if it is.
    fn into_stage(self) -> Option<Stage> {
        match self.state {
            State::Patching(patch) => match patch.into_output() {
                Target::Stage(stage) => Some(stage),
                Target::InPlace { .. } | Target::Rest { .. } => None,
            },
            State::Repairing { target: Target::Stage(stage), .. } | State::Copied(Target::Stage(stage)) => {
                Some(stage)
            }
            State::Repairing { .. } | State::Copied(_) | State::Failed => None,
        }
    }

    /// The run was interrupted and `--partial` given: what there is is kept, with its own time, so that the next run
    /// sees that it differs.
    fn keep_partial(self, sink: &Sink<'_>) -> Result<(), PassError> {
        let State::Patching(patch) = self.state else { return Ok(()) };
        match (patch.prefix(), patch.into_output()) {
            (len, Target::Stage(stage)) if len > 0 => sink.keep_part(&self.flight, stage, len),
            _ => Ok(()),
        }
    }
}

/// Gives a repaired file its length, and its sums as many places. Segments past the known ones were rewritten, or the
/// sums will not agree.
fn cut(target: &Target, segment_len: BlockLen, mut sums: Vec<Sum>, len: u64) -> io::Result<SegmentSums> {
    let count = usize::try_from(len.div_ceil(segment_len.get().into()));
    let Some(count) = count.ok().filter(|count| *count <= MAX_SEGMENTS) else {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, GROWN));
    };
    target.set_len(len).map_err(|error| error.source)?;
    sums.resize(count, Sum([0; 16]));
    SegmentSums::new(segment_len, len, sums).map_err(io::Error::other)
}

/// Sums these segments as they are now.
fn resum(
    sink: &Sink<'_>,
    target: &Target,
    mut sums: SegmentSums,
    segments: impl Iterator<Item = u64>,
) -> io::Result<SegmentSums> {
    let mut buffer = Vec::new();
    for segment in segments {
        // Only as far as the file goes: one that held more is longer still.
        let range = sums.range(segment);
        buffer.resize(usize::try_from(range.end - range.start).map_err(io::Error::other)?, 0);
        let read = target.read_full_at(&mut buffer, range.start)?;
        sums.replace(segment, sink.context.sums.sum(buffer.get(..read).unwrap_or_default()));
    }
    Ok(sums)
}
