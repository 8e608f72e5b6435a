//! Signals.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::support::Place;

#[test]
fn ctrl_c_and_sigterm_end_it_cleanly() {
    for signal in ["INT", "TERM"] {
        let place = Place::new();
        let service = place.start();
        assert_eq!(service.get("/api/public/v1/sources", &service.token()).status, 200);
        let begin = Instant::now();
        let (status, log) = service.stop(signal);
        assert_eq!(status.code(), Some(0), "{signal}");
        assert_eq!(log, "stopping\n", "{signal}");
        assert!(begin.elapsed() < Duration::from_secs(4), "{signal}: {:?}", begin.elapsed());
    }
}

/// One connection waits for its next request, one is in the middle of a request that goes on, one
/// in the middle of a request that does not.
#[test]
fn requests_under_way_are_finished_within_reason() {
    let place = Place::new();
    let service = place.start();
    let address = service.base().strip_prefix("http://").unwrap().to_owned();
    let connect = || {
        let stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    };
    let mut idle = connect();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    idle.read_exact(&mut [0; 12]).unwrap();

    let request = |length: usize| {
        let token = service.token();
        format!(
            "POST /flows/search HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{{\"query\":"
        )
    };
    let mut slow = connect();
    slow.write_all(request(b"{\"query\":\"zebra\"}".len()).as_bytes()).unwrap();
    let mut stuck = connect();
    stuck.write_all(request(100).as_bytes()).unwrap();
    // Both must have been taken before the end begins.
    std::thread::sleep(Duration::from_millis(500));

    let finish = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        slow.write_all(b"\"zebra\"}").unwrap();
        let mut answer = String::new();
        slow.read_to_string(&mut answer).unwrap();
        answer
    });
    let (status, log) = service.stop("TERM");
    assert_eq!(status.code(), Some(0));
    assert_eq!(log, "stopping\nstopped with requests unfinished\n");
    let answer = finish.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("stripes"), "{answer}");
    assert!(TcpStream::connect(&address).is_err(), "nobody listens any more");
}
