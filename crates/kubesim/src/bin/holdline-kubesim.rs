//! Plays a recording to whoever watches: `holdline-kubesim LISTEN KUBECONFIG RECORDING
//! [NAME=VALUE...]`. Writes the file for KUBECONFIG, says `listening ADDRESS`, plays, and serves
//! until it is ended.

use std::{error::Error, fs, io::Write as _};

use holdline_kubesim::{Cluster, Recording};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [listen, kubeconfig, recording, values @ ..] = arguments.as_slice() else {
        return Err("usage: holdline-kubesim LISTEN KUBECONFIG RECORDING [NAME=VALUE...]".into());
    };
    let values: Vec<_> = values.iter().filter_map(|it| it.split_once('=')).collect();
    let recording = Recording::read(&fs::read_to_string(recording)?, &values)?;
    let cluster = Cluster::start_at(listen.parse()?).await?;
    fs::write(kubeconfig, cluster.kubeconfig("voice", None))?;
    writeln!(std::io::stdout(), "listening {}", cluster.address())?;
    recording.play(&cluster).await;
    std::future::pending().await
}
