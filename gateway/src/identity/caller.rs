//! Somebody who is let in, and what he may have under way.

use std::net::IpAddr;

use goma_common::reapi::Account;
use goma_common::shards::Source;
use goma_common::{Digest, Tenant};
use tracing::Span;

use super::acl::Quotas;
use crate::shares::{Share, What};

/// Who a request is from; by default nobody in particular.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    /// As proved; empty where nobody is asked.
    pub(crate) name: String,
    /// Where he is, as far as our proxies tell.
    pub(crate) address: Option<IpAddr>,
    /// On whose account the backend is used, if not ours.
    pub(crate) account: Option<Account>,
    /// The group that lets him in.
    pub(crate) group: String,
    pub(crate) quotas: Quotas,
    /// Whose files he sees.
    pub(crate) tenant: Tenant,
}

impl Caller {
    /// Who takes turns with others: the user, or where nobody is asked his machine.
    pub(crate) fn source(&self) -> Source {
        match (&self.address, self.name.as_str()) {
            (Some(address), "") => source_of(&address.to_string()),
            (_, name) => source_of(name),
        }
    }

    /// Has what is told of the request say whose it is.
    pub(crate) fn record(&self, span: &Span) {
        if !self.name.is_empty() {
            span.record("user", self.name.as_str());
        }
        if let Some(address) = self.address {
            span.record("from", tracing::field::display(address));
        }
    }

    /// What a request of this many bytes takes a place in: the user's own share, of so many requests,
    /// and his group's.
    pub(crate) fn request_shares(&self, each: usize, bytes: usize) -> Vec<(Share, usize)> {
        let own = Share { of: self.name.clone(), what: What::Requests, most: each };
        let own = Some((own, 1)).filter(|_| !self.name.is_empty());
        let requests =
            self.group_share(What::Requests, self.quotas.requests).map(|share| (share, 1));
        let bytes = self.group_share(What::Bytes, self.quotas.bytes).map(|share| (share, bytes));
        own.into_iter().chain(requests).chain(bytes).collect()
    }

    /// What a compile takes a place in that no cache has answered.
    pub(crate) fn compile_share(&self) -> Option<(Share, usize)> {
        self.group_share(What::Compiles, self.quotas.compiles).map(|share| (share, 1))
    }

    fn group_share(&self, what: What, quota: Option<usize>) -> Option<Share> {
        Some(Share { of: format!("group {}", self.group), what, most: quota? })
    }
}

/// A hash of what tells users apart.
pub(crate) fn source_of(name: &str) -> Source {
    let hash = Digest::of(name.as_bytes()).hash;
    Source(hash.iter().take(8).fold(0, |source, byte| source << 8 | u64::from(*byte)))
}
