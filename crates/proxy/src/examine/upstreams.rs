//! The services that legs are dialled to, and what their clocks say of ours.

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use holdline_config::Config;
use holdline_legs::{Dialer, Trial};

use super::Finding;

const UPSTREAM: &str = "upstream";
const CLOCK: &str = "clock";

/// How long a new session is listened to, for a vendor that closes it at once.
const LISTEN: Duration = Duration::from_secs(2);
/// Beyond it somebody should look: `Date` is told to the second, and comes a moment late.
const SKEW_ODD: Duration = Duration::from_secs(3);
/// Beyond it certificates are soon refused that are good.
const SKEW_BAD: Duration = Duration::from_secs(300);

pub(super) async fn findings(config: &Config, dialer: &Dialer, within: Duration) -> Vec<Finding> {
    let listen = LISTEN.min(within);
    let trials = config.upstreams.keys().map(|name| async move {
        let tried = dialer.try_out(name, listen).await;
        (name, tried)
    });
    let trials = join_all(trials).await;
    let mut found: Vec<_> = trials
        .iter()
        .map(|(name, tried)| told(name, tried))
        .collect();
    // One is enough; that of a vendor whose clock is wrong would be found by the others.
    let clocks = trials.iter().find_map(|(name, tried)| {
        let (theirs, ours) = tried.as_ref().ok()?.clocks?;
        Some(clock(&format!("beside upstream {name}"), theirs, ours))
    });
    found.push(clocks.unwrap_or_else(|| unchecked(trials.len())));
    found
}

fn told(name: &str, tried: &Result<Trial, String>) -> Finding {
    let about = format!("upstream {name}");
    match tried {
        Ok(Trial {
            closed: None, took, ..
        }) => {
            let took = took.as_millis();
            Finding::ok(
                UPSTREAM,
                about,
                format!("a WebSocket is open within {took} ms"),
            )
        }
        Ok(Trial {
            closed: Some((code, reason)),
            ..
        }) => {
            let found = format!("opens, and is closed at once with {code} {reason:?}");
            let advice = match code {
                3000 => "the key is not accepted: look at `api_key` and at the account",
                _ => "ask whoever runs it what this code means",
            };
            Finding::failed(UPSTREAM, about, found, advice)
        }
        Err(why) => Finding::failed(
            UPSTREAM,
            about,
            why.as_str(),
            match is_about_time(why) {
                true => {
                    "the certificate's time is over or has not begun by this machine's clock: look at the clock first"
                }
                false => {
                    "look at `url`, `ca` and `api_key`, at DNS, and at what lets connections out of here"
                }
            },
        ),
    }
}

/// Whether a certificate was refused for a date, in the words of the TLS library.
fn is_about_time(why: &str) -> bool {
    let why = why.to_ascii_lowercase();
    ["expired", "not valid yet", "notvalidyet"]
        .iter()
        .any(|word| why.contains(word))
}

/// Nobody told a time, of so many upstreams.
fn unchecked(upstreams: usize) -> Finding {
    if upstreams == 0 {
        return Finding::ok(
            CLOCK,
            "not checked",
            "no upstream is configured that could be asked",
        );
    }
    Finding::warning(
        CLOCK,
        "not checked",
        "no upstream that answered told a time",
        "compare this machine's clock with a time service (chronyc tracking, timedatectl): a wrong one refuses good certificates",
    )
}

fn clock(about: &str, theirs: SystemTime, ours: SystemTime) -> Finding {
    let ahead = ours.duration_since(theirs);
    let (apart, which) = match &ahead {
        Ok(apart) => (*apart, "ahead of"),
        Err(error) => (error.duration(), "behind"),
    };
    let seconds = apart.as_secs();
    let found = format!("{seconds} s {which} the upstream's");
    let advice = "let a time service (chrony, systemd-timesyncd) set this machine's clock";
    if apart > SKEW_BAD {
        Finding::failed(CLOCK, about, found, advice)
    } else if apart > SKEW_ODD {
        Finding::warning(CLOCK, about, found, advice)
    } else {
        Finding::ok(CLOCK, about, "agrees, to the second")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examine::Verdict;

    #[test]
    fn clocks_that_differ() {
        let theirs = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        for (ours, verdict, words) in [
            (theirs + Duration::from_millis(900), Verdict::Ok, "agrees"),
            (
                theirs + Duration::from_secs(60),
                Verdict::Warning,
                "60 s ahead of",
            ),
            (
                theirs - Duration::from_secs(400),
                Verdict::Failed,
                "400 s behind",
            ),
        ] {
            let told = clock("beside upstream openai", theirs, ours);
            assert_eq!(told.verdict, verdict, "{told:?}");
            assert!(told.found.contains(words), "{told:?}");
        }
    }
    #[test]
    fn a_clock_that_nobody_is_asked_about_is_told() {
        assert_eq!(unchecked(0).verdict, Verdict::Ok);
        assert_eq!(unchecked(2).verdict, Verdict::Warning);
    }

    #[test]
    fn a_certificate_that_is_refused_for_its_date_points_at_the_clock() {
        for (why, clock) in [
            (
                "TLS with host: invalid peer certificate: certificate not valid yet: verification time 0",
                true,
            ),
            ("TLS with host: invalid peer certificate: Expired", true),
            (
                "TLS with host: invalid peer certificate: UnknownIssuer",
                false,
            ),
        ] {
            let told = told("openai", &Err(why.to_owned()));
            assert_eq!(told.advice.contains("clock"), clock, "{told:?}");
        }
    }
}
