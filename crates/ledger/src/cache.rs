//! Two bounded in-memory helpers: a cache of two generations, which forgets what was not used lately without keeping an
//! order, and a filter that tells for sure that a key was never seen, so that a new subject costs no look-up.

use std::{collections::HashMap, hash::Hash};

/// Keeps at least the last `room` keys used, at most twice as many.
pub(crate) struct Cache<K, V> {
    room: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// How often keys were forgotten.
    pub(crate) rotations: u64,
}

impl<K: Hash + Eq + Copy, V: Clone> Cache<K, V> {
    pub(crate) fn new(room: usize) -> Self {
        Self { room, young: HashMap::new(), old: HashMap::new(), rotations: 0 }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.put(*key, value.clone());
        Some(value)
    }

    pub(crate) fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.room {
            self.old = std::mem::take(&mut self.young);
            self.rotations += 1;
        }
        self.young.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

/// A Bloom filter over tokens, which are uniformly distributed already: four positions of 16 bytes. It answers "maybe"
/// to everything until the keys of the store were read into it.
pub(crate) struct Filter {
    bits: Vec<u64>,
    ready: bool,
}

impl Filter {
    /// 16 bits for each of the keys expected: about one false "maybe" in 400.
    pub(crate) fn new(keys: u64) -> Self {
        let words = (keys.saturating_mul(16) / 64).next_power_of_two().clamp(1 << 14, 1 << 24);
        Self { bits: vec![0; usize::try_from(words).unwrap_or(1 << 14)], ready: false }
    }

    /// All keys of the store are in.
    pub(crate) fn set_ready(&mut self) {
        self.ready = true;
    }

    fn places(&self, token: &[u8; 16]) -> [(usize, u64); 4] {
        let mask = self.bits.len() * 64 - 1;
        let mut out = [(0, 0); 4];
        for (place, chunk) in out.iter_mut().zip(token.chunks_exact(4)) {
            let word = chunk.iter().fold(0usize, |word, &byte| word << 8 | usize::from(byte));
            // 32 bits select among up to 2^30 positions.
            let bit = word & mask;
            *place = (bit / 64, 1u64 << (bit % 64));
        }
        out
    }

    pub(crate) fn insert(&mut self, token: &[u8; 16]) {
        for (word, bit) in self.places(token) {
            self.bits[word] |= bit;
        }
    }

    /// Whether the token may have been inserted.
    pub(crate) fn maybe(&self, token: &[u8; 16]) -> bool {
        !self.ready || self.places(token).iter().all(|&(word, bit)| self.bits[word] & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_keeps_what_is_used_and_stays_bounded() {
        let mut cache = Cache::new(10);
        for key in 0..1000u32 {
            cache.put(key, key);
            assert_eq!(cache.get(&0), Some(0), "used all the time, so never forgotten");
        }
        assert!(cache.young.len() + cache.old.len() <= 20);
        assert_eq!(cache.get(&500), None);
    }

    #[test]
    fn a_filter_has_no_false_no() {
        let mut filter = Filter::new(1000);
        let token = |number: u64| {
            let mut token = [0; 16];
            token.copy_from_slice(&crate::format::sha256(&number.to_le_bytes())[..16]);
            token
        };
        assert!(filter.maybe(&token(5)), "not ready: everything is possible");
        for number in 0..1000 {
            filter.insert(&token(number));
        }
        filter.set_ready();
        assert!((0..1000).all(|number| filter.maybe(&token(number))));
        let wrong = (1000..11000).filter(|&number| filter.maybe(&token(number))).count();
        assert!(wrong < 200, "{wrong} of 10000 false maybes");
    }
}
