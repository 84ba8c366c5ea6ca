//! The events of a run as JSON, one a line, for programs (`--json`).
//!
//! The fields are stable: new ones may come, and new values of `event`, but none that is there changes its meaning or
//! goes. They are described in dsync(1) and by `man/dsync-events.schema.json`, which every line that the tests see is
//! held against.
//!
//! A name that is valid UTF-8 is in the field that is called after it, `path`. Another one is in `path_escaped`, with
//! control characters and bytes that are no text as `\#ooo` ([`Escaped`]): it cannot be mistaken for a name.

use crate::cli::output::Direction;
use crate::report::{
    Action, Change, Counts, Event, Item, Problem, ProblemClass, ProgressReading, Shown, Skip, TimeChange,
};
use crate::session::{Absence, Explained, Outcome};
use crate::transport::target::Target;
use crate::tree::filter::{Origin, Ruling};
use crate::tree::{Escaped, Kind, RelPath};
use crate::twoway::decide::Side;
use crate::twoway::plan::{Plan, Summary};
use crate::twoway::policy::{ConflictKind, Resolution};
use crate::twoway::reconcile::{self, Step, Why};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// The version of the fields. It is raised if one ever changes its meaning.
const FORMAT: u32 = 1;

/// What is known of a run before it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Start {
    /// What is copied, as typed.
    pub sources: Vec<Target>,
    /// Where to.
    pub destination: Target,
    /// Whether both sides change.
    pub two_way: bool,
}

/// An object with its fields in order.
struct Line(Vec<(&'static str, Value)>);

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl Line {
    fn new(event: &'static str) -> Line {
        Line(vec![("event", event.into())])
    }

    fn with(mut self, key: &'static str, value: impl Into<Value>) -> Line {
        self.0.push((key, value.into()));
        self
    }

    fn with_some<V: Into<Value>>(self, key: &'static str, value: Option<V>) -> Line {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// A name, under the first key if it is text and else under the second.
    fn named(self, [key, escaped]: [&'static str; 2], name: &[u8]) -> Line {
        match std::str::from_utf8(name) {
            Ok(text) => self.with(key, text),
            Err(_) => self.with(escaped, Escaped(name).to_string()),
        }
    }

    fn path(self, path: &RelPath) -> Line {
        self.named(PATH, if path.is_root() { b"." } else { path.as_bytes() })
    }

    fn end(self) -> String {
        // Text and numbers in memory can always be written.
        serde_json::to_string(&self).unwrap_or_default() + "\n"
    }
}

const PATH: [&str; 2] = ["path", "path_escaped"];
const TARGET: [&str; 2] = ["target", "target_escaped"];
const LEADER: [&str; 2] = ["leader", "leader_escaped"];
const FROM: [&str; 2] = ["from", "from_escaped"];
const AS: [&str; 2] = ["as", "as_escaped"];
const DESTINATION: [&str; 2] = ["destination", "destination_escaped"];

/// The first line.
pub(super) fn start(start: &Start, direction: Direction, dry_run: bool) -> String {
    let direction = match direction {
        Direction::Local => "local",
        Direction::Push => "push",
        Direction::Pull => "pull",
    };
    Line::new("start")
        .with("format", FORMAT)
        .with("version", env!("CARGO_PKG_VERSION"))
        .with("direction", direction)
        .with("two_way", start.two_way)
        .with("dry_run", dry_run)
        .with("sources", start.sources.iter().map(operand).collect::<Vec<_>>())
        .with("destination", operand(&start.destination))
        .end()
}

fn operand(target: &Target) -> Value {
    let (path, host) = match target {
        Target::Local(path) | Target::SameHost(path) => (path, None),
        Target::Remote(remote) => (&remote.path, Some(remote.host.to_string())),
    };
    let line = Line(Vec::new()).named(PATH, path).with_some("host", host);
    serde_json::to_value(line).unwrap_or_default()
}

/// The line for an event of a run to this destination.
pub(super) fn event(event: &Event, destination: &[u8]) -> String {
    let line = match event {
        Event::CreatedDestination => made_for(destination, 1),
        Event::CreatedPath { count, path } => made_for(path, *count),
        Event::Shown(shown) => listed(shown),
        Event::UnsafeLink { path, target } => {
            Line::new("skipped").path(path).with("reason", "unsafe").named(TARGET, target)
        }
        Event::FollowedLink { path, target } => Line::new("followed").path(path).named(TARGET, target),
        Event::Item(item) => self::item(item),
        Event::Deleted { path, kind } => Line::new("deleted").path(path).with("kind", self::kind(*kind)),
        Event::Removed { path } => Line::new("removed").path(path),
        Event::Skipped { path, reason } => {
            Line::new("skipped").path(path).with("reason", self::reason(*reason))
        }
        Event::Problem(problem) => self::problem(problem),
        Event::Notice(text) => Line::new("notice").with("text", Escaped(text.as_bytes()).to_string()),
        Event::Remote(bytes) => {
            let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
            let lines: Vec<String> =
                text.split(|byte| *byte == b'\n').map(|line| Escaped(line).to_string()).collect();
            Line::new("remote").with("text", lines.join("\n"))
        }
    };
    line.end()
}

/// Directories that were made for the sake of the destination, of which the last is called so by the user.
fn made_for(destination: &[u8], count: u32) -> Line {
    Line::new("created")
        .named(DESTINATION, destination)
        .with("kind", kind(Kind::Directory))
        .with("count", count)
}

fn item(item: &Item) -> Line {
    let Item { path, kind, target, leader, size, change, facts } = item;
    let name = match change.action {
        Action::Transfer => "transferred",
        Action::Create => "created",
        Action::Link => "linked",
        Action::Copied => "copied",
        Action::Attributes | Action::Linked if change.is_nothing() => "unchanged",
        Action::Attributes | Action::Linked => "attributes",
    };
    let mut line = Line::new(name).path(path).with("kind", self::kind(*kind));
    if name != "unchanged" {
        line = line.with("new", change.new).with("changed", differing(change));
    }
    if *kind == Kind::File {
        line = line.with("size", *size);
    }
    if let Some(target) = target {
        line = line.named(TARGET, target);
    }
    if let Some(leader) = leader {
        line = line.named(LEADER, leader.as_bytes());
    }
    let Some(facts) = facts.as_deref() else { return line };
    if change.action == Action::Transfer {
        line = line.with("sent", facts.sent);
    }
    line.with("mode", octal(facts.mode))
        .with("modified", facts.modified)
        .with_some("owner", facts.owner.map(|owner| owner.0))
        .with_some("group", facts.group.map(|group| group.0))
}

fn listed(shown: &Shown) -> Line {
    let Shown { path, kind, target, size, mode, seconds } = shown;
    let mut line = Line::new("listed").path(path).with("kind", self::kind(*kind));
    if *kind == Kind::File {
        line = line.with("size", *size);
    }
    if let Some(target) = target {
        line = line.named(TARGET, target);
    }
    line.with("mode", octal(*mode)).with("modified", *seconds)
}

fn octal(mode: u32) -> String {
    format!("{:04o}", mode & 0o7777)
}

/// What differs of an entry that is not new.
fn differing(change: &Change) -> Vec<&'static str> {
    let all = [
        (change.content, "content"),
        (change.size, "size"),
        (change.time != TimeChange::None, "time"),
        (change.perms, "permissions"),
        (change.owner, "owner"),
        (change.group, "group"),
        (change.atime, "access-time"),
        (change.acls, "acls"),
        (change.xattrs, "xattrs"),
    ];
    all.iter().filter(|(differs, _)| *differs && !change.new).map(|(_, name)| *name).collect()
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::CharDevice => "char-device",
        Kind::BlockDevice => "block-device",
    }
}

fn reason(reason: Skip) -> &'static str {
    match reason {
        Skip::NotRegular => "not-regular",
        Skip::Directory => "directory",
        Skip::Newer => "newer",
        Skip::Exists => "exists",
        Skip::NotExisting => "not-existing",
        Skip::TooLarge => "too-large",
        Skip::TooSmall => "too-small",
        Skip::UpToDate => "up-to-date",
        Skip::NotEmpty => "not-empty",
        Skip::NotShorter => "not-shorter",
        Skip::Unsafe => "unsafe",
        Skip::NoSuchDirectory => "not-existing",
    }
}

fn problem(problem: &Problem) -> Line {
    let Problem { doing, path, cause, class, role } = problem;
    let class = match class {
        ProblemClass::Vanished => "vanished",
        ProblemClass::DeleteLimit => "delete-limit",
        ProblemClass::Failed => "failed",
    };
    Line::new("problem")
        .named(PATH, path)
        .with("doing", Escaped(doing.as_bytes()).to_string())
        .with("cause", Escaped(cause.as_bytes()).to_string())
        .with("class", class)
        .with("role", role.to_string())
}

/// The line for what a run would make of a path.
pub(super) fn explained(explained: &Explained) -> String {
    let Explained { path, source, fate } = explained;
    let decided = |line: Line, decided: &RelPath, ruling: Option<&Ruling>| {
        let line = if decided == path { line } else { line.named(AS, decided.as_bytes()) };
        line.with_some("rule", ruling.map(rule))
    };
    let (part, because) = match (&source.shown, fate.skip) {
        (Ok(_), None) => ("takes-part", None),
        (Ok(_), Some(skip)) => ("left-alone", Some(reason(skip))),
        (Err(Absence::Missing), _) => ("missing", None),
        (Err(absence), _) => ("left-out", Some(self::absence(absence))),
    };
    let line = Line::new("explained").path(path).with("part", part).with_some("reason", because);
    let mut line = decided(line, &source.path, source.ruling.as_ref());
    if let Some(deletion) = &fate.deletion {
        let told =
            Line(Vec::new()).with("protected", deletion.is_protected()).with("there", deletion.is_there);
        let told = decided(told, &deletion.path, deletion.ruling.as_ref());
        line = line.with("deletion", serde_json::to_value(told).unwrap_or_default());
    }
    line.end()
}

fn absence(absence: &Absence) -> &'static str {
    match absence {
        Absence::Missing => "missing",
        Absence::NoDirectory => "no-directory",
        Absence::LeftOut => "rule",
        Absence::Reserved => "reserved",
        Absence::Pruned => "pruned",
        Absence::NotEntered => "not-entered",
        Absence::NotAsked => "not-asked",
        Absence::Trouble { .. } => "problem",
    }
}

/// A rule, and where it stands.
fn rule(ruling: &Ruling) -> Value {
    let line = Line(Vec::new()).named(["text", "text_escaped"], &ruling.text);
    let line = match &ruling.origin {
        None => line,
        Some(Origin::Option(option)) => line.with("option", Escaped(option.as_bytes()).to_string()),
        Some(Origin::File { file, entry }) => line.named(["file", "file_escaped"], file).with("line", *entry),
    };
    serde_json::to_value(line).unwrap_or_default()
}

/// The lines for what a two-way run is going to do, and for its conflicts.
pub(super) fn plan(plan: &Plan, out: &mut dyn FnMut(&str)) {
    let summary = Summary::new(plan);
    for side in Side::BOTH {
        let work = summary.of(side);
        let planned = |change: &'static str, step: &Step| {
            let side = self::side(side);
            Line::new("planned").with("side", side).with("change", change).path(&step.path)
        };
        for (change, steps) in &work.changes {
            for step in steps.iter().filter_map(|number| plan.steps.get(*number)) {
                out(&planned(word(*change), &step).end());
            }
        }
        for step in work.links.iter().filter_map(|number| plan.steps.get(*number)) {
            out(&planned("links", &step).end());
        }
        for rename in &work.renames {
            if let (Some(from), Some(to)) = (plan.steps.get(rename.from), plan.steps.get(rename.to)) {
                out(&planned("renamed", &to).named(FROM, from.path.as_bytes()).end());
            }
        }
    }
    for number in summary.conflicts.iter().chain(&summary.settled) {
        let step = plan.steps.get(*number);
        if let Some(Step { path, why: Why::Conflict(kind) | Why::Settled(kind, _), .. }) = &step {
            let settled = match step.as_ref().map(|step| &step.why) {
                Some(Why::Settled(_, resolution)) => resolved(*resolution),
                _ => "left",
            };
            out(&Line::new("conflict").path(path).with("about", about(*kind)).with("settled", settled).end());
        }
    }
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Left => "first",
        Side::Right => "second",
    }
}

fn word(change: reconcile::Change) -> &'static str {
    use reconcile::Change;
    match change {
        Change::Create => "created",
        Change::Update => "updated",
        Change::Replace => "replaced",
        Change::Remove => "deleted",
        Change::Empty => "emptied",
        Change::Adjust => "attributes",
    }
}

fn about(kind: ConflictKind) -> &'static str {
    match kind {
        ConflictKind::Content => "content",
        ConflictKind::Attributes => "attributes",
        ConflictKind::Kinds => "kinds",
        ConflictKind::Occupied => "occupied",
    }
}

fn resolved(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Skip => "left",
        Resolution::Win(winner) => side(winner),
        Resolution::KeepBoth => "both",
        Resolution::Merged(_) => "merged",
    }
}

/// The line that says how far a run is.
pub(in crate::cli) fn progress(reading: &ProgressReading) -> String {
    let ProgressReading { total_bytes, total_files, total_known, done_bytes, done_files } = *reading;
    Line::new("progress")
        .with("done_bytes", done_bytes)
        .with("done_files", done_files)
        .with("total_bytes", total_bytes)
        .with("total_files", total_files)
        .with("total_known", total_known)
        .end()
}

/// The last line of a run that came to its end.
pub(super) fn summary(outcome: &Outcome, code: u8) -> String {
    let Outcome { totals, sent, received, elapsed, two_way, .. } = outcome;
    let conflicts = two_way.as_ref().map(|two_way| Summary::new(&two_way.plan).conflicts.len());
    Line::new("summary")
        .with("exit_code", code)
        .with("elapsed_seconds", elapsed.as_secs_f64())
        .with("sent_bytes", *sent)
        .with("received_bytes", *received)
        .with("literal_bytes", totals.literal)
        .with("matched_bytes", totals.matched)
        .with("total_size", totals.total_size)
        .with("transferred_files", totals.transferred)
        .with("transferred_size", totals.transferred_size)
        .with("listed", counts(&totals.listed))
        .with("created", counts(&totals.created))
        .with("deleted", counts(&totals.deleted))
        .with("problems", totals.failed)
        .with("vanished", totals.vanished)
        .with("not_deleted", totals.not_deleted)
        .with_some("conflicts", conflicts)
        .end()
}

/// The last line of a run that was ended.
pub(in crate::cli) fn failure(message: &str, code: u8) -> String {
    Line::new("summary").with("exit_code", code).with("message", message).end()
}

fn counts(counts: &Counts) -> Value {
    let Counts { files, directories, symlinks, devices, specials } = counts;
    json!({
        "files": files,
        "directories": directories,
        "symlinks": symlinks,
        "devices": devices,
        "specials": specials,
    })
}
