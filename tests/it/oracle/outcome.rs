//! What a run left behind and said, and how two runs of the same case differ.

use crate::oracle::fitting;
use crate::oracle::options::{self, Choice};
use crate::support::command::Output;
use crate::support::snapshot::{Columns, Snapshot};
use crate::support::tools;
use dsync::tree::Escaped;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What is told of a directory that is not deleted for what is in it.
const STAYS: &str = "cannot delete non-empty directory: ";

/// The end of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) output: Output,
    before: Snapshot,
    after: Snapshot,
    /// Times of the last access afterwards, but for directories and links.
    accessed: BTreeMap<Vec<u8>, i64>,
    /// The directory for backups.
    backup: Snapshot,
    /// What is left of the sources, where files of these are removed.
    sources: Vec<Snapshot>,
}

/// How far two outcomes of a case are comparable.
#[derive(Debug, Clone)]
pub(super) struct Comparison {
    columns: Columns,
    items: bool,
    /// `--out-format`: lines of a form that is known by a mark.
    formatted: bool,
    /// `-v` says the names, and with some options more.
    names: bool,
    stats: bool,
    /// With several sources rsync counts an entry as often as it is listed, also where it is the same name.
    listed: bool,
    /// Which entries a limited deletion takes is each program's own affair; how many is not.
    limited_deletion: bool,
    /// Which names are one file counts. Which of them comes first does not: rsync prefers one that is there.
    linked: bool,
    /// `-U`: when something was last read counts.
    accessed: bool,
    /// `--list-only`: lines about what the sources show.
    lists: bool,
    /// `-n`: of directories that it would not delete, rsync may tell that it deletes them.
    dry: bool,
    /// `-K`: the times of links that are kept, and of what they lead to, are each program's own.
    kept: bool,
    /// Names that are one file with others at a source, as they are shown.
    names_of_groups: Vec<String>,
}

impl Comparison {
    /// For runs with these options and this many source arguments, where these names are in groups.
    pub(super) fn of(options: &[Choice], sources: usize, groups: &BTreeSet<Vec<u8>>) -> Comparison {
        // Without -t a directory gets the time of the last change in it, and programs differ in what they change
        // on the way to the same end.
        let times = options::has(options, "-t") || options::has(options, "-a");
        let limited_deletion = options::has(options, "--max-delete");
        let linked = options::has(options, "-H");
        let any = |names: &[&str]| names.iter().any(|name| options::has(options, name));
        let names_are_shown = any(&["-v", "-vv", "--info"]);
        let every_name_is_shown = any(&["-vv", "--info"]);
        // With -c, rsync corrects times by nanoseconds, and says so only here. And of what has only got other extended
        // attributes, it says that it is up to date.
        let more_is_shown = any(&["-c", "-i", "-P", "--stats", "--out-format", "--list-only"])
            || (every_name_is_shown && options::has(options, "-X"));
        Comparison {
            columns: Columns {
                directory_mtime: times && !limited_deletion,
                // Not being root, rsync makes an entry writable before it finds that the limit forbids removing it.
                mode: (tools::is_root() && !options::has(options, "--no-super")) || !limited_deletion,
                // Written in place, names of a file have what the one had that was looked at.
                xattrs: !linked || (options::has(options, "-A") && options::has(options, "-X")),
                ..Columns::ALL
            },
            items: options::has(options, "-i"),
            formatted: !linked && options::has(options, "--out-format"),
            names: !linked && names_are_shown && !more_is_shown,
            stats: options::has(options, "--stats"),
            // Nor does it take off those that are pruned, and it counts what is not there and to be removed.
            listed: sources == 1
                && !["-m", "--delete-missing-args"].iter().any(|more| options::has(options, more)),
            limited_deletion,
            linked,
            accessed: options::has(options, "-U"),
            lists: options::has(options, "--list-only"),
            dry: options::has(options, "-n"),
            kept: options::has(options, "-K"),
            names_of_groups: groups.iter().map(|path| Escaped(path).to_string()).collect(),
        }
    }
}

impl Comparison {
    fn differences(&self, left: &Snapshot, right: &Snapshot) -> Vec<String> {
        let [left, right] = [left, right].map(|snapshot| match self.kept {
            true => snapshot.clone().without_times(fitting::is_kept),
            false => snapshot.clone(),
        });
        left.differences(&right, self.columns)
    }
}

/// Notes when what is below `at` was last read, in what cannot be by this: any time far ahead.
fn access_times(at: &Path, path: &[u8], into: &mut BTreeMap<Vec<u8>, i64>) {
    for entry in fs::read_dir(at).into_iter().flatten().map_while(Result::ok) {
        let name = entry.file_name();
        let below =
            if path.is_empty() { name.as_bytes().to_vec() } else { [path, name.as_bytes()].join(&b'/') };
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() {
            access_times(&entry.path(), &below, into);
        } else if !meta.is_symlink() {
            into.insert(below, meta.atime().max(fitting::FIRST_ACCESS));
        }
    }
}

impl Outcome {
    /// Runs `run` on the destination `at`. Times from `since` on count as made by the run.
    pub(super) fn of(at: &Path, since: i64, run: impl FnOnce() -> Output) -> Outcome {
        let before = Snapshot::of(at);
        let output = run();
        let mut accessed = BTreeMap::new();
        access_times(at, &[], &mut accessed);
        let after = Snapshot::of(at).with_now(since).without_fractions_kept_from(&before);
        let backup = Snapshot::of(&at.with_file_name("backup"));
        Outcome { output, before, after, accessed, backup, sources: Vec::new() }
    }

    /// The same of a run that has left this of the sources. Times from `since` on count as made by it.
    pub(super) fn with_sources(self, sources: Vec<Snapshot>, since: i64) -> Outcome {
        Outcome { sources: sources.into_iter().map(|source| source.with_now(since)).collect(), ..self }
    }

    /// What differs in the destination and the exit code.
    pub(super) fn state_differences(&self, other: &Outcome, how: &Comparison) -> Vec<String> {
        let mut lines = Vec::new();
        if how.accessed {
            let mut differs = |path: &Vec<u8>| {
                let [mine, theirs] = [self, other].map(|outcome| outcome.accessed.get(path));
                if let (Some(mine), Some(theirs)) = (mine, theirs)
                    && mine != theirs
                {
                    lines.push(format!("{}: atime {mine} and {theirs}", path.escape_ascii()));
                }
            };
            self.accessed.keys().for_each(&mut differs);
        }
        for (mine, theirs) in self.sources.iter().zip(&other.sources) {
            let differences = mine.differences(theirs, Columns::ALL);
            lines.extend(differences.into_iter().map(|line| format!("source: {line}")));
        }
        let (mut mine, mut theirs) = (self.kept(), other.kept());
        if self.output.code != other.output.code {
            lines.push(format!("exit code {:?} and {:?}", self.output.code, other.output.code));
        }
        if how.limited_deletion {
            let (gone, gone_there) = (self.deleted(), other.deleted());
            if gone.len() != gone_there.len() {
                lines.push(format!("deleted {} and {}", gone.len(), gone_there.len()));
            }
            let unsettled = |path: &Vec<u8>| gone.contains(path) || gone_there.contains(path);
            let settled = |outcome: &Outcome| outcome.after.clone().retain(|path| !unsettled(path));
            lines.extend(how.differences(&settled(self), &settled(other)));
            mine.retain(|path| !unsettled(path));
            theirs.retain(|path| !unsettled(path));
        } else if how.linked {
            // A name may have the time of another that agrees in its seconds.
            let whole = |outcome: &Outcome| outcome.after.clone().in_whole_seconds();
            lines.extend(how.differences(&whole(self), &whole(other)));
        } else {
            lines.extend(how.differences(&self.after, &other.after));
        }
        if how.linked {
            let linked: BTreeSet<Vec<u8>> = self.linked().union(&other.linked()).cloned().collect();
            mine.retain(|path| !linked.contains(path));
            theirs.retain(|path| !linked.contains(path));
            // With a limit, a name may be gone from one file only here, and from another only there.
            // And where there is a directory in the place of one, rsync parts some of the others from the rest.
            let is_parted = how.limited_deletion || self.output.err().contains("could not make way for new");
            let groups = |outcome: &Outcome| match is_parted {
                true => BTreeSet::new(),
                false => outcome.after.groups(),
            };
            let (groups, groups_there) = (groups(self), groups(other));
            for group in groups.symmetric_difference(&groups_there) {
                let which = if groups.contains(group) { "left" } else { "right" };
                let names: Vec<String> = group.iter().map(|path| path.escape_ascii().to_string()).collect();
                lines.push(format!("one file only {which}: {}", names.join(" ")));
            }
        }
        for path in mine.symmetric_difference(&theirs) {
            let which = if mine.contains(path) { "left" } else { "right" };
            lines.push(format!("{}: inode kept only {which}", path.escape_ascii()));
        }
        lines
    }

    /// Which files are those of another tree only in one of the outcomes.
    pub(super) fn sharing_differences(&self, other: &Outcome, trees: &[Snapshot]) -> Vec<String> {
        let files: BTreeSet<u64> = trees
            .iter()
            .flat_map(|tree| tree.paths().filter_map(|path| tree.get(path)))
            .filter(|stamp| stamp.kind != 'd')
            .map(|stamp| stamp.inode)
            .collect();
        let shared = |outcome: &Outcome| -> BTreeSet<Vec<u8>> {
            let is_shared =
                |path: &&Vec<u8>| outcome.after.get(path).is_some_and(|stamp| files.contains(&stamp.inode));
            outcome.after.paths().filter(is_shared).cloned().collect()
        };
        let (mine, theirs) = (shared(self), shared(other));
        let lines = mine.symmetric_difference(&theirs);
        lines.map(|path| format!("{}: shared only by one", path.escape_ascii())).collect()
    }

    /// What differs in the directory for backups. The attributes of what is there for the paths alone, and that before
    /// it is settled, are each program's own.
    pub(super) fn backup_differences(&self, other: &Outcome, how: &Comparison) -> Vec<String> {
        if how.limited_deletion {
            return Vec::new();
        }
        let files = |outcome: &Outcome| {
            let is_directory =
                |path: &Vec<u8>| outcome.backup.get(path).is_some_and(|stamp| stamp.kind == 'd');
            outcome.backup.clone().retain(|path| !is_directory(path))
        };
        let lines = files(self).differences(&files(other), Columns::ALL);
        lines.into_iter().map(|line| format!("backup of {line}")).collect()
    }

    /// What differs in the lines about changes and in the numbers, as far as the options ask for them.
    pub(super) fn output_differences(&self, other: &Outcome, how: &Comparison) -> Vec<String> {
        let mut lines = Vec::new();
        if how.items {
            lines.extend(line_differences(&self.items(how), &other.items(how)));
        }
        if how.formatted {
            lines.extend(line_differences(&self.formatted(how), &other.formatted(how)));
        }
        if how.names {
            lines.extend(line_differences(&self.names(how), &other.names(how)));
        }
        if how.lists {
            lines.extend(line_differences(&self.listed(), &other.listed()));
        }
        if how.stats {
            let tells = |outcome: &Outcome| outcome.output.out().lines().any(|line| line.starts_with(STAYS));
            let is_open = how.limited_deletion || (how.dry && (tells(self) || tells(other)));
            lines.extend(line_differences(&self.stats(how, is_open), &other.stats(how, is_open)));
        }
        lines
    }

    fn deleted(&self) -> BTreeSet<&Vec<u8>> {
        self.before.paths().filter(|path| self.after.get(path).is_none()).collect()
    }

    /// Names of files that have or had several.
    fn linked(&self) -> BTreeSet<Vec<u8>> {
        [&self.before, &self.after].iter().flat_map(|snapshot| snapshot.groups()).flatten().collect()
    }

    /// Regular files that are still the same inode.
    fn kept(&self) -> BTreeSet<Vec<u8>> {
        let same = |path: &&Vec<u8>| match (self.before.get(path), self.after.get(path)) {
            (Some(before), Some(after)) => {
                let is_same = (before.inode, before.born) == (after.inode, after.born);
                before.kind == '-' && is_same && after.kind == '-'
            }
            _ => false,
        };
        self.before.paths().filter(same).cloned().collect()
    }

    /// The itemized lines and the deletions, sorted, with the direction taken out.
    fn items(&self, how: &Comparison) -> Vec<String> {
        let item = |line: &str| -> Option<String> {
            let bytes = line.as_bytes();
            if line.starts_with("*deleting ") {
                return Some(if how.limited_deletion { "*deleting".to_owned() } else { line.to_owned() });
            }
            let columns = bytes.len() > 12 && b"<>ch.".contains(&bytes[0]) && b"fdLDS".contains(&bytes[1]);
            let of_a_pull = || line.replacen('<', ">", usize::from(bytes[0] == b'<'));
            (columns && bytes[11] == b' ').then(|| without_letters_of_chance(of_a_pull()))
        };
        let before = if how.linked { self.linked() } else { BTreeSet::new() };
        let mut linked: Vec<String> = before.iter().map(|path| Escaped(path).to_string()).collect();
        linked.extend(how.names_of_groups.iter().cloned());
        let is_linked = |line: &&str| {
            let rest = line.get(12..).unwrap_or_default();
            let follows = |rest: &str| rest.is_empty() || rest.starts_with([' ', '/']);
            let is_limited = how.limited_deletion && line.starts_with("*deleting ");
            !is_limited && linked.iter().any(|name| rest.strip_prefix(name.as_str()).is_some_and(follows))
        };
        let lines = self.output.out();
        let stays = |line: &str| {
            let name = line.strip_prefix("*deleting   ").and_then(|name| name.strip_suffix('/'));
            how.dry
                && name.is_some_and(|name| lines.lines().any(|line| line.strip_prefix(STAYS) == Some(name)))
        };
        let wanted = lines.lines().filter(|line| !is_linked(line) && !stays(line));
        let mut items: Vec<String> = wanted.filter_map(item).collect();
        items.sort();
        items
    }

    /// The lines of a list, sorted, without what the size of a directory is said to be.
    fn listed(&self) -> Vec<String> {
        let is_mode =
            |word: &str| word.len() == 10 && word.bytes().all(|byte| b"-dlpscbrwxStT".contains(&byte));
        let out = self.output.out();
        let lines = out.lines().filter_map(|line| {
            let (mode, rest) = line.split_once(' ').filter(|(mode, _)| is_mode(mode))?;
            let (_, rest) =
                rest.trim_start().split_once(' ').filter(|_| mode.starts_with('d')).unwrap_or(("", rest));
            Some(format!("{mode} {rest}"))
        });
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        lines
    }

    /// The lines by a format of `--out-format`, sorted, without which way the content went.
    fn formatted(&self, how: &Comparison) -> Vec<String> {
        let out = self.output.out();
        let is_deletion =
            |line: &str| ["del.", "*deleting", "deleting "].iter().any(|word| line.contains(word));
        // The mark is at the beginning, or after the columns of `%i`.
        let is_marked = |line: &&str| line.starts_with('=') || line.as_bytes().get(11) == Some(&b'=');
        // With -vv, rsync also tells of the directories it is going to look at.
        let is_bare = |line: &str| line.starts_with("deleting ") && !line.starts_with("deleting in ");
        let lines = out.lines().filter(|line| is_marked(line) || is_bare(line));
        let mut lines: Vec<String> = lines
            .filter(|line| !(how.limited_deletion && is_deletion(line)))
            .filter(|line| !(how.kept && line.contains("|.d..t......|")))
            .map(|line| without_moments(line).replace("|recv", "|send").replace('<', ">"))
            .map(|mut line| {
                // `=%C%o%n`, by the length of the sum
                for at in [17, 33, 41] {
                    if line.get(at..at + 4) == Some("recv") {
                        line.replace_range(at..at + 4, "send");
                    }
                }
                let is_first = line.as_bytes().get(11) == Some(&b'=');
                if let Some(at) = if is_first { Some(0) } else { line.find("|.").map(|at| at + 1) } {
                    let columns = without_letters_of_chance(line.split_off(at));
                    line.push_str(&columns);
                }
                line
            })
            .collect();
        lines.sort();
        lines
    }

    /// The lines about single entries, sorted: all that does not belong to the beginning, the end or the diagnosis of
    /// the program's own doings.
    fn names(&self, how: &Comparison) -> Vec<String> {
        const OTHERS: [&str; 21] = [
            "deleting in ",
            "done",
            "building file list ",
            "receiving file list ",
            // Which are followed is what the options say.
            "copying unsafe symlink ",
            "backed up ",
            "(new) backup_dir is ",
            "sending incremental file list",
            "receiving incremental file list",
            "created directory ",
            "created 1 directory for ",
            "delta-transmission ",
            "removing duplicate name ",
            // Which ones is as open as what a limit spares; in other cases an error says it again.
            STAYS,
            // Said also where there is nothing to delete.
            "IO error encountered -- skipping file deletion",
            "total: matches=",
            "sent ",
            "total size is ",
            "[sender] ",
            "[generator] ",
            "[receiver] ",
        ];
        let out = self.output.out();
        let body = out.lines().take_while(|line| !line.starts_with("Number of files: "));
        let wanted =
            body.filter(|line| !line.is_empty() && !OTHERS.iter().any(|other| line.starts_with(other)));
        let mut names: Vec<String> = wanted
            .map(|line| match line.strip_prefix("deleting ") {
                Some(_) if how.limited_deletion => "deleting".to_owned(),
                // What it is made for is another one for each.
                _ if line.starts_with("created ") => line.split(" for /").take(1).collect(),
                _ => line.to_owned(),
            })
            .collect();
        names.sort();
        names
    }

    /// The statistics that do not depend on how a program talks to its peer; without the deletions if it `is_open` how
    /// many there are.
    fn stats(&self, how: &Comparison, is_open: bool) -> Vec<String> {
        const LABELS: [&str; 6] = [
            "Number of files:",
            "Number of created files:",
            "Number of deleted files:",
            "Number of regular files transferred:",
            "Total file size:",
            "Total transferred file size:",
        ];
        let wanted = |line: &&str| {
            let limited = is_open && line.starts_with("Number of deleted");
            let merged =
                !how.listed && (line.starts_with("Number of files:") || line.starts_with("Total file size:"));
            let led = how.linked && line.contains("transferred");
            LABELS.iter().any(|label| line.starts_with(label)) && !limited && !merged && !led
        };
        self.output.out().lines().filter(wanted).map(str::to_owned).collect()
    }
}

fn line_differences(left: &[String], right: &[String]) -> Vec<String> {
    let only = |these: &[String], those: &[String], side: &str| -> Vec<String> {
        let mut rest = those.to_vec();
        these
            .iter()
            .filter(|line| match rest.iter().position(|other| other == *line) {
                Some(place) => {
                    rest.swap_remove(place);
                    false
                }
                None => true,
            })
            .map(|line| format!("printed only {side}: {line}"))
            .collect()
    };
    [only(left, right, "left"), only(right, left, "right")].concat()
}

/// The line without a time (`%M`) later than all that are drawn: a device whose content is copied counts as changed
/// when it is looked at.
fn without_moments(line: &str) -> String {
    let is_moment = |part: &str| {
        let year = part.get(..5).and_then(|year| year.strip_suffix('/')?.parse::<u32>().ok());
        part.len() == "2020/01/01-00:00:00".len() && year.is_some_and(|year| year > 2025)
    };
    let parts = line.split('|').map(|part| if is_moment(part) { "now" } else { part });
    parts.collect::<Vec<_>>().join("|")
}

/// The item without what rsync shows otherwise in a dry run than else: the letter of permissions where ACLs are set on
/// what is there, at which it looks only when setting the ACL has changed them; and that of extended attributes of what
/// is made anew, at which it looks when it has none yet.
fn without_letters_of_chance(mut line: String) -> String {
    if line.starts_with('.') && line.as_bytes().get(9) == Some(&b'a') {
        line.replace_range(5..6, ".");
    }
    if line.starts_with('c') && line.as_bytes().get(10) == Some(&b'x') {
        line.replace_range(10..11, ".");
    }
    line
}
