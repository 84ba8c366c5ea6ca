//! Which kinds of lines are shown: what `-v`, `--progress`, `--stats` and `--info` come down to.

/// How much is shown of each kind; 0 is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::cli) struct Levels {
    /// Deletions.
    pub delete: u8,
    /// The first line.
    pub list: u8,
    /// Names: 1 those that change, 2 all.
    pub name: u8,
    /// Files skipped for what they are.
    pub non_regular: u8,
    /// The progress bar.
    pub progress: u8,
    /// Files removed at the source.
    pub remove: u8,
    /// Files skipped because of the options.
    pub skip: u8,
    /// The end of the run: 1 the last two lines, 2 all numbers.
    pub stats: u8,
    /// Symbolic links that are followed because they may lead out of the tree.
    pub unsafe_links: u8,
}

/// A name that an option does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option}: unknown kind of output {name:?}")]
pub(in crate::cli) struct UnknownFlag {
    option: &'static str,
    name: String,
}

/// A kind of `--info`.
struct Kind {
    name: &'static str,
    level: fn(&mut Levels) -> &mut u8,
    about: &'static str,
    /// The levels at which it is shown without `-v`, with one and with two.
    verbose: [u8; 3],
}

const fn kind(
    name: &'static str,
    verbose: [u8; 3],
    level: fn(&mut Levels) -> &mut u8,
    about: &'static str,
) -> Kind {
    Kind { name, level, about, verbose }
}

/// The kinds of `--info`, with what they are about.
const KINDS: [Kind; 9] = [
    kind("DEL", [0, 1, 1], |levels| &mut levels.delete, "Entries deleted at the destination"),
    kind("FLIST", [0, 1, 1], |levels| &mut levels.list, "The line that says which way the run goes"),
    kind("NAME", [0, 1, 2], |levels| &mut levels.name, "Names: 1) of what changes, 2) of everything"),
    kind("NONREG", [1, 1, 1], |levels| &mut levels.non_regular, "Files skipped for what they are"),
    kind("PROGRESS", [0, 0, 0], |levels| &mut levels.progress, "The progress bar for the whole run"),
    kind("REMOVE", [0, 0, 1], |levels| &mut levels.remove, "Files removed at the source"),
    kind("SKIP", [0, 0, 1], |levels| &mut levels.skip, "Files skipped because of the options"),
    kind(
        "STATS",
        [0, 1, 1],
        |levels| &mut levels.stats,
        "The end of the run: 1) the last lines, 2) all numbers",
    ),
    kind("SYMSAFE", [0, 1, 1], |levels| &mut levels.unsafe_links, "Links that --copy-unsafe-links follows"),
];

/// The kinds of rsync's `--info` that are known so that command lines written for it work, and have nothing to show.
const SILENT_KINDS: [&str; 4] = ["BACKUP", "COPY", "MISC", "MOUNT"];

/// The kinds of rsync's `--debug`, known so that command lines written for it work. They are about its own insides, so
/// there is nothing to show.
const DEBUG_KINDS: [&str; 24] = [
    "ACL", "BACKUP", "BIND", "CHDIR", "CONNECT", "CMD", "DEL", "DELTASUM", "DUP", "EXIT", "FILTER", "FLIST",
    "FUZZY", "GENR", "HASH", "HLINK", "ICONV", "IO", "NSTR", "OWN", "PROTO", "RECV", "SEND", "TIME",
];

/// The names of a value of `--info` or `--debug`, in capitals, with their levels.
fn named(flags: &str) -> impl Iterator<Item = (&str, String, u8)> {
    flags.split(',').filter(|flag| !flag.is_empty()).map(|flag| {
        let name = flag.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = flag.strip_prefix(name).unwrap_or_default();
        let level = if digits.is_empty() { 1 } else { digits.parse().unwrap_or(u8::MAX) };
        (flag, name.to_ascii_uppercase(), level)
    })
}

/// Whether a value of `--info` or `--debug` asks what there is.
pub(in crate::cli) fn asks_for_help(flags: &str) -> bool {
    named(flags).any(|(_, name, _)| name == "HELP")
}

/// Checks a value of `--debug`.
pub(in crate::cli) fn check_debug(flags: &str) -> Result<(), UnknownFlag> {
    let is_known = |name: &str| matches!(name, "ALL" | "NONE") || DEBUG_KINDS.contains(&name);
    match named(flags).find(|(_, name, _)| !is_known(name)) {
        Some((flag, ..)) => Err(UnknownFlag { option: "--debug", name: flag.to_owned() }),
        None => Ok(()),
    }
}

impl Levels {
    /// The levels that `-v` given so many times means.
    pub(in crate::cli) fn at_verbosity(verbose: u8) -> Levels {
        let mut levels = Levels::default();
        for Kind { level, verbose: [never, once, twice], .. } in &KINDS {
            *level(&mut levels) = match verbose {
                0 => *never,
                1 => *once,
                _ => *twice,
            };
        }
        levels
    }

    /// Adds what `--progress` and `--stats` stand for.
    pub(in crate::cli) fn raise_for(&mut self, progress: bool, stats: bool) {
        if progress {
            self.progress = 1;
            self.name = self.name.max(1);
            self.list = self.list.max(1);
        }
        if stats {
            self.stats = self.stats.max(2);
        }
    }

    /// Applies one value of `--info`: names with an optional level, parted by commas.
    pub(in crate::cli) fn set(&mut self, flags: &str) -> Result<(), UnknownFlag> {
        for (flag, name, level) in named(flags) {
            match name.as_str() {
                "ALL" => self.set_all(level),
                "NONE" => self.set_all(0),
                name if SILENT_KINDS.contains(&name) => {}
                name => {
                    let kind = KINDS.iter().find(|kind| kind.name == name);
                    let unknown = || UnknownFlag { option: "--info", name: flag.to_owned() };
                    *(kind.ok_or_else(unknown)?.level)(self) = level;
                }
            }
        }
        Ok(())
    }

    fn set_all(&mut self, level: u8) {
        for kind in &KINDS {
            *(kind.level)(self) = level;
        }
    }
}

/// The text of `--info=help`.
pub(in crate::cli) fn info_help() -> String {
    let mut text = String::from("NAME or NAME1 is level 1, NAME2 level 2; NAME0 is silence.\n\n");
    for Kind { name, about, .. } in &KINDS {
        text.push_str(&format!("{name:<10} {about}\n"));
    }
    text.push_str(
        "\nALL        All of them (ALL2: at level 2)\nNONE       None of them\nHELP       This list\n",
    );
    let silent = SILENT_KINDS.join(", ");
    text.push_str(&format!("\nKnown from rsync, with nothing to show in dsync:\n{silent}\n"));
    text.push_str("\nShown by -v:\n");
    for verbose in 0..3 {
        text.push_str(&format!("{verbose}) {}\n", added(verbose).join(",")));
    }
    text
}

/// What one more `-v` adds, as it would be written.
fn added(verbose: u8) -> Vec<String> {
    let mut now = Levels::at_verbosity(verbose);
    let mut before = verbose.checked_sub(1).map(Levels::at_verbosity).unwrap_or_default();
    let mut written = |kind: &Kind| match ((kind.level)(&mut before), (kind.level)(&mut now)) {
        (before, now) if before == now => None,
        (_, 1) => Some(kind.name.to_owned()),
        (_, level) => Some(format!("{}{level}", kind.name)),
    };
    KINDS.iter().filter_map(&mut written).collect()
}

/// The text of `--debug=help`.
pub(in crate::cli) fn debug_help() -> String {
    let mut text = String::from("These kinds are known from rsync, and have nothing to show in dsync:\n\n");
    for name in DEBUG_KINDS {
        text.push_str(&format!("{name}\n"));
    }
    text.push_str("\nALL        All of them\nNONE       None of them\nHELP       This list\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_overrides_what_verbosity_set() {
        let mut levels = Levels::at_verbosity(1);
        levels.set("name2,stats0,progress2,,skip,backup,mount2").unwrap();
        let expected = Levels { name: 2, stats: 0, progress: 2, skip: 1, ..Levels::at_verbosity(1) };
        assert_eq!(levels, expected);
        levels.set("none,del").unwrap();
        assert_eq!(levels, Levels { delete: 1, ..Levels::default() });
        let unknown = levels.set("DEL,nosuch3").unwrap_err();
        assert_eq!(unknown.to_string(), "--info: unknown kind of output \"nosuch3\"");
    }

    #[test]
    fn help_tells_what_has_something_to_show() {
        let help = info_help();
        let (live, silent) = help.split_once("nothing to show").unwrap();
        assert!(live.contains("\nSKIP ") && !live.contains("BACKUP"), "{help}");
        assert!(silent.contains("BACKUP, ") && !silent.contains("MISC2"), "{help}");
    }

    #[test]
    fn verbosity_adds_up() {
        assert_eq!(Levels::at_verbosity(0), Levels { non_regular: 1, ..Levels::default() });
        assert_eq!(added(0), ["NONREG"]);
        assert_eq!(added(1), ["DEL", "FLIST", "NAME", "STATS", "SYMSAFE"]);
        assert_eq!(added(2), ["NAME2", "REMOVE", "SKIP"]);
        assert_eq!(Levels::at_verbosity(9), Levels::at_verbosity(2));
    }

    #[test]
    fn progress_shows_names_and_stats_shows_all_numbers() {
        let mut levels = Levels::at_verbosity(0);
        levels.raise_for(true, true);
        assert_eq!(
            levels,
            Levels { list: 1, name: 1, non_regular: 1, progress: 1, stats: 2, ..Levels::default() }
        );
    }

    #[test]
    fn debug_knows_rsyncs_kinds() {
        assert_eq!(check_debug("del2,ACL,all,none,,io9"), Ok(()));
        let unknown = check_debug("del,foo2").unwrap_err();
        assert_eq!(unknown.to_string(), "--debug: unknown kind of output \"foo2\"");
        assert!(asks_for_help("del,help9") && asks_for_help("HELP") && !asks_for_help("del"));
    }
}
