//! Whether an answer is the right one, and what is wrong with it where it is not.

use std::sync::{Arc, OnceLock};

use goma_common::Digest;
use goma_proto::api::exec_result::Output;
use goma_proto::api::file_blob::BlobType;
use goma_proto::api::{ExecResp, ExecResult, FileBlob, LookupFileResp, StoreFileResp};
use prost::Message;

use crate::client;
use crate::http::Failure;

/// What a right answer holds.
#[derive(Clone, Debug)]
pub(crate) enum Expect {
    /// An object of this name, the same as in the first answer.
    Same(String, Arc<OnceLock<Digest>>),
    /// An object of this name with this text in it.
    Marked(String, String),
    /// What a compiler said, be it content or not.
    Result,
    /// An ExecResp, whatever it says: who asks for cached results alone may get none.
    Anything,
    /// These keys.
    Keys(Arc<[String]>),
    /// The files of these keys.
    Files(Arc<[String]>),
}

/// What an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// The server had the result already, or not.
    Right { cache_hit: bool },
    /// The server wants these inputs first.
    Missing(Vec<String>),
    /// Nothing that could be used.
    Wrong(Fault),
}

/// What is wrong with an answer, or with its absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// What it is counted as.
    pub(crate) kind: String,
    /// What more there is to say of this one.
    pub(crate) words: String,
}

/// Bytes of a fault's words: enough for a compiler's first error.
const WORDS: usize = 300;

impl Fault {
    pub(crate) fn new(kind: &str, words: impl std::fmt::Display) -> Self {
        let words = words.to_string();
        Self { kind: kind.to_owned(), words: words.trim().chars().take(WORDS).collect() }
    }
}

impl From<&Failure> for Fault {
    fn from(failure: &Failure) -> Self {
        let kind = match failure {
            Failure::Connect { .. } => "connect",
            Failure::Write(_) => "write",
            Failure::NoHeader => "closed",
            Failure::Silence { .. } => "timeout",
            Failure::Status { code, .. } => &format!("http_{code}"),
            Failure::Broken(_) => "broken",
            Failure::BadBody(_) => "bad_body",
            Failure::SwitchedOff => "switched_off",
        };
        Self::new(kind, failure)
    }
}

/// Judges the body of an answer of status 200.
pub(crate) fn check(expect: &Expect, body: &[u8]) -> Checked {
    match expect {
        Expect::Same(name, first) => check_exec(body, name, |object| {
            let digest = digest_of(object);
            *first.get_or_init(|| digest) == digest
        }),
        Expect::Marked(name, mark) => check_exec(body, name, |object| {
            // A blob of pieces cannot be looked into; no object of ours is that large.
            let content = object.content.as_deref().unwrap_or_default();
            content.windows(mark.len()).any(|window| window == mark.as_bytes())
        }),
        Expect::Result => match check_result(body) {
            Ok((_, cache_hit)) => Checked::Right { cache_hit },
            Err(checked) => checked,
        },
        Expect::Anything => match ExecResp::decode(body) {
            Ok(answer) => Checked::Right { cache_hit: answer.cache_hit.unwrap_or(0) != 0 },
            Err(error) => wrong("bad_message", error),
        },
        Expect::Keys(keys) => match StoreFileResp::decode(body) {
            Err(error) => wrong("bad_message", error),
            Ok(answer) if answer.hash_key == **keys => Checked::Right { cache_hit: false },
            Ok(answer) => wrong("wrong_keys", answer.hash_key.join(" ")),
        },
        Expect::Files(keys) => match LookupFileResp::decode(body) {
            Err(error) => wrong("bad_message", error),
            Ok(answer) if answer.blob.len() != keys.len() => {
                wrong("too_few_files", format!("{} of {}", answer.blob.len(), keys.len()))
            }
            Ok(answer) => {
                let mut pairs = keys.iter().zip(&answer.blob);
                match pairs.find_map(|(key, blob)| client::verify(key, blob).err()) {
                    None => Checked::Right { cache_hit: false },
                    Some(error) => wrong("wrong_file", error),
                }
            }
        },
    }
}

/// The result that an answer holds, and whether the server had it already.
fn check_result(body: &[u8]) -> Result<(ExecResult, bool), Checked> {
    let answer = ExecResp::decode(body).map_err(|error| wrong("bad_message", error))?;
    if !answer.missing_input.is_empty() {
        return Err(Checked::Missing(answer.missing_input));
    }
    if !answer.error_message.is_empty() {
        return Err(wrong("error_message", answer.error_message.join("; ")));
    }
    let cache_hit = answer.cache_hit.unwrap_or(0) != 0;
    let result = answer.result.filter(|result| result.exit_status.unwrap_or(-1) != -1);
    Ok((result.ok_or_else(|| wrong("no_result", ""))?, cache_hit))
}

fn check_exec(body: &[u8], name: &str, is_right: impl Fn(&FileBlob) -> bool) -> Checked {
    let (result, cache_hit) = match check_result(body) {
        Ok(result) => result,
        Err(checked) => return checked,
    };
    if result.exit_status != Some(0) {
        let stderr = result.stderr_buffer.as_deref().unwrap_or_default();
        let status = result.exit_status.unwrap_or(-1);
        return wrong("exit_status", format!("{status}: {}", String::from_utf8_lossy(stderr)));
    }
    let named = |output: &&Output| output.filename() == name;
    match result.output.iter().find(named).and_then(|output| output.blob.as_ref()) {
        None => wrong("no_output", name),
        Some(object) if is_right(object) => Checked::Right { cache_hit },
        Some(_) => wrong("wrong_output", name),
    }
}

fn wrong(kind: &str, words: impl std::fmt::Display) -> Checked {
    Checked::Wrong(Fault::new(kind, words))
}

/// Of the contents, or of the keys that stand for them.
fn digest_of(blob: &FileBlob) -> Digest {
    match blob.blob_type() {
        BlobType::File => Digest::of(blob.content.as_deref().unwrap_or_default()),
        _ => Digest::of(blob.hash_key.join(" ").as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use goma_common::FileKey;

    use super::*;

    fn file(content: &str) -> FileBlob {
        FileBlob {
            blob_type: Some(BlobType::File.into()),
            content: Some(content.to_owned().into()),
            file_size: i64::try_from(content.len()).ok(),
            ..Default::default()
        }
    }

    fn answer(name: &str, content: &str) -> ExecResp {
        let output = Output {
            filename: Some(name.to_owned()),
            blob: Some(file(content)),
            is_executable: None,
        };
        let result =
            ExecResult { exit_status: Some(0), output: vec![output], ..Default::default() };
        ExecResp { result: Some(result), cache_hit: Some(2), ..Default::default() }
    }

    /// As the check is of nothing but the kind, so is what it is compared with.
    fn kind(kind: &str) -> Checked {
        Checked::Wrong(Fault::new(kind, ""))
    }

    fn checked_body(expect: &Expect, body: &[u8]) -> Checked {
        match check(expect, body) {
            Checked::Wrong(fault) => kind(&fault.kind),
            checked => checked,
        }
    }

    fn checked(expect: &Expect, answer: &ExecResp) -> Checked {
        checked_body(expect, &answer.encode_to_vec())
    }

    #[test]
    fn a_fault_says_what_the_compiler_said() {
        let result = ExecResult {
            exit_status: Some(1),
            stderr_buffer: Some("a.c:1: error".into()),
            ..Default::default()
        };
        let answer = ExecResp { result: Some(result), ..Default::default() };
        let expect = Expect::Marked("a.o".into(), "m".into());
        let fault = Fault { kind: "exit_status".into(), words: "1: a.c:1: error".into() };
        assert_eq!(check(&expect, &answer.encode_to_vec()), Checked::Wrong(fault));
    }

    #[test]
    fn failed_calls_have_kinds_by_what_the_client_saw() {
        let kind = |failure: &Failure| Fault::from(failure).kind;
        assert_eq!(kind(&Failure::Status { code: 503, words: String::new() }), "http_503");
        assert_eq!(kind(&Failure::NoHeader), "closed");
        let silence = Failure::Silence { seconds: 1, after_first_byte: false };
        assert_eq!(kind(&silence), "timeout");
    }

    #[test]
    fn all_answers_must_be_as_the_first() {
        let expect = Expect::Same("a.o".into(), Arc::default());
        let right = Checked::Right { cache_hit: true };
        assert_eq!(checked(&expect, &answer("a.o", "object")), right);
        assert_eq!(checked(&expect, &answer("a.o", "object")), right);
        assert_eq!(checked(&expect, &answer("a.o", "other")), kind("wrong_output"));
        assert_eq!(checked(&expect, &answer("b.o", "object")), kind("no_output"));
    }

    #[test]
    fn an_object_of_a_new_source_holds_its_mark() {
        let expect = Expect::Marked("a.o".into(), "mark 7".into());
        assert!(matches!(checked(&expect, &answer("a.o", "x mark 7 y")), Checked::Right { .. }));
        assert_eq!(checked(&expect, &answer("a.o", "x mark 8 y")), kind("wrong_output"));
    }

    #[test]
    fn an_answer_without_a_good_result_is_wrong_whatever_else_it_holds() {
        let expect = Expect::Same("a.o".into(), Arc::default());
        let with = |change: fn(&mut ExecResp)| {
            let mut answer = answer("a.o", "object");
            change(&mut answer);
            checked(&expect, &answer)
        };
        assert_eq!(
            with(|a| a.missing_input = vec!["h".into()]),
            Checked::Missing(vec!["h".into()])
        );
        let lacking = ExecResp { missing_input: vec!["h".into()], ..Default::default() };
        let said = checked(&Expect::Anything, &lacking);
        assert_eq!(said, Checked::Right { cache_hit: false });
        assert_eq!(with(|a| a.error_message = vec!["e".into()]), kind("error_message"));
        assert_eq!(with(|a| a.result = None), kind("no_result"));
        let failed = |a: &mut ExecResp| {
            a.result = a.result.take().map(|r| ExecResult { exit_status: Some(1), ..r });
        };
        assert_eq!(with(failed), kind("exit_status"));
        let mut refused = answer("a.o", "object");
        failed(&mut refused);
        let said = checked(&Expect::Result, &refused);
        assert_eq!(said, Checked::Right { cache_hit: true }, "a result all the same");
        assert_eq!(checked_body(&expect, b"\xff"), kind("bad_message"));
        assert_eq!(checked_body(&expect, b""), kind("no_result"), "an empty body");
    }

    #[test]
    fn stored_and_looked_up_files_are_known_by_their_keys() {
        let keys: Arc<[String]> = Arc::new([FileKey::of_file(b"abc").hex()]);
        let stored = |key: String| StoreFileResp { hash_key: vec![key] }.encode_to_vec();
        let expect = Expect::Keys(Arc::clone(&keys));
        assert!(matches!(checked_body(&expect, &stored(keys[0].clone())), Checked::Right { .. }));
        assert_eq!(checked_body(&expect, &stored(String::new())), kind("wrong_keys"));
        let found = |blob| LookupFileResp { blob }.encode_to_vec();
        let expect = Expect::Files(keys);
        assert!(matches!(checked_body(&expect, &found(vec![file("abc")])), Checked::Right { .. }));
        assert_eq!(checked_body(&expect, &found(vec![file("abd")])), kind("wrong_file"));
        assert_eq!(checked_body(&expect, &found(Vec::new())), kind("too_few_files"));
    }
}
