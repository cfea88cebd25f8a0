//! Tells the service manager how the process stands, as systemd's `sd_notify(3)` describes: one datagram to the socket that
//! `NOTIFY_SOCKET` names. So a unit of `Type=notify` counts as started when questions are answered, not when a process exists.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

/// Questions are answered.
pub(crate) fn ready(status: &str) {
    tell(&format!("READY=1\nSTATUS={status}"));
}

/// The end has begun; what runs is finished.
pub(crate) fn stopping() {
    tell("STOPPING=1\nSTATUS=running requests are finished, then the ledger is closed");
}

/// Without a manager that listens there is nobody to tell; one that does not take it must not stop the work.
fn tell(state: &str) {
    let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else { return };
    if let Err(error) = send(name.as_bytes(), state.as_bytes()) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

fn send(name: &[u8], state: &[u8]) -> io::Result<()> {
    let address = match name.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(state, &address).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_is_told_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let hidden = format!("@tendon-notify-{}", std::process::id());
        let abstracted = SocketAddr::from_abstract_name(&hidden.as_bytes()[1..]).unwrap();
        let listeners = [
            (path.as_os_str().as_bytes(), UnixDatagram::bind(&path)),
            (hidden.as_bytes(), UnixDatagram::bind_addr(&abstracted)),
        ];
        for (name, listener) in listeners {
            send(name, b"READY=1").unwrap();
            let mut bytes = [0; 64];
            let count = listener.unwrap().recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..count], b"READY=1");
        }
        assert!(send(b"/nowhere/notify", b"READY=1").is_err());
    }
}
