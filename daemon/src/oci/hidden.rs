//! What a server may have repeated of the credential it was sent: in an error's words, a realm, a
//! redirect. Such words are shown and logged, so the credential is taken out of them first.
//!
//! Sought are the forms in which a credential comes back: as it is, as it stands in a Basic header
//! (also without the user), in the alphabet and the escapes of URLs. What a server makes of it
//! besides, reversed or in parts, is not recognised.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use syncd_config::Secret;

use super::auth::Credential;
use super::login::Login;

/// Shorter ones cannot be told from words, and protect nothing.
const SHORTEST: usize = 4;

/// The forms of what was sent.
#[derive(Default)]
pub(crate) struct Hidden(Vec<Secret>);

impl Hidden {
    /// What goes with a token request, or with a request by Basic.
    pub(crate) fn of(credential: Option<&Credential>) -> Self {
        Self::default().and(credential)
    }

    /// What a request with this login shows.
    pub(crate) fn of_login(login: &Login) -> Self {
        match login {
            Login::None => Self::default(),
            Login::Basic(credential) => Self::of(Some(credential)),
            Login::Token { value, .. } => {
                let mut hidden = Self::default();
                hidden.add(value.clone());
                hidden
            }
        }
    }

    /// And these as well.
    pub(crate) fn and<'a>(mut self, credentials: impl IntoIterator<Item = &'a Credential>) -> Self {
        for credential in credentials {
            let secret = credential.secret.expose();
            if secret.len() >= SHORTEST {
                let pair = Secret::new(format!("{}:{secret}", credential.username));
                for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                    self.add(Secret::new(engine.encode(pair.expose())));
                    self.add(Secret::new(engine.encode(secret)));
                }
            }
            self.add(credential.secret.clone());
        }
        // A form within another one is looked for after it.
        self.0.sort_by_key(|form| std::cmp::Reverse(form.expose().len()));
        self
    }

    fn add(&mut self, secret: Secret) {
        if secret.expose().len() < SHORTEST {
            return;
        }
        let escaped: String = url::form_urlencoded::byte_serialize(secret.expose().as_bytes()).collect();
        if escaped != secret.expose() {
            self.0.push(Secret::new(escaped));
        }
        self.0.push(secret);
    }

    /// Whether one of the forms is in a text, as it is or in the small letters of a host.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        let lower = text.to_ascii_lowercase();
        let found = |form: &Secret| {
            let small = Secret::new(form.expose().to_ascii_lowercase());
            lower.contains(small.expose())
        };
        self.0.iter().any(found)
    }

    /// The text with `****` in place of each form. Before it is cut: a part would not be found.
    pub(crate) fn taken_out_of(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for form in &self.0 {
            if out.contains(form.expose()) {
                out = out.replace(form.expose(), "****");
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn credential(secret: &str) -> Credential {
        Credential {
            username: "bot".to_owned(),
            secret: Secret::new(secret),
        }
    }

    #[test]
    fn what_comes_back_is_taken_out_in_each_form() {
        let secret = "s3cr/et+?>word";
        let hidden = Hidden::of(Some(&credential(secret)));
        let escaped: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for form in [
            secret.to_owned(),
            STANDARD.encode(format!("bot:{secret}")),
            URL_SAFE_NO_PAD.encode(format!("bot:{secret}")),
            STANDARD.encode(secret),
            escaped,
        ] {
            let text = format!("denied: you sent {form}, go away");
            assert!(hidden.is_in(&text), "{form}");
            let out = hidden.taken_out_of(&text);
            let bare = form.trim_end_matches('=');
            assert!(
                out.starts_with("denied: you sent ****") && !out.contains(bare),
                "{out}"
            );
        }
        assert!(hidden.is_in(&format!("https://{}.example/", secret.to_uppercase())));
        assert!(!hidden.is_in("denied"));
    }

    #[test]
    fn a_token_is_taken_out_and_nothing_hides_nothing() {
        let login = Login::Token {
            value: Secret::new("tok-123456"),
            credential: true,
            fresh: false,
        };
        let out = Hidden::of_login(&login).taken_out_of("no such token: tok-123456");
        assert_eq!(out, "no such token: ****");
        let none = Hidden::of_login(&Login::None);
        assert_eq!(none.taken_out_of("denied"), "denied");
        assert!(!Hidden::of(Some(&credential("x"))).is_in("x"));
    }
}
