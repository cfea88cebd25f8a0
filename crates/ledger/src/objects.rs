//! Things that entries name by digest (models, plans, policies), kept under `objects/<sha256>` as long as an entry names them.

use tendon_kernel::{
    Error, ErrorKind, Result,
    context::{Context, Disk, Open},
};

use crate::{
    format::{corrupt, disk_error, hex, sha256},
    publish::{make_folder, write_whole},
    tiles::read_file,
};

const FOLDER: &str = "objects";

/// Keeps bytes, durably when this returns; gives their SHA-256 in lower-case hex. What is there already is not written again,
/// unless it was damaged.
///
/// # Errors
/// `Unavailable` when the disk refuses.
pub async fn put(context: &Context, bytes: &[u8]) -> Result<String> {
    let digest = hex(&sha256(bytes));
    if get(&*context.disk, &digest).is_ok() {
        let path = format!("{FOLDER}/{digest}");
        let io = |error: std::io::Error| disk_error("keep an object", &path, &error);
        // It may be there since a moment ago only, written by a process that was killed before its sync.
        let file = context.disk.open(&path, Open::ReadWrite).map_err(io)?;
        file.sync().await.map_err(io)?;
        context.disk.sync_folder(FOLDER).await.map_err(io)?;
        return Ok(digest);
    }
    make_folder(context, FOLDER).await?;
    write_whole(&*context.disk, FOLDER, &digest, bytes).await?;
    Ok(digest)
}

/// Reads what has this digest, and checks that it does.
///
/// # Errors
/// `NotFound` when there is none; `Corrupt` when its bytes have another digest.
pub fn get(disk: &dyn Disk, digest: &str) -> Result<Vec<u8>> {
    let path = format!("{FOLDER}/{digest}");
    let missing =
        || Error::new(ErrorKind::NotFound, "no_such_object", "no object has this digest").with("digest", digest);
    if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(missing());
    }
    let bytes = read_file(disk, &path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            missing()
        } else {
            disk_error("read an object", &path, &error)
        }
    })?;
    if hex(&sha256(&bytes)) != digest {
        return Err(corrupt("object_damaged", "an object's bytes do not have its digest").with("file", path));
    }
    Ok(bytes)
}
