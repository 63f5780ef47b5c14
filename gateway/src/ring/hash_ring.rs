//! Who owns which hash: consistent hashing over virtual nodes, the same on every host and release.
//!
//! A member stands on a circle of 64 bits at [`POINTS`] places a unit of its weight. A place is the
//! first eight bytes, big-endian, of the SHA-256 of the member's name, a zero byte, and the number
//! of the place as four big-endian bytes. A key, which is a SHA-256 already, stands at its own first
//! eight bytes and is owned by the member at the next place.

use std::hash::{BuildHasher, Hash, Hasher};

use goma_common::Digest;
use hashring::HashRing;

/// Places of a member on the circle for each unit of its weight. The spread of what members of equal
/// weight own is its square root's inverse: 3 %.
const POINTS: u32 = 1024;

/// A shard as the ring sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Its place on the ring: what it owns is a function of this and the others' names alone.
    pub name: String,
    /// Its share, 1 to 100.
    pub weight: u32,
}

/// The owners of all hashes, given the members.
pub struct Ring {
    members: Vec<Member>,
    circle: HashRing<Place, FirstEight>,
    hash: u64,
}

impl Ring {
    /// A ring of these members, whose names differ; their order does not matter. Takes a tenth
    /// of a millisecond a member, so a ring of many is no work for a task.
    #[must_use]
    pub fn of(members: &[Member]) -> Self {
        let mut members = members.to_vec();
        members.sort();
        let mut places: Vec<Place> =
            members.iter().zip(0..).flat_map(|(member, at)| places(member, at)).collect();
        // Where two members hit the same place the first by name has it, whatever the search does.
        places.sort_by_key(|place| (place.at, place.member));
        places.dedup_by_key(|place| place.at);
        let mut circle = HashRing::with_hasher(FirstEight);
        circle.batch_add(places);
        Self { hash: hash(&members), circle, members }
    }

    /// Its members, sorted by name.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Which of [`Ring::members`] owns a file key or a digest's hash; `None` where there is none.
    #[must_use]
    pub fn owner(&self, key: &[u8; 32]) -> Option<usize> {
        self.circle.get(&Key(key)).map(|place| place.member as usize)
    }

    /// A hash of the member list: gateways that agree on it agree on every owner.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }
}

fn places(member: &Member, number: u32) -> impl Iterator<Item = Place> {
    let mut bytes = member.name.clone().into_bytes();
    bytes.push(0);
    let name = bytes.len();
    (0..POINTS * member.weight).map(move |index| {
        bytes.truncate(name);
        bytes.extend_from_slice(&index.to_be_bytes());
        Place { at: first_eight(&Digest::of(&bytes).hash), member: number }
    })
}

fn hash(members: &[Member]) -> u64 {
    let mut bytes = Vec::new();
    for member in members {
        bytes.extend_from_slice(member.name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&member.weight.to_be_bytes());
    }
    first_eight(&Digest::of(&bytes).hash)
}

fn first_eight(hash: &[u8; 32]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *hash;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// A virtual node.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    at: u64,
    member: u32,
}

struct Key<'a>(&'a [u8; 32]);

// Both write eight explicit bytes: what the standard library would write of an integer or a slice
// depends on the machine's byte order, its word size, and the library's release.
impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.at.to_be_bytes());
    }
}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0[..8]);
    }
}

/// Takes bytes that are a hash already for what they are.
#[derive(Clone, Copy, Default)]
struct FirstEight;

#[derive(Default)]
struct Taken(u64);

impl BuildHasher for FirstEight {
    type Hasher = Taken;

    fn build_hasher(&self) -> Taken {
        Taken::default()
    }
}

impl Hasher for Taken {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash << 8 | u64::from(*byte));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: impl Into<String>, weight: u32) -> Member {
        Member { name: name.into(), weight }
    }

    fn equals(count: usize) -> Vec<Member> {
        (0..count).map(|at| member(format!("shard-{at}"), 1)).collect()
    }

    fn owner<'a>(ring: &'a Ring, key: &[u8; 32]) -> &'a str {
        &ring.members()[ring.owner(key).expect("members")].name
    }

    /// How many of evenly spaced keys each member owns.
    fn shares(ring: &Ring, keys: u64) -> Vec<u64> {
        let mut shares = vec![0; ring.members().len()];
        for at in 0..keys {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&(at * (u64::MAX / keys)).to_be_bytes());
            shares[ring.owner(&key).expect("members")] += 1;
        }
        shares
    }

    #[test]
    fn members_of_equal_weight_own_equal_shares() {
        for (count, keys) in [(3, 100_000), (30, 300_000), (1_000, 4_000_000)] {
            let shares = shares(&Ring::of(&equals(count)), keys);
            let mean = keys as f64 / count as f64;
            for share in shares {
                let off = (share as f64 / mean - 1.0).abs();
                assert!(off < 0.15, "{share} of {count} members' mean {mean}");
            }
        }
    }

    #[test]
    fn a_weight_is_a_share() {
        let ring = Ring::of(&[member("a", 1), member("b", 2), member("c", 5)]);
        let shares = shares(&ring, 800_000);
        for (share, weight) in shares.into_iter().zip([1.0, 2.0, 5.0]) {
            let off = (share as f64 / (100_000.0 * weight) - 1.0).abs();
            assert!(off < 0.15, "{share} of weight {weight}");
        }
    }

    /// These owners are a contract between releases: gateways of two releases serve one cluster
    /// while it is upgraded. Changing them is a breaking change.
    #[test]
    fn owners_are_what_they_have_always_been() {
        let ring = Ring::of(&[member("shard-a", 1), member("shard-b", 1), member("shard-c", 2)]);
        let owners: Vec<&str> =
            (0..12_u8).map(|at| owner(&ring, &Digest::of(&[at]).hash)).collect();
        assert_eq!(owners.concat().replace("shard-", ""), "cacbacacaabc");
        assert_eq!(format!("{:016x}", ring.hash()), "547320961d968c09");
    }

    #[test]
    fn a_member_less_moves_its_own_keys_only() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20 {
            let mut members: Vec<Member> = (0..random.usize(2..12))
                .map(|_| member(format!("{:x}", random.u64(..)), random.u32(1..=3)))
                .collect();
            let before = Ring::of(&members);
            let lost = members.swap_remove(random.usize(..members.len()));
            let after = Ring::of(&members);
            assert_ne!(before.hash(), after.hash());
            for _ in 0..1_000 {
                let mut key = [0; 32];
                random.fill(&mut key);
                let was = owner(&before, &key);
                assert!(was == lost.name || was == owner(&after, &key), "{was} of {members:?}");
            }
        }
    }

    #[test]
    fn the_order_of_the_list_does_not_matter() {
        let mut members = equals(9);
        let ring = Ring::of(&members);
        members.reverse();
        members.rotate_left(2);
        let again = Ring::of(&members);
        assert_eq!(ring.hash(), again.hash());
        for at in 0..1_000_u32 {
            let key = Digest::of(&at.to_be_bytes()).hash;
            assert_eq!(owner(&ring, &key), owner(&again, &key));
        }
    }

    #[test]
    fn nobody_owns_anything_on_an_empty_ring() {
        assert_eq!(Ring::of(&[]).owner(&[0; 32]), None);
    }
}
