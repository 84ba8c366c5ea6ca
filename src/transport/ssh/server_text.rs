//! Text chosen by the server, made safe to show on a terminal.

/// The most of a text that is shown, in characters.
const LONGEST: usize = 4096;

/// Returns `text` with every control character but newline escaped, cut where it is longer than anybody reads.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(LONGEST));
    for c in text.chars().filter(|&c| c != '\r').take(LONGEST) {
        if c == '\n' || !(c.is_control() || is_direction_control(c)) {
            shown.push(c);
        } else {
            shown.extend(c.escape_default());
        }
    }
    shown
}

/// Characters that change the order in which others are shown, and so can disguise a text.
fn is_direction_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(visible("a\r\nb\x1b[31m\u{9b}"), "a\nb\\u{1b}[31m\\u{9b}");
        assert_eq!(visible("\u{202e}x"), "\\u{202e}x");
        assert_eq!(visible("Grüße"), "Grüße");
        assert_eq!(visible(&"x".repeat(9000)).len(), LONGEST);
    }
}
