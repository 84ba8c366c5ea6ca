//! Logging in, with whatever the server asks for and the user has.
//!
//! The server is asked with `none` first, which tells what it accepts. Then the methods are tried in the
//! configuration's order; after a partial success, where a server wants several, the order starts again with what it
//! wants next. Nothing is asked of a user who is not there.

use std::path::PathBuf;
use std::time::Duration;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::ssh_key::public::KeyData;
use russh::{MethodKind, MethodSet};

use crate::transport::Error;
use crate::transport::refusal::Refusal;
use crate::transport::ssh::ask::Asker;
use crate::transport::ssh::client::{Client, Doubt, LossReason, NO_METHOD_LEFT};
use crate::transport::ssh::settings::{Method, Settings};
use crate::transport::ssh::telling::Telling;

mod agent;
mod form;
mod identity;
mod key_file;
mod public_key;
mod typed;

/// The most methods a server may want one after the other.
const MAX_STEPS: usize = 8;

/// Logs in on a fresh session. Where that `may_leave` the rest to the `ssh` program, no password is asked for that a
/// key might spare which only that program can use. The agent has to tell what it holds within `agent_limit`.
///
/// # Errors
/// When every way is refused, the session ends, or the user does not answer a question.
pub(super) async fn log_in(
    handle: &mut Handle<Client>,
    settings: &Settings,
    asker: &Asker,
    (loss, doubt): (&LossReason, &Doubt),
    telling: &Telling,
    may_leave: bool,
    agent_limit: Duration,
) -> Result<(), Error> {
    let mut login = Login {
        handle,
        settings,
        asker,
        loss,
        doubt,
        telling,
        tried: Vec::new(),
        untried: Vec::new(),
        beyond: None,
        unread: None,
        may_leave,
        agent_limit,
        agent_failed: false,
        used_keys: Vec::new(),
    };
    login.run().await
}

/// A login under way.
struct Login<'a> {
    handle: &'a mut Handle<Client>,
    settings: &'a Settings,
    asker: &'a Asker,
    loss: &'a LossReason,
    doubt: &'a Doubt,
    telling: &'a Telling,
    /// What was tried, for the message if all fails.
    tried: Vec<String>,
    /// What might have been tried, and why it was not.
    untried: Vec<String>,
    /// Why the `ssh` program may succeed, as a clause.
    beyond: Option<String>,
    /// A key file that only the `ssh` program reads.
    unread: Option<PathBuf>,
    /// Whether the `ssh` program is there to do what is beyond this client.
    may_leave: bool,
    /// How long the agent may take to tell what it holds.
    agent_limit: Duration,
    agent_failed: bool,
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
        let mut accepted = match self.outcome(result).await? {
            Outcome::Accepted => return Ok(()),
            Outcome::Partly(methods) | Outcome::Refused(Some(methods)) => methods,
            Outcome::Refused(None) => MethodSet::empty(),
        };
        for _ in 0..MAX_STEPS {
            self.telling.step(|| format!("the server accepts {}", names_of(&accepted).join(", ")));
            match self.step(&mut accepted).await? {
                Outcome::Accepted => {
                    self.telling.step(|| format!("logged in as {}", self.settings.who()));
                    return Ok(());
                }
                Outcome::Partly(methods) => accepted = methods,
                Outcome::Refused(_) => break,
            }
        }
        self.note_other_methods(&accepted);
        Err(Error::Authentication(Box::new(Refusal {
            host: self.settings.hostname.clone(),
            user: self.settings.user.clone(),
            tried: std::mem::take(&mut self.tried),
            untried: std::mem::take(&mut self.untried),
            accepted: names_of(&accepted),
            unasked: self.asker.why_not(),
            asked: self.asker.has_asked(),
            turned_off: self.turns_off_all(&accepted),
            beyond: self.beyond.take().filter(|_| !self.asker.has_asked()),
            unread: self.unread.take(),
        })))
    }

    /// Notes which of the methods that the server accepts the configuration turns off or the client does not do.
    fn note_other_methods(&mut self, accepted: &MethodSet) {
        for name in names_of(accepted) {
            let host = &self.settings.hostname;
            if let Some(method) = Method::ALL.into_iter().find(|method| method.name() == name) {
                if !self.settings.methods.contains(&method) {
                    self.untried.push(format!("{name} (turned off by the configuration)"));
                }
            } else if self.settings.other_methods.iter().any(|&other| other == name) {
                self.untried.push(format!("{name} (which this client does not do)"));
                self.beyond.get_or_insert(format!(
                    "{host} accepts {name}, and nothing else lets {} in",
                    self.settings.user
                ));
            }
        }
    }

    /// Whether the configuration turns off all that the server accepts, or all of it that takes no question where none
    /// can be asked.
    fn turns_off_all(&self, accepted: &MethodSet) -> bool {
        let is_off = |kind: &MethodKind| {
            let method = Method::ALL.into_iter().find(|&method| kind_of(method) == *kind);
            method.is_some_and(|method| !self.settings.methods.contains(&method))
        };
        let keys = MethodKind::PublicKey;
        let all = !accepted.is_empty() && accepted.iter().all(is_off);
        all || !self.asker.can_ask() && accepted.contains(&keys) && is_off(&keys)
    }

    /// Notes what was not tried because it takes an answer, and nobody can be asked. Returns whether that is so.
    fn cannot_ask_for(&mut self, what: &str) -> bool {
        let reason = match (self.doubt.is_there(), self.asker.why_not()) {
            (true, _) => Some("the host's key is not the known one"),
            (false, reason) => reason,
        };
        let Some(reason) = reason else { return false };
        let text = format!("{what} ({reason})");
        if !self.untried.contains(&text) {
            self.untried.push(text);
        }
        true
    }

    /// Tries the methods in order until one is accepted.
    async fn step(&mut self, accepted: &mut MethodSet) -> Result<Outcome, Error> {
        for &method in &self.settings.methods {
            if !accepted.contains(&kind_of(method)) {
                continue;
            }
            let asks = method != Method::PublicKey;
            if asks && self.may_leave && self.beyond.is_some() && !self.asker.has_asked() {
                break;
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
    async fn outcome(&self, result: Result<AuthResult, russh::Error>) -> Result<Outcome, Error> {
        match result {
            Ok(AuthResult::Success) => Ok(Outcome::Accepted),
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                self.refusal(remaining_methods, partial_success).await
            }
            Err(_) => Err(self.lost().await),
        }
    }

    async fn dialogue_outcome(&self, response: KeyboardInteractiveAuthResponse) -> Result<Outcome, Error> {
        match response {
            KeyboardInteractiveAuthResponse::Success => Ok(Outcome::Accepted),
            KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                self.refusal(remaining_methods, partial_success).await
            }
            KeyboardInteractiveAuthResponse::InfoRequest { .. } => Ok(Outcome::Refused(None)),
        }
    }

    async fn refusal(&self, methods: MethodSet, partly: bool) -> Result<Outcome, Error> {
        // russh answers with an empty list once the session has ended, whatever ended it.
        if methods.is_empty() && self.loss.noted().is_some_and(|reason| reason != NO_METHOD_LEFT) {
            return Err(self.lost().await);
        }
        if partly {
            return Ok(Outcome::Partly(methods));
        }
        // Whoever tries nothing is refused, too: that is how the server is asked what it accepts.
        if !self.tried.is_empty() {
            self.asker.note_refusal();
        }
        Ok(Outcome::Refused(Some(methods)))
    }

    async fn lost(&self) -> Error {
        self.loss.settled().await;
        let reason = self.loss.get();
        if self.tried.is_empty() && !self.asker.has_asked() {
            return Error::Lost { host: self.settings.hostname.clone(), reason };
        }
        self.ended(reason, self.loss.is_meant())
    }

    fn ended(&self, reason: String, meant: bool) -> Error {
        Error::LoginEnded {
            host: self.settings.hostname.clone(),
            user: self.settings.user.clone(),
            tried: self.tried.clone(),
            reason,
            meant,
            spent: self.asker.spent(),
        }
    }
}

fn names_of(methods: &MethodSet) -> Vec<String> {
    methods.iter().map(|kind| <&str>::from(kind).to_owned()).collect()
}

fn kind_of(method: Method) -> MethodKind {
    match method {
        Method::PublicKey => MethodKind::PublicKey,
        Method::KeyboardInteractive => MethodKind::KeyboardInteractive,
        Method::Password => MethodKind::Password,
    }
}
