//! The task that makes checkpoints: adds durable leaves to the tree, writes the tiles that became full and those of the right
//! edge, makes them durable, and only then signs. A checkpoint never claims an entry that is not durable. Full tiles are
//! written as they come, so that a checkpoint over thousands of leaves finds few files to write: all at once they held up
//! every answer for many milliseconds.

use std::{collections::BTreeSet, sync::Arc};

use tendon_kernel::{
    Error, ErrorKind, Result,
    context::{Context, Disk, Open},
};

use tokio::sync::oneshot;

use crate::{
    book::{Inner, closed},
    breath::{STRETCH, breathe},
    checkpoint::Head,
    format::disk_error,
    tiles::{self, Tile, hash_bytes, push_leaf},
    tree::{Tree, WIDTH},
};

/// The tree as far as leaves were added, and what of it is not on disk yet.
pub(crate) struct Publisher {
    tree: Tree,
    /// Leaves of the bundle that is not full.
    bundle: Vec<u8>,
    /// Full tiles not yet written.
    full: Vec<(Tile, Vec<u8>)>,
    /// Folders of tiles that are durable.
    folders: BTreeSet<String>,
    /// Partial tiles that could not all be made durable: they may be torn, and no checkpoint names them.
    left: BTreeSet<Tile>,
    /// The last checkpoint and its text.
    head: Head,
    text: String,
}

impl Publisher {
    pub(crate) fn new(tree: Tree, bundle: Vec<u8>, text: String) -> Self {
        let head = Head { size: tree.size(), root: tree.root() };
        Self { tree, bundle, full: Vec::new(), folders: BTreeSet::new(), left: BTreeSet::new(), head, text }
    }

    /// The last checkpoint.
    pub(crate) fn head(&self) -> Head {
        self.head
    }

    /// Its signed text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn add(&mut self, leaf: &[u8], hash: crate::tree::Hash) {
        push_leaf(&mut self.bundle, leaf);
        for full in self.tree.push(hash) {
            if full.level == 0 {
                let bundle = std::mem::take(&mut self.bundle);
                self.full.push((Tile { level: None, index: full.index, width: WIDTH }, bundle));
            }
            let tile = Tile { level: Some(full.level), index: full.index, width: WIDTH };
            self.full.push((tile, hash_bytes(&full.hashes)));
        }
    }

    /// The tiles of the right edge.
    fn edge(&self) -> Vec<(Tile, Vec<u8>)> {
        let bytes = |tile: &Tile| match tile.level {
            None => self.bundle.clone(),
            Some(level) => self.tree.levels().get(usize::from(level)).map(|row| hash_bytes(row)).unwrap_or_default(),
        };
        tiles::edge(self.tree.size()).into_iter().map(|tile| (tile, bytes(&tile))).collect()
    }
}

/// Runs until the ledger is closed; [`Book::close`](crate::Book::close) makes the last checkpoint.
pub(crate) async fn run(inner: Arc<Inner>) {
    loop {
        if inner.is_closing() {
            return;
        }
        if inner.covered.get() >= inner.desk().size {
            inner.wake_publisher.notified().await;
            continue;
        }
        inner.until_due().await;
        if inner.is_closing() {
            return;
        }
        if let Err(error) = inner.publish().await {
            tracing::error!(%error, detail = error.private_detail(), "no checkpoint could be made; trying again");
            inner.context.clock.sleep(inner.settings.checkpoint_every).await;
        }
    }
}

impl Inner {
    /// Writes full tiles as they come, until a checkpoint is due.
    async fn until_due(&self) {
        let due = self.context.clock.sleep(self.settings.checkpoint_every);
        tokio::pin!(due);
        loop {
            tokio::select! {
                biased;
                () = self.publish_now.notified() => return,
                () = &mut due => return,
                () = self.tiles_now.notified() => {
                    if let Err(error) = self.write_full().await {
                        // The checkpoint writes them again, and tells when it cannot.
                        tracing::debug!(%error, "full tiles were not written ahead of their checkpoint");
                        return;
                    }
                }
            }
        }
    }

    /// Writes the tiles that are full; no checkpoint names them yet.
    async fn write_full(&self) -> Result<()> {
        let mut publisher = self.publisher.lock().await;
        let publisher = &mut *publisher;
        self.sync_unsynced().await?;
        self.absorb(publisher).await;
        let files: Vec<&(Tile, Vec<u8>)> = publisher.full.iter().collect();
        tiles::write_all(&*self.context.disk, &self.folder, &files, &mut publisher.folders).await?;
        publisher.full.clear();
        Ok(())
    }

    /// Adds the durable leaves to the tree.
    async fn absorb(&self, publisher: &mut Publisher) {
        // What is taken is added before the next await: whoever waits for a checkpoint may give up.
        let mut left = self.uncovered().len();
        while left > 0 {
            let some: Vec<_> = self.uncovered().drain(..left.min(STRETCH)).collect();
            left -= some.len();
            some.iter().for_each(|(leaf, hash)| publisher.add(leaf, *hash));
            breathe().await;
        }
    }

    /// Makes a checkpoint over all durable entries, unless the last one covers them; gives its text.
    pub(crate) async fn publish(self: &Arc<Self>) -> Result<String> {
        if self.settings.sync {
            return self.publish_here().await;
        }
        // In a task of its own: whoever gives up waiting must not leave a sync without anybody who hears how it ended.
        let (tell, told) = oneshot::channel();
        let inner = Arc::clone(self);
        let task = async move { drop(tell.send(inner.publish_here().await)) };
        self.spawn("ledger checkpoint", task);
        told.await.map_err(|_| closed())?
    }

    async fn publish_here(&self) -> Result<String> {
        let mut publisher = self.publisher.lock().await;
        let publisher = &mut *publisher;
        self.sync_unsynced().await?;
        self.absorb(publisher).await;
        let head = Head { size: publisher.tree.size(), root: publisher.tree.root() };
        if head == publisher.head {
            return Ok(publisher.text.clone());
        }
        let edge = publisher.edge();
        let kept: BTreeSet<Tile> = edge.iter().map(|(tile, _)| *tile).collect();
        // Before a checkpoint passes them: later nobody looks there again (seed 2257 of the crash test: a sync that failed,
        // then a power cut).
        self.remove_tiles(publisher.left.difference(&kept).map(Tile::path)).await?;
        publisher.left.clone_from(&kept);
        let files: Vec<&(Tile, Vec<u8>)> = publisher.full.iter().chain(&edge).collect();
        tiles::write_all(&*self.context.disk, &self.folder, &files, &mut publisher.folders).await?;
        publisher.left.clear();
        let text = self.signer.sign(&head)?;
        write_whole(&*self.context.disk, &self.folder, "checkpoint", text.as_bytes()).await?;
        publisher.full.clear();
        for stale in tiles::edge(publisher.head.size).into_iter().filter(|tile| !kept.contains(tile)) {
            // A partial tile that stays behind is harmless: it verifies, and opening removes it.
            drop(self.context.disk.remove(&format!("{}/{}", self.folder, stale.path())));
        }
        publisher.head = head;
        publisher.text.clone_from(&text);
        self.covered.set(head.size);
        Ok(text)
    }

    /// Removes partial tiles for good.
    pub(crate) async fn remove_tiles(&self, paths: impl Iterator<Item = String>) -> Result<()> {
        let mut folders = BTreeSet::new();
        for path in paths {
            let path = format!("{}/{path}", self.folder);
            match self.context.disk.remove(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(disk_error("remove a tile", &path, &error));
                }
                _ => folders.extend(path.rsplit_once('/').map(|(folder, _)| folder.to_owned())),
            }
        }
        for folder in folders {
            let synced = self.context.disk.sync_folder(&folder).await;
            synced.map_err(|error| disk_error("make a folder durable", &folder, &error))?;
        }
        Ok(())
    }

    /// Makes durable what was written without sync.
    async fn sync_unsynced(&self) -> Result<()> {
        let files = {
            let mut unsynced = self.unsynced();
            if unsynced.failed {
                return Err(not_durable());
            }
            std::mem::take(&mut unsynced.files)
        };
        for (first, file) in files {
            file.sync().await.map_err(|error| {
                let path = crate::segment::path(&self.folder, first);
                self.unsynced().failed = true;
                self.desk().stopped = Some("entries answered without sync could not be made durable".to_owned());
                disk_error("make entries durable", &path, &error)
            })?;
        }
        Ok(())
    }
}

/// A checkpoint would claim entries that may be lost.
fn not_durable() -> Error {
    Error::new(ErrorKind::Unavailable, "ledger_not_durable", "entries that may not be durable can have no checkpoint")
        .hint("look after the disk and restart: what it kept is read and covered then")
}

/// Replaces a file at once: a new file, synced, renamed, the folder synced. The new file is made in `tmp`, so that the ledger's
/// folder never holds a half-written one.
pub(crate) async fn write_whole(disk: &dyn Disk, folder: &str, name: &str, bytes: &[u8]) -> Result<()> {
    let path = format!("{folder}/{name}");
    let temporary = format!("tmp/{}", path.replace('/', "-"));
    let io = |error: std::io::Error| disk_error("replace a file", &path, &error);
    disk.create_folder("tmp").map_err(io)?;
    // Always a new file: after a power cut the temporary name of an earlier one may still lead to what is now the target,
    // and emptying it would empty the target (simulation seed 1487).
    drop(disk.remove(&temporary));
    let file = disk.open(&temporary, Open::CreateNew).map_err(io)?;
    file.write_at(bytes, 0).map_err(io)?;
    file.sync().await.map_err(io)?;
    disk.rename(&temporary, &path).map_err(io)?;
    disk.sync_folder(folder).await.map_err(io)
}

/// Creates a folder and makes it and its parents durable.
pub(crate) async fn make_folder(context: &Context, folder: &str) -> Result<()> {
    let io = |error: std::io::Error| disk_error("create a folder", folder, &error);
    context.disk.create_folder(folder).map_err(io)?;
    let mut at = folder;
    while let Some((parent, _)) = at.rsplit_once('/') {
        context.disk.sync_folder(parent).await.map_err(io)?;
        at = parent;
    }
    context.disk.sync_folder("").await.map_err(io)
}
