//! A line that breaks or freezes when a test wants it to: a port that leads to another.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// The port.
pub(crate) struct Cable {
    pub(crate) port: u16,
    wires: Arc<Wires>,
}

#[derive(Default)]
struct Wires {
    open: Mutex<Vec<Connection>>,
    /// After how many bytes each further connection breaks. The last one holds.
    lasts: Mutex<Vec<i64>>,
    connections: AtomicU64,
    carried: AtomicU64,
}

/// Both ends of a connection, and whether what comes from either is lost on the way.
struct Connection {
    ends: [TcpStream; 2],
    is_frozen: Arc<AtomicBool>,
}

impl Cable {
    /// A line that holds until it is cut.
    pub(crate) fn to(port: u16) -> Cable {
        Cable::that_breaks(port, &[])
    }

    /// A line of which the first connections break after so many bytes, both ways counted. Later ones hold.
    pub(crate) fn that_breaks(port: u16, after: &[u64]) -> Cable {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wires = Arc::<Wires>::default();
        *wires.lasts.lock().unwrap() = after.iter().rev().map(|bytes| *bytes as i64).collect();
        let cable = Cable { port: listener.local_addr().unwrap().port(), wires: Arc::clone(&wires) };
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                wires.connections.fetch_add(1, Ordering::SeqCst);
                let far = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let left = wires.lasts.lock().unwrap().pop().unwrap_or(i64::MAX);
                let left = Arc::new(AtomicI64::new(left));
                let is_frozen = Arc::<AtomicBool>::default();
                let [near_too, far_too] = [&near, &far].map(|end| end.try_clone().unwrap());
                let ends = [&near, &far].map(|end| end.try_clone().unwrap());
                wires.open.lock().unwrap().push(Connection { ends, is_frozen: Arc::clone(&is_frozen) });
                for (from, to) in [(near, far), (far_too, near_too)] {
                    let (wires, left) = (Arc::clone(&wires), Arc::clone(&left));
                    let is_frozen = Arc::clone(&is_frozen);
                    thread::spawn(move || carry(from, to, &wires, &left, &is_frozen));
                }
            }
        });
        cable
    }

    /// Breaks the connections that there are.
    pub(crate) fn cut(&self) {
        for end in self.wires.open.lock().unwrap().drain(..).flat_map(|connection| connection.ends) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// From now on nothing gets through the connections that there are, and neither end is told.
    pub(crate) fn freeze(&self) {
        for connection in self.wires.open.lock().unwrap().iter() {
            connection.is_frozen.store(true, Ordering::SeqCst);
        }
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> u64 {
        self.wires.connections.load(Ordering::SeqCst)
    }

    /// How many bytes all of them carried.
    pub(crate) fn carried(&self) -> u64 {
        self.wires.carried.load(Ordering::SeqCst)
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, wires: &Wires, left: &AtomicI64, is_frozen: &AtomicBool) {
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if is_frozen.load(Ordering::SeqCst) {
            continue;
        }
        if left.fetch_sub(length as i64, Ordering::SeqCst) < length as i64 {
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
        wires.carried.fetch_add(length as u64, Ordering::SeqCst);
    }
    let _ = to.shutdown(Shutdown::Write);
}
