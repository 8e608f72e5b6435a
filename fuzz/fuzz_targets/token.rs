#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|data: &[u8]| api_tokens_fuzz::token(data));

// No mutation of a token has a right checksum, so nothing behind the check would ever run. Most
// mutations are therefore sealed again; some are not, so that the check itself is tried too.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // Three of four mutate the body alone, and keep the length.
    let keeps_length = !seed.is_multiple_of(4) && size > 6;
    let size = if keeps_length {
        let body = size - 6;
        let kept = data[..body].to_vec();
        let mutated = fuzzer_mutate(data, body, body);
        data[mutated..body].copy_from_slice(&kept[mutated..]);
        size
    } else {
        fuzzer_mutate(data, size, max_size)
    };
    if !seed.is_multiple_of(8) {
        api_tokens_fuzz::reseal(&mut data[..size]);
    }
    size
});
