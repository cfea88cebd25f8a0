//! The fault proxy before an echo server: each fault shows at the client, and healing takes effect at once.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use tendon_testkit::proxy::{Fault, Proxy};

/// An echo server; tells every piece that it received. Ends with the test's process.
fn echo() -> (u16, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, tell) = (stream.unwrap(), tell.clone());
            thread::spawn(move || {
                let mut buffer = [0; 1024];
                while let Ok(count) = stream.read(&mut buffer) {
                    if count == 0 || stream.write_all(&buffer[..count]).is_err() {
                        return;
                    }
                    let _ = tell.send(buffer[..count].to_vec());
                }
            });
        }
    });
    (port, told)
}

fn client(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(("127.0.0.1", proxy.port())).unwrap()
}

fn ask(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(text)?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_well_line_carries_everything_and_says_goodbye() {
    let (port, _told) = echo();
    let proxy = Proxy::start(port);
    let mut stream = client(&proxy);
    let long: Vec<u8> = (0..200_000u32).map(|at| at.to_le_bytes()[0]).collect();
    let mut writer = stream.try_clone().unwrap();
    let sent = long.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    assert!(back == long);
    assert_eq!(proxy.accepted(), 1);
}

#[test]
fn silence_lasts_until_it_is_healed() {
    let (port, _told) = echo();
    let proxy = Proxy::start(port);
    let mut stream = client(&proxy);
    for fault in [Fault::HalfOpen, Fault::Latency(Duration::from_secs(3600)), Fault::Bandwidth(1)] {
        proxy.set(fault.clone());
        stream.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
        stream.write_all(b"hello").unwrap();
        let kind = stream.read(&mut [0; 9]).unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{fault:?}: {kind:?}");
        proxy.set(Fault::None);
        stream.set_read_timeout(None).unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello", "{fault:?}");
    }
    proxy.set(Fault::Latency(Duration::from_millis(1)));
    assert_eq!(ask(&mut stream, b"slow").unwrap(), b"slow");
    proxy.set(Fault::Bandwidth(1_000_000));
    assert_eq!(ask(&mut stream, b"narrow").unwrap(), b"narrow");
}

#[test]
fn garbage_is_as_long_as_the_truth_and_is_not_it() {
    let (port, _told) = echo();
    let proxy = Proxy::start(port);
    let mut stream = client(&proxy);
    proxy.set(Fault::Garbage);
    assert_ne!(ask(&mut stream, b"truth, and nothing else").unwrap(), b"truth, and nothing else");
    assert!(proxy.touched() > 0);
    proxy.set(Fault::None);
    assert_eq!(ask(&mut stream, b"truth").unwrap(), b"truth");
}

#[test]
fn a_cut_is_a_reset_at_both_ends() {
    let (port, _told) = echo();
    let proxy = Proxy::start(port);
    let mut stream = client(&proxy);
    assert_eq!(ask(&mut stream, b"here").unwrap(), b"here");
    assert_eq!((proxy.cut(), proxy.cut()), (1, 0));
    assert_eq!(stream.read(&mut [0; 9]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    proxy.set(Fault::Refuse);
    assert!(ask(&mut client(&proxy), b"refused").is_err());
    proxy.set(Fault::None);
    let (other, _told) = echo();
    proxy.aim(other);
    assert_eq!(ask(&mut client(&proxy), b"again").unwrap(), b"again");
}

#[test]
fn a_request_counts_only_after_its_mark_on_the_same_line() {
    let (port, _told) = echo();
    let proxy = Proxy::start(port);
    proxy.only_after(b"SAVEPOINT");
    let (mut writer, mut reader) = (client(&proxy), client(&proxy));
    assert_eq!(ask(&mut reader, b"SAVEPOINT before").unwrap(), b"SAVEPOINT before");
    proxy.set(Fault::CutAt { request: b"COMMIT".to_vec(), delivered: false });
    assert_eq!(ask(&mut writer, b"BEGIN; SAVE").unwrap(), b"BEGIN; SAVE");
    assert_eq!(ask(&mut writer, b"POINT one; UPDATE").unwrap(), b"POINT one; UPDATE");
    for _ in 0..2 {
        assert_eq!(ask(&mut reader, b"BEGIN; COMMIT").unwrap(), b"BEGIN; COMMIT", "it only reads");
    }
    assert_eq!((proxy.fired(), proxy.touched()), (0, 0));
    assert_eq!(ask(&mut writer, b"; COMMIT").unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(proxy.fired(), 1);
}

#[test]
fn a_line_is_cut_at_a_request_before_or_after_it_arrived() {
    for delivered in [false, true] {
        let (port, told) = echo();
        let proxy = Proxy::start(port);
        let mut stream = client(&proxy);
        proxy.set(Fault::CutAt { request: b"COMMIT".to_vec(), delivered });
        assert_eq!(ask(&mut stream, b"BEGIN; COM").unwrap(), b"BEGIN; COM");
        // The rest of the word comes in a piece of its own.
        assert_eq!(ask(&mut stream, b"MIT").unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(proxy.fired(), 1);
        assert_eq!(told.recv().unwrap(), b"BEGIN; COM");
        if delivered {
            assert_eq!(told.recv().unwrap(), b"MIT");
        }
        assert_eq!(ask(&mut client(&proxy), b"COMMIT").unwrap(), b"COMMIT", "once only");
        assert_ne!(told.recv().unwrap(), b"MIT");
    }
}
