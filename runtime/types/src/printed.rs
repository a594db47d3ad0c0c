//! Texts as they are printed. Whoever made a call, a contract, a checkpoint or a file chose every character of its texts: a line feed in one would
//! begin a line of its own, which nobody could tell from those of the program; an escape sequence would command the terminal; a mark of direction
//! would show the rest in another order.

use alloc::borrow::Cow;
use alloc::{format, string::String};

/// Control characters (C0, DEL, C1), line and paragraph separators, and the characters that change the direction of what follows (UAX #9).
fn commands(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text on one line, in which every such character is written as JSON writes it: `\n`, `\r`, `\t`, `\u001b`. A backslash stays as it is, so that a
/// text that was escaped is not changed again. A JSON text on one line stays the same JSON.
///
/// ```
/// assert_eq!(chancery_types::printed::escaped("bakery\noutcome: done"), r"bakery\noutcome: done");
/// ```
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(commands) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if commands(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_is_escaped_and_nothing_else() {
        for c in (0..=0x10ffff).filter_map(char::from_u32) {
            let text = String::from(c);
            let listed = matches!(u32::from(c), 0..0x20 | 0x7f..0xa0 | 0x61c | 0x200e..=0x200f | 0x2028..=0x202e | 0x2066..=0x2069);
            let shown = escaped(&text);
            assert_eq!(shown != text, listed, "U+{:04X}", u32::from(c));
            assert_eq!(escaped(&shown), shown);
            // As JSON writes it.
            let json = serde_json::from_str::<String>(&format!("\"{shown}\""));
            assert!(!listed || json.is_ok_and(|read| read == text), "{shown}");
        }
        assert_eq!(escaped("a\n\x1b[31m\u{202e}b\u{9b}é"), "a\\n\\u001b[31m\\u202eb\\u009bé");
    }
}
