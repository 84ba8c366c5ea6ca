//! How further processes of a peer join the one that runs, each with a channel of its own.
//!
//! The server of a connection runs each channel's command by itself, so further channels end in further processes.
//! Those need no more than to hand over the two ends of their channel: the descriptors cross a Unix socket
//! (`SCM_RIGHTS`, unix(7)), and from then on the first process reads and writes them as it does its own. Passing the
//! bytes on instead would copy each once more and need threads that end in order. The process that came stays until
//! the socket closes, since a server takes the end of a command for the end of its channel; and since the kernel
//! closes sockets, it ends with the first process however that ends.
//!
//! Who may join is told apart three times. The socket is in a directory that is new, closed to other users, and named
//! after the token, so that the name tells it to nobody; both sides check that the other is a process of the same
//! user; and whoever comes has to know the token: 128 bits, drawn for this connection and told over it. Nothing of the
//! peer's chooses a path. [`Meeting`] is the side of the first process, [`attend`] that of those that come.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::{constant_time, rand};
use rustix::fs::{AtFlags, CWD, Mode, mkdir, unlinkat};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, Shutdown, recvmsg, sendmsg, shutdown,
};

use crate::transport::Error;

/// What makes the name of a directory of a token, in BLAKE3's sense of a context.
const CONTEXT: &str = "dsync 2026 directory of a meeting";

/// The socket in it.
const SOCKET: &str = "socket";

/// What is said on arrival: the token and the number of the channel.
const WORDS: usize = 17;

/// How many are looked at. Seven are let in at most; others could only be idle processes of the same user.
const ARRIVALS: usize = 64;

/// A place where processes meet. Gone when this is dropped, or when its [`Door`] was opened.
pub struct Meeting {
    token: [u8; 16],
    place: Arc<Mutex<Option<Place>>>,
}

/// Lets in those who have come to a meeting.
pub struct Door(Arc<Mutex<Option<Place>>>);

/// One who came: the ends of its channel.
pub struct Guest {
    /// The number it says its channel has.
    pub number: u8,
    /// What the asking side writes.
    pub reader: GuestEnd,
    /// What the asking side reads.
    pub writer: GuestEnd,
}

/// An end of a guest's channel. When both are gone the guest's process ends.
pub struct GuestEnd {
    end: OwnedFd,
    _stays: Arc<UnixStream>,
}

/// The stay of a process that came.
#[derive(Clone)]
pub struct Stay(Arc<UnixStream>);

/// A listening socket in its directory.
struct Place {
    token: [u8; 16],
    listener: UnixListener,
    _directory: Directory,
}

/// Removed when dropped.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed now nobody else will remove either.
        let _ = unlinkat(CWD, self.0.join(SOCKET), AtFlags::empty());
        let _ = unlinkat(CWD, &self.0, AtFlags::REMOVEDIR);
    }
}

impl Meeting {
    /// Makes a place below the first of `folders` that takes it.
    pub fn open(folders: &[PathBuf]) -> Result<Meeting, Error> {
        let mut token = [0; 16];
        let unlucky = |_| failed("Drawing a random token")(io::ErrorKind::Other.into());
        rand::fill(&mut token).map_err(unlucky)?;
        let place = first_of(folders, |folder| Place::make(folder, token))?;
        Ok(Meeting { token, place: Arc::new(Mutex::new(Some(place))) })
    }

    /// What those who are to come have to know.
    pub fn token(&self) -> [u8; 16] {
        self.token
    }

    /// The door, for whoever is told when all have come.
    pub fn door(&self) -> Door {
        Door(self.place.clone())
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        take(&self.place);
    }
}

impl Door {
    /// Everybody who has come and may come in; never waits. The place is gone after that.
    pub fn open(self) -> Vec<Guest> {
        let Some(place) = take(&self.0) else { return Vec::new() };
        let come = std::iter::from_fn(|| place.listener.accept().ok());
        come.take(ARRIVALS).filter_map(|(stream, _)| place.let_in(stream)).collect()
    }
}

fn take(place: &Mutex<Option<Place>>) -> Option<Place> {
    place.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Place {
    fn make(folder: &Path, token: [u8; 16]) -> io::Result<Place> {
        let path = directory(folder, &token);
        mkdir(&path, Mode::RWXU)?;
        let directory = Directory(path);
        let listener = UnixListener::bind(directory.0.join(SOCKET))?;
        listener.set_nonblocking(true)?;
        Ok(Place { token, listener, _directory: directory })
    }

    /// What one who came has brought, if it is one of ours. It said everything before it told the asking side that it
    /// has come, so there is nothing to wait for.
    fn let_in(&self, stream: UnixStream) -> Option<Guest> {
        if !is_own(&stream) {
            return None;
        }
        let mut words = [0; WORDS];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut brought = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let said = recvmsg(&stream, &mut [IoSliceMut::new(&mut words)], &mut brought, flags).ok()?;
        let mut ends = brought.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(ends) => Some(ends),
            _ => None,
        });
        let mut ends = ends.by_ref().flatten();
        let (input, output) = (ends.next()?, ends.next()?);
        let (number, token) = words.split_last()?;
        if said.bytes != WORDS || constant_time::verify_slices_are_equal(token, &self.token).is_err() {
            return None;
        }
        let stays = Arc::new(stream);
        let end = |end| GuestEnd { end, _stays: stays.clone() };
        Some(Guest { number: *number, reader: end(input), writer: end(output) })
    }
}

/// Joins the meeting of `token` in one of `folders`: hands over `input` and `output`, the ends of channel `number`.
///
/// # Errors
/// When there is no such meeting.
pub fn attend(
    folders: &[PathBuf],
    token: &[u8; 16],
    number: u8,
    input: BorrowedFd<'_>,
    output: BorrowedFd<'_>,
) -> Result<Stay, Error> {
    let stream = first_of(folders, |folder| UnixStream::connect(directory(folder, token).join(SOCKET)))?;
    let hand_over = || {
        if !is_own(&stream) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let (words, ends) = ([&token[..], &[number]].concat(), [input, output]);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut brought = SendAncillaryBuffer::new(&mut space);
        let fits = brought.push(SendAncillaryMessage::ScmRights(&ends));
        let said = sendmsg(&stream, &[IoSlice::new(&words)], &mut brought, SendFlags::NOSIGNAL)?;
        if fits && said == WORDS { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    };
    hand_over().map_err(failed("Handing over a channel"))?;
    Ok(Stay(Arc::new(stream)))
}

impl Stay {
    /// Waits until the first process has no more use for what it was handed, or is gone.
    pub fn wait(&self) {
        // Nothing is ever said here.
        while matches!((&*self.0).read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::Interrupted) {}
    }

    /// Ends the wait, from any thread.
    pub fn end(&self) {
        // Fails only where it has ended.
        let _ = shutdown(&*self.0, Shutdown::Both);
    }
}

/// The first success among folders, or the last failure.
fn first_of<T>(folders: &[PathBuf], attempt: impl Fn(&Path) -> io::Result<T>) -> Result<T, Error> {
    let mut last = failed("Meeting at a socket")(io::ErrorKind::NotFound.into());
    for folder in folders {
        match attempt(folder) {
            Ok(success) => return Ok(success),
            Err(source) => last = Error::Place { folder: folder.clone(), source },
        }
    }
    Err(last)
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Meeting { doing, source }
}

/// Where the processes that know `token` meet.
fn directory(folder: &Path, token: &[u8; 16]) -> PathBuf {
    let [a, b, c, d, e, f, g, h, ..] = blake3::derive_key(CONTEXT, token);
    folder.join(format!("dsync-{:016x}", u64::from_be_bytes([a, b, c, d, e, f, g, h])))
}

/// Whether the other end is a process of this user. Where the system does not tell, nobody is.
fn is_own(stream: &UnixStream) -> bool {
    #[cfg(target_os = "linux")]
    let own = rustix::net::sockopt::socket_peercred(stream)
        .is_ok_and(|other| other.uid == rustix::process::geteuid());
    #[cfg(not(target_os = "linux"))]
    let own = false;
    own
}

impl Read for GuestEnd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.end, buffer)?)
    }
}

impl Write for GuestEnd {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(&self.end, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
