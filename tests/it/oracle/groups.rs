//! What options are about, so that the cases are known to bring together what goes together.
//!
//! An option that works by itself may fail beside another one. All sets of options are too many, but most such faults
//! need two only (Kuhn, Wallace, Gallo: Software fault interactions and implications for software testing, 2004). So of
//! every two groups some case must have an option each.

/// A group's name, and its options.
pub(super) type Group = (&'static str, &'static [&'static str]);

/// Every option that is drawn is in one of these.
pub(super) const GROUPS: &[Group] = &[
    ("kinds", &["-a", "-l", "-D", "--devices", "--specials", "--no-devices", "--copy-devices"]),
    (
        "naming",
        &[
            "-r",
            "-d",
            "-R",
            "--no-implied-dirs",
            "--files-from",
            "-0",
            "--ignore-missing-args",
            "--delete-missing-args",
            "--mkpath",
            "-x",
            "-xx",
        ],
    ),
    ("permissions", &["-p", "-E", "--chmod"]),
    ("extended attributes", &["-A", "-X", "-f-x"]),
    ("owners", &["-o", "-g", "--chown", "--usermap", "--groupmap", "--no-super", "--fake-super"]),
    ("times", &["-t", "-U", "-O", "-J", "-@"]),
    ("links", &["-L", "-k", "-K", "--copy-unsafe-links", "--safe-links", "--munge-links"]),
    ("hard links", &["-H"]),
    ("comparison", &["-c", "-u", "-I", "--size-only"]),
    ("selection", &["--existing", "--ignore-existing", "--max-size", "--min-size"]),
    ("rules", &["--exclude", "--include", "--exclude-from", "--include-from", "-f"]),
    ("files of rules", &["-F", "dir-merge", "-C", "-m"]),
    (
        "deletion",
        &[
            "--delete",
            "--delete-excluded",
            "--delete-after",
            "--max-delete",
            "--force",
            "--ignore-errors",
            "--remove-source-files",
        ],
    ),
    ("in place", &["--inplace"]),
    ("growth", &["--append", "--append-verify"]),
    ("delta", &["--no-whole-file", "-B", "-W", "-z"]),
    ("backups", &["-b", "--suffix", "--backup-dir"]),
    ("bases", &["--compare-dest", "--copy-dest", "--link-dest"]),
    ("dry run", &["-n", "--list-only"]),
    ("output", &["-v", "-vv", "-q", "-i", "--out-format", "--info", "-8", "-h", "--no-h", "--stats", "-P"]),
];

/// Groups that no case has together, and why.
pub(super) const APART: &[(&str, &str, &str)] = &[
    ("hard links", "backups", "rsync clears the place of a name of several in another way"),
    ("hard links", "bases", "which names of a file are elsewhere, each program finds out in its own order"),
    ("hard links", "growth", "of several names of a file, the first in rsync's order decides"),
    (
        "growth",
        "bases",
        "where another directory has a longer file, rsync leaves it out, or fills it up with zeros",
    ),
    ("growth", "backups", "rsync's copies that are backups have no more attributes than are preserved"),
    ("backups", "bases", "rsync makes no backup of what is elsewhere as at the source"),
    ("backups", "in place", "rsync does not find its way to a directory above when it writes in place"),
];

/// The number of an option's group.
pub(super) fn of(option: &str) -> Option<usize> {
    GROUPS.iter().position(|(_, options)| options.contains(&option))
}

/// All pairs of groups that there must be, by number, the smaller first.
pub(super) fn pairs() -> impl Iterator<Item = (usize, usize)> {
    let all = (0..GROUPS.len()).flat_map(|one| (one + 1..GROUPS.len()).map(move |other| (one, other)));
    all.filter(|(one, other)| {
        let names = [GROUPS[*one].0, GROUPS[*other].0];
        !APART.iter().any(|(one, other, _)| names == [*one, *other] || names == [*other, *one])
    })
}
