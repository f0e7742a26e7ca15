//! Secrets: present they are, or the configuration would not have been read. Here: whether they look like
//! what they are said to be. None of them is shown, nor how it differs from another.

use std::collections::BTreeSet;

use holdline_config::{CallerProfile, Config, Route, Secret, SecretSource, UpstreamProfile};

use super::Finding;

const SIGNATURE: &str = "signature";
const KEY: &str = "key";
const TOKEN: &str = "admin token";

/// Parts of values that people forget to replace.
const PLACEHOLDERS: [&str; 7] = [
    "changeme",
    "change_me",
    "change-me",
    "example",
    "placeholder",
    "your_",
    "your-",
];
/// A token that can be guessed is none.
const TOKEN_BYTES_MIN: usize = 16;

pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let routes = config.listeners.iter().flat_map(|it| &it.routes);
    let mut found: Vec<_> = routes.filter_map(signature).collect();
    for (name, upstream) in &config.upstreams {
        if let Some(key) = &upstream.api_key {
            let openai = upstream.profile == UpstreamProfile::OpenaiRealtime
                && upstream.url.contains("api.openai.com");
            let wrong = odd(key).or_else(|| {
                (openai && !key.expose().starts_with("sk-"))
                    .then_some("does not begin with `sk-`, as keys of OpenAI do")
            });
            found.push(told(KEY, &format!("upstream {name}"), key, wrong));
        }
    }
    found.push(admin(config));
    found
}

fn signature(route: &Route) -> Option<Finding> {
    if route.profile != CallerProfile::Twilio {
        return None;
    }
    let about = format!("route {}", route.path);
    let Some(signature) = &route.signature else {
        return Some(Finding::warning(
            SIGNATURE,
            about,
            "upgrades are not checked: anyone who reaches this route can place a call",
            "set `signature`, unless something in front of the edge checks it",
        ));
    };
    let tokens = [
        Some(&signature.auth_token),
        signature.secondary_auth_token.as_ref(),
    ];
    for token in tokens.into_iter().flatten() {
        let wrong = odd(token).or_else(|| {
            (!is_auth_token(token.expose()))
                .then_some("is no auth token of Twilio's: those are 32 hexadecimal digits")
        });
        if wrong.is_some() {
            return Some(told(SIGNATURE, &about, token, wrong));
        }
    }
    let host = signature.public_url.split('/').nth(2).unwrap_or_default();
    if host.ends_with("example.com") || host.ends_with("example.org") {
        return Some(Finding::failed(
            SIGNATURE,
            about,
            format!("`public_url` still names {host}"),
            "write the URL letter by letter as your TwiML has it: it is a part of what is signed",
        ));
    }
    let found = format!("checked, for {}", signature.public_url);
    Some(Finding::ok(SIGNATURE, about, found))
}

fn admin(config: &Config) -> Finding {
    let address = config.admin.address;
    let about = format!("admin port {address}");
    match &config.admin.token {
        Some(token) => {
            let distinct: BTreeSet<u8> = token.expose().bytes().collect();
            let wrong = odd(token).or_else(|| {
                let guessed = token.expose().len() < TOKEN_BYTES_MIN || distinct.len() < 8;
                guessed.then_some("can be guessed")
            });
            told(TOKEN, &about, token, wrong)
        }
        None if address.ip().to_canonical().is_loopback() => Finding::ok(
            TOKEN,
            about,
            "none: on loopback all can be read, and nothing can be changed",
        ),
        None => Finding::warning(
            TOKEN,
            about,
            "none: whoever reaches the port may read which calls there are",
            "set `admin.token`: openssl rand -hex 32",
        ),
    }
}

/// What is odd about any secret.
fn odd(secret: &Secret) -> Option<&'static str> {
    let value = secret.expose();
    let lower = value.to_ascii_lowercase();
    if value.trim() != value {
        Some("has blanks around it")
    } else if value.starts_with(['"', '\'']) || value.ends_with(['"', '\'']) {
        Some("has quotation marks around it")
    } else if PLACEHOLDERS.iter().any(|word| lower.contains(word)) || value.starts_with('<') {
        Some("looks like a placeholder that was not replaced")
    } else {
        None
    }
}

fn is_auth_token(value: &str) -> bool {
    value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn told(check: &'static str, about: &str, secret: &Secret, wrong: Option<&str>) -> Finding {
    let source = match secret.source() {
        SecretSource::Env(name) => format!("the environment variable {name}"),
        SecretSource::File(path) => format!("the file {}", path.display()),
    };
    match wrong {
        None => Finding::ok(check, about, format!("{source} looks right")),
        Some(wrong) => Finding::warning(
            check,
            about,
            format!("{source} {wrong}"),
            "look at what stands there",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examine::Verdict;

    fn secret(value: &str) -> Secret {
        Secret::new(SecretSource::Env("SECRET".to_owned()), value)
    }

    #[test]
    fn odd_secrets_are_found_and_not_shown() {
        for value in [
            "sk-live \n",
            "\"sk-live\"",
            "YOUR_AUTH_TOKEN",
            "sk-example",
            "<token>",
        ] {
            let secret = secret(value);
            let told = told(KEY, "upstream openai", &secret, odd(&secret));
            assert_eq!(told.verdict, Verdict::Warning, "{value:?}");
            assert!(!format!("{told:?}").contains(value.trim()), "{told:?}");
        }
        assert_eq!(odd(&secret("sk-proj-Zx81")), None);
    }

    #[test]
    fn auth_tokens_are_hexadecimal() {
        assert!(is_auth_token("0123456789abcdef0123456789abcdef"));
        assert!(!is_auth_token("0123456789abcdef0123456789abcdeg"));
        assert!(!is_auth_token("0123456789abcdef"));
    }
}
