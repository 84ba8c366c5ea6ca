//! What the flags of a two-way run mean, and what cannot be said together with them.

use crate::cli::failure::{Failure, with_sources};
use crate::cli::flags::Flags;
use crate::cli::output::plan::{Names, Shown};
use crate::cli::output::{Levels, TwoWayStyle};
use crate::cli::plan_file;
use crate::cli::resolve::{content, view};
use crate::request::{DEFAULT_TRASH_DAYS, StrongKind, Super, TwoWay};
use crate::session::TwoWayRun;
use crate::transport::target::{RemoteTarget, Target};
use crate::twoway::guard::MaxDelete;
use crate::twoway::policy::{Override, Policies, Policy};
use std::os::unix::ffi::OsStrExt;

/// Refuses flags that make no sense in a two-way run, or in any other, with advice what to do instead.
pub(super) fn check(flags: &Flags, sources: &[Target]) -> Result<(), Failure> {
    if !flags.two_way {
        return match first(&only_two_way(flags)) {
            Some((flag, ())) => Err(Failure::usage(format!("{flag} is about two-way runs"))
                .with_hint("Add --two-way (-2) to bring both directories up to date with each other.")),
            None => Ok(()),
        };
    }
    if sources.len() != 1 {
        return Err(Failure::usage("a two-way run is between two directories, and there are more arguments")
            .with_hint("Run dsync once for each pair."));
    }
    let never = first(&view::never_two_way(flags)).or_else(|| first(&never_two_way(flags)));
    if let Some((flag, advice)) = never {
        return Err(Failure::usage(format!("{flag} has no meaning in a two-way run")).with_hint(advice));
    }
    if content::sums(flags)?.0 == StrongKind::None {
        return Err(
            Failure::usage("--checksum-choice=none has no meaning in a two-way run").with_hint(COMPARED)
        );
    }
    for (flag, file) in [("--plan", &flags.plan), ("--apply", &flags.apply)] {
        if file.as_ref().is_some_and(|file| file.as_os_str() == "-") {
            return Err(Failure::usage(format!("{flag}=-: a plan is kept in a file"))
                .with_hint("Name the file; ./- is one of that name."));
        }
    }
    if flags.apply.is_some() {
        if flags.plan.is_some() {
            return Err(Failure::usage("--plan and --apply cannot be meant together")
                .with_hint("The plan that is carried out is in a file already."));
        }
        if flags.conflict.is_some() || !flags.conflict_for.is_empty() {
            return Err(Failure::usage("--apply carries out a plan whose conflicts are decided already")
                .with_hint(
                    "Say --conflict and --conflict-for together with --plan, when the plan is made.",
                ));
        }
    }
    Ok(())
}

/// The first flag of a table that was given.
fn first<T: Copy>(table: &[(bool, &'static str, T)]) -> Option<(&'static str, T)> {
    table.iter().find(|(given, _, _)| *given).map(|(_, flag, advice)| (*flag, *advice))
}

fn only_two_way(flags: &Flags) -> [(bool, &'static str, ()); 7] {
    [
        (flags.conflict.is_some(), "--conflict", ()),
        (!flags.conflict_for.is_empty(), "--conflict-for", ()),
        (flags.allow_mass_delete, "--allow-mass-delete", ()),
        (flags.no_trash, "--no-trash", ()),
        (flags.trash_days.is_some(), "--trash-days", ()),
        (flags.plan.is_some(), "--plan", ()),
        (flags.apply.is_some(), "--apply", ()),
    ]
}

const COMPARED: &str = "Leave it out: changes are found by what each side remembers, and contents compared.";

fn never_two_way(flags: &Flags) -> [(bool, &'static str, &'static str); 49] {
    const DELETIONS: &str = "Leave it out: what was deleted on one side is deleted on the other anyway.";
    const SELECTION: &str = "Filter rules say which names take part.";
    const TIMES: &str = "Leave it out: times go along with the contents.";
    const SAME: &str = "Leave it out: what one side has is to be as it is on the other.";
    const BACKUPS: &str = "Leave it out: what is replaced or deleted is kept in .dsync/trash.";
    const PARTIAL: &str =
        "Leave it out: the old file stays until the new one is whole; what is interrupted is sent again.";
    const BASES: &str = "Leave it out: what both sides have is not sent anyway.";
    [
        (!flags.compare_dest.is_empty(), "--compare-dest", BASES),
        (!flags.copy_dest.is_empty(), "--copy-dest", BASES),
        (!flags.link_dest.is_empty(), "--link-dest", BASES),
        (flags.backup, "--backup (-b)", BACKUPS),
        (flags.backup_dir.is_some(), "--backup-dir", BACKUPS),
        (flags.delete, "--delete", DELETIONS),
        (flags.delete_before, "--delete-before", DELETIONS),
        (flags.delete_during, "--delete-during", DELETIONS),
        (flags.delete_delay, "--delete-delay", DELETIONS),
        (flags.delete_after, "--delete-after", DELETIONS),
        (flags.delete_from_empty, "--delete-from-empty", DELETIONS),
        (flags.delete_excluded, "--delete-excluded", DELETIONS),
        (flags.ignore_errors, "--ignore-errors", "Leave it out: what cannot be read is left on both sides."),
        (flags.remove_source_files, "--remove-source-files", SAME),
        (flags.force, "--force", "Leave it out: what is in the way goes to the trash."),
        (flags.update, "--update (-u)", "--conflict=newer lets the later file win where both changed."),
        (flags.existing, "--existing", SELECTION),
        (flags.prune_empty_dirs, "--prune-empty-dirs (-m)", SELECTION),
        (flags.modify_window.is_some(), "--modify-window (-@)", COMPARED),
        (flags.max_size.is_some(), "--max-size", SELECTION),
        (flags.min_size.is_some(), "--min-size", SELECTION),
        (flags.omit_dir_times, "--omit-dir-times (-O)", TIMES),
        (flags.omit_link_times, "--omit-link-times (-J)", TIMES),
        (!flags.chmod.is_empty(), "--chmod", SAME),
        (!flags.chown.is_empty(), "--chown", SAME),
        (!flags.usermap.is_empty(), "--usermap", SAME),
        (!flags.groupmap.is_empty(), "--groupmap", SAME),
        (
            flags.ignore_existing,
            "--ignore-existing",
            "--conflict=skip changes no file that changed on both sides.",
        ),
        (flags.checksum, "--checksum (-c)", COMPARED),
        (flags.ignore_times, "--ignore-times (-I)", COMPARED),
        (flags.size_only, "--size-only", COMPARED),
        (
            flags.inplace,
            "--inplace",
            "Leave it out: files are replaced when they are complete, never before.",
        ),
        (flags.partial, "--partial", PARTIAL),
        (flags.partial_dir.is_some(), "--partial-dir", PARTIAL),
        (flags.delay_updates, "--delay-updates", "Leave it out: files are replaced when they are complete."),
        (flags.appends.is_some(), "--append", "Leave it out: what was appended is found by comparing."),
        (
            flags.fuzzy > 0,
            "--fuzzy (-y)",
            "Leave it out: what was renamed is found by what each side remembers.",
        ),
        (
            flags.detect_renames,
            "--detect-renames",
            "Leave it out: what was renamed is found by what each side remembers.",
        ),
        (flags.temp_dir.is_some(), "--temp-dir (-T)", "Leave it out: each side stages in its .dsync/."),
        (!flags.recursive, "--no-recursive", "Filter rules say which directories take part."),
        (!flags.times, "--no-times", TIMES),
        (flags.atimes > 0, "--atimes (-U)", "Leave it out: a time of access is no change."),
        (flags.reflink.is_some(), "--reflink", "Leave it out: copies share blocks where they can."),
        (flags.copy_devices, "--copy-devices", "Leave it out: devices are made on both sides, not read."),
        (flags.drop_devices, "--drop-D", "Leave it out: without -D, neither side makes any."),
        (
            flags.write_devices,
            "--write-devices",
            "Leave it out: devices are made on both sides, not written to.",
        ),
        (
            flags.super_user == Some(Super::Faked),
            "--fake-super",
            "Leave it out: each side has the attributes that its user may set.",
        ),
        (flags.super_user.is_some(), "--super", "Leave it out: who is root does what only root may."),
        (
            flags.numeric_ids && !(flags.owner || flags.group || flags.acls),
            "--numeric-ids",
            "It needs --owner, --group or --acls.",
        ),
    ]
}

/// What both replicas have to know.
pub(super) fn options(flags: &Flags) -> Option<TwoWay> {
    flags.two_way.then(|| TwoWay {
        allow_mass_delete: flags.allow_mass_delete,
        keep_trash: !flags.no_trash,
        trash_days: flags.trash_days.unwrap_or(DEFAULT_TRASH_DAYS),
    })
}

/// An operand as the root of a replica: a slash at its end means nothing.
pub(super) fn root(target: Target) -> Target {
    let trimmed = |path: Vec<u8>| match path.iter().rposition(|byte| *byte != b'/') {
        Some(last) => path.into_iter().take(last.saturating_add(1)).collect(),
        // Nothing, or slashes alone, which are the root of the system.
        None => path.into_iter().take(1).collect(),
    };
    match target {
        Target::Local(path) => Target::Local(trimmed(path)),
        Target::SameHost(path) => Target::SameHost(trimmed(path)),
        Target::Remote(RemoteTarget { host, path }) => {
            Target::Remote(RemoteTarget { host, path: trimmed(path) })
        }
    }
}

/// How the run is shown.
pub(super) fn style(flags: &Flags, levels: &Levels) -> Option<TwoWayStyle> {
    let [left, right] = flags.operands.as_slice() else { return None };
    let shown = match (flags.quiet, levels.name.max(flags.itemize_changes)) {
        (true, _) => Shown::No,
        (false, 2..) => Shown::All,
        (false, 1) => Shown::Short,
        (false, 0) if flags.dry_run => Shown::Short,
        (false, 0) => Shown::No,
    };
    let names = Names::new(left.as_bytes(), right.as_bytes());
    let says_in_sync = flags.dry_run || levels.name > 0;
    let asks = flags.conflict.as_deref() == Some("ask");
    let words = flags.words.clone();
    flags.two_way.then_some(TwoWayStyle { names, shown, says_in_sync, asks, words })
}

/// What only the side that plans has to know.
pub(super) fn run(flags: &Flags) -> Result<Option<TwoWayRun>, Failure> {
    if !flags.two_way {
        return Ok(None);
    }
    let apply = flags.apply.as_deref().map(plan_file::read).transpose()?;
    Ok(Some(TwoWayRun { policies: policies(flags)?, max_delete: max_delete(flags)?, apply }))
}

fn policies(flags: &Flags) -> Result<Policies, Failure> {
    const POLICIES: &str = "The policies are skip, keep-both, newer, older, larger, smaller, local, remote, ask and \
                            merge=COMMAND.";
    let general = flags.conflict.as_deref().map(str::parse::<Policy>).transpose();
    let general = general
        .map_err(|error| Failure::usage(format!("--conflict: {error}")).with_hint(POLICIES))?
        .unwrap_or_default();
    let overrides = flags.conflict_for.iter().map(|text| {
        Override::parse(text.as_bytes()).map_err(|error| {
            Failure::usage(format!("--conflict-for: {}", with_sources(&error)))
                .with_hint(format!("As in --conflict-for='*.txt=newer'. {POLICIES}"))
        })
    });
    Ok(Policies { overrides: overrides.collect::<Result<_, _>>()?, general })
}

fn max_delete(flags: &Flags) -> Result<MaxDelete, Failure> {
    let limit = flags.max_delete.as_deref().map(str::parse::<MaxDelete>).transpose();
    let limit = limit.map_err(|error| Failure::usage(format!("--max-delete: {error}")))?;
    Ok(if flags.allow_mass_delete { MaxDelete::Any } else { limit.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use crate::cli::flags::Flags;
    use crate::cli::output::plan::Shown;
    use crate::cli::resolve::tests::{refusal, remote, resolved};
    use crate::request::{Detail, Options, TwoWay};
    use crate::session::TwoWayRun;
    use crate::transport::target::Target;
    use crate::tree::RelPath;
    use crate::twoway::decide::Side;
    use crate::twoway::guard::MaxDelete;
    use crate::twoway::policy::Policy;
    use std::ffi::OsString;

    fn two_way(line: &str) -> (Options, TwoWayRun) {
        let (run, _) =
            resolved(&format!("-2 {line} a b")).unwrap_or_else(|failure| panic!("{line}: {failure}"));
        (run.options, run.two_way.unwrap())
    }

    #[test]
    fn contents_links_permissions_and_times_are_included() {
        let letters = |line: &str| {
            let options = two_way(line).0;
            let switches = [
                ('r', options.recursive),
                ('l', options.links),
                ('p', options.perms),
                ('t', options.times),
                ('o', options.owner),
                ('g', options.group),
                ('d', options.devices),
                ('s', options.specials),
                ('E', options.executability),
                ('A', options.acls),
                ('X', options.xattrs > 0),
                ('H', options.hard_links),
            ];
            switches.iter().filter(|(_, on)| *on).map(|(letter, _)| letter).collect::<String>()
        };
        for (line, expected) in [
            ("", "rlpt"),
            ("-r", "rlpt"),
            ("--no-perms", "rlt"),
            ("--no-links --no-perms", "rt"),
            ("--no-p -a", "rlptogds"),
            ("-a --no-perms", "rltogds"),
            ("-og", "rlptog"),
            ("-D", "rlptds"),
            ("-EAXH", "rlptEAXH"),
            ("-E --no-perms", "rltE"),
        ] {
            assert_eq!(letters(line), expected, "{line}");
        }
    }

    #[test]
    fn policies_come_in_their_order() {
        let policies =
            two_way("--conflict-for=*.txt=ask --conflict=newer --conflict-for=/a.*=remote").1.policies;
        let of = |path: &str| policies.of(&RelPath::new(path.as_bytes()).unwrap()).clone();
        assert_eq!(
            [of("a.txt"), of("a.c"), of("b.c")],
            [Policy::Ask, Policy::Prefer(Side::Right), Policy::Newer]
        );
        assert_eq!(two_way("").1.policies.general, Policy::Skip);
        assert_eq!(
            two_way("--conflict=newer --conflict=local").1.policies.general,
            Policy::Prefer(Side::Left)
        );
    }

    #[test]
    fn limits_and_trash() {
        for (line, limit) in [
            ("", MaxDelete::Half),
            ("--max-delete=7", MaxDelete::Count(7)),
            ("--max-delete=7%", MaxDelete::Percent(7)),
            ("--max-delete=7 --allow-mass-delete", MaxDelete::Any),
        ] {
            assert_eq!(two_way(line).1.max_delete, limit, "{line}");
        }
        assert_eq!(two_way("").0.two_way, Some(TwoWay::default()));
        let changed = TwoWay { allow_mass_delete: true, keep_trash: false, trash_days: 3 };
        assert_eq!(two_way("--allow-mass-delete --no-trash --trash-days=3").0.two_way, Some(changed));
        assert_eq!(resolved("-a a b").unwrap().0.options.two_way, None);
    }

    #[test]
    fn a_slash_at_the_end_means_nothing() {
        for (line, first, second) in [
            ("-2 a b", Target::Local(b"a".to_vec()), Target::Local(b"b".to_vec())),
            ("-2 a/ h:b//", Target::Local(b"a".to_vec()), remote("h", "b")),
            ("-2 h: /", remote("h", ""), Target::Local(b"/".to_vec())),
            ("-2 h:/ .", remote("h", "/"), Target::Local(b".".to_vec())),
        ] {
            let (run, _) = resolved(line).unwrap();
            assert_eq!((&run.sources[..], &run.destination), (&[first][..], &second), "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_advice() {
        for (line, message) in [
            (
                "-2 a b c",
                "dsync: a two-way run is between two directories, and there are more arguments\n  hint: ",
            ),
            ("-2 x:a y:b", "dsync: one of the two directories of a two-way run has to be here\n  hint: "),
            ("-2 --delete a b", "dsync: --delete has no meaning in a two-way run\n  hint: Leave it out: "),
            ("-2 --delete-excluded a b", "dsync: --delete-excluded has no meaning"),
            ("-2 --ignore-errors a b", "dsync: --ignore-errors has no meaning"),
            ("-2 --force a b", "dsync: --force has no meaning"),
            ("-2u a b", "dsync: --update (-u) has no meaning in a two-way run\n  hint: --conflict=newer"),
            ("-2 --existing a b", "dsync: --existing has no meaning"),
            ("-2 --ignore-existing a b", "dsync: --ignore-existing has no meaning"),
            ("-2c a b", "dsync: --checksum (-c) has no meaning"),
            ("-2I a b", "dsync: --ignore-times (-I) has no meaning"),
            ("-2 --size-only a b", "dsync: --size-only has no meaning"),
            ("-2 --inplace a b", "dsync: --inplace has no meaning"),
            (
                "-2 --partial a b",
                "dsync: --partial has no meaning in a two-way run\n  hint: Leave it out: the old",
            ),
            ("-2P --partial-dir=x a b", "dsync: --partial-dir has no meaning in a two-way run\n"),
            ("-2 --files-from=x a b", "dsync: --files-from has no meaning in a two-way run\n"),
            ("-2 --plan=- a b", "dsync: --plan=-: a plan is kept in a file\n  hint: Name the file; ./- is"),
            ("-2 --apply=- a b", "dsync: --apply=-: a plan is kept in a file\n"),
            ("-2m a b", "dsync: --prune-empty-dirs (-m) has no meaning"),
            ("-2 --no-r a b", "dsync: --no-recursive has no meaning"),
            ("-2 --no-times a b", "dsync: --no-times has no meaning"),
            ("-2 --max-delete=-1 a b", "dsync: --max-delete: \"-1\" is neither a number nor a percentage"),
            (
                "-2 --conflict=newest a b",
                "dsync: --conflict: \"newest\" is no conflict policy\n  hint: The policies",
            ),
            (
                "-2 --conflict-for=newer a b",
                "dsync: --conflict-for: \"newer\" is not of the form PATTERN=POLICY\n",
            ),
            ("-2 --plan=x --apply=y a b", "dsync: --plan and --apply cannot be meant together\n"),
            (
                "-2 --apply=x --conflict=ask a b",
                "dsync: --apply carries out a plan whose conflicts are decided",
            ),
            (
                "-a --conflict=newer a b",
                "dsync: --conflict is about two-way runs\n  hint: Add --two-way (-2)",
            ),
            ("-a --apply=x a b", "dsync: --apply is about two-way runs\n"),
            ("-a --no-trash a b", "dsync: --no-trash is about two-way runs\n"),
            ("-a --delete --max-delete=101% a b", "dsync: --max-delete=101%: more than 100 of a hundred"),
            (
                "-a --delete --max-delete=x% a b",
                "dsync: --max-delete: \"x%\" is neither a number nor a percentage",
            ),
            ("-2 --old-dirs a b", "dsync: --dirs (-d) has no meaning in a two-way run\n"),
            ("-a --del --delete-delay --delete-after a b", "dsync: two options say when to delete"),
            ("-a --del --delete-after a b", "dsync: two options say when to delete\n  hint: Give one of"),
            (
                "-a --delete --max-delete=x a b",
                "dsync: --max-delete: \"x\" is neither a number nor a percentage",
            ),
        ] {
            let refusal = refusal(line);
            assert!(refusal.starts_with(message), "{line}: {refusal}");
        }
    }

    #[test]
    fn in_a_two_way_run_the_letter_is_for_the_bar() {
        let flags = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let flags = Flags::parse(&words).unwrap();
            (flags.partial, flags.progress)
        };
        assert_eq!(flags("-2aP a b"), (false, true));
        assert_eq!(flags("-2aP --no-progress a b"), (false, false));
        assert_eq!(flags("-2P --partial a b"), (true, true));
        assert_eq!(flags("-aP a b"), (true, true));
        assert!(!two_way("-aP").0.partial);
    }

    #[test]
    fn the_plan_takes_the_place_of_names() {
        for (line, expected) in [
            ("-2", Shown::No),
            ("-2n", Shown::Short),
            ("-2v", Shown::Short),
            ("-2i", Shown::Short),
            ("-2vv", Shown::All),
            ("-2nvv", Shown::All),
            ("-2nq", Shown::No),
        ] {
            let (run, style) = resolved(&format!("{line} a b")).unwrap();
            assert_eq!(style.two_way.unwrap().shown, expected, "{line}");
            assert_eq!(run.options.detail, Detail::default(), "{line}");
        }
        assert_eq!(resolved("-av a b").unwrap().1.two_way, None);
        let words = ["-2n".into(), "--exclude=x".into(), "a".into(), "b".into()];
        assert_eq!(Flags::parse(&words).unwrap().words, ["-2", "--exclude=x", "a", "b"]);
    }
}
