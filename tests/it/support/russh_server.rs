//! An SSH server inside the test process, made of russh's server half.
//!
//! It needs no OpenSSH, grants windows eight times as large as sshd's, and can fail in ways that sshd will not. It
//! runs what a client asks for through `/bin/sh -c`, as a login shell would be.
//!
//! russh's session stops reading while it writes, so two sessions whose socket buffers are full would wait for each
//! other for ever. Here its writes go to a buffer that is never full, from which another task feeds the socket.

use crate::support::lifetime;
use crate::support::login::{Login, new_key};
use bytes::Bytes;
use russh::keys::PublicKey;
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, MethodKind, MethodSet};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

/// What a channel may have under way; OpenSSH's server grants an eighth of it.
const WINDOW_BYTES: u32 = 16 << 20;
/// More than all windows of a connection together.
const SOCKET_BUFFER_BYTES: usize = 1 << 30;

/// What lets in whoever has no key.
pub(crate) const PASSWORD: &str = "let me in";

/// The way in to the server, which is started by the first caller.
pub(crate) fn login() -> &'static Login {
    static SERVER: OnceLock<Login> = OnceLock::new();
    SERVER.get_or_init(start)
}

fn start() -> Login {
    let (user_key, host_key) = (new_key(), new_key());
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let login = Login::write(lifetime::directory(), port, &user_key, &host_key);
    let config = Arc::new(Config {
        keys: vec![host_key],
        window_size: WINDOW_BYTES,
        auth_rejection_time: Duration::from_millis(10),
        auth_rejection_time_initial: Some(Duration::ZERO),
        nodelay: true,
        ..Config::default()
    });
    let accepted = user_key.public_key().clone();
    let home = login.home.clone();
    thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(accept(socket, config, accepted, home));
    });
    login
}

async fn accept(socket: std::net::TcpListener, config: Arc<Config>, accepted: PublicKey, home: PathBuf) {
    socket.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(socket).unwrap();
    while let Ok((connection, _)) = listener.accept().await {
        let client = Client { accepted: accepted.clone(), home: home.clone(), channels: HashMap::new() };
        tokio::spawn(converse(Arc::clone(&config), connection, client));
    }
}

/// One connection, until either side ends it.
async fn converse(config: Arc<Config>, mut connection: TcpStream, client: Client) {
    let _ = connection.set_nodelay(true);
    let (mut outer, inner) = tokio::io::duplex(SOCKET_BUFFER_BYTES);
    let carry = tokio::spawn(async move { tokio::io::copy_bidirectional(&mut connection, &mut outer).await });
    if let Ok(session) = russh::server::run_stream(config, inner, client).await {
        let _ = session.await;
    }
    let _ = carry.await;
}

struct Client {
    accepted: PublicKey,
    home: PathBuf,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Handler for Client {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(if key.public_key.key_data() == self.accepted.key_data() { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_password(&mut self, _user: &str, password: &str) -> Result<Auth, Self::Error> {
        // Another one may be tried.
        let again = MethodSet::from(&[MethodKind::Password][..]);
        let refused = Auth::Reject { proceed_with_methods: Some(again), partial_success: false };
        Ok(if password == PASSWORD { Auth::Accept } else { refused })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(channel) = self.channels.remove(&id) else {
            return session.channel_failure(id);
        };
        match spawn(command, &self.home) {
            Ok(child) => {
                session.channel_success(id)?;
                tokio::spawn(run(child, channel));
            }
            Err(_) => session.channel_failure(id)?,
        }
        Ok(())
    }
}

fn spawn(command: &[u8], home: &Path) -> std::io::Result<Child> {
    use std::os::unix::ffi::OsStrExt as _;
    Command::new("/bin/sh")
        .arg("-c")
        .arg(std::ffi::OsStr::from_bytes(command))
        .env("HOME", home)
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// Joins a child to its channel until the child ends or the client goes away.
async fn run(mut child: Child, channel: Channel<Msg>) {
    let (reader, writer) = channel.split();
    let writer = Arc::new(writer);
    let stdin = child.stdin.take().expect("stdin is a pipe");
    let stdout = child.stdout.take().expect("stdout is a pipe");
    let stderr = child.stderr.take().expect("stderr is a pipe");
    let stdout = tokio::spawn(send(stdout, Arc::clone(&writer), None));
    let stderr = tokio::spawn(send(stderr, Arc::clone(&writer), Some(1)));
    tokio::select! {
        () = receive(reader, stdin) => {}
        status = child.wait() => {
            let _ = stdout.await;
            let _ = stderr.await;
            let _ = writer.eof().await;
            if let Ok(status) = status {
                let _ = writer.exit_status(exit_code(status)).await;
            }
            let _ = writer.close().await;
        }
    }
}

/// Moves what the client sends into the child. The queue between is unbounded because a channel that is not read
/// stops the whole session. Returns when the channel is gone.
async fn receive(mut channel: ChannelReadHalf, mut stdin: ChildStdin) {
    let (queue, mut queued) = mpsc::unbounded_channel::<Bytes>();
    tokio::spawn(async move {
        while let Some(data) = queued.recv().await {
            if stdin.write_all(&data).await.is_err() {
                break;
            }
        }
    });
    let mut queue = Some(queue);
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                if let Some(queue) = &queue {
                    let _ = queue.send(data);
                }
            }
            ChannelMsg::Eof => queue = None,
            ChannelMsg::Close => break,
            _ => {}
        }
    }
}

async fn send(mut from: impl AsyncRead + Unpin, to: Arc<ChannelWriteHalf<Msg>>, stream: Option<u32>) {
    let mut buffer = vec![0; 256 << 10];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let data = Bytes::copy_from_slice(&buffer[..n]);
        let sent = match stream {
            None => to.data_bytes(data).await,
            Some(stream) => to.extended_data_bytes(stream, data).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// A shell's way to say how a command ended.
fn exit_code(status: ExitStatus) -> u32 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u32::try_from(code).unwrap_or(255)
}
