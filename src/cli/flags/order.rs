//! What depends on where flags stand: implied flags and filter rules.
//!
//! `-a` sets nine switches, each of which may be set or cleared on its own before or after it; the last word wins.
//! The parser removes a flag when its own negation follows, so only flags that imply others are compared by position
//! here.

use crate::cli::flags::Flags;
use crate::cli::flags::negation::negated;
use crate::request::{Append, Super};
use clap::ArgMatches;
use clap::parser::ValueSource;
use std::ffi::OsString;

/// A filter flag with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum FilterFlag {
    /// `--exclude`
    Exclude(OsString),
    /// `--include`
    Include(OsString),
    /// `--exclude-from`
    ExcludeFrom(OsString),
    /// `--include-from`
    IncludeFrom(OsString),
    /// `-f`, `--filter`
    Filter(OsString),
    /// `-F`: the first of them
    DirMerges,
    /// `-F`: any further
    HideDirMerges,
    /// `--old-dirs`: after all others
    OneLayer,
}

impl Flags {
    /// Sets the switches to what the flags and their order say.
    pub(super) fn settle(&mut self, matches: &ArgMatches) {
        let on = |ids: &[&str], off: &[&str]| switch(matches, ids, off) == Some(true);
        // What a two-way run includes wherever it is said.
        let unless = |id: &str| switch(matches, &["archive", id], &[id]).unwrap_or(self.two_way);
        let names_listed = self.view.files_from.is_some();
        self.recursive = match names_listed {
            true => self.recursive,
            false => unless("recursive"),
        };
        self.remote.old_args = switch(matches, &["old_args_given"], &["old_args_given"]);
        let implied = |id: &str| switch(matches, &[id], &[id]).unwrap_or(names_listed);
        self.view.relative = implied("relative");
        self.view.dirs = implied("dirs");
        self.links = unless("links");
        self.perms = switch(matches, &["archive", "perms", "acls"], &["perms"]).unwrap_or(self.two_way);
        self.times = unless("times");
        let chown = |is_about: fn(&str) -> bool| {
            let places = matches.indices_of("chown").into_iter().flatten().zip(&self.chown);
            places.filter(|(_, value)| is_about(value)).map(|(place, _)| place).max()
        };
        self.owner = switch_also(matches, &["archive", "owner", "usermap"], &["owner"], chown(names_user))
            == Some(true);
        self.group = switch_also(matches, &["archive", "group", "groupmap"], &["group"], chown(names_group))
            == Some(true);
        let both = "devices_and_specials";
        self.devices = on(&["archive", both, "devices"], &["devices", both]);
        self.specials = on(&["archive", both, "specials"], &["specials", both]);
        // A two-way run keeps nothing partial: there the letter is for the bar alone.
        let partial: &[&str] = if self.two_way { &["partial"] } else { &["partial", "partial_progress"] };
        self.partial = on(partial, &["partial", "partial_progress"]);
        // As in rsync --no-append takes back either.
        let appends = on(&["append", "append_verify"], &["append", "append_verify"]);
        let how = if self.append_verify { Append::Verified } else { Append::Trusting };
        self.appends = appends.then_some(how);
        self.progress = on(&["progress", "partial_progress"], &["progress", "partial_progress"]);
        self.compressed = on(&["compress", "compress_level", "compress_choice"], &["compress"]);
        // The last of three words wins.
        let faked = position(matches, "fake_super");
        let other = switch(matches, &["super_flag"], &["super_flag"]);
        self.super_user = match other {
            _ if faked > last(matches, "super_flag") => Some(Super::Faked),
            Some(true) => Some(Super::Tried),
            Some(false) => Some(Super::Forgone),
            None => None,
        };
        self.whole = switch(matches, &["whole_file"], &["whole_file"]);
        let old_name = switch(matches, &["all_to_stderr"], &["all_to_stderr"]);
        let is_later = last(matches, "all_to_stderr") > last(matches, "stderr");
        if let Some(all) = old_name.filter(|_| is_later) {
            self.stderr = Some(if all { "all" } else { "errors" }.to_owned());
        }
        self.plain_numbers = position(matches, &negated("human_readable")).is_some();
        let Flags { exclude, include, exclude_from, include_from, filter, .. } = self;
        self.filters = FilterFlag::in_order(matches, [exclude, include, exclude_from, include_from, filter]);
        if self.view.old_dirs {
            // As in rsync, from before there was --dirs: a recursion that ends after one directory.
            self.recursive = true;
            self.filters.push(FilterFlag::OneLayer);
        }
    }
}

impl FilterFlag {
    /// The filter flags of a command line in their order, from what was given for each: excludes, includes, files of
    /// either, and rules; and each `-F`.
    pub(in crate::cli) fn in_order(matches: &ArgMatches, values: [&mut Vec<OsString>; 5]) -> Vec<FilterFlag> {
        let mut filters = FilterFlag::placed(matches, values);
        let given = matches.value_source("dir_filters") == Some(ValueSource::CommandLine);
        let places = matches.indices_of("dir_filters").filter(|_| given).into_iter().flatten();
        let more = std::iter::repeat(FilterFlag::HideDirMerges);
        filters.extend(places.zip(std::iter::once(FilterFlag::DirMerges).chain(more)));
        FilterFlag::sorted(filters)
    }

    /// The same with the place of each.
    fn placed(
        matches: &ArgMatches,
        [exclude, include, exclude_from, include_from, filter]: [&mut Vec<OsString>; 5],
    ) -> Vec<(usize, FilterFlag)> {
        let mut found: Vec<(usize, FilterFlag)> = Vec::new();
        let mut collect = |id: &str, values: &mut Vec<OsString>, make: fn(OsString) -> FilterFlag| {
            let places = matches.indices_of(id).into_iter().flatten();
            found.extend(places.zip(values.drain(..)).map(|(place, value)| (place, make(value))));
        };
        collect("exclude", exclude, FilterFlag::Exclude);
        collect("include", include, FilterFlag::Include);
        collect("exclude_from", exclude_from, FilterFlag::ExcludeFrom);
        collect("include_from", include_from, FilterFlag::IncludeFrom);
        collect("filter", filter, FilterFlag::Filter);
        found
    }

    fn sorted(mut placed: Vec<(usize, FilterFlag)>) -> Vec<FilterFlag> {
        placed.sort_by_key(|(place, _)| *place);
        placed.into_iter().map(|(_, flag)| flag).collect()
    }
}

/// Whether a value of `--chown` names a user.
fn names_user(value: &str) -> bool {
    !value.is_empty() && !value.starts_with(':')
}

/// Whether it names a group.
fn names_group(value: &str) -> bool {
    value.split_once(':').is_some_and(|(_, group)| !group.is_empty())
}

/// Whether the last of the flags `on` and the negations of `off` is one of the former. `None` if none was given.
fn switch(matches: &ArgMatches, on: &[&str], off: &[&str]) -> Option<bool> {
    switch_also(matches, on, off, None)
}

/// The same, where something else at the place `also` switches it on.
fn switch_also(matches: &ArgMatches, on: &[&str], off: &[&str], also: Option<usize>) -> Option<bool> {
    let on = on.iter().filter_map(|id| position(matches, id)).chain(also).max();
    let off = off.iter().filter_map(|id| position(matches, &negated(id))).max();
    (on.is_some() || off.is_some()).then_some(on > off)
}

/// Where a flag or its negation was given last.
fn last(matches: &ArgMatches, id: &str) -> Option<usize> {
    position(matches, id).max(position(matches, &negated(id)))
}

/// Where a flag was given last.
fn position(matches: &ArgMatches, id: &str) -> Option<usize> {
    let given = matches.value_source(id) == Some(ValueSource::CommandLine);
    given.then(|| matches.indices_of(id)?.next_back()).flatten()
}
