//! `holdline workers`, `drain`: who runs the calls, and who is to be left.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::{
    Edge, print, segment,
    table::{Table, ago, field, list, millis, number},
};
use crate::{
    Failure,
    cli::{DrainArgs, Form, WorkersArgs},
};

/// Between two looks at a worker that drains.
const LOOK: Duration = Duration::from_millis(500);

/// Lists workers.
pub(crate) fn workers(args: &WorkersArgs) -> Result<(), Failure> {
    let edge = Edge::new(&args.edge)?;
    crate::commands::block_on(async {
        let workers = edge.get("/workers").await?;
        edge.show(&workers, |workers| table(workers).text())
    })
}

/// Drains a worker, or takes that back.
pub(crate) fn drain(args: &DrainArgs) -> Result<(), Failure> {
    let edge = Edge::new(&args.edge)?;
    let word = if args.undo { "undrain" } else { "drain" };
    let path = format!("/workers/{}/{word}", segment(&args.worker));
    crate::commands::block_on(async {
        edge.report(&edge.post(&path, None).await?)?;
        if args.wait {
            watch(&edge, args).await
        } else {
            Ok(())
        }
    })
}

/// Until the worker has no call, or is not there any more.
async fn watch(edge: &Edge, args: &DrainArgs) -> Result<(), Failure> {
    let mut told = None;
    loop {
        let workers = edge.get("/workers").await?;
        let here = list(&workers)
            .iter()
            .filter(|row| row["address"] == *args.worker);
        let left: u64 = here.map(|row| number(&row["sessions"])).sum();
        if told != Some(left) && edge.form == Form::Text {
            print(format!("{left} calls are left\n").as_bytes())?;
        }
        told = Some(left);
        if left == 0 {
            return Ok(());
        }
        sleep(LOOK).await;
    }
}

/// Workers as a table.
pub(super) fn table(workers: &Value) -> Table {
    let mut table = Table::new(&[
        "POOL",
        "WORKER",
        "VERSION",
        "STATE",
        "CALLS",
        "LEFT OF",
        "DRAINS FOR",
        "OLDEST",
        "WHY",
    ]);
    for worker in list(workers) {
        let drain = &worker["drain"];
        let left = worker["left_ms"].as_u64();
        let why = match left {
            Some(left) => format!("{} ({} left)", field(&worker["detail"]), millis(left)),
            None => field(&worker["detail"]),
        };
        table.row(vec![
            field(&worker["pool"]),
            field(&worker["address"]),
            field(&worker["version"]),
            field(&worker["state"]),
            field(&worker["sessions"]),
            field(&drain["began_with"]),
            ago(&drain["since_unix_us"]),
            ago(&drain["oldest_unix_us"]),
            why,
        ]);
    }
    table
}
