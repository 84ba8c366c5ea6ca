//! What the flags of a two-way run mean, and what cannot be said together with them.

use crate::cli::failure::{FILE_IO, Failure, with_sources};
use crate::cli::flags::Flags;
use crate::request::{DEFAULT_TRASH_DAYS, TwoWay};
use crate::session::{self, TwoWayRun};
use crate::transport::target::Target;
use crate::twoway::guard::MaxDelete;
use crate::twoway::plan::Plan;
use crate::twoway::policy::{Override, Policies, Policy};
use std::io::{self, Read};
use std::path::Path;

/// The largest plan that is read, in bytes.
const MAX_PLAN: u64 = 4 << 30;

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
    if let Some((flag, advice)) = first(&never_two_way(flags)) {
        return Err(Failure::usage(format!("{flag} has no meaning in a two-way run")).with_hint(advice));
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

fn never_two_way(flags: &Flags) -> [(bool, &'static str, &'static str); 15] {
    const DELETIONS: &str = "Leave it out: what was deleted on one side is deleted on the other anyway.";
    const COMPARISON: &str =
        "Leave it out: changes are found by what each side remembers, and contents compared.";
    const STAGING: &str =
        "Leave it out: files are replaced when they are complete, and a broken run goes on where it was.";
    [
        (flags.delete, "--delete", DELETIONS),
        (flags.delete_excluded, "--delete-excluded", DELETIONS),
        (flags.ignore_errors, "--ignore-errors", "Leave it out: what cannot be read is left on both sides."),
        (flags.force, "--force", "Leave it out: what is in the way goes to the trash."),
        (flags.update, "--update (-u)", "--conflict=newer lets the later file win where both changed."),
        (flags.existing, "--existing", "Filter rules say which names take part."),
        (
            flags.ignore_existing,
            "--ignore-existing",
            "--conflict=skip changes no file that changed on both sides.",
        ),
        (flags.checksum, "--checksum (-c)", COMPARISON),
        (flags.ignore_times, "--ignore-times (-I)", COMPARISON),
        (flags.size_only, "--size-only", COMPARISON),
        (flags.inplace, "--inplace", STAGING),
        (flags.partial, "--partial (-P)", STAGING),
        (!flags.recursive, "--no-recursive", "Filter rules say which directories take part."),
        (!flags.times, "--no-times", "Leave it out: times go along with the contents."),
        (flags.numeric_ids && !(flags.owner || flags.group), "--numeric-ids", "It needs --owner or --group."),
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

/// What only the side that plans has to know.
pub(super) fn run(flags: &Flags) -> Result<Option<TwoWayRun>, Failure> {
    if !flags.two_way {
        return Ok(None);
    }
    let apply = flags.apply.as_deref().map(read_plan).transpose()?;
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
        text.parse::<Override>().map_err(|error| {
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

/// Reads a plan that `--plan` wrote.
fn read_plan(path: &Path) -> Result<Plan, Failure> {
    let shown = path.display();
    let unreadable = |error: &io::Error| Failure::new(FILE_IO, format!("Reading the plan {shown}: {error}"));
    let mut text = Vec::new();
    let file = session::open_named(path.as_os_str()).map_err(|error| unreadable(&error))?;
    file.take(MAX_PLAN).read_to_end(&mut text).map_err(|error| unreadable(&error))?;
    let invalid = |error: &dyn std::error::Error| {
        Failure::usage(format!("--apply: {shown} is no plan: {}", with_sources(error)))
            .with_hint("--plan=FILE writes one.")
    };
    let plan: Plan = serde_json::from_slice(&text).map_err(|error| invalid(&error))?;
    plan.validate().map_err(|error| invalid(&error))?;
    Ok(plan)
}
