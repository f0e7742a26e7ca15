//! What the edge says of itself on its admin port.

use std::{io, time::Duration};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// Longest wait for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What the operator sees of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRow {
    /// `host:port`.
    pub address: String,
    /// Its version; empty while it is not known.
    pub version: String,
    /// Such as `ready`.
    pub state: String,
    /// Calls that it has.
    pub sessions: u64,
}

/// Asks the admin port.
#[derive(Debug, Clone)]
pub struct Admin {
    client: Client<HttpConnector, Empty<Bytes>>,
    base: String,
}

/// All metrics of a moment, in Prometheus' text format.
#[derive(Debug, Clone, Default)]
pub struct Metrics(String);

impl Admin {
    /// Asks this port of the loopback.
    #[must_use]
    pub fn new(port: u16) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            base: format!("http://127.0.0.1:{port}"),
        }
    }

    /// The workers, with their calls.
    ///
    /// # Errors
    /// If the edge does not answer in ten seconds.
    pub async fn workers(&self) -> io::Result<Vec<WorkerRow>> {
        let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let rows: Value = serde_json::from_slice(&self.ask("/workers").await?)?;
        let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(rows
            .iter()
            .map(|row| WorkerRow {
                address: text(row, "address"),
                version: text(row, "version"),
                state: text(row, "state"),
                sessions: row["sessions"].as_u64().unwrap_or_default(),
            })
            .collect())
    }

    /// The metrics.
    ///
    /// # Errors
    /// If the edge does not answer in ten seconds.
    pub async fn metrics(&self) -> io::Result<Metrics> {
        let text = self.ask("/metrics").await?;
        Ok(Metrics(String::from_utf8_lossy(&text).into_owned()))
    }

    async fn ask(&self, path: &str) -> io::Result<Bytes> {
        let uri = format!("{}{path}", self.base);
        let uri = uri.parse().map_err(io::Error::other)?;
        let asking = async {
            let answer = self.client.get(uri).await.map_err(io::Error::other)?;
            let body = answer.into_body().collect().await;
            Ok(body.map_err(io::Error::other)?.to_bytes())
        };
        match tokio::time::timeout(ANSWER_WITHIN, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(io::Error::other(format!(
                "the edge's admin port did not answer {path} within {ANSWER_WITHIN:?}"
            ))),
        }
    }
}

impl Metrics {
    /// The sum over all labels of the metric of this name; 0 where there is none.
    #[must_use]
    pub fn sum(&self, name: &str) -> f64 {
        self.sum_where(name, "")
    }

    /// The same of the series whose labels hold this text, such as `code="1000"`.
    #[must_use]
    pub fn sum_where(&self, name: &str, label: &str) -> f64 {
        let value = |line: &str| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = rest.rsplit_once(' ')?;
            let ours = labels.is_empty() || labels.starts_with('{');
            (ours && labels.contains(label)).then(|| value.parse::<f64>().ok())?
        };
        self.0.lines().filter_map(value).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_summed_over_their_labels() {
        let text =
            "# TYPE a_total counter\na_total{x=\"1\"} 2\na_total{x=\"2\"} 3\na_total_b 7\nb 5\n";
        let metrics = Metrics(text.to_owned());
        assert_eq!(metrics.sum("a_total"), 5.0);
        assert_eq!(metrics.sum_where("a_total", "x=\"2\""), 3.0);
        assert_eq!(metrics.sum("b"), 5.0);
        assert_eq!(metrics.sum("c"), 0.0);
    }
}
