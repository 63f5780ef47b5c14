//! How large a message to the backend may be, by its own word.

use std::sync::atomic::{AtomicU64, Ordering};

use goma_proto::reapi::CacheCapabilities;

/// gRPC's own bound on a message, in bytes. Backends that name no limit of theirs still have this
/// one (buildbox-casd says 0 and refuses more), and some name a larger one than they take.
pub const MAX_MESSAGE: u64 = 4 << 20;
/// Room in a message for all that is not contents: digests, tags and the instance's name.
const HEADROOM: u64 = 64 << 10;
/// Bytes that a digest and its tags take in a batch message beside its contents.
pub const PER_BLOB: u64 = 160;

/// The limits of one backend, as known so far. Contents beyond them go as streams.
#[derive(Debug)]
pub struct Limits {
    batch_bytes: AtomicU64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { batch_bytes: AtomicU64::new(MAX_MESSAGE - HEADROOM) }
    }
}

impl Limits {
    /// Most bytes of contents and [`PER_BLOB`]s in one batch call, either way.
    #[must_use]
    pub fn batch_bytes(&self) -> u64 {
        self.batch_bytes.load(Ordering::Relaxed)
    }

    /// Whether a blob of this size may go in a batch.
    #[must_use]
    pub fn fits_batch(&self, size: u64) -> bool {
        size + PER_BLOB <= self.batch_bytes()
    }

    /// Takes over what the backend says of itself.
    pub fn learn(&self, capabilities: &CacheCapabilities) {
        let told = u64::try_from(capabilities.max_batch_total_size_bytes).unwrap_or(0);
        let limit = match told {
            0 => MAX_MESSAGE - HEADROOM,
            told => told.min(MAX_MESSAGE - HEADROOM),
        };
        self.batch_bytes.store(limit, Ordering::Relaxed);
    }
}

/// Groups blobs so that each group keeps within `limit` bytes, in their order. A blob that is over
/// the limit by itself has a group of its own. Pure.
pub fn pack<T>(blobs: Vec<T>, size: impl Fn(&T) -> u64, limit: u64) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    let mut room = 0;
    for blob in blobs {
        let cost = size(&blob) + PER_BLOB;
        match groups.last_mut() {
            Some(group) if cost <= room => group.push(blob),
            _ => {
                groups.push(vec![blob]);
                room = limit;
            }
        }
        room = room.saturating_sub(cost);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_keep_within_the_limit_and_lose_nothing() {
        let sizes: Vec<u64> = (0..100).map(|n| n % 7 * 100).collect();
        let groups = pack(sizes.clone(), |size| *size, 2_000);
        for group in &groups {
            assert!(group.iter().map(|size| size + PER_BLOB).sum::<u64>() <= 2_000);
        }
        assert_eq!(groups.concat(), sizes);
        assert_eq!(pack(vec![9_000, 1], |size| *size, 2_000), [[9_000], [1]]);
    }

    #[test]
    fn an_unset_limit_is_grpcs_and_a_larger_one_is_not_believed() {
        let limits = Limits::default();
        let told = |max_batch_total_size_bytes| CacheCapabilities {
            max_batch_total_size_bytes,
            ..Default::default()
        };
        for (say, expect) in
            [(0, MAX_MESSAGE - HEADROOM), (64 << 10, 64 << 10), (1 << 30, MAX_MESSAGE - HEADROOM)]
        {
            limits.learn(&told(say));
            assert_eq!(limits.batch_bytes(), expect);
        }
    }
}
