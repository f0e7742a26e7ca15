//! The addresses that an edge listens on, bound before it runs: whoever starts it learns at once
//! whether they are free, and tests let the system choose the ports.

use std::{io, net::SocketAddr};

use holdline_config::Config;
use tokio::net::TcpListener;

use crate::RunError;

/// Bound listeners, in the order of the configuration.
#[derive(Debug)]
pub struct Listeners {
    pub(crate) callers: Vec<TcpListener>,
    pub(crate) admin: TcpListener,
}

impl Listeners {
    /// Binds everything that `config` names.
    ///
    /// # Errors
    /// The first address that cannot be had.
    pub async fn bind(config: &Config) -> Result<Self, RunError> {
        let mut callers = Vec::with_capacity(config.listeners.len());
        for listener in &config.listeners {
            let what = format!("listener {}", listener.name);
            callers.push(bind(what, listener.address).await?);
        }
        let admin = bind("admin".to_owned(), config.admin.address).await?;
        Ok(Self { callers, admin })
    }

    /// Where callers are taken, in the order of the configuration's listeners.
    ///
    /// # Errors
    /// What the operating system says; not to be expected of bound sockets.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.callers.iter().map(TcpListener::local_addr).collect()
    }

    /// Where the admin port is.
    ///
    /// # Errors
    /// What the operating system says; not to be expected of a bound socket.
    pub fn admin_address(&self) -> io::Result<SocketAddr> {
        self.admin.local_addr()
    }
}

async fn bind(what: String, address: SocketAddr) -> Result<TcpListener, RunError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| RunError::Bind {
            what,
            address,
            source,
        })
}
