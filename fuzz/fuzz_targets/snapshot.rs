#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holdline_fuzz::run("snapshot", bytes));
