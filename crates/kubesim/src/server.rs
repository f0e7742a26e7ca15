//! One connection: which request is answered by what.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{
    Kind, Verb,
    answers::{self, Answer},
    cluster::Shared,
    watching,
};

/// Longest watch where the client names no time.
const WATCH_MAX: Duration = Duration::from_secs(300);
/// Largest patch, and largest question.
const PATCH_MAX: usize = 64 << 10;
/// Where clients ask what they may do.
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// Serves until the client goes.
pub(crate) async fn serve(tcp: TcpStream, shared: Arc<Shared>) {
    let answering = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&shared, request).await) }
    });
    // A client that goes in mid-answer is no news.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(tcp), answering)
        .await;
}

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    name: Option<String>,
    query: BTreeMap<String, String>,
    /// Only metadata is wanted.
    pub(crate) partial: bool,
}

impl Asked {
    fn read<T>(request: &Request<T>) -> Option<Self> {
        let path = request.uri().path().trim_matches('/');
        let parts: Vec<_> = path.split('/').collect();
        let (api_version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ((*version).to_owned(), rest),
            ["apis", group, version, rest @ ..] => (format!("{group}/{version}"), rest),
            _ => return None,
        };
        let (namespace, plural, name) = match rest {
            ["namespaces", namespace, plural] => (namespace, plural, None),
            ["namespaces", namespace, plural, name] => (namespace, plural, Some(name)),
            _ => return None,
        };
        let query = request.uri().query().unwrap_or_default().as_bytes();
        let accept = request.headers().get(ACCEPT);
        let accept = accept.and_then(|accept| accept.to_str().ok());
        Some(Self {
            kind: Kind::of(&api_version, plural)?,
            namespace: (*namespace).to_owned(),
            name: name.map(|name| (*name).to_owned()),
            query: form_urlencoded::parse(query).into_owned().collect(),
            partial: accept.is_some_and(|accept| accept.contains("PartialObjectMetadata")),
        })
    }

    /// `None`: of no use to an edge.
    fn verb(&self, method: &Method) -> Option<Verb> {
        match (&self.name, self.parameter("watch")) {
            (Some(_), _) if method == Method::PATCH => Some(Verb::Patch),
            _ if method != Method::GET => None,
            (Some(_), _) => Some(Verb::Get),
            (None, "true" | "1") => Some(Verb::Watch),
            (None, _) => Some(Verb::List),
        }
    }

    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    pub(crate) fn time(&self) -> Duration {
        let seconds = self.parameter("timeoutSeconds").parse();
        seconds
            .map_or(WATCH_MAX, Duration::from_secs)
            .min(WATCH_MAX)
    }
}

async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Answer> {
    let delay = shared.world().faults.delay;
    tokio::time::sleep(delay).await;
    if (request.method(), request.uri().path()) == (&Method::POST, REVIEWS) {
        return review(shared, request).await;
    }
    let asked = Asked::read(&request);
    let asked = asked.and_then(|asked| Some((asked.verb(request.method())?, asked)));
    let Some((verb, asked)) = asked else {
        return answers::status(
            404,
            "NotFound",
            "the server could not find the requested resource",
        );
    };
    if let Some(refusal) = refusal(shared, &request, &asked, verb) {
        shared.change(|world| world.refused += 1);
        return refusal;
    }
    match (verb, &asked.name) {
        (Verb::Watch, _) => watching::watch(shared, asked),
        (Verb::Patch, Some(name)) => patch(shared, &asked, name, request).await,
        (_, Some(name)) => answers::one(&shared.world().store, &asked, name),
        (_, None) => {
            let answer = answers::all(&shared.world().store, &asked);
            shared.change(|world| world.lists.push(asked.kind));
            answer
        }
    }
}

/// Says whether the client may do something, without doing it.
async fn review(shared: &Shared, request: Request<Incoming>) -> Response<Answer> {
    if let Some(refusal) = unauthorized(shared, &request) {
        return refusal;
    }
    let body = Limited::new(request.into_body(), PATCH_MAX).collect().await;
    let body = body.ok().map(http_body_util::Collected::to_bytes);
    let review = body.and_then(|body| serde_json::from_slice::<Value>(&body).ok());
    let Some(mut review) = review else {
        return answers::status(400, "BadRequest", "the review cannot be read");
    };
    let asked = &review["spec"]["resourceAttributes"];
    let denied = shared.world().faults.denied.iter().any(|(verb, kind)| {
        asked["verb"] == verb.to_string()
            && asked["resource"] == kind.plural()
            && asked["group"] == kind.group()
    });
    review["status"] = json!({"allowed": !denied});
    answers::answer(StatusCode::CREATED, &review)
}

/// Changes a part of an object, as RFC 7386 has it.
async fn patch(
    shared: &Shared,
    asked: &Asked,
    name: &str,
    request: Request<Incoming>,
) -> Response<Answer> {
    let merge = "application/merge-patch+json";
    let sent_as = request.headers().get(CONTENT_TYPE);
    if sent_as.is_none_or(|sent_as| sent_as != merge) {
        return answers::status(415, "UnsupportedMediaType", merge);
    }
    let body = Limited::new(request.into_body(), PATCH_MAX).collect().await;
    let body = body.ok().map(http_body_util::Collected::to_bytes);
    let Some(patch) = body.and_then(|body| serde_json::from_slice(&body).ok()) else {
        return answers::status(400, "BadRequest", "the patch cannot be read");
    };
    shared.change(|world| {
        world.patches += 1;
        world
            .store
            .patch(asked.kind, &asked.namespace, name, &patch);
    });
    answers::one(&shared.world().store, asked, name)
}

fn refusal<T>(
    shared: &Shared,
    request: &Request<T>,
    asked: &Asked,
    verb: Verb,
) -> Option<Response<Answer>> {
    if let Some(refusal) = unauthorized(shared, request) {
        return Some(refusal);
    }
    let denied = shared.world().faults.denied.contains(&(verb, asked.kind));
    denied.then(|| {
        let (plural, group) = (asked.kind.plural(), asked.kind.group());
        let full = match group {
            "" => plural.to_owned(),
            group => format!("{plural}.{group}"),
        };
        let message = format!(
            "{full} is forbidden: User \"system:serviceaccount:{0}:edge\" cannot {verb} resource \
             \"{plural}\" in API group \"{group}\" in the namespace \"{0}\"",
            asked.namespace
        );
        answers::status(403, "Forbidden", &message)
    })
}

fn unauthorized<T>(shared: &Shared, request: &Request<T>) -> Option<Response<Answer>> {
    let world = shared.world();
    let token = world.faults.token.as_ref()?;
    let shown = request.headers().get(AUTHORIZATION);
    let shown = shown.and_then(|shown| shown.to_str().ok());
    let shown = shown.and_then(|shown| shown.strip_prefix("Bearer "));
    (shown != Some(token)).then(|| answers::status(401, "Unauthorized", "Unauthorized"))
}
