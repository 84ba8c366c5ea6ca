//! What the machine could do at best: plain commands that move the same bytes, or look at the same files, and decide
//! nothing.
//!
//! ssh runs with the fastest cipher here, so that the limit is the machine's and not a cipher's.

use std::process::Command;

use crate::cases::{Limit, Mode};
use crate::tool::Job;

/// $1: source, $2: destination, $3: client configuration, $4: host.
const FAST_SSH: &str = r#"ssh -F "$3" -c aes128-gcm@openssh.com "$4""#;

/// The command that does the limit of a case, and what the table calls it; none if nothing is comparable.
pub(crate) fn command(limit: Limit, job: Job<'_>) -> Option<(Command, &'static str)> {
    let (script, name) = match (limit, job.mode) {
        (Limit::None, _) => return None,
        (Limit::Stat, _) => (r#"find "$1" "$2" -printf "%s %T@ %m %U %G\n""#.to_owned(), "find"),
        (Limit::Stream | Limit::Archive, Mode::Local) => (r#"cp -a "$1/." "$2""#.to_owned(), "cp -a"),
        (Limit::Stream, Mode::Push) => (format!(r#"cat "$1"/file | {FAST_SSH} "cat > $2/file""#), "cat, ssh"),
        (Limit::Stream, Mode::Pull) => (format!(r#"{FAST_SSH} "cat $1/file" > "$2"/file"#), "cat, ssh"),
        (Limit::Archive, Mode::Push) => {
            (format!(r#"tar -C "$1" -cf - . | {FAST_SSH} "tar -C $2 -xf -""#), "tar, ssh")
        }
        (Limit::Archive, Mode::Pull) => {
            (format!(r#"{FAST_SSH} "tar -C $1 -cf - ." | tar -C "$2" -xf -"#), "tar, ssh")
        }
    };
    let mut command = Command::new("sh");
    command
        .args(["-c", &script, "limit"])
        .arg(job.source)
        .arg(job.destination)
        .arg(job.ssh_config)
        .arg(job.host);
    Some((command, name))
}
