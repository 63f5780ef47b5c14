//! gcc's notes of coverage, but for the words that are made of how names were spelled.

/// In front of the directory: magic, version, stamp and checksum.
const HEAD: usize = 16;
/// What a function's record begins with.
const FUNCTION: u32 = 0x0100_0000;

/// The notes with zeros for each function's number, into which the name of the object goes where the
/// function is static, and for the checksum of its lines, into which that of the source goes.
///
/// As gcc 12 writes them on x86: lengths in bytes, the directory and a flag, then records of tag, length
/// and so many bytes; a function's begins with these two words.
pub(crate) fn without_checksums(mut notes: Vec<u8>) -> Vec<u8> {
    let word = |notes: &[u8], at: usize| {
        let bytes = notes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_le_bytes)
    };
    assert_eq!(notes.get(..4), Some(&b"oncg"[..]), "no notes");
    let directory = word(&notes, HEAD).expect("a length") as usize;
    let mut at = HEAD + 4 + directory + 4;
    let mut functions = 0;
    while let (Some(tag), Some(length)) = (word(&notes, at), word(&notes, at + 4)) {
        if tag == FUNCTION {
            notes[at + 8..at + 16].fill(0);
            functions += 1;
        }
        at += 8 + length as usize;
    }
    assert!(functions > 0, "no function in the notes");
    notes
}
