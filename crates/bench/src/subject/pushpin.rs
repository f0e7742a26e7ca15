//! Pushpin: a proxy that holds callers' sockets while backends come and go. It is several processes
//! on queues between them, and all of them are measured together.

use std::{fs, io, net::SocketAddr, path::Path, process::Command};

use super::Ground;
use crate::proc::{Program, Role};

/// Pushpin, passing WebSockets through.
///
/// # Errors
/// If it cannot be started.
pub(super) fn pushpin(
    program: &Path,
    ground: &Ground,
    entry: SocketAddr,
    model: SocketAddr,
) -> io::Result<Program> {
    let folder = ground.folder.display();
    let routes = ground.folder.join("pushpin-routes");
    fs::write(&routes, format!("* {model}\n"))?;
    // The queues to zurl, which dials backends, are in the system's folder where nothing is said.
    let text = format!(
        "[global]\ninclude={{libdir}}/internal.conf\nrundir={folder}\nipc_prefix=pp-\n\
         port_offset=0\nstats_connection_ttl=120\n\
         [runner]\nservices=condure,zurl,pushpin-proxy,pushpin-handler\nhttp_port={entry}\n\
         logdir={folder}\nlog_level=0\nclient_buffer_size=8192\nclient_maxconn=8192\n\
         condure_bin=condure\nzurl_bin=zurl\n\
         [proxy]\nroutesfile={}\n\
         zurl_out_specs=ipc://{folder}/pp-zurl-in\n\
         zurl_out_stream_specs=ipc://{folder}/pp-zurl-in-stream\n\
         zurl_in_specs=ipc://{folder}/pp-zurl-out\n\
         [handler]\npush_in_spec=\n\
         stats_spec=ipc://{folder}/pp-stats\ncommand_spec=ipc://{folder}/pp-command\n",
        routes.display()
    );
    let file = ground.folder.join("pushpin.conf");
    fs::write(&file, text)?;
    let mut command = Command::new(program);
    command.arg("--config").arg(&file).arg("--merge-output");
    Program::start(
        "pushpin",
        command,
        Role::Tested,
        ground.cores,
        &ground.folder,
    )
}
