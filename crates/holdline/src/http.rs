//! Asking over HTTP or HTTPS, once for each answer: for probes and for operators.

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::{Bytes, Incoming},
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::{Failure, failure::chain};

/// A client of one scheme. With https the system's authorities are trusted, and are read only then.
pub(crate) enum Http {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// An answer with its body.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Http {
    /// For URLs like this one.
    ///
    /// # Errors
    /// The system's authorities cannot be read.
    pub(crate) fn of(url: &Uri) -> Result<Self, Failure> {
        let builder = Client::builder(TokioExecutor::new());
        if url.scheme_str() != Some("https") {
            return Ok(Self::Plain(builder.build(HttpConnector::new())));
        }
        let connector = HttpsConnectorBuilder::new().with_native_roots()?;
        let connector = connector.https_only().enable_http1().build();
        Ok(Self::Tls(builder.build(connector)))
    }

    /// Asks, and takes an answer of `most` bytes. A `token` is shown as `Authorization: Bearer`, a `body`
    /// is JSON.
    ///
    /// # Errors
    /// There was no answer, in words that follow the URL.
    pub(crate) async fn ask(
        &self,
        method: Method,
        url: &Uri,
        token: Option<&HeaderValue>,
        body: Option<String>,
        most: usize,
    ) -> Result<Answer, String> {
        let mut request = Request::builder().method(method).uri(url.clone());
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = Full::from(body.unwrap_or_default());
        let request = request.body(body).map_err(|error| error.to_string())?;
        let answer = match self {
            Self::Plain(client) => client.request(request).await,
            Self::Tls(client) => client.request(request).await,
        };
        let answer = answer.map_err(|error| format!("cannot be reached: {}", chain(&error)))?;
        read(answer, most).await
    }
}

async fn read(answer: Response<Incoming>, most: usize) -> Result<Answer, String> {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), most).collect().await;
    match body {
        Ok(body) => Ok(Answer {
            status,
            body: body.to_bytes(),
        }),
        Err(error) => Err(format!("answered {status}, but not to the end: {error}")),
    }
}

impl Answer {
    /// Its status and the first line of what it says, as far as that can be shown.
    pub(crate) fn in_words(&self) -> String {
        let status = self.status;
        match self.first_line() {
            Some(line) => format!("answered {status}: {line}"),
            None => format!("answered {status}"),
        }
    }

    /// What an edge says of the reason.
    pub(crate) fn first_line(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.body).ok()?;
        let line = text.lines().next()?.trim();
        let plain = !line.is_empty() && !line.contains(char::is_control);
        plain.then_some(line)
    }
}

/// An absolute URL of HTTP, without a secret that would stand in process lists and in our errors.
/// `what`: whose it is, for the error.
pub(crate) fn address(text: &str, what: &str, like: &str) -> Result<Uri, Failure> {
    let wrong = |why: &str| Failure::Misconfigured(format!("{what} {why}"));
    let url: Uri = text
        .parse()
        .map_err(|_| wrong(&format!("cannot be read: write it like {like}")))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err(wrong("must begin with http:// or https://"));
    }
    let authority = url.authority().map(|authority| authority.as_str());
    if authority.is_some_and(|authority| authority.contains('@')) {
        return Err(wrong("must hold no user and no password"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(text: &str) -> Result<Uri, Failure> {
        address(text, "the URL", "http://127.0.0.1:9090")
    }

    #[test]
    fn what_is_no_address_is_refused_and_no_password_is_repeated() {
        for text in [
            "127.0.0.1:9090/readyz",
            "ftp://host/",
            "not a url",
            "http://",
        ] {
            assert!(
                matches!(read(text), Err(Failure::Misconfigured(_))),
                "{text}"
            );
        }
        let refused = read("http://operator:let-me-in@127.0.0.1/").unwrap_err();
        assert!(!refused.to_string().contains("let-me-in"), "{refused}");
        assert!(read("https://[::1]:9090/readyz?x=1").is_ok());
    }
}
