//! What every [`TokenProvider`] has to do, as a function that the tests of each of them call. It
//! returns the first rule that is broken.

use std::error::Error;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use super::{Expiry, Token, TokenError, TokenErrorKind, TokenProvider};

/// A broken rule.
pub type Broken = String;

macro_rules! ensure {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}

/// What is found in no text but a token's own secret.
const CANARIES: [&str; 4] = [
    "canary-one-5417",
    "canary-two-5417",
    "canary-three-5417",
    "canary-babble-5417",
];

/// The longest that a caller waits here; a real one has 10 s.
const DEADLINE: Duration = Duration::from_millis(500);

/// An identity, and the hand on its issuer.
#[allow(async_fn_in_trait, reason = "for tests, on one thread")]
pub trait Fixture {
    /// The identity; one and the same all the time.
    fn provider(&self) -> &dyn TokenProvider;

    /// How long its tokens live; `None` when their end is not known.
    fn life(&self) -> Option<Duration>;

    /// From now on the issuer hands out this secret.
    async fn hands_out(&mut self, secret: &str);

    /// From now on it refuses (or, where there is no issuer, what is asked for is not there). Gives
    /// the class of the error that is to come.
    async fn refuses(&mut self) -> TokenErrorKind;

    /// From now on it gives nonsense that holds this text. Gives the class of the error to come.
    async fn babbles(&mut self, canary: &str) -> TokenErrorKind;

    /// From now on it takes what is asked and never answers. An identity that is local must not
    /// hang whatever is done to it.
    async fn hangs(&mut self);
}

/// Whether the provider of `fixture` does what is expected of all of them.
///
/// # Errors
/// The first rule that is broken.
pub async fn conforms(fixture: &mut impl Fixture) -> Result<(), Broken> {
    let [one, two, three, babble] = CANARIES;
    let now: Timestamp = "2026-05-01T10:00:00Z"
        .parse()
        .map_err(|_| "the time".to_owned())?;
    check_identity(fixture.provider())?;
    let identity = fixture.provider().identity();

    fixture.hands_out(one).await;
    let first = minted(fixture, one, now).await?;
    let again = minted(fixture, one, now).await?;
    ensure!(first.username == again.username, "the user changes by itself");

    // Nothing is kept: who calls keeps it.
    fixture.hands_out(two).await;
    let later = now + SignedDuration::from_secs(60);
    let second = minted(fixture, two, later).await?;
    let provider = fixture.provider();
    ensure!(
        !(provider.is_local() && provider.is_current(&first)),
        "a token of before the source changed is called current"
    );

    let kind = fixture.refuses().await;
    refused(fixture, kind, now).await?;
    ensure!(
        !(fixture.provider().is_local() && fixture.provider().is_current(&second)),
        "a token is called current although its source is gone"
    );
    let kind = fixture.babbles(babble).await;
    refused(fixture, kind, now).await?;

    fixture.hangs().await;
    let hung = timeout(DEADLINE, fixture.provider().mint(now)).await;
    match (fixture.provider().is_local(), hung) {
        (true, Err(_)) => return Err("what is local hung".to_owned()),
        (false, Ok(_)) => return Err("an issuer that does not answer was not waited for".to_owned()),
        (_, Ok(Ok(_))) => return Err("a token came from nowhere".to_owned()),
        (true, Ok(Err(error))) => check_error(&error, &identity)?,
        (false, Err(_)) => {}
    }

    // Whatever went before, and whoever gave up: it works again, for many at once.
    fixture.hands_out(three).await;
    let third = minted(fixture, three, now).await?;
    let provider = fixture.provider();
    let both = futures::join!(provider.mint(now), provider.mint(now));
    ensure!(
        both.0.is_ok() && both.1.is_ok(),
        "two at once do not both get one"
    );

    fixture.provider().rejected(&third);
    fixture.hands_out(one).await;
    minted(fixture, one, now).await?;
    ensure!(fixture.provider().identity() == identity, "the identity changes");
    Ok(())
}

fn check_identity(provider: &dyn TokenProvider) -> Result<(), Broken> {
    let identity = provider.identity();
    ensure!(!identity.is_empty(), "the identity has no name");
    ensure!(identity == provider.identity(), "the identity changes");
    let line = syncd_config::text::clean_to(&identity, identity.len());
    ensure!(line == identity, "the identity is not one clean line: {line}");
    silent(&identity)
}

async fn minted(fixture: &impl Fixture, secret: &str, now: Timestamp) -> Result<Token, Broken> {
    let provider = fixture.provider();
    let token = timeout(DEADLINE, provider.mint(now)).await;
    let token = token.map_err(|_| "no token within the deadline".to_owned())?;
    let token = token.map_err(|error| format!("no token: {error}"))?;
    ensure!(
        token.secret.expose() == secret,
        "the secret is not what the issuer hands out now"
    );
    ensure!(!token.username.is_empty(), "a token without a user");
    ensure!(
        token.minted_at == now,
        "minted at {}, not when it was asked for",
        token.minted_at
    );
    ensure!(provider.is_current(&token), "a new token is called outdated");
    match (fixture.life(), token.expires) {
        (None, Expiry::Unknown) => {}
        (Some(life), Expiry::Known(end)) => {
            let left = end.duration_since(now);
            let life = SignedDuration::try_from(life).unwrap_or(SignedDuration::MAX);
            let slack = SignedDuration::from_secs(60);
            ensure!(
                left > life - slack && left <= life + slack,
                "it lives {left:#}, not {life:#}"
            );
            let minimum = SignedDuration::try_from(provider.useful_minimum()).unwrap_or(SignedDuration::MAX);
            ensure!(minimum < life, "a new token is of no use already");
        }
        (life, end) => return Err(format!("a token that lives {life:?} ends {end:?}")),
    }
    silent(&format!("{token:?}"))?;
    Ok(token)
}

async fn refused(fixture: &impl Fixture, kind: TokenErrorKind, now: Timestamp) -> Result<(), Broken> {
    let provider = fixture.provider();
    let answer = timeout(DEADLINE, provider.mint(now)).await;
    let answer = answer.map_err(|_| "no error within the deadline".to_owned())?;
    let Err(error) = answer else {
        return Err("a token came from an issuer that gives none".to_owned());
    };
    ensure!(error.kind == kind, "the error is {:?}, not {kind:?}", error.kind);
    check_error(&error, &provider.identity())
}

/// An error is one of this identity, in clean words, and free of secrets all the way down.
fn check_error(error: &TokenError, identity: &str) -> Result<(), Broken> {
    ensure!(error.identity == identity, "the error is about another identity");
    ensure!(!error.detail.is_empty(), "the error has no words");
    ensure!(
        syncd_config::text::clean(&error.detail) == error.detail,
        "the words of the error are not cleaned"
    );
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        silent(&format!("{error} {error:?}"))?;
        cause = error.source();
    }
    Ok(())
}

fn silent(text: &str) -> Result<(), Broken> {
    let told = CANARIES.iter().any(|canary| text.contains(canary));
    match told {
        true => Err("a secret is told".to_owned()),
        false => Ok(()),
    }
}
