//! One identity's token: kept while it is good, asked for once however many want it.
//!
//! - One mint at a time, in a task of its own: whoever asked first may give up, the others still
//!   get it. Each has a deadline, so one that hangs holds up nobody but those who asked for it.
//! - After a failure the issuer is left alone for a while (full jitter); meanwhile the error is
//!   repeated, or the token before is handed out as long as it lives. What only reads a local file
//!   is never waited for.
//! - However wild the ends of tokens and the refusals of a registry are, an issuer is asked at most
//!   10 times at once and twice a minute in the long run ([`Budget`]).
//! - Ends are judged by the wall clock, and by the time that passed since the mint: a clock that is
//!   set back makes no token live longer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use jiff::{SignedDuration, Timestamp};
use syncd_providers::{Clock, Expiry, Token, TokenError, TokenErrorKind, TokenProvider};
use tokio::time::Instant;

use super::TokenState;
use super::budget::Budget;
use super::due;
use super::failure::Failure;

/// The longest that one mint may take.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// A token that is refused again so soon after another one was is kept: it will not get better by
/// asking for more of them.
const REJECTIONS_APART: Duration = Duration::from_secs(60);

/// The token of one identity, shared by all who want it.
pub(super) struct Slot {
    name: String,
    identity: String,
    provider: Arc<dyn TokenProvider>,
    clock: Clock,
    state: Mutex<State>,
}

/// How much is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// One that lives; when it is due, the next one is asked for without waiting for it.
    Living,
    /// One that is not due.
    Current,
    /// One that is minted now.
    Fresh,
}

type Minted = Result<Token, Failure>;
type Flight = Shared<BoxFuture<'static, Minted>>;

struct State {
    held: Option<Held>,
    /// The last failure since the last success.
    failed: Option<Failed>,
    /// The mint that is under way.
    flight: Option<Flight>,
    mints: u64,
    budget: Budget,
    rejected_at: Option<Instant>,
}

struct Held {
    token: Token,
    since: Instant,
    jitter: f64,
}

struct Failed {
    failure: Failure,
    count: u32,
    until: Instant,
    /// Nobody asks before `until`.
    holds: bool,
}

impl Held {
    fn refresh(&self, max_age: Option<Duration>) -> Option<Timestamp> {
        due::refresh_at(self.token.minted_at, self.token.expires, max_age, self.jitter)
    }

    /// Whether `at` has come, by the wall clock or by the time since the mint.
    fn reached(&self, at: Timestamp, now: Timestamp) -> bool {
        let after = at.duration_since(self.token.minted_at);
        now >= at || SignedDuration::try_from(self.since.elapsed()).is_ok_and(|passed| passed >= after)
    }

    fn lives(&self, now: Timestamp) -> bool {
        self.token
            .expires
            .known()
            .is_none_or(|end| !self.reached(end, now))
    }

    fn is_due(&self, max_age: Option<Duration>, now: Timestamp) -> bool {
        self.refresh(max_age).is_some_and(|at| self.reached(at, now))
    }
}

impl State {
    /// What may be handed out, and whether it is due.
    fn living(&self, max_age: Option<Duration>, now: Timestamp) -> Option<(Token, bool)> {
        let held = self.held.as_ref().filter(|held| held.lives(now))?;
        Some((held.token.clone(), held.is_due(max_age, now)))
    }
}

impl Slot {
    pub(super) fn new(name: &str, provider: Arc<dyn TokenProvider>, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            identity: provider.identity(),
            provider,
            clock,
            state: Mutex::new(State {
                held: None,
                failed: None,
                flight: None,
                mints: 0,
                budget: Budget::new(),
                rejected_at: None,
            }),
        })
    }

    pub(super) fn useful_minimum(&self) -> Duration {
        self.provider.useful_minimum()
    }

    pub(super) async fn ask(
        self: &Arc<Self>,
        want: Want,
        max_age: Option<Duration>,
    ) -> Result<Token, TokenError> {
        self.drop_outdated();
        let now = self.clock.now();
        let flight = {
            let mut state = self.state();
            let living = state.living(max_age, now);
            if let Some((token, due)) = &living
                && want != Want::Fresh
                && !*due
            {
                return Ok(token.clone());
            }
            match (self.flight(&mut state), living) {
                (Ok(_), Some((token, _))) if want == Want::Living => return Ok(token),
                (Ok(flight), _) => flight,
                (Err(_), Some((token, _))) => return Ok(token),
                (Err(failure), None) => return Err(failure.error(&self.identity)),
            }
        };
        let failure = match flight.await {
            Ok(token) => return Ok(token),
            Err(failure) => failure,
        };
        self.drop_outdated();
        let living = self.state().living(max_age, self.clock.now());
        living.map_or_else(|| Err(failure.error(&self.identity)), |(token, _)| Ok(token))
    }

    /// The mint under way, or a new one when the issuer may be asked.
    fn flight(self: &Arc<Self>, state: &mut State) -> Result<Flight, Failure> {
        if let Some(flight) = &state.flight {
            return Ok(flight.clone());
        }
        if let Some(failed) = &state.failed
            && failed.holds
            && Instant::now() < failed.until
        {
            return Err(failed.failure.clone());
        }
        if !self.provider.is_local() {
            let wait = state.budget.wait();
            if !wait.is_zero() {
                let said = state.failed.as_ref().map(|failed| failed.failure.clone());
                return Err(said.unwrap_or_else(|| Failure::too_often(wait)));
            }
            state.budget.take();
        }
        state.mints += 1;
        let flight = self.start();
        state.flight = Some(flight.clone());
        Ok(flight)
    }

    fn start(self: &Arc<Self>) -> Flight {
        let slot = Arc::clone(self);
        let task = tokio::spawn(async move { slot.mint().await });
        let slot = Arc::clone(self);
        let joined = async move {
            match task.await {
                Ok(minted) => minted,
                // It panicked, or syncd is stopping: the slot must not wait for it for ever.
                Err(_) => {
                    let failure =
                        Failure::new(TokenErrorKind::Malformed, "asking for it broke off".to_owned());
                    slot.note_failure(&failure, true);
                    Err(failure)
                }
            }
        };
        joined.boxed().shared()
    }

    async fn mint(&self) -> Minted {
        let now = self.clock.now();
        let answer = tokio::time::timeout(DEADLINE, self.provider.mint(now)).await;
        let timed_out = answer.is_err();
        let minted = match answer {
            Ok(Ok(token)) if token.secret.is_empty() => Err(Failure::new(
                TokenErrorKind::Malformed,
                "the token that came is empty".to_owned(),
            )),
            Ok(Ok(token)) => Ok(self.sound(token, now)),
            Ok(Err(error)) => Err(Failure::of(error)),
            Err(_) => Err(Failure::new(
                TokenErrorKind::Unreachable,
                format!("no answer within {} s", DEADLINE.as_secs()),
            )),
        };
        match &minted {
            Ok(token) => self.keep(token),
            Err(failure) => self.note_failure(failure, timed_out),
        }
        minted
    }

    /// The token with times that can be true.
    fn sound(&self, mut token: Token, now: Timestamp) -> Token {
        token.minted_at = token.minted_at.min(now);
        let expires = due::plausible(now, token.expires);
        if expires != token.expires {
            let (entry, identity) = (&self.name, &self.identity);
            let said = token.expires.known().map(|end| end.to_string());
            tracing::warn!(
                entry,
                identity,
                said,
                "the token's end cannot be true: taken as unknown"
            );
        }
        token.expires = expires;
        // Its age counts from here: a time before the world began must not make it due at once.
        if now.duration_since(token.minted_at) > due::LONGEST_LIFE || expires == Expiry::Unknown {
            token.minted_at = now;
        }
        token
    }

    fn keep(&self, token: &Token) {
        let mut state = self.state();
        state.flight = None;
        state.failed = None;
        state.held = Some(Held {
            token: token.clone(),
            since: Instant::now(),
            jitter: fastrand::f64().mul_add(2.0, -1.0),
        });
        drop(state);
        let (entry, identity, end) = (&self.name, &self.identity, token.expires.known());
        tracing::debug!(entry, identity, end = ?end, "minted a token");
    }

    fn note_failure(&self, failure: &Failure, timed_out: bool) {
        let mut state = self.state();
        state.flight = None;
        let count = state
            .failed
            .as_ref()
            .map_or(0, |failed| failed.count)
            .saturating_add(1);
        let wait = due::back_off(count, fastrand::f64());
        state.failed = Some(Failed {
            failure: failure.clone(),
            count,
            until: Instant::now() + wait,
            holds: timed_out || !self.provider.is_local(),
        });
        drop(state);
        let (entry, identity, kind, error) =
            (&self.name, &self.identity, failure.kind.as_str(), failure.line());
        tracing::debug!(entry, identity, kind, error, count, "no token");
    }

    /// Forgets the token when the identity would hand out another one now.
    fn drop_outdated(&self) {
        let held = self.state().held.as_ref().map(|held| held.token.clone());
        if let Some(token) = held
            && !self.provider.is_current(&token)
        {
            let mut state = self.state();
            if state.held.as_ref().is_some_and(|held| held.token == token) {
                state.held = None;
            }
        }
    }

    /// The registry refused `token`.
    pub(super) fn rejected(&self, token: &Token) {
        self.provider.rejected(token);
        let mut state = self.state();
        let same = |held: &Held| held.token.username == token.username && held.token.secret == token.secret;
        let lately = state
            .rejected_at
            .is_some_and(|at| at.elapsed() < REJECTIONS_APART);
        if state.held.as_ref().is_some_and(same) && (self.provider.is_local() || !lately) {
            state.held = None;
            state.rejected_at = Some(Instant::now());
        }
    }

    pub(super) fn token_state(&self, max_age: Option<Duration>) -> TokenState {
        let now = self.clock.now();
        let mut state = self.state();
        let refresh = state.held.as_ref().and_then(|held| {
            let at = held.refresh(max_age)?;
            Some(if held.reached(at, now) { at.min(now) } else { at })
        });
        // After a failure, no sooner than its back-off ends.
        let next = match (&state.failed, refresh, &state.held) {
            (Some(failed), refresh, held) if refresh.is_some() || held.is_none() => {
                let end = later(now, failed.until.saturating_duration_since(Instant::now()));
                Some(refresh.map_or(end, |at| at.max(end)))
            }
            (_, refresh, _) => refresh,
        };
        let budget = match self.provider.is_local() {
            true => Duration::ZERO,
            false => state.budget.wait(),
        };
        let next_refresh = match budget.is_zero() {
            true => next,
            false => next.map(|at| at.max(later(now, budget))),
        };
        TokenState {
            identity: self.identity.clone(),
            token: state.held.as_ref().map(|held| held.token.clone()),
            next_refresh,
            error: state
                .failed
                .as_ref()
                .map(|failed| (failed.failure.kind, failed.failure.line())),
            mints: state.mints,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn later(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}
