//! Who is behind a trusted proxy.

use std::net::IpAddr;

use holdline_config::Listener;
use http::HeaderMap;

/// The address of the caller's carrier: `peer` itself, or, if that is a trusted proxy, the nearest
/// address in `X-Forwarded-For` that is none. Each proxy adds at the end, so the list is read
/// backwards, and only as far as trust goes: what stands before is the sender's own invention.
pub(super) fn client(settings: &Listener, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let trusted = |address: &IpAddr| {
        settings
            .trusted_proxies
            .iter()
            .any(|net| net.contains(address))
    };
    let forwarded = headers.get_all("x-forwarded-for").iter().rev();
    let named = forwarded
        .flat_map(|value| value.to_str().unwrap_or("").rsplit(','))
        .map_while(|entry| entry.trim().parse::<IpAddr>().ok())
        .map(|address| address.to_canonical());
    let mut client = peer;
    for address in named {
        if !trusted(&client) {
            break;
        }
        client = address;
    }
    client
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use holdline_config::Listener;
    use http::{HeaderMap, HeaderValue};

    use super::client;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let settings = Listener {
            name: "test".to_owned(),
            address: "127.0.0.1:0".parse().unwrap(),
            max_connections: 1,
            handshake_timeout: Duration::from_secs(1),
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            tls: None,
            routes: Vec::new(),
        };
        let cases: &[(&str, &[&str], &str)] = &[
            ("192.0.2.1", &[], "192.0.2.1"),
            ("192.0.2.1", &["198.51.100.1"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
            (
                "10.0.0.1",
                &["6.6.6.6", "198.51.100.1, 10.0.0.2"],
                "198.51.100.1",
            ),
            ("10.0.0.1", &["10.0.0.3"], "10.0.0.3"),
            ("10.0.0.1", &["6.6.6.6, junk, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
        ];
        for (peer, forwarded, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in *forwarded {
                headers.append("x-forwarded-for", HeaderValue::from_static(value));
            }
            let found = client(&settings, peer.parse().unwrap(), &headers);
            assert_eq!(found.to_string(), *expected, "{peer} {forwarded:?}");
        }
    }
}
