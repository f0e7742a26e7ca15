//! `holdline probe`: whether a URL answers, for images that hold nothing else that could ask.

use std::time::Duration;

use hyper::{Method, Uri};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    Failure,
    cli::ProbeArgs,
    http::{Http, address},
};

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// An answer of more is none that a probe is meant for.
const BODY_MAX: usize = 64 << 20;

/// Asks until the answer is a success or the time is over.
pub(crate) fn probe(args: &ProbeArgs) -> Result<(), Failure> {
    let url = address(
        &args.url,
        "the URL to probe",
        "http://127.0.0.1:9090/readyz",
    )?;
    super::block_on(async { succeeds(&url, args).await })
}

async fn succeeds(url: &Uri, args: &ProbeArgs) -> Result<(), Failure> {
    let until = Instant::now() + args.wait;
    loop {
        // With a connection of its own: behind a Service, this one may lead to another pod.
        let http = Http::of(url)?;
        let asking = http.ask(Method::GET, url, None, None, BODY_MAX);
        let why = match timeout(args.timeout, asking).await {
            Ok(Ok(answer)) if answer.status.is_success() => return Ok(()),
            Ok(Ok(answer)) => answer.in_words(),
            Ok(Err(why)) => why,
            Err(_) => format!("did not answer within {:?}", args.timeout),
        };
        if Instant::now() + PAUSE > until {
            return Err(Failure::Failed(format!("{url} {why}")));
        }
        sleep(PAUSE).await;
    }
}
