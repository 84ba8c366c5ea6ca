//! A run between two other hosts: each has a peer, and what one says is handed to the other.
//!
//! Both peers were asked for the run as always, one to be the source and one the sink, and each takes the other for the
//! asking side. Frames are handed over as they come and never unpacked on the way, so that deltas, credit and
//! compression are those of the two; what is held here is a piece of a frame for each direction. Of the frames without
//! content a copy is read for what concerns the user: events, how far the run is, and the numbers at the end. The peers
//! were told that they are `relayed`, so they do not repeat events to each other. Each sends signs of life where there
//! is a `--timeout`; who sends none is given up here, since there may be nobody left who could.

use crate::report::{Event, Totals};
use crate::request::{NamesFrom, Options, Part, Request};
use crate::session::remote::{GRACE, connect};
use crate::session::{Failure, Outcome, Run, Surroundings, random_seed};
use crate::transport::target::Host;
use crate::transport::{Connection, Control, RemoteExit};
use crate::wire::frame::{FrameDecoder, HEADER};
use crate::wire::hello::{self, Hello};
use crate::wire::{Abort, Message, WireError};
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// The most bytes that are handed over at once.
const PIECE: usize = 64 * 1024;

/// How often it is looked whether one of the two has ended.
const LOOK: Duration = Duration::from_millis(10);

/// One of the two ends.
struct End {
    reader: Box<dyn Read + Send>,
    writer: Box<dyn Write + Send>,
    control: Control,
    silence: Arc<Silence>,
}

/// Since when one end has been waited for.
#[derive(Default)]
struct Silence {
    since: Mutex<Option<Instant>>,
    was_too_long: AtomicBool,
}

/// Notes while it waits for an end to say something.
struct Awaited {
    reader: Box<dyn Read + Send>,
    silence: Arc<Silence>,
}

/// What was heard of the run in passing.
#[derive(Default)]
struct Heard {
    totals: Totals,
    /// How many of the two have come to their end.
    finished: u8,
    abort: Option<Abort>,
    listed: u64,
}

/// Which way frames go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToSink,
    ToSource,
}

/// Runs a run from one host to another.
pub(super) fn run(
    run: &Run,
    surroundings: &Surroundings,
    (from, sources): (&Host, Vec<Vec<u8>>),
    (to, destination): (&Host, Vec<u8>),
) -> Result<Outcome, Failure> {
    if run.names.is_some() {
        return Err(Failure::Usage(
            "between two other hosts, the list of --files-from has to be on that of the source".into(),
        ));
    }
    if let Some(streams) = run.options.streams.filter(|&streams| streams > 1) {
        let text = format!("going on with 1 of {streams} streams: between two other hosts each has one");
        surroundings.reporter.report(Event::Notice(text));
    }
    let start = Instant::now();
    let seed = random_seed();
    let asked = Options { relayed: true, streams: None, ..run.peer_options.clone() };
    let told_names = asked.names_from.as_ref().map(|_| NamesFrom::Asking);
    let sink_options = Options { names_from: told_names, ..asked.clone() };
    let source = Request { part: Part::Source { arguments: sources }, options: asked };
    let sink = Request { part: Part::Sink { destination }, options: sink_options };
    let source = open(run, surroundings, from, seed, &source)?;
    let sink = open(run, surroundings, to, seed, &sink)?;
    let connecting = start.elapsed();
    let heard = Mutex::new(Heard::default());
    let controls = [source.control, sink.control];
    let silences = [source.silence, sink.silence];
    let broken = OnceLock::new();
    let hand = |from, to, way| {
        let handed = hand_over(from, to, way, &heard, surroundings);
        // Whoever still waits for the other has nothing to wait for.
        if handed.is_err() || was_too_long(&silences) {
            // How the two ended is asked before both are: after that, it is what was done to them here.
            if matches!(handed, Err(WireError::Ended | WireError::Io(_))) {
                broken.get_or_init(|| cause(&controls));
            }
            controls.iter().for_each(Control::close);
        }
        handed
    };
    let (there, back) = thread::scope(|scope| {
        let back = scope.spawn(|| hand(sink.reader, source.writer, Way::ToSource));
        let there = hand(source.reader, sink.writer, Way::ToSink);
        (there, back.join().unwrap_or(Err(WireError::Ended)))
    });
    if let Some(seconds) = run.options.timeout.filter(|_| was_too_long(&silences)) {
        return Err(WireError::Timeout(seconds).into());
    }
    let cause = broken.into_inner().unwrap_or_else(|| cause(&controls));
    let Heard { totals, finished, abort, listed } =
        heard.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(abort) = abort {
        return Err(Failure::Peer(abort));
    }
    // Both, in each pass.
    let expected = if run.peer_options.sweeps_first() { 4 } else { 2 };
    let (sent, received) = match (there, back) {
        (Ok(there), Ok(back)) if finished == expected => (there, back),
        (Err(error), _) | (_, Err(error)) if !matches!(error, WireError::Ended | WireError::Io(_)) => {
            return Err(error.into());
        }
        _ => return Err(Failure::Lost(cause)),
    };
    Ok(Outcome {
        totals,
        sent,
        received,
        listed,
        compressed: None,
        elapsed: start.elapsed(),
        connecting: Some(connecting),
        retries: 0,
        two_way: None,
    })
}

/// Why two connections ended, of which one broke: that of which the line broke tells it, and the peer of the other only
/// noticed. `None` if neither of them ends by itself, or there is nothing to be told.
fn cause(controls: &[Control; 2]) -> Option<RemoteExit> {
    let until = Instant::now() + GRACE;
    loop {
        let exits = controls.each_ref().map(|control| control.wait(Duration::ZERO));
        let all_ended = exits.iter().all(Option::is_some);
        let mut ended: Vec<RemoteExit> =
            exits.into_iter().flatten().filter(|exit| *exit != RemoteExit::Status(0)).collect();
        let lines = |exit: &RemoteExit| Failure::Lost(Some(exit.clone())).is_of_the_line();
        if let Some(line) = ended.iter().position(lines) {
            return Some(ended.swap_remove(line));
        }
        if all_ended || Instant::now() >= until {
            return ended.into_iter().next();
        }
        thread::sleep(LOOK);
    }
}

/// Connects to a host and greets its peer.
fn open(
    run: &Run,
    surroundings: &Surroundings,
    host: &Host,
    seed: u64,
    request: &Request,
) -> Result<End, Failure> {
    let silence = Arc::new(Silence::default());
    let seen = Arc::downgrade(&silence);
    let signs = move || seen.upgrade().into_iter().for_each(|silence| silence.seen());
    let (connection, trouble) = connect(run, surroundings, host, Arc::new(signs))?;
    let Connection { reader, mut writer, control } = connection;
    let mut reader = Box::new(Awaited { reader, silence: silence.clone() });
    if let Some(seconds) = run.options.timeout.filter(|&seconds| seconds > 0) {
        let (silence, control) = (Arc::downgrade(&silence), control.clone());
        let watch = move || watch(&silence, &control, Duration::from_secs(seconds.into()));
        let system = |source| Failure::System { doing: "setting up the connection", source };
        thread::Builder::new().name("relay timeout".into()).spawn(watch).map_err(system)?;
    }
    let hold = control.clone();
    surroundings.cancel.on_cancel(move || hold.close());
    let mut greeting = Hello::new(seed).encode();
    greeting.extend(hello::encode_request(request));
    let greeted = hello::write(&mut writer, &greeting).and_then(|()| Hello::read(&mut reader));
    if let Some(failure) = trouble.take() {
        control.close();
        return Err(failure);
    }
    match greeted {
        Ok(_) => Ok(End { reader, writer, control, silence }),
        Err(_) if was_too_long(&[silence]) => {
            control.close();
            Err(WireError::Timeout(run.options.timeout.unwrap_or_default()).into())
        }
        Err(WireError::Ended | WireError::Io(_)) => {
            let exit = control.wait(GRACE);
            control.close();
            Err(Failure::NotStarted(exit))
        }
        Err(error) => {
            control.close();
            Err(error.into())
        }
    }
}

impl Silence {
    /// Whoever is waited for is not silent.
    fn seen(&self) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = since.map(|_| Instant::now());
    }
}

impl Read for Awaited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let note = |since| *self.silence.since.lock().unwrap_or_else(PoisonError::into_inner) = since;
        note(Some(Instant::now()));
        let read = self.reader.read(buffer);
        note(None);
        read
    }
}

/// Breaks a connection off when its end has been waited for longer than `limit`. A thread of its own, as only the end
/// can end what waits for it; it is over when nobody waits any more.
fn watch(silence: &Weak<Silence>, control: &Control, limit: Duration) {
    while let Some(silence) = silence.upgrade() {
        let since = *silence.since.lock().unwrap_or_else(PoisonError::into_inner);
        let left = limit.saturating_sub(since.map_or(Duration::ZERO, |since| since.elapsed()));
        if left.is_zero() {
            silence.was_too_long.store(true, Ordering::Relaxed);
            return control.close();
        }
        drop(silence);
        thread::sleep(left.min(Duration::from_millis(500)));
    }
}

fn was_too_long(silences: &[Arc<Silence>]) -> bool {
    silences.iter().any(|silence| silence.was_too_long.load(Ordering::Relaxed))
}

/// Hands frames over until there are no more. Returns how many bytes they had.
fn hand_over(
    mut from: Box<dyn Read + Send>,
    mut to: Box<dyn Write + Send>,
    way: Way,
    heard: &Mutex<Heard>,
    surroundings: &Surroundings,
) -> Result<u64, WireError> {
    let mut decoder = FrameDecoder::new()?;
    let mut bytes = 0u64;
    let mut buffer = vec![0; PIECE];
    loop {
        let mut header = [0; HEADER];
        if !read_header(&mut from, &mut header)? {
            return Ok(bytes);
        }
        let mut left = FrameDecoder::payload_len(header)?;
        bytes = bytes.saturating_add((HEADER + left) as u64);
        to.write_all(&header)?;
        let is_content = FrameDecoder::is_content(header);
        let mut payload = Vec::new();
        // Not all of it at once: over a slow line that takes longer than the other end would wait for a sign of life.
        while left > 0 {
            let piece = read_some(&mut from, &mut buffer, left)?;
            to.write_all(piece)?;
            to.flush()?;
            left = left.saturating_sub(piece.len());
            if !is_content {
                payload.extend_from_slice(piece);
            }
        }
        if !is_content {
            decoder.messages(header, payload, |message, _| hear(message, way, heard, surroundings))?;
        }
        heard.lock().unwrap_or_else(PoisonError::into_inner).listed += decoder.take_listed();
    }
}

/// The beginning of the next frame; `false` if there is none.
fn read_header(from: &mut impl Read, header: &mut [u8; HEADER]) -> Result<bool, WireError> {
    let [first, rest @ ..] = header;
    loop {
        match from.read(std::slice::from_mut(first)) {
            Ok(0) => return Ok(false),
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    from.read_exact(rest)?;
    Ok(true)
}

/// What there is to read of the `left` bytes that are to come.
fn read_some<'a>(from: &mut impl Read, buffer: &'a mut [u8], left: usize) -> Result<&'a [u8], WireError> {
    let most = left.min(buffer.len());
    let buffer = buffer.get_mut(..most).unwrap_or_default();
    loop {
        match from.read(buffer) {
            Ok(0) => return Err(WireError::Ended),
            Ok(read) => return Ok(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Takes from a message what concerns the user.
fn hear(message: Message, way: Way, heard: &Mutex<Heard>, surroundings: &Surroundings) {
    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    match message {
        Message::Event(event) => surroundings.reporter.report(event),
        Message::Progress(reading) if way == Way::ToSink => surroundings.progress.set_totals(&reading),
        Message::Progress(reading) => surroundings.progress.set_done(&reading),
        Message::Finish(totals) => {
            heard.totals.merge(&totals);
            heard.finished = heard.finished.saturating_add(1);
        }
        Message::Abort(abort) => {
            heard.abort.get_or_insert(abort);
        }
        _ => {}
    }
}
