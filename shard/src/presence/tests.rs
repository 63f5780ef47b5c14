//! What is believed, and what ends belief.

use super::*;
use crate::facts::Memory;

const ALL: Tenant = Tenant(0);
const LIFE: Duration = Duration::from_secs(4 * 60 * 60);

fn presence(facts: &Arc<Memory>) -> Presence {
    Presence::new(100, LIFE, facts.clone())
}

fn blobs(count: u32) -> Vec<Digest> {
    (0..count).map(|n| Digest::of(&n.to_be_bytes())).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_is_gone_from_every_tier() {
    let facts = Arc::new(Memory::default());
    let presence = self::presence(&facts);
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    presence.confirm(ALL, &[a, b], presence.asked()).await;
    presence.forget(ALL, &[a]).await;
    assert_eq!(presence.check(ALL, &[a, b]).await, [false, true]);
    // Another process with the same store sees the same.
    assert_eq!(self::presence(&facts).check(ALL, &[a, b]).await, [false, true]);
}

#[tokio::test(start_paused = true)]
async fn what_was_learnt_before_a_drop_is_not_believed_after_it() {
    let facts = Arc::new(Memory::default());
    let presence = self::presence(&facts);
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    let asked = presence.asked();
    presence.forget(ALL, &[a]).await;
    presence.confirm(ALL, &[a, b], asked).await;
    assert_eq!(presence.check(ALL, &[a, b]).await, [false, true]);
    presence.confirm(ALL, &[a], presence.asked()).await;
    assert_eq!(presence.check(ALL, &[a]).await, [true], "it is there again");
    let asked = presence.asked();
    presence.bump_epoch().await.expect("bumps");
    presence.confirm(ALL, &[b], asked).await;
    assert_eq!(presence.check(ALL, &[a, b]).await, [false, false]);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_wrong_entries_ends_belief_until_it_has_passed() {
    let facts = Arc::new(Memory::default());
    let presence = self::presence(&facts);
    let all = blobs(60);
    presence.confirm(ALL, &all, presence.asked()).await;
    presence.forget(ALL, &all[..30]).await;
    assert_eq!(presence.false_positives(), 30);
    presence.confirm(ALL, &all[30..], presence.asked()).await;
    assert_eq!(presence.check(ALL, &all[30..31]).await, [false], "nothing is believed");
    tokio::time::advance(Duration::from_secs(60)).await;
    presence.follow_epoch().await;
    assert_eq!(presence.check(ALL, &all[30..31]).await, [true], "what was confirmed since is");
    assert_eq!(presence.check(ALL, &all[..1]).await, [false]);
}

#[tokio::test(start_paused = true)]
async fn another_shards_new_epoch_is_followed() {
    let facts = Arc::new(Memory::default());
    let (one, other) = (presence(&facts), presence(&facts));
    let a = Digest::of(b"a");
    one.confirm(ALL, &[a], one.asked()).await;
    assert_eq!(other.check(ALL, &[a]).await, [true]);
    one.bump_epoch().await.expect("bumps");
    assert_eq!(one.check(ALL, &[a]).await, [false]);
    other.follow_epoch().await;
    assert_eq!(other.check(ALL, &[a]).await, [false]);
}

#[tokio::test(start_paused = true)]
async fn what_is_hot_and_past_half_its_life_is_due() {
    let presence = presence(&Arc::new(Memory::default()));
    let (hot, cold) = (Digest::of(b"hot"), Digest::of(b"cold"));
    presence.confirm(ALL, &[hot, cold], presence.asked()).await;
    presence.check(ALL, &[hot]).await;
    assert!(presence.due().take(10).is_empty(), "it is young");
    tokio::time::advance(LIFE / 2 + Duration::from_secs(1)).await;
    assert_eq!(presence.check(ALL, &[hot, hot]).await, [true, true]);
    assert_eq!(presence.due().take(10), [(ALL, vec![hot])].into());
    tokio::time::advance(LIFE).await;
    assert_eq!(presence.check(ALL, &[hot]).await, [false], "it is past its life");
}

#[tokio::test(start_paused = true)]
async fn tenants_believe_what_was_confirmed_for_them() {
    let facts = Arc::new(Memory::default());
    let presence = self::presence(&facts);
    let (a, b) = (Tenant::of("a"), Tenant::of("b"));
    let blob = Digest::of(b"blob");
    presence.confirm(a, &[blob], presence.asked()).await;
    for presence in [&presence, &self::presence(&facts)] {
        assert_eq!(presence.check(a, &[blob]).await, [true]);
        assert_eq!(presence.check(b, &[blob]).await, [false]);
        assert_eq!(presence.check(ALL, &[blob]).await, [false]);
    }
    presence.forget(b, &[blob]).await;
    assert_eq!(presence.check(a, &[blob]).await, [true]);
    presence.forget(a, &[blob]).await;
    assert_eq!(presence.check(a, &[blob]).await, [false]);
    assert_eq!(presence.false_positives(), 1);
}
