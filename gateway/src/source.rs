//! On whose behalf a request's blobs are uploaded.

use goma_common::Digest;
use goma_common::shards::Source;
use goma_proto::api::RequesterInfo;

/// One source a user; where the client does not say who that is, one a client. Nothing is granted
/// for it but a turn, so a client that lies gains little.
pub(crate) fn of(requester: Option<&RequesterInfo>) -> Source {
    let user = requester.and_then(|who| who.username.as_deref()).filter(|name| !name.is_empty());
    let name = user.or_else(|| requester.and_then(|who| who.compiler_proxy_id.as_deref()));
    let hash = Digest::of(name.unwrap_or("").as_bytes()).hash;
    Source(hash.iter().take(8).fold(0, |source, byte| source << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_one_source_whatever_client_is_used() {
        let who = |user: &str, client: &str| RequesterInfo {
            username: Some(user.to_owned()),
            compiler_proxy_id: Some(client.to_owned()),
            ..Default::default()
        };
        assert_eq!(of(Some(&who("ann", "1"))), of(Some(&who("ann", "2"))));
        assert_ne!(of(Some(&who("ann", "1"))), of(Some(&who("bob", "1"))));
        assert_ne!(of(Some(&who("", "1"))), of(Some(&who("", "2"))));
    }
}
