//! Random URLs, and what Twilio's library makes of them.

use std::process::Stdio;

use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::support::{soon, tool, workspace};

/// Signs URLs with Twilio's own library.
pub(crate) async fn sign(token: &str, urls: &[String]) -> Vec<String> {
    let mut signer = Command::new(tool("python"))
        .arg(workspace().join("tests/tools/twilio/sign.py"))
        .arg(token)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = urls.join("\n");
    lines.push('\n');
    let mut input = signer.stdin.take().unwrap();
    input.write_all(lines.as_bytes()).await.unwrap();
    drop(input);
    let output = soon("Twilio's library", signer.wait_with_output())
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "is `twilio` installed? `tests/run` does it"
    );
    let signatures = String::from_utf8(output.stdout).unwrap();
    let signatures: Vec<_> = signatures.lines().map(str::to_owned).collect();
    assert_eq!(signatures.len(), urls.len());
    signatures
}

/// The same URLs at every run (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % bound
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn word(&mut self, pieces: &[&str], longest: usize) -> String {
        let length = 1 + self.below(longest);
        (0..length).map(|_| self.pick(pieces)).collect()
    }

    /// A public URL that ends in `/*`.
    pub(crate) fn prefix(&mut self) -> String {
        let label = ["a", "B", "c3", "x-9", "voice", "Edge"];
        let host = self.word(&label, 3);
        let domain = self.pick(&["example.com", "Example.TEST", "eu.example.org"]);
        let port = self.pick(&["", "", ":443", ":8443"]);
        let path = self.word(&["/twilio", "/m", "/v1", "/media-stream", "/A.b_c~d"], 3);
        format!("wss://{host}.{domain}{port}{path}/*")
    }

    /// What stands in its place on the wire.
    pub(crate) fn rest(&mut self) -> String {
        let pieces = [
            "a", "Z", "7", "-", "_", ".", "~", "/", "%C3%A9", "%20", "%2F", "+", "=", "@", "!",
            "(", ")", ":", ",", ";", "&", "'", "*", "$",
        ];
        self.word(&pieces, 24)
    }
}
