//! On whose behalf a request's blobs are uploaded.

use goma_common::shards::Source;
use goma_proto::api::RequesterInfo;

use crate::identity::{Caller, source_of};

/// One source a user, as proved or else as the client says; where it does not, one a client. Nothing is
/// granted for it but a turn, so a client that lies gains little.
pub(crate) fn of(caller: &Caller, requester: Option<&RequesterInfo>) -> Source {
    let proved = Some(caller.name.as_str()).filter(|name| !name.is_empty());
    let user = requester.and_then(|who| who.username.as_deref()).filter(|name| !name.is_empty());
    let name =
        proved.or(user).or_else(|| requester.and_then(|who| who.compiler_proxy_id.as_deref()));
    match name {
        Some(name) => source_of(name),
        None => caller.source(),
    }
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
        let nobody = Caller::default();
        let said = |user: &str, client: &str| of(&nobody, Some(&who(user, client)));
        assert_eq!(said("ann", "1"), said("ann", "2"));
        assert_ne!(said("ann", "1"), said("bob", "1"));
        assert_ne!(said("", "1"), said("", "2"));
        let proved = Caller { name: "ann".to_owned(), ..Caller::default() };
        assert_eq!(of(&proved, Some(&who("bob", "1"))), said("ann", "1"), "what is proved counts");
    }
}
