//! Which path leads to which route.

use std::{borrow::Cow, sync::Arc};

use holdline_config::{CallerProfile, Route};

use crate::{SetupError, profile::Profile, signature::Verifier, webhook::Webhook};

/// The last segment of a path that ends in a token.
const TOKEN: &str = "{token}";
/// Bytes of a segment that may be told where a token could stand; tokens are far longer.
const TELLABLE: usize = 16;

/// A route, ready to serve.
#[derive(Debug)]
pub struct RouteRuntime {
    settings: Route,
    verifier: Option<Verifier>,
    webhook: Option<Webhook>,
}

impl RouteRuntime {
    pub(super) fn new(settings: &Route) -> Result<Self, SetupError> {
        let webhook = settings.webhook.as_ref();
        Ok(Self {
            verifier: settings.signature.as_ref().map(Verifier::new),
            webhook: webhook.map(|it| Webhook::new(it, settings)).transpose()?,
            settings: settings.clone(),
        })
    }

    /// The route as configured.
    #[must_use]
    pub fn settings(&self) -> &Route {
        &self.settings
    }

    pub(super) fn webhook(&self) -> Option<&Webhook> {
        self.webhook.as_ref()
    }

    /// Whether what is beyond the fixed part of the path is a token.
    pub(super) fn has_token(&self) -> bool {
        self.before_token().is_some()
    }

    fn before_token(&self) -> Option<&str> {
        self.settings.path.strip_suffix(TOKEN)
    }

    pub(super) fn verifier(&self) -> Option<&Verifier> {
        self.verifier.as_ref()
    }

    pub(super) fn profile(&self) -> Profile {
        match self.settings.profile {
            CallerProfile::Twilio => Profile::twilio(),
            CallerProfile::Raw => Profile::Raw,
        }
    }

    /// If this route serves `path`: what of it is beyond the part that the route fixes, and how long
    /// that part is.
    fn matches<'p>(&self, path: &'p str) -> Option<(&'p str, usize)> {
        if let Some(prefix) = self.before_token() {
            let rest = path.strip_prefix(prefix)?;
            let one = !rest.is_empty() && !rest.contains('/');
            return one.then_some((rest, prefix.len()));
        }
        match self.settings.path.strip_suffix('*') {
            Some(prefix) => path.strip_prefix(prefix).map(|rest| (rest, prefix.len())),
            None => (self.settings.path == path).then_some(("", usize::MAX)),
        }
    }
}

/// The route whose webhook has this path.
pub(super) fn find_webhook<'r>(routes: &'r [Arc<RouteRuntime>], path: &str) -> Option<&'r Webhook> {
    let mut webhooks = routes.iter().filter_map(|route| route.webhook());
    webhooks.find(|webhook| webhook.path() == path)
}

/// A request's path, fit to be told: without a token, even one in a path that is not quite a
/// route's.
pub(super) fn shown<'a>(routes: &'a [Arc<RouteRuntime>], path: &'a str) -> Cow<'a, str> {
    let mut tokens = routes.iter().filter_map(|route| route.before_token());
    let may_hold = match find(routes, path) {
        Some((route, _)) if route.has_token() => return Cow::Borrowed(&route.settings.path),
        // Of another route; but perhaps only because it is malformed.
        Some((_, rest)) => !rest.is_empty() && tokens.any(|before| path.starts_with(before)),
        None => tokens.next().is_some(),
    };
    if !may_hold {
        return Cow::Borrowed(path);
    }
    let segments = path.split('/').map(|segment| match segment.len() {
        0..=TELLABLE => segment,
        _ => "...",
    });
    Cow::Owned(segments.collect::<Vec<_>>().join("/"))
}

/// The route for `path`, and what of the path is beyond its fixed part. An exact route wins over
/// others, a longer prefix over a shorter one.
pub(super) fn find<'r, 'p>(
    routes: &'r [Arc<RouteRuntime>],
    path: &'p str,
) -> Option<(&'r Arc<RouteRuntime>, &'p str)> {
    routes
        .iter()
        .filter_map(|route| {
            route
                .matches(path)
                .map(|(rest, length)| (length, route, rest))
        })
        .max_by_key(|(length, ..)| *length)
        .map(|(_, route, rest)| (route, rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{sync::Arc, time::Duration};

    use holdline_config::{ByteSize, CallerProfile, Route};

    use super::{RouteRuntime, find, shown};

    fn route(path: &str) -> Arc<RouteRuntime> {
        let route = RouteRuntime::new(&Route {
            path: path.to_owned(),
            profile: CallerProfile::Raw,
            start_timeout: Duration::ZERO,
            idle_timeout: None,
            max_frame: ByteSize::kib(64),
            signature: None,
            webhook: None,
            takeover: None,
            legs: Vec::new(),
            workers: "default".to_owned(),
        });
        Arc::new(route.unwrap())
    }

    #[test]
    fn the_most_telling_route_wins() {
        let routes = ["/*", "/media/*", "/media/v1/*", "/media/v1/x"].map(route);
        let found = |path| find(&routes, path).map(|(route, rest)| (&*route.settings.path, rest));
        assert_eq!(found("/media/v1/x"), Some(("/media/v1/x", "")));
        assert_eq!(found("/media/v1/y"), Some(("/media/v1/*", "y")));
        assert_eq!(found("/media/v1/"), Some(("/media/v1/*", "")));
        assert_eq!(found("/media/v1"), Some(("/media/*", "v1")));
        assert_eq!(found("/mediator"), Some(("/*", "mediator")));
        assert!(find(&routes[1..], "/media").is_none());
    }

    #[test]
    fn a_token_is_one_whole_segment_and_is_not_shown() {
        let routes = ["/media/{token}", "/media/health"].map(route);
        let found = |path| find(&routes, path).map(|(route, rest)| (&*route.settings.path, rest));
        assert_eq!(found("/media/abc"), Some(("/media/{token}", "abc")));
        assert_eq!(found("/media/health"), Some(("/media/health", "")));
        for other in ["/media/", "/media", "/media/a/b", "/media/a/"] {
            assert_eq!(found(other), None, "{other}");
        }
        assert_eq!(shown(&routes, "/media/abc"), "/media/{token}");
        assert_eq!(shown(&routes, "/elsewhere"), "/elsewhere");
    }

    #[test]
    fn a_token_in_a_malformed_path_is_not_shown_either() {
        const TOKEN: &str = "0123456789abcdef0123456789abcdef";
        let routes = ["/media/{token}", "/media/v1/*", "/free/*"].map(route);
        for (path, told) in [
            ("/media/T/", "/media/.../"),
            ("/media/T/x", "/media/.../x"),
            ("//media/T", "//media/..."),
            ("/voice/T?", "/voice/..."),
            ("/T", "/..."),
            ("/media/v1/T", "/media/v1/..."),
        ] {
            let path = path.trim_end_matches('?').replace('T', TOKEN);
            assert_eq!(shown(&routes, &path), told);
        }
        // Where no token is expected, what follows a prefix is told as it is.
        let free = format!("/free/{TOKEN}");
        assert_eq!(shown(&routes, &free), free);
        assert_eq!(
            shown(&routes[1..], "/elsewhere/0123456789abcdef0"),
            "/elsewhere/0123456789abcdef0"
        );
    }
}
