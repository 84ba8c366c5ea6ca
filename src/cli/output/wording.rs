//! The line for each event.

use crate::cli::output::format::{Format, Setting, Subject, name};
use crate::cli::output::listing;
use crate::cli::output::moment::Clock;
use crate::cli::output::size::Numbers;
use crate::cli::output::{Direction, Style};
use crate::report::{Action, Event, Item, Problem, Role, Skip};
use crate::tree::{Escaped, Kind, RelPath};

/// Text for one of the two streams: whole lines with their ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// For standard output.
    Out(String),
    /// For standard error.
    Err(String),
}

/// The first line of a run over directories.
pub(super) fn header(direction: Direction) -> &'static str {
    match direction {
        Direction::Pull => "receiving incremental file list\n",
        Direction::Push | Direction::Local => "sending incremental file list\n",
    }
}

/// The first line of the log of a run.
pub(super) fn log_header(direction: Direction) -> &'static str {
    match direction {
        Direction::Pull => "receiving file list\n",
        Direction::Push | Direction::Local => "building file list\n",
    }
}

/// How events are worded in a run.
pub(super) struct Wording<'a> {
    pub style: &'a Style,
    pub clock: &'a Clock,
}

impl Wording<'_> {
    /// What is shown of an event; nothing if the style has no line for it.
    pub(super) fn line(&self, event: &Event) -> Option<Line> {
        let style = self.style;
        match event {
            Event::CreatedDestination => self
                .tells_of_destination()
                .then(|| Line::Out(format!("created directory {}\n", destination(style)))),
            Event::CreatedPath { count, path } => self.tells_of_destination().then(|| {
                let what = if *count == 1 { "directory" } else { "directories" };
                Line::Out(format!("created {count} {what} for {}\n", Escaped(path)))
            }),
            Event::Shown(shown) => {
                (!style.quiet).then(|| Line::Out(listing::line(shown, Numbers::new(style.human), self.clock)))
            }
            Event::UnsafeLink { path, target } => {
                let line = || format!("ignoring unsafe symlink \"{path}\" -> \"{}\"\n", Escaped(target));
                (style.levels.name > 0).then(|| Line::Out(line()))
            }
            Event::FollowedLink { path, target } => {
                let line = || format!("copying unsafe symlink \"{path}\" -> \"{}\"\n", Escaped(target));
                (style.levels.unsafe_links > 0).then(|| Line::Out(line()))
            }
            Event::Item(item) => {
                let names = Format::names();
                let shown = style.levels.name > 0 || style.format.is_some();
                let format = style.format.as_ref().or(shown.then_some(&names));
                self.item_line(item, format, style.itemise).map(Line::Out)
            }
            Event::Deleted { path, kind } => {
                self.deletion_line(path, *kind, style.format.as_ref()).map(Line::Out)
            }
            Event::Removed { path } => {
                (style.levels.remove > 0).then(|| Line::Out(format!("sender removed {path}\n")))
            }
            Event::Skipped { path, reason } => skip_line(path, *reason, style).map(Line::Out),
            Event::Problem(problem) => Some(Line::Err(problem_line(problem, style))),
            Event::Notice(text) => (!style.quiet).then(|| Line::Err(prefixed("dsync: ", text.as_bytes()))),
            Event::Remote(bytes) => Some(Line::Err(prefixed("remote: ", bytes))),
        }
    }

    /// What the log says of an event, if anything.
    pub(super) fn log_lines(&self, event: &Event) -> Option<String> {
        let format = self.style.log.as_ref().and_then(|log| log.format.as_ref());
        match (event, format) {
            (Event::Item(_), None) => None,
            // What is the same is logged as it is shown.
            (Event::Item(item), Some(_)) if item.change.is_nothing() && self.style.itemise == 0 => {
                self.item_line(item, None, 0)
            }
            (Event::Item(item), Some(format)) => {
                let itemise = if format.itemises() { self.style.itemise.max(1) } else { 0 };
                self.item_line(item, Some(format), itemise)
            }
            (Event::Deleted { path, kind }, Some(format)) => self.deletion_line(path, *kind, Some(format)),
            // A deletion is logged also where changes are not.
            (Event::Deleted { path, kind }, None) => Some(deletion(path, *kind)),
            _ => self.line(event).map(|line| match line {
                Line::Out(text) | Line::Err(text) => text,
            }),
        }
    }

    /// The line for an entry by a format, if it has one.
    fn item_line(&self, item: &Item, format: Option<&Format>, itemise: u8) -> Option<String> {
        let nothing = item.change.is_nothing();
        let every_name = self.style.levels.name > 1;
        let is_dir = item.kind == Kind::Directory;
        if nothing && itemise == 0 {
            // What is found as it is to be is told of directories, too, if they have to be made.
            let shown = every_name && (!is_dir || item.change.action == Action::Copied);
            return shown.then(|| format!("{} is uptodate\n", name(&item.path, item.kind)));
        }
        // Without columns a change of attributes alone is only told of directories. Where every name is shown, there is
        // nothing but the name.
        if item.change.action == Action::Attributes && itemise == 0 && !is_dir {
            return every_name.then(|| format!("{}\n", item.path));
        }
        let shown = !nothing || itemise > 1 || every_name;
        let format = format.filter(|_| shown)?;
        Some(format.line(Subject::Item(item), self.setting()) + "\n")
    }

    fn deletion_line(&self, path: &RelPath, kind: Kind, format: Option<&Format>) -> Option<String> {
        if let Some(format) = format.filter(|format| format.tells_operations()) {
            return Some(format.line(Subject::Deleted(path, kind), self.setting()) + "\n");
        }
        let levels = &self.style.levels;
        let shown = levels.delete > 0 || levels.name > 0 || format.is_some();
        shown.then(|| deletion(path, kind))
    }

    /// Whether directories that were made for the destination are told of. A format of the user's own stands for
    /// entries alone, unless it shows what `-i` shows.
    fn tells_of_destination(&self) -> bool {
        self.style.levels.name > 0 || self.style.itemise > 0
    }

    fn setting(&self) -> Setting<'_> {
        let Style { direction, origins, unmunges, groups, sum_width, .. } = self.style;
        let (direction, unmunges, groups, sum_width) = (*direction, *unmunges, *groups, *sum_width);
        Setting { direction, origins, unmunges, clock: self.clock, groups, sum_width }
    }
}

fn deletion(path: &RelPath, kind: Kind) -> String {
    format!("deleting {}\n", name(path, kind))
}

fn destination(style: &Style) -> String {
    let path = style.destination.as_slice();
    let trimmed = path.strip_suffix(b"/").filter(|path| !path.is_empty()).unwrap_or(path);
    Escaped(trimmed).to_string()
}

fn skip_line(path: &RelPath, reason: Skip, style: &Style) -> Option<String> {
    let levels = &style.levels;
    let (shown, text) = match reason {
        Skip::NotRegular => (levels.non_regular > 0, format!("skipping non-regular file \"{path}\"")),
        // As in rsync, these two are no kinds that can be left out.
        Skip::Directory => (!style.quiet, format!("skipping directory {path}")),
        Skip::NotEmpty => (!style.quiet, format!("cannot delete non-empty directory: {path}")),
        Skip::Newer => (levels.skip > 0, format!("{path} is newer")),
        Skip::Exists => (levels.skip > 0, format!("{path} exists")),
        Skip::NoSuchDirectory => (levels.skip > 0, format!("not creating new directory \"{path}\"")),
        Skip::NotExisting => (levels.skip > 0, format!("not creating new file \"{path}\"")),
        Skip::Unsafe => (levels.name > 0, format!("ignoring unsafe symlink \"{path}\"")),
        Skip::TooLarge => (levels.skip > 0, format!("{path} is over max-size")),
        Skip::TooSmall => (levels.skip > 0, format!("{path} is under min-size")),
        // Nothing is said of it, as by rsync.
        Skip::NotShorter => return None,
        Skip::UpToDate => (levels.name > 1 && style.itemise == 0, format!("{path} is uptodate")),
    };
    shown.then(|| text + "\n")
}

/// Where both sides are on one host, or the path says which it is of, the side is not told.
fn problem_line(Problem { doing, path, cause, role, .. }: &Problem, style: &Style) -> String {
    let side = match (style.direction, role) {
        _ if style.two_way.is_some() => "",
        (Direction::Local, _) => "",
        (_, Role::Source) => "[sender] ",
        (_, Role::Sink) => "[receiver] ",
    };
    let doing = Escaped(doing.as_bytes());
    let cause = Escaped(cause.as_bytes());
    format!("dsync: {side}{doing} {}: {cause}\n", Escaped(path))
}

/// Every line of a text with a mark of where it comes from before it, unable to act on a terminal.
fn prefixed(before: &str, text: &[u8]) -> String {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.split(|&byte| byte == b'\n').fold(String::new(), |mut lines, line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        lines.push_str(&format!("{before}{}\n", Escaped(line)));
        lines
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::{Levels, LogStyle, Origins};
    use crate::report::{Change, ProblemClass, Shown, TimeChange};

    fn style(verbose: u8, itemise: u8) -> Style {
        Style {
            quiet: false,
            levels: Levels::at_verbosity(verbose),
            format: (itemise > 0).then(Format::itemised),
            itemise,
            log: None,
            json: None,
            progress: false,
            human: 1,
            dry_run: false,
            recursive: true,
            destination: b"there/".to_vec(),
            origins: Origins::default(),
            unmunges: false,
            groups: false,
            sum_width: 32,
            direction: Direction::Local,
            two_way: None,
        }
    }

    fn item(path: &str, kind: Kind, action: Action, time: TimeChange) -> Event {
        let change = Change { new: action != Action::Attributes, time, ..Change::only(action) };
        let target = (kind == Kind::Symlink).then(|| b"far/\xff".to_vec());
        let path = RelPath::new(path.as_bytes()).unwrap();
        Event::Item(Item { path, kind, target, leader: None, size: 0, change, facts: None })
    }

    fn line(event: &Event, style: &Style) -> Option<Line> {
        Wording { style, clock: &Clock::at(0) }.line(event)
    }

    /// The lines of an event with `-v`, `-vv`, `-i` and `-ii`; an empty one for silence.
    fn lines(event: &Event) -> [String; 4] {
        [style(1, 0), style(2, 0), style(0, 1), style(0, 2)].map(|style| match line(event, &style) {
            Some(Line::Out(text) | Line::Err(text)) => text,
            None => String::new(),
        })
    }

    #[test]
    fn items_are_worded_as_by_rsync() {
        use Action::{Attributes, Create, Transfer};
        use Kind::{Directory, File, Symlink};
        use TimeChange::{None, Source};
        for (event, expected) in [
            (item("d/f", File, Transfer, None), ["d/f\n", "d/f\n", ">f+++++++++ d/f\n", ">f+++++++++ d/f\n"]),
            (item("d", Directory, Create, None), ["d/\n", "d/\n", "cd+++++++++ d/\n", "cd+++++++++ d/\n"]),
            (
                item("l", Symlink, Create, None),
                [
                    "l -> far/\\#377\n",
                    "l -> far/\\#377\n",
                    "cL+++++++++ l -> far/\\#377\n",
                    "cL+++++++++ l -> far/\\#377\n",
                ],
            ),
            (
                item("", Directory, Attributes, Source),
                ["./\n", "./\n", ".d..t...... ./\n", ".d..t...... ./\n"],
            ),
            (item("f", File, Attributes, Source), ["", "f\n", ".f..t...... f\n", ".f..t...... f\n"]),
            (item("f", File, Attributes, None), ["", "f is uptodate\n", "", ".f          f\n"]),
            (item("d", Directory, Attributes, None), ["", "", "", ".d          d/\n"]),
        ] {
            assert_eq!(lines(&event), expected, "{event:?}");
        }
    }

    #[test]
    fn deletions_and_skips_are_worded_as_by_rsync() {
        let path = || RelPath::new(*b"a/b").unwrap();
        let deleted = |kind| Event::Deleted { path: path(), kind };
        let skipped = |reason| Event::Skipped { path: path(), reason };
        let always = |text: &'static str| [text; 4];
        let with_names = |text: &'static str| ["", text, "", ""];
        for (event, expected) in [
            (
                deleted(Kind::File),
                ["deleting a/b\n", "deleting a/b\n", "*deleting   a/b\n", "*deleting   a/b\n"],
            ),
            (
                deleted(Kind::Directory),
                ["deleting a/b/\n", "deleting a/b/\n", "*deleting   a/b/\n", "*deleting   a/b/\n"],
            ),
            (skipped(Skip::NotRegular), always("skipping non-regular file \"a/b\"\n")),
            (skipped(Skip::Directory), always("skipping directory a/b\n")),
            (skipped(Skip::NotEmpty), always("cannot delete non-empty directory: a/b\n")),
            (skipped(Skip::Newer), with_names("a/b is newer\n")),
            (skipped(Skip::Exists), with_names("a/b exists\n")),
            (skipped(Skip::NotExisting), with_names("not creating new file \"a/b\"\n")),
            (skipped(Skip::NoSuchDirectory), with_names("not creating new directory \"a/b\"\n")),
            (skipped(Skip::TooLarge), with_names("a/b is over max-size\n")),
            (skipped(Skip::TooSmall), with_names("a/b is under min-size\n")),
            (Event::Removed { path: path() }, with_names("sender removed a/b\n")),
            (skipped(Skip::UpToDate), with_names("a/b is uptodate\n")),
            (Event::CreatedDestination, always("created directory there\n")),
        ] {
            assert_eq!(lines(&event), expected, "{event:?}");
        }
    }

    #[test]
    fn a_format_without_columns_leaves_out_attributes() {
        use Action::{Attributes, Transfer};
        let format = |format, verbose| Style { format: Some(Format::new(format)), ..style(verbose, 0) };
        let [plain, loud, telling] = [format("<%n>", 0), format("<%n>", 2), format("%o %n", 0)];
        let deleted = Event::Deleted { path: RelPath::new(*b"a").unwrap(), kind: Kind::Directory };
        let created = |count| Event::CreatedPath { count, path: b"x/y".to_vec() };
        for (event, expected) in [
            (item("f", Kind::File, Transfer, TimeChange::None), ["<f>", "<f>", "send f"]),
            (item("f", Kind::File, Attributes, TimeChange::Source), ["", "f", ""]),
            (item("l", Kind::Symlink, Attributes, TimeChange::Source), ["", "l", ""]),
            (item("l", Kind::Symlink, Transfer, TimeChange::None), ["<l>", "<l>", "send l"]),
            (item("d", Kind::Directory, Attributes, TimeChange::Source), ["<d/>", "<d/>", "send d/"]),
            (item("f", Kind::File, Attributes, TimeChange::None), ["", "f is uptodate", ""]),
            (deleted, ["deleting a/", "deleting a/", "del. a/"]),
            (Event::CreatedDestination, ["", "created directory there", ""]),
            (created(3), ["", "created 3 directories for x/y", ""]),
        ] {
            for (style, expected) in [&plain, &loud, &telling].into_iter().zip(expected) {
                let expected = (!expected.is_empty()).then(|| Line::Out(format!("{expected}\n")));
                assert_eq!(line(&event, style), expected, "{event:?}");
            }
        }
    }

    #[test]
    fn the_log_has_a_format_of_its_own() {
        let log = |format: Option<&str>| LogStyle { format: format.map(Format::new) };
        let logged = |event: &Event, log: LogStyle| {
            let style = Style { log: Some(log), ..style(1, 0) };
            Wording { style: &style, clock: &Clock::at(0) }.log_lines(event).unwrap_or_default()
        };
        let attributes = item("f", Kind::File, Action::Attributes, TimeChange::Source);
        let deleted = Event::Deleted { path: RelPath::new(*b"a").unwrap(), kind: Kind::File };
        let skipped = Event::Skipped { path: RelPath::new(*b"p").unwrap(), reason: Skip::NotRegular };
        assert_eq!(logged(&attributes, log(Some("%i %n"))), ".f..t...... f\n");
        assert_eq!(logged(&attributes, log(Some("%n"))), "");
        assert_eq!(logged(&deleted, log(Some("%n"))), "deleting a\n");
        assert_eq!(logged(&deleted, log(None)), "deleting a\n");
        assert_eq!(logged(&skipped, log(None)), "skipping non-regular file \"p\"\n");
    }

    #[test]
    fn what_no_kind_is_about_is_said_without_any() {
        let none = Style { levels: Levels::default(), ..style(0, 0) };
        let told = |event| line(&event, &none);
        let skipped = |reason| Event::Skipped { path: RelPath::root(), reason };
        assert_eq!(told(skipped(Skip::Directory)), Some(Line::Out("skipping directory .\n".to_owned())));
        assert_eq!(told(skipped(Skip::NotRegular)), None);
        let told = told(Event::Notice("stored a key".to_owned()));
        assert_eq!(told, Some(Line::Err("dsync: stored a key\n".to_owned())));
    }

    #[test]
    fn nothing_but_problems_is_said_when_quiet() {
        let quiet = Style { levels: Levels::default(), quiet: true, ..style(0, 0) };
        let problem = Problem {
            doing: "opening".to_owned(),
            path: b"a\x1bb".to_vec(),
            cause: "Permission denied".to_owned(),
            class: ProblemClass::Failed,
            role: Role::Source,
        };
        let problem = Event::Problem(problem);
        let told =
            |side: &str| Some(Line::Err(format!("dsync: {side}opening a\\#033b: Permission denied\n")));
        assert_eq!(line(&problem, &quiet), told(""));
        for direction in [Direction::Push, Direction::Pull] {
            assert_eq!(line(&problem, &Style { direction, ..quiet.clone() }), told("[sender] "));
        }
        let (path, target) = (RelPath::root(), None);
        let shown = Shown { path, kind: Kind::Directory, target, size: 0, mode: 0o755, seconds: 0 };
        for event in [
            Event::Shown(shown),
            Event::CreatedDestination,
            Event::Notice("stored a key".to_owned()),
            Event::Skipped { path: RelPath::root(), reason: Skip::NotRegular },
            Event::Skipped { path: RelPath::root(), reason: Skip::Directory },
            item("f", Kind::File, Action::Transfer, TimeChange::None),
        ] {
            assert_eq!(line(&event, &quiet), None);
        }
    }

    #[test]
    fn text_of_the_other_host_is_marked_and_harmless() {
        let event = Event::Remote(b"one\x1b[2J\r\ntwo\n".to_vec());
        let told = Line::Err("remote: one\\#033[2J\nremote: two\n".to_owned());
        assert_eq!(line(&event, &style(0, 0)), Some(told));
    }

    #[test]
    fn the_root_as_destination_keeps_its_slash() {
        for (typed, shown) in [(&b"/"[..], "/"), (b"a/b/", "a/b"), (b"a", "a")] {
            assert_eq!(destination(&Style { destination: typed.to_vec(), ..style(1, 0) }), shown);
        }
    }
}
