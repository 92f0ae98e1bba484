#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| stripe_projects_mcp::fuzzing::setup(bytes));
