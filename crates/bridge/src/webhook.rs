//! Functions outside: one HTTP request each, repeated within bounds, and an answer in every case.
//!
//! Whatever goes wrong becomes an output that the model can talk about: a caller who is told that
//! the calendar does not answer is better off than one who hears nothing.

mod client;

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderName, HeaderValue, Uri};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::{
    config::{Config, ConfigError, Tool},
    core::ToolRequest,
    ids::CallSid,
};
use client::Client;

/// Wait before the second attempt; it doubles with each one.
const BACKOFF: Duration = Duration::from_millis(200);
/// Longest wait.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// All webhooks of a configuration, with their secrets.
pub(crate) struct Webhooks {
    hooks: BTreeMap<String, Hook>,
    client: Client,
}

/// One webhook, ready to be asked.
struct Hook {
    url: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: Duration,
    attempts: u32,
    max_response_bytes: usize,
}

impl Webhooks {
    /// Reads the secrets and prepares the client.
    ///
    /// # Errors
    /// If a secret is not there, or the system's certificates cannot be read.
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let mut hooks = BTreeMap::new();
        for (index, tool) in config.tools.iter().enumerate() {
            match Hook::new(tool) {
                Ok(hook) => drop(hooks.insert(tool.name.clone(), hook)),
                Err(problem) => problems.push(format!("tools[{index}].webhook.{problem}")),
            }
        }
        let secure = hooks
            .values()
            .any(|hook| hook.url.scheme_str() == Some("https"));
        let client =
            Client::new(secure).map_err(|problem| problems.push(format!("tools: {problem}")));
        match client {
            Ok(client) if problems.is_empty() => Ok(Self { hooks, client }),
            _ => Err(ConfigError::new("", problems)),
        }
    }

    /// Asks, and answers what the model is told.
    ///
    /// Cancel safe in so far as the receiver honours the `Idempotency-Key`.
    pub(crate) async fn ask(&self, request: &ToolRequest, session: &str, key: &str) -> String {
        let Some(hook) = self.hooks.get(&request.tool) else {
            return outcome("there is no such function", None);
        };
        let Some(body) = body(request, session) else {
            return outcome(
                "the arguments are not valid JSON; call it again with valid ones",
                None,
            );
        };
        let mut wait = BACKOFF;
        let mut attempt = 1;
        loop {
            let failure = match self.client.post(hook, key, body.clone()).await {
                Ok(answer) => return answer,
                Err(failure) => failure,
            };
            tracing::warn!(
                session, tool = request.tool, attempt, of = hook.attempts, %failure,
                "a webhook failed"
            );
            if !failure.may_pass() || attempt >= hook.attempts {
                return outcome(failure.words(), failure.status());
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(BACKOFF_MAX);
            attempt += 1;
        }
    }
}

impl Hook {
    fn new(tool: &Tool) -> Result<Self, String> {
        let hook = &tool.webhook;
        let mut headers = Vec::new();
        for (name, header) in &hook.headers {
            let secret = header
                .read()
                .map_err(|why| format!("headers.{name}: {why}"))?;
            let mut value = HeaderValue::try_from(secret.expose())
                .map_err(|_| format!("headers.{name}: the value cannot stand in a header"))?;
            value.set_sensitive(true);
            let name =
                HeaderName::try_from(name).map_err(|why| format!("headers.{name}: {why}"))?;
            headers.push((name, value));
        }
        Ok(Self {
            url: hook.url.parse().map_err(|why| format!("url: {why}"))?,
            headers,
            timeout: hook.timeout,
            attempts: hook.attempts,
            max_response_bytes: hook.max_response_bytes,
        })
    }
}

/// The body of a request; `None` where the model's arguments are no JSON.
fn body(request: &ToolRequest, session: &str) -> Option<bytes::Bytes> {
    let arguments = match request.arguments.expose() {
        "" => "{}",
        arguments => arguments,
    };
    serde_json::from_str::<IgnoredAny>(arguments).ok()?;
    let head = json!({
        "tool": request.tool, "session_id": session, "call_id": request.call.as_str(),
        "call_sid": request.call_sid.as_ref().map(CallSid::as_str),
    });
    let mut text = head.to_string();
    text.pop();
    text.push_str(",\"arguments\":");
    text.push_str(arguments);
    text.push('}');
    Some(text.into())
}

fn outcome(words: &str, status: Option<u16>) -> String {
    let mut value = json!({"error": words});
    if let Some(status) = status {
        value["status"] = Value::from(status);
    }
    value.to_string()
}

#[cfg(test)]
mod tests;
