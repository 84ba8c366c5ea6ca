//! The further channels of a run that asked for several, at the asking side.
//!
//! The run has begun over the first channel when the peer invites others. They are opened at once, each by a thread
//! of its own, since each takes round trips; who is refused, or late, is done without. None of this can make a run
//! fail: it goes on with the channels it has.

use crate::report::{Event, Reporter};
use crate::transport::{Connection, Control};
use crate::wire::channels::{Channel, Further, Spreader};
use crate::wire::hello::{self, Hello, Join};
use crate::wire::{Token, WireError};
use std::collections::BTreeMap;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long the run waits for channels that neither open nor are refused. It goes on over the first one meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// Within this time a run may be found to have ended. Then it is no news that nobody could join it any more.
const NO_NEWS: Duration = Duration::from_millis(200);

/// How long a process that did not join may take to end by itself.
const LEAVING: Duration = Duration::from_secs(1);

/// The processes behind the further channels of a run. Clones are of the same run.
#[derive(Clone, Default)]
pub(super) struct Helpers(Arc<(Mutex<Held>, Condvar)>);

#[derive(Default)]
struct Held {
    /// By number of the channel.
    opening: BTreeMap<u8, Control>,
    joined: Vec<Control>,
    over: bool,
}

impl Helpers {
    /// Where a run that asked for so many streams has its further channels from. `control` is the first one's.
    pub(super) fn further(
        &self,
        streams: Option<u8>,
        control: &Control,
        reporter: &Arc<dyn Reporter>,
    ) -> Further {
        let Some(streams) = streams.filter(|streams| *streams > 1) else { return Further::Never };
        let (helpers, control, reporter) = (self.clone(), control.clone(), reporter.clone());
        Further::Invited(Box::new(move |token, spreader| {
            let opening = move || helpers.open(streams, &control, token, &*reporter, spreader);
            // Where there is no room for another thread there is none for more channels.
            let _ = thread::Builder::new().name("streams".into()).spawn(opening);
        }))
    }

    /// Opens the channels and has the run spread over those that joined.
    fn open(
        &self,
        streams: u8,
        control: &Control,
        token: Token,
        reporter: &dyn Reporter,
        spreader: Spreader,
    ) {
        let (tell, told) = mpsc::channel();
        for number in 1..streams {
            let (helpers, control, tell) = (self.clone(), control.clone(), tell.clone());
            // Nobody listens any more to who comes late.
            let opening = move || drop(tell.send(helpers.join(&control, Join { token, number })));
            let _ = thread::Builder::new().name(format!("stream {number}")).spawn(opening);
        }
        drop(tell);
        let until = Instant::now() + PATIENCE;
        let (mut channels, mut reason) = (Vec::new(), None);
        while let Ok(joined) = told.recv_timeout(until.saturating_duration_since(Instant::now())) {
            match joined {
                Ok(channel) => channels.push(channel),
                Err(error) => reason = Some(error),
            }
        }
        let used = channels.len() + 1;
        spreader.spread(channels);
        if used < usize::from(streams) && !self.is_soon_over() {
            let reason = reason.unwrap_or_else(|| "the others take too long".to_owned());
            reporter.report(Event::Notice(format!("going on with {used} of {streams} streams: {reason}")));
        }
    }

    /// Opens one channel and has the process behind it join. Fails with a reason for people.
    fn join(&self, control: &Control, join: Join) -> Result<Channel, String> {
        let Connection { mut reader, mut writer, control } =
            control.another().map_err(|error| error.with_hint())?;
        {
            let mut held = self.held();
            if held.over {
                return Err("the run is over".to_owned());
            }
            held.opening.insert(join.number, control);
        }
        let answer = || -> Result<Option<String>, WireError> {
            hello::write(&mut writer, &Hello { join: Some(join), ..Hello::new(0) }.encode())?;
            Hello::read(&mut reader)?;
            hello::read_joined(&mut reader)
        };
        let answer = { answer }();
        let control = {
            let mut held = self.held();
            let control = held.opening.remove(&join.number);
            if let Ok(None) = answer {
                held.joined.extend(control);
                return Ok(Channel { number: join.number, reader, writer });
            }
            control
        };
        // It is on its way out, and would complain if it were told to end.
        drop((reader, writer));
        control.map(|control| control.wait(LEAVING));
        Err(answer.map_or_else(|error| error.to_string(), Option::unwrap_or_default))
    }

    /// Waits until all have ended, which they do with the peer.
    pub(super) fn wait(&self, patience: Duration) {
        let (joined, until) = (self.held().joined.clone(), Instant::now() + patience);
        for control in joined {
            control.wait(until.saturating_duration_since(Instant::now()));
        }
    }

    /// Breaks them off, those too that come later.
    pub(super) fn close(&self) {
        let mut held = self.held();
        held.over = true;
        held.opening.values().chain(&held.joined).for_each(Control::close);
        self.0.1.notify_all();
    }

    fn is_soon_over(&self) -> bool {
        let runs = |held: &mut Held| !held.over;
        let waited = self.0.1.wait_timeout_while(self.held(), NO_NEWS, runs);
        waited.unwrap_or_else(PoisonError::into_inner).0.over
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
