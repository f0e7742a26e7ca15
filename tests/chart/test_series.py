"""Dashboard and alerts ask for what there is: a name or a label that the edge does not have would be a panel
that stays empty and an alert that never comes. What there is stands in docs/metrics.md, which is made from
the code."""

import json
import re
import unittest

import promql_parser as promql
import yaml

from charts import CHART, HERE, PROJECT

# Labels that Prometheus adds when it scrapes.
TARGET = {"namespace", "job", "instance"}
RUNBOOKS = PROJECT / "docs/runbooks"
SECTIONS = ("What it means", "What callers hear", "What to look at", "What to do")

# Shown by the dashboard's variables, or told better by what stands beside them.
NOT_ON_THE_DASHBOARD = {
    "holdline_attachments_total", "holdline_build_info", "holdline_config_info",
    "holdline_discovery_failures_total", "holdline_drain_deadline_timestamp_seconds", "holdline_listener_handshakes",
    "holdline_pod_deletion_cost_writes_total", "holdline_sessions_active",
    "holdline_spans_total", "holdline_start_time_seconds", "holdline_upgrades_accepted_total", "holdline_worker_connections_total",
}


def catalogue():
    """By name: (kind, {label: its values, or None where they are not known beforehand})."""
    page = (PROJECT / "docs/metrics.md").read_text()
    metrics = {}
    for name, kind, cell in re.findall(r"^\| `(holdline_\w+)` \| (\w+), [^|]+ \| ([^|]*) \|", page, re.MULTILINE):
        labels = {}
        for told in filter(None, cell.strip().split("<br>")):
            label, values = re.fullmatch(r"`(\w+)`: (.*)", told).groups()
            labels[label] = set(re.findall(r"`([^`]+)`", values)) if values.startswith("`") else None
        metrics[name] = (kind, labels)
    return metrics


METRICS = catalogue()
ALERTS = yaml.safe_load((CHART / "files/alerts.yaml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((CHART / "files/dashboard.json").read_text())


def metric(series):
    """Labels of a series and their values."""
    for suffix in ("", "_bucket", "_sum", "_count"):
        kind, labels = METRICS.get(series.removesuffix(suffix) if suffix else series, (None, {}))
        if kind and series.endswith(suffix) and (kind == "histogram") == bool(suffix):
            return labels | ({"le": None} if suffix == "_bucket" else {})
    raise AssertionError(f"no metric {series}")


def of_series(selector):
    if selector.name == "up":
        return TARGET
    labels = metric(selector.name)
    for name, value, operator in ((it.name, it.value, str(it.op)) for it in selector.matchers.matchers):
        if name in TARGET:
            continue
        if name not in labels:
            raise AssertionError(f"{selector.name} has no label {name}")
        values = value.split("|") if "Re" in operator else [value]
        if labels[name] is not None and not set(values) <= labels[name]:
            raise AssertionError(f"{name} of {selector.name} cannot be {value}")
    return TARGET | set(labels)


def labels_of(expression):
    """The labels that what an expression gives can have. Fails at what the edge does not have."""
    match type(expression).__name__:
        case "VectorSelector":
            return of_series(expression)
        case "MatrixSelector":
            return of_series(expression.vector_selector)
        case "NumberLiteral" | "StringLiteral":
            return set()
        case "Call":
            labels = set().union(*map(labels_of, expression.args))
            if expression.func.name == "histogram_quantile":
                labels.remove("le")
            return labels
        case "AggregateExpr":
            inner = labels_of(expression.expr)
            by = set(expression.modifier.labels) if expression.modifier else set()
            if not by <= inner:
                raise AssertionError(f"{expression} has no label {by - inner}")
            return by
        case "BinaryExpr":
            return labels_of(expression.lhs) | labels_of(expression.rhs)
        case "ParenExpr" | "UnaryExpr":
            return labels_of(expression.expr)
    raise AssertionError(f"not known here: {type(expression).__name__}")


def parsed(query):
    """As the chart and Grafana fill it in."""
    for mark, text in {"@metrics@": 'job="j"', "@max_sessions@": "500", "$__rate_interval": "1m", "$__range": "1h"}.items():
        query = query.replace(mark, text)
    return promql.parse(query)


def queries():
    """(query, what its legend shows) of the dashboard."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"], target["legendFormat"]
    for note in DASHBOARD["annotations"]["list"]:
        yield note["expr"], note["textFormat"]


class Series(unittest.TestCase):
    def test_the_page_of_metrics_is_read_whole(self):
        self.assertGreaterEqual(len(METRICS), 60)
        self.assertEqual(METRICS["holdline_handoff_gap_seconds"][0], "histogram")
        self.assertIn("ready", METRICS["holdline_workers"][1]["state"])
        self.assertIsNone(METRICS["holdline_workers"][1]["version"])

    def test_every_series_of_the_dashboard_is_there(self):
        for query, legend in queries():
            with self.subTest(query):
                labels = labels_of(parsed(query))
                self.assertLessEqual(set(re.findall(r"\{\{(\w+)\}\}", legend)), labels)

    def test_every_series_of_the_alerts_is_there(self):
        for alert in ALERTS:
            with self.subTest(alert["alert"]):
                labels = labels_of(parsed(alert["expr"]))
                used = re.findall(r"\$labels\.(\w+)", json.dumps(alert["annotations"]))
                self.assertLessEqual(set(used), labels)

    def test_every_metric_is_on_the_dashboard(self):
        shown = " ".join(query for query, _ in queries())
        unseen = {name for name in METRICS if name not in shown}
        self.assertEqual(unseen, NOT_ON_THE_DASHBOARD)

    def test_what_is_not_there_is_found(self):
        for query in (
            "sum(rate(holdline_session_total[5m]))",
            'sum by (instance) (holdline_workers{state=~"ready|redy"})',
            'holdline_sessions{fault="edge"}',
            "sum by (version) (holdline_sessions)",
            "holdline_handoff_gap_seconds",
            "sum(holdline_sessions_active_sum)",
        ):
            with self.subTest(query), self.assertRaises(AssertionError):
                labels_of(parsed(query))


class Alerts(unittest.TestCase):
    def test_each_alert_has_its_runbook(self):
        index = (RUNBOOKS / "README.md").read_text()
        for alert in ALERTS:
            name, severity = alert["alert"], alert["labels"]["severity"]
            with self.subTest(name):
                page = (RUNBOOKS / f"{name}.md").read_text()
                self.assertTrue(page.startswith(f"# {name}\n\nSeverity: {severity}.\n"), page[:80])
                self.assertEqual(tuple(re.findall(r"^## (.+)$", page, re.MULTILINE)), SECTIONS)
                self.assertIn(f"| [{name}]({name}.md) | {severity} |", index)
                self.assertEqual(alert["annotations"]["runbook_url"], f"@runbooks@/{name}.md")
        pages = {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"}
        self.assertEqual(pages, {alert["alert"] for alert in ALERTS})

    def test_links_of_the_runbooks_lead_somewhere(self):
        for page in RUNBOOKS.glob("*.md"):
            for link in re.findall(r"\]\(([^)#:]+)", page.read_text()):
                self.assertTrue((RUNBOOKS / link).exists(), f"{page.name}: {link}")

    def test_each_alert_is_tried_both_ways(self):
        tests = yaml.safe_load((HERE / "alerts.yaml").read_text())["tests"]
        tried = {(it["alertname"], bool(it["exp_alerts"])) for test in tests for it in test.get("alert_rule_test", [])}
        for alert in ALERTS:
            for comes in (True, False):
                self.assertIn((alert["alert"], comes), tried)


class Dashboard(unittest.TestCase):
    def test_nothing_lies_on_something_else(self):
        ids, cells = set(), set()
        for panel in DASHBOARD["panels"]:
            self.assertNotIn(panel["id"], ids)
            ids.add(panel["id"])
            at = panel["gridPos"]
            for cell in ((at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])):
                self.assertLess(cell[0], 24, panel["title"])
                self.assertNotIn(cell, cells, panel["title"])
                cells.add(cell)

    def test_every_query_asks_for_the_chosen_edges_alone(self):
        for query, _ in queries():
            selectors = query.count("holdline_")
            for variable in ("$namespace", "$job", "$instance"):
                self.assertEqual(query.count(variable), selectors, query)


if __name__ == "__main__":
    unittest.main()
