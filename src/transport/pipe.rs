//! The pipes of a peer that a remote shell started.
//!
//! sshd writes what arrives for a command into a pipe, and reads what the command says from another. A pipe holds 64
//! KiB at first (pipe(7)), so sshd and the command would take turns at that: one that holds more lets both work at
//! once.

use std::os::fd::AsFd;

/// What a pipe is to hold, in bytes: what Linux lets any user have (`/proc/sys/fs/pipe-max-size` where nobody changed
/// it).
const BYTES: usize = 1 << 20;

/// Makes a pipe hold more, if it is one and the system lets this process; else nothing changes.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn widen(pipe: impl AsFd) {
    let holds = rustix::pipe::fcntl_getpipe_size(&pipe);
    if holds.is_ok_and(|holds| holds < BYTES) {
        // Users have a limit for all their pipes together, and then this one stays as it is.
        let _ = rustix::pipe::fcntl_setpipe_size(&pipe, BYTES);
    }
}

/// Makes a pipe hold more where the system can; this one cannot.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn widen(_pipe: impl AsFd) {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_wide_pipe_takes_what_a_narrow_one_would_not() {
        let (_reader, mut writer) = std::io::pipe().unwrap();
        widen(&writer);
        if rustix::pipe::fcntl_getpipe_size(&writer).unwrap() < BYTES {
            return crate::testing::missing("the right to a pipe of 1 MiB");
        }
        // Nobody reads, so this would never end.
        writer.write_all(&vec![0; 512 << 10]).unwrap();
    }

    #[test]
    fn what_is_no_pipe_is_left_alone() {
        let (mut one, _other) = UnixStream::pair().unwrap();
        widen(&one);
        one.write_all(b"x").unwrap();
    }
}
