//! How two contents differ, for a person who has to choose between them.

use crate::twoway::decide::Side;
use crate::twoway::run::Contents;
use similar::TextDiff;
use std::time::Duration;

/// The largest file that is compared, in bytes.
const MAX_SIZE: u64 = 1 << 20;
/// Lines shown.
const MAX_LINES: usize = 200;
/// How long a search for the shortest difference may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Lines around each change.
const CONTEXT: usize = 3;
/// A tab, of which a terminal would make what it likes.
const TAB: &str = "        ";

/// The lines in which the files of both sides differ, or a sentence that says why none are shown.
pub(super) fn diff(contents: &dyn Contents, names: [&str; 2]) -> String {
    let mut texts = [String::new(), String::new()];
    for (side, text) in Side::BOTH.into_iter().zip(&mut texts) {
        let mut bytes = Vec::new();
        match contents.fetch(side, MAX_SIZE, &mut bytes) {
            Ok(true) => {}
            Ok(false) => {
                return "What is there is too large to compare, is no file, or changed meanwhile.\n"
                    .to_owned();
            }
            Err(why) => return format!("It cannot be read: {why}\n"),
        }
        match String::from_utf8(bytes) {
            Ok(content) if !content.contains('\0') => *text = content,
            _ => return "Binary files differ.\n".to_owned(),
        }
    }
    let [left, right] = &texts;
    let [left_name, right_name] = names;
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(left.as_str(), right.as_str());
    let text = diff.unified_diff().context_radius(CONTEXT).header(left_name, right_name).to_string();
    let all = text.lines().count();
    let mut shown: String = text.lines().take(MAX_LINES).fold(String::new(), |mut shown, line| {
        shown.push_str(&line.replace('\t', TAB));
        shown.push('\n');
        shown
    });
    if all > MAX_LINES {
        shown.push_str(&format!("... and {} more lines\n", all.saturating_sub(MAX_LINES)));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::overseer::dialogue::scripted::Files;

    fn of(left: &'static [u8], right: &'static [u8]) -> String {
        diff(&Files { left: Some(left), right: Some(right), base: None }, ["one", "two"])
    }

    #[test]
    fn text_is_compared_by_lines() {
        assert_eq!(
            of(b"a\nb\tx\nc\n", b"a\nB\nc\n"),
            "--- one\n+++ two\n@@ -1,3 +1,3 @@\n a\n-b        x\n+B\n c\n"
        );
        assert!(of(b"a\r\n", b"a\n").contains("-a"), "line ends count");
    }

    #[test]
    fn what_cannot_be_shown_is_said_so() {
        assert_eq!(of(b"a\0", b"b"), "Binary files differ.\n");
        assert_eq!(of(b"a", b"\xff"), "Binary files differ.\n");
        let missing = Files { right: Some(b""), ..Files::NONE };
        assert!(diff(&missing, ["one", "two"]).contains("changed meanwhile"));
    }

    #[test]
    fn long_differences_are_cut() {
        let many: String = (0..1000).map(|line| format!("{line}\n")).collect();
        let text = of(Box::leak(many.into_boxed_str()).as_bytes(), b"");
        assert_eq!(text.lines().count(), MAX_LINES + 1);
        assert!(text.ends_with("... and 803 more lines\n"), "{text}");
    }
}
