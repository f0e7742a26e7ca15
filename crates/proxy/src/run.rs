//! An edge from its start to its exit.

use std::{collections::BTreeMap, sync::Arc};

use holdline_config::{Config, WorkerPool};
use holdline_legs::{Arrivals, Dialer, Gate, Home, ListenerRuntime, OnCall};
use holdline_telemetry::{
    Metrics,
    logging::{Pace, Paces},
};
use holdline_workers::{Pool, PoolSetup, PoolTls};
use tokio::{net::TcpListener, runtime::Handle, sync::watch, task::JoinSet};
use tracing::{info, warn};

use crate::{
    ExitReport, Lifecycle, Listeners, Phase, RunError, admin,
    admission::Admission,
    call,
    callbook::CallBook,
    chronicle::Chronicle,
    clock::{Clock, unix_seconds},
    deletion_cost,
    drain::drained,
    edge::Edge,
    limits::session_limits,
    reload,
    spans::{self, Spans},
    steering::Steering,
    table::Table,
    threads::Threads,
};

/// Lines a second about streams that come to nothing, and of each kind about what befalls calls.
const TOLD: u32 = 20;

/// What a frame grows by as a message to a worker: sequence number, time, leg and framing.
const FRAME_OVERHEAD: u64 = 1024;

/// Runs an edge until it is asked to drain and its last call is over.
///
/// Needs a tokio runtime with IO and time, and a default crypto provider of rustls where any
/// listener or upstream uses TLS. Calls run on threads of their own, `limits.threads` of them. Has
/// no global state: a process may run several.
///
/// Dropping the future ends the edge at once and cuts its calls.
///
/// # Errors
/// If it cannot start as configured. Once it runs, nothing makes it fail: what goes wrong then is
/// logged, counted and tried again.
pub async fn run(
    config: Config,
    listeners: Listeners,
    mut lifecycle: Lifecycle,
) -> Result<ExitReport, RunError> {
    let metrics = Metrics::new();
    let threads = Threads::start(config.limits.threads.count()).map_err(RunError::Threads)?;
    let (here, there) = (Handle::current().metrics(), threads.tasks());
    metrics.watch_tasks(move || here.num_alive_tasks() + there());
    let runtimes = listener_runtimes(&config, &metrics)?;
    let dialer = Dialer::new(&config.upstreams, &metrics)?;
    let (spans, exporter) = spans::start(&config.tracing, &metrics.spans)?;
    let edge = Arc::new(edge(&config, dialer, metrics, spans, &lifecycle)?);
    let (table, clock) = (edge.table.clone(), edge.clock);
    edge.metrics
        .sessions
        .watch(move || table.census(clock.now()));
    warn_of_open_doors(&config);
    let deletion_cost = deletion_cost::keeping(&config, &edge)?;

    let _cut_upon_drop = CutCalls(edge.table.clone());
    let mut servers = JoinSet::new();
    let on_call: Arc<OnCall> = {
        let edge = Arc::clone(&edge);
        Arc::new(move |incoming| call::answer(&edge, incoming))
    };
    let gate: Arc<dyn Gate> = Arc::<Edge>::clone(&edge);
    let home: Arc<Home> = Arc::new(threads.choice());
    for ((listener, runtime), settings) in listeners
        .callers
        .into_iter()
        .zip(runtimes)
        .zip(&config.listeners)
    {
        let address = address(&listener);
        info!(listener = settings.name, address, "listening");
        let done = reached(lifecycle.phase(), Phase::Done);
        let (on_call, gate) = (Arc::clone(&on_call), Arc::clone(&gate));
        let home = Arc::clone(&home);
        servers.spawn(async move {
            holdline_legs::serve(listener, runtime, home, on_call, gate, done).await;
        });
    }
    info!(
        listener = "admin",
        address = address(&listeners.admin),
        "listening"
    );
    let done = reached(lifecycle.phase(), Phase::Done);
    let token = config.admin.token.clone();
    servers.spawn(admin::serve(
        listeners.admin,
        token,
        Arc::clone(&edge),
        done,
    ));

    if let Some(reloads) = lifecycle.reloads() {
        servers.spawn(reload::follow(Arc::clone(&edge), config, reloads));
    }

    if let Some(keeping) = deletion_cost {
        servers.spawn(keeping);
    }

    let report = drained(&edge, lifecycle).await;
    // Handshakes in flight and operators' connections are no reason to stay.
    servers.shutdown().await;
    exporter.finish().await;
    Ok(report)
}

/// Finds out whether an edge could start with this configuration, as far as that can be said
/// without listening anywhere: certificates, keys, upstreams. Reads files.
///
/// # Errors
/// As [`run`], the first that is found.
pub fn verify(config: &Config) -> Result<(), RunError> {
    let metrics = Metrics::new();
    listener_runtimes(config, &metrics)?;
    Dialer::new(&config.upstreams, &metrics)?;
    deletion_cost::supported(config)?;
    spans::verify(&config.tracing)?;
    for (name, pool) in &config.workers {
        discoverable(name, pool)?;
        worker_tls(name, pool)?;
    }
    Ok(())
}

fn address(listener: &TcpListener) -> String {
    let address = listener.local_addr();
    address.map_or_else(|error| error.to_string(), |address| address.to_string())
}

fn edge(
    config: &Config,
    dialer: Dialer,
    metrics: Metrics,
    spans: Spans,
    lifecycle: &Lifecycle,
) -> Result<Edge, RunError> {
    metrics.build.set_version(env!("CARGO_PKG_VERSION"));
    reload::note(config, &metrics);
    let clock = Clock::start();
    metrics.build.started.set(unix_seconds(clock.now()));
    let admission = Admission::new(reload::bounds(config), lifecycle.phase());
    Ok(Edge {
        clock,
        limits: session_limits(&config.session),
        hold_sound: config.session.hold.sound.audio(),
        pools: pools(config, &metrics, lifecycle)?,
        metrics,
        strangers_told: Pace::new(TOLD),
        told_of: Arc::new(Paces::new(TOLD)),
        dialer,
        table: Table::default(),
        chronicle: Chronicle::new(spans),
        steering: Steering::new(config),
        book: CallBook::default(),
        returns: config.session.resume.attempts,
        admission,
        drain: watch::Sender::new(config.drain),
        phase: lifecycle.phase(),
        content: config.log.content,
    })
}

fn listener_runtimes(
    config: &Config,
    metrics: &Metrics,
) -> Result<Vec<Arc<ListenerRuntime>>, RunError> {
    let arrivals = Arrivals::new(config.limits.handshakes, config.limits.per_address);
    let ready = |settings| ListenerRuntime::new(settings, arrivals.clone(), metrics);
    let runtimes = config.listeners.iter().map(ready);
    Ok(runtimes
        .map(|it| it.map(Arc::new))
        .collect::<Result<_, _>>()?)
}

fn pools(
    config: &Config,
    metrics: &Metrics,
    lifecycle: &Lifecycle,
) -> Result<BTreeMap<String, Pool>, RunError> {
    let setups = pool_setups(config, metrics)?.into_iter();
    let started = setups.map(|(name, setup)| {
        let done = reached(lifecycle.phase(), Phase::Done);
        (name, Pool::start(setup, done))
    });
    Ok(started.collect())
}

/// What each pool needs to start.
pub(crate) fn pool_setups(
    config: &Config,
    metrics: &Metrics,
) -> Result<BTreeMap<String, PoolSetup>, RunError> {
    let setup = |(name, settings): (&String, &WorkerPool)| {
        discoverable(name, settings)?;
        let setup = PoolSetup {
            name: name.clone(),
            tls: worker_tls(name, settings)?,
            settings: settings.clone(),
            required_message_bytes: required_message_bytes(config, name),
            metrics: metrics.workers.clone(),
        };
        Ok((name.clone(), setup))
    };
    config.workers.iter().map(setup).collect()
}

fn discoverable(pool: &str, settings: &WorkerPool) -> Result<(), RunError> {
    holdline_workers::supports(&settings.discovery).map_err(|source| RunError::Discovery {
        pool: pool.to_owned(),
        source,
    })
}

fn worker_tls(pool: &str, settings: &WorkerPool) -> Result<Option<PoolTls>, RunError> {
    PoolTls::load(settings).map_err(|source| RunError::WorkerTls {
        pool: pool.to_owned(),
        source,
    })
}

/// The largest message that workers of this pool must take. A worker may open a leg to any
/// upstream, so all of them count: better no candidate than a failure in mid-call.
fn required_message_bytes(config: &Config, pool: &str) -> u64 {
    let routes = config.listeners.iter().flat_map(|it| &it.routes);
    let callers = routes.filter(|route| route.workers == pool);
    let frames = callers
        .map(|route| route.max_frame)
        .chain(config.upstreams.values().map(|it| it.max_frame));
    let largest = frames.map(|size| size.as_u64()).max().unwrap_or_default();
    largest
        .saturating_add(FRAME_OVERHEAD)
        .max(config.session.message_bytes.as_u64())
}

fn warn_of_open_doors(config: &Config) {
    for listener in &config.listeners {
        for route in &listener.routes {
            let twilio = route.profile == holdline_config::CallerProfile::Twilio;
            if twilio && route.signature.is_none() {
                warn!(
                    listener = listener.name,
                    path = route.path,
                    "signatures are not checked on this route: anyone who reaches it can place a call"
                );
                if route.webhook.is_some() || route.takeover.is_some() {
                    warn!(
                        listener = listener.name,
                        path = route.path,
                        "so can anyone who knows a live call's id take that call over"
                    );
                }
            }
        }
    }
}

/// Waits for a phase; also over when the edge is gone.
async fn reached(mut phase: watch::Receiver<Phase>, at_least: Phase) {
    let _ = phase.wait_for(|phase| *phase >= at_least).await;
}

/// Calls run in tasks of their own; they must not outlive the edge that answers for them.
struct CutCalls(Table);

impl Drop for CutCalls {
    fn drop(&mut self) {
        for call in self.0.all() {
            if let Some(abort) = call.abort {
                abort.abort();
            }
        }
    }
}
