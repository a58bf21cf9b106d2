//! A cache of features that stages computed from a data set's images, for later stages.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use pretext_shared::ids::ContentHash;

/// Memory limit of the cache, in bytes.
const MEMORY_LIMIT: usize = 256 << 20;

/// Features of frozen encoders, newest last. The key is a hash of everything that determines their bits: weights,
/// images in their order, batches. A stage therefore computes the same with and without the cache.
#[derive(Debug, Default)]
pub struct FeatureCache(Mutex<VecDeque<(ContentHash, Arc<Vec<f32>>)>>);

impl FeatureCache {
    /// Returns the features of `key`, if they are here.
    pub fn get(&self, key: ContentHash) -> Option<Arc<Vec<f32>>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(known, _)| *known == key).map(|(_, rows)| Arc::clone(rows))
    }

    /// Stores `rows`, and keeps as many older features as fit into the limit.
    pub fn keep(&self, key: ContentHash, rows: Arc<Vec<f32>>) {
        let bytes = |rows: &Vec<f32>| rows.len() * size_of::<f32>();
        let mut room = MEMORY_LIMIT.saturating_sub(bytes(&rows));
        if room == 0 {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut newest = VecDeque::from([(key, rows)]);
        while let Some((known, rows)) = kept.pop_back() {
            room = room.saturating_sub(bytes(&rows));
            if room == 0 {
                break;
            }
            newest.push_front((known, rows));
        }
        *kept = newest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_within_the_limit() {
        let cache = FeatureCache::default();
        let key = |name: u8| ContentHash::of(&[name]);
        let third = Arc::new(vec![0.0; MEMORY_LIMIT / size_of::<f32>() / 3]);
        for name in 0..4 {
            cache.keep(key(name), Arc::clone(&third));
        }
        assert_eq!([0, 1, 2, 3].map(|name| cache.get(key(name)).is_some()), [false, true, true, true]);
        cache.keep(key(9), Arc::new(vec![0.0; MEMORY_LIMIT / size_of::<f32>()]));
        assert!(cache.get(key(9)).is_none() && cache.get(key(3)).is_some(), "too large to be kept");
    }
}
