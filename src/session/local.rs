//! Both roles in one process.

use crate::pass::{Context, PassError};
use crate::session::{Failure, Outcome, Run, Surroundings, context, one_way};
use crate::wire::Link;
use crate::wire::pump::{self, PumpOptions};
use std::borrow::Cow;
use std::io;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

pub(super) fn run(
    run: &Run,
    surroundings: &Surroundings,
    sources: &[Vec<u8>],
    destination: &[u8],
) -> Result<Outcome, Failure> {
    let start = Instant::now();
    let limited = run.options.bandwidth.is_some();
    let (reporter, progress) = (surroundings.reporter.clone(), surroundings.progress.clone());
    let context = Context {
        local: !limited,
        ..context(run.options.clone(), run.paths, run.seed(), reporter, progress)
    };
    let (source, sink) = link(run)?;
    for end in [&source, &sink] {
        let stopper = end.sender.stopper();
        surroundings.cancel.on_cancel(move || stopper.stop());
    }
    let names = run.names.as_deref().map(Cow::Borrowed);
    let (read, written) = thread::scope(|scope| {
        let reading = thread::Builder::new()
            .name("source".into())
            .spawn_scoped(scope, || one_way::source(source, sources, names, &context));
        match reading {
            Err(error) => (Err(PassError::thread(error)), Err(PassError::Lost)),
            Ok(reading) => {
                let options = run.peer_options.clone();
                let written = one_way::sink(sink, destination, &Context { options, ..context.clone() });
                (reading.join().unwrap_or(Err(PassError::Lost)), written)
            }
        }
    });
    // Each role that fails takes the other with it; the one with a reason of its own is the one to name.
    let totals = match (read, written) {
        (_, Ok(totals)) => totals,
        (Err(error), Err(PassError::Lost | PassError::Peer(_))) | (_, Err(error)) => return Err(error.into()),
    };
    let (sent, elapsed) = (totals.literal, start.elapsed());
    Ok(Outcome {
        totals,
        sent,
        received: 0,
        listed: 0,
        compressed: None,
        elapsed,
        connecting: None,
        retries: 0,
        two_way: None,
    })
}

/// The two ends of a link in this process.
pub(super) fn link(run: &Run) -> Result<(Link, Link), Failure> {
    // A limited rate is kept where bytes are counted, so the two then talk over a stream as if they were apart.
    if run.options.bandwidth.is_some() { over_a_stream(run) } else { Ok(Link::pair()) }
}

/// The two ends of a link over a pair of connected sockets.
fn over_a_stream(run: &Run) -> Result<(Link, Link), Failure> {
    let options = PumpOptions { bandwidth: run.options.bandwidth, ..PumpOptions::default() };
    let end = |stream: UnixStream| -> io::Result<Link> {
        let reader = Box::new(stream.try_clone()?);
        Ok(pump::start(reader, Box::new(stream), Vec::new(), options)?.0)
    };
    let pair = UnixStream::pair().and_then(|(here, there)| Ok((end(here)?, end(there)?)));
    pair.map_err(|source: io::Error| Failure::System { doing: "connecting source and destination", source })
}
