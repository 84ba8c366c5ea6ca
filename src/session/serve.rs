//! The peer's side of a run, and the processes that bring it further channels.

use crate::pass::{Context, PassError};
use crate::report::{Event, Progress, Reporter};
use crate::request::{NamesFrom, Part, Request};
use crate::session::forward::Forward;
use crate::session::remote::INTERRUPTED;
use crate::session::{
    Cancel, Failure, Terms, context, explain, names, one_way, talk, two_way, without_tilde,
};
use crate::transport;
use crate::transport::meeting::{self, Door, Meeting};
use crate::twoway::run::{Around, RunError};
use crate::view;
use crate::wire::Message;
use crate::wire::channels::{Channel, Further};
use crate::wire::hello::{self, Hello, Join};
use crate::wire::pump::{PumpOptions, Unconnected};
use std::borrow::Cow;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

/// Why nobody joins a restricted server.
const ALONE: &str = "the server is restricted to a directory";

/// Plays the role that the asking side, at the other end of these streams, requests. Everything there is to say is
/// said over the link; paths are relative to the current directory, which a remote shell makes the home directory.
///
/// Or joins another process that does so, for the sake of a further channel: that then reads and writes the streams,
/// until it ends. They meet below one of `folders`, which are the same for both. `terms`: how this server was started,
/// or why it cannot be one, which whoever asks is told. A restricted one does what they leave, and nobody joins it, as
/// it could meet nobody outside of its directory.
pub fn serve(
    mut input: impl Read + AsFd + Send + 'static,
    mut output: impl Write + AsFd + Send + 'static,
    folders: &[PathBuf],
    terms: Result<Terms, Failure>,
    cancel: &Cancel,
) -> Result<(), Failure> {
    let (terms, fit) = terms.map_or_else(|why| (Terms::default(), Err(why)), |terms| (terms, Ok(())));
    let is_alone = terms.restriction.is_some() || fit.is_err();
    let own = Hello::new(0).encode();
    // Before anything is read, so that a peer of another version learns what this one is; but somebody has to be there
    // to be told why there is none.
    if fit.is_ok() {
        hello::write(&mut output, &own)?;
    }
    let (hello, _) = Hello::read(&mut input)?;
    if fit.is_err() {
        hello::write(&mut output, &own)?;
    }
    if let Some(join) = &hello.join {
        if is_alone {
            return Ok(hello::write(&mut output, &hello::encode_joined(Err(ALONE.to_owned())))?);
        }
        return attend(&input, &mut output, join, folders, cancel);
    }
    let request = hello::read_request(&mut input)?;
    let allowed = fit.and_then(|()| match terms.restriction {
        Some(restriction) => Ok(restriction.check(&request)?),
        None => Ok(()),
    });
    let Request { part, options } = request;
    let pump_options = PumpOptions {
        compression: options.compress,
        bandwidth: options.bandwidth,
        timeout: options.timeout,
        expects_hello: false,
    };
    let (stop, cancel) = match &part {
        Part::Replica { .. } => two_way::stopping_by(cancel),
        Part::Sink { .. } | Part::Source { .. } => (Arc::default(), cancel.clone()),
    };
    let (mut link, unconnected) = Unconnected::new();
    let stopper = unconnected.stopper();
    cancel.on_cancel(move || stopper.give_up(INTERRUPTED));
    let reporter = Arc::new(Forward { sender: link.sender.clone() });
    // Kept to the end, by which its directory has to be gone.
    let asks_for_more = options.streams.is_some_and(|streams| streams > 1);
    let meeting = (asks_for_more && !is_alone).then(|| Meeting::open(folders));
    let further = match &meeting {
        Some(Ok(meeting)) => {
            let door = meeting.door();
            Further::Joined(Box::new(move || channels(door)))
        }
        Some(Err(_)) | None => Further::Never,
    };
    let system = |source| Failure::System { doing: "setting up the connection", source };
    let pump = unconnected
        .connect(Box::new(input), Box::new(output), Vec::new(), pump_options, further)
        .map_err(system)?;
    match &meeting {
        // If the link is closed already, the pass will notice.
        Some(Ok(meeting)) => drop(link.sender.send(Message::Invite(meeting.token()))),
        Some(Err(error)) => {
            reporter.report(Event::Notice(format!("going on with one stream: {}", error.with_hint())))
        }
        None if asks_for_more => reporter.report(Event::Notice(format!("going on with one stream: {ALONE}"))),
        None => {}
    }
    let context = Context {
        tell_progress: true,
        stop,
        ..context(options, terms.paths.of_peer(), hello.seed, reporter, Arc::new(Progress::default()))
    };
    let names = allowed.and_then(|()| names::own(context.options.names_from.as_ref(), context.paths));
    let names = names.inspect_err(|error| talk::give_up(&link, error));
    let (names, refused) = match names {
        Ok(names) => (names, Ok(())),
        Err(error) => (None, Err(error)),
    };
    let played = match part {
        _ if refused.is_err() => Err(PassError::Lost.into()),
        Part::Sink { destination } => match &names {
            Some(names) => talk::say(&mut link, names),
            None => Ok(()),
        }
        .and_then(|()| {
            let destination = without_tilde(destination);
            match context.options.explain.is_empty() {
                true => one_way::sink(link, &destination, &context).map(drop),
                false => explain::answer_for_destination(link, &destination, &context),
            }
        })
        .map_err(RunError::from),
        Part::Replica { root, landmarks } => {
            let root = without_tilde(root);
            let around = Around { context: &context, name: &root };
            two_way::follow_afar(link, &landmarks, around).map(drop)
        }
        Part::Source { arguments } => {
            let names = match context.options.names_from {
                Some(NamesFrom::Asking) => talk::hear(&mut link, &*context.reporter).map(Some),
                _ => Ok(names),
            };
            names
                .and_then(|names| {
                    let arguments = view::expand(&arguments, context.paths.for_sources());
                    let names = names.map(Cow::Owned);
                    match context.options.explain.is_empty() {
                        true => one_way::source(link, &arguments, names, &context).map(drop),
                        false => explain::answer_for_sources(link, &arguments, names.as_deref(), &context),
                    }
                })
                .map_err(RunError::from)
        }
    };
    let failure = pump.stopper().failure();
    pump.finish();
    refused?;
    match (played, failure) {
        (Ok(_), _) => Ok(()),
        (Err(RunError::Pass(PassError::Lost)), Some(failure)) => Err(failure.into()),
        (Err(error), _) => Err(error.into()),
    }
}

/// The channels of those who have come.
fn channels(door: Door) -> Vec<Channel> {
    let channel = |guest: meeting::Guest| Channel {
        number: guest.number,
        reader: Box::new(guest.reader),
        writer: Box::new(guest.writer),
    };
    door.open().into_iter().map(channel).collect()
}

/// Hands this process's streams to the one that it is to join, and stays as long as they are in use.
fn attend(
    input: &impl AsFd,
    output: &mut (impl Write + AsFd),
    join: &Join,
    folders: &[PathBuf],
    cancel: &Cancel,
) -> Result<(), Failure> {
    let stay = meeting::attend(folders, &join.token, join.number, input.as_fd(), output.as_fd());
    let joined = stay.as_ref().map(|_| ()).map_err(transport::Error::with_hint);
    hello::write(output, &hello::encode_joined(joined))?;
    if let Ok(stay) = stay {
        let ending = stay.clone();
        cancel.on_cancel(move || ending.end());
        stay.wait();
    }
    Ok(())
}
