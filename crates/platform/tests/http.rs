//! The outgoing client against servers that we did not write (Python's `http.server` and `ssl`), and against peers that stall,
//! break off and talk nonsense.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::Command,
    sync::Arc,
    time::Duration,
};

use tendon_kernel::{
    Error, ErrorKind,
    context::{Context, Deadline},
    sockets::http::{HttpClient as _, HttpRequest, HttpResponse, Method},
};
use tendon_platform::OutgoingHttp;
use tendon_testkit::{
    certs::{Authority, Wanted},
    peer::{Peer, python},
};

/// Echoes what came as JSON, with the number of the connection; a few paths misbehave.
const SERVER: &str = r#"
import http.server, json, ssl, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def setup(self):
        self.server.count += 1
        self.number = self.server.count
        super().setup()
    def reply(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            return self.end_headers()
        if self.path == "/endless":
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            try:
                while True: self.wfile.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            except OSError:
                self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        text = json.dumps({"method": self.command, "path": self.path, "headers": headers,
            "body": body.decode(), "connection": self.number}).encode()
        self.send_response(503 if self.path == "/busy" else 200)
        if self.path == "/busy": self.send_header("retry-after", "3")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(text)
    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = reply
    def log_message(self, *args): pass
class Server(http.server.ThreadingHTTPServer):
    count = 0
    def get_request(self):
        sock, address = super().get_request()
        return (tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False) if tls else sock), address
    def handle_error(self, *args): pass
tls = None
if len(sys.argv) > 1:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[1], sys.argv[2])
server = Server(("127.0.0.1", 0), Handler)
print(f"PORT {server.server_port}", flush=True)
server.serve_forever()
"#;

struct Bench {
    context: Context,
    http: OutgoingHttp,
    _folder: tempfile::TempDir,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let context = tendon_platform::context(folder.path()).unwrap();
    let http = OutgoingHttp::new(Arc::clone(&context.clock));
    Bench { context, http, _folder: folder }
}

impl Bench {
    fn request(&self, method: Method, url: &str) -> HttpRequest {
        HttpRequest::new(method, url, self.context.deadline_in(Duration::from_secs(20)))
    }

    async fn get(&self, url: &str) -> Result<HttpResponse, Error> {
        self.http.send(self.request(Method::Get, url)).await
    }
}

fn serve(pair: Option<(&Path, &Path)>) -> (Peer, String) {
    let mut command = Command::new(python());
    command.arg("-c").arg(SERVER);
    if let Some((certificate, key)) = pair {
        command.arg(certificate).arg(key);
    }
    let mut peer = Peer::start(command);
    let port = peer.wait_for("PORT ");
    (peer, port)
}

fn echo(answer: &HttpResponse) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

#[tokio::test]
async fn requests_arrive_as_written_and_connections_are_kept() {
    let (bench, (_peer, port)) = (bench(), serve(None));
    let url = format!("http://127.0.0.1:{port}/a/b?c=d%20e");
    let post = bench.request(Method::Post, &url).header("x-one", "1").body("{\"a\":1}");
    let answer = bench.http.send(post).await.unwrap();
    let text = echo(&answer);
    assert!(answer.ok() && answer.header("content-length").is_some(), "{answer:?}");
    for part in [
        "\"method\": \"POST\"",
        "\"path\": \"/a/b?c=d%20e\"",
        "\"x-one\": \"1\"",
        "{\\\"a\\\":1}",
        "\"user-agent\": \"tendon/",
        "\"content-length\": \"7\"",
        "\"connection\": 1}",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    for (method, name) in
        [(Method::Get, "GET"), (Method::Put, "PUT"), (Method::Patch, "PATCH"), (Method::Delete, "DELETE")]
    {
        let text = echo(&bench.http.send(bench.request(method, &url)).await.unwrap());
        assert!(text.contains(&format!("\"method\": \"{name}\"")) && text.contains("\"connection\": 1}"), "{text}");
    }
    let mut head = bench.request(Method::Head, &url);
    head.max_response = 1;
    assert_eq!(bench.http.send(head).await.unwrap().body, b"");
}

#[tokio::test]
async fn statuses_are_answers_and_redirects_are_not_followed() {
    let (bench, (_peer, port)) = (bench(), serve(None));
    let moved = bench.get(&format!("http://127.0.0.1:{port}/moved")).await.unwrap();
    assert_eq!((moved.status, moved.header("location")), (302, Some("/elsewhere")));
    let busy = bench.get(&format!("http://127.0.0.1:{port}/busy")).await.unwrap();
    assert!(busy.status == 503 && busy.retryable());
    assert_eq!(busy.retry_after(), Some(Duration::from_secs(3)));
}

#[tokio::test]
async fn answers_beyond_the_limit_are_refused_whether_announced_or_endless() {
    let (bench, (_peer, port)) = (bench(), serve(None));
    for path in ["long", "endless"] {
        let mut request = bench.request(Method::Get, &format!("http://127.0.0.1:{port}/{path}"));
        request.max_response = 20;
        let error = bench.http.send(request).await.unwrap_err();
        assert_eq!((error.code(), error.retryable()), ("http_too_large", false), "{path}");
    }
}

#[tokio::test]
async fn addresses_and_headers_that_cannot_be_are_refused_before_anything_is_sent() {
    let bench = bench();
    for url in ["", "nowhere", "ftp://a/b", "http://", "https://me:s3cret@127.0.0.1/", "http://a b/"] {
        let error = bench.get(url).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "http_address"), "{url}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
    let request = bench.request(Method::Get, "http://127.0.0.1:1/").header("x", "a\r\nb: c");
    assert_eq!(bench.http.send(request).await.unwrap_err().code(), "http_address");
}

/// A peer that does this with its first connection.
fn peer(act: impl FnOnce(std::net::TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || act(listener.accept().unwrap().0));
    address.to_string()
}

#[tokio::test]
async fn peers_that_stall_break_off_or_talk_nonsense_are_told_apart() {
    let bench = bench();
    let closed = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let error = bench.get(&format!("http://{closed}/")).await.unwrap_err();
    assert_eq!((error.code(), error.retryable()), ("http_unreachable", true));

    let cut = peer(|mut stream| {
        let mut head = [0; 16];
        stream.read_exact(&mut head).unwrap();
    });
    let error = bench.get(&format!("http://{cut}/")).await.unwrap_err();
    assert_eq!((error.code(), error.retryable()), ("http_broken", true));

    let half = peer(|mut stream| {
        let mut head = [0; 16];
        stream.read_exact(&mut head).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this").unwrap();
    });
    assert_eq!(bench.get(&format!("http://{half}/")).await.unwrap_err().code(), "http_broken");

    let nonsense = peer(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n");
        let _ = stream.read(&mut [0; 1024]);
    });
    assert_eq!(bench.get(&format!("http://{nonsense}/")).await.unwrap_err().code(), "http_broken");

    let (release, held) = std::sync::mpsc::channel::<()>();
    let silent = peer(move |_stream| {
        let _ = held.recv();
    });
    let mut request = bench.request(Method::Get, &format!("http://{silent}/"));
    request.deadline = bench.context.deadline_in(Duration::from_millis(100));
    let error = bench.http.send(request.clone()).await.unwrap_err();
    assert_eq!((error.kind(), error.code(), error.retryable()), (ErrorKind::Timeout, "http_timeout", true));
    request.deadline = Deadline(Duration::ZERO);
    assert_eq!(bench.http.send(request).await.unwrap_err().code(), "http_timeout", "a deadline that passed");
    drop(release);

    let plain = peer(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read(&mut [0; 1024]);
    });
    let error = bench.get(&format!("https://{plain}/")).await.unwrap_err();
    assert_eq!((error.code(), error.retryable()), ("http_unreachable", true), "no TLS at all");
}

#[tokio::test]
async fn only_receivers_that_prove_who_they_are_get_anything() {
    let bench = bench();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let (certificate, key) = authority.issue("good", Wanted::default());
    let (_peer, port) = serve(Some((&certificate, &key)));
    let url = format!("https://localhost:{port}/");
    let error = bench.get(&url).await.unwrap_err();
    assert_eq!((error.code(), error.retryable()), ("http_certificate", false), "signed by nobody we trust");

    assert_eq!(bench.http.trust(Some(&folder.path().join("none.pem"))).unwrap_err().code(), "outgoing_ca");
    assert_eq!(bench.http.trust(Some(&key)).unwrap_err().code(), "outgoing_ca", "a key is no certificate");
    assert_eq!(bench.get(&url).await.unwrap_err().code(), "http_certificate", "a refused file changes nothing");

    bench.http.trust(Some(&authority.ca())).unwrap();
    assert!(bench.get(&url).await.unwrap().ok());

    for (name, wanted) in [
        ("expired", Wanted { begin: -7200, end: -3600, ..Wanted::default() }),
        ("early", Wanted { begin: 3600, end: 7200, ..Wanted::default() }),
        ("other", Wanted { names: "other.example", ..Wanted::default() }),
        ("client", Wanted { client: true, ..Wanted::default() }),
    ] {
        let (certificate, key) = authority.issue(name, wanted);
        let (_peer, port) = serve(Some((&certificate, &key)));
        let error = bench.get(&format!("https://localhost:{port}/")).await.unwrap_err();
        assert_eq!(error.code(), "http_certificate", "{name}: {error:?}");
    }

    bench.http.trust(None).unwrap();
    assert_eq!(bench.get(&url).await.unwrap_err().code(), "http_certificate", "no longer trusted");
}
