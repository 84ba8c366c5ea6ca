//! A two-way run: the replica here makes the plan, the one at the other end follows it, or both are here.

use crate::fs::{Links, Root};
use crate::pass::{Context, Stop};
use crate::report::{Event, Problem, Reporter, Totals};
use crate::request::{Landmark, Part};
use crate::session::apart::{check_apart, landmarks};
use crate::session::remote::{Played, with_peer};
use crate::session::retry::Broken;
use crate::session::{Cancel, Direction, Failure, Outcome, Run, Surroundings, context};
use crate::transport::target::Host;
use crate::tree::{Escaped, RelPath};
use crate::twoway::decide::Side;
use crate::twoway::guard::MaxDelete;
use crate::twoway::plan::Plan;
use crate::twoway::policy::Policies;
use crate::twoway::run::{self, Around, Names, RunError, Settings};
use crate::wire::Link;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long the files in hand have to be finished when a run is stopped: most are whole by then, and whoever stopped
/// the run is still waiting for it.
const IN_HAND: Duration = Duration::from_secs(5);

/// What only the side that makes the plan has to know of a two-way run; what both have to is
/// [`TwoWay`](crate::request::TwoWay).
#[derive(Debug, Clone, Default)]
pub struct TwoWayRun {
    /// Who wins conflicts.
    pub policies: Policies,
    /// How many removals are too many.
    pub max_delete: MaxDelete,
    /// A plan to carry out, instead of making one.
    pub apply: Option<Plan>,
}

/// What a two-way run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct TwoWayOutcome {
    /// What was done, or in a dry run would have been.
    pub plan: Plan,
    /// Paths of the plan at which something could not be done, and was told as a problem.
    pub undone: Vec<RelPath>,
}

/// Runs a two-way run.
pub(super) fn run(
    run: &Run,
    two_way: &TwoWayRun,
    surroundings: &Surroundings,
    direction: &Direction<'_>,
) -> Result<Outcome, Broken> {
    let only = |roots: &[Vec<u8>]| match roots {
        [root] => Ok(root.clone()),
        _ => Err(Failure::Usage("a two-way run is between two trees".into())),
    };
    match direction {
        Direction::Local { sources, destination } => {
            Ok(local(run, two_way, surroundings, [&only(sources)?, destination])?)
        }
        Direction::Push { sources, host, destination } => {
            let replicas = (only(sources)?, destination.clone());
            remote(run, two_way, surroundings, (Side::Left, host), replicas)
        }
        Direction::Between { .. } => {
            Err(Failure::Usage("one of the two directories of a two-way run has to be here".into()).into())
        }
        Direction::Pull { host, sources, destination } => {
            let replicas = (destination.clone(), only(sources)?);
            remote(run, two_way, surroundings, (Side::Right, host), replicas)
        }
    }
}

/// With a peer on a host; `side` is the one that is here.
fn remote(
    run: &Run,
    two_way: &TwoWayRun,
    surroundings: &Surroundings,
    (side, host): (Side, &Host),
    (here, there): (Vec<u8>, Vec<u8>),
) -> Result<Outcome, Broken> {
    let (stop, surroundings) = stopping(surroundings);
    let surroundings = &surroundings;
    let named = format!("{host}:{}", Escaped(&there));
    let root = open(&here, run.paths.0)?;
    let landmarks = landmarks(&root, running_system().as_deref());
    with_peer(run, surroundings, host, Part::Replica { root: there, landmarks }, |mut link, context| {
        let context = &Context { stop, ..context.clone() };
        let around = Around { context, name: &here };
        let sides = match side {
            Side::Left => [run::shown(&here), named.clone()],
            Side::Right => [named.clone(), run::shown(&here)],
        };
        let names = names(&here, named, sides);
        plan(&mut link, two_way, surroundings, (side, names, &root), around)
    })
}

/// Both replicas here.
fn local(
    run: &Run,
    two_way: &TwoWayRun,
    surroundings: &Surroundings,
    [left, right]: [&Vec<u8>; 2],
) -> Result<Outcome, Failure> {
    let start = Instant::now();
    let [left_root, right_root] = [open(left, run.paths.0)?, open(right, run.paths.0)?];
    check_apart(&landmarks(&left_root, Some("")), &landmarks(&right_root, Some("")))?;
    let (reporter, progress) = (surroundings.reporter.clone(), surroundings.progress.clone());
    let context = context(run.options.clone(), run.paths, run.seed(), reporter, progress);
    let limited = run.options.bandwidth.is_some();
    let (mut planning, following) = super::local::link(run)?;
    let (stop, surroundings) = stopping(surroundings);
    let surroundings = &surroundings;
    let context = Context { local: !limited, stop, ..context };
    for end in [&planning, &following] {
        let stopper = end.sender.stopper();
        surroundings.cancel.on_cancel(move || stopper.stop());
    }
    let [left_context, right_context] = [left, right].map(|root| {
        let reporter = Arc::new(Sided { root: root.clone(), reporter: surroundings.reporter.clone() });
        Context { reporter, ..context.clone() }
    });
    let around_left = Around { context: &left_context, name: left };
    let around_right = Around { context: &right_context, name: right };
    let (planned, followed) = thread::scope(|scope| {
        let followed = scope.spawn(|| follow(following, &right_root, around_right));
        let names = names(left, absolute(right), [run::shown(left), run::shown(right)]);
        let here = (Side::Left, names, &left_root);
        let planned = plan(&mut planning, two_way, surroundings, here, around_left);
        (planned, followed.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    // Each side that fails takes the other with it; the one with a reason of its own is the one to name.
    let Played { totals, two_way } = match (planned, followed) {
        (Ok(_), Err(error)) if !error.is_from_elsewhere() => return Err(error.into()),
        (Ok(played), _) => played,
        (Err(error), Err(followed)) if error.is_from_elsewhere() => return Err(followed.into()),
        (Err(error), _) => return Err(error.into()),
    };
    Ok(Outcome {
        totals,
        sent: totals.literal,
        received: 0,
        listed: 0,
        compressed: None,
        elapsed: start.elapsed(),
        connecting: None,
        retries: 0,
        two_way,
    })
}

/// Plays the side that makes the plan.
fn plan(
    link: &mut Link,
    two_way: &TwoWayRun,
    surroundings: &Surroundings,
    (side, names, root): (Side, Names, &Root),
    around: Around<'_>,
) -> Result<Played, RunError> {
    let settings = Settings {
        side,
        policies: &two_way.policies,
        max_delete: two_way.max_delete,
        apply: two_way.apply.as_ref(),
        names,
        overseer: &*surroundings.overseer,
        reporter: &*surroundings.reporter,
    };
    match run::plan_and_carry_out(link, root, &settings, around) {
        Ok(run::Outcome { plan, undone, totals }) => {
            link.sender.close();
            let two_way = Some(TwoWayOutcome { plan, undone });
            Ok(Played { totals, two_way })
        }
        Err(error) => Err(error.at(around.name).tell(link)),
    }
}

/// Tells of problems below which of two roots of this machine they are.
struct Sided {
    root: Vec<u8>,
    reporter: Arc<dyn Reporter>,
}

impl Sided {
    fn path(&self, path: Vec<u8>) -> Vec<u8> {
        let root = self.root.strip_suffix(b"/").unwrap_or(&self.root);
        match path.as_slice() {
            _ if self.root.is_empty() => path,
            b"." => self.root.clone(),
            path => [root, b"/", path].concat(),
        }
    }
}

impl Reporter for Sided {
    fn report(&self, event: Event) {
        self.reporter.report(match event {
            Event::Problem(problem) => {
                let path = self.path(problem.path);
                Event::Problem(Problem { path, ..problem })
            }
            event => event,
        });
    }
}

/// Plays the side that follows the plan of another process, whose root has these landmarks.
pub(super) fn follow_afar(link: Link, theirs: &[Landmark], around: Around<'_>) -> Result<Totals, RunError> {
    let apart = open(around.name, around.context.paths).and_then(|root| {
        check_apart(&landmarks(&root, running_system().as_deref()), theirs)?;
        Ok(root)
    });
    match apart {
        Ok(root) => follow(link, &root, around),
        Err(error) => Err(error.tell(&link)),
    }
}

/// Plays the side that follows the plan, with the replica at a root.
fn follow(mut link: Link, root: &Root, around: Around<'_>) -> Result<Totals, RunError> {
    let followed = run::follow(&mut link, root, around);
    let totals = followed.map_err(|error| error.at(around.name).tell(&link))?;
    link.sender.close();
    Ok(totals)
}

/// How the two replicas are named: in the logs of both, and to the user.
fn names(here: &[u8], there: String, sides: [String; 2]) -> Names {
    let host = crate::fs::host_name();
    Names { here: format!("{host}:{}", absolute(here)), there, sides }
}

fn absolute(path: &[u8]) -> String {
    let here = OsStr::from_bytes(if path.is_empty() { b"." } else { path });
    let absolute = std::path::absolute(here).unwrap_or_else(|_| here.into());
    Escaped(absolute.as_os_str().as_bytes()).to_string()
}

/// Opens the root of a replica.
fn open(path: &[u8], links: Links) -> Result<Root, RunError> {
    let here = OsStr::from_bytes(if path.is_empty() { b"." } else { path });
    Root::open(here, links).map_err(|error| {
        let hint =
            if error.is_not_found() { "; make the directory first if it is meant to be there" } else { "" };
        RunError::Halted(format!("{}: {error}{hint}", Escaped(path)))
    })
}

/// What ends a run when it is stopped, and the same surroundings, in which it is stopped when that ends it.
fn stopping(surroundings: &Surroundings) -> (Arc<Stop>, Surroundings) {
    let (stop, cancel) = stopping_by(&surroundings.cancel);
    (stop, Surroundings { cancel, ..surroundings.clone() })
}

/// The same for who needs no more than to stop it.
pub(super) fn stopping_by(cancel: &Cancel) -> (Arc<Stop>, Cancel) {
    let stop = Arc::new(Stop::default());
    let late = cancel.after_what_is_in_hand(&stop, IN_HAND);
    (stop, late)
}

/// What tells this system from all others, also from one that was resumed from the same snapshot of its memory but has
/// become another machine since.
fn running_system() -> Option<String> {
    let machine = crate::fs::machine_name().unwrap_or_default();
    Some(format!("{} {machine}", crate::fs::running_system()?))
}
