//! The SSH agent.

use std::path::Path;

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
    /// Connects to the agent at `socket` and tells it which session its keys are for.
    pub(super) async fn connect(socket: &Path, handle: &Handle<Client>) -> Result<Self, russh::keys::Error> {
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

    /// Returns the keys and certificates the agent holds.
    pub(super) async fn identities(&mut self) -> Result<Vec<AgentIdentity>, russh::keys::Error> {
        self.client.request_identities().await
    }

    /// Returns `data` with the signature by `key` appended, as a login request carries it.
    pub(super) async fn sign(
        &mut self,
        key: &PublicKey,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, russh::keys::Error> {
        self.client.sign_request(&AgentIdentity::from(key.clone()), hash, data).await
    }
}
