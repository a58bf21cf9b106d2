//! Login links: each lets one browser log in, once, within minutes. They are kept in memory only: after a restart of
//! the coordinator, users must ask for new links.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::secret::{Hashed, NoRandomness, Secret};
use super::visitor::Visitor;

/// Lifetime of a link.
pub(super) const LINK_LIFE: Duration = Duration::from_secs(600);
/// Most valid links at a time; the oldest is removed.
const MAX_LINKS: usize = 256;

/// The valid links.
#[derive(Debug, Default)]
pub(super) struct Logins {
    links: Mutex<HashMap<Hashed, Link>>,
}

#[derive(Debug)]
struct Link {
    visitor: Visitor,
    until: Instant,
}

impl Logins {
    /// Creates a link for `visitor` and returns its secret.
    pub(super) fn create(&self, visitor: Visitor, now: Instant) -> Result<Secret, NoRandomness> {
        let secret = Secret::draw()?;
        // After a panic of another holder the map is still complete.
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|_, link| now < link.until);
        if links.len() >= MAX_LINKS
            && let Some(oldest) = links.iter().min_by_key(|(_, link)| link.until).map(|(hash, _)| hash.clone())
        {
            links.remove(&oldest);
        }
        links.insert(secret.hashed(), Link { visitor, until: now + LINK_LIFE });
        Ok(secret)
    }

    /// Uses up the link, and returns its visitor if it was valid.
    pub(super) fn redeem(&self, secret: &Secret, now: Instant) -> Option<Visitor> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let link = links.remove(&secret.hashed())?;
        (now < link.until).then_some(link.visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::visitor::Right;

    #[test]
    fn a_link_is_good_once_and_for_minutes() {
        let logins = Logins::default();
        let visitor = Visitor { right: Right::Read, holder: None };
        let start = Instant::now();
        let link = || logins.create(visitor.clone(), start).expect("randomness");
        let (first, second) = (link(), link());
        assert_eq!(logins.redeem(&first, start), Some(visitor.clone()));
        assert_eq!(logins.redeem(&first, start), None, "once");
        assert_eq!(logins.redeem(&second, start + LINK_LIFE), None, "too late");
        assert_eq!(logins.redeem(&second, start), None, "and used up by trying");
        let oldest = link();
        let later: Vec<Secret> = (0..MAX_LINKS)
            .map(|_| logins.create(visitor.clone(), start + Duration::from_secs(1)).expect("randomness"))
            .collect();
        assert_eq!(logins.links.lock().expect("whole").len(), MAX_LINKS);
        assert_eq!(logins.redeem(&oldest, start), None, "the oldest went");
        assert!(later.iter().all(|link| logins.redeem(link, start).is_some()));
    }
}
