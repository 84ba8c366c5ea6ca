//! The line for each event.

use crate::cli::output::itemise::{DELETED, columns};
use crate::cli::output::{Direction, Style};
use crate::report::{Action, Event, Item, Problem, Skip};
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

/// What is shown of an event; nothing if the style has no line for it.
pub(super) fn line(event: &Event, style: &Style) -> Option<Line> {
    match event {
        Event::CreatedDestination => {
            let shown = style.levels.name > 0 || style.itemise > 0;
            shown.then(|| Line::Out(format!("created directory {}\n", destination(style))))
        }
        Event::Item(item) => item_line(item, style).map(Line::Out),
        Event::Deleted { path, kind } => deletion_line(path, *kind, style).map(Line::Out),
        Event::Skipped { path, reason } => skip_line(path, *reason, style).map(Line::Out),
        Event::Problem(problem) => Some(Line::Err(problem_line(problem))),
        Event::Notice(text) => style.wants_notices().then(|| Line::Err(prefixed("dsync: ", text.as_bytes()))),
        Event::Remote(bytes) => Some(Line::Err(prefixed("remote: ", bytes))),
    }
}

impl Style {
    /// Everything but `-q` wants to hear what is no failure.
    fn wants_notices(&self) -> bool {
        self.levels.non_regular > 0
    }
}

fn destination(style: &Style) -> String {
    let path = style.destination.as_slice();
    let trimmed = path.strip_suffix(b"/").filter(|path| !path.is_empty()).unwrap_or(path);
    Escaped(trimmed).to_string()
}

fn item_line(item: &Item, style: &Style) -> Option<String> {
    let nothing = item.change.is_nothing();
    let every_name = style.levels.name > 1;
    if style.itemise > 0 {
        let shown = !nothing || style.itemise > 1 || every_name;
        return shown.then(|| {
            let columns = columns(item, style.direction);
            format!("{columns} {}{}\n", name(&item.path, item.kind), arrow(item))
        });
    }
    let is_dir = item.kind == Kind::Directory;
    match item.change.action {
        // Without -i a change of attributes alone is only told of directories, unless every name is.
        Action::Attributes if nothing => {
            (every_name && !is_dir).then(|| format!("{} is uptodate\n", item.path))
        }
        Action::Attributes => {
            let shown = every_name || (is_dir && style.levels.name > 0);
            shown.then(|| format!("{}\n", name(&item.path, item.kind)))
        }
        Action::Transfer | Action::Create => {
            (style.levels.name > 0).then(|| format!("{}{}\n", name(&item.path, item.kind), arrow(item)))
        }
    }
}

/// A path, with a slash if it is a directory's.
fn name(path: &RelPath, kind: Kind) -> String {
    if kind == Kind::Directory { format!("{path}/") } else { path.to_string() }
}

fn arrow(item: &Item) -> String {
    item.target.as_ref().map(|target| format!(" -> {}", Escaped(target))).unwrap_or_default()
}

fn deletion_line(path: &RelPath, kind: Kind, style: &Style) -> Option<String> {
    let name = name(path, kind);
    if style.itemise > 0 {
        return Some(format!("{DELETED} {name}\n"));
    }
    (style.levels.delete > 0).then(|| format!("deleting {name}\n"))
}

fn skip_line(path: &RelPath, reason: Skip, style: &Style) -> Option<String> {
    let levels = &style.levels;
    let (shown, text) = match reason {
        Skip::NotRegular => (levels.non_regular > 0, format!("skipping non-regular file \"{path}\"")),
        Skip::Directory => (levels.non_regular > 0, format!("skipping directory {path}")),
        Skip::Newer => (levels.skip > 0, format!("{path} is newer")),
        Skip::Exists => (levels.skip > 0, format!("{path} exists")),
        Skip::NotExisting => (levels.skip > 0, format!("not creating new file \"{path}\"")),
        Skip::TooLarge => (levels.skip > 0, format!("{path} is over max-size")),
        Skip::TooSmall => (levels.skip > 0, format!("{path} is under min-size")),
        Skip::NotEmpty => {
            (levels.delete > 0 || style.itemise > 0, format!("cannot delete non-empty directory: {path}"))
        }
        // Nothing is said of it, as by rsync.
        Skip::NotShorter => return None,
        Skip::UpToDate => (levels.name > 1 && style.itemise == 0, format!("{path} is uptodate")),
    };
    shown.then(|| text + "\n")
}

fn problem_line(problem: &Problem) -> String {
    let Problem { doing, path, cause, .. } = problem;
    let doing = Escaped(doing.as_bytes());
    let cause = Escaped(cause.as_bytes());
    format!("dsync: {doing} {}: {cause}\n", Escaped(path))
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
    use crate::cli::output::Levels;
    use crate::report::{Change, ProblemClass, Role, TimeChange};

    fn style(verbose: u8, itemise: u8) -> Style {
        Style {
            levels: Levels::at_verbosity(verbose),
            itemise,
            progress: false,
            human: 1,
            dry_run: false,
            recursive: true,
            destination: b"there/".to_vec(),
            direction: Direction::Local,
            two_way: None,
        }
    }

    fn item(path: &str, kind: Kind, action: Action, time: TimeChange) -> Event {
        let change = Change {
            action,
            new: action != Action::Attributes,
            content: false,
            size: false,
            time,
            perms: false,
            owner: false,
            group: false,
        };
        let target = (kind == Kind::Symlink).then(|| b"far/\xff".to_vec());
        let path = RelPath::new(path.as_bytes()).unwrap();
        Event::Item(Item { path, kind, target, size: 0, change })
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
            (skipped(Skip::Newer), with_names("a/b is newer\n")),
            (skipped(Skip::Exists), with_names("a/b exists\n")),
            (skipped(Skip::NotExisting), with_names("not creating new file \"a/b\"\n")),
            (skipped(Skip::TooLarge), with_names("a/b is over max-size\n")),
            (skipped(Skip::TooSmall), with_names("a/b is under min-size\n")),
            (skipped(Skip::UpToDate), with_names("a/b is uptodate\n")),
            (Event::CreatedDestination, always("created directory there\n")),
        ] {
            assert_eq!(lines(&event), expected, "{event:?}");
        }
    }

    #[test]
    fn nothing_but_problems_is_said_when_quiet() {
        let quiet = Style { levels: Levels::default(), ..style(0, 0) };
        let problem = Problem {
            doing: "opening".to_owned(),
            path: b"a\x1bb".to_vec(),
            cause: "Permission denied".to_owned(),
            class: ProblemClass::Failed,
            role: Role::Source,
        };
        let told = Line::Err("dsync: opening a\\#033b: Permission denied\n".to_owned());
        assert_eq!(line(&Event::Problem(problem), &quiet), Some(told));
        for event in [
            Event::CreatedDestination,
            Event::Notice("stored a key".to_owned()),
            Event::Skipped { path: RelPath::root(), reason: Skip::NotRegular },
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
