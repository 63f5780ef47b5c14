//! A question in parts, one an owner. Pure.

use std::collections::BTreeMap;

use super::view::{Up, View};

/// A part of a question that has one owner.
#[derive(Clone, Debug)]
pub(super) struct Item<T> {
    /// Its place in the question.
    pub(super) at: usize,
    /// By which its owner is found.
    key: [u8; 32],
    pub(super) value: T,
}

impl<T> Item<T> {
    /// Values with their keys, in order.
    pub(super) fn each(values: impl IntoIterator<Item = ([u8; 32], T)>) -> Vec<Self> {
        let values = values.into_iter().enumerate();
        values.map(|(at, (key, value))| Self { at, key, value }).collect()
    }
}

/// Groups items by owner, each group in its order. Nothing on an empty ring.
pub(super) fn split<T>(view: &View, items: Vec<Item<T>>) -> Vec<(&Up, Vec<Item<T>>)> {
    let mut parts: BTreeMap<&str, (&Up, Vec<Item<T>>)> = BTreeMap::new();
    for item in items {
        if let Some(up) = view.owner(&item.key) {
            parts.entry(&up.member.name).or_insert_with(|| (up, Vec::new())).1.push(item);
        }
    }
    parts.into_values().collect()
}
