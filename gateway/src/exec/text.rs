//! What a compiler prints, kept within bounds: its beginning, in which the first error is.

use bytes::Bytes;

/// Most bytes of stdout, and of stderr, in an answer. Thousands of errors fit in; more than that
/// scrolls by unread, and all of it would be held in memory here and at the client.
pub(super) const MAX_TEXT: u64 = 4 << 20;

/// A text of `size` bytes of which this is the beginning, or all: cut after a whole line, with a
/// word about it, when it is too long. Pure.
pub(super) fn cut(name: &str, text: Bytes, size: u64) -> Bytes {
    let most = usize::try_from(MAX_TEXT).unwrap_or(usize::MAX);
    if size <= MAX_TEXT && text.len() <= most {
        return text;
    }
    let start = &text[..text.len().min(most)];
    let end = start.iter().rposition(|byte| *byte == b'\n').map_or(start.len(), |at| at + 1);
    let note = format!("\n[goma: {name} has {size} bytes; the first {end} of them are above]\n");
    [&start[..end], note.as_bytes()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_after_a_line_and_says_so() {
        let short = Bytes::from_static(b"a.c:1: error\n");
        assert_eq!(cut("stderr", short.clone(), 13), short);
        let long = Bytes::from("0123456789 0123\n".repeat(300_000) + "end");
        let kept = cut("stderr", long.clone(), long.len() as u64);
        let kept = String::from_utf8(kept.to_vec()).expect("text");
        assert!(kept.len() < (4 << 20) + 200, "{}", kept.len());
        let note =
            "0123\n\n[goma: stderr has 4800003 bytes; the first 4194304 of them are above]\n";
        assert!(kept.ends_with(note), "{}", &kept[kept.len() - 100..]);
    }
}
