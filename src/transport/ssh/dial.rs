//! The TCP connection to the server.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, lookup_host};

use crate::transport::ssh::settings::Settings;
use crate::transport::ssh::telling::Telling;
use crate::transport::{Error, IpFamily};

/// Connects to the first address of the host that answers within `limit`; `limit` also bounds the look-up.
pub(super) async fn dial(
    settings: &Settings,
    limit: Duration,
    telling: &Telling,
) -> Result<TcpStream, Error> {
    let host = &settings.hostname;
    let addresses = addresses_of(host, settings.port, settings.family, limit).await?;
    let source = match &settings.bind_address {
        Some(name) => addresses_of(name, 0, settings.family, limit).await?,
        None => Vec::new(),
    };
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for attempt in 0..settings.connection_attempts {
        if attempt > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        for &address in &addresses {
            telling.step(|| format!("connecting to {host} at {address}"));
            match tokio::time::timeout(limit, open(address, &source)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = error,
                Err(_) => failure = io::ErrorKind::TimedOut.into(),
            }
            telling.step(|| format!("{address} did not take the connection: {failure}"));
        }
    }
    let (port, from) = (settings.port, settings.bind_address.clone());
    Err(Error::Connect { host: host.clone(), port, from, source: failure })
}

async fn addresses_of(
    host: &str,
    port: u16,
    family: Option<IpFamily>,
    limit: Duration,
) -> Result<Vec<SocketAddr>, Error> {
    let found = tokio::time::timeout(limit, lookup_host((host, port)))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|source| Error::Resolve { host: host.to_owned(), source })?;
    let of_family = |address: &SocketAddr| match family {
        None => true,
        Some(IpFamily::V4) => address.is_ipv4(),
        Some(IpFamily::V6) => address.is_ipv6(),
    };
    let addresses: Vec<SocketAddr> = found.filter(of_family).collect();
    match family {
        Some(family) if addresses.is_empty() => Err(Error::NoAddress { host: host.to_owned(), family }),
        _ => Ok(addresses),
    }
}

/// Connects to `address` from the first of `sources` that is of its family, if any.
async fn open(address: SocketAddr, sources: &[SocketAddr]) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(&source) = sources.iter().find(|source| source.is_ipv4() == address.is_ipv4()) {
        socket.bind(source)?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
