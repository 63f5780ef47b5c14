//! What happens in a schedule, all of it from its seed.

use std::time::Duration;

use crate::sabotage::Sabotage;

/// The shards of the cluster.
pub const SHARDS: usize = 3;
/// Its gateways.
pub const GATEWAYS: usize = 2;

/// One schedule.
#[derive(Debug)]
pub struct Script {
    pub seed: u64,
    pub sabotage: Sabotage,
    /// Users, each of whom does one compile after the other.
    pub clients: u64,
    /// Compiles of each.
    pub compiles: usize,
    /// Different sources that they compile.
    pub kinds: usize,
    /// Headers of all sources; with the source itself each has an even number of inputs, which the
    /// rule of half asks for in two answers.
    pub headers: usize,
    /// Bytes of contents that a shard keeps.
    pub contents_memory: u64,
    pub presence_life: Duration,
    /// Whether the farm puts outputs into its results.
    pub inlines_outputs: bool,
    /// Whether the farm claims to have some of what it lost.
    pub lies: bool,
    pub episodes: Vec<(Duration, Episode)>,
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Episode {
    /// The farm loses a blob.
    EvictOne,
    /// It loses this share of its blobs.
    Evict(f64),
    /// It cannot be reached.
    FarmAway(Duration),
    /// The store of facts is emptied.
    Flush,
    StoreAway(Duration),
    StoreSlow(Duration),
    /// A shard is killed, and started again after this.
    KillShard(usize, Duration),
    KillGateway(usize, Duration),
    /// An operator has the cluster believe nothing.
    BumpEpoch(usize),
    /// A client sends other contents than their key says.
    Forge,
}

impl Script {
    pub fn of(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let lies = random.bool();
        let is_calm = random.u8(..) < 32;
        let with_outage = random.u8(..) < 48;
        let mut episodes = Vec::new();
        for _ in 0..if is_calm { 0 } else { random.usize(1..12) } {
            let at = Duration::from_millis(random.u64(100..40_000));
            episodes.push((at, Episode::any(&mut random, with_outage)));
        }
        episodes.sort_by_key(|(at, _)| *at);
        Self {
            seed,
            sabotage: Sabotage::Nothing,
            clients: random.u64(2..7),
            compiles: random.usize(1..6),
            kinds: random.usize(1..5),
            headers: random.usize(1..8) * 2 + 1,
            contents_memory: if random.bool() { 1 << 20 } else { 0 },
            presence_life: Duration::from_secs(*random.choice(&[8, 60, 3600]).unwrap_or(&60)),
            inlines_outputs: random.bool(),
            lies,
            episodes,
        }
    }

    /// Whether nothing goes wrong.
    pub fn is_calm(&self) -> bool {
        self.episodes.is_empty()
    }
}

impl Episode {
    fn any(random: &mut fastrand::Rng, with_outage: bool) -> Self {
        let length = Duration::from_millis(random.u64(50..5_000));
        match random.u8(0..20) {
            0..6 => Self::EvictOne,
            6 => Self::Evict(1.0),
            7..9 => Self::Evict(random.f64()),
            9 => Self::Flush,
            10 => Self::StoreAway(length),
            11 => Self::StoreSlow(length * 4),
            12..15 => Self::KillShard(random.usize(0..SHARDS), length),
            15..17 => Self::KillGateway(random.usize(0..GATEWAYS), length),
            17 => Self::BumpEpoch(random.usize(0..SHARDS)),
            18 if with_outage => Self::FarmAway(length * 2),
            _ => Self::Forge,
        }
    }
}
