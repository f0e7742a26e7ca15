//! `X-Twilio-Signature` on real sockets: what is not signed by Twilio gets no 101.

use std::{collections::BTreeMap, fmt::Write as _, net::SocketAddr};

use tokio::net::TcpStream;
use tokio_tungstenite::{
    client_async,
    tungstenite::{self, client::IntoClientRequest as _, http::HeaderValue},
};

use crate::{
    exchange::Edge,
    support::{holdline, soon},
};

mod oracle;
mod vectors;

use vectors::{LONG_TOKEN, REFUSED, SHARED_KEY, SHORT_TOKEN, Signed, VECTORS};

/// An edge with one listener for each public URL; all with the same keys.
struct Signing {
    edge: Edge,
    /// By public URL.
    listeners: BTreeMap<String, SocketAddr>,
}

impl Signing {
    async fn start(token: &str, urls: impl IntoIterator<Item = String>) -> Self {
        let urls: Vec<String> = urls.into_iter().collect();
        let edge = Edge::start(&configuration(&urls), &variables(token)).await;
        let mut listeners = BTreeMap::new();
        for (number, url) in urls.into_iter().enumerate() {
            listeners.insert(url, edge.address(&format!("l{number}")).await);
        }
        Self { edge, listeners }
    }

    /// The status that an upgrade with these headers is answered with.
    async fn ask(&self, public_url: &str, path: &str, headers: &[(&'static str, &str)]) -> u16 {
        upgrade(self.listeners[public_url], path, headers).await
    }

    /// How many upgrades were refused for this reason.
    async fn refused(&self, why: &str) -> f64 {
        let label = format!("why=\"{why}\"");
        let name = "holdline_signature_failures_total";
        self.edge.counter(name, &[&label]).await
    }
}

#[tokio::test]
async fn every_vector_is_accepted_where_it_belongs_and_nowhere_else() {
    for token in [LONG_TOKEN, SHORT_TOKEN] {
        let vectors: Vec<&Signed> = VECTORS.iter().filter(|it| it.token == token).collect();
        let urls = vectors.iter().map(|it| it.url.to_owned());
        let signing = Signing::start(token, urls).await;
        for at in &vectors {
            for signed in &vectors {
                // A port that the configured URL names may be left out of the signed one.
                let good = at.url == signed.url
                    || at.url.replacen(":443/", "/", 1) == signed.url
                    || at.url.replacen(":8443/", "/", 1) == signed.url;
                let status = signing.ask(at.url, path(at.url), &signed.headers()).await;
                let expected = if good { 101 } else { 403 };
                assert_eq!(status, expected, "{signed:?} at {}", at.url);
            }
            for signed in REFUSED {
                let status = signing.ask(at.url, path(at.url), &signed.headers()).await;
                assert_eq!(status, 403, "{signed:?} at {}", at.url);
            }
        }
        signing.edge.end().await;
    }
}

/// What Twilio cannot sign for a stream, nobody should wait for.
#[tokio::test]
async fn a_public_url_that_no_stream_can_have_is_a_mistake_in_the_configuration() {
    for signed in REFUSED {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("holdline.yaml");
        let text = configuration(&[signed.url.to_owned()]);
        std::fs::write(&file, text).unwrap();
        let check = holdline()
            .args(["check", "--config", file.to_str().unwrap()])
            .envs(variables(signed.token))
            .output();
        let output = soon("a check", check).await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", signed.url);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("signature.public_url: "), "{said}");
        assert_eq!(said.matches("holdline.yaml:").count(), 1, "{said}");
    }
}

#[tokio::test]
async fn what_is_not_signed_or_replayed_gets_no_upgrade() {
    let vector = VECTORS.iter().find(|it| it.is_sha256()).unwrap();
    let sha1 = VECTORS.iter().find(|it| it.url == vector.url).unwrap();
    assert!(!sha1.is_sha256());
    let other = vector.url.replace("media-stream", "other");
    let signing = Signing::start(SHORT_TOKEN, [vector.url.to_owned(), other.clone()]).await;
    let here = path(vector.url);
    let (good, good256) = (sha1.headers(), vector.headers());
    let signature = good[0];
    let settings =
        |value: &'static str| [signature, ("x-twilio-webhooks-signature-settings", value)];

    for signed in [&good, &good256] {
        assert_eq!(signing.ask(vector.url, here, signed).await, 101);
        // Replayed where it was not signed for: another route, and a path that nobody serves.
        assert_eq!(signing.ask(&other, path(&other), signed).await, 403);
        assert_eq!(signing.ask(vector.url, "/elsewhere", signed).await, 404);
    }
    let wrong: [(&str, &[(&'static str, &str)]); 8] = [
        ("missing", &[]),
        ("missing", &[signature, signature]),
        ("mismatch", &[("x-twilio-signature", "")]),
        (
            "mismatch",
            &[("x-twilio-signature", "DHPH2SL3lKg3A5s23PxpPrANQVh=")],
        ),
        (
            "mismatch",
            &[("x-twilio-signature", "dhph2sl3lkg3a5s23pxpprANQVg=")],
        ),
        ("unknown_key", &settings("key=SK2,algorithm=HMAC_SHA256")),
        ("settings", &settings("key=SK1,algorithm=HMAC_MD5")),
        // A SHA-1 signature does not become one of the other form by being called so.
        ("mismatch", &settings("key=SK1,algorithm=HMAC_SHA256")),
    ];
    for (why, headers) in wrong {
        let before = signing.refused(why).await;
        assert_eq!(
            signing.ask(vector.url, here, headers).await,
            403,
            "{headers:?}"
        );
        assert_eq!(
            signing.refused(why).await,
            before + 1.0,
            "{why} {headers:?}"
        );
    }
    signing.edge.end().await;
}

/// Random URLs, signed by Twilio's own library.
#[tokio::test]
async fn twilios_own_library_agrees_on_random_urls() {
    let mut random = oracle::Random::new(0x7477_696c_696f);
    let prefixes: Vec<_> = (0..12).map(|_| random.prefix()).collect();
    let mut asked = Vec::new();
    for prefix in &prefixes {
        for _ in 0..8 {
            asked.push((prefix, random.rest()));
        }
    }
    let full = |prefix: &str, rest: &str| format!("{}{rest}", prefix.strip_suffix('*').unwrap());
    let urls: Vec<_> = asked
        .iter()
        .map(|(prefix, rest)| full(prefix, rest))
        .collect();
    let signatures = oracle::sign(SHORT_TOKEN, &urls).await;
    let signing = Signing::start(SHORT_TOKEN, prefixes.clone()).await;
    for (((prefix, _), url), signature) in asked.iter().zip(&urls).zip(&signatures) {
        let headers = [("x-twilio-signature", &**signature)];
        let status = signing.ask(prefix, path(url), &headers).await;
        assert_eq!(status, 101, "{url} {signature}");
        let longer = format!("{}x", path(url));
        let status = signing.ask(prefix, &longer, &headers).await;
        assert_eq!(status, 403, "{longer} {signature}");
    }
    signing.edge.end().await;
}

/// One listener for each URL.
fn configuration(urls: &[String]) -> String {
    let mut config = "listeners:\n".to_owned();
    for (number, url) in urls.iter().enumerate() {
        let (path, _) = path(url).split_once(['?', 'é']).unwrap_or((path(url), ""));
        writeln!(
            config,
            "  - name: l{number}
    address: 127.0.0.1:0
    routes:
      - path: \"{path}\"
        profile: twilio
        workers: none
        signature:
          public_url: \"{url}\"
          auth_token: {{env: NEW_TOKEN}}
          secondary_auth_token: {{env: TOKEN}}
          shared_keys: [{{id: SK1, secret: {{env: SHARED_KEY}}}}]"
        )
        .unwrap();
    }
    config + "workers:\n  none: {discovery: {static: {addresses: [\"127.0.0.1:9\"]}}}\n"
}

/// The account's new token is not in use yet.
fn variables(token: &str) -> [(&'static str, &str); 3] {
    [
        ("NEW_TOKEN", "not-yet-in-use"),
        ("TOKEN", token),
        ("SHARED_KEY", SHARED_KEY),
    ]
}

/// The path of a URL.
fn path(url: &str) -> &str {
    let (_, rest) = url.split_once("://").unwrap();
    &rest[rest.find('/').unwrap()..]
}

async fn upgrade(address: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> u16 {
    let mut request = format!("ws://{address}{path}")
        .into_client_request()
        .unwrap();
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).unwrap();
        request.headers_mut().append(*name, value);
    }
    let stream = soon("a connection", TcpStream::connect(address))
        .await
        .unwrap();
    match soon("an answer", client_async(request, stream)).await {
        Ok((_, response)) => response.status().as_u16(),
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{path}: {error}"),
    }
}
