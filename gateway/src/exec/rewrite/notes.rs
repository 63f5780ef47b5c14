//! The directory in gcc's coverage notes, which no flag changes.
//!
//! As gcc 12 and later write them: magic `gcno`, version, stamp and checksum, four bytes each, then
//! the directory as a length of four bytes, its zero byte included, and so many bytes. All numbers are
//! in the byte order of the compiler.

use super::{CWD, Rewrite};

const HEAD: usize = 16;

impl Rewrite {
    /// The notes with the client's directory; as they are where they are of another form.
    pub(in crate::exec) fn notes(&self, notes: &[u8]) -> Vec<u8> {
        self.with_directory(notes).unwrap_or_else(|| notes.to_vec())
    }

    fn with_directory(&self, notes: &[u8]) -> Option<Vec<u8>> {
        let (head, rest) = notes.split_at_checked(HEAD)?;
        let little = match &head[..4] {
            b"oncg" => true,
            b"gcno" => false,
            _ => return None,
        };
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = if little { u32::from_le_bytes(*length) } else { u32::from_be_bytes(*length) };
        let (directory, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        if directory.strip_suffix(b"\0")? != CWD.as_bytes() {
            return None;
        }
        let cwd = self.cwd.as_str();
        let length = u32::try_from(cwd.len() + 1).ok()?;
        let length = if little { length.to_le_bytes() } else { length.to_be_bytes() };
        Some([head, &length, cwd.as_bytes(), b"\0", rest].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::rewrite;

    #[test]
    fn notes_tell_the_clients_directory_and_others_stay_as_they_are() {
        let rewrite = rewrite("gcc -c a.c");
        let notes = b"oncg*22B\x01\x02\x03\x04\0\0\0\0\x0f\0\0\0/proc/self/cwd\0rest";
        let told = b"oncg*22B\x01\x02\x03\x04\0\0\0\0\x0c\0\0\0/home/u/src\0rest";
        assert_eq!(rewrite.notes(notes), told);
        for other in [
            &b""[..],
            b"oncg",
            &notes[..30],
            told,
            b"gcno*22B\x01\x02\x03\x04\0\0\0\0\xff\xff\xff\xff",
        ] {
            assert_eq!(rewrite.notes(other), other);
        }
    }
}
