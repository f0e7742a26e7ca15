//! `holdline rollout`: which version gets which calls, at run time.

use serde_json::{Map, Value, json};

use super::{
    Edge,
    table::{Table, ago, field, list},
};
use crate::{
    Failure,
    cli::{RolloutAction, RolloutArgs},
};

/// Shows or changes the rules.
pub(crate) fn rollout(args: &RolloutArgs) -> Result<(), Failure> {
    let edge = Edge::new(&args.edge)?;
    crate::commands::block_on(async {
        let rules = edge.get("/rollout").await?;
        let change = match &args.action {
            None | Some(RolloutAction::Show) => return edge.show(&rules, shown),
            Some(action) => change(action, &rules, args.pool.as_deref())?,
        };
        let answer = edge.post("/rollout", Some(change)).await?;
        let rules: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        edge.show(&rules, shown)
    })
}

/// What is to be asked for. The rules that it was made from must still be those in force.
fn change(action: &RolloutAction, rules: &Value, pool: Option<&str>) -> Result<Value, Failure> {
    let current = match (pool, list(&rules["pools"])) {
        (None, [only]) => only,
        (None, _) => {
            let words = "there are several pools: say --pool".to_owned();
            return Err(Failure::Misconfigured(words));
        }
        (Some(name), pools) => pools
            .iter()
            .find(|it| it["pool"] == *name)
            .ok_or_else(|| Failure::Refused(format!("there is no pool `{name}`")))?,
    };
    let mut change = Map::new();
    match action {
        RolloutAction::Show => {}
        RolloutAction::Weight { shares } => {
            let weights: Map<String, Value> = shares
                .iter()
                .map(|(version, share)| (version.clone(), json!(share)))
                .collect();
            change.insert("weights".to_owned(), weights.into());
        }
        RolloutAction::Pin { calls, version } => {
            let mut pins = pins(current, |pin| !is_of(pin, calls));
            let (attribute, equals) = calls;
            let pin = json!({"attribute": attribute, "equals": equals, "version": version});
            pins.insert(0, pin);
            change.insert("pins".to_owned(), pins.into());
        }
        RolloutAction::Unpin { calls } => {
            let pins = pins(current, |pin| !is_of(pin, calls));
            change.insert("pins".to_owned(), pins.into());
        }
        RolloutAction::Disable { version } => disable(&mut change, current, version),
        RolloutAction::Enable { version } => {
            let disabled = disabled(current, version);
            change.insert("disabled".to_owned(), disabled.into());
        }
        RolloutAction::Existing { when } => {
            change.insert("existing".to_owned(), json!(when));
        }
        RolloutAction::Reset => {
            change.insert("reset".to_owned(), json!(true));
        }
    }
    change.insert("pool".to_owned(), current["pool"].clone());
    change.insert("revision".to_owned(), rules["revision"].clone());
    Ok(change.into())
}

/// A version that is disabled has no share and no pin: rules that contradict each other are refused.
fn disable(change: &mut Map<String, Value>, current: &Value, version: &str) {
    let mut disabled = disabled(current, version);
    disabled.push(json!(version));
    change.insert("disabled".to_owned(), disabled.into());
    let mut weights = current["weights"].clone();
    if let Some(weights) = weights.as_object_mut() {
        weights.remove(version);
    }
    change.insert("weights".to_owned(), weights);
    let pins = pins(current, |pin| pin["version"] != *version);
    change.insert("pins".to_owned(), pins.into());
}

/// Those that are disabled, but for this one.
fn disabled(current: &Value, version: &str) -> Vec<Value> {
    let disabled = list(&current["disabled"]).iter();
    disabled.filter(|it| **it != *version).cloned().collect()
}

fn pins(current: &Value, keep: impl Fn(&Value) -> bool) -> Vec<Value> {
    let pins = list(&current["pins"]).iter();
    pins.filter(|pin| keep(pin)).cloned().collect()
}

fn is_of(pin: &Value, (attribute, equals): &(String, String)) -> bool {
    pin["attribute"] == **attribute && pin["equals"] == **equals
}

fn shown(rules: &Value) -> String {
    let mut table = Table::new(&["POOL", "RULE", "", "BY", "SINCE"]);
    for pool in list(&rules["pools"]) {
        let since = ago(&pool["since_unix_us"]);
        let mut row = |rule: &str, words: String| {
            let by = field(&pool["source"]);
            table.row(vec![
                field(&pool["pool"]),
                rule.to_owned(),
                words,
                by,
                since.clone(),
            ]);
        };
        row("existing", field(&pool["existing"]));
        for (version, share) in pool["weights"].as_object().into_iter().flatten() {
            row("weight", format!("{version}={share}"));
        }
        for pin in list(&pool["pins"]) {
            let calls = format!("{}={}", field(&pin["attribute"]), field(&pin["equals"]));
            row("pin", format!("{calls} {}", field(&pin["version"])));
        }
        for version in list(&pool["disabled"]) {
            row("disabled", field(version));
        }
    }
    table.text()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_kill_switch_leaves_no_rule_that_contradicts_it() {
        let pin = |version: &str| json!({"attribute": "a", "equals": "b", "version": version});
        let rules = json!({"revision": 7, "pools": [{
            "pool": "default", "weights": {"v1": 9, "v2": 1}, "pins": [pin("v2"), pin("v1")],
            "disabled": ["v0"],
        }]});
        let action = RolloutAction::Disable {
            version: "v2".to_owned(),
        };
        let wanted = json!({
            "pool": "default", "revision": 7, "weights": {"v1": 9}, "pins": [pin("v1")],
            "disabled": ["v0", "v2"],
        });
        assert_eq!(change(&action, &rules, None).unwrap(), wanted);
        let elsewhere = change(&action, &rules, Some("other"));
        assert!(matches!(elsewhere, Err(Failure::Refused(_))));
    }
}
