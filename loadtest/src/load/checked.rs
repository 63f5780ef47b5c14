//! Whether an answer is the right one, and what is wrong with it where it is not.

use std::sync::{Arc, OnceLock};

use goma_common::Digest;
use goma_proto::api::exec_result::Output;
use goma_proto::api::file_blob::BlobType;
use goma_proto::api::{ExecResp, FileBlob, LookupFileResp, StoreFileResp};
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
    /// Of this kind.
    Wrong(&'static str),
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
        Expect::Keys(keys) => match StoreFileResp::decode(body) {
            Err(_) => Checked::Wrong("bad_message"),
            Ok(answer) if answer.hash_key == **keys => Checked::Right { cache_hit: false },
            Ok(_) => Checked::Wrong("wrong_keys"),
        },
        Expect::Files(keys) => match LookupFileResp::decode(body) {
            Err(_) => Checked::Wrong("bad_message"),
            Ok(answer) if answer.blob.len() != keys.len() => Checked::Wrong("too_few_files"),
            Ok(answer) => {
                let mut pairs = keys.iter().zip(&answer.blob);
                match pairs.all(|(key, blob)| client::verify(key, blob).is_ok()) {
                    true => Checked::Right { cache_hit: false },
                    false => Checked::Wrong("wrong_file"),
                }
            }
        },
    }
}

fn check_exec(body: &[u8], name: &str, is_right: impl Fn(&FileBlob) -> bool) -> Checked {
    let Ok(answer) = ExecResp::decode(body) else { return Checked::Wrong("bad_message") };
    if !answer.missing_input.is_empty() {
        return Checked::Missing(answer.missing_input);
    }
    if !answer.error_message.is_empty() {
        return Checked::Wrong("error_message");
    }
    let cache_hit = answer.cache_hit.unwrap_or(0) != 0;
    let Some(result) = answer.result else { return Checked::Wrong("no_result") };
    if result.exit_status != Some(0) {
        return Checked::Wrong("exit_status");
    }
    let named = |output: &&Output| output.filename() == name;
    match result.output.iter().find(named).and_then(|output| output.blob.as_ref()) {
        None => Checked::Wrong("no_output"),
        Some(object) if is_right(object) => Checked::Right { cache_hit },
        Some(_) => Checked::Wrong("wrong_output"),
    }
}

/// Of the contents, or of the keys that stand for them.
fn digest_of(blob: &FileBlob) -> Digest {
    match blob.blob_type() {
        BlobType::File => Digest::of(blob.content.as_deref().unwrap_or_default()),
        _ => Digest::of(blob.hash_key.join(" ").as_bytes()),
    }
}

/// The kind of a call that failed.
pub(crate) fn kind_of(failure: &Failure) -> String {
    match failure {
        Failure::Connect { .. } => "connect".to_owned(),
        Failure::Write(_) => "write".to_owned(),
        Failure::NoHeader => "closed".to_owned(),
        Failure::Silence { .. } => "timeout".to_owned(),
        Failure::Status { code, .. } => format!("http_{code}"),
        Failure::Broken(_) => "broken".to_owned(),
        Failure::BadBody(_) => "bad_body".to_owned(),
        Failure::SwitchedOff => "switched_off".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use goma_common::FileKey;
    use goma_proto::api::ExecResult;

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

    fn checked(expect: &Expect, answer: &ExecResp) -> Checked {
        check(expect, &answer.encode_to_vec())
    }

    #[test]
    fn all_answers_must_be_as_the_first() {
        let expect = Expect::Same("a.o".into(), Arc::default());
        let right = Checked::Right { cache_hit: true };
        assert_eq!(checked(&expect, &answer("a.o", "object")), right);
        assert_eq!(checked(&expect, &answer("a.o", "object")), right);
        assert_eq!(checked(&expect, &answer("a.o", "other")), Checked::Wrong("wrong_output"));
        assert_eq!(checked(&expect, &answer("b.o", "object")), Checked::Wrong("no_output"));
    }

    #[test]
    fn an_object_of_a_new_source_holds_its_mark() {
        let expect = Expect::Marked("a.o".into(), "mark 7".into());
        assert!(matches!(checked(&expect, &answer("a.o", "x mark 7 y")), Checked::Right { .. }));
        assert_eq!(checked(&expect, &answer("a.o", "x mark 8 y")), Checked::Wrong("wrong_output"));
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
        assert_eq!(with(|a| a.error_message = vec!["e".into()]), Checked::Wrong("error_message"));
        assert_eq!(with(|a| a.result = None), Checked::Wrong("no_result"));
        let failed = |a: &mut ExecResp| {
            a.result = a.result.take().map(|r| ExecResult { exit_status: Some(1), ..r });
        };
        assert_eq!(with(failed), Checked::Wrong("exit_status"));
        assert_eq!(check(&expect, b"\xff"), Checked::Wrong("bad_message"));
        assert_eq!(check(&expect, b""), Checked::Wrong("no_result"), "an empty body");
    }

    #[test]
    fn stored_and_looked_up_files_are_known_by_their_keys() {
        let keys: Arc<[String]> = Arc::new([FileKey::of_file(b"abc").hex()]);
        let stored = |key: String| StoreFileResp { hash_key: vec![key] }.encode_to_vec();
        let expect = Expect::Keys(Arc::clone(&keys));
        assert!(matches!(check(&expect, &stored(keys[0].clone())), Checked::Right { .. }));
        assert_eq!(check(&expect, &stored(String::new())), Checked::Wrong("wrong_keys"));
        let found = |blob| LookupFileResp { blob }.encode_to_vec();
        let expect = Expect::Files(keys);
        assert!(matches!(check(&expect, &found(vec![file("abc")])), Checked::Right { .. }));
        assert_eq!(check(&expect, &found(vec![file("abd")])), Checked::Wrong("wrong_file"));
        assert_eq!(check(&expect, &found(Vec::new())), Checked::Wrong("too_few_files"));
    }
}
