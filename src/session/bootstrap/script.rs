//! What is said to the shell of the other host, and what it answers.
//!
//! The scripts keep to what every POSIX shell has, and to the characters that every login shell leaves alone between
//! single quotes (see [`RemoteCommand::script`](crate::transport::command::RemoteCommand::script)): that is why they
//! are one line, and why `case` stands where a negation would be shorter. Nothing of them is made of names that a user
//! chose.

use crate::session::bootstrap::executable::Executable;

/// What the first script says where there is no dsync, before the system's name and its machine.
const ABSENT: &str = "dsync absent: ";

/// What the second one says when all is done.
const READY: &str = "dsync ready";

/// What it says where that cannot be, before a word that tells what went wrong and the words of the system.
const CANNOT: &str = "dsync cannot: ";

/// The longest answer that is read, in bytes.
pub(super) const LONGEST: u64 = 4096;

/// After how many days without use a version is removed.
const DAYS: u32 = 30;

/// Sets `c` to the directory of all versions, or to nothing where there is no place for one, and `d` to that of this
/// one. A path that is not absolute would be another place in each directory.
fn places(executable: &Executable) -> String {
    let name = &executable.name;
    format!(
        "c=; case ${{XDG_CACHE_HOME-}} in /*) c=$XDG_CACHE_HOME/dsync;; \
         *) case ${{HOME-}} in /*) c=$HOME/.cache/dsync;; esac;; esac; d=$c/{name}; "
    )
}

/// Sets `o` to nothing if `c` is a directory, no link to one, to which nobody else may write, and nobody else can put
/// another in its place: what it is in belongs to the user or to root, and others may write to it only if they may
/// rename nothing there (the sticky bit). Else to what is not so.
const OWN: &str = "o=$c; case $(ls -ld \"$c\" 2>/dev/null) in d????-??-*) if [ -O \"$c\" ]; then o=${c%/*}; \
    set -- $(ls -ldn \"$c\"/.. 2>/dev/null); case ${1-} in d????-??-*|d????????[tT]*) \
    if [ -O \"$c\"/.. ] || [ x${3-} = x0 ]; then o=; fi;; esac; fi;; esac; ";

/// The SHA-256 sum of a file, and what more a program for sums says; nothing where there is none.
const SUMS: &str = "sums() { { sha256sum <\"$1\" || shasum -a 256 <\"$1\" || openssl dgst -sha256 -r <\"$1\"; } \
    2>/dev/null; }; ";

/// Whether a file has a sum. Where there is no program for sums, its own word is taken.
const WHOLE: &str = "whole() { s=$(sums \"$1\"); s=${s%% *}; \
    case $s in \"\") s=$(\"$1\" --executable-sum 2>/dev/null </dev/null);; esac; \
    [ -n \"$2\" ] && [ \"$s\" = \"$2\" ]; }; ";

/// Becomes a peer: the dsync of the search path, else the one that was put there, else says that there is none.
///
/// The latter is that only while it has the size and the sum that it had when it was put there; the sum was written
/// beside it then, since to have its own costs who asks more than all else, and most hosts have the former.
pub(super) fn any(executable: &Executable) -> String {
    let size = executable.size;
    let is_there = format!(
        "[ -x \"$d\"/dsync ] && [ $(wc -c <\"$d\"/dsync) -eq {size} ] && \
         {{ k=; [ -r \"$d\"/dsync.sum ] && read -r k <\"$d\"/dsync.sum; whole \"$d\"/dsync \"$k\"; }}"
    );
    format!(
        "if command -v dsync >/dev/null 2>&1; then exec dsync --server; fi; {}",
        cached(executable, &is_there)
    )
}

/// Becomes the peer that was put there, if it has this sum; else says that there is none.
pub(super) fn own(executable: &Executable, sum: &str) -> String {
    cached(executable, &format!("[ -x \"$d\"/dsync ] && whole \"$d\"/dsync {sum}"))
}

/// Using a version makes its directory new.
fn cached(executable: &Executable, is_there: &str) -> String {
    let places = places(executable);
    format!(
        "{places}{OWN}{SUMS}{WHOLE}if [ -z \"$o\" ] && {is_there}; then \
         touch -c \"$d\" 2>/dev/null; \
         exec \"$d\"/dsync --server; fi; \
         echo \"{ABSENT}$(uname -s) $(uname -m)\""
    )
}

/// Takes the executable from standard input and puts it there.
///
/// It gets its name once it is known to be whole and to run; until then it has one of its own, so that others who do
/// the same meanwhile, also on another host with the same home, are no harm, and nobody runs the half of it. Where
/// there is no program for sums, the executable's own word is taken. What was not used for long goes, if it looks like
/// a version.
pub(super) fn put(executable: &Executable, sum: &str) -> String {
    let (places, size) = (places(executable), executable.size);
    format!(
        "LC_ALL=C; export LC_ALL; umask 077; t=; clean() {{ case $t in ?*) rm -f \"$t\";; esac; }}; \
         trap clean 0; trap \"exit 1\" 1 2 13 15; \
         cannot() {{ echo \"{CANNOT}$*\"; exit 1; }}; \
         {places}case $c in \"\") cannot home;; esac; \
         e=$(mkdir -p \"$c\" 2>&1) || cannot place $e; \
         {OWN}case $o in ?*) cannot others $o;; esac; \
         e=$(mkdir -p \"$d\" 2>&1) || cannot place $e; \
         t=$d/dsync.$(uname -n).$$.tmp; \
         e=$({{ cat >\"$t\"; }} 2>&1) || cannot write $e; \
         [ $(wc -c <\"$t\") -eq {size} ] || cannot short; \
         {SUMS}s=$(sums \"$t\"); \
         case $s in {sum}*|\"\") ;; *) cannot damaged;; esac; \
         e=$(chmod 700 \"$t\" 2>&1) || cannot write $e; \
         r=$(\"$t\" --executable-sum 2>&1 </dev/null); x=$?; \
         case $x:$r in 0:{sum}) ;; 126:*ermission*) cannot noexec $c;; *) cannot run exit code $x, $r;; esac; \
         e=$({{ echo {sum} >\"$d\"/dsync.sum; }} 2>&1) || cannot write $e; \
         e=$(mv -f \"$t\" \"$d\"/dsync 2>&1) || cannot write $e; t=; \
         for v in \"$c\"/[0-9]*-????????????????; do if [ -f \"$v\"/dsync ]; then case $v in \"$d\") ;; \
         *) case $(find \"$v\" -prune -type d -mtime +{DAYS}) in ?*) \
         rm -f \"$v\"/dsync \"$v\"/dsync.sum; find \"$v\" -name \"dsync.*.tmp\" -exec rm -f {{}} +; \
         rmdir \"$v\";; esac;; esac; fi; done 2>/dev/null; \
         find \"$d\" -name \"dsync.*.tmp\" -mtime +0 -exec rm -f {{}} + 2>/dev/null; \
         echo \"{READY}\""
    )
}

/// What a host says that has no dsync: its system and machine, as uname(1) tells them.
pub(super) fn absent(said: &str) -> Option<&str> {
    said.strip_prefix(ABSENT).map(str::trim_end)
}

/// The same where something else was said before it, which that is then.
pub(super) fn before_absent(said: &str) -> Option<&str> {
    said.rsplit_once(&format!("\n{ABSENT}")).map(|(before, _)| before)
}

/// What came of putting it there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer<'a> {
    /// It is there.
    Ready,
    /// It is not: what went wrong, in a word, and what more there is to say.
    Cannot(&'a str, &'a str),
    /// None at all.
    Silence,
}

/// Reads what the script said.
pub(super) fn answer(said: &str) -> Answer<'_> {
    let answer = said.lines().find_map(|line| match line.strip_prefix(CANNOT) {
        Some(cannot) => {
            let (word, more) = cannot.trim_end().split_once(' ').unwrap_or((cannot.trim_end(), ""));
            Some(Answer::Cannot(word, more))
        }
        None => (line.trim_end() == READY).then_some(Answer::Ready),
    });
    answer.unwrap_or(Answer::Silence)
}

#[cfg(test)]
mod tests;
