//! A login that came to nothing: what was tried and what it cost, as messages and the rules for another try need it.

use std::fmt;
use std::path::PathBuf;

use crate::transport::error::MORE_BY_SSH;

/// What a login has cost: of the user, or of the tries that a server allows before it locks the user out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Whether anything was asked of the user.
    pub asked: bool,
    /// Whether the server has refused a password, a key, or another way to log in.
    pub refused: bool,
}

impl Spent {
    /// Whether it may be done again without a word to the user: it has cost nothing.
    pub(super) fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// How a login was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The host name.
    pub host: String,
    /// The login name.
    pub user: String,
    /// What was tried, in order.
    pub tried: Vec<String>,
    /// What might have been tried, and why it was not.
    pub untried: Vec<String>,
    /// The methods the server still accepts.
    pub accepted: Vec<String>,
    /// Why nobody could be asked anything, where that is so.
    pub unasked: Option<&'static str>,
    /// Whether anything was asked of the user.
    pub asked: bool,
    /// Whether the configuration turns off all that the server still accepts, or all that takes no question where none
    /// can be asked.
    pub turned_off: bool,
    /// Why the `ssh` program may succeed, as a clause, if nothing was asked of anybody.
    pub beyond: Option<String>,
    /// A key file that only the `ssh` program reads.
    pub unread: Option<PathBuf>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, user, tried, untried, accepted, .. } = self;
        let accepted = if accepted.is_empty() { "nothing more".to_owned() } else { accepted.join(", ") };
        write!(f, "{host} refused to log in {user:?} ({}); it accepts {accepted}", attempts(tried, untried))
    }
}

impl Refusal {
    pub(super) fn hint(&self) -> String {
        let text = match self {
            Self { unread: Some(file), .. } => {
                let file = file.display();
                return format!(
                    "Write the key in a form that is read, with ssh-keygen -p -f {file}, or use --ssh=external."
                );
            }
            Self { beyond: Some(_), .. } => MORE_BY_SSH,
            Self { turned_off: true, .. } => {
                "The SSH configuration has to allow what the host accepts: PubkeyAuthentication, \
                 PasswordAuthentication, KbdInteractiveAuthentication, PreferredAuthentications."
            }
            Self { unasked: Some(_), accepted, .. } if !accepted.is_empty() => {
                "Offer a key that the host knows and that needs no question, from a file or the agent, or run \
                 this where questions can be asked."
            }
            _ => "Check the login name, that the right key is offered, and that the agent holds it.",
        };
        text.to_owned()
    }
}

/// What was tried by the time a login ended, as a clause.
pub(super) fn so_far(tried: &[String]) -> String {
    if tried.is_empty() { "nothing tried yet".to_owned() } else { attempts(tried, &[]) }
}

fn attempts(tried: &[String], untried: &[String]) -> String {
    let tried =
        if tried.is_empty() { "nothing to try".to_owned() } else { format!("tried {}", tried.join(", ")) };
    if untried.is_empty() { tried } else { format!("{tried}; not tried: {}", untried.join(", ")) }
}
