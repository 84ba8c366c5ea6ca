//! `--conflict=ask`: one conflict at a time, on the terminal.

use crate::cli::output::conflicts::{Telling, versions};
use crate::cli::output::plan::kind;
use crate::cli::output::size::Numbers;
use crate::cli::output::{TwoWayStyle, moment::Clock};
use crate::cli::overseer::diff::diff;
use crate::cli::overseer::merge::are_files;
use crate::report::Prompter;
use crate::twoway::decide::Side;
use crate::twoway::policy::{Conflict, ConflictKind};
use crate::twoway::record::Record;
use crate::twoway::run::{Answer, Asked, Stopped};
use std::sync::{Arc, Mutex, PoisonError};

/// Asks about conflicts, and remembers what holds for all that are left.
pub(in crate::cli) struct Dialogue {
    prompter: Arc<dyn Prompter>,
    style: TwoWayStyle,
    numbers: Numbers,
    clock: Clock,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// What was chosen for all that remain.
    rest: Option<Choice>,
    /// Whether it was said that nobody can be asked.
    said: bool,
}

/// What may be chosen for one conflict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Choice {
    Left,
    Right,
    Both,
    Skip,
}

/// What was typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Typed {
    This(Choice),
    AllThatRemain(Choice),
    Diff,
    Quit,
    Help,
}

const PROMPT: &str = "l, r, b, s, d, a+..., q, or ? for help: ";

impl Dialogue {
    /// A dialogue about the conflicts of a run that is shown in this style.
    pub(in crate::cli) fn new(
        prompter: Arc<dyn Prompter>,
        style: TwoWayStyle,
        numbers: Numbers,
        clock: Clock,
    ) -> Dialogue {
        Dialogue { prompter, style, numbers, clock, memory: Mutex::default() }
    }

    /// Asks about a conflict. What is no question goes to `notice`.
    pub(super) fn resolve(&self, asked: &Asked<'_>, notice: &dyn Fn(String)) -> Result<Answer, Stopped> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(choice) = memory.rest {
            return Ok(choice.answer());
        }
        if !self.prompter.interactive() {
            if !std::mem::replace(&mut memory.said, true) {
                notice("there is no terminal to ask about conflicts on, so they are left".to_owned());
            }
            return Ok(Answer::Skip);
        }
        let mut text = self.introduction(asked);
        loop {
            let answer = self.prompter.line(&format!("{text}{PROMPT}"));
            let answer =
                answer.map_err(|error| Stopped(format!("asking about {}: {error}", asked.conflict.path)))?;
            let (choice, for_all) = match typed(&answer) {
                Some(Typed::This(choice)) => (choice, false),
                Some(Typed::AllThatRemain(choice)) => (choice, true),
                Some(Typed::Quit) => {
                    return Err(Stopped("ended as you asked".to_owned()));
                }
                Some(Typed::Diff) => {
                    text = self.difference(asked);
                    continue;
                }
                Some(Typed::Help) | None => {
                    text = self.help();
                    continue;
                }
            };
            if let Some(why) = choice.bar(&asked.conflict).filter(|_| !for_all) {
                text = format!("{why}\n");
                continue;
            }
            if for_all {
                memory.rest = Some(choice);
            }
            return Ok(choice.answer());
        }
    }

    fn introduction(&self, asked: &Asked<'_>) -> String {
        let Conflict { path, left, right, kind: about } = asked.conflict;
        let number = format!("{} of {}", self.numbers.count(asked.number), self.numbers.count(asked.count));
        let path = if path.is_root() { ".".to_owned() } else { path.to_string() };
        let telling = Telling {
            names: &self.style.names,
            numbers: self.numbers,
            clock: &self.clock,
            words: &[],
            asks: true,
        };
        format!(
            "\nConflict {number}: {path} ({})\n{}",
            kind(about, left, right),
            versions(left, right, about, &telling)
        )
    }

    fn difference(&self, asked: &Asked<'_>) -> String {
        if asked.conflict.kind == ConflictKind::Attributes || !are_files(&asked.conflict) {
            return "There are no two contents to compare.\n".to_owned();
        }
        diff(asked.contents, Side::BOTH.map(|side| self.style.names.of(side)))
    }

    fn help(&self) -> String {
        let [left, right] = Side::BOTH.map(|side| self.style.names.of(side));
        format!(
            "  l  take that of {left} on both sides\n  \
               r  take that of {right} on both sides\n  \
               b  keep both, one of them under another name\n  \
               s  skip: leave both as they are\n  \
               d  show how they differ\n  \
               al, ar, ab, as  the same for this and all that remain\n  \
               q  quit: nothing at all is done\n"
        )
    }
}

impl Choice {
    fn answer(self) -> Answer {
        match self {
            Choice::Left => Answer::Win(Side::Left),
            Choice::Right => Answer::Win(Side::Right),
            Choice::Both => Answer::KeepBoth,
            Choice::Skip => Answer::Skip,
        }
    }

    /// Why it would settle nothing, if that is so.
    fn bar(self, conflict: &Conflict<'_>) -> Option<&'static str> {
        let is_occupied = |record: &Record| record.occupied && !conflict.can_be_won();
        let has_to_go = match self {
            Choice::Left => is_occupied(conflict.right),
            Choice::Right => is_occupied(conflict.left),
            Choice::Both if !conflict.can_keep_both() => {
                return Some(
                    "There is no other name: a copy is not copied again, and no name has more than 255 bytes.",
                );
            }
            Choice::Both | Choice::Skip => false,
        };
        has_to_go.then_some("The directory there holds what takes no part, and cannot give up its name.")
    }
}

fn typed(answer: &str) -> Option<Typed> {
    let answer = answer.trim().to_ascii_lowercase();
    match answer.as_str() {
        "d" | "diff" => Some(Typed::Diff),
        "q" | "quit" => Some(Typed::Quit),
        "?" | "h" | "help" => Some(Typed::Help),
        other => match other.strip_prefix('a').map(|rest| rest.trim_start_matches("ll").trim_start()) {
            Some(rest) => choice(rest).map(Typed::AllThatRemain),
            None => choice(other).map(Typed::This),
        },
    }
}

fn choice(text: &str) -> Option<Choice> {
    Some(match text {
        "l" | "left" | "local" => Choice::Left,
        "r" | "right" | "remote" => Choice::Right,
        "b" | "both" => Choice::Both,
        "s" | "skip" => Choice::Skip,
        _ => return None,
    })
}

/// Conflicts, contents and answers from a script.
#[cfg(test)]
pub(super) mod scripted {
    use crate::report::Prompter;
    use crate::twoway::decide::Side;
    use crate::twoway::policy::{Conflict, Policy};
    use crate::twoway::reconcile::Why;
    use crate::twoway::run::{Asked, Contents};
    use crate::twoway::tests::plan_by;
    use std::collections::VecDeque;
    use std::io;
    use std::sync::Mutex;

    /// What each version of a file holds.
    pub(in crate::cli::overseer) struct Files {
        pub left: Option<&'static [u8]>,
        pub right: Option<&'static [u8]>,
        /// What both were made of, and which side has it.
        pub base: Option<(Side, &'static [u8])>,
    }

    impl Files {
        pub(in crate::cli::overseer) const NONE: Files = Files { left: None, right: None, base: None };
    }

    fn write(content: Option<&[u8]>, limit: u64, to: &mut dyn io::Write) -> Result<bool, String> {
        let content = content.filter(|content| u64::try_from(content.len()).unwrap() <= limit);
        content.map_or(Ok(false), |content| to.write_all(content).map(|()| true).map_err(|e| e.to_string()))
    }

    impl Contents for Files {
        fn fetch(&self, side: Side, limit: u64, to: &mut dyn io::Write) -> Result<bool, String> {
            let content = match side {
                Side::Left => self.left,
                Side::Right => self.right,
            };
            write(content, limit, to)
        }

        fn fetch_base(&self, side: Side, limit: u64, to: &mut dyn io::Write) -> Result<bool, String> {
            write(self.base.filter(|(of, _)| *of == side).map(|(_, base)| base), limit, to)
        }
    }

    /// Asks about the conflict between two edits of a tree that had `a=1 b=1`.
    pub(in crate::cli::overseer) fn conflict_of<R>(
        left: &str,
        right: &str,
        contents: &Files,
        ask: impl FnOnce(&Asked<'_>) -> R,
    ) -> R {
        let (plan, _) = plan_by(&Policy::Skip, "a=1 b=1", left, right);
        let conflicts = plan.steps.iter().find_map(|step| match step.why {
            Why::Conflict(kind) => Some((step, kind)),
            _ => None,
        });
        let (step, kind) = conflicts.unwrap();
        let (left, right) = (&step.before.left, &step.before.right);
        let conflict = Conflict { path: &step.path, left, right, kind };
        ask(&Asked { conflict, policy: &Policy::Ask, number: 3, count: 7, contents })
    }

    /// Somebody who types these lines and no more.
    pub(super) struct Typist {
        pub lines: Mutex<VecDeque<&'static str>>,
        pub seen: Mutex<String>,
        pub is_there: bool,
    }

    impl Prompter for Typist {
        fn interactive(&self) -> bool {
            self.is_there
        }

        fn confirm(&self, _: &str) -> io::Result<bool> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn secret(&self, _: &str) -> io::Result<String> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn line(&self, prompt: &str) -> io::Result<String> {
            self.seen.lock().unwrap().push_str(prompt);
            let line = self.lines.lock().unwrap().pop_front().ok_or(io::ErrorKind::UnexpectedEof)?;
            self.seen.lock().unwrap().push_str(&format!("{line}\n"));
            Ok(line.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::scripted::{Files, Typist, conflict_of};
    use super::*;
    use crate::cli::output::plan::{Names, Shown};

    const FILES: Files = Files { left: Some(b"2\n"), right: Some(b"3\n"), base: None };

    struct Scene {
        typist: Arc<Typist>,
        dialogue: Dialogue,
        notices: Mutex<Vec<String>>,
    }

    fn scene(lines: &[&'static str], is_there: bool) -> Scene {
        let lines = Mutex::new(lines.iter().copied().collect());
        let typist = Arc::new(Typist { lines, seen: Mutex::default(), is_there });
        let names = Names::new(b"notes/", b"nas:notes/");
        let style =
            TwoWayStyle { names, shown: Shown::No, says_in_sync: false, asks: true, words: Vec::new() };
        let dialogue = Dialogue::new(typist.clone(), style, Numbers::new(1), Clock::at(1));
        Scene { typist, dialogue, notices: Mutex::default() }
    }

    impl Scene {
        /// The answer about a conflict, in a word.
        fn ask(&self, left: &str, right: &str) -> String {
            let notice = |text| self.notices.lock().unwrap().push(text);
            conflict_of(left, right, &FILES, |asked| match self.dialogue.resolve(asked, &notice) {
                Ok(Answer::Skip) => "skip".to_owned(),
                Ok(Answer::Win(side)) => format!("{side:?}"),
                Ok(Answer::KeepBoth) => "both".to_owned(),
                Ok(Answer::Merged(_)) => "merged".to_owned(),
                Err(Stopped(why)) => why,
            })
        }
    }

    #[test]
    fn a_conflict_is_shown_and_settled() {
        let scene = scene(&["?", "d", "what", " R "], true);
        assert_eq!(scene.ask("a=2:600~100 b=1", "a=3~90 b=1"), "Right");
        let seen = scene.typist.seen.lock().unwrap();
        assert!(
            seen.starts_with("\nConflict 3 of 7: a (changed on both sides)\n  notes/      2 bytes  "),
            "{seen}"
        );
        for part in ["mode 0600\n", "  l  take that of notes/ on both sides\n", "-2\n+3\n"] {
            assert!(seen.contains(part), "{part:?} in {seen}");
        }
        assert_eq!(seen.matches(PROMPT).count(), 4);
    }

    #[test]
    fn each_key_is_one_answer() {
        for (line, expected) in
            [("l", "Left"), ("right", "Right"), ("b", "both"), ("s", "skip"), ("S", "skip")]
        {
            assert_eq!(scene(&[line], true).ask("a=2 b=1", "a=3 b=1"), expected, "{line}");
        }
    }

    #[test]
    fn an_answer_may_hold_for_all_that_remain() {
        for line in ["al", "a l", "all l", "all left", "aleft"] {
            let scene = scene(&[line], true);
            assert_eq!(scene.ask("a=2 b=1", "a=3 b=1"), "Left", "{line}");
            assert_eq!(scene.ask("a=1 b=2", "a=1 b=3"), "Left", "{line}");
        }
        let scene = scene(&["a", "all", "ax", "as"], true);
        assert_eq!(scene.ask("a=2 b=1", "a=3 b=1"), "skip");
        assert_eq!(scene.typist.lines.lock().unwrap().len(), 0);
    }

    #[test]
    fn to_quit_or_to_go_away_ends_the_run() {
        assert_eq!(scene(&["q"], true).ask("a=2 b=1", "a=3 b=1"), "ended as you asked");
        let gone = scene(&["?"], true).ask("a=2 b=1", "a=3 b=1");
        assert!(gone.starts_with("asking about a: "), "{gone}");
    }

    #[test]
    fn without_a_terminal_conflicts_are_left_and_that_is_said_once() {
        let scene = scene(&[], false);
        assert_eq!(scene.ask("a=2 b=1", "a=3 b=1"), "skip");
        assert_eq!(scene.ask("a=2 b=1", "a=3 b=1"), "skip");
        assert_eq!(scene.notices.lock().unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_file_has_no_difference() {
        let scene = scene(&["d", "l"], true);
        assert_eq!(scene.ask("a>x b=1", "a>y b=1"), "Left");
        let seen = scene.typist.seen.lock().unwrap();
        assert!(
            seen.contains("link to x") && seen.contains("There are no two contents to compare.\n"),
            "{seen}"
        );
    }
}
