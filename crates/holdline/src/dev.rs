//! `holdline dev`: an edge and the bridge in one command, for a first real call.
//!
//! The worker is a process of its own even here, so that a change of its file can be what it is in
//! production: a new worker starts, the old one drains, and the call that is on the line goes on.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use clap::Args;
use holdline_bridge::TlsOptions;
use holdline_config::Config;
use holdline_testkit::process::{Launch, Log, Process, free_ports};
use tempfile::TempDir;
use tokio::time::sleep;
use tracing::{error, info};

use crate::{Failure, commands};

/// How often the worker's file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a new worker has to be found by the edge before the old one drains.
const OVERLAP: Duration = Duration::from_secs(2);

pub(crate) const AFTER_HELP: &str = "\
Needs in the environment:
  OPENAI_API_KEY      the model's key; only the edge sees it
  TWILIO_AUTH_TOKEN   of your Twilio account; checks that callers come from Twilio

Your machine must be reachable from Twilio: a tunnel that ends TLS and passes WebSockets to
--port will do; its address, with any path, is --public-url.

While it runs, edit the worker's file and save it: a new worker takes over, in mid-call.";

/// Options of `holdline dev`.
#[derive(Args, Debug)]
pub(crate) struct DevArgs {
    /// The URL that Twilio connects to, as it stands in the TwiML: wss://HOST/PATH.
    #[arg(long, value_name = "URL")]
    public_url: String,
    /// Where the edge listens on this machine, without TLS.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The worker's file; without it a receptionist answers.
    #[arg(long, value_name = "FILE")]
    bridge: Option<PathBuf>,
    /// The model.
    #[arg(long, default_value = "gpt-realtime-2.1")]
    model: String,
    /// Where the model's service is.
    #[arg(
        long,
        value_name = "URL",
        default_value = "wss://api.openai.com/v1/realtime"
    )]
    model_url: String,
    /// Between edge and worker: the certificate is shown by both, so it must be for `localhost` and
    /// of an authority in --tls-client-ca.
    #[command(flatten)]
    tls: TlsOptions,
}

/// Runs the edge here and the worker beside it, until SIGINT or SIGTERM and the last call is over.
pub(crate) async fn run(args: DevArgs) -> Result<(), Failure> {
    for name in ["OPENAI_API_KEY", "TWILIO_AUTH_TOKEN"] {
        if std::env::var_os(name).is_none() {
            let words = format!("{name} is not set in the environment; see holdline dev --help");
            return Err(Failure::Misconfigured(words));
        }
    }
    let folder = tempfile::tempdir()?;
    let bridge = match &args.bridge {
        Some(file) => file.clone(),
        None => default_bridge(&folder)?,
    };
    let pool_tls = pool_tls(&args.tls)?;
    let ports = free_ports(3)?;
    let text = edge_config(&args, &pool_tls, &ports)?;
    let config = Config::parse(&text, "holdline dev").map_err(|errors| commands::said(&errors))?;
    let (_log, _) = commands::run::start_logs(&config)?;
    let mut worker = DevWorker::start(bridge, args.tls.clone(), [ports[0], ports[1]])?;
    sleep(OVERLAP).await;
    if worker.process.has_ended()?.is_some() {
        return Err(Failure::Misconfigured(
            "the worker ended at once; what it said above is what to mend".to_owned(),
        ));
    }
    explain(&args, &worker.file, ports[2]);
    let rolling = tokio::spawn(worker.roll_on_change());
    let served = commands::run::serve(config, None).await;
    rolling.abort();
    served
}

/// What to paste where.
fn explain(args: &DevArgs, bridge: &Path, admin: u16) {
    let url = &args.public_url;
    info!(
        "give your number this TwiML: <Response><Connect><Stream url=\"{url}\"/></Connect></Response>"
    );
    info!(
        "edit {} while a call is on the line: a new worker takes over",
        bridge.display()
    );
    info!("see the calls: http://127.0.0.1:{admin}/sessions");
}

/// The worker, which is replaced when its file changes.
struct DevWorker {
    file: PathBuf,
    tls: TlsOptions,
    ports: [u16; 2],
    number: usize,
    process: Process,
}

impl DevWorker {
    fn start(file: PathBuf, tls: TlsOptions, ports: [u16; 2]) -> io::Result<Self> {
        let process = start_worker(&file, &tls, ports[0], 1)?;
        Ok(Self {
            file,
            tls,
            ports,
            number: 1,
            process,
        })
    }

    async fn roll_on_change(mut self) {
        let mut seen = changed(&self.file);
        let mut told = false;
        loop {
            sleep(LOOK_EVERY).await;
            let now = changed(&self.file);
            if now != seen {
                seen = now;
                told = false;
                if let Err(error) = self.roll().await {
                    error!(%error, "the new worker could not be started; the old one goes on");
                }
            } else if !told && matches!(self.process.has_ended(), Ok(Some(_))) {
                told = true;
                error!("the worker has ended; save its file to start another");
            }
        }
    }

    async fn roll(&mut self) -> io::Result<()> {
        let number = self.number + 1;
        let mut next = start_worker(&self.file, &self.tls, self.ports[(number - 1) % 2], number)?;
        sleep(OVERLAP).await;
        if next.has_ended()?.is_some() {
            return Err(io::Error::other("it ended at once: its file is wrong"));
        }
        self.number = number;
        let old = std::mem::replace(&mut self.process, next);
        info!(version = number, "the new worker takes over");
        // It may have ended by itself; then there is nothing to ask.
        let _ = old.terminate();
        let _ = old.ended().await;
        Ok(())
    }
}

fn start_worker(file: &Path, tls: &TlsOptions, port: u16, number: usize) -> io::Result<Process> {
    let words = [
        std::env::current_exe()?.into_os_string(),
        "bridge".into(),
        "--config".into(),
        file.into(),
        "--listen".into(),
        format!("127.0.0.1:{port}").into(),
        "--version-label".into(),
        format!("dev-{number}").into(),
        "--log-format".into(),
        "text".into(),
    ];
    Process::start(Launch {
        name: format!("worker {number}"),
        words: words.into_iter().chain(tls.arguments()).collect(),
        env: Vec::new(),
        log: Log::Ours,
        own_group: true,
    })
}

fn changed(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|data| data.modified()).ok()
}

/// A worker's file for those who bring none.
const DEFAULT_BRIDGE: &str = "\
instructions: |
  You are a friendly receptionist. This is a phone call, so be brief.
greeting:
  instructions: Greet the caller and ask how you can help.
";

fn default_bridge(folder: &TempDir) -> io::Result<PathBuf> {
    let path = folder.path().join("bridge.yaml");
    fs::write(&path, DEFAULT_BRIDGE)?;
    Ok(path)
}

/// The edge's half of TLS, as a value of its file. The worker has its own from the same options.
fn pool_tls(options: &TlsOptions) -> Result<String, Failure> {
    let files = [&options.tls_cert, &options.tls_key, &options.tls_client_ca];
    let quoted = |path: &Option<PathBuf>| {
        let path = std::path::absolute(path.as_ref()?).ok()?;
        Some(serde_json::Value::from(path.to_str()?).to_string())
    };
    match files.map(quoted) {
        [None, None, None] => Ok("off".to_owned()),
        [Some(certificate), Some(key), Some(ca)] => Ok(format!(
            "{{ca: {ca}, certificate: {certificate}, key: {key}, server_name: localhost}}"
        )),
        _ => Err(Failure::Misconfigured(
            "--tls-cert, --tls-key and --tls-client-ca go together here: the edge needs all three"
                .to_owned(),
        )),
    }
}

fn edge_config(args: &DevArgs, pool_tls: &str, ports: &[u16]) -> Result<String, Failure> {
    let path = args
        .public_url
        .strip_prefix("wss://")
        .and_then(|rest| rest.find('/').map(|slash| &rest[slash..]))
        .ok_or_else(|| {
            Failure::Misconfigured(
                "--public-url must be wss://HOST/PATH, for example wss://example.com/twilio"
                    .to_owned(),
            )
        })?;
    let (first, second, admin) = (ports[0], ports[1], ports[2]);
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    Ok(format!(
        "listeners:\n\
         \x20 - name: twilio\n\
         \x20   address: \"0.0.0.0:{}\"\n\
         \x20   routes:\n\
         \x20     - path: {}\n\
         \x20       profile: twilio\n\
         \x20       signature:\n\
         \x20         public_url: {}\n\
         \x20         auth_token: {{env: TWILIO_AUTH_TOKEN}}\n\
         \x20       legs:\n\
         \x20         - {{name: model, upstream: openai}}\n\
         \x20       workers: default\n\
         upstreams:\n\
         \x20 openai:\n\
         \x20   profile: openai-realtime\n\
         \x20   url: {}\n\
         \x20   api_key: {{env: OPENAI_API_KEY}}\n\
         workers:\n\
         \x20 default:\n\
         \x20   discovery: {{static: {{addresses: [\"127.0.0.1:{first}\", \"127.0.0.1:{second}\"]}}}}\n\
         \x20   tls: {pool_tls}\n\
         admin: {{address: \"127.0.0.1:{admin}\"}}\n\
         log: {{format: text, level: info}}\n",
        args.port,
        quoted(path),
        quoted(&args.public_url),
        quoted(&format!("{}?model={}", args.model_url, args.model)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_worker_has_a_file_that_it_can_read() {
        let read = holdline_bridge::Config::parse(DEFAULT_BRIDGE, "default");
        assert!(read.is_ok(), "{read:?}");
    }
}
