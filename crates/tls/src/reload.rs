//! Files that are watched, and what was last made of them.
//!
//! Files are read again every few seconds and compared by content, which also sees what a file
//! watch misses: a ConfigMap or Secret volume swaps a symbolic link two directories up, and no
//! event reaches the file itself.

use std::{convert::Infallible, fmt, future::pending, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::{ClientConfig, ServerConfig};
use sha2::{Digest as _, Sha256};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    Own, TlsError,
    material::{self, Pem},
};

/// How often the files are compared with what is in use.
const RELOAD_EVERY: Duration = Duration::from_secs(2);

/// What handshakes are made with, and the files it came from.
pub struct Reloading<C> {
    paths: Vec<PathBuf>,
    make: Make<C>,
    current: ArcSwap<C>,
    /// What the first `current` was made of.
    initial: [u8; 32],
}

/// Gets the files in the order of their paths.
type Make<C> = Box<dyn Fn(&[Pem]) -> Result<C, TlsError> + Send + Sync>;

impl Reloading<ServerConfig> {
    /// A server that speaks `protocol` (ALPN) and shows `own`; with `clients`, only to those who
    /// show a certificate of one of the authorities in that file.
    ///
    /// # Errors
    /// A file cannot be read, is not PEM, or the key is not that of the certificate.
    pub fn server(
        own: &Own,
        clients: Option<PathBuf>,
        protocol: &'static [u8],
    ) -> Result<Self, TlsError> {
        let mut paths = vec![own.certificate.clone(), own.key.clone()];
        paths.extend(clients);
        Self::load(paths, move |files| {
            material::server((&files[0], &files[1]), files.get(2), protocol)
        })
    }
}

impl Reloading<ClientConfig> {
    /// A client that speaks `protocol` (ALPN), trusts the authorities in `authorities` and no
    /// others, and shows `own` to servers that ask for it.
    ///
    /// # Errors
    /// As [`Reloading::server`].
    pub fn client(
        authorities: PathBuf,
        own: Option<&Own>,
        protocol: &'static [u8],
    ) -> Result<Self, TlsError> {
        let mut paths = vec![authorities];
        paths.extend(
            own.into_iter()
                .flat_map(|own| [own.certificate.clone(), own.key.clone()]),
        );
        Self::load(paths, move |files| {
            let own = files.get(1).zip(files.get(2));
            material::client(&files[0], own, protocol)
        })
    }
}

impl<C> Reloading<C> {
    fn load(
        paths: Vec<PathBuf>,
        make: impl Fn(&[Pem]) -> Result<C, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        let found = read(&paths)?;
        Ok(Self {
            current: ArcSwap::from_pointee(make(&found)?),
            initial: digest(&found),
            make: Box::new(make),
            paths,
        })
    }

    /// For the next handshake: with the files as of now, or as of when they were last good.
    pub fn current(&self) -> Arc<C> {
        self.current.load_full()
    }

    /// Watches the files for as long as it is polled, and tells `tried` of each new content whether
    /// it could be used. What cannot be used is said once, and the old one stays in use. Needs a
    /// tokio runtime. Cancel safe.
    pub async fn watch(&self, mut tried: impl FnMut(bool)) -> Infallible {
        let mut seen = self.initial;
        let mut unreadable = false;
        let mut ticks = interval(RELOAD_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let paths = self.paths.clone();
            let Ok(found) = tokio::task::spawn_blocking(move || read(&paths)).await else {
                return pending().await; // The runtime is shutting down.
            };
            match found {
                Ok(files) => {
                    unreadable = false;
                    let digest = digest(&files);
                    if digest != seen {
                        // A swap of several files that is caught half-way is refused, and seen to
                        // have changed the next time.
                        seen = digest;
                        tried(self.replace(&files));
                    }
                }
                Err(error) if !unreadable => {
                    unreadable = true;
                    tracing::warn!(%error, "certificate cannot be read; the old one stays in use");
                    tried(false);
                }
                Err(_) => {}
            }
        }
    }

    fn replace(&self, files: &[Pem]) -> bool {
        match (self.make)(files) {
            Ok(made) => {
                self.current.store(Arc::new(made));
                tracing::info!(files = ?self.paths, "certificate reloaded");
                true
            }
            Err(error) => {
                tracing::warn!(%error, "new certificate is bad; the old one stays in use");
                false
            }
        }
    }
}

impl<C> fmt::Debug for Reloading<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloading")
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

fn read(paths: &[PathBuf]) -> Result<Vec<Pem>, TlsError> {
    paths.iter().map(|path| Pem::read(path)).collect()
}

fn digest(files: &[Pem]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for file in files {
        digest.update(file.bytes.len().to_be_bytes());
        digest.update(&file.bytes);
    }
    digest.finalize().into()
}
