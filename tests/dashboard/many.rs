//! Two thousand calls, half of which move while somebody has the page open.

use futures_util::{StreamExt as _, stream};

use super::{TOKEN, answered, browse, two_versions};
use crate::{stage::get, support::Caller};

const CALLS: usize = 2_000;
/// That begin at once.
const AT_ONCE: usize = 16;
/// Files of this process: a socket for each call, and some.
const FILES: u64 = 4_096;

const CONFIG: &str = r#"
listeners:
  - name: callers
    address: 127.0.0.1:0
    routes: [{path: /call, profile: raw, workers: default}]
workers:
  default: {discovery: {static: {addresses: [WORKERS]}}, handoffs_per_second: 1000}
limits: {sessions: 3000, per_address: 3000}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stdout, reason = "figures, for who asks for them")]
async fn two_thousand_calls_are_listed_searched_and_moved() {
    let files = rlimit::increase_nofile_limit(FILES).unwrap();
    assert!(files >= FILES, "only {files} files may be open");
    let (edge, workers) = two_versions(CONFIG).await;
    let callers = edge.address("callers").await;
    let dialling = stream::iter(0..CALLS).map(|_| answered(callers));
    let calls: Vec<Caller> = dialling.buffer_unordered(AT_ONCE).collect().await;

    // The last of a page in the midst of the list.
    let page = get(edge.admin(), "/sessions?limit=1500").await;
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    assert_eq!(page["total"], CALLS);
    let wanted = page["sessions"][1_499]["id"].as_str().unwrap();
    let url = format!("http://{}/", edge.admin());
    let (count, worker) = (CALLS.to_string(), workers[0].address.to_string());
    let arguments = [&url, TOKEN, &count, &worker, wanted];
    print!("{}", browse("dashboard_many.mjs", &arguments).await);
    drop(calls);
}
