//! russh's server side in this process: large windows, passwords, and commands of our making.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{Algorithm, PrivateKey};
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handler, Msg, Response, Session, VerifiedPublicKey, run_stream,
};
use russh::{Channel, ChannelId, ChannelMsg, MethodKind, MethodSet};
use tokio::net::TcpListener;

/// A server that lives as long as this.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

pub(super) const BANNER: &str = "welcome\x1b[2J\n";

pub(super) fn host_key() -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[5; 32]))
}

/// Starts a server with windows of 16 MiB. Its command `echo` sends back what it gets; `flood N` does so too and
/// sends N bytes of standard error meanwhile; `vanish` drops the connection, as the password `hang up` does.
pub(super) fn start(methods: &[MethodKind]) -> Server {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = Arc::new(Config {
        keys: vec![host_key()],
        methods: MethodSet::from(methods),
        window_size: 16 << 20,
        maximum_packet_size: 65_535,
        auth_rejection_time: std::time::Duration::ZERO,
        nodelay: true,
        ..Config::default()
    });
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let config = Arc::clone(&config);
            tokio::spawn(async move {
                if let Ok(session) = run_stream(config, stream, Peer::default()).await {
                    let _ = session.await;
                }
            });
        }
    });
    Server { address, _runtime: runtime }
}

#[derive(Default)]
struct Peer {
    channel: Option<Channel<Msg>>,
    rounds: usize,
}

impl Handler for Peer {
    type Error = russh::Error;

    async fn authentication_banner(&mut self) -> Result<Option<String>, russh::Error> {
        Ok(Some(BANNER.to_owned()))
    }

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, russh::Error> {
        if password == "hang up" {
            return Err(russh::Error::HUP);
        }
        Ok(if password == "right" {
            Auth::Accept
        } else {
            Auth::Reject {
                proceed_with_methods: Some(MethodSet::from(&[MethodKind::Password][..])),
                partial_success: false,
            }
        })
    }

    /// Whoever has a key of Ed25519 is asked for a password, too; RSA is refused, and at ECDSA it hangs up.
    async fn auth_publickey(
        &mut self,
        _: &str,
        offered: VerifiedPublicKey<'_>,
    ) -> Result<Auth, russh::Error> {
        match offered.public_key.algorithm() {
            Algorithm::Rsa { .. } => return Ok(Auth::reject()),
            Algorithm::Ecdsa { .. } => return Err(russh::Error::HUP),
            _ => {}
        }
        Ok(Auth::Reject {
            proceed_with_methods: Some(MethodSet::from(&[MethodKind::Password][..])),
            partial_success: true,
        })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, russh::Error> {
        let answers: Vec<Vec<u8>> = response.into_iter().flatten().map(|bytes| bytes.to_vec()).collect();
        self.rounds += 1;
        if answers == [b"right".to_vec(), b"42".to_vec()] {
            return Ok(Auth::Reject {
                proceed_with_methods: Some(MethodSet::from(&[MethodKind::Password][..])),
                partial_success: true,
            });
        }
        if self.rounds.is_multiple_of(2) {
            let proceed_with_methods = Some(MethodSet::from(&[MethodKind::KeyboardInteractive][..]));
            return Ok(Auth::Reject { proceed_with_methods, partial_success: false });
        }
        Ok(Auth::Partial {
            name: Cow::Borrowed("Two questions"),
            instructions: Cow::Borrowed("be\x07careful"),
            prompts: Cow::Owned(vec![(Cow::Borrowed("Secret: "), false), (Cow::Borrowed("Token: "), true)]),
        })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let Some(channel) = self.channel.take() else { return session.channel_failure(id) };
        let command = String::from_utf8_lossy(command).into_owned();
        match command.split_once(' ').unwrap_or((&command, "")) {
            ("echo", _) => drop(tokio::spawn(echo(channel, 0))),
            ("flood", count) => drop(tokio::spawn(echo(channel, count.parse().unwrap_or(0)))),
            ("vanish", _) => return Err(russh::Error::Disconnect),
            _ => return session.channel_failure(id),
        }
        session.channel_success(id)
    }
}

/// Sends back what comes, and `extra` bytes of standard error at the same time.
///
/// Takes everything that comes at once, as a peer must that is also busy sending.
async fn echo(channel: Channel<Msg>, extra: usize) {
    let (mut reading, writing) = channel.split();
    let writing = Arc::new(writing);
    let (received, mut to_echo) = tokio::sync::mpsc::unbounded_channel();
    let echoing = Arc::clone(&writing);
    let echo = tokio::spawn(async move {
        while let Some(data) = to_echo.recv().await {
            if echoing.data_bytes(data).await.is_err() {
                break;
            }
        }
    });
    let flooding = Arc::clone(&writing);
    let flood = tokio::spawn(async move {
        let block = Bytes::from(vec![b'e'; 1 << 20]);
        for _ in 0..extra >> 20 {
            if flooding.extended_data_bytes(1, block.clone()).await.is_err() {
                break;
            }
        }
    });
    tokio::spawn(async move {
        while let Some(message) = reading.wait().await {
            match message {
                ChannelMsg::Data { data } => drop(received.send(data)),
                ChannelMsg::Eof => break,
                _ => {}
            }
        }
        drop(received);
        while reading.wait().await.is_some() {}
    });
    let _ = (echo.await, flood.await);
    let _ = writing.exit_status(0).await;
    let _ = writing.eof().await;
    let _ = writing.close().await;
}
