//! Plain relays: they pass bytes between two sockets, and know nothing of frames or workers.

use std::{fs, io, net::SocketAddr, path::Path, process::Command};

use super::Ground;
use crate::proc::{Program, Role};

/// Calls that a relay is made ready for; twice as many sockets are fewer than the 20,000 descriptors
/// that a process often gets.
const MAX_CALLS: u32 = 8_192;
const MAX_SOCKETS: u32 = 2 * MAX_CALLS;

/// nginx as a relay.
///
/// # Errors
/// If it cannot be started.
pub(super) fn nginx(
    program: &Path,
    ground: &Ground,
    entry: SocketAddr,
    model: SocketAddr,
) -> io::Result<Program> {
    let folder = ground.folder.display();
    let scheme = if ground.tls.is_some() {
        "https"
    } else {
        "http"
    };
    // Everything that it would write elsewhere goes into our folder.
    let text = format!(
        "daemon off;\nworker_processes 1;\nerror_log stderr warn;\npid {folder}/nginx.pid;\n\
         events {{ worker_connections {MAX_SOCKETS}; }}\n\
         http {{\n\
         \x20 access_log off;\n\
         \x20 client_body_temp_path {folder}/nginx-body;\n\
         \x20 proxy_temp_path {folder}/nginx-proxy;\n\
         \x20 fastcgi_temp_path {folder}/nginx-fastcgi;\n\
         \x20 uwsgi_temp_path {folder}/nginx-uwsgi;\n\
         \x20 scgi_temp_path {folder}/nginx-scgi;\n\
         \x20 server {{\n\
         \x20   listen {entry} backlog=4096;\n\
         \x20   location / {{\n\
         \x20     proxy_pass {scheme}://{model};\n\
         \x20     proxy_http_version 1.1;\n\
         \x20     proxy_set_header Upgrade $http_upgrade;\n\
         \x20     proxy_set_header Connection upgrade;\n\
         \x20     proxy_read_timeout 1h;\n\
         \x20   }}\n\
         \x20 }}\n\
         }}\n"
    );
    let file = ground.folder.join("nginx.conf");
    fs::write(&file, text)?;
    let mut command = Command::new(program);
    command.arg("-c").arg(&file).arg("-p").arg(&ground.folder);
    Program::start("nginx", command, Role::Tested, ground.cores, &ground.folder)
}

/// HAProxy as a relay.
///
/// # Errors
/// If it cannot be started.
pub(super) fn haproxy(
    program: &Path,
    ground: &Ground,
    entry: SocketAddr,
    model: SocketAddr,
) -> io::Result<Program> {
    let tls = match &ground.tls {
        None => String::new(),
        Some(tls) => format!(
            " ssl verify required verifyhost localhost ca-file {}",
            tls.ca.display()
        ),
    };
    let text = format!(
        "global\n  maxconn {MAX_CALLS}\n  nbthread 1\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n  \
         timeout tunnel 1h\n\
         frontend callers\n  bind {entry} backlog 4096\n  default_backend model\n\
         backend model\n  server model {model}{tls}\n"
    );
    let file = ground.folder.join("haproxy.cfg");
    fs::write(&file, text)?;
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(&file);
    Program::start(
        "haproxy",
        command,
        Role::Tested,
        ground.cores,
        &ground.folder,
    )
}
