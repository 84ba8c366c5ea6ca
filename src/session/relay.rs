//! A run between two other hosts: each has a peer, and what one says is handed to the other.
//!
//! Both peers were asked for the run as always, one to be the source and one the sink, and each takes the other for the
//! asking side. Frames are handed over as they come, one at a time and never unpacked on the way, so that deltas, credit
//! and compression are those of the two; what is held here is a frame for each direction. Of the frames without content
//! a copy is read for what concerns the user: events, how far the run is, and the numbers at the end. The peers were
//! told that they are `relayed`, so they do not repeat events to each other.

use crate::report::Totals;
use crate::request::{NamesFrom, Options, Part, Request};
use crate::session::remote::{GRACE, connect};
use crate::session::{Failure, Outcome, Run, Surroundings, random_seed};
use crate::transport::target::Host;
use crate::transport::{Connection, Control, RemoteExit};
use crate::wire::frame::{FrameDecoder, HEADER};
use crate::wire::hello::{self, Hello};
use crate::wire::{Abort, Message, WireError};
use std::io::{self, Read, Write};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// One of the two ends.
struct End {
    reader: Box<dyn Read + Send>,
    writer: Box<dyn Write + Send>,
    control: Control,
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
    let hand = |from, to, way| {
        let handed = hand_over(from, to, way, &heard, surroundings);
        // Whoever still waits for the other has nothing to wait for.
        if handed.is_err() {
            controls.iter().for_each(Control::close);
        }
        handed
    };
    let (there, back) = thread::scope(|scope| {
        let back = scope.spawn(|| hand(sink.reader, source.writer, Way::ToSource));
        let there = hand(source.reader, sink.writer, Way::ToSink);
        (there, back.join().unwrap_or(Err(WireError::Ended)))
    });
    let exits = controls.map(|control| control.wait(GRACE));
    let Heard { totals, finished, abort, listed } =
        heard.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(abort) = abort {
        return Err(Failure::Peer(abort));
    }
    let (sent, received) = match (there, back) {
        (Ok(there), Ok(back)) if finished == 2 => (there, back),
        (Err(error), _) | (_, Err(error)) if !matches!(error, WireError::Ended | WireError::Io(_)) => {
            return Err(error.into());
        }
        _ => {
            let failed = |exit: &RemoteExit| *exit != RemoteExit::Status(0);
            return Err(Failure::Lost(exits.into_iter().flatten().find(failed)));
        }
    };
    Ok(Outcome {
        totals,
        sent,
        received,
        listed,
        compressed: None,
        elapsed: start.elapsed(),
        connecting: Some(connecting),
        two_way: None,
    })
}

/// Connects to a host and greets its peer.
fn open(
    run: &Run,
    surroundings: &Surroundings,
    host: &Host,
    seed: u64,
    request: &Request,
) -> Result<End, Failure> {
    let Connection { mut reader, mut writer, control } = connect(run, surroundings, host)?;
    let hold = control.clone();
    surroundings.cancel.on_cancel(move || hold.close());
    let mut greeting = Hello::new(seed).encode();
    greeting.extend(hello::encode_request(request));
    let greeted = hello::write(&mut writer, &greeting).and_then(|()| Hello::read(&mut reader));
    match greeted {
        Ok(_) => Ok(End { reader, writer, control }),
        Err(WireError::Ended | WireError::Io(_)) => {
            let exit = control.wait(GRACE).filter(|exit| *exit != RemoteExit::Status(0));
            control.close();
            Err(Failure::NotStarted(exit))
        }
        Err(error) => {
            control.close();
            Err(error.into())
        }
    }
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
    loop {
        let mut header = [0; HEADER];
        if !read_header(&mut from, &mut header)? {
            return Ok(bytes);
        }
        let mut payload = vec![0; FrameDecoder::payload_len(header)?];
        from.read_exact(&mut payload)?;
        to.write_all(&header)?;
        to.write_all(&payload)?;
        to.flush()?;
        bytes = bytes.saturating_add((HEADER + payload.len()) as u64);
        if !FrameDecoder::is_content(header) {
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
