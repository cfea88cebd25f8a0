//! Who is signed in. A session is 256 random bits in a cookie; here only its hash is kept, in memory, with the id of the key
//! that was shown, or the person whom an identity provider knows. What they may do is looked up anew for each request, so a revoked
//! key, or a grant that is not in the plan any more, ends its sessions at once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tendon_kernel::context::{Clock, Entropy};

use crate::{
    keys::{hash, hex},
    trust::{Gate, Known, Person},
};

/// A session nobody uses ends after this.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// Every session ends after this.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// Sessions at once; beyond it the one that was used least lately ends.
const MOST: usize = 1000;
/// The same, of one key or person.
const MOST_OF_ONE: usize = 20;

/// A text that is shown once, on the page after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// It was done.
    Done(String),
    /// Nothing was done, or not all of it.
    Warned(String),
}

/// Whose session it is.
#[derive(Clone)]
pub(super) enum Whose {
    /// Of whoever showed the key with this id.
    Key(Arc<str>),
    /// Of whom an identity provider knows.
    Person(Arc<Person>),
}

impl Whose {
    /// What they may do now; nothing when they may nothing any more.
    pub(super) fn standing(&self, gate: &Gate) -> Option<Arc<Known>> {
        match self {
            Self::Key(id) => gate.standing(id),
            Self::Person(person) => gate.standing_person(person),
        }
    }

    /// Keys and people have ids of different forms.
    fn id(&self) -> &str {
        match self {
            Self::Key(id) => id,
            Self::Person(person) => &person.id,
        }
    }

    fn longest(&self) -> Duration {
        match self {
            Self::Key(_) => LONGEST,
            Self::Person(person) => LONGEST.min(person.longest),
        }
    }
}

#[derive(Clone)]
struct Session {
    whose: Whose,
    token: Arc<str>,
    began: Duration,
    used: Duration,
    notice: Option<Notice>,
}

/// A session, as a request finds it.
#[derive(Clone)]
pub(super) struct Open {
    /// Whose it is.
    pub(super) whose: Whose,
    /// What every change has to bring along.
    pub(super) token: Arc<str>,
    id: [u8; 32],
}

/// All sessions.
#[derive(Default)]
pub(super) struct Sessions(Mutex<BTreeMap<[u8; 32], Session>>);

impl Sessions {
    /// Begins a session; gives what stands in its cookie.
    pub(super) fn begin(&self, clock: &dyn Clock, entropy: &dyn Entropy, whose: Whose) -> String {
        let (secret, token) = (random(entropy), random(entropy));
        let now = clock.monotonic();
        let mut all = self.all();
        all.retain(|_, session| session.lives(now));
        let same = |session: &Session| session.whose.id() == whose.id();
        while all.values().filter(|session| same(session)).count() >= MOST_OF_ONE {
            end_oldest(&mut all, same);
        }
        while all.len() >= MOST {
            end_oldest(&mut all, |_| true);
        }
        let session = Session { whose, token: token.into(), began: now, used: now, notice: None };
        all.insert(hash(&secret), session);
        secret
    }

    /// The session of a cookie, while it lives. `used`: whether somebody did something, rather than a page looking by itself.
    pub(super) fn find(&self, clock: &dyn Clock, secret: &str, used: bool) -> Option<Open> {
        let (id, now) = (hash(secret), clock.monotonic());
        let mut all = self.all();
        let session = all.get_mut(&id)?;
        if !session.lives(now) {
            all.remove(&id);
            return None;
        }
        if used {
            session.used = now;
        }
        Some(Open { whose: session.whose.clone(), token: session.token.clone(), id })
    }

    /// Ends a session.
    pub(super) fn end(&self, open: &Open) {
        self.all().remove(&open.id);
    }

    /// Keeps a text for the next page.
    pub(super) fn tell(&self, open: &Open, notice: Notice) {
        if let Some(session) = self.all().get_mut(&open.id) {
            session.notice = Some(notice);
        }
    }

    /// The text that was kept, once.
    pub(super) fn told(&self, open: &Open) -> Option<Notice> {
        self.all().get_mut(&open.id)?.notice.take()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn lives(&self, now: Duration) -> bool {
        now.saturating_sub(self.used) < IDLE && now.saturating_sub(self.began) < self.whose.longest()
    }
}

impl Open {
    /// Whether a form was made for this session. Hashes are compared: how long it takes tells nothing of the token.
    pub(super) fn made(&self, token: &str) -> bool {
        hash(token) == hash(&self.token)
    }
}

fn end_oldest(all: &mut BTreeMap<[u8; 32], Session>, of: impl Fn(&Session) -> bool) {
    let oldest = all.iter().filter(|(_, session)| of(session)).min_by_key(|(_, session)| session.used);
    if let Some(id) = oldest.map(|(id, _)| *id) {
        all.remove(&id);
    }
}

/// 256 random bits in words.
pub(super) fn random(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    hex(&bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use futures_util::future::{BoxFuture, FutureExt as _};
    use tendon_kernel::Timestamp;

    use super::*;

    /// A clock that is set, and bytes that never come twice.
    #[derive(Default)]
    struct World {
        seconds: AtomicU64,
        next: AtomicU64,
    }

    impl World {
        fn wait(&self, seconds: u64) {
            self.seconds.fetch_add(seconds, Relaxed);
        }
    }

    impl Clock for World {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.seconds.load(Relaxed))
        }

        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            async {}.boxed()
        }
    }

    impl Entropy for World {
        fn fill(&self, buffer: &mut [u8]) {
            let next = self.next.fetch_add(1, Relaxed).to_be_bytes();
            buffer.iter_mut().zip(next.into_iter().cycle()).for_each(|(byte, next)| *byte = next);
        }
    }

    fn begin(sessions: &Sessions, world: &World, key: &str) -> String {
        sessions.begin(world, world, Whose::Key(key.into()))
    }

    #[test]
    fn a_session_ends_when_nobody_uses_it_and_ends_in_any_case() {
        let (sessions, world) = (Sessions::default(), World::default());
        let secret = begin(&sessions, &world, "a");
        world.wait(29 * 60);
        assert!(sessions.find(&world, &secret, true).is_some());
        // A page that looks by itself keeps nobody signed in.
        world.wait(29 * 60);
        assert!(sessions.find(&world, &secret, false).is_some());
        world.wait(60);
        assert!(sessions.find(&world, &secret, true).is_none());

        let secret = begin(&sessions, &world, "a");
        for _ in 0..12 * 60 / 20 - 1 {
            world.wait(20 * 60);
            assert!(sessions.find(&world, &secret, true).is_some());
        }
        world.wait(20 * 60);
        assert!(sessions.find(&world, &secret, true).is_none(), "twelve hours, however busy");
    }

    #[test]
    fn sessions_are_bounded_and_kept_as_hashes() {
        let (sessions, world) = (Sessions::default(), World::default());
        let first = begin(&sessions, &world, "a");
        for _ in 0..MOST_OF_ONE {
            world.wait(1);
            begin(&sessions, &world, "a");
        }
        assert!(sessions.find(&world, &first, true).is_none(), "the oldest of this key made room");
        for at in 0..2 * MOST {
            begin(&sessions, &world, &format!("key {at}"));
        }
        assert_eq!(sessions.all().len(), MOST);
        let secret = begin(&sessions, &world, "b");
        assert!(!sessions.all().contains_key(secret.as_bytes().get(..32).unwrap()));
        let open = sessions.find(&world, &secret, true).unwrap();
        assert!(open.made(&open.token) && !open.made(&secret) && !open.made(""));
        sessions.end(&open);
        assert!(sessions.find(&world, &secret, true).is_none());
    }
}
