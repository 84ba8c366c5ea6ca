//! A proxy before sshd that counts the bytes on the wire, SSH's own included, and can be a slow path.
//!
//! Counting here, not in the tools, treats both alike, whatever they call a byte sent. Timed runs go through a proxy
//! only where the path is the case: it passes on no more bits a second than its link has, each direction by itself, and
//! what it passes on arrives half a round trip later. What the link has not taken yet waits in the sender's socket, as
//! behind a real line. A kernel's delay queue would do the same, but not every machine lets one be set up.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::failure::{Doing, Failure};

/// What is read at once where the path is not slow.
const CHUNK: usize = 256 * 1024;
/// The same on a link, in the time that the line is busy with it: little, for a link delivers its first byte long
/// before the last of a large chunk.
const LINK_CHUNK: Duration = Duration::from_micros(500);
/// The least and the most that is, in bytes.
const LINK_CHUNK_BYTES: (usize, usize) = (4096, 64 * 1024);
/// The link time an idle direction saves up, which makes up for sleeping too long.
const BURST: Duration = Duration::from_millis(2);
/// Chunks on their way at most: more than any link here holds, so that only a receiver that does not read fills it.
const ON_THE_WAY: usize = 4096;

/// A path that is not the loopback's.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    /// The host name that leads over it.
    pub(crate) host: &'static str,
    pub(crate) round_trip: Duration,
    /// In each direction.
    pub(crate) bits_per_second: u64,
}

impl Link {
    /// How many bytes it takes at once at most.
    fn chunk(self) -> usize {
        let bytes = LINK_CHUNK.as_secs_f64() * self.bits_per_second as f64 / 8.0;
        (bytes as usize).clamp(LINK_CHUNK_BYTES.0, LINK_CHUNK_BYTES.1)
    }

    /// How long the line is busy with so many bytes.
    fn busy(self, bytes: usize) -> Duration {
        Duration::from_secs_f64(bytes as f64 * 8.0 / self.bits_per_second as f64)
    }
}

/// Bytes seen on the wire.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Wire {
    /// From the client to the server.
    pub(crate) up: u64,
    /// From the server to the client.
    pub(crate) down: u64,
}

impl Wire {
    /// Both directions together.
    pub(crate) fn total(self) -> u64 {
        self.up + self.down
    }
}

#[derive(Default)]
struct Counters {
    up: AtomicU64,
    down: AtomicU64,
}

/// A listening proxy. It lives as long as the harness.
pub(crate) struct Proxy {
    /// Where clients connect, on 127.0.0.1.
    pub(crate) port: u16,
    counters: Arc<Counters>,
}

impl Proxy {
    /// Starts a proxy to the port `server` of 127.0.0.1, over `link` if there is one.
    pub(crate) fn start(server: u16, link: Option<Link>) -> Result<Self, Failure> {
        let started = || -> io::Result<(TcpListener, u16)> {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let port = listener.local_addr()?.port();
            Ok((listener, port))
        };
        let (listener, port) = started().doing(|| "Starting a proxy".to_owned())?;
        let counters = Arc::new(Counters::default());
        let counted = Arc::clone(&counters);
        thread::spawn(move || {
            // A connection that cannot be made is closed; the tool under test then says so.
            for client in listener.incoming().flatten() {
                let _closed = relay(client, server, link, &counted);
            }
        });
        Ok(Self { port, counters })
    }

    /// The bytes since the last call.
    pub(crate) fn take(&self) -> Wire {
        Wire {
            up: self.counters.up.swap(0, Ordering::Relaxed),
            down: self.counters.down.swap(0, Ordering::Relaxed),
        }
    }
}

fn relay(client: TcpStream, server: u16, link: Option<Link>, counters: &Arc<Counters>) -> io::Result<()> {
    if let Some(link) = link {
        // What TCP takes to open a connection. No case opens a second one meanwhile.
        thread::sleep(link.round_trip);
    }
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, from_server) = (client.try_clone()?, server.try_clone()?);
    let (up, down) = (Arc::clone(counters), Arc::clone(counters));
    thread::spawn(move || pass_on(from_client, server, link, &up.up));
    thread::spawn(move || pass_on(from_server, client, link, &down.down));
    Ok(())
}

/// Copies until either end closes, then passes the end on.
fn pass_on(mut from: TcpStream, mut to: TcpStream, link: Option<Link>, counter: &AtomicU64) {
    match link {
        None => copy(&mut from, &mut to, counter),
        Some(link) => carry(&mut from, &mut to, link, counter),
    }
    // Either stream may be closed already, which is what is wanted.
    let _closed = (to.shutdown(Shutdown::Write), from.shutdown(Shutdown::Read));
}

fn copy(from: &mut TcpStream, to: &mut TcpStream, counter: &AtomicU64) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
        if to.write_all(buffer.get(..count).unwrap_or_default()).is_err() {
            break;
        }
    }
}

/// Takes bytes as fast as the link does and delivers them half a round trip later.
fn carry(from: &mut TcpStream, to: &mut TcpStream, link: Link, counter: &AtomicU64) {
    let (sender, receiver) = mpsc::sync_channel(ON_THE_WAY);
    thread::scope(|scope| {
        scope.spawn(move || deliver(to, &receiver));
        let mut buffer = vec![0; link.chunk()];
        let mut free = Instant::now();
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            counter.fetch_add(count as u64, Ordering::Relaxed);
            let earliest = Instant::now().checked_sub(BURST).unwrap_or(free);
            free = free.max(earliest) + link.busy(count);
            thread::sleep(free.saturating_duration_since(Instant::now()));
            let chunk = buffer.get(..count).unwrap_or_default().to_vec();
            if sender.send((free + link.round_trip / 2, chunk)).is_err() {
                break;
            }
        }
        drop(sender);
    });
}

fn deliver(to: &mut TcpStream, chunks: &Receiver<(Instant, Vec<u8>)>) {
    for (due, chunk) in chunks {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&chunk).is_err() {
            break;
        }
    }
}
