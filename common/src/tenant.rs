//! Whose facts are asked for, where groups of users are kept apart.

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;
use crate::file_key::FileKey;

/// A group whose file keys, presence and running actions are its own, as a hash of the group's name;
/// by default those that all have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tenant(pub u64);

impl Tenant {
    /// The one of this group.
    #[must_use]
    pub fn of(group: &str) -> Self {
        let hash = Sha256::digest(group.as_bytes());
        let id = hash.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte));
        // 0 is nobody's in particular.
        Self(id.max(1))
    }

    /// Whether it is what all have in common.
    #[must_use]
    pub fn is_common(self) -> bool {
        self == Self::default()
    }

    /// Under which key the group's own entry for a file is kept. One-way: no file of another group has
    /// a key that comes to the same.
    #[must_use]
    pub fn key(self, key: FileKey) -> FileKey {
        if self.is_common() { key } else { FileKey(self.scoped(&key.0)) }
    }

    /// Under which name the group's own entry for a blob or an action is kept. It names no blob.
    #[must_use]
    pub fn digest(self, digest: Digest) -> Digest {
        if self.is_common() {
            return digest;
        }
        Digest { hash: self.scoped(&digest.hash), size: digest.size }
    }

    fn scoped(self, hash: &[u8; 32]) -> [u8; 32] {
        let mut scoped = Sha256::new();
        scoped.update(b"tenant");
        scoped.update(self.0.to_be_bytes());
        scoped.update(hash);
        scoped.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_keys_of_their_own_which_no_release_changes() {
        let key = FileKey([7; 32]);
        assert_eq!(Tenant::default().key(key), key);
        let (a, b) = (Tenant::of("a"), Tenant::of("b"));
        assert_ne!(a, b);
        assert_ne!(a.key(key), b.key(key));
        assert_ne!(a.key(key), key);
        let digest = Digest { hash: [7; 32], size: 5 };
        assert_eq!(a.digest(digest), Digest { hash: a.key(key).0, size: 5 });
        // What is in the stores of facts must be found by later releases.
        assert_eq!(a.0, 0xca97_8112_ca1b_bdca);
        assert_eq!(
            a.key(key).hex(),
            "a469b1cfdf4638fa90fe60f1283d90c9e33b77234876bfa7d3945ab826f9dcc4"
        );
    }
}
