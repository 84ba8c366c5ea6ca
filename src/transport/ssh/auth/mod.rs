//! Logging in, with whatever the server asks for and the user has.
//!
//! The server is asked with `none` first, which tells what it accepts. Then the methods are tried in the
//! configuration's order; after a partial success, where a server wants several, the order starts again with what it
//! wants next. Nothing is asked of a user who is not there.

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::ssh_key::public::KeyData;
use russh::{MethodKind, MethodSet};

use crate::transport::ssh::ask::Asker;
use crate::transport::ssh::client::{Client, LossReason, NO_METHOD_LEFT};
use crate::transport::ssh::settings::{Method, Settings};
use crate::transport::{Error, NoticeSink};

mod agent;
mod identity;
mod key_file;
mod public_key;
mod typed;

/// The most methods a server may want one after the other.
const MAX_STEPS: usize = 8;

/// Logs in on a fresh session.
///
/// # Errors
/// When every way is refused, the session ends, or the user does not answer a question.
pub(super) async fn log_in(
    handle: &mut Handle<Client>,
    settings: &Settings,
    asker: &Asker,
    loss: &LossReason,
    on_notice: &NoticeSink,
) -> Result<(), Error> {
    let mut login =
        Login { handle, settings, asker, loss, on_notice, tried: Vec::new(), used_keys: Vec::new() };
    login.run().await
}

/// A login under way.
struct Login<'a> {
    handle: &'a mut Handle<Client>,
    settings: &'a Settings,
    asker: &'a Asker,
    loss: &'a LossReason,
    on_notice: &'a NoticeSink,
    /// What was tried, for the message if all fails.
    tried: Vec<String>,
    /// Keys that were accepted as one step of several; a server wants another key in the next.
    used_keys: Vec<KeyData>,
}

/// How an attempt ended.
enum Outcome {
    Accepted,
    /// Accepted as one step; the server goes on with these methods.
    Partly(MethodSet),
    /// Refused; the server accepts these methods. `None` when nothing was sent.
    Refused(Option<MethodSet>),
}

impl Login<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        let user = self.settings.user.clone();
        let result = self.handle.authenticate_none(user).await;
        let mut accepted = match self.outcome(result)? {
            Outcome::Accepted => return Ok(()),
            Outcome::Partly(methods) | Outcome::Refused(Some(methods)) => methods,
            Outcome::Refused(None) => MethodSet::empty(),
        };
        for _ in 0..MAX_STEPS {
            match self.step(&mut accepted).await? {
                Outcome::Accepted => return Ok(()),
                Outcome::Partly(methods) => accepted = methods,
                Outcome::Refused(_) => break,
            }
        }
        Err(Error::Authentication {
            host: self.settings.hostname.clone(),
            user: self.settings.user.clone(),
            tried: std::mem::take(&mut self.tried),
            accepted: accepted.iter().map(|&kind| <&str>::from(&kind).to_owned()).collect(),
        })
    }

    /// Tries the methods in order until one is accepted.
    async fn step(&mut self, accepted: &mut MethodSet) -> Result<Outcome, Error> {
        for &method in &self.settings.methods {
            if !accepted.contains(&kind_of(method)) {
                continue;
            }
            let outcome = match method {
                Method::PublicKey => self.try_keys().await?,
                Method::KeyboardInteractive => self.try_dialogue().await?,
                Method::Password => self.try_passwords().await?,
            };
            match outcome {
                Outcome::Refused(Some(methods)) => *accepted = methods,
                Outcome::Refused(None) => {}
                done => return Ok(done),
            }
        }
        Ok(Outcome::Refused(None))
    }

    /// Reads an answer of russh's; an error means the session is over.
    fn outcome(&self, result: Result<AuthResult, russh::Error>) -> Result<Outcome, Error> {
        match result {
            Ok(AuthResult::Success) => Ok(Outcome::Accepted),
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                self.refusal(remaining_methods, partial_success)
            }
            Err(_) => Err(self.lost()),
        }
    }

    fn dialogue_outcome(&self, response: KeyboardInteractiveAuthResponse) -> Result<Outcome, Error> {
        match response {
            KeyboardInteractiveAuthResponse::Success => Ok(Outcome::Accepted),
            KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                self.refusal(remaining_methods, partial_success)
            }
            KeyboardInteractiveAuthResponse::InfoRequest { .. } => Ok(Outcome::Refused(None)),
        }
    }

    fn refusal(&self, methods: MethodSet, partly: bool) -> Result<Outcome, Error> {
        // russh answers with an empty list once the session has ended, whatever ended it.
        if methods.is_empty() && self.loss.noted().is_some_and(|reason| reason != NO_METHOD_LEFT) {
            return Err(self.lost());
        }
        Ok(if partly { Outcome::Partly(methods) } else { Outcome::Refused(Some(methods)) })
    }

    fn lost(&self) -> Error {
        let mut reason = self.loss.get();
        if !self.tried.is_empty() {
            reason = format!("{reason}, after trying {}", self.tried.join(", "));
        }
        Error::Lost { host: self.settings.hostname.clone(), reason }
    }

    /// The login as prompts name it.
    fn who(&self) -> String {
        format!("{}@{}", self.settings.user, self.settings.hostname)
    }
}

fn kind_of(method: Method) -> MethodKind {
    match method {
        Method::PublicKey => MethodKind::PublicKey,
        Method::KeyboardInteractive => MethodKind::KeyboardInteractive,
        Method::Password => MethodKind::Password,
    }
}
