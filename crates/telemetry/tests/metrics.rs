//! What a scraper sees.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, time::Duration};

use holdline_telemetry::{
    Census, Direction, DrainPhase, Kind, LegKind, Metrics, Opening, RolloutRule, SessionState,
    WorkerState,
};

fn has(metrics: &Metrics, line: &str) -> bool {
    metrics.render().lines().any(|each| each == line)
}

/// Every metric with one of each label, so that all families are in the text.
fn busy() -> Metrics {
    let metrics = Metrics::new();
    metrics.legs.upgrade_refused("draining");
    metrics.legs.webhook_answered("connect");
    metrics.legs.signature_failed("missing");
    metrics.legs.opened(LegKind::Caller, Opening::First);
    metrics.legs.closed(LegKind::Caller, 1000, "none");
    metrics.legs.dial_failed("resolve");
    metrics.legs.tls_reloaded(true);
    metrics.sessions.ended("caller_hung_up", "none");
    metrics.sessions.command_dropped("leg_gone");
    metrics.sessions.caller_stream("joined");
    metrics.attachments.attached("new");
    metrics.attachments.failed("stream");
    metrics.attachments.handoff("handoff", "drain", "ok");
    metrics.attachments.gap_seconds("handoff", 0.0031);
    metrics.workers.ejected("sessions_failed");
    metrics.workers.connect_failed("connect");
    metrics.workers.tls_reloaded(true);
    metrics.workers.rules(
        "line",
        &[(RolloutRule::Weights, 1)],
        [("v1", 9)].into_iter(),
    );
    metrics.drain.cut(1, 0);
    metrics.admin.refused("token");
    metrics.pod.cost_written(true);
    metrics.spans.count("sent", 1);
    metrics.build.set_version("0.1.0");
    metrics.build.config_loaded("0a1b2c", 1_790_000_000);
    metrics.build.config_reloaded(true);
    metrics
}

/// Renaming a metric breaks dashboards and alerts of people whom nobody can ask: this list changes
/// on purpose or not at all.
#[test]
fn names_and_types() {
    let metrics = busy();
    let worker = metrics.workers.pool("line").track("v1", WorkerState::Ready);
    let text = metrics.render();
    drop(worker);
    let types: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .collect();
    assert_eq!(
        types,
        [
            "holdline_admin_refused_total counter",
            "holdline_attach_failures_total counter",
            "holdline_attachments_total counter",
            "holdline_build_info gauge",
            "holdline_caller_streams_total counter",
            "holdline_commands_dropped_total counter",
            "holdline_config_info gauge",
            "holdline_config_loaded_timestamp_seconds gauge",
            "holdline_config_reloads_total counter",
            "holdline_dial_duration_seconds histogram",
            "holdline_dial_failures_total counter",
            "holdline_discovery_failing gauge",
            "holdline_discovery_failures_total counter",
            "holdline_drain_cut_sessions_total counter",
            "holdline_drain_deadline_timestamp_seconds gauge",
            "holdline_drain_phase gauge",
            "holdline_fenced_messages_total counter",
            "holdline_handoff_gap_seconds histogram",
            "holdline_handoffs_total counter",
            "holdline_leg_bytes_total counter",
            "holdline_leg_closes_total counter",
            "holdline_leg_frames_total counter",
            "holdline_leg_malformed_frames_total counter",
            "holdline_leg_openings_total counter",
            "holdline_leg_unwritten_frames_total counter",
            "holdline_listener_connections gauge",
            "holdline_listener_handshakes gauge",
            "holdline_log_lines_lost gauge",
            "holdline_media_dropped_frames_total counter",
            "holdline_media_gaps_total counter",
            "holdline_media_lost_frames_total counter",
            "holdline_media_lost_seconds_total counter",
            "holdline_pod_deletion_cost_writes_total counter",
            "holdline_replayed_inputs_total counter",
            "holdline_rollout_rules gauge",
            "holdline_rollout_weight gauge",
            "holdline_session_duration_seconds histogram",
            "holdline_session_hold_seconds histogram",
            "holdline_session_hold_sound_seconds_total counter",
            "holdline_session_holds_total counter",
            "holdline_session_log_age_seconds gauge",
            "holdline_session_log_bytes gauge",
            "holdline_session_log_frames gauge",
            "holdline_session_oldest_age_seconds gauge",
            "holdline_session_strikes_total counter",
            "holdline_sessions gauge",
            "holdline_sessions_active gauge",
            "holdline_sessions_by_age gauge",
            "holdline_sessions_ended_total counter",
            "holdline_sessions_started_total counter",
            "holdline_signature_failures_total counter",
            "holdline_spans_total counter",
            "holdline_start_time_seconds gauge",
            "holdline_tls_reloads_total counter",
            "holdline_upgrades_accepted_total counter",
            "holdline_upgrades_refused_total counter",
            "holdline_webhooks_total counter",
            "holdline_worker_connect_failures_total counter",
            "holdline_worker_connections_total counter",
            "holdline_worker_ejections_total counter",
            "holdline_worker_moves_total counter",
            "holdline_worker_round_trip_seconds histogram",
            "holdline_worker_tls_reloads_total counter",
            "holdline_workers gauge",
            "holdline_workers_incompatible_total counter",
        ]
    );
}

/// What the page tells is what is scraped.
#[test]
fn the_catalogue_is_the_scrape() {
    let metrics = busy();
    let worker = metrics.workers.pool("line").track("v1", WorkerState::Ready);
    metrics.watch_tasks(|| 1);
    let text = metrics.render();
    drop(worker);
    let mut catalogue: Vec<_> = metrics.catalogue().iter().collect();
    catalogue.sort_by_key(|metric| metric.name);
    let mut families = Vec::new();
    for metric in catalogue {
        let (name, kind) = (metric.name, metric.kind.as_str());
        families.push(format!("# HELP {name} {}", metric.help));
        families.push(format!("# TYPE {name} {kind}"));
        let suffix = match metric.kind {
            Kind::Histogram => "_count",
            _ => "",
        };
        let mut labels: Vec<_> = metric.labels.iter().map(|it| it.name).collect();
        labels.sort_unstable();
        for line in text.lines() {
            let series = line.strip_prefix(&format!("{name}{suffix}"));
            let Some(series) = series.and_then(|rest| rest.strip_prefix('{')) else {
                continue;
            };
            let (series, _) = series.split_once("} ").unwrap();
            let found: Vec<_> = series
                .split(',')
                .map(|it| it.split_once('=').unwrap().0)
                .collect();
            assert_eq!(found, labels, "{line}");
        }
    }
    let told: Vec<_> = text.lines().filter(|line| line.starts_with('#')).collect();
    assert_eq!(told, families);
}

/// A word that the page does not tell of is found by the first test that counts with it.
#[test]
#[should_panic(expected = "add it to telemetry/src/words.rs")]
fn words_that_are_not_told_are_refused_in_tests() {
    Metrics::new().sessions.ended("caller_hung_up", "nobody");
}

/// Sessions are counted when a scraper asks, and add up to how many there are.
#[test]
fn sessions_by_state_and_age() {
    let metrics = Metrics::new();
    assert!(has(&metrics, r#"holdline_sessions{state="running"} 0"#));
    metrics.sessions.watch(|| {
        let mut census = Census::default();
        let ms = Duration::from_millis;
        census.note(SessionState::Running, ms(59_999), ms(40));
        census.note(SessionState::Running, ms(3_600_500), ms(0));
        census.note(SessionState::Held, ms(300_000), ms(1_500));
        census
    });
    for line in [
        r#"holdline_sessions{state="starting"} 0"#,
        r#"holdline_sessions{state="running"} 2"#,
        r#"holdline_sessions{state="held"} 1"#,
        r#"holdline_sessions_by_age{age="under_1m"} 1"#,
        r#"holdline_sessions_by_age{age="1m_to_5m"} 0"#,
        r#"holdline_sessions_by_age{age="5m_to_15m"} 1"#,
        r#"holdline_sessions_by_age{age="over_1h"} 1"#,
        "holdline_session_oldest_age_seconds 3600.5",
        "holdline_session_log_age_seconds 1.5",
    ] {
        assert!(has(&metrics, line), "{line}\n{}", metrics.render());
    }
}

/// A rule that was taken back is not shown any more.
#[test]
fn rollout_rules_in_force() {
    let metrics = Metrics::new();
    let weights = [("v1", 90), ("v2", 10)];
    let rules = |count, weights: &[(&'static str, u32)]| {
        let counts = [(RolloutRule::Weights, count)];
        metrics
            .workers
            .rules("line", &counts, weights.iter().copied());
    };
    rules(2, &weights);
    assert!(has(
        &metrics,
        r#"holdline_rollout_rules{pool="line",rule="weights"} 2"#
    ));
    assert!(has(
        &metrics,
        r#"holdline_rollout_weight{pool="line",version="v2"} 10"#
    ));
    rules(1, &weights[..1]);
    assert!(has(
        &metrics,
        r#"holdline_rollout_rules{pool="line",rule="weights"} 1"#
    ));
    assert!(!metrics.render().contains(r#"version="v2""#));
}

/// The page in docs is made from the code.
#[test]
fn the_page_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    let page = holdline_telemetry::page(Metrics::new().catalogue());
    if std::env::var_os("HOLDLINE_REGENERATE").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/metrics.md is stale: run HOLDLINE_REGENERATE=1 cargo test -p holdline-telemetry"
    );
}

#[test]
fn every_family_has_help_and_no_series_stands_twice() {
    let text = busy().render();
    let help = text
        .lines()
        .filter(|line| line.starts_with("# HELP "))
        .count();
    let types = text
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .count();
    assert_eq!(help, types);
    let mut series = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, _) = line.rsplit_once(' ').unwrap();
        assert!(series.insert(name), "{name}");
    }
    let counters = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    for counter in counters.filter_map(|line| line.strip_suffix(" counter")) {
        assert!(counter.ends_with("_total"), "{counter}");
    }
}

/// What is counted per frame is there from the start, at zero.
#[test]
fn frames_are_counted_by_leg_and_direction() {
    let metrics = Metrics::new();
    for leg in LegKind::ALL {
        for direction in Direction::ALL {
            let (leg, direction) = (leg.as_str(), direction.as_str());
            let line =
                format!("holdline_leg_frames_total{{direction=\"{direction}\",leg=\"{leg}\"}} 0");
            assert!(has(&metrics, &line), "{line}");
        }
    }
    metrics
        .legs
        .frames(LegKind::of("model"), Direction::In)
        .inc_by(3);
    metrics
        .legs
        .bytes(LegKind::of("caller"), Direction::Out)
        .inc_by(160);
    metrics
        .legs
        .frames(LegKind::of("a name of a worker's"), Direction::Out)
        .inc();
    metrics.legs.unwritten(LegKind::Caller).inc();
    metrics.legs.malformed(LegKind::Model).inc();
    for line in [
        r#"holdline_leg_frames_total{direction="in",leg="model"} 3"#,
        r#"holdline_leg_bytes_total{direction="out",leg="caller"} 160"#,
        r#"holdline_leg_frames_total{direction="out",leg="other"} 1"#,
        r#"holdline_leg_unwritten_frames_total{leg="caller"} 1"#,
        r#"holdline_leg_malformed_frames_total{leg="model"} 1"#,
    ] {
        assert!(has(&metrics, line), "{line}");
    }
}

/// What alerts ask for is there before the first time that it is counted: `increase()` does not see a
/// series begin.
#[test]
fn counters_are_there_from_the_start() {
    let metrics = Metrics::new();
    for line in [
        r#"holdline_handoffs_total{cause="drain",reason="handoff",result="ok"} 0"#,
        r#"holdline_handoffs_total{cause="stuck",reason="recovery",result="unfinished"} 0"#,
        r#"holdline_handoff_gap_seconds_bucket{reason="recovery",le="1"} 0"#,
        r#"holdline_sessions_ended_total{fault="worker",reason="poisoned"} 0"#,
        r#"holdline_sessions_ended_total{fault="worker",reason="log_overflow"} 0"#,
        r#"holdline_leg_closes_total{code="3xxx",fault="config",leg="model"} 0"#,
        r#"holdline_leg_openings_total{how="beside",leg="model"} 0"#,
        r#"holdline_dial_failures_total{why="unauthorized"} 0"#,
        r#"holdline_worker_ejections_total{why="version_failed"} 0"#,
        r#"holdline_config_reloads_total{result="refused"} 0"#,
        r#"holdline_tls_reloads_total{result="failed"} 0"#,
    ] {
        assert!(has(&metrics, line), "{line}\n{}", metrics.render());
    }
    let series = metrics.render().lines().count();
    assert!(series < 600, "{series} lines before anything has happened");
}

/// A pool whose workers were never seen has none that is ready, and says so.
#[test]
fn a_pool_without_workers_is_told() {
    let metrics = Metrics::new();
    let (_line, other) = (metrics.workers.pool("line"), metrics.workers.pool("other"));
    let _worker = other.track("v1", WorkerState::Ready);
    for line in [
        r#"holdline_workers{pool="line",state="ready",version=""} 0"#,
        r#"holdline_workers{pool="other",state="ready",version="v1"} 1"#,
    ] {
        assert!(has(&metrics, line), "{line}\n{}", metrics.render());
    }
}

/// Each input counts, so that a call whose worker commits seldom weighs as much as another.
#[test]
fn the_time_through_workers_is_that_of_inputs() {
    let metrics = Metrics::new();
    let attachments = &metrics.attachments;
    attachments.committed(1, Duration::from_millis(4));
    attachments.committed(50, Duration::from_millis(900));
    for (bound, count) in [("0.005", 1), ("0.25", 1), ("1", 51), ("+Inf", 51)] {
        let line = format!("holdline_worker_round_trip_seconds_bucket{{le=\"{bound}\"}} {count}");
        assert!(has(&metrics, &line), "{line}\n{}", metrics.render());
    }
}

/// A peer chooses its close code, and adds no series by that.
#[test]
fn close_codes_are_bounded() {
    let metrics = Metrics::new();
    for code in 0..=u16::MAX {
        metrics.legs.closed(LegKind::Model, code, "peer");
    }
    let text = metrics.render();
    let series = text
        .lines()
        .filter(|line| line.starts_with("holdline_leg_closes_total{") && line.contains("peer"));
    assert_eq!(series.count(), 18);
    let all = r#"holdline_leg_closes_total{code="4xxx",fault="peer",leg="model"} 1000"#;
    assert!(has(&metrics, all));
}

/// The buckets in which a caller begins to hear a handoff are told apart.
#[test]
fn handoff_gaps() {
    let metrics = Metrics::new();
    for seconds in [0.0004, 0.003, 0.019, 0.03, 1.5] {
        metrics.attachments.gap_seconds("handoff", seconds);
    }
    for (bound, count) in [
        ("0.001", 1),
        ("0.005", 2),
        ("0.02", 3),
        ("0.04", 4),
        ("5", 5),
        ("+Inf", 5),
    ] {
        let line = format!(
            "holdline_handoff_gap_seconds_bucket{{reason=\"handoff\",le=\"{bound}\"}} {count}"
        );
        assert!(has(&metrics, &line), "{line}\n{}", metrics.render());
    }
}

#[test]
fn one_drain_phase_at_a_time() {
    let metrics = Metrics::new();
    assert!(has(&metrics, r#"holdline_drain_phase{phase="serving"} 1"#));
    metrics.drain.set_phase(DrainPhase::Refusing);
    for phase in DrainPhase::ALL {
        let value = u8::from(*phase == DrainPhase::Refusing);
        let line = format!(
            "holdline_drain_phase{{phase=\"{}\"}} {value}",
            phase.as_str()
        );
        assert!(has(&metrics, &line), "{line}");
    }
}

#[test]
fn one_configuration_at_a_time() {
    let metrics = Metrics::new();
    metrics.build.config_loaded("first", 1);
    metrics.build.config_loaded("second", 2);
    assert!(!metrics.render().contains("fingerprint=\"first\""));
    assert!(has(
        &metrics,
        r#"holdline_config_info{fingerprint="second"} 1"#
    ));
    assert!(has(&metrics, "holdline_config_loaded_timestamp_seconds 2"));
}

#[test]
fn workers_move_between_states_and_versions() {
    let metrics = Metrics::new();
    let pool = metrics.workers.pool("line");
    let mut worker = pool.track("", WorkerState::Connecting);
    let other = pool.track("v1", WorkerState::Ready);
    worker.set_version("v1");
    worker.set_state(WorkerState::Ready);
    assert!(has(
        &metrics,
        r#"holdline_workers{pool="line",state="ready",version="v1"} 2"#
    ));
    drop(other);
    worker.set_state(WorkerState::Draining);
    assert!(has(
        &metrics,
        r#"holdline_workers{pool="line",state="ready",version="v1"} 0"#
    ));
    assert!(has(
        &metrics,
        r#"holdline_workers{pool="line",state="draining",version="v1"} 1"#
    ));
    drop(worker);
    assert!(
        !metrics.render().contains("v1"),
        "a version without workers has no series"
    );
}

/// Ten deploys an hour for a week do not fill the memory of whoever scrapes.
#[test]
fn versions_are_bounded_and_come_free_again() {
    let metrics = Metrics::new();
    let pool = metrics.workers.pool("line");
    let series = || {
        let text = metrics.render();
        let workers = text
            .lines()
            .filter(|line| line.starts_with("holdline_workers{"));
        workers.map(str::to_owned).collect::<Vec<_>>()
    };
    let crowd: Vec<_> = (0..40)
        .map(|n| pool.track(&format!("v{n}"), WorkerState::Ready))
        .collect();
    assert_eq!(series().len(), 18);
    assert!(has(
        &metrics,
        r#"holdline_workers{pool="line",state="ready",version="other"} 24"#
    ));
    drop(crowd);
    assert_eq!(
        series(),
        [
            r#"holdline_workers{pool="line",state="ready",version=""} 0"#,
            r#"holdline_workers{pool="line",state="ready",version="other"} 0"#
        ]
    );
    for n in 0..1_000 {
        let version = format!("w{n}");
        let worker = pool.track(&version, WorkerState::Ready);
        let line =
            format!("holdline_workers{{pool=\"line\",state=\"ready\",version=\"{version}\"}} 1");
        assert!(has(&metrics, &line), "{line}");
        drop(worker);
    }
    let long = pool.track(&"x".repeat(65), WorkerState::Ready);
    assert!(has(
        &metrics,
        r#"holdline_workers{pool="line",state="ready",version="other"} 1"#
    ));
    drop(long);
}

#[test]
fn lost_media_is_told_in_seconds() {
    let metrics = Metrics::new();
    metrics.sessions.media_lost_ms.inc_by(1_480);
    metrics.sessions.media_lost_ms.inc_by(20);
    assert!(has(&metrics, "holdline_media_lost_seconds_total 1.5"));
}

/// Two edges in one process, as in tests, do not count each other's calls.
#[test]
fn no_globals() {
    let (one, two) = (Metrics::new(), Metrics::new());
    one.sessions.started.inc();
    let clone = one.clone();
    clone.sessions.started.inc();
    assert!(has(&one, "holdline_sessions_started_total 2"));
    assert!(has(&two, "holdline_sessions_started_total 0"));
}
