//! The publickey method (RFC 4252, section 7; certificates as in OpenSSH's PROTOCOL.certkeys).
//!
//! Each key is offered by its public half first. Only when the server would take it is a signature made, and only
//! then is the user asked for a passphrase.

use russh::client::AuthResult;
use russh::keys::agent::AgentIdentity;
use russh::keys::{Algorithm, HashAlg, PublicKey};
use russh::{SendError, Signer};

use crate::transport::ssh::ask::Asker;
use crate::transport::ssh::auth::agent::Agent;
use crate::transport::ssh::auth::identity::{self, Holder, Identity};
use crate::transport::ssh::auth::{Login, Outcome, key_file};
use crate::transport::{Error, Notice};

impl Login<'_> {
    pub(super) async fn try_keys(&mut self) -> Result<Outcome, Error> {
        let (mut agent, held) = self.reach_agent().await.unzip();
        let held = held.unwrap_or_default();
        let mut outcome = Outcome::Refused(None);
        for identity in identity::collect(self.settings, held, self.telling) {
            match self.try_key(identity, agent.as_mut()).await? {
                Outcome::Refused(None) => {}
                Outcome::Refused(Some(methods)) => {
                    let goes_on = methods.contains(&russh::MethodKind::PublicKey);
                    outcome = Outcome::Refused(Some(methods));
                    if !goes_on {
                        break;
                    }
                }
                done => return Ok(done),
            }
        }
        Ok(outcome)
    }

    /// The agent and what it holds. One that failed is not tried again in a later step: it may hang once more.
    async fn reach_agent(&mut self) -> Option<(Agent, Vec<AgentIdentity>)> {
        let socket = self.settings.agent.as_deref().filter(|_| !self.agent_failed)?;
        match Agent::reach(socket, self.handle, self.agent_limit).await {
            Ok(reached) => Some(reached),
            Err(error) => {
                let reason = format!("{}: {error}", socket.display());
                self.telling.notice(Notice::AgentSkipped { reason });
                self.agent_failed = true;
                None
            }
        }
    }

    async fn try_key(&mut self, identity: Identity, agent: Option<&mut Agent>) -> Result<Outcome, Error> {
        let Identity { key, certificate, mut holder, label } = identity;
        if matches!(holder, Holder::Device) {
            self.untried.push(format!("{label} (a security key that the agent does not hold)"));
            self.beyond.get_or_insert(format!("only it can use the {label}, which is a security key"));
            return Ok(Outcome::Refused(None));
        }
        if let Holder::Foreign(file, form) = &holder
            && self.asker.can_ask()
        {
            self.untried.push(format!("{label} (in a form that this client does not read: {form})"));
            self.beyond.get_or_insert(format!("only it can read the {label} ({form})"));
            self.unread.get_or_insert(file.clone());
            return Ok(Outcome::Refused(None));
        }
        if let Some(reason) = self.asker.why_not().filter(|_| is_locked(&holder)) {
            // Offering it would only spend an attempt.
            self.untried.push(format!("{label} (it has a passphrase, and {reason})"));
            return Ok(Outcome::Refused(None));
        }
        let key = match (key, &mut holder) {
            (Some(key), _) => key,
            (None, Holder::File(file)) => match file.unlock(self.asker).await? {
                Some(key) => key.public_key().clone(),
                None => return Ok(Outcome::Refused(None)),
            },
            (None, _) => return Ok(Outcome::Refused(None)),
        };
        if self.used_keys.contains(key.key_data()) {
            return Ok(Outcome::Refused(None));
        }
        let hash = match key.algorithm() {
            Algorithm::Rsa { .. } => self.rsa_hash().await?,
            _ => None,
        };
        if let Some(reason) = self.objection(&key, hash, certificate.is_some()) {
            self.untried.push(format!("{label} ({reason})"));
            return Ok(Outcome::Refused(None));
        }
        self.telling.step(|| format!("offering the {label} ({})", key.fingerprint(HashAlg::Sha256)));
        self.tried.push(label);
        let mut signing = Signing { holder, agent, key: key.clone(), asker: self.asker };
        let user = self.settings.user.clone();
        let result = match certificate {
            Some(certificate) => {
                self.handle.authenticate_certificate_with(user, certificate, hash, &mut signing).await
            }
            None => self.handle.authenticate_publickey_with(user, key.clone(), hash, &mut signing).await,
        };
        let outcome = self.key_outcome(result).await?;
        if matches!(outcome, Outcome::Partly(_)) {
            self.used_keys.push(key.key_data().clone());
        }
        Ok(outcome)
    }

    async fn key_outcome(&self, result: Result<AuthResult, SigningError>) -> Result<Outcome, Error> {
        match result {
            Ok(result) => self.outcome(Ok(result)).await,
            Err(SigningError::Session(_)) => Err(self.lost().await),
            Err(SigningError::Asking(error)) => Err(error),
            Err(SigningError::Unsigned) => Ok(Outcome::Refused(None)),
            Err(SigningError::Agent(error)) => {
                self.telling.notice(Notice::AgentSkipped { reason: error.to_string() });
                Ok(Outcome::Refused(None))
            }
            Err(SigningError::Key(error)) => {
                let host = self.settings.hostname.clone();
                Err(Error::Handshake { host, reason: format!("signing failed ({error})") })
            }
        }
    }

    /// Why a key is not to be offered.
    fn objection(&self, key: &PublicKey, hash: Option<HashAlg>, is_certified: bool) -> Option<String> {
        let algorithm = match key.algorithm() {
            Algorithm::Rsa { .. } if hash.is_none() => {
                return Some("the server takes it with SHA-1 only".to_owned());
            }
            Algorithm::Rsa { .. } => Algorithm::Rsa { hash },
            other => other,
        };
        let bits = key.key_data().rsa().map(|key| key.key_size());
        if bits.is_some_and(|bits| bits < self.settings.rsa_bits) {
            return Some("it is shorter than RequiredRSASize".to_owned());
        }
        let name = if is_certified { algorithm.to_certificate_type() } else { algorithm.to_string() };
        (!self.allows(&name)).then(|| format!("PubkeyAcceptedAlgorithms does not have {name}"))
    }

    fn allows(&self, algorithm: &str) -> bool {
        self.settings.login_algorithms.as_ref().is_none_or(|list| list.iter().any(|name| name == algorithm))
    }

    /// The hash for RSA signatures; `None` where the server takes only SHA-1, which nobody should sign with.
    async fn rsa_hash(&self) -> Result<Option<HashAlg>, Error> {
        match self.handle.best_supported_rsa_hash().await {
            // Whoever takes the longer takes the shorter, too.
            Ok(Some(Some(HashAlg::Sha512))) if !self.allows("rsa-sha2-512") => Ok(Some(HashAlg::Sha256)),
            Ok(Some(hash)) => Ok(hash),
            // The server does not say; RFC 8332 makes SHA-256 the one to expect.
            Ok(None) => Ok(Some(HashAlg::Sha256)),
            Err(_) => Err(self.lost().await),
        }
    }
}

fn is_locked(holder: &Holder) -> bool {
    match holder {
        Holder::File(file) => file.is_locked(),
        Holder::Foreign(..) => true,
        Holder::Agent | Holder::Device => false,
    }
}

/// Signs for russh when the server would take a key.
struct Signing<'a> {
    holder: Holder,
    agent: Option<&'a mut Agent>,
    key: PublicKey,
    asker: &'a Asker,
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
enum SigningError {
    #[error(transparent)]
    Session(#[from] SendError),
    #[error(transparent)]
    Asking(Error),
    #[error("the key stays locked")]
    Unsigned,
    #[error(transparent)]
    Agent(russh::keys::Error),
    #[error(transparent)]
    Key(russh::keys::ssh_key::Error),
}

impl Signer for Signing<'_> {
    type Error = SigningError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SigningError> {
        match (&mut self.holder, &mut self.agent) {
            (Holder::File(file), _) => {
                let key = file.unlock(self.asker).await.map_err(SigningError::Asking)?;
                let key = key.ok_or(SigningError::Unsigned)?;
                key_file::sign(key, hash, to_sign).map_err(SigningError::Key)
            }
            (Holder::Agent, Some(agent)) => {
                let _standing = self.asker.clock().stop();
                agent.sign(&self.key, hash, to_sign).await.map_err(SigningError::Agent)
            }
            (Holder::Agent, None) | (Holder::Device | Holder::Foreign(..), _) => Err(SigningError::Unsigned),
        }
    }
}
