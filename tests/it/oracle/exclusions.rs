//! What is not drawn together, and why: where rsync is wrong, or dsync does something else on purpose, which the
//! manual's table of differences has.

use crate::oracle::options::{self, Choice};

/// Options that no case has all of beside one of the others, and the reason.
type Exclusion = (&'static [&'static str], &'static [&'static str], &'static str);

/// All of them.
const EXCLUSIONS: &[Exclusion] = &[
    (&["-b", "--delete-excluded"], &["--delete-after"], "rsync deletes the backups that it has just made"),
    (&["-k"], &["-L"], "-L follows all links"),
    (
        &["-k"],
        &["--compare-dest", "--copy-dest", "--link-dest"],
        "rsync follows links below a directory that is compared with",
    ),
    (&["-k"], &["-X"], "rsync gives the directory that a link leads to the attributes of the link"),
    (&["-k"], &["--ignore-existing"], "rsync goes through a link in the place of a directory"),
    (
        &["-K"],
        &["-A", "-X", "--chmod", "--chown", "--usermap", "--groupmap", "--no-super"],
        "rsync sets attributes of the link, not of the directory that it leads to, or fails",
    ),
    (&["-K"], &["--backup-dir"], "rsync takes a kept link for the directory, and fails to set its time"),
    (
        &["--munge-links"],
        &["--stats"],
        "rsync counts the length of the munged link, also where it is not made",
    ),
    (&["--no-implied-dirs"], &["--delete-missing-args"], "rsync takes what is named for vanished"),
    (
        &["--fake-super"],
        &["--append", "--append-verify", "--files-from"],
        "rsync ends: it does not append to what it keeps so, nor find the directories of a list",
    ),
    (&["--fake-super"], &["-J"], "rsync sets times of links that it keeps so"),
    (&["--fake-super"], &["--no-super"], "the later one counts"),
    (
        &["-f-x"],
        &["-R", "--files-from"],
        "rsync does not hold the attributes of directories above what is named against rules of the sender",
    ),
    (&["-f-x"], &["--fake-super"], "rsync may hold the names against rules under which attributes are kept"),
    (
        &["--ignore-errors"],
        &["--max-delete"],
        "of an error and a limit that is reached, each has an exit code",
    ),
    (&["--list-only"], &["-U"], "rsync lists times of last access, too"),
    (&["--list-only"], &["--no-implied-dirs"], "rsync does not list the directories on the way"),
    (
        &["--remove-source-files"],
        &["--copy-devices", "--fake-super"],
        "rsync takes what stands for a device for a file that was changed",
    ),
    (&["--list-only"], &["--munge-links"], "rsync lists the length of the munged link"),
    (&["--list-only"], &["--chmod"], "rsync lists the permissions that entries are to have"),
    (
        &["--remove-source-files"],
        &["-L", "-k", "--copy-unsafe-links"],
        "rsync removes what is behind a link that it follows",
    ),
    (
        &["--remove-source-files"],
        &["--compare-dest", "--copy-dest", "--link-dest"],
        "rsync removes only regular files that are elsewhere",
    ),
    (
        &["--remove-source-files"],
        &["-X"],
        "rsync removes what is no file, and may look for its attributes after that",
    ),
    (&["-x"], &["-xx"], "-xx is both"),
    (&["-x"], &["--remove-source-files"], "the sources could not be written anew for each run"),
    (&["-xx"], &["--remove-source-files"], "the sources could not be written anew for each run"),
    (&["--fake-super", "-A"], &["-X"], "rsync loses the ACLs of what it makes with other attributes"),
];

/// Whether `name` may come to these.
pub(super) fn allow(choices: &[Choice], name: &str) -> bool {
    let has = |one: &&str| *one == name || options::has(choices, one);
    !EXCLUSIONS.iter().any(|(all, any, _)| {
        let is_about = all.contains(&name) || any.contains(&name);
        is_about && all.iter().all(has) && any.iter().any(has)
    })
}

#[test]
fn what_is_kept_apart_is_drawn() {
    for (all, any, _) in EXCLUSIONS {
        for name in all.iter().chain(*any) {
            assert!(options::ALL.iter().any(|(known, _)| known == name), "{name}");
        }
    }
}
