//! A configuration file.

use holdline_config::Config;

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match read(text) {
        Ok(config) => {
            let effective = config.effective_yaml();
            let again = read(&effective).expect("what is in force can be read again");
            assert_eq!(config, again);
            assert_eq!(config.fingerprint(), again.fingerprint());
        }
        // Whoever wrote it is told what is wrong, and no more than fits a screen or two.
        Err(told) => assert!((1..=1 << 20).contains(&told.len())),
    }
}

fn read(text: &str) -> Result<Config, String> {
    let environment = |name: &str| Some(format!("value of {name}"));
    Config::parse_with(text, "fuzz.yaml", &environment).map_err(|errors| errors.to_string())
}
