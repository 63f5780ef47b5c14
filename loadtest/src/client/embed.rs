//! Decides how each input goes out, and which contents are cut from a request that holds too many.

use goma_common::file_key::CHUNK_SIZE;
use goma_proto::api::exec_req::Input;

/// Files smaller than this always go along.
const TINY: u64 = 512;
/// No more contents are begun once this many bytes of them are in a request.
pub(crate) const EMBED_LIMIT: usize = 1024 * 1024;

/// How an input is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    /// By its key alone.
    Key,
    /// With its contents; of a large file, with the list of its chunks.
    Embed,
    /// Its chunks to `/s` first, then the list of them.
    Store,
}

/// What the decision depends on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Situation {
    pub(crate) size: u64,
    /// Its name ends in `.rsp`.
    pub(crate) response_file: bool,
    /// Changed within the last minute, or the client embeds everything now.
    pub(crate) young: bool,
    /// The server is believed to have it.
    pub(crate) accepted: bool,
    /// The server is believed to have a file of the same key.
    pub(crate) key_known: bool,
    /// Other contents of it were accepted before.
    pub(crate) changed: bool,
    /// The last answer named it as missing.
    pub(crate) missing: bool,
    /// Its contents left after the request that lacked it: another compile sent it meanwhile.
    pub(crate) sent_since: bool,
}

/// How the stock client would send it.
pub(crate) fn decide(file: &Situation) -> Sending {
    match file {
        Situation { missing: true, sent_since: true, .. } => Sending::Key,
        Situation { missing: true, size, .. } if *size > CHUNK_SIZE => Sending::Store,
        Situation { missing: true, .. } => Sending::Embed,
        Situation { accepted: true, .. } => Sending::Key,
        Situation { response_file: true, .. } | Situation { changed: true, .. } => Sending::Embed,
        Situation { young: true, key_known: false, .. } => Sending::Embed,
        Situation { size, .. } if *size < TINY => Sending::Embed,
        _ => Sending::Key,
    }
}

/// Takes contents out of `inputs`, in an order of chance, once `limit` bytes are in. A list of
/// chunks is never taken out.
pub(crate) fn cut(inputs: &mut [Input], limit: usize, random: &mut fastrand::Rng) {
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    random.shuffle(&mut order);
    let mut total = 0;
    for index in order {
        let Some(blob) = &inputs[index].content else { continue };
        let Some(content) = &blob.content else { continue };
        if total >= limit {
            inputs[index].content = None;
        } else {
            total += content.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use goma_proto::api::FileBlob;

    use super::*;

    const OLD: Situation = Situation {
        size: 10_000,
        response_file: false,
        young: false,
        accepted: false,
        key_known: false,
        changed: false,
        missing: false,
        sent_since: false,
    };

    #[test]
    fn only_tiny_young_and_changed_files_go_along_unasked() {
        assert_eq!(decide(&OLD), Sending::Key);
        assert_eq!(decide(&Situation { size: 511, ..OLD }), Sending::Embed);
        assert_eq!(decide(&Situation { size: 512, ..OLD }), Sending::Key);
        assert_eq!(decide(&Situation { young: true, ..OLD }), Sending::Embed);
        assert_eq!(decide(&Situation { young: true, key_known: true, ..OLD }), Sending::Key);
        assert_eq!(decide(&Situation { changed: true, ..OLD }), Sending::Embed);
        assert_eq!(decide(&Situation { response_file: true, ..OLD }), Sending::Embed);
        assert_eq!(decide(&Situation { size: 5, accepted: true, ..OLD }), Sending::Key);
    }

    #[test]
    fn what_is_missing_is_sent_unless_that_just_happened() {
        let missing = Situation { missing: true, accepted: true, ..OLD };
        assert_eq!(decide(&missing), Sending::Embed);
        assert_eq!(decide(&Situation { size: CHUNK_SIZE, ..missing }), Sending::Embed);
        assert_eq!(decide(&Situation { size: CHUNK_SIZE + 1, ..missing }), Sending::Store);
        assert_eq!(decide(&Situation { sent_since: true, ..missing }), Sending::Key);
    }

    fn input(size: Option<usize>) -> Input {
        let content = size.map(|size| Bytes::from(vec![0; size]));
        let content = Some(FileBlob { content, ..Default::default() });
        Input { content, ..Default::default() }
    }

    #[test]
    fn the_file_that_crosses_the_limit_is_the_last() {
        let mut inputs: Vec<Input> = (0..10).map(|_| input(Some(300))).collect();
        inputs.push(input(None));
        cut(&mut inputs, 1000, &mut fastrand::Rng::with_seed(1));
        let left = inputs.iter().filter(|i| i.content.is_some()).count();
        assert_eq!(left, 4 + 1, "and a list of chunks stays");
        assert!(inputs[10].content.is_some());
    }

    #[test]
    fn what_is_cut_is_a_matter_of_chance() {
        let survivors = |seed| {
            let mut inputs: Vec<Input> = (0..20).map(|_| input(Some(300))).collect();
            cut(&mut inputs, 1000, &mut fastrand::Rng::with_seed(seed));
            inputs.iter().map(|i| i.content.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(survivors(1), survivors(1));
        assert_ne!(survivors(1), survivors(2));
    }
}
