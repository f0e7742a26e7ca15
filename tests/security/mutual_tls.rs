//! A deploy in the middle of a call, with TLS on both sides of the way to workers: the new worker's
//! certificate is of a new authority, and a stranger waits beside it.

use std::path::{Path, PathBuf};

use holdline_testkit::twilio::CallerOptions;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    exchange::{Edge, Voice},
    stage::{Ending, Place, Running},
    tls::certificates::{Authority, CHAIN, KEY},
};

/// Further frames that a call must carry in both directions after something happened.
const FURTHER: u64 = 100;
const CA: &str = "ca.crt";

/// The PEM files of one party.
struct Party(TempDir);

impl Party {
    /// With a certificate of `own`, and believing in `trusted`.
    fn new(own: &Authority, trusted: &Authority) -> Self {
        let party = Self(tempfile::tempdir().unwrap());
        own.issue().put(party.0.path());
        party.trust(trusted);
        party
    }

    fn trust(&self, authority: &Authority) {
        let fresh = self.file("fresh");
        std::fs::write(&fresh, authority.pem()).unwrap();
        std::fs::rename(fresh, self.file(CA)).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A voice worker with these, in which edges must prove themselves.
    fn worker(&self, place: &Place, agent: &Path) -> Running {
        let files = [CHAIN, KEY, CA].map(|name| self.file(name).display().to_string());
        let [certificate, key, clients] = files.each_ref();
        Running::start(
            &[
                "bridge",
                "--config",
                &agent.display().to_string(),
                "--listen",
                &place.address.to_string(),
                "--tls-cert",
                certificate,
                "--tls-key",
                key,
                "--tls-client-ca",
                clients,
            ],
            &[],
        )
    }

    /// An edge with these, whose calls go to the pool `secure`.
    async fn edge(&self, voice: &Voice, places: &[&Place]) -> Edge {
        let addresses: Vec<_> = places.iter().map(|it| it.address.to_string()).collect();
        let [certificate, key, ca] = [CHAIN, KEY, CA].map(|name| self.file(name));
        let config = format!(
            r#"
listeners:
  - name: twilio
    address: 127.0.0.1:0
    routes:
      - path: /good
        profile: twilio
        signature: off
        legs: [{{name: model, upstream: openai}}]
        workers: secure
{}  secure:
    discovery: {{static: {{addresses: {addresses:?}}}}}
    tls: {{ca: {ca:?}, certificate: {certificate:?}, key: {key:?}, server_name: localhost}}
"#,
            voice.sections()
        );
        Edge::start(&config, &Voice::variables()).await
    }
}

async fn until_ready(edge: &Edge, place: &Place) {
    let address = place.address.to_string();
    let ready = |line: &Value| line["message"] == "worker ready" && line["address"] == *address;
    edge.logged("a worker to be ready", ready).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_survives_a_deploy_and_a_change_of_authorities_under_mutual_tls() {
    let [ours, next, foreign] = [(); 3].map(|()| Authority::new());
    let [first, second, stranger] = [(); 3].map(|()| Place::reserve());
    let voice = Voice::start().await;
    let agent = tempfile::tempdir().unwrap();
    let agent = agent.path().join("bridge.yaml");
    std::fs::write(&agent, "instructions: Be brief.\ngreeting: {}\n").unwrap();
    let old = Party::new(&ours, &ours);
    let mut leaving = old.worker(&first, &agent);
    let outsider = Party::new(&foreign, &ours);
    let _outsider = outsider.worker(&stranger, &agent);
    let us = Party::new(&ours, &ours);
    let edge = us.edge(&voice, &[&first, &second, &stranger]).await;
    let callers = edge.address("twilio").await;
    let options = |number| CallerOptions::new(format!("ws://{callers}/good"), number);

    until_ready(&edge, &first).await;
    let told = edge.told("worker cannot be used: TLS").await;
    let error = told["error"].as_str().unwrap();
    assert_eq!(told["address"], stranger.address.to_string(), "{told}");
    assert!(
        error.contains("of no authority in the pool's `tls.ca`"),
        "{told}"
    );

    // From now on only the new authority's workers are believed; who is connected stays.
    let mut call = voice.converse(options(1)).await;
    us.trust(&next);
    edge.told("certificate reloaded").await;
    ours.issue().put(old.0.path());
    leaving.told("certificate reloaded").await;
    call.goes_on(FURTHER).await;

    let new = Party::new(&next, &ours);
    let _new = new.worker(&second, &agent);
    until_ready(&edge, &second).await;
    leaving.end(Ending::Terminate).await;
    call.goes_on(FURTHER).await;
    let beside = voice.converse(options(2)).await;
    voice.judge(call).await;
    voice.judge(beside).await;
    edge.end().await;
}
