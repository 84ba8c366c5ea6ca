//! The SSH agent.

use std::io;
use std::path::Path;
use std::time::Duration;

use russh::client::Handle;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PublicKey};
use tokio::net::UnixStream;

use crate::transport::ssh::client::Client;

/// A connection to the agent.
pub(super) struct Agent {
    client: AgentClient<UnixStream>,
}

impl Agent {
    /// Connects to the agent at `socket`. Returns the keys and certificates that it holds with it. All of this within
    /// `limit`: an agent that hangs must not keep a login from what else there is.
    pub(super) async fn reach(
        socket: &Path,
        handle: &Handle<Client>,
        limit: Duration,
    ) -> Result<(Self, Vec<AgentIdentity>), russh::keys::Error> {
        let work = async {
            let mut agent = Self::connect(socket, handle).await?;
            let held = agent.client.request_identities().await?;
            Ok((agent, held))
        };
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            let reason = format!("it did not answer within {} seconds", limit.as_secs_f64());
            Err(io::Error::new(io::ErrorKind::TimedOut, reason).into())
        })
    }

    /// Connects and tells the agent which session its keys are for.
    async fn connect(socket: &Path, handle: &Handle<Client>) -> Result<Self, russh::keys::Error> {
        let mut client = AgentClient::connect_uds(socket).await?;
        if let Some(binding) = handle.agent_session_binding() {
            // Agents that do not know the extension answer with a failure, and need no binding.
            match client.bind_session(binding, false).await {
                Ok(()) | Err(russh::keys::Error::AgentFailure) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { client })
    }

    /// Returns `data` with the signature by `key` appended, as a login request carries it. For as long as it takes: an
    /// agent may ask its user to confirm, or to touch a device.
    pub(super) async fn sign(
        &mut self,
        key: &PublicKey,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, russh::keys::Error> {
        self.client.sign_request(&AgentIdentity::from(key.clone()), hash, data).await
    }
}
