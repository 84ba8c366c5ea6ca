//! The methods in which the user types: keyboard-interactive (RFC 4256) and password (RFC 4252, section 8).

use russh::client::{KeyboardInteractiveAuthResponse, Prompt};

use crate::transport::Error;
use crate::transport::ssh::auth::{Login, Outcome};
use crate::transport::ssh::server_text::visible;

/// The most rounds of questions a server may ask in one dialogue.
const MAX_ROUNDS: usize = 32;

impl Login<'_> {
    pub(super) async fn try_passwords(&mut self) -> Result<Outcome, Error> {
        let mut outcome = Outcome::Refused(None);
        if self.cannot_ask_for("password") {
            return Ok(outcome);
        }
        for _ in 0..self.settings.password_prompts {
            let prompt = format!("{}'s password: ", self.settings.who());
            let password = self.asker.secret("the password", prompt).await?;
            self.note_tried("password");
            let result = self.handle.authenticate_password(self.settings.user.clone(), password).await;
            outcome = self.outcome(result).await?;
            if !self.goes_on(&outcome, russh::MethodKind::Password) {
                break;
            }
        }
        Ok(outcome)
    }

    pub(super) async fn try_dialogue(&mut self) -> Result<Outcome, Error> {
        let mut outcome = Outcome::Refused(None);
        if self.cannot_ask_for("keyboard-interactive") {
            return Ok(outcome);
        }
        for _ in 0..self.settings.password_prompts {
            self.note_tried("keyboard-interactive");
            outcome = self.dialogue().await?;
            if !self.goes_on(&outcome, russh::MethodKind::KeyboardInteractive) {
                break;
            }
        }
        Ok(outcome)
    }

    async fn dialogue(&mut self) -> Result<Outcome, Error> {
        let user = self.settings.user.clone();
        let started = self.handle.authenticate_keyboard_interactive_start(user, None).await;
        let Ok(mut response) = started else { return Err(self.lost().await) };
        for _ in 0..MAX_ROUNDS {
            let KeyboardInteractiveAuthResponse::InfoRequest { name, instructions, prompts } = response
            else {
                return self.dialogue_outcome(response).await;
            };
            let answers = self.answer(&name, &instructions, prompts).await?;
            let answered = self.handle.authenticate_keyboard_interactive_respond(answers).await;
            let Ok(next) = answered else { return Err(self.lost().await) };
            response = next;
        }
        Err(self.ended("the server asks questions without end".to_owned(), true))
    }

    async fn answer(
        &mut self,
        name: &str,
        instructions: &str,
        prompts: Vec<Prompt>,
    ) -> Result<Vec<String>, Error> {
        let heading = [name, instructions]
            .iter()
            .filter(|text| !text.trim().is_empty())
            .map(|text| format!("{}\n", visible(text.trim_end())))
            .collect::<String>();
        let mut answers = Vec::with_capacity(prompts.len());
        for (index, prompt) in prompts.into_iter().enumerate() {
            let heading = if index == 0 { heading.as_str() } else { "" };
            let text = format!("{heading}({}) {}", self.settings.who(), visible(&prompt.prompt));
            let what = "an answer to the server";
            answers.push(match prompt.echo {
                true => self.asker.line(what, text).await?,
                false => self.asker.secret(what, text).await?,
            });
        }
        Ok(answers)
    }

    fn note_tried(&mut self, what: &str) {
        self.telling.step(|| format!("trying {what}"));
        if self.tried.last().is_none_or(|last| last != what) {
            self.tried.push(what.to_owned());
        }
    }

    /// Whether a refused method may be tried again.
    fn goes_on(&self, outcome: &Outcome, kind: russh::MethodKind) -> bool {
        matches!(outcome, Outcome::Refused(Some(methods)) if methods.contains(&kind))
    }
}
