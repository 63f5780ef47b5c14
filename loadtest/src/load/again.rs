//! An Exec once more, with the contents of what the server named as missing.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use goma_common::file_key::CHUNK_SIZE;
use goma_proto::api::exec_req::Input;
use goma_proto::api::file_blob::BlobType;
use goma_proto::api::{ExecReq, FileBlob, StoreFileReq};
use prost::Message;

use super::material::file_blob;
use super::template::pack;
use crate::client::{EMBED_LIMIT, Source, cut};
use crate::error::{Error, Result};
use crate::http::Coding;

/// Pieces of a large file in one store, as many as the stock client sends.
const PIECES: usize = 5;

/// An Exec that can be sent again.
#[derive(Clone, Debug)]
pub(crate) struct Again {
    pub(crate) plain: Bytes,
    /// Files of this request alone, by name.
    pub(crate) fresh: Vec<(String, Bytes)>,
    pub(crate) known: Known,
}

/// Where the contents of all other files are.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// By name.
    Files(Arc<HashMap<String, Source>>),
    /// By key.
    Kept(Arc<HashMap<String, FileBlob>>),
}

impl Again {
    /// The request with the contents that were named as missing, as far as one request holds them. Reads
    /// files.
    ///
    /// # Errors
    /// A file that cannot be read, or whose contents are nowhere.
    pub(crate) fn with(
        &self,
        missing: &[String],
        attempt: u32,
        coding: Option<Coding>,
    ) -> Result<Bytes> {
        let mut request = self.request()?;
        if let Some(requester) = &mut request.requester_info {
            requester.retry = i32::try_from(attempt).ok();
        }
        for input in &mut request.input {
            let is_missing = missing.iter().any(|name| name == input.filename());
            input.content = if is_missing { Some(self.contents(input)?) } else { None };
        }
        cut(&mut request.input, EMBED_LIMIT, &mut fastrand::Rng::with_seed(attempt.into()));
        pack(coding, &request.encode_to_vec())
    }

    /// What has to be stored before that: the pieces of large files that were named as missing.
    ///
    /// # Errors
    /// A piece that is nowhere.
    pub(crate) fn stores(&self, missing: &[String], coding: Option<Coding>) -> Result<Vec<Bytes>> {
        let Known::Kept(kept) = &self.known else { return Ok(Vec::new()) };
        let mut stores = Vec::new();
        for input in self.request()?.input {
            if !missing.iter().any(|name| name == input.filename()) {
                continue;
            }
            let list = self.contents(&input)?;
            if list.blob_type() != BlobType::FileMeta {
                continue;
            }
            for keys in list.hash_key.chunks(PIECES) {
                let pieces = keys.iter().map(|key| {
                    let nowhere = || {
                        let name = input.filename();
                        Error::Answer(format!("a piece of {name} is not among what was recorded"))
                    };
                    kept.get(key).cloned().ok_or_else(nowhere)
                });
                let blob = pieces.collect::<Result<_>>()?;
                let request = StoreFileReq { blob, requester_info: None };
                stores.push(pack(coding, &request.encode_to_vec())?);
            }
        }
        Ok(stores)
    }

    fn request(&self) -> Result<ExecReq> {
        let unread = |error| Error::Answer(format!("a request of ours: {error}"));
        ExecReq::decode(self.plain.clone()).map_err(unread)
    }

    fn contents(&self, input: &Input) -> Result<FileBlob> {
        let name = input.filename();
        if let Some((_, content)) = self.fresh.iter().find(|(fresh, _)| fresh == name) {
            return Ok(file_blob(content.clone()));
        }
        match &self.known {
            Known::Files(files) => {
                let nowhere = || Error::Answer(format!("{name:?} is missing, and was not sent"));
                let content = files.get(name).ok_or_else(nowhere)?.read()?;
                if content.len() as u64 > CHUNK_SIZE {
                    return Err(Error::Answer(format!("{name} was stored, and is missing")));
                }
                Ok(file_blob(content))
            }
            Known::Kept(kept) => {
                let key = input.hash_key();
                let nowhere = || Error::Answer(format!("{name} is not among what was recorded"));
                kept.get(key).cloned().ok_or_else(nowhere)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(known: Known) -> Again {
        let input = |name: &str| Input {
            filename: Some(name.to_owned()),
            hash_key: Some(format!("key of {name}")),
            content: Some(file_blob("sent before".into())),
        };
        let request = ExecReq { input: ["a", "b", "c"].map(input).into(), ..Default::default() };
        let fresh = vec![("a".to_owned(), Bytes::from_static(b"fresh"))];
        Again { plain: request.encode_to_vec().into(), fresh, known }
    }

    fn with(again: &Again, missing: &[&str]) -> Result<Vec<(String, Bytes)>> {
        let missing: Vec<String> = missing.iter().map(|name| (*name).to_owned()).collect();
        let read = ExecReq::decode(again.with(&missing, 1, None)?).expect("a request");
        assert_eq!(read.input.len(), 3);
        let embedded = read.input.into_iter().filter_map(|input| {
            let content = input.content?.content.unwrap_or_default();
            Some((input.filename.unwrap_or_default(), content))
        });
        Ok(embedded.collect())
    }

    #[test]
    fn what_is_missing_goes_along_and_nothing_else() {
        let old = Source::Memory(Bytes::from_static(b"old"));
        let again = again(Known::Files(Arc::new([("b".to_owned(), old)].into())));
        let embedded = with(&again, &["a", "b"]).expect("both are known");
        let expected = [("a".to_owned(), "fresh".into()), ("b".to_owned(), "old".into())];
        assert_eq!(embedded, expected);
        assert!(with(&again, &["c"]).is_err(), "its contents are nowhere");
        assert!(with(&again, &["/etc/passwd"]).expect("no input").is_empty());
    }

    #[test]
    fn what_was_recorded_is_found_by_its_key() {
        let kept = [("key of c".to_owned(), file_blob("kept".into()))].into();
        let again = again(Known::Kept(Arc::new(kept)));
        let embedded = with(&again, &["c"]).expect("kept");
        assert_eq!(embedded, [("c".to_owned(), "kept".into())]);
        assert!(with(&again, &["b"]).is_err());
        assert!(again.stores(&["c".to_owned()], None).expect("a small file").is_empty());
    }

    #[test]
    fn pieces_of_a_large_file_are_stored_before_its_list_is_sent() {
        let list = FileBlob {
            blob_type: Some(BlobType::FileMeta.into()),
            hash_key: (0..7).map(|n| format!("piece {n}")).collect(),
            ..Default::default()
        };
        let pieces = (0..7).map(|n| (format!("piece {n}"), file_blob(format!("{n}").into())));
        let mut kept: HashMap<String, FileBlob> = pieces.collect();
        kept.insert("key of c".to_owned(), list);
        let stores = |kept: &HashMap<String, FileBlob>| {
            again(Known::Kept(Arc::new(kept.clone()))).stores(&["c".to_owned()], None)
        };
        let sent = stores(&kept).expect("all are there").into_iter();
        let sent = sent.map(|store| StoreFileReq::decode(store).expect("a request").blob.len());
        assert_eq!(sent.collect::<Vec<_>>(), [5, 2]);
        kept.remove("piece 6");
        assert!(stores(&kept).is_err());
    }
}
