//! Files by the handful, to be stored or looked up in one request.

use std::sync::Arc;

use bytes::Bytes;
use goma_common::FileKey;
use goma_proto::api::{LookupFileReq, StoreFileReq};
use prost::Message;

use super::material::{Making, file_blob};
use super::template::pack;
use crate::error::Result;
use crate::http::Coding;

/// One request's files.
#[derive(Clone, Debug)]
pub(crate) struct Blobs {
    contents_of_each: Arc<[Bytes]>,
    pub(crate) keys: Arc<[String]>,
    /// The request as it goes out.
    pub(crate) packed: Bytes,
    /// Bytes of all files.
    pub(crate) contents: u64,
}

impl Blobs {
    /// So many files of this size, to be stored. The same seed gives the same bytes.
    pub(crate) fn to_store(
        seed: u64,
        count: usize,
        bytes: usize,
        coding: Option<Coding>,
    ) -> Result<Self> {
        let contents = (0..count).map(|n| {
            let mut content = vec![0; bytes];
            fastrand::Rng::with_seed(seed ^ ((n as u64 + 1) << 40)).fill(&mut content);
            Bytes::from(content)
        });
        Self::store(contents.collect(), coding)
    }

    /// The same files, to be looked up.
    pub(crate) fn to_look_up(&self, coding: Option<Coding>) -> Result<Self> {
        let request = LookupFileReq { hash_key: self.keys.to_vec(), requester_info: None };
        let packed = pack(coding, &request.encode_to_vec())?;
        let (keys, contents) = (Arc::clone(&self.keys), self.contents);
        Ok(Self { contents_of_each: Arc::new([]), keys, packed, contents })
    }

    /// As many files of the same size that nobody has seen: each begins with the mark.
    pub(crate) fn fresh(&self, mark: &str, making: &Making) -> Result<Self> {
        let contents = self.contents_of_each.iter().zip(0_usize..).map(|(content, n)| {
            let mark = format!("{mark} {n} ");
            let mut content = content.to_vec();
            let marked = mark.len().min(content.len());
            content[..marked].copy_from_slice(&mark.as_bytes()[mark.len() - marked..]);
            Bytes::from(content)
        });
        Self::store(contents.collect(), making.coding)
    }

    fn store(contents_of_each: Arc<[Bytes]>, coding: Option<Coding>) -> Result<Self> {
        let keys = contents_of_each.iter().map(|content| FileKey::of_file(content).hex());
        let blob = contents_of_each.iter().cloned().map(file_blob).collect();
        let request = StoreFileReq { blob, requester_info: None };
        Ok(Self {
            keys: keys.collect(),
            packed: pack(coding, &request.encode_to_vec())?,
            contents: contents_of_each.iter().map(|content| content.len() as u64).sum(),
            contents_of_each,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_the_same_for_a_seed_and_fresh_ones_are_nobodys() {
        let made = |seed| Blobs::to_store(seed, 3, 100, None).expect("made");
        let blobs = made(1);
        assert_eq!(blobs.keys, made(1).keys);
        assert_ne!(blobs.keys, made(2).keys);
        assert_eq!((blobs.keys.len(), blobs.contents), (3, 300));
        let making = Making { nonce: "n".into(), coding: None };
        let fresh = blobs.fresh("n 1", &making).expect("made");
        let again = blobs.fresh("n 2", &making).expect("made");
        let mut keys = [&*blobs.keys, &*fresh.keys, &*again.keys].concat();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!((keys.len(), fresh.contents), (9, 300));
        let request = StoreFileReq::decode(fresh.packed).expect("a request");
        assert_eq!(request.blob.len(), 3);
    }
}
