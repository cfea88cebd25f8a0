//! Planted defects: each takes one promise away from below, and the checks have to notice. A suite that cannot fail proves
//! nothing.

use std::{io, sync::Arc};

use futures_util::future::BoxFuture;
use tendon_kernel::{
    Result, Value,
    context::{Disk, File, Open},
    schema::Catalog,
    sockets::connector::{Capability, Change, Connector, Row, Scan, Watch, WriteBatch, Written},
};

/// What is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// Nothing: the product as it is.
    None,
    /// A sync of the record answers without syncing.
    NoSync,
    /// A write-back does not look at what it overwrites.
    Unconditional,
}

/// A disk whose syncs of the ledger's segments do nothing.
pub struct LyingDisk(pub Arc<dyn Disk>);

struct LyingFile(Arc<dyn File>);

impl Disk for LyingDisk {
    fn open(&self, path: &str, how: Open) -> io::Result<Arc<dyn File>> {
        let file = self.0.open(path, how)?;
        Ok(if path.contains("/segments/") { Arc::new(LyingFile(file)) } else { file })
    }
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.0.list(folder)
    }
    fn create_folder(&self, folder: &str) -> io::Result<()> {
        self.0.create_folder(folder)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, path: &str) -> io::Result<()> {
        self.0.remove(path)
    }
    fn sync_folder<'a>(&'a self, folder: &'a str) -> BoxFuture<'a, io::Result<()>> {
        self.0.sync_folder(folder)
    }
}

impl File for LyingFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

/// A connector that writes whatever it is told, whatever stands there.
pub struct Careless(pub Arc<dyn Connector>);

impl Connector for Careless {
    fn capability(&self) -> Capability {
        self.0.capability()
    }
    fn catalog(&self) -> BoxFuture<'_, Result<Catalog>> {
        self.0.catalog()
    }
    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        self.0.probe()
    }
    fn read<'a>(
        &'a self,
        resource: &'a str,
        key: &'a [String],
        fields: &'a [String],
        keys: &'a [Vec<Value>],
    ) -> BoxFuture<'a, Result<Vec<Row>>> {
        self.0.read(resource, key, fields, keys)
    }
    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Vec<Row>>> {
        self.0.scan(scan)
    }
    fn watch(&self, watch: Watch) -> BoxFuture<'_, Result<Vec<Change>>> {
        self.0.watch(watch)
    }
    fn write(&self, mut batch: WriteBatch) -> BoxFuture<'_, Result<Vec<Written>>> {
        for write in &mut batch.writes {
            write.expect.clear();
            write.older = None;
        }
        self.0.write(batch)
    }
}
