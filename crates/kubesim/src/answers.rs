//! Answers that are complete when they are given.

use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{Response, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

use crate::{
    server::Asked,
    store::{Store, text},
};

/// A body, whole or in parts.
pub(crate) type Answer = UnsyncBoxBody<Bytes, io::Error>;

/// The objects that are asked for, or that part of them which is. Later parts show the objects as they are
/// by then, at the version of the first: a watch from there tells what became of the others.
pub(crate) fn all(store: &Store, asked: &Asked) -> Response<Answer> {
    let (version, after) = match asked.parameter("continue").split_once('/') {
        Some((version, after)) => (version.parse().unwrap_or(0), after),
        None => (store.version(), ""),
    };
    if store.since(version).is_none() {
        return status(410, "Expired", "the provided continue parameter is too old");
    }
    let limit = asked.parameter("limit").parse().unwrap_or(usize::MAX);
    let mut here = store
        .all(asked.kind, &asked.namespace)
        .filter(|object| selected(object, asked.parameter("labelSelector")))
        .filter(|object| text(object, "/metadata/name") > after)
        .peekable();
    let part: Vec<_> = here.by_ref().take(limit).collect();
    let last = part.last().filter(|_| here.peek().is_some());
    let next = last.map(|last| format!("{version}/{}", text(last, "/metadata/name")));
    let items: Vec<_> = part.iter().map(|object| shown(object, asked)).collect();
    let (api_version, kind) = match asked.partial {
        true => ("meta.k8s.io/v1", "PartialObjectMetadata"),
        false => (asked.kind.api_version(), asked.kind.as_str()),
    };
    let list = json!({
        "apiVersion": api_version,
        "kind": format!("{kind}List"),
        "metadata": {
            "resourceVersion": version.to_string(),
            "continue": next.unwrap_or_default(),
        },
        "items": items,
    });
    answer(StatusCode::OK, &list)
}

/// The object of this name.
pub(crate) fn one(store: &Store, asked: &Asked, name: &str) -> Response<Answer> {
    let mut here = store.all(asked.kind, &asked.namespace);
    match here.find(|object| text(object, "/metadata/name") == name) {
        Some(object) => answer(StatusCode::OK, &shown(object, asked)),
        None => {
            let message = format!("{} \"{name}\" not found", asked.kind.plural());
            status(404, "NotFound", &message)
        }
    }
}

/// A refusal.
pub(crate) fn status(code: u16, reason: &str, message: &str) -> Response<Answer> {
    let http = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer(http, &status_object(code, reason, message))
}

/// The object in which the API says what went wrong.
pub(crate) fn status_object(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    })
}

/// The object as it is asked for.
pub(crate) fn shown(object: &Value, asked: &Asked) -> Value {
    if !asked.partial {
        return object.clone();
    }
    json!({
        "apiVersion": "meta.k8s.io/v1",
        "kind": "PartialObjectMetadata",
        "metadata": object["metadata"],
    })
}

/// Whether an object's labels are as a selector of the form `a=b,c=d` wants them.
pub(crate) fn selected(object: &Value, selector: &str) -> bool {
    let labels = &object["metadata"]["labels"];
    let wanted = selector.split(',').filter(|term| !term.is_empty());
    wanted
        .filter_map(|term| term.split_once('='))
        .all(|(key, value)| labels[key].as_str() == Some(value.trim_start_matches('=')))
}

/// An object.
pub(crate) fn answer(status: StatusCode, object: &Value) -> Response<Answer> {
    let body = Full::new(Bytes::from(object.to_string()));
    json_response(status, body.map_err(|never| match never {}).boxed_unsync())
}

/// A body of JSON.
pub(crate) fn json_response(status: StatusCode, body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
