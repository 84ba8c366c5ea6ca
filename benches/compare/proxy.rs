//! A proxy before sshd that counts the bytes on the wire, SSH's own included.
//!
//! Only the observed run goes through it. Counting here, not in the tools, treats both alike, whatever they call a byte sent.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::failure::{Doing, Failure};

/// Bytes seen on the wire.
#[derive(Clone, Copy, Default)]
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
    /// Starts a proxy to the port `server` of 127.0.0.1.
    pub(crate) fn start(server: u16) -> Result<Self, Failure> {
        let started = || -> io::Result<(TcpListener, u16)> {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let port = listener.local_addr()?.port();
            Ok((listener, port))
        };
        let (listener, port) = started().doing(|| "Starting the counting proxy".to_owned())?;
        let counters = Arc::new(Counters::default());
        let counted = Arc::clone(&counters);
        thread::spawn(move || {
            // A connection that cannot be made is closed; the tool under test then says so.
            for client in listener.incoming().flatten() {
                let _closed = relay(client, server, &counted);
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

fn relay(client: TcpStream, server: u16, counters: &Arc<Counters>) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, from_server) = (client.try_clone()?, server.try_clone()?);
    let (up, down) = (Arc::clone(counters), Arc::clone(counters));
    thread::spawn(move || pump(from_client, server, &up.up));
    thread::spawn(move || pump(from_server, client, &down.down));
    Ok(())
}

/// Copies until either end closes, then passes the end on.
fn pump(mut from: TcpStream, mut to: TcpStream, counter: &AtomicU64) {
    let mut buffer = vec![0; 256 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
        if to.write_all(buffer.get(..count).unwrap_or_default()).is_err() {
            break;
        }
    }
    // Either stream may be closed already, which is what is wanted.
    let _closed = (to.shutdown(Shutdown::Write), from.shutdown(Shutdown::Read));
}
