//! Which path leads to which route.

use std::sync::Arc;

use holdline_config::{CallerProfile, Route};

use crate::{profile::Profile, signature::Verifier};

/// A route, ready to serve.
#[derive(Debug)]
pub struct RouteRuntime {
    settings: Route,
    verifier: Option<Verifier>,
}

impl RouteRuntime {
    pub(super) fn new(settings: &Route) -> Self {
        Self {
            verifier: settings.signature.as_ref().map(Verifier::new),
            settings: settings.clone(),
        }
    }

    /// The route as configured.
    #[must_use]
    pub fn settings(&self) -> &Route {
        &self.settings
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

    /// If this route serves `path`: what of it is beyond a prefix route's prefix, and how long a
    /// part of it the route names.
    fn matches<'p>(&self, path: &'p str) -> Option<(&'p str, usize)> {
        match self.settings.path.strip_suffix('*') {
            Some(prefix) => path.strip_prefix(prefix).map(|rest| (rest, prefix.len())),
            None => (self.settings.path == path).then_some(("", usize::MAX)),
        }
    }
}

/// The route for `path`, and what of the path is beyond its prefix. An exact route wins over a
/// prefix, a longer prefix over a shorter one.
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
    use std::{sync::Arc, time::Duration};

    use holdline_config::{ByteSize, CallerProfile, Route};

    use super::{RouteRuntime, find};

    fn route(path: &str) -> Arc<RouteRuntime> {
        Arc::new(RouteRuntime::new(&Route {
            path: path.to_owned(),
            profile: CallerProfile::Raw,
            start_timeout: Duration::ZERO,
            idle_timeout: None,
            max_frame: ByteSize::kib(64),
            signature: None,
            legs: Vec::new(),
            workers: "default".to_owned(),
        }))
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
}
