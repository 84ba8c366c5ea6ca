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
    /// Files skipped because of the options.
    pub skip: u8,
    /// The end of the run: 1 the last two lines, 2 all numbers.
    pub stats: u8,
}

/// A name that `--info` does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--info: unknown kind of output {0:?}")]
pub(in crate::cli) struct UnknownFlag(String);

type Field = fn(&mut Levels) -> &mut u8;

/// The kinds of `--info`, with what they are about. rsync's other kinds are known, so that command lines written for
/// it work, and have nothing to show here.
const KINDS: [(&str, Option<Field>, &str); 13] = [
    ("BACKUP", None, ""),
    ("COPY", None, ""),
    ("DEL", Some(|levels| &mut levels.delete), "Entries deleted at the destination"),
    ("FLIST", Some(|levels| &mut levels.list), "The line that says which way the run goes"),
    ("MISC", None, ""),
    ("MOUNT", None, ""),
    ("NAME", Some(|levels| &mut levels.name), "Names: 1) of what changes, 2) of everything"),
    ("NONREG", Some(|levels| &mut levels.non_regular), "Files skipped for what they are (default 1)"),
    ("PROGRESS", Some(|levels| &mut levels.progress), "The progress bar for the whole run"),
    ("REMOVE", None, ""),
    ("SKIP", Some(|levels| &mut levels.skip), "Files skipped because of the options"),
    ("STATS", Some(|levels| &mut levels.stats), "The end of the run: 1) the last lines, 2) all numbers"),
    ("SYMSAFE", None, ""),
];

impl Levels {
    /// The levels that `-v` given so many times means.
    pub(in crate::cli) fn at_verbosity(verbose: u8) -> Levels {
        let once = u8::from(verbose > 0);
        let twice = u8::from(verbose > 1);
        Levels {
            delete: once,
            list: once,
            name: once.saturating_add(twice),
            non_regular: 1,
            progress: 0,
            skip: twice,
            stats: once,
        }
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
        for flag in flags.split(',').filter(|flag| !flag.is_empty()) {
            let name = flag.trim_end_matches(|c: char| c.is_ascii_digit());
            let digits = flag.strip_prefix(name).unwrap_or_default();
            let level = if digits.is_empty() { 1 } else { digits.parse().unwrap_or(u8::MAX) };
            match name.to_ascii_uppercase().as_str() {
                "ALL" => self.set_all(level),
                "NONE" => self.set_all(0),
                upper => {
                    let kind = KINDS.iter().find(|(known, _, _)| *known == upper);
                    let (_, field, _) = kind.ok_or_else(|| UnknownFlag(flag.to_owned()))?;
                    if let Some(field) = field {
                        *field(self) = level;
                    }
                }
            }
        }
        Ok(())
    }

    fn set_all(&mut self, level: u8) {
        for field in KINDS.iter().filter_map(|(_, field, _)| *field) {
            *field(self) = level;
        }
    }
}

/// The text of `--info=help`.
pub(in crate::cli) fn help() -> String {
    let mut text = String::from("NAME or NAME1 is level 1, NAME2 level 2; NAME0 is silence.\n\n");
    for (name, _, about) in KINDS.iter().filter(|(_, field, _)| field.is_some()) {
        text.push_str(&format!("{name:<10} {about}\n"));
    }
    text.push_str("\nALL        All of them (ALL2: at level 2)\nNONE       None of them\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_overrides_what_verbosity_set() {
        let mut levels = Levels::at_verbosity(1);
        levels.set("name2,stats0,progress2,,backup").unwrap();
        let expected = Levels { name: 2, stats: 0, progress: 2, ..Levels::at_verbosity(1) };
        assert_eq!(levels, expected);
        levels.set("none,del").unwrap();
        assert_eq!(levels, Levels { delete: 1, ..Levels::default() });
        assert_eq!(levels.set("DEL,nosuch3"), Err(UnknownFlag("nosuch3".to_owned())));
    }

    #[test]
    fn verbosity_adds_up() {
        assert_eq!(Levels::at_verbosity(0), Levels { non_regular: 1, ..Levels::default() });
        let most = Levels { delete: 1, list: 1, name: 2, non_regular: 1, progress: 0, skip: 1, stats: 1 };
        assert_eq!(Levels::at_verbosity(2), most);
        assert_eq!(Levels::at_verbosity(9), most);
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
}
