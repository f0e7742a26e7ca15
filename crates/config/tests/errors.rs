//! Bad files and exactly what is said of them: every error, each with its place.
#![allow(clippy::unwrap_used)]

use holdline_config::{Config, ConfigErrors};

/// The least that is valid; lines are counted from 1.
const GOOD: &str = "\
listeners:
  - name: main
    address: 127.0.0.1:0
    routes:
      - path: /raw
        profile: raw
        workers: pool
workers:
  pool:
    discovery: {static: {addresses: [\"127.0.0.1:50051\"]}}
";

fn read(text: &str) -> Result<Config, ConfigErrors> {
    let environment = |name: &str| match name {
        "TOKEN" => Some("a-token\n".to_owned()),
        "EMPTY" => Some("\n".to_owned()),
        "LINES" => Some("one\ntwo".to_owned()),
        _ => None,
    };
    Config::parse_with(text, "test.yaml", &environment)
}

/// Asserts that `text` is refused with these errors and no others.
#[track_caller]
fn refuses(text: &str, expected: &[&str]) {
    let errors = read(text).expect_err("must be refused");
    let told: Vec<_> = errors.errors().iter().map(ToString::to_string).collect();
    assert_eq!(told, expected, "\n{errors}\n");
}

fn with(extra: &str) -> String {
    format!("{GOOD}{extra}")
}

fn with_route(extra: &str) -> String {
    GOOD.replace(
        "        workers: pool\n",
        &format!("        workers: pool\n{extra}"),
    )
}

fn with_upstream(keys: &str) -> String {
    with(&format!("upstreams:\n  up:\n    profile: raw\n{keys}"))
}

#[test]
fn the_least_is_valid() {
    read(GOOD).unwrap();
    let upstream = with_upstream("    url: ws://localhost:9000/x?y=z\n");
    read(&upstream).unwrap();
}

#[test]
fn a_collector_of_spans() {
    read(&with(
        "tracing: {endpoint: \"https://c:4317/\", headers: {x-tenant_1: {env: TOKEN}}}\n",
    ))
    .unwrap();
    refuses(
        &with(
            "tracing: {endpoint: \"http://c:4318/v1/traces\", headers: {X-Tenant: {env: TOKEN}, te: {env: TOKEN}, a-bin: {env: TOKEN}}}\n",
        ),
        &[
            "11:21: tracing.endpoint: has a path, which OTLP over gRPC has not: write it such as http://collector:4317",
            "11:58: tracing.headers.X-Tenant: `X-Tenant` is no name of a gRPC header: use small letters, digits, `_`, `.` or `-`",
            "11:82: tracing.headers.te: cannot be set here: gRPC decides it",
            "11:100: tracing.headers.a-bin: cannot be set here: `-bin` is for binary values",
        ],
    );
    refuses(
        &with("tracing: {endpoint: \"collector:4317\"}\n"),
        &["11:21: tracing.endpoint: `collector:4317` must begin with http:// or https://"],
    );
}

#[test]
fn nothing_at_all() {
    let missing = [
        "1:1: lacks `listeners`: where callers' WebSockets arrive",
        "1:1: lacks `workers`: pools of workers, by name",
    ];
    refuses("", &missing);
    refuses("{}", &missing);
    for blank in ["# only a comment\n", "---\n", "~", "listeners:\nworkers:\n"] {
        assert_eq!(read(blank).unwrap_err().errors().len(), 2, "{blank}");
    }
}

#[test]
fn not_a_map() {
    let right = "`listeners`, `upstreams`, `workers`, `session`, `drain`, `limits`, `admin`, `kubernetes`, `log`, `tracing`";
    refuses(
        "hello",
        &[&format!("1:1: must be a map of {right}, not text")],
    );
    refuses(
        "- a",
        &[&format!("1:1: must be a map of {right}, not a list")],
    );
}

#[test]
fn all_errors_are_told_together() {
    let text = "\
listeners:
  - nam: main
    address: localhost:8080
    max_connections: many
    routes:
      - path: raw
        profile: twillio
        max_frame: 65536
        idle_timeout: 60
        workers: pol
workers:
  pool:
    discovery: {}
    keepalive: {interval: 2 seconds, timeout: 2sec}
drain: {notice: 2h}
";
    refuses(
        text,
        &[
            "2:5: listeners[0].nam: is unknown: did you mean `name`?",
            "2:5: listeners[0]: lacks `name`: name of this listener in logs; unique",
            "3:14: listeners[0].address: `localhost:8080` is no address: write an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080",
            "4:22: listeners[0].max_connections: is text: it must be a whole number from 1 to 4294967295",
            "6:15: listeners[0].routes[0].path: `raw` must begin with `/`",
            "7:18: listeners[0].routes[0].profile: `twillio` is unknown: did you mean `twilio`?",
            "8:20: listeners[0].routes[0].max_frame: 65536 has no unit: write 65536B, 65536KiB, 65536MiB, 65536GiB",
            "9:23: listeners[0].routes[0].idle_timeout: 60 has no unit: write 60us, 60ms, 60s, 60m, 60h",
            "10:18: listeners[0].routes[0].workers: `pol` is not in `workers`: did you mean `pool`?",
            "13:16: workers.pool.discovery: must be one of {static: {addresses: [...]}}, {dns: {name: ..., port: ...}} and {kubernetes: {service: ...}}",
            "14:27: workers.pool.keepalive.interval: `2 seconds`: did you mean 2s?",
            "14:47: workers.pool.keepalive.timeout: `2sec`: did you mean 2s?",
            "15:17: drain.notice: `notice` must not be longer than `deadline`",
        ],
    );
}

#[test]
fn keys() {
    refuses(
        &with("drain: {notice: 1s, notice: 2s}\n"),
        &["11:21: drain.notice: stands here twice: keep one"],
    );
    refuses(
        &with("upstream: {}\n"),
        &["11:1: upstream: is unknown: did you mean `upstreams`?"],
    );
    refuses(
        &with("limits: {cpu: 3}\n"),
        &[
            "11:10: limits.cpu: is unknown: known here are `sessions`, `handshakes`, `per_address`, `threads`",
        ],
    );
    refuses(
        &with("limits: {<<: {sessions: 1}, 1: 2, [a]: b, \"a b\": 1}\n"),
        &[
            "11:10: limits[\"<<\"]: is unknown: known here are `sessions`, `handshakes`, `per_address`, `threads`",
            "11:29: limits.1: is unknown: known here are `sessions`, `handshakes`, `per_address`, `threads`",
            "11:35: limits[\"(a list)\"]: is unknown: known here are `sessions`, `handshakes`, `per_address`, `threads`",
            "11:43: limits[\"a b\"]: is unknown: known here are `sessions`, `handshakes`, `per_address`, `threads`",
        ],
    );
    refuses(
        &with("upstreams:\n  \"a b\": {profile: raw, url: \"ws://h/\"}\n"),
        &[
            "12:3: upstreams[\"a b\"]: `a b` is no name: use 1 to 63 letters, digits, `_`, `-` or `.`, beginning with a letter or digit",
        ],
    );
}

#[test]
fn amounts() {
    let log = |value: &str| with(&format!("session:\n  log: {{bytes: {value}}}\n"));
    read(&log("8 MiB")).unwrap();
    let at = "12:16: session.log.bytes:";
    for (value, said) in [
        ("8MB", "`8MB`: did you mean 8MiB?"),
        ("8m", "`8m`: did you mean 8MiB?"),
        ("\"8\"", "`8` has no unit: add one of B, KiB, MiB, GiB"),
        (
            "8 apples",
            "`8 apples` has an unknown unit: use one of B, KiB, MiB, GiB",
        ),
        (
            "1.5MiB",
            "`1.5MiB` is not a size such as 256B, 64KiB or 4MiB, a whole number with its unit",
        ),
        (
            "-5KiB",
            "`-5KiB` is not a size such as 256B, 64KiB or 4MiB, a whole number with its unit",
        ),
        (
            "99999999999999999999B",
            "`99999999999999999999B` is too large",
        ),
        ("99999999999999GiB", "`99999999999999GiB` is too large"),
        (
            ".nan",
            "must be a size such as 256B, 64KiB or 4MiB, not a number",
        ),
        (
            "[]",
            "must be a size such as 256B, 64KiB or 4MiB, not a list",
        ),
        (
            "",
            "must be a size such as 256B, 64KiB or 4MiB, not nothing",
        ),
        (
            "off",
            "`off` is not a size such as 256B, 64KiB or 4MiB, a whole number with its unit",
        ),
        ("2GiB", "2GiB is out of range: it must be 1B to 1GiB"),
    ] {
        let told = read(&log(value)).expect_err(value);
        let told = told.errors()[0].message.clone();
        assert_eq!(told, said, "{value}");
    }
    refuses(&log("8MB"), &[&format!("{at} `8MB`: did you mean 8MiB?")]);
    refuses(
        &with("drain: {deadline: 0, notice: 0s, lame_duck: 90000s}\n"),
        &[
            "11:19: drain.deadline: 0 has no unit: write 0us, 0ms, 0s, 0m, 0h",
            "11:45: drain.lame_duck: 25h is out of range: it must be 0s to 24h",
        ],
    );
    refuses(
        &with("session: {offer_timeout: 0s}\n"),
        &["11:26: session.offer_timeout: 0s is out of range: it must be 1ms to 720h"],
    );
}

#[test]
fn numbers_and_switches() {
    refuses(
        &with("limits: {sessions: 0, handshakes: -1}\n"),
        &[
            "11:20: limits.sessions: 0 is out of range: it must be a whole number from 1 to 4294967295",
            "11:35: limits.handshakes: -1 will not do: it must be a whole number from 1 to 4294967295",
        ],
    );
    refuses(
        &with("session: {legs: \"4\", log: {pause_percent: .NaN}}\nlog: {content: yes}\n"),
        &[
            "11:17: session.legs: is text: write 4 without quotes",
            "11:43: session.log.pause_percent: NaN will not do: it must be a whole number from 1 to 100",
            "12:16: log.content: must be true or false, not text",
        ],
    );
}

#[test]
fn references_and_names() {
    refuses(
        &with_route(
            "        legs: [{name: caller, upstream: x}, {name: m, upstream: x}, {name: m, upstream: x}]\n",
        ),
        &[
            "8:23: listeners[0].routes[0].legs[0].name: `caller` is the name of the inbound leg: choose another",
            "8:41: listeners[0].routes[0].legs[0].upstream: `x` is unknown: there are no `upstreams`",
            "8:65: listeners[0].routes[0].legs[1].upstream: `x` is unknown: there are no `upstreams`",
            "8:76: listeners[0].routes[0].legs[2].name: `m` is taken by listeners[0].routes[0].legs[1]: each must be unique",
            "8:89: listeners[0].routes[0].legs[2].upstream: `x` is unknown: there are no `upstreams`",
        ],
    );
    let twice = GOOD.replace(
        "workers:\n  pool",
        "  - {name: main, address: \"127.0.0.1:9090\", routes: []}\nworkers:\n  pool",
    );
    refuses(
        &twice,
        &[
            "8:12: listeners[1].name: `main` is taken by listeners[0]: each must be unique",
            "8:27: listeners[1].address: `admin` listens on 127.0.0.1:9090 already",
            "8:53: listeners[1].routes: has 0 elements: it must have 1 to 256",
        ],
    );
}

#[test]
fn limits_agree_with_each_other() {
    refuses(
        &with_route(
            "        max_frame: 1MiB\nsession: {legs: 1, log: {bytes: 512KiB}, seek: {min: 1s}, state: {value_bytes: 2MiB}}\n",
        ),
        &[
            "8:20: listeners[0].routes[0].max_frame: 1MiB is more than `session.log.bytes` (512KiB), which must hold at least one frame",
            "9:10: session: `window.bytes` (1MiB) must not exceed `log.bytes` (512KiB), which is all that can be replayed",
            "9:54: session.seek.min: `min` must not be longer than `max`",
            "9:80: session.state.value_bytes: `value_bytes` (2MiB) must not exceed `bytes` (1MiB)",
        ],
    );
}

#[test]
fn upstreams() {
    refuses(
        &with_upstream("    url: https://api.openai.com/\n    ca: /does/not/exist.pem\n"),
        &[
            "14:10: upstreams.up.url: `https://api.openai.com/` must begin with wss:// or ws://",
            "15:9: upstreams.up.ca: /does/not/exist.pem cannot be read: No such file or directory (os error 2)",
        ],
    );
    refuses(
        &with(
            "upstreams: {up: {profile: openai-realtime, url: \"wss://me:secret@host/\", headers: {Authorization: x, OpenAI-Beta: y, \"a b\": z, X-Ok: ü}}}\n",
        ),
        &[
            "11:17: upstreams.up: lacks `api_key`: OpenAI refuses to talk without; write `api_key: {env: OPENAI_API_KEY}`, or `api_key: off` where something in front adds it",
            "11:49: upstreams.up.url: names a user: write wss://HOST/PATH",
            "11:84: upstreams.up.headers.Authorization: cannot be set here: use `api_key`",
            "11:102: upstreams.up.headers.OpenAI-Beta: cannot be set here: the Realtime API refuses the beta header (close 4000)",
            "11:118: upstreams.up.headers[\"a b\"]: `a b` is no name of a header",
            "11:134: upstreams.up.headers.X-Ok: must be visible ASCII to be sent as a header",
        ],
    );
}

#[test]
fn signatures() {
    let twilio = |signature: &str| {
        GOOD.replace("profile: raw", "profile: twilio")
            .replace("workers: pool\n", &format!("workers: pool\n{signature}"))
    };
    read(&twilio("        signature: off\n")).unwrap();
    let signed = read(&twilio(
        "        signature: {public_url: \"wss://v.example.com/x\", auth_token: {env: TOKEN}}\n",
    ));
    let signed = signed.unwrap();
    let signature = signed.listeners[0].routes[0].signature.as_ref().unwrap();
    assert_eq!(signature.auth_token.expose(), "a-token");
    let missing = read(&twilio("")).expect_err("lacks signature");
    assert!(missing.to_string().starts_with(
        "test.yaml:5:9: listeners[0].routes[0]: lacks `signature`: without it anybody may place calls"
    ));
    refuses(
        &twilio(
            "        signature: {public_url: \"wss://v.example.com/x/*\", auth_token: {env: TOKEN}}\n",
        ),
        &[
            "8:33: listeners[0].routes[0].signature.public_url: must not end in `/*`: the route's path does not",
        ],
    );
    for (url, said) in [
        (
            "https://v.example.com/x",
            "`https://v.example.com/x` must begin with wss://",
        ),
        (
            "wss://v.example.com/x?y=1",
            "has a query: Twilio allows none in a stream's URL",
        ),
        (
            "wss://v.example.com",
            "has no path: write it as in TwiML, such as wss://voice.example.com/media",
        ),
        (
            "v.example.com/x",
            "`v.example.com/x` is no URL: write wss://HOST/PATH",
        ),
    ] {
        let line =
            format!("        signature: {{public_url: \"{url}\", auth_token: {{env: TOKEN}}}}\n");
        let place = "8:33: listeners[0].routes[0].signature.public_url:";
        refuses(&twilio(&line), &[&format!("{place} {said}")]);
    }
}

/// What stands where a secret's source should is never repeated: it may be the secret.
#[test]
fn secrets() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let good = write("good", b"from-file\r\n\n");
    let empty = write("empty", b"\n");
    let binary = write("binary", &[0xff, 0xfe]);
    let here = directory.path().display().to_string();
    let key = |value: &str| with_upstream(&format!("    url: ws://h/\n    api_key: {value}\n"));
    let right = "must be {env: NAME} or {file: PATH}; a secret itself has no place in this file";
    for (value, said) in [
        ("sk-1234", format!("15:14: upstreams.up.api_key: {right}")),
        ("{value: sk-1234}", format!("15:14: upstreams.up.api_key: {right}")),
        ("{env: A, file: B}", format!("15:14: upstreams.up.api_key: {right}")),
        ("{file: 1}", format!("15:14: upstreams.up.api_key: {right}")),
        ("{env: sk-1234}", "15:20: upstreams.up.api_key.env: must be the name of an environment variable: letters, digits and `_`".to_owned()),
        ("{env: UNSET}", "15:20: upstreams.up.api_key.env: the environment variable UNSET is not set".to_owned()),
        ("{env: EMPTY}", "15:20: upstreams.up.api_key.env: the environment variable EMPTY is empty".to_owned()),
        ("{env: LINES}", "15:20: upstreams.up.api_key.env: the environment variable LINES must hold the secret alone: one line of visible ASCII, no white space around it".to_owned()),
        (&format!("{{file: {here}}}"), format!("15:21: upstreams.up.api_key.file: {here} cannot be read: it is not a file")),
        (&format!("{{file: {empty}}}"), format!("15:21: upstreams.up.api_key.file: the file {empty} is empty")),
        (&format!("{{file: {binary}}}"), format!("15:21: upstreams.up.api_key.file: {binary} cannot be read: stream did not contain valid UTF-8")),
    ] {
        let told = read(&key(value)).expect_err(value);
        assert_eq!(told.to_string(), format!("test.yaml:{said}"), "{value}");
        assert!(!told.to_string().contains("1234"), "{told}");
    }
    let config = read(&key(&format!("{{file: {good}}}"))).unwrap();
    let secret = config.upstreams["up"].api_key.as_ref().unwrap();
    assert_eq!(secret.expose(), "from-file");
    assert_eq!(format!("{secret} {secret:?}"), "*** ***");
}

/// Relative names start beside the configuration.
#[test]
fn files_are_sought_beside_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("token"), "beside\n").unwrap();
    let path = directory.path().join("holdline.yaml");
    let text = with_upstream("    url: ws://h/\n    api_key: {file: token}\n");
    std::fs::write(&path, text).unwrap();
    let config = Config::load(&path).unwrap();
    assert_eq!(
        config.upstreams["up"].api_key.as_ref().unwrap().expose(),
        "beside"
    );
    let again = Config::parse(&config.effective_yaml(), "elsewhere/holdline.yaml");
    assert_eq!(again.unwrap(), config);
}

#[test]
fn a_file_that_cannot_be_read() {
    let errors = Config::load(std::path::Path::new("/does/not/exist.yaml")).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "/does/not/exist.yaml: cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn a_webhook_needs_a_token_and_a_token_a_webhook() {
    let route = |path: &str, url: &str, more: &str| {
        format!(
            "listeners:\n  - name: main\n    address: 127.0.0.1:0\n    routes:\n      \
             - path: {path}\n        profile: twilio\n        \
             signature: {{public_url: \"{url}\", auth_token: {{env: TOKEN}}}}\n        \
             workers: pool\n{more}workers:\n  pool:\n    \
             discovery: {{static: {{addresses: [\"127.0.0.1:50051\"]}}}}\n"
        )
    };
    let token = "/media/{token}";
    let url = "wss://voice.example.com/media/{token}";
    let webhook =
        "        webhook: {path: /voice, public_url: \"https://voice.example.com/voice\"}\n";
    let good = read(&route(token, url, webhook)).unwrap();
    let hook = good.listeners[0].routes[0].webhook.as_ref().unwrap();
    assert_eq!(
        (&*hook.path, &*hook.parameters),
        ("/voice", &["From".to_owned(), "To".to_owned()][..])
    );

    refuses(
        &route(token, url, ""),
        &[
            "5:15: listeners[0].routes[0].path: ends in `/{token}`, which the edge's own webhook \
           fills in: add `webhook: {path: /twilio/voice, public_url: https://...}`",
        ],
    );
    refuses(
        &route("/media", "wss://voice.example.com/media/{token}", webhook),
        &[
            "7:33: listeners[0].routes[0].signature.public_url: must not end in `/{token}`: the \
             route's path does not",
            "9:18: listeners[0].routes[0].webhook: needs a route whose path ends in `/{token}`, \
             where it puts the proof that a stream belongs to its call",
        ],
    );
    refuses(
        &route(
            token,
            url,
            "        webhook: {path: /media/*, public_url: \"http://voice.example.com/voice\", \
             fallback: {say: sorry}}\n        takeover: trust_start\n",
        ),
        &[
            "9:25: listeners[0].routes[0].webhook.path: `/media/*`: a webhook's path is exact, \
             without `*` or `{token}`",
            "9:47: listeners[0].routes[0].webhook.public_url: `http://voice.example.com/voice` \
             must begin with https://",
            "9:91: listeners[0].routes[0].webhook.fallback: must be `off`, {file: TWIML_FILE} or \
             {redirect: URL}",
            "10:19: listeners[0].routes[0].takeover: the path's `{token}` is better proof: leave \
             `takeover` out",
        ],
    );
    refuses(
        &route("/me{token}/x", "wss://voice.example.com/media", ""),
        &[
            "5:15: listeners[0].routes[0].path: `/me{token}/x`: of braces only `{token}` may stand, \
           as the last segment",
        ],
    );
}

#[test]
fn a_webhook_has_a_path_of_its_own() {
    let text = with_route("");
    let twice = text.replace(
        "workers:\n  pool",
        "      - path: /media/{token}\n        profile: twilio\n        signature: off\n        \
         workers: pool\n        webhook: {path: /raw, public_url: \"https://voice.example.com/raw\"}\n\
         workers:\n  pool",
    );
    refuses(
        &twice,
        &["12:25: listeners[0].routes[1].webhook.path: `/raw` is taken: each path must be unique"],
    );
}

#[test]
fn a_takeover_is_for_twilio() {
    refuses(
        &with_route("        takeover: trust_start\n"),
        &["8:19: listeners[0].routes[0].takeover: only a `twilio` route knows who calls"],
    );
}

#[test]
fn a_certificate_and_its_key_go_together() {
    // Whether a file holds certificates is not this crate's business, but it must be there.
    let with_tls = |tls: &str| format!("{GOOD}    tls: {tls}\n");
    read(&with_tls("{ca: Cargo.toml}")).unwrap();
    let whole =
        "{ca: Cargo.toml, certificate: Cargo.toml, key: Cargo.toml, server_name: w.example}";
    read(&with_tls(whole)).unwrap();
    refuses(
        &with_tls("{ca: Cargo.toml, certificate: Cargo.toml}"),
        &["11:40: workers.pool.tls.certificate: needs `key` beside it"],
    );
    refuses(
        &with_tls("{ca: Cargo.toml, certificate: off, key: Cargo.toml}"),
        &["11:50: workers.pool.tls.key: needs `certificate` beside it"],
    );
}
