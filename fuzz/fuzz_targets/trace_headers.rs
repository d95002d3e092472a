#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| settee_fuzz_targets::trace_headers::one(input));
