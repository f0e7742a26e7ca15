//! `holdline probe`: whether a URL answers, for images that hold nothing else that could ask.

use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Response, Uri,
    body::{Bytes, Incoming},
};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, HttpConnector},
    },
    rt::TokioExecutor,
};
use tokio::time::{Instant, sleep, timeout};

use crate::{Failure, cli::ProbeArgs, failure::chain};

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// Of an answer that is no success, so much is looked at for a sentence.
const BODY_MAX: usize = 1_024;

/// Asks until the answer is a success or the time is over.
pub(crate) fn probe(args: &ProbeArgs) -> Result<(), Failure> {
    let url = address(&args.url)?;
    super::block_on(async {
        if url.scheme_str() == Some("https") {
            let connector = HttpsConnectorBuilder::new().with_native_roots()?;
            let connector = connector.https_only().enable_http1().build();
            succeeds(connector, &url, args).await
        } else {
            succeeds(HttpConnector::new(), &url, args).await
        }
    })
}

/// An absolute URL of HTTP, without a secret that would stand in process lists and in our errors.
fn address(text: &str) -> Result<Uri, Failure> {
    let wrong = |why: &str| Failure::Misconfigured(format!("the URL to probe {why}"));
    let url: Uri = text
        .parse()
        .map_err(|_| wrong("cannot be read: write it like http://127.0.0.1:9090/readyz"))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err(wrong("must begin with http:// or https://"));
    }
    let authority = url.authority().map(|authority| authority.as_str());
    if authority.is_some_and(|authority| authority.contains('@')) {
        return Err(wrong("must hold no user and no password"));
    }
    Ok(url)
}

async fn succeeds<C>(connector: C, url: &Uri, args: &ProbeArgs) -> Result<(), Failure>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let until = Instant::now() + args.wait;
    loop {
        let asking = ask(&client, url);
        let why = match timeout(args.timeout, asking).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(why)) => why,
            Err(_) => format!("did not answer within {:?}", args.timeout),
        };
        if Instant::now() + PAUSE > until {
            return Err(Failure::Failed(format!("{url} {why}")));
        }
        sleep(PAUSE).await;
    }
}

async fn ask<C>(client: &Client<C, Empty<Bytes>>, url: &Uri) -> Result<(), String>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let answer = client.get(url.clone()).await;
    let answer = answer.map_err(|error| format!("cannot be reached: {}", chain(&error)))?;
    if answer.status().is_success() {
        return Ok(());
    }
    let status = answer.status();
    Err(match first_line(answer).await {
        Some(line) => format!("answered {status}: {line}"),
        None => format!("answered {status}"),
    })
}

/// What an edge that is not ready says of the reason.
async fn first_line(answer: Response<Incoming>) -> Option<String> {
    let body = Limited::new(answer.into_body(), BODY_MAX).collect().await;
    let body = body.ok()?.to_bytes();
    let text = std::str::from_utf8(&body).ok()?;
    let line = text.lines().next()?.trim();
    let plain = !line.is_empty() && !line.contains(char::is_control);
    plain.then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_no_address_is_refused_and_no_password_is_repeated() {
        for text in [
            "127.0.0.1:9090/readyz",
            "ftp://host/",
            "not a url",
            "http://",
        ] {
            assert!(
                matches!(address(text), Err(Failure::Misconfigured(_))),
                "{text}"
            );
        }
        let refused = address("http://operator:let-me-in@127.0.0.1/").unwrap_err();
        assert!(!refused.to_string().contains("let-me-in"), "{refused}");
        assert!(address("https://[::1]:9090/readyz?x=1").is_ok());
    }
}
