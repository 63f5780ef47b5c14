//! Attempts to hurt a running server, and its answer to each; after each an honest request is served.
//!
//! | attempt | where it is shown |
//! |---|---|
//! | no token, wrong scheme, expired, wrong audience, revoked | `gateway/tests/identity.rs`, `oidc.rs` |
//! | a shard's port reached by a stranger | `shard_tls.rs` |
//! | peers that never shake hands | `gateway/tests/tls.rs` |
//! | wrong hash for inline content, chunk of another file | `bad_input/files.rs` |
//! | paths out of the root, `..`, drives, huge counts, links of the compiler's files | [`requests`] |
//! | links and other things that a compiler leaves in place of its outputs | [`left_behind`] |
//! | bombs in both encodings, of zeros and of fields | [`bombs`] |
//! | heads that never end, bodies that trickle or lie about their length | [`heads`] |
//! | thousands of connections that say nothing or half of something | [`crowd`] |
//! | rapid reset and other floods of HTTP/2 | [`floods`] |
//! | messages over the limit, and garbage, to a shard | [`shard`] |
//! | memory, and an honest user's delay, meanwhile | `under_attack` |

mod bombs;
mod crowd;
mod floods;
mod heads;
mod left_behind;
mod requests;
mod shard;
#[path = "../support/mod.rs"]
mod support;
