//! Commands that ask a running edge over its admin port, and steer it.

pub(crate) mod rollout;
pub(crate) mod sessions;
mod table;
pub(crate) mod top;
pub(crate) mod workers;

use std::{fmt::Display, time::Duration};

use hyper::{Method, StatusCode, Uri, header::HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    Failure,
    cli::{AdminArgs, Form},
    commands::print,
    http::{Answer, Http, address},
};

/// The largest answer that is read, in bytes: some thousand calls in a list.
const ANSWER_MAX: usize = 64 << 20;
/// The variable that may hold the token.
const TOKEN: &str = "HOLDLINE_ADMIN_TOKEN";

/// What a name in a URL cannot hold as it is. Most addresses of workers stay readable.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':');

/// A running edge, as an operator asks it.
struct Edge {
    http: Http,
    base: String,
    token: Option<HeaderValue>,
    form: Form,
    timeout: Duration,
}

impl Edge {
    fn new(args: &AdminArgs) -> Result<Self, Failure> {
        let url = address(&args.admin, "--admin", "http://127.0.0.1:9090")?;
        Ok(Self {
            http: Http::of(&url)?,
            base: args.admin.trim_end_matches('/').to_owned(),
            token: token(args)?,
            form: args.output,
            timeout: args.timeout,
        })
    }

    /// What is there.
    async fn get(&self, path: &str) -> Result<Value, Failure> {
        let answer = self.ask(Method::GET, path, None).await?;
        serde_json::from_slice(&answer.body).map_err(|_| {
            let base = &self.base;
            Failure::Failed(format!("{base}{path} answered no JSON: is this an edge?"))
        })
    }

    /// Has something done; what the edge said.
    async fn post(&self, path: &str, body: Option<Value>) -> Result<Answer, Failure> {
        let body = body.map(|body| body.to_string());
        self.ask(Method::POST, path, body).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Answer, Failure> {
        let text = format!("{}{path}", self.base);
        let wrong = |_| Failure::Misconfigured(format!("`{text}` is no URL"));
        let url: Uri = text.parse().map_err(wrong)?;
        let token = self.token.as_ref();
        let asking = self.http.ask(method, &url, token, body, ANSWER_MAX);
        let answer = match timeout(self.timeout, asking).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => return Err(Failure::Failed(format!("{text} {why}"))),
            Err(_) => {
                let why = format!("{text} did not answer within {:?}", self.timeout);
                return Err(Failure::Failed(why));
            }
        };
        match answer.status {
            status if status.is_success() => Ok(answer),
            StatusCode::UNAUTHORIZED => Err(Failure::Refused(self.unauthorized(&answer))),
            status if status.is_client_error() => Err(Failure::Refused(said(&answer))),
            _ => Err(Failure::Failed(format!("{text} {}", answer.in_words()))),
        }
    }

    fn unauthorized(&self, answer: &Answer) -> String {
        let advice = match self.token {
            Some(_) => "the token that was shown is not the edge's `admin.token`",
            None => {
                "put it into a file and name that by --token-file, or into HOLDLINE_ADMIN_TOKEN"
            }
        };
        format!("{}; {advice}", said(answer))
    }

    /// Prints what was done.
    fn report(&self, answer: &Answer) -> Result<(), Failure> {
        let said = answer.first_line().unwrap_or("done");
        match self.form {
            Form::Text => print(format!("{said}\n").as_bytes()),
            Form::Json => {
                let done = json!({"status": answer.status.as_u16(), "said": said});
                print(format!("{done}\n").as_bytes())
            }
        }
    }

    /// Prints what is there, as it was asked for.
    fn show(&self, value: &Value, text: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
        match self.form {
            Form::Text => print(text(value).as_bytes()),
            Form::Json => print(format!("{value:#}\n").as_bytes()),
        }
    }
}

/// All that the edge says of what it refuses.
fn said(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let lines: Vec<String> = text.lines().map(table::plain).collect();
    match lines.join("; ") {
        empty if empty.is_empty() => format!("the edge answered {}", answer.status),
        words => words,
    }
}

fn token(args: &AdminArgs) -> Result<Option<HeaderValue>, Failure> {
    let (token, place) = match &args.token_file {
        Some(file) => {
            let place = file.display().to_string();
            let read = std::fs::read_to_string(file);
            let read = read.map_err(|error| {
                Failure::Misconfigured(format!("the token cannot be read from {place}: {error}"))
            })?;
            (read, place)
        }
        None => match std::env::var(TOKEN) {
            Ok(token) if !token.trim().is_empty() => (token, TOKEN.to_owned()),
            Ok(_) | Err(_) => return Ok(None),
        },
    };
    let value = HeaderValue::try_from(format!("Bearer {}", token.trim()));
    let mut value =
        value.map_err(|_| Failure::Misconfigured(format!("what is in {place} is no token")))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// A name as it stands in a path or a query.
fn segment(name: &str) -> impl Display {
    utf8_percent_encode(name, ESCAPED)
}
