//! The second half of opening: the projections catch up with the entries, and tiles that a crash left go.

use std::sync::Arc;

use tendon_kernel::Result;

use crate::{
    book::Inner,
    format::{corrupt, disk_error},
    index::Position,
    projector::{BATCH, Base, Projector},
    read::{item, understand},
    segment::{self, Broken, Reader},
    tiles,
};

impl Inner {
    /// Projects what the store has not seen, batch by batch.
    pub(crate) async fn catch_up(&self, projector: &mut Projector, position: Option<Position>) -> Result<()> {
        let size = self.desk().size;
        let disk = &*self.context.disk;
        let mut seq = position.map_or(0, |position| position.count);
        let mut offset = match position {
            Some(position) if seq < size => self.place(position.count - 1).await?,
            _ => None,
        };
        let base = Base { index: &self.index, projections: &self.projections, tokens: &self.tokens };
        let broken = |broken: Broken| corrupt("ledger_entry", broken.why).with("entry", broken.seq);
        let segments = segment::list(disk, &self.folder)?;
        let begin = offset.map_or(0, |place| place.segment);
        let mut items = Vec::with_capacity(BATCH);
        for (at, first) in segments.iter().copied().enumerate().filter(|(_, first)| *first >= begin) {
            let next = segments.get(at + 1).copied().unwrap_or(size).min(size);
            if next <= seq {
                continue;
            }
            let mut reader = Reader::open(disk, &self.folder, first)?.map_err(broken)?;
            if let Some(place) = offset.take().filter(|place| place.segment == first) {
                reader.skip_to(seq - 1, place.offset);
            }
            while reader.seq() < next {
                let Some(frame) = reader.next()?.map_err(broken)? else { break };
                if frame.seq < seq {
                    continue;
                }
                seq = frame.seq + 1;
                let (leaf, opened) = understand(&self.origin, &self.keyring, frame.seq, frame.leaf, frame.sealed)?;
                let item = item(&self.tokens, frame.seq, frame.place, frame.leaf, leaf, opened);
                if items.len() == BATCH || !item.erased.is_empty() {
                    self.write_batch(projector, base, &mut items).await?;
                }
                items.push(Arc::new(item));
            }
        }
        self.write_batch(projector, base, &mut items).await
    }

    async fn write_batch(
        &self,
        projector: &mut Projector,
        base: Base<'_>,
        items: &mut Vec<Arc<crate::desk::Item>>,
    ) -> Result<()> {
        if items.is_empty() {
            return Ok(());
        }
        let made = projector.batch(base, items).await?;
        items.clear();
        self.index.store.write(made.batch).await
    }

    /// Removes the partial tiles that a crash left behind the checkpoint found, for good: one of them may be torn, and once a
    /// newer checkpoint has passed it nobody looks there again (seed 128 of the crash test: two power cuts, the second of
    /// which undid the removal).
    pub(crate) async fn remove_stale_tiles(&self, found: u64) -> Result<()> {
        let size = self.desk().size;
        let kept: Vec<String> = tiles::edge(found).iter().map(tiles::Tile::path).collect();
        let mut shift = 8;
        for level in 0u8.. {
            let (from, to) = (found.checked_shr(shift).unwrap_or(0), size.checked_shr(shift).unwrap_or(0));
            for index in from..=to {
                for level in if level == 0 { vec![None, Some(0)] } else { vec![Some(level)] } {
                    let stem = tiles::Tile { level, index, width: 1 }.stem();
                    let folder = format!("{}/{stem}.p", self.folder);
                    let names = self.context.disk.list(&folder);
                    let names = names.map_err(|error| disk_error("list tiles", &folder, &error))?;
                    let paths = names.iter().map(|name| format!("{stem}.p/{name}"));
                    self.remove_tiles(paths.filter(|path| !kept.contains(path))).await?;
                }
            }
            if to == 0 {
                break;
            }
            shift += 8;
        }
        Ok(())
    }
}
