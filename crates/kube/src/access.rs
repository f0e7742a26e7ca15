//! A client, made anew after each failure: tokens and certificates are read again with it.

use std::{fmt, time::Duration};

use kube::{Client, Config};
use tokio::time::timeout;

use crate::Trouble;

/// Longest wait for a connection, and for each answer to begin.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A way to the API server.
#[derive(Clone)]
pub struct Access {
    /// Asks; it does not retry.
    pub client: Client,
    /// The one that the file names, or that of the pod that this runs in.
    pub namespace: String,
}

impl Access {
    /// With the credentials of the file that `KUBECONFIG` names, or of `~/.kube/config`; where that cannot
    /// be read, with those of the pod that this runs in. Reads files; connects to nobody yet. Cancel safe.
    ///
    /// # Errors
    /// If there are neither, or they cannot be used.
    pub async fn new() -> Result<Self, Trouble> {
        let mut config = Config::infer().await.map_err(Trouble::config)?;
        config.connect_timeout = Some(ANSWER_WITHIN);
        // Retries are the asker's, who knows how often.
        config.default_retry = false;
        let namespace = config.default_namespace.clone();
        let client = Client::try_from(config).map_err(Trouble::other)?;
        Ok(Self { client, namespace })
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = &self.namespace;
        f.debug_struct("Access")
            .field("namespace", namespace)
            .finish_non_exhaustive()
    }
}

/// Waits for an answer to begin, for [`ANSWER_WITHIN`] at most. As cancel safe as `asking`.
///
/// # Errors
/// If none came.
pub async fn answered<T>(asking: impl Future<Output = T>) -> Result<T, Trouble> {
    let answer = timeout(ANSWER_WITHIN, asking).await;
    answer.map_err(|_| Trouble::Silent(ANSWER_WITHIN))
}
