#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| api_tokens_fuzz::leak::redactor(data));
