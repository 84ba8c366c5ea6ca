//! What a session runs over: a TCP connection, the streams of a proxy command, or a channel of another session.

use std::sync::Arc;

use russh::ChannelOpenFailure;
use russh::client::Handle;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::transport::Error;
use crate::transport::ssh::acknowledge::Acknowledging;
use crate::transport::ssh::client::{Client, LossReason};
use crate::transport::ssh::outbox::Gate;
use crate::transport::ssh::proxy::Proxy;
use crate::transport::ssh::settings::Settings;
use crate::transport::ssh::telling::Telling;

/// Bytes to and from a server.
pub(super) struct Stream {
    pub(super) reading: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) writing: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) way: Way,
}

/// What has to last as long as a stream does.
pub(super) enum Way {
    Direct,
    Proxy(Proxy),
    /// Through a server that let us in.
    Jump(Arc<Hop>),
}

/// A server that let us in, and the way to it.
pub(super) struct Hop {
    pub(super) handle: Handle<Client>,
    pub(super) gate: Gate,
    pub(super) loss: LossReason,
    pub(super) way: Way,
    pub(super) host: String,
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        let (reading, writing) = stream.into_split();
        let reading = Box::new(Acknowledging::new(reading));
        Self { reading, writing: Box::new(writing), way: Way::Direct }
    }
}

impl Way {
    /// The server that it goes through.
    pub(super) fn carrier(&self) -> Option<&Hop> {
        match self {
            Self::Jump(hop) => Some(hop),
            Self::Direct | Self::Proxy(_) => None,
        }
    }

    /// Says what became of the way where that is why a session over it failed.
    pub(super) fn explain(&mut self, settings: &Settings, error: Error) -> Error {
        if !matches!(error, Error::Handshake { .. } | Error::Lost { .. }) {
            return error;
        }
        let Self::Proxy(proxy) = self else { return error };
        match proxy.ended() {
            Some(ended) => {
                Error::Proxy { host: settings.hostname.clone(), command: proxy.command().to_owned(), ended }
            }
            None => error,
        }
    }
}

impl Hop {
    /// Has the server connect to where `next` is.
    pub(super) async fn onward(self, next: &Settings, telling: &Telling) -> Result<Stream, Error> {
        telling.step(|| format!("asking {} to connect to {} port {}", self.host, next.hostname, next.port));
        let opened = self.handle.channel_open_direct_tcpip(
            next.hostname.clone(),
            u32::from(next.port),
            // Where the connection comes from is nobody's business there; this is what OpenSSH says, too.
            "127.0.0.1",
            65_535,
        );
        let channel = opened.await.map_err(|error| match error {
            russh::Error::ChannelOpenFailure(failure) => Error::Jump {
                host: next.hostname.clone(),
                port: next.port,
                via: self.host.clone(),
                forbidden: failure == ChannelOpenFailure::AdministrativelyProhibited,
            },
            _ => Error::Lost { host: self.host.clone(), reason: self.loss.get() },
        })?;
        let (reading, writing) = tokio::io::split(channel.into_stream());
        Ok(Stream { reading: Box::new(reading), writing: Box::new(writing), way: Way::Jump(Arc::new(self)) })
    }

    /// Says goodbye to this server and to those before it, so that none of their logs calls the connection lost.
    pub(super) async fn goodbye(&self) {
        let mut hop = self;
        loop {
            let said = hop.handle.disconnect(russh::Disconnect::ByApplication, "", "").await;
            if said.is_ok() {
                hop.gate.closed().await;
            }
            match hop.way.carrier() {
                Some(before) => hop = before,
                None => return,
            }
        }
    }
}
