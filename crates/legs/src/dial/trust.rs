//! Whose certificates an outbound leg trusts.

use std::{path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::SetupError;

/// The system's trust anchors, loaded when the first upstream needs them.
#[derive(Default)]
pub(super) struct Trust {
    system: Option<RootCertStore>,
}

impl Trust {
    /// TLS for one upstream: the system's anchors, and those of `ca` besides.
    pub(super) fn client(
        &mut self,
        upstream: &str,
        ca: Option<&Path>,
    ) -> Result<Arc<ClientConfig>, SetupError> {
        let mut roots = self.system.get_or_insert_with(holdline_tls::system).clone();
        if let Some(path) = ca {
            holdline_tls::trusted(&mut roots, path)?;
        }
        let failed = |what: String| SetupError::Upstream {
            upstream: upstream.to_owned(),
            what,
        };
        if roots.is_empty() {
            let what =
                "this machine has no trusted certificates; install ca-certificates or set `ca`";
            return Err(failed(what.to_owned()));
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
