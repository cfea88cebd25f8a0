//! A TCP proxy that breaks what it carries: slow, narrow, silent, lying or cut, switched while connections are open. It
//! stands between a connector and the real server, so that what is tested is the real protocol on a bad network. It
//! listens on a free port of 127.0.0.1 and ends with its guard.
//!
//! A wait here is a wait for the next switch, with the fault's own time as its limit: healing the line takes effect at once.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use crate::lock;

/// How the line misbehaves. Holds for every open and every new connection, in both directions where not said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not at all.
    None,
    /// Each piece of data waits so long before it goes on.
    Latency(Duration),
    /// So many bytes per second.
    Bandwidth(u32),
    /// Nothing arrives any more, and nobody is told: what is sent waits until the line heals.
    HalfOpen,
    /// Connections are accepted and reset at once; open ones live on (see [`Proxy::cut`]).
    Refuse,
    /// What the server says arrives as other bytes.
    Garbage,
    /// Once: when what the client sends contains these bytes, both ends are reset. `delivered`: the server gets them and
    /// has answered before, and its answer is lost; else it never gets them. Afterwards the line is well.
    CutAt {
        /// What to wait for.
        request: Vec<u8>,
        /// Whether the server gets it.
        delivered: bool,
    },
    /// Once: when what the client sends contains these bytes, the server gets them, and from then on the line is
    /// [`Fault::HalfOpen`]: it has done what was asked, and its answer never comes.
    HoldAt {
        /// What to wait for.
        request: Vec<u8>,
    },
}

/// The proxy; see the module.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    fault: Fault,
    /// Counts switches: who waits goes on when it moves.
    switch: u64,
    target: SocketAddr,
    live: BTreeMap<u64, Line>,
    accepted: u64,
    fired: u64,
    touched: u64,
    /// What a line has to have said before a request counts.
    mark: Vec<u8>,
    closed: bool,
}

/// An open connection: both sockets, and whether it is being cut.
#[derive(Clone)]
struct Line {
    client: Arc<TcpStream>,
    server: Arc<TcpStream>,
    cut: bool,
    /// Directions that have ended.
    ended: u8,
    /// The next answer of the server is lost, and the line with it.
    last_answer: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Towards {
    Server,
    Client,
}

impl Proxy {
    /// Starts a proxy before a server's port on 127.0.0.1.
    ///
    /// # Panics
    /// When no port can be bound.
    pub fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap_or_else(|error| panic!("no free port: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}"));
        let state = State {
            fault: Fault::None,
            switch: 0,
            target: SocketAddr::from(([127, 0, 0, 1], port)),
            live: BTreeMap::new(),
            accepted: 0,
            fired: 0,
            touched: 0,
            mark: Vec::new(),
            closed: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        Self { shared, address }
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Switches the fault.
    pub fn set(&self, fault: Fault) {
        let mut state = self.shared.state();
        state.fault = fault;
        state.switch += 1;
        self.shared.changed.notify_all();
    }

    /// From now on, new connections go to another port of 127.0.0.1.
    pub fn aim(&self, port: u16) {
        self.shared.state().target.set_port(port);
    }

    /// From now on, [`Fault::CutAt`] and [`Fault::HoldAt`] look only at requests of a connection that has said these bytes
    /// since the fault was set: a `COMMIT` that follows a `SAVEPOINT`, not that of a transaction that only reads.
    pub fn only_after(&self, mark: &[u8]) {
        self.shared.state().mark = mark.to_vec();
    }

    /// Resets all open connections, both ends; how many there were.
    pub fn cut(&self) -> u64 {
        let mut state = self.shared.state();
        let open: Vec<u64> = state.live.iter().filter(|(_, line)| !line.cut).map(|(id, _)| *id).collect();
        for id in &open {
            state.cut(*id);
        }
        state.switch += 1;
        self.shared.changed.notify_all();
        open.len() as u64
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> u64 {
        self.shared.state().accepted
    }

    /// How often [`Fault::CutAt`] has cut and [`Fault::HoldAt`] has held.
    pub fn fired(&self) -> u64 {
        self.shared.state().fired
    }

    /// Pieces of data that were late, held or changed, and connections that were refused: whether a fault met anything.
    pub fn touched(&self) -> u64 {
        self.shared.state().touched
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.cut();
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
    }
}

impl State {
    /// Ends a connection with a reset: no linger, and reading threads are woken without saying goodbye.
    fn cut(&mut self, id: u64) {
        if let Some(line) = self.live.get_mut(&id) {
            line.cut = true;
            for socket in [&line.client, &line.server] {
                drop(socket2::SockRef::from(&**socket).set_linger(Some(Duration::ZERO)));
                drop(socket.shutdown(Shutdown::Read));
            }
        }
    }

    fn alive(&self, id: u64) -> bool {
        !self.closed && self.live.get(&id).is_some_and(|line| !line.cut)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            let mut state = self.state();
            if state.closed {
                return;
            }
            let Ok(client) = client else { continue };
            state.accepted += 1;
            let server = match state.fault {
                Fault::Refuse => {
                    state.touched += 1;
                    None
                }
                _ => TcpStream::connect_timeout(&state.target, Duration::from_secs(5)).ok(),
            };
            let Some(server) = server else {
                drop(socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)));
                continue;
            };
            let id = state.accepted;
            for socket in [&client, &server] {
                drop(socket.set_nodelay(true));
                // A writer looks now and then whether its line was cut.
                drop(socket.set_write_timeout(Some(Duration::from_millis(50))));
            }
            let (client, server) = (Arc::new(client), Arc::new(server));
            let line = Line {
                client: Arc::clone(&client),
                server: Arc::clone(&server),
                cut: false,
                ended: 0,
                last_answer: false,
            };
            state.live.insert(id, line);
            for (from, to, towards) in
                [(Arc::clone(&client), Arc::clone(&server), Towards::Server), (server, client, Towards::Client)]
            {
                let shared = Arc::clone(self);
                thread::spawn(move || {
                    shared.pump(id, &from, &to, towards);
                    // Both sockets close when the other direction has ended too.
                    let mut state = shared.state();
                    let Some(line) = state.live.get_mut(&id) else { return };
                    line.ended += 1;
                    if !line.cut {
                        drop(to.shutdown(Shutdown::Write));
                    }
                    if line.ended == 2 {
                        state.live.remove(&id);
                    }
                });
            }
        }
    }

    fn pump(&self, id: u64, from: &TcpStream, to: &TcpStream, towards: Towards) {
        let mut buffer = vec![0; 16 * 1024];
        let mut said = Said::default();
        let mut noise = 0x9e37_79b9_u32;
        loop {
            let count = match { from }.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => count,
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => continue,
                Err(_) => return,
            };
            let Some(bytes) = buffer.get_mut(..count) else { return };
            if !self.pass(id, bytes, towards, &mut said, &mut noise) || !self.send(id, to, bytes) {
                return;
            }
        }
    }

    /// Holds the bytes as long as the fault wants, changes them where it wants; whether they may go on.
    fn pass(&self, id: u64, bytes: &mut [u8], towards: Towards, said: &mut Said, noise: &mut u32) -> bool {
        let mut state = self.state();
        if towards == Towards::Client && state.live.get(&id).is_some_and(|line| line.last_answer) {
            state.cut(id);
            self.changed.notify_all();
            return false;
        }
        let wait = match state.fault.clone() {
            Fault::None | Fault::Refuse => return state.alive(id),
            Fault::Latency(wait) => Some(wait),
            Fault::Bandwidth(rate) => {
                let bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                Some(Duration::from_secs(1) * bytes / rate.max(1))
            }
            Fault::HalfOpen => None,
            Fault::Garbage if towards == Towards::Server => return state.alive(id),
            Fault::Garbage => {
                state.touched += 1;
                for byte in bytes {
                    *noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    *byte = noise.to_be_bytes()[0];
                }
                return state.alive(id);
            }
            Fault::CutAt { .. } | Fault::HoldAt { .. } if towards == Towards::Client => return state.alive(id),
            Fault::HoldAt { request } => {
                if said.completes(bytes, &request, &state) {
                    state.fault = Fault::HalfOpen;
                    state.fired += 1;
                }
                return state.alive(id);
            }
            Fault::CutAt { request, delivered } => {
                if said.completes(bytes, &request, &state) {
                    state.fault = Fault::None;
                    state.fired += 1;
                    if delivered {
                        if let Some(line) = state.live.get_mut(&id) {
                            line.last_answer = true;
                        }
                    } else {
                        state.cut(id);
                    }
                }
                return state.alive(id);
            }
        };
        state.touched += 1;
        let switch = state.switch;
        let unchanged = |state: &mut State| state.switch == switch && state.alive(id);
        let state = match wait {
            Some(wait) => {
                let waited = self.changed.wait_timeout_while(state, wait, unchanged);
                waited.unwrap_or_else(std::sync::PoisonError::into_inner).0
            }
            None => self.changed.wait_while(state, unchanged).unwrap_or_else(std::sync::PoisonError::into_inner),
        };
        state.alive(id)
    }

    /// Writes all, unless the line is cut meanwhile.
    fn send(&self, id: u64, mut to: &TcpStream, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match to.write(bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if !self.state().alive(id) {
                        return false;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}

/// What a client said since the fault was set, as far as it may be the begin of what is waited for.
#[derive(Default)]
struct Said {
    tail: Vec<u8>,
    marked: bool,
    switch: u64,
}

impl Said {
    /// Whether these bytes complete the request, and the mark was said before it.
    fn completes(&mut self, bytes: &[u8], request: &[u8], state: &State) -> bool {
        if self.switch != state.switch {
            *self = Self { switch: state.switch, ..Self::default() };
        }
        self.tail.extend_from_slice(bytes);
        self.marked = self.marked || state.mark.is_empty() || self.passes(&state.mark);
        self.marked && self.passes(request)
    }

    /// Looks for the bytes and drops all up to their end; without them, all that cannot be their begin.
    fn passes(&mut self, wanted: &[u8]) -> bool {
        let at = self.tail.windows(wanted.len().max(1)).position(|window| window == wanted);
        let kept = at.map_or(self.tail.len().saturating_sub(wanted.len().saturating_sub(1)), |at| at + wanted.len());
        self.tail.drain(..kept);
        at.is_some()
    }
}
