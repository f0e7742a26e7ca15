//! What goes wrong with the API server, in words that someone who sees them for the first time can
//! act on.

use std::{error::Error, fmt, time::Duration};

use kube::{client::AuthError, config::InferConfigError, core::Status};

/// What was asked of the API server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// One object.
    Get,
    /// All objects.
    List,
    /// What becomes of them.
    Watch,
    /// To change a part of one.
    Patch,
}

impl Verb {
    /// The verbs of a rule that allows it: a list is of no use without a watch.
    const fn as_granted(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List | Self::Watch => "list, watch",
            Self::Patch => "patch",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Patch => "patch",
        })
    }
}

/// Why the API server did not do what was asked. A retry may help with all of it: rights are given and
/// servers come back while the edge runs.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Trouble {
    /// The version to go on from is too old: only a list helps.
    #[error("the version to go on from is gone")]
    Gone,
    /// There are no credentials at all.
    #[error(
        "no way to the API server is known: run the edge in a pod with a ServiceAccount token, or \
         name a file in KUBECONFIG ({0})"
    )]
    NoConfig(String),
    /// A right is missing; the words name the rule that would give it.
    #[error(
        "the API server does not allow this edge to {verb} {resource} in namespace `{namespace}`. \
         Bind a Role with this rule to its ServiceAccount: {{apiGroups: [\"{group}\"], \
         resources: [{resource}], verbs: [{}]}}",
        .verb.as_granted()
    )]
    Forbidden {
        /// What was asked.
        verb: Verb,
        /// API group, as a Role names it.
        group: &'static str,
        /// Plural, as a Role names it.
        resource: &'static str,
        /// Where.
        namespace: String,
    },
    /// The token or the certificate is worth nothing, or nothing any more.
    #[error("the API server does not accept this edge's credentials, which are read anew: {0}")]
    Unauthorized(String),
    /// They are named, but cannot be had.
    #[error("no credentials for the API server: {0}")]
    NoCredentials(&'static str),
    /// No connection, or it broke.
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("the API server said nothing for {0:?}")]
    Silent(Duration),
    /// Any other refusal.
    #[error("the API server answered {code}: {message}")]
    Refused {
        /// HTTP status.
        code: u16,
        /// In the server's words.
        message: String,
    },
    /// What came is not what was asked for.
    #[error("the API server's answer cannot be read: {0}")]
    Malformed(String),
    /// A list without end.
    #[error("more than {0} objects")]
    TooMany(usize),
    /// A Service of no use.
    #[error("Service `{0}` selects no pods")]
    NoSelector(String),
}

impl Trouble {
    /// No configuration could be found.
    #[must_use]
    pub fn config(error: InferConfigError) -> Self {
        Self::NoConfig(innermost(&error))
    }

    /// What an error of the client means, after `verb` was asked for of `(group, resource)`, both as a
    /// Role names them.
    #[must_use]
    pub fn of(
        error: kube::Error,
        verb: Verb,
        (group, resource): (&'static str, &'static str),
        namespace: &str,
    ) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 403 => Self::Forbidden {
                verb,
                group,
                resource,
                namespace: namespace.to_owned(),
            },
            error => Self::other(error),
        }
    }

    /// What an error of the client means, where no right was in question.
    #[must_use]
    pub fn other(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::said(&status),
            kube::Error::SerdeError(error) => Self::Malformed(error.to_string()),
            error => match credentials(&error) {
                Some(why) => Self::NoCredentials(why),
                None => Self::Unreachable(innermost(&error)),
            },
        }
    }

    /// What the API server's own words mean.
    #[must_use]
    pub fn said(status: &Status) -> Self {
        match status.code {
            401 => Self::Unauthorized(status.message.clone()),
            410 => Self::Gone,
            code => Self::Refused {
                code,
                message: status.message.clone(),
            },
        }
    }

    /// A list from the beginning needs no version: one that is refused for it is not tried again at
    /// once.
    #[must_use]
    pub fn of_a_list(self) -> Self {
        match self {
            Self::Gone => Self::Refused {
                code: 410,
                message: "the list went stale while it was read".to_owned(),
            },
            other => other,
        }
    }

    /// Two of the same kind are the same trouble still, even if the words differ.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let away = |it: &Self| matches!(it, Self::Unreachable(_) | Self::Silent(_));
        std::mem::discriminant(self) == std::mem::discriminant(other) || (away(self) && away(other))
    }

    /// Whether it stays until a person does something.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        matches!(self, Self::Forbidden { .. } | Self::NoConfig(_))
    }
}

/// Errors of authentication can hold what a credential plugin printed: none of it is passed on.
fn credentials(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let is_one = chain(error).any(|error| error.is::<AuthError>());
    is_one.then_some("the token or the plugin that KUBECONFIG names cannot be used")
}

/// The innermost cause, which says what happened where the outer ones say only where.
fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forbidden(verb: Verb, resource: (&'static str, &'static str)) -> Trouble {
        let status = Status::failure("no", "Forbidden").with_code(403).boxed();
        Trouble::of(kube::Error::Api(status), verb, resource, "voice")
    }

    #[test]
    fn a_denied_verb_is_named_with_the_rule_that_allows_it() {
        let words = forbidden(Verb::List, ("discovery.k8s.io", "endpointslices")).to_string();
        assert_eq!(
            words,
            "the API server does not allow this edge to list endpointslices in namespace `voice`. \
             Bind a Role with this rule to its ServiceAccount: {apiGroups: [\"discovery.k8s.io\"], \
             resources: [endpointslices], verbs: [list, watch]}"
        );
        let words = forbidden(Verb::Get, ("", "services")).to_string();
        assert!(words.ends_with("{apiGroups: [\"\"], resources: [services], verbs: [get]}"));
        let words = forbidden(Verb::Patch, ("", "pods")).to_string();
        assert!(words.ends_with("{apiGroups: [\"\"], resources: [pods], verbs: [patch]}"));
    }

    #[test]
    fn a_server_that_is_away_is_away_however_that_shows() {
        let silent = Trouble::Silent(Duration::from_secs(1));
        let unreachable = Trouble::Unreachable("refused".to_owned());
        assert!(silent.is_like(&unreachable));
        assert!(!silent.is_like(&forbidden(Verb::List, ("", "pods"))));
    }
}
