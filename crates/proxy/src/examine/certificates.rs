//! Certificates of listeners: for how long they are good.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holdline_config::Config;
use holdline_tls::TlsError;

use super::Finding;

const CERTIFICATE: &str = "certificate";
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Whoever renews certificates does it earlier: usually thirty days before their end.
const SOON: u64 = 14;

pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let with_tls = config.listeners.iter().filter_map(|listener| {
        let tls = listener.tls.as_ref()?;
        let about = format!("listener {}", listener.name);
        Some(told(about, holdline_tls::expiry(&tls.certificate), now))
    });
    with_tls.collect()
}

fn told(about: String, expiry: Result<Option<Duration>, TlsError>, now: Duration) -> Finding {
    let advice = "renew it: an edge that runs takes up the new file by itself";
    let left = match expiry {
        Ok(Some(at)) => at.checked_sub(now),
        Ok(None) => {
            let found = "when it expires cannot be read";
            return Finding::warning(
                CERTIFICATE,
                about,
                found,
                "look at its dates (openssl x509)",
            );
        }
        Err(error) => return Finding::failed(CERTIFICATE, about, error.to_string(), advice),
    };
    match left.map(|left| left.as_secs() / DAY.as_secs()) {
        None => Finding::failed(CERTIFICATE, about, "has expired", advice),
        Some(days @ ..SOON) => Finding::warning(
            CERTIFICATE,
            about,
            format!("expires in {days} days"),
            advice,
        ),
        Some(days) => Finding::ok(CERTIFICATE, about, format!("expires in {days} days")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examine::Verdict;

    #[test]
    fn days_that_are_left() {
        let now = DAY * 20_000;
        for (at, verdict) in [
            (Some(now + DAY * 90), Verdict::Ok),
            (Some(now + DAY * 13), Verdict::Warning),
            (Some(now - DAY), Verdict::Failed),
            (None, Verdict::Warning),
        ] {
            let told = told("listener a".to_owned(), Ok(at), now);
            assert_eq!(told.verdict, verdict, "{told:?}");
        }
    }
}
