#![allow(clippy::unwrap_used)]

use holdline_config::SecretSource;
use holdline_telemetry::Metrics;
use http_body_util::Full;
use hyper::body::Bytes;

use super::*;

const LOOPBACK: &str = "127.0.0.1";
const OUTSIDE: &str = "0.0.0.0";
const TOKEN: &str = "let-me-in-8f31";

fn guard(address: &str, token: Option<&str>) -> Guard {
    let source = SecretSource::Env("ADMIN_TOKEN".to_owned());
    let token = token.map(|token| Secret::new(source, token));
    Guard::new(token, address.parse().unwrap(), Metrics::new().admin)
}

/// `GET /sessions` unless `line` says another method and path.
fn decide(guard: &Guard, line: &str, headers: &[(&str, &str)]) -> Result<(), Refusal> {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    guard.decide(&request.body(Full::<Bytes>::default()).unwrap())
}

fn with_host(guard: &Guard, host: &str) -> Result<(), Refusal> {
    decide(guard, "GET /sessions", &[("host", host)])
}

#[test]
fn on_loopback_only_names_of_loopback_are_answered() {
    let guard = guard(LOOPBACK, None);
    for host in [
        "localhost",
        "LOCALHOST:9090",
        "127.0.0.1:9090",
        "[::1]:9090",
    ] {
        assert_eq!(with_host(&guard, host), Ok(()), "{host}");
    }
    for host in [
        "attacker.example",
        "localhost.attacker.example:9090",
        "127.0.0.1.nip.io",
    ] {
        assert_eq!(with_host(&guard, host), Err(Refusal::Host), "{host}");
    }
}

#[test]
fn elsewhere_the_port_has_whatever_name_it_was_given() {
    let guard = guard(OUTSIDE, None);
    assert_eq!(with_host(&guard, "edge.monitoring.svc:9090"), Ok(()));
    assert!(guard.is_open());
}

#[test]
fn one_host_a_path_and_no_body() {
    let guard = guard(OUTSIDE, None);
    let two = [("host", "a"), ("host", "a")];
    assert_eq!(decide(&guard, "GET /livez", &two), Err(Refusal::Form));
    assert_eq!(decide(&guard, "GET /livez", &[]), Err(Refusal::Form));
    let whole = decide(&guard, "GET http://a/livez", &[("host", "a")]);
    assert_eq!(whole, Err(Refusal::Form));
    let body = Request::get("/livez").header("host", "a");
    let body = body.body(Full::new(Bytes::from_static(b"x"))).unwrap();
    assert_eq!(guard.decide(&body), Err(Refusal::Form));
}

#[test]
fn pages_of_other_sites_are_known_by_their_browser() {
    let guard = guard(LOOPBACK, None);
    let host = ("host", "localhost:9090");
    for good in [
        ("origin", "http://localhost:9090"),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "none"),
    ] {
        assert_eq!(
            decide(&guard, "GET /sessions", &[host, good]),
            Ok(()),
            "{good:?}"
        );
    }
    for bad in [
        ("origin", "http://attacker.example"),
        ("origin", "http://localhost:8080"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let refused = decide(&guard, "GET /sessions", &[host, bad]);
        assert_eq!(refused, Err(Refusal::CrossSite), "{bad:?}");
    }
}

#[test]
fn what_could_change_anything_needs_the_token() {
    let host = ("host", "localhost");
    let bare = guard(LOOPBACK, None);
    let guarded = guard(LOOPBACK, Some(TOKEN));
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
        let line = format!("{method} /sessions");
        assert_eq!(decide(&bare, &line, &[host]), Err(Refusal::TokenUnset));
        let missing = decide(&guarded, &line, &[host]);
        assert_eq!(missing, Err(Refusal::TokenMissing));
        for wrong in [
            "Bearer let-me-in-8f32",
            "Bearer ",
            "Basic let-me-in-8f31",
            TOKEN,
        ] {
            let refused = decide(&guarded, &line, &[host, ("authorization", wrong)]);
            assert_eq!(refused, Err(Refusal::Token), "{wrong}");
        }
        let right = ("authorization", "bearer let-me-in-8f31");
        assert_eq!(decide(&guarded, &line, &[host, right]), Ok(()));
        assert_eq!(
            decide(&guarded, &line, &[host, right, right]),
            Err(Refusal::Token)
        );
    }
    for method in ["GET", "HEAD"] {
        assert_eq!(
            decide(&guarded, &format!("{method} /sessions"), &[host]),
            Ok(())
        );
    }
}

#[test]
fn beyond_loopback_a_token_keeps_calls_from_strangers() {
    let guard = guard(OUTSIDE, Some(TOKEN));
    let host = ("host", "edge:9090");
    assert!(!guard.is_open());
    for path in ["/livez", "/readyz", "/metrics", "/", "/dashboard/app.js"] {
        assert_eq!(
            decide(&guard, &format!("GET {path}"), &[host]),
            Ok(()),
            "{path}"
        );
    }
    for path in [
        "/sessions",
        "/sessions/CA1",
        "/workers",
        "/metrics/",
        "/dashboard/",
    ] {
        let line = format!("GET {path}");
        assert_eq!(
            decide(&guard, &line, &[host]),
            Err(Refusal::TokenMissing),
            "{path}"
        );
        let right = ("authorization", "Bearer let-me-in-8f31");
        assert_eq!(decide(&guard, &line, &[host, right]), Ok(()), "{path}");
    }
}

#[test]
fn the_token_is_not_shown() {
    assert!(!format!("{:?}", guard(OUTSIDE, Some(TOKEN))).contains(TOKEN));
}
