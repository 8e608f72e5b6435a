#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| api_tokens_fuzz::reports_by_one_route(data));
