//! `WWW-Authenticate` (RFC 9110, 11.6.1), parsed strictly and bounded: several challenges in one
//! header or in several, in any order, quoted strings, unknown schemes skipped.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// Headers looked at, challenges and parameters kept, bytes of one header.
const MAX_HEADERS: usize = 8;
const MAX_ITEMS: usize = 32;
const MAX_BYTES: usize = 8 * 1024;

/// A way to log in that syncd knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password at the registry itself.
    Basic,
    /// A token, to be had at `realm` (distribution's "token authentication specification").
    Bearer {
        realm: String,
        service: Option<String>,
        /// What the registry wants besides the scopes of repositories (ECR Public's `aws`).
        extra: Vec<String>,
        /// The token was good, but not for this (RFC 6750, 3.1).
        insufficient: bool,
    },
}

/// All known challenges of an answer, in order. A header outside the grammar is left out whole.
pub(crate) fn parse(headers: &HeaderMap) -> Vec<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter().take(MAX_HEADERS);
    values
        .filter_map(|value| value.to_str().ok())
        .filter(|text| text.len() <= MAX_BYTES)
        .filter_map(one_header)
        .flatten()
        .filter_map(known)
        .take(MAX_ITEMS)
        .collect()
}

/// A challenge as written.
struct Raw {
    scheme: String,
    parameters: Vec<(String, String)>,
}

fn known(raw: Raw) -> Option<Challenge> {
    let get = |name: &str| {
        let found = raw.parameters.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone())
    };
    match raw.scheme.as_str() {
        "basic" => Some(Challenge::Basic),
        "bearer" => Some(Challenge::Bearer {
            realm: get("realm")?,
            service: get("service"),
            extra: extra_scopes(&get("scope").unwrap_or_default()),
            insufficient: get("error").as_deref() == Some("insufficient_scope"),
        }),
        _ => None,
    }
}

/// The words of a challenge's scope that are not about a repository: those are ours to ask for.
fn extra_scopes(scope: &str) -> Vec<String> {
    let word = |s: &&str| {
        let resource = s.starts_with("repository") || s.starts_with("registry:");
        !resource
            && s.len() <= 64
            && s.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_:.*,".contains(&b))
    };
    let words = scope.split_ascii_whitespace().filter(word);
    words.take(4).map(str::to_owned).collect()
}

fn one_header(text: &str) -> Option<Vec<Raw>> {
    let mut rest = Cursor { text };
    let mut all: Vec<Raw> = Vec::new();
    loop {
        while rest.eat(',') {}
        if rest.is_empty() {
            return Some(all);
        }
        let word = rest.token()?;
        // `word = value` belongs to the challenge before; anything else begins a new one.
        if rest.eat('=') && !rest.text.starts_with(['=', ',']) && !rest.is_empty() {
            let value = rest.value()?;
            let parameters = &mut all.last_mut()?.parameters;
            if parameters.len() == MAX_ITEMS || parameters.iter().any(|(name, _)| *name == word) {
                return None;
            }
            parameters.push((word, value));
            rest.end_of_item()?;
        } else {
            if all.len() == MAX_ITEMS {
                return None;
            }
            all.push(Raw {
                scheme: word,
                parameters: Vec::new(),
            });
            rest.token68();
        }
    }
}

struct Cursor<'a> {
    text: &'a str,
}

impl Cursor<'_> {
    fn skip_blanks(&mut self) {
        self.text = self.text.trim_start_matches([' ', '\t']);
    }

    fn is_empty(&mut self) -> bool {
        self.skip_blanks();
        self.text.is_empty()
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.skip_blanks();
        let rest = self.text.strip_prefix(wanted);
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }

    /// RFC 9110, 5.6.2, in lower case.
    fn token(&mut self) -> Option<String> {
        self.skip_blanks();
        let tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let length = self.text.bytes().take_while(|b| tchar(*b)).count();
        let (token, rest) = self.text.split_at_checked(length)?;
        self.text = rest;
        (length > 0).then(|| token.to_ascii_lowercase())
    }

    /// A token in its own case, or a quoted string.
    fn value(&mut self) -> Option<String> {
        self.skip_blanks();
        let Some(mut rest) = self.text.strip_prefix('"') else {
            let before = self.text;
            let length = self.token()?.len();
            return before.get(..length).map(str::to_owned);
        };
        let mut value = String::new();
        loop {
            let mut chars = rest.chars();
            match chars.next()? {
                '"' => break,
                '\\' => value.push(chars.next()?),
                c => value.push(c),
            }
            rest = chars.as_str();
        }
        self.text = rest.get(1..)?;
        Some(value)
    }

    fn end_of_item(&mut self) -> Option<()> {
        (self.is_empty() || self.text.starts_with(',')).then_some(())
    }

    /// Skips the blob that schemes such as Negotiate carry instead of parameters.
    fn token68(&mut self) {
        self.skip_blanks();
        let end = self.text.find([',', ' ', '\t']).unwrap_or(self.text.len());
        let (word, rest) = self.text.split_at(end);
        let body = word.trim_end_matches('=');
        let chars = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
        if !body.is_empty() && body.bytes().all(chars) && !rest.trim_start().starts_with('=') {
            self.text = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

    use super::{Challenge, parse};

    fn of(values: &[&str]) -> Vec<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap());
        }
        parse(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>, extra: &[&str], insufficient: bool) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            extra: extra.iter().map(|s| (*s).to_owned()).collect(),
            insufficient,
        }
    }

    #[test]
    fn what_registries_send() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull""#;
        assert_eq!(
            of(&[hub]),
            [bearer(
                "https://auth.docker.io/token",
                Some("registry.docker.io"),
                &[],
                false
            )]
        );
        let public = r#"Bearer realm="https://public.ecr.aws/token/",service="public.ecr.aws",scope="aws""#;
        assert_eq!(
            of(&[public]),
            [bearer(
                "https://public.ecr.aws/token/",
                Some("public.ecr.aws"),
                &["aws"],
                false
            )]
        );
        assert_eq!(
            of(&[r#"Basic realm="https://1.dkr.ecr.x.amazonaws.com/",service="ecr.amazonaws.com""#]),
            [Challenge::Basic]
        );
        assert_eq!(of(&["basic"]), [Challenge::Basic]);
        let denied = r#"Bearer realm="https://r/t",service="s",scope="repository:a:pull,push",error="insufficient_scope""#;
        assert_eq!(of(&[denied]), [bearer("https://r/t", Some("s"), &[], true)]);
    }

    #[test]
    fn several_in_one_header_or_in_many() {
        let two = [bearer("https://a/t", None, &[], false), Challenge::Basic];
        assert_eq!(
            of(&[r#"Bearer realm="https://a/t", Basic realm="x, y=\"z\"""#]),
            two
        );
        assert_eq!(of(&[r#"Bearer realm="https://a/t""#, "Basic realm=x"]), two);
        assert_eq!(
            of(&[r#", ,Negotiate, BEARER  Realm = "https://a/t" , Basic"#]),
            two
        );
        assert_eq!(
            of(&[r#"Negotiate YWJj==, NTLM abc/+, Bearer realm="https://a/t", Basic"#]),
            two
        );
        assert_eq!(
            of(&[r#"Digest realm="d", nonce="n", qop="auth,auth-int", Bearer realm="https://a/t", Basic"#]),
            two
        );
    }

    #[test]
    fn nonsense_gives_nothing() {
        for text in [
            "",
            ",,,",
            "realm=\"x\"",
            "Bearer",
            "Bearer service=\"s\"",
            "Bearer realm=\"unterminated",
            "Bearer realm=\"a\" service=\"b\"",
            "Bearer realm=\"a\", realm=\"b\"",
            "Bearer realm=\"a\\",
            "Bearer realm=",
            "Bearer =x",
            "@@@",
            "Bearer realm=\"a\";service=\"b\"",
        ] {
            assert_eq!(of(&[text]), [], "{text}");
        }
        assert_eq!(of(&[&format!("Bearer realm=\"{}\"", "a".repeat(9000))]), []);
        let many: Vec<String> = (0..40).map(|i| format!("x{i}=1")).collect();
        assert_eq!(of(&[&format!("Bearer {}", many.join(","))]), []);
        // A header outside the grammar does not spoil the others.
        assert_eq!(of(&["@@@", "Basic"]), [Challenge::Basic]);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[ -~]{0,200}") {
            of(&[&text]);
        }
    }
}
