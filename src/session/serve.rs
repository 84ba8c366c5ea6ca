//! The peer's side of a run.

use crate::pass::{self, Context};
use crate::report::Progress;
use crate::request::{Part, Request};
use crate::session::forward::Forward;
use crate::session::{Cancel, Failure, context};
use crate::view::{self, View};
use crate::wire::hello::{self, Hello};
use crate::wire::pump::{self, PumpOptions};
use std::io::{Read, Write};
use std::sync::Arc;

/// Plays the role that the asking side, at the other end of these streams, requests. Everything there is to say is
/// said over the link; paths are relative to the current directory, which a remote shell makes the home directory.
pub fn serve(
    mut input: Box<dyn Read + Send>,
    mut output: Box<dyn Write + Send>,
    cancel: &Cancel,
) -> Result<(), Failure> {
    // Before anything is read, so that a peer of another version learns what this one is.
    hello::write(&mut output, &Hello::new(0).encode())?;
    let (hello, _) = Hello::read(&mut input)?;
    let Request { part, options } = hello::read_request(&mut input)?;
    let pump_options = PumpOptions {
        compression: options.compress,
        bandwidth: options.bandwidth,
        timeout: options.timeout,
        expects_hello: false,
    };
    let system = |source| Failure::System { doing: "setting up the connection", source };
    let (link, pump) = pump::start(input, output, Vec::new(), pump_options).map_err(system)?;
    let stopper = pump.stopper();
    cancel.on_cancel(move || stopper.stop());
    let reporter = Arc::new(Forward { sender: link.sender.clone() });
    let context = Context {
        tell_progress: true,
        ..context(options, hello.seed, reporter, Arc::new(Progress::default()))
    };
    let played = match part {
        Part::Sink { destination } => pass::sink::run(link, &without_tilde(destination), &context),
        Part::Source { arguments } => {
            let arguments = view::expand(&arguments);
            let (view, missing) =
                View::open(&arguments, context.options.rules.clone(), context.options.recursive);
            pass::source::run(link, &view, missing, &context)
        }
    };
    let failure = pump.stopper().failure();
    pump.finish();
    match (played, failure) {
        (Ok(_), _) => Ok(()),
        (Err(pass::PassError::Lost), Some(failure)) => Err(failure.into()),
        (Err(error), _) => Err(error.into()),
    }
}

/// A leading `~/` means the home directory, which is where a peer starts.
fn without_tilde(path: Vec<u8>) -> Vec<u8> {
    match path.as_slice() {
        b"~" => Vec::new(),
        other => other.strip_prefix(b"~/").map(<[u8]>::to_vec).unwrap_or(path),
    }
}
