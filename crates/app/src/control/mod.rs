//! The control socket: commands talk to the running process of the same project, one line of JSON each way. Only the owner
//! of the project's files can open it (mode 0600).

mod client;
mod server;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use serde_json::Value as Json;

use crate::failure::Failure;

pub(crate) use client::send;
pub(crate) use server::{bind, serve};

/// What comes back.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    Ok(Json),
    Error(Failure),
}

/// Longest line accepted.
const LINE: u64 = 1 << 20;
/// Longest path of a socket that the system takes (108 bytes with the closing zero).
const PATH: usize = 107;

/// An address of the socket that is short enough: a long path is reached through the folder's descriptor.
struct Address {
    path: PathBuf,
    _folder: Option<File>,
}

fn address(state: &Path) -> std::io::Result<Address> {
    use std::os::fd::AsRawFd as _;
    let path = state.join("control.sock");
    if path.as_os_str().len() <= PATH {
        return Ok(Address { path, _folder: None });
    }
    let folder = File::open(state)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/control.sock", folder.as_raw_fd()));
    Ok(Address { path, _folder: Some(folder) })
}
