//! Our side of a session, as russh calls it: judges the host key, passes the banner on, refuses what the server
//! would open towards us, and remembers why the session ended.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::{HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, Names as Algorithms};
use tokio::sync::watch;

use crate::transport::error::Unvouched;
use crate::transport::ssh::algorithms;
use crate::transport::ssh::ask::Asker;
use crate::transport::ssh::known_hosts::{KnownHosts, Names, Place, Verdict, store};
use crate::transport::ssh::server_text::visible;
use crate::transport::ssh::settings::{Settings, UnknownHost};
use crate::transport::ssh::telling::Telling;
use crate::transport::{Error, Notice};

const CLOSED: &str = "the server closed the connection";

/// The reason when the server ended the login by accepting no further method.
pub(super) const NO_METHOD_LEFT: &str = "the server accepts no further way to log in";

/// The most banners that are passed on; servers send one.
const MAX_BANNERS: usize = 8;

/// Why a session ended, once it has.
#[derive(Clone, Default)]
pub(super) struct LossReason {
    noted: Arc<watch::Sender<Option<Noted>>>,
    /// The session that carries this one: its host, and why it ended.
    carrier: Option<Arc<(String, LossReason)>>,
}

/// What ended a session.
#[derive(Clone)]
struct Noted {
    reason: String,
    /// Whether a side ended it with a word, rather than that the line broke.
    meant: bool,
}

impl LossReason {
    /// Of a session that is carried by another one.
    pub(super) fn behind(host: &str, carrier: &LossReason) -> Self {
        Self { noted: Arc::default(), carrier: Some(Arc::new((host.to_owned(), carrier.clone()))) }
    }

    fn set(&self, reason: String, meant: bool) {
        self.noted.send_if_modified(|noted| {
            let is_first = noted.is_none();
            noted.get_or_insert(Noted { reason, meant });
            is_first
        });
    }

    /// Waits until the reason is noted, which is the last that a session does: who has something for it to do notices
    /// before that that it is over.
    pub(super) async fn settled(&self) {
        // Cannot fail: the sender is held here.
        let _ = self.noted.subscribe().wait_for(Option::is_some).await;
    }

    /// Whether a side ended the session with a word, rather than that the line broke.
    pub(super) fn is_meant(&self) -> bool {
        self.noted.borrow().as_ref().is_some_and(|noted| noted.meant)
    }

    /// The reason, or the usual one where none was noted.
    pub(super) fn get(&self) -> String {
        self.noted().unwrap_or_else(|| CLOSED.to_owned())
    }

    /// The reason; `None` while the session lasts.
    pub(super) fn noted(&self) -> Option<String> {
        let own = self.noted.borrow().as_ref()?.reason.clone();
        // A session whose carrier is gone looks as if its server had hung up.
        let before = self.carrier.as_deref().filter(|_| own == CLOSED);
        Some(match before.and_then(|(host, loss)| Some((host, loss.noted()?))) {
            Some((host, reason)) => format!("the connection to {host}, which led to it, was lost: {reason}"),
            None => own,
        })
    }
}

/// Why a session ends: of itself, or because we refuse to go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error(transparent)]
    Ssh(#[from] russh::Error),
    #[error(transparent)]
    Refused(#[from] Error),
}

/// See the module.
pub(super) struct Client {
    names: Names,
    known: KnownHosts,
    unknown_host: UnknownHost,
    /// Where a host seen for the first time is recorded.
    store_in: Option<PathBuf>,
    hash_names: bool,
    asker: Asker,
    telling: Telling,
    loss: LossReason,
    /// How short an RSA key may be, in bits.
    rsa_bits: u32,
    doubt: Doubt,
    banners: usize,
}

/// Whether the host is another than the known one, as the configuration allows it to be. Then no secret is told to it.
#[derive(Clone, Default)]
pub(super) struct Doubt(Arc<AtomicBool>);

impl Doubt {
    pub(super) fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Client {
    pub(super) fn new(
        settings: &Settings,
        names: Names,
        known: KnownHosts,
        asker: Asker,
        telling: Telling,
        loss: LossReason,
        doubt: Doubt,
    ) -> Self {
        Self {
            names,
            known,
            unknown_host: settings.unknown_host,
            store_in: settings.user_known_hosts.first().cloned(),
            hash_names: settings.hash_known_hosts,
            asker,
            telling,
            loss,
            rsa_bits: settings.rsa_bits,
            doubt,
            banners: 0,
        }
    }

    async fn judge(&self, offered: &PublicKeyOrCertificate) -> Result<(), Error> {
        let host = self.names.exact.clone();
        let key = offered.public_key();
        let fingerprint = format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let verdict = self.known.judge(offered, &self.names, now);
        let kind = if offered.certificate().is_some() { "certificate for the key" } else { "key" };
        self.telling.step(|| format!("{host} offers the {kind} {fingerprint}: {verdict}"));
        let bits = key.key_data().rsa().map(|key| key.key_size());
        if let Some(bits) = bits.filter(|&bits| bits < self.rsa_bits) {
            return Err(Error::ShortHostKey { host, fingerprint, bits, required: self.rsa_bits });
        }
        match verdict {
            Verdict::Known => Ok(()),
            Verdict::Unknown => self.meet(&key, host, fingerprint).await,
            Verdict::Changed(place) if self.unknown_host == UnknownHost::AcceptAny => {
                self.doubt.0.store(true, Ordering::Relaxed);
                let Place { file, line } = place;
                self.telling.notice(Notice::HostKeyDiffers { host, fingerprint, file, line });
                Ok(())
            }
            Verdict::Changed(place) => {
                Err(Error::ChangedHostKey { host, fingerprint, file: place.file, line: place.line })
            }
            Verdict::Revoked(place) => {
                Err(Error::RevokedHostKey { host, fingerprint, file: place.file, line: place.line })
            }
            Verdict::BadCertificate(reason) => Err(Error::HostCertificate { host, reason: visible(&reason) }),
        }
    }

    /// Decides about a host that no record is about.
    async fn meet(&self, key: &PublicKey, host: String, fingerprint: String) -> Result<(), Error> {
        let unvouched = match (self.unknown_host, self.asker.unvouched()) {
            (UnknownHost::Accept | UnknownHost::AcceptAny, _) => None,
            (UnknownHost::Refuse, _) => Some(Unvouched::Strict),
            (UnknownHost::Ask, Some(why)) => Some(why),
            (UnknownHost::Ask, None) => {
                let question = format!(
                    "The host {host} is not known.\nIts key is {fingerprint}.\n\
                     Trust this key and remember it for {host}?"
                );
                let is_accepted = self.asker.confirm(question).await?;
                (!is_accepted).then_some(Unvouched::Declined)
            }
        };
        if let Some(why) = unvouched {
            return Err(Error::UnknownHostKey { host, fingerprint, why, file: self.store_in.clone() });
        }
        self.remember(key, host, fingerprint);
        Ok(())
    }

    fn remember(&self, key: &PublicKey, host: String, fingerprint: String) {
        let Some(file) = &self.store_in else { return };
        let notice = match store(file, &self.names.exact, self.hash_names, key) {
            Ok(()) => Notice::HostKeyAdded { host, fingerprint, file: file.clone() },
            Err(error) => Notice::HostKeyNotStored { host, problem: format!("{}: {error}", file.display()) },
        };
        self.telling.notice(notice);
    }
}

/// A session may end without a word to us, too.
impl Drop for Client {
    fn drop(&mut self) {
        self.loss.set(CLOSED.to_owned(), false);
    }
}

impl Handler for Client {
    type Error = SessionError;

    async fn check_server_key(&mut self, offered: &PublicKeyOrCertificate) -> Result<bool, SessionError> {
        self.judge(offered).await?;
        Ok(true)
    }

    async fn kex_done(
        &mut self,
        _: Option<&[u8]>,
        names: &Algorithms,
        session: &mut Session,
    ) -> Result<(), SessionError> {
        self.telling.step(|| {
            let server = String::from_utf8_lossy(session.remote_sshid()).into_owned();
            format!(
                "the server is {}; algorithms: {}, host key {}, {}, {}",
                visible(server.trim_end()),
                names.kex.as_ref(),
                names.key,
                names.cipher.as_ref(),
                names.client_mac.as_ref()
            )
        });
        Ok(())
    }

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), SessionError> {
        self.banners = self.banners.saturating_add(1);
        if self.banners > MAX_BANNERS {
            return Ok(());
        }
        self.telling.notice(Notice::Banner(visible(banner.trim_end())));
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<SessionError>) -> Result<(), SessionError> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.loss.set(format!("the server disconnected: {}", visible(&info.message)), true);
                Ok(())
            }
            DisconnectReason::Error(error) => {
                self.loss.set(describe(&error), is_meant(&error));
                Err(error)
            }
        }
    }

    // A server has no reason to open channels towards a client that asked for no forwarding. Dropping the handle
    // refuses; russh's own default accepts.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SessionError> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SessionError> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SessionError> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SessionError> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SessionError> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SessionError> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SessionError> {
        Ok(())
    }

    async fn openssh_ext_host_keys_announced(
        &mut self,
        _: Vec<PublicKey>,
        _: &mut Session,
    ) -> Result<(), SessionError> {
        Ok(())
    }
}

/// Says in plain words what ended a session.
pub(super) fn describe(error: &SessionError) -> String {
    match error {
        SessionError::Ssh(russh::Error::KeepaliveTimeout) => "the server stopped answering".to_owned(),
        SessionError::Ssh(russh::Error::NoAuthMethod) => NO_METHOD_LEFT.to_owned(),
        SessionError::Ssh(russh::Error::HUP | russh::Error::Disconnect) => CLOSED.to_owned(),
        SessionError::Ssh(russh::Error::IO(error)) if is_hang_up(error.kind()) => CLOSED.to_owned(),
        SessionError::Ssh(russh::Error::NoCommonAlgo { kind, theirs, .. }) => {
            let theirs = visible(&theirs.join(", "));
            format!("no {} in common; the server offers {theirs}", algorithms::called(kind))
        }
        SessionError::Ssh(error) => visible(&error.to_string()),
        SessionError::Refused(error) => error.to_string(),
    }
}

/// Whether an error is a word of the server's or of ours that ends the session.
fn is_meant(error: &SessionError) -> bool {
    matches!(error, SessionError::Refused(_) | SessionError::Ssh(russh::Error::NoAuthMethod))
}

fn is_hang_up(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}
