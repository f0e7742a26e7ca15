#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 4] = ["v1", "v2", "v3", "v4"];

fn weighted(weights: &[(&str, u32)]) -> Rules {
    let mut rules = Rules::default();
    let weights = weights.iter();
    rules.rollout.weights = weights
        .map(|(version, weight)| ((*version).to_owned(), *weight))
        .collect();
    rules
}

/// The version of those present that a session belongs to.
fn belongs<'a>(present: &[&'a str], session: u128, rules: &Rules) -> &'a str {
    let standing =
        |version: &&str| Standing::of(version, SessionId(session), &Attributes::new(), rules);
    present.iter().max_by_key(|it| standing(it)).unwrap()
}

/// Session ids are random: these are spread over all bits and the same in every run.
fn sessions(count: u64) -> impl Iterator<Item = u128> {
    (0..count).map(|n| {
        let half = |salt| u128::from(mix(SessionId(u128::from(n)), salt));
        half(1) << 64 | half(2)
    })
}

/// Five standard deviations of a share of 1,000: a right hash is outside once in two million.
fn assert_share(count: usize, percent: f64) {
    let share = percent / 100.0;
    let deviation = (1_000.0 * share * (1.0 - share)).sqrt();
    let off = (count as f64 - 1_000.0 * share).abs();
    assert!(off <= 5.0 * deviation, "{count} of 1,000 for {percent} %");
}

#[test]
fn shares_of_a_thousand_sessions_are_as_weighted() {
    for weights in [[90, 10, 0, 0], [1, 1, 0, 0], [50, 30, 15, 5]] {
        let named: Vec<_> = NAMES.into_iter().zip(weights).collect();
        let named: Vec<_> = named
            .into_iter()
            .filter(|(_, weight)| *weight > 0)
            .collect();
        let rules = weighted(&named);
        let total: u32 = weights.iter().sum();
        for (version, weight) in named {
            let mine = |session: &u128| belongs(&NAMES, *session, &rules) == version;
            let count = sessions(1_000).filter(mine).count();
            assert_share(count, f64::from(weight) * 100.0 / f64::from(total));
        }
    }
}

#[test]
fn a_canary_that_grows_takes_calls_and_gives_none_back() {
    let (few, many) = (
        weighted(&[("v1", 90), ("v2", 10)]),
        weighted(&[("v1", 50), ("v2", 50)]),
    );
    let mut moved = 0;
    for session in sessions(1_000) {
        let before = belongs(&NAMES, session, &few);
        let after = belongs(&NAMES, session, &many);
        assert!(before == after || after == "v2");
        moved += usize::from(before != after);
    }
    assert_share(moved, 40.0);
}

#[test]
fn the_first_pin_that_fits_counts_more_than_any_weight() {
    let mut rules = weighted(&[("v1", 1_000_000)]);
    let pin = |equals: &str, version: &str| holdline_config::Pin {
        attribute: "parameter.tenant".to_owned(),
        equals: equals.to_owned(),
        version: version.to_owned(),
    };
    rules.rollout.pins = vec![pin("acme", "v2"), pin("acme", "v3")];
    let of = |tenant: &str, version: &str| {
        let attributes = Attributes::from([("parameter.tenant".to_owned(), tenant.to_owned())]);
        Standing::of(version, SessionId(7), &attributes, &rules)
    };
    assert!(of("acme", "v2") > of("acme", "v1"));
    assert!(of("acme", "v1") > of("acme", "v3"));
    assert!(of("other", "v1") > of("other", "v2"));
}

#[test]
fn without_rules_all_versions_are_alike() {
    let rules = Rules::default();
    let of = |version| Standing::of(version, SessionId(7), &Attributes::new(), &rules);
    assert_eq!(of("v1"), of("v2"));
}

proptest! {
    /// A session changes its version only if that version goes, or the one that comes is its own.
    #[test]
    fn a_version_that_comes_or_goes_moves_only_its_own_sessions(
        session in any::<u128>(),
        weights in prop::collection::vec(1_u32..=1_000, 4),
        other in 0_usize..4,
    ) {
        let named: Vec<_> = NAMES.into_iter().zip(weights).collect();
        let rules = weighted(&named);
        let rest: Vec<_> = NAMES.into_iter().filter(|name| *name != NAMES[other]).collect();
        let (with, without) = (belongs(&NAMES, session, &rules), belongs(&rest, session, &rules));
        prop_assert!(with == without || with == NAMES[other]);
    }

    /// The order in which versions are named or found changes nothing.
    #[test]
    fn a_session_belongs_to_the_same_version_however_it_is_asked(
        session in any::<u128>(),
        weights in prop::collection::vec(1_u32..=1_000, 4),
        turn in 0_usize..4,
    ) {
        let named: Vec<_> = NAMES.into_iter().zip(weights).collect();
        let rules = weighted(&named);
        let mut turned = NAMES;
        turned.rotate_left(turn);
        prop_assert_eq!(belongs(&NAMES, session, &rules), belongs(&turned, session, &rules));
    }

    /// Who has a share is before who has none, however small the share.
    #[test]
    fn a_version_without_a_weight_gets_nothing_beside_one_with(session in any::<u128>()) {
        let rules = weighted(&[("v2", 1)]);
        prop_assert_eq!(belongs(&NAMES, session, &rules), "v2");
    }
}
