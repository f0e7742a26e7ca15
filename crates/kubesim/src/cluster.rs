//! The handle by which a test is the cluster.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{AbortHandle, JoinSet},
};

use crate::{
    GoneAs, Kind, Verb,
    faults::Faults,
    server,
    store::{News, Store, text},
};

/// An API server on the loopback, and all that it knows. Clones are the same one; it ends with the
/// last of them. Every method takes effect at once.
#[derive(Clone, Debug)]
pub struct Cluster(Arc<Owner>);

#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    address: SocketAddr,
    serving: Mutex<Option<AbortHandle>>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        let serving = self.serving.get_mut();
        if let Some(serving) = serving.unwrap_or_else(PoisonError::into_inner) {
            serving.abort();
        }
    }
}

/// What requests are answered from.
#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    /// Something is new.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) faults: Faults,
    /// Watches that are open.
    pub(crate) open: Vec<Kind>,
    /// Watches begun so far.
    pub(crate) begun: Vec<Kind>,
    /// Lists answered so far.
    pub(crate) lists: Vec<Kind>,
    /// Requests turned down so far.
    pub(crate) refused: usize,
    /// Patches accepted so far.
    pub(crate) patches: usize,
}

impl Shared {
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does this, and tells all who wait.
    pub(crate) fn change<T>(&self, what: impl FnOnce(&mut World) -> T) -> T {
        let done = what(&mut self.world());
        self.changed.send_replace(());
        done
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

impl Cluster {
    /// Starts one on a port of the loopback that the system chooses, with nothing in it. Needs a
    /// tokio runtime.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start() -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// As [`start`](Self::start), at this address.
    ///
    /// # Errors
    /// If it cannot be listened on.
    pub async fn start_at(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let shared = Arc::new(Shared {
            world: Mutex::default(),
            changed: watch::Sender::new(()),
        });
        let cluster = Self(Arc::new(Owner {
            address: listener.local_addr()?,
            shared,
            serving: Mutex::new(None),
        }));
        cluster.serve(listener);
        Ok(cluster)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// A file for KUBECONFIG: this server, this namespace, and a token that is read from a file
    /// where one is named.
    #[must_use]
    pub fn kubeconfig(&self, namespace: &str, token: Option<&Path>) -> String {
        let user = token.map_or_else(|| json!({}), |file| json!({ "tokenFile": file }));
        let server = format!("http://{}", self.address());
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "sim",
            "clusters": [{"name": "sim", "cluster": {"server": server}}],
            "users": [{"name": "edge", "user": user}],
            "contexts": [{
                "name": "sim",
                "context": {"cluster": "sim", "user": "edge", "namespace": namespace},
            }],
        });
        // JSON is YAML.
        config.to_string()
    }

    /// An object is new or changed; its resource version is made here. What is of no known kind is
    /// passed over.
    pub fn apply(&self, object: Value) {
        if let Some(kind) = Kind::named(text(&object, "/kind")) {
            self.change(|world| world.store.apply(kind, object));
        }
    }

    /// An object is gone.
    pub fn delete(&self, kind: Kind, namespace: &str, name: &str) {
        self.change(|world| world.store.delete(kind, namespace, name));
    }

    /// All watches are told how far the world has come.
    pub fn bookmark(&self, kind: Kind) {
        self.change(|world| world.store.say(kind, News::Bookmark));
    }

    /// Watches of this kind are told this line, whatever it is.
    pub fn say(&self, kind: Kind, line: &str) {
        self.change(|world| world.store.say(kind, News::Raw(line.to_owned())));
    }

    /// History is forgotten: watches that were open are cut, and told when they go on that their
    /// version is gone.
    pub fn forget(&self, gone_as: GoneAs) {
        self.change(|world| {
            world.store.forget();
            world.faults.gone_as = gone_as;
            world.faults.cuts += 1;
        });
    }

    /// History is compacted, as real API servers do it every few minutes: a watch that goes on from
    /// before now is told that its version is gone. Those that are open are not touched.
    pub fn compact(&self) {
        self.change(|world| world.store.compact());
    }

    /// All watches end in the middle.
    pub fn cut(&self) {
        self.change(|world| world.faults.cuts += 1);
    }

    /// Watches that are open say nothing any more, not even their end. New ones speak.
    pub fn silence(&self) {
        self.change(|world| world.faults.silences += 1);
    }

    /// Each answer is so late.
    pub fn set_delay(&self, delay: Duration) {
        self.change(|world| world.faults.delay = delay);
    }

    /// A right is taken away; watches that use it are cut.
    pub fn deny(&self, verb: Verb, kind: Kind) {
        self.change(|world| {
            world.faults.denied.insert((verb, kind));
            world.faults.cuts += 1;
        });
    }

    /// A right is given back.
    pub fn allow(&self, verb: Verb, kind: Kind) {
        self.change(|world| world.faults.denied.remove(&(verb, kind)));
    }

    /// From now on only this token is accepted; watches that are open are cut.
    pub fn require_token(&self, token: &str) {
        self.change(|world| {
            world.faults.token = Some(token.to_owned());
            world.faults.cuts += 1;
        });
    }

    /// The server is gone: its connections break, and new ones are refused.
    pub fn go_away(&self) {
        if let Some(serving) = self.serving().take() {
            serving.abort();
        }
        self.cut();
    }

    /// The server is back, with all that it knew.
    ///
    /// # Errors
    /// If somebody else took its address.
    pub async fn come_back(&self) -> io::Result<()> {
        let listener = TcpListener::bind(self.address()).await?;
        self.serve(listener);
        Ok(())
    }

    /// Waits until so many watches of a kind are open. Cancel safe.
    pub async fn until_watched(&self, kind: Kind, count: usize) {
        self.until(|world| world.open.iter().filter(|it| **it == kind).count() == count)
            .await;
    }

    /// How many watches of a kind have begun.
    #[must_use]
    pub fn watches(&self, kind: Kind) -> usize {
        let world = self.0.shared.world();
        world.begun.iter().filter(|it| **it == kind).count()
    }

    /// Waits until so many watches of a kind have begun. Cancel safe.
    pub async fn until_begun(&self, kind: Kind, count: usize) {
        self.until(|world| world.begun.iter().filter(|it| **it == kind).count() >= count)
            .await;
    }

    /// How often a kind was listed; each part of a list counts.
    #[must_use]
    pub fn lists(&self, kind: Kind) -> usize {
        let world = self.0.shared.world();
        world.lists.iter().filter(|it| **it == kind).count()
    }

    /// Waits until a kind was listed so often. Cancel safe.
    pub async fn until_listed(&self, kind: Kind, count: usize) {
        self.until(|world| world.lists.iter().filter(|it| **it == kind).count() >= count)
            .await;
    }

    /// Waits until so many requests were turned down in all. Cancel safe.
    pub async fn until_refused(&self, count: usize) {
        self.until(|world| world.refused >= count).await;
    }

    /// How many patches were accepted.
    #[must_use]
    pub fn patches(&self) -> usize {
        self.0.shared.world().patches
    }

    /// Waits until an object is as wanted, and shows it. Cancel safe.
    pub async fn until_object(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let find = |world: &World| {
            let mut all = world.store.all(kind, namespace);
            let found = all.find(|object| text(object, "/metadata/name") == name);
            found.filter(|object| wanted(object)).cloned()
        };
        let mut changes = self.0.shared.changes();
        loop {
            if let Some(object) = find(&self.0.shared.world()) {
                return object;
            }
            // The sender lives as long as this handle.
            let _ = changes.changed().await;
        }
    }

    async fn until(&self, wanted: impl Fn(&World) -> bool) {
        let mut changes = self.0.shared.changes();
        while !wanted(&self.0.shared.world()) {
            // The sender lives as long as this handle.
            let _ = changes.changed().await;
        }
    }

    fn change<T>(&self, what: impl FnOnce(&mut World) -> T) -> T {
        self.0.shared.change(what)
    }

    fn serving(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        let serving = self.0.serving.lock();
        serving.unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, listener: TcpListener) {
        let shared = Arc::clone(&self.0.shared);
        let task = tokio::spawn(async move {
            // Connections end with the task that accepts them.
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((tcp, _)) => {
                            connections.spawn(server::serve(tcp, Arc::clone(&shared)));
                        }
                        Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        *self.serving() = Some(task.abort_handle());
    }
}
