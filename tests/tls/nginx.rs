//! nginx in front of an edge, with a folder of its own; needs no rights.

use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::sleep,
};

use super::certificates::{CHAIN, Issued, KEY};
use crate::{stage::Place, support::soon};

/// The address from which it speaks to the edge.
pub(crate) const SOURCE: &str = "127.0.0.9";

/// Debian's place for it is not in everybody's `PATH`.
const PROGRAMS: [&str; 2] = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"];

/// A running nginx; killed when dropped.
pub(crate) struct Nginx {
    child: Child,
    _place: Place,
    _folder: TempDir,
}

impl Nginx {
    /// Terminates TLS at `place`, and hands everything on to `edge`.
    pub(crate) async fn start(place: Place, certificate: &Issued, edge: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certificate.put(folder.path());
        let config = folder.path().join("nginx.conf");
        std::fs::write(&config, file(folder.path(), place.address, edge)).unwrap();
        let program = PROGRAMS.into_iter().find(|path| Path::new(path).exists());
        let mut child = Command::new(program.unwrap_or("nginx"))
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("nginx cannot be run ({error}): `tests/run` installs it, Debian has it too")
            });
        let serving = async {
            while TcpStream::connect(place.address).await.is_err() {
                assert!(child.try_wait().unwrap().is_none(), "nginx ended at once");
                sleep(Duration::from_millis(20)).await;
            }
        };
        soon("nginx to listen", serving).await;
        Self {
            child,
            _place: place,
            _folder: folder,
        }
    }

    /// Ends it by its pid.
    pub(crate) async fn end(mut self) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
        let status = soon("nginx to end", self.child.wait()).await.unwrap();
        assert!(status.success(), "{status}");
    }
}

/// One process in the foreground, so that its pid is the child's.
fn file(folder: &Path, listen: SocketAddr, edge: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        r#"
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen {listen} ssl;
    ssl_certificate {folder}/{CHAIN};
    ssl_certificate_key {folder}/{KEY};
    location / {{
      proxy_pass http://{edge};
      proxy_bind {SOURCE};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_read_timeout 1h;
    }}
  }}
}}
"#
    )
}
