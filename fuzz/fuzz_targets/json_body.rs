#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| settee_fuzz_targets::json_body::one(input));
