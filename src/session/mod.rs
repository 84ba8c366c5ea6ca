//! A run from its beginning to its summary: who plays which role, and over what they talk.
//!
//! [`run`] is the asking side. Between two local paths it plays both roles of a pass over a link in memory; else it
//! connects, greets the peer with a request, and plays the role the peer does not. Between two other hosts it has a
//! peer on each, and plays none (`relay`). [`serve()`] is the peer. All end in an [`Outcome`] or a [`Failure`];
//! per-file problems are neither, they are events.

mod apart;
mod bootstrap;
mod cancel;
mod expecting;
mod explain;
mod failure;
mod forward;
mod local;
mod names;
mod one_way;
mod relay;
mod remote;
mod restrict;
mod retry;
mod serve;
mod streams;
mod talk;
mod two_way;

pub use crate::view::{Absence, Found};
pub use crate::wire::frame::Compressed;
pub use crate::wire::hello::VERSION as PROTOCOL_VERSION;
pub use bootstrap::{BootstrapError, Obstacle, Present, executable_sum};
pub use cancel::Cancel;
use cancel::Why;
pub use explain::{Deletion, Explained, Fate, explain};
pub use failure::{Failure, FailureKind};
pub use names::read_names;
pub use restrict::Terms;
use retry::Broken;
pub use retry::{Retry, once_only};
pub use serve::serve;
pub use two_way::{TwoWayOutcome, TwoWayRun};

use crate::delta::SumChoice;
use crate::fs::{Bounds, Links};
use crate::pass::{Context, Sweep};
use crate::report::{Event, Progress, Prompter, Reporter, Totals};
use crate::request::Options;
use crate::transport::IpFamily;
use crate::transport::ssh::{self, Environment};
use crate::transport::target::{Host, Target};
use crate::twoway::run::Overseer;
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A run as the command line asks for it.
#[derive(Debug, Clone)]
pub struct Run {
    /// What to copy, at least one.
    pub sources: Vec<Target>,
    /// Where to.
    pub destination: Target,
    /// How, on this side.
    pub options: Options,
    /// How, on the peer's; without a peer, what the sink goes by.
    pub peer_options: Options,
    /// `--files-from`: the list, if it is on this side: names, each with a NUL after it.
    pub names: Option<Vec<u8>>,
    /// How paths are followed on this side.
    pub paths: Paths,
    /// How to reach a host, if one is named.
    pub shell: Shell,
    /// `--two-way`: the source and the destination, exactly one of each, are the first and the second replica.
    pub two_way: Option<TwoWayRun>,
    /// `--retry`: how often it is tried again when the line breaks.
    pub retry: Retry,
    /// `--checksum-seed`: what sums are seeded with. `None`: something new each time.
    pub seed: Option<u64>,
    /// `--stop-after`, `--stop-at`: when it ends at the latest. Whoever runs it has to see to that.
    pub ends: Option<SystemTime>,
}

impl Run {
    fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(random_seed)
    }
}

/// How to reach a host and what to start there.
#[derive(Debug, Clone)]
pub struct Shell {
    /// `-e`, split into words. `None`: the built-in SSH client.
    pub command: Option<Vec<OsString>>,
    /// `--remote-path`: what starts dsync on the host.
    pub remote_program: OsString,
    /// This program's own file, to be put onto a host that has no such program. `None`: nothing is put there.
    pub executable: Option<PathBuf>,
    /// `--ssh-config`: the file to read instead of the user's.
    pub ssh_config: Option<PathBuf>,
    /// `--ssh`: which SSH client, where no command is given.
    pub ssh: ssh::Choice,
    /// `--ssh-debug`: whether it tells each step.
    pub ssh_debug: bool,
    /// `-4`, `-6`: which addresses of the host are tried.
    pub family: Option<IpFamily>,
}

/// What a run needs from where it runs.
#[derive(Clone)]
pub struct Surroundings {
    /// Takes the events.
    pub reporter: Arc<dyn Reporter>,
    /// Asks the user.
    pub prompter: Arc<dyn Prompter>,
    /// Is told about a two-way run, and asked about its conflicts.
    pub overseer: Arc<dyn Overseer>,
    /// Is told how far the run is.
    pub progress: Arc<Progress>,
    /// What the SSH client has to know about the user.
    pub environment: Environment,
    /// Stops the run.
    pub cancel: Cancel,
}

/// What a run that went through to its end did.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Counts of both roles.
    pub totals: Totals,
    /// Bytes this side sent.
    pub sent: u64,
    /// Bytes this side received.
    pub received: u64,
    /// How many of these bytes were listings, or fingerprints in place of them: none between two local paths.
    pub listed: u64,
    /// How much content travelled compressed, if a peer was asked to do so.
    pub compressed: Option<Compressed>,
    /// From the start to the end.
    pub elapsed: Duration,
    /// Of that, until the peer's first words had come; `None` where there is no peer.
    pub connecting: Option<Duration>,
    /// How often the line broke. The counts are those of the last attempt, the bytes those of all.
    pub retries: u32,
    /// What a two-way run came to.
    pub two_way: Option<TwoWayOutcome>,
}

/// Opens a file the user named, other than source and destination, to read it. Refuses one that is reached through a
/// symbolic link that belongs to neither root nor the running user: whoever made that link would choose what is read.
pub fn open_named(path: &OsStr, paths: Paths) -> io::Result<impl io::Read + use<>> {
    crate::fs::open_named(path, paths.0).map_err(|error| error.source)
}

/// How paths are followed that the user named, besides those of sources: through symbolic links of root or of the
/// running user only, if nothing else was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Paths(Links);

impl Paths {
    /// `--insecure-links`: through any.
    pub fn any() -> Paths {
        Paths(Links::Any)
    }

    /// `--confine-root`: to places below this directory only. Sources are read wherever they are.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn within(directory: &OsStr) -> io::Result<Paths> {
        let root = crate::fs::Root::open(directory, Links::Trusted).map_err(|error| error.source)?;
        let top = root.dir().identity().map_err(|error| error.source)?;
        Ok(Paths(Links::Within(Bounds { top, sources: false })))
    }

    /// The same for paths that a peer names, of which the sources have to be below the directory, too.
    fn of_peer(self) -> Paths {
        match self.0 {
            Links::Within(bounds) => Paths(Links::Within(Bounds { sources: true, ..bounds })),
            Links::Trusted | Links::Beneath(_) | Links::Any => self,
        }
    }
}

/// A leading `~/` means the home directory, which is where a peer starts.
fn without_tilde(path: Vec<u8>) -> Vec<u8> {
    match path.as_slice() {
        b"~" => Vec::new(),
        other => other.strip_prefix(b"~/").map(<[u8]>::to_vec).unwrap_or(path),
    }
}

/// Opens a file the user named to write at its end, by the same rule; it is made if it is not there.
pub fn append_named(path: &OsStr, paths: Paths) -> io::Result<impl io::Write + Send + use<>> {
    crate::fs::append_named(path, paths.0).map_err(|error| error.source)
}

/// Which way a run goes.
enum Direction<'a> {
    Local { sources: Vec<Vec<u8>>, destination: Vec<u8> },
    Push { sources: Vec<Vec<u8>>, host: &'a Host, destination: Vec<u8> },
    Pull { host: &'a Host, sources: Vec<Vec<u8>>, destination: Vec<u8> },
    Between { from: &'a Host, sources: Vec<Vec<u8>>, to: &'a Host, destination: Vec<u8> },
}

/// Runs a run.
pub fn run(run: &Run, surroundings: &Surroundings) -> Result<Outcome, Failure> {
    let direction = direction(run)?;
    let tell = |text| surroundings.reporter.report(Event::Notice(text));
    retry::persist(run.retry, &surroundings.cancel, tell, || {
        surroundings.progress.begin();
        attempt(run, surroundings, &direction)
    })
}

fn attempt(run: &Run, surroundings: &Surroundings, direction: &Direction<'_>) -> Result<Outcome, Broken> {
    match (direction, &run.two_way) {
        (direction, Some(two_way)) => two_way::run(run, two_way, surroundings, direction),
        (Direction::Local { sources, destination }, None) => {
            Ok(local::run(run, surroundings, sources, destination)?)
        }
        (Direction::Push { sources, host, destination }, None) => {
            remote::push(run, surroundings, sources, host, destination.clone())
        }
        (Direction::Pull { host, sources, destination }, None) => {
            remote::pull(run, surroundings, host, sources.clone(), destination)
        }
        (Direction::Between { from, sources, to, destination }, None) => {
            Ok(relay::run(run, surroundings, (from, sources.clone()), (to, destination.clone()))?)
        }
    }
}

fn direction(run: &Run) -> Result<Direction<'_>, Failure> {
    let mut host: Option<&Host> = None;
    let mut paths = Vec::new();
    for (place, source) in run.sources.iter().enumerate() {
        let path = match source {
            Target::Local(path) => {
                if host.is_some() {
                    return Err(Failure::Usage("all sources must be on the same host".into()));
                }
                path
            }
            Target::Remote(remote) => {
                if host.is_some_and(|host| *host != remote.host) || (host.is_none() && place > 0) {
                    return Err(Failure::Usage("all sources must be on the same host".into()));
                }
                host = Some(&remote.host);
                &remote.path
            }
            Target::SameHost(path) => {
                if host.is_none() {
                    return Err(Failure::Usage(
                        "a source that begins with a colon needs one before it that names the host".into(),
                    ));
                }
                path
            }
        };
        paths.push(path.clone());
    }
    match (host, &run.destination) {
        // Nothing goes to a destination, wherever it is.
        (None, _) if run.options.list_only => {
            Ok(Direction::Local { sources: paths, destination: Vec::new() })
        }
        (Some(host), _) if run.options.list_only => {
            Ok(Direction::Pull { host, sources: paths, destination: Vec::new() })
        }
        (None, Target::Local(destination)) => {
            Ok(Direction::Local { sources: paths, destination: destination.clone() })
        }
        (None, Target::Remote(remote)) => {
            Ok(Direction::Push { sources: paths, host: &remote.host, destination: remote.path.clone() })
        }
        (Some(host), Target::Local(destination)) => {
            Ok(Direction::Pull { host, sources: paths, destination: destination.clone() })
        }
        (Some(from), Target::Remote(remote)) => Ok(Direction::Between {
            from,
            sources: paths,
            to: &remote.host,
            destination: remote.path.clone(),
        }),
        (_, Target::SameHost(_)) => {
            Err(Failure::Usage("a destination cannot begin with a colon; name the host before it".into()))
        }
    }
}

/// What a role needs to know that plays against a peer and has the user at its own end.
fn context(
    options: Options,
    paths: Paths,
    seed: u64,
    reporter: Arc<dyn Reporter>,
    progress: Arc<Progress>,
) -> Context {
    let sums = SumChoice { kind: options.sum, seed };
    let compare_sums = SumChoice { kind: options.compare_sum.unwrap_or(options.sum), seed };
    if !options.shortcuts.kernel_calls {
        crate::fs::give_up_kernel_calls();
    }
    if options.open_noatime {
        crate::fs::keep_access_times();
    }
    Context {
        options,
        sums,
        compare_sums,
        reporter,
        progress,
        local: false,
        open_files: crate::fs::raise_file_limit(),
        paths: paths.0,
        tell_progress: false,
        sweep: Sweep::None,
        stop: Arc::default(),
    }
}

/// A seed nobody can know beforehand: the standard library keys its hashers from the system's random numbers.
fn random_seed() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
