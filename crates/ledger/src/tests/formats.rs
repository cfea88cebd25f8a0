//! Formats against independent implementations: the tree and checkpoints against crate `tlog_tiles`, leaves against
//! serde, proofs against tampering.

use proptest::prelude::*;
use tendon_kernel::{ErrorKind, Id, Timestamp, sockets::ledger::Ledger as _};
use tlog_tiles::{Hash as TileHash, HashReader};

use super::{Bench, decision, facts, open_book};
use crate::{
    Opening,
    leaf::{Commits, Leaf},
    tiles::Tile,
    tree::{Tree, leaf_hash, node_hash, prove, root_of_proof},
    verify_proof,
};

/// RFC 6962 §2.1 word by word.
fn brute_root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => crate::tree::empty_root(),
        [one] => *one,
        _ => {
            let split = (leaves.len() - 1).ilog2();
            let (left, right) = leaves.split_at(1 << split);
            node_hash(&brute_root(left), &brute_root(right))
        }
    }
}

struct Stored(Vec<TileHash>);

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<TileHash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|&index| self.0[usize::try_from(index).unwrap()]).collect())
    }
}

struct Brute<'a>(&'a [[u8; 32]]);

impl crate::tree::Nodes for Brute<'_> {
    fn node(&mut self, level: u32, index: u64) -> tendon_kernel::Result<[u8; 32]> {
        let width = 1usize << level;
        let from = usize::try_from(index).unwrap() * width;
        Ok(brute_root(&self.0[from..from + width]))
    }
}

#[test]
fn the_tree_is_that_of_rfc_6962() {
    let mut tree = Tree::default();
    let mut leaves = Vec::new();
    let mut stored = Stored(Vec::new());
    for number in 0..700u64 {
        let data = number.to_le_bytes();
        let more = tlog_tiles::stored_hashes(number, &data, &stored).unwrap();
        stored.0.extend(more);
        leaves.push(leaf_hash(&data));
        let full = tree.push(leaf_hash(&data));
        assert_eq!(full.is_empty(), (number + 1) % 256 != 0);
        let size = number + 1;
        let theirs = tlog_tiles::tree_hash(size, &stored).unwrap();
        assert_eq!(tree.root(), theirs.0, "size {size}");
        if size % 37 == 0 || size < 20 {
            assert_eq!(tree.root(), brute_root(&leaves));
            for leaf in (0..size).step_by(1 + usize::try_from(size).unwrap() / 9) {
                let path = prove(&mut Brute(&leaves), leaf, size).unwrap();
                let theirs: Vec<[u8; 32]> =
                    tlog_tiles::prove_record(size, leaf, &stored).unwrap().iter().map(|hash| hash.0).collect();
                assert_eq!(path, theirs, "leaf {leaf} of {size}");
                let hash = leaves[usize::try_from(leaf).unwrap()];
                assert_eq!(root_of_proof(hash, leaf, size, &path), Some(tree.root()));
                let longer = [&path[..], &[[0; 32]]].concat();
                assert_eq!(root_of_proof(hash, leaf, size, &longer), None);
                assert_eq!(root_of_proof(hash, size, size, &path), None);
                let other = leaves[usize::try_from((leaf + 1) % size).unwrap()];
                assert!(size == 1 || root_of_proof(other, leaf, size, &path) != Some(tree.root()));
            }
        }
    }
}

#[test]
fn tile_paths_are_those_of_the_specification() {
    let tile = |level, index, width| Tile { level, index, width }.path();
    assert_eq!(tile(Some(0), 1_234_067, 256), "tile/0/x001/x234/067");
    assert_eq!(tile(Some(2), 7, 13), "tile/2/007.p/13");
    assert_eq!(tile(None, 1000, 256), "tile/entries/x001/000");
    for index in [0, 999, 1000, 123_456_789] {
        for (level, width) in [(None, 256), (Some(0), 1), (Some(3), 255)] {
            let tile = Tile { level, index, width };
            assert_eq!(Tile::parse(&tile.path()), Some(tile));
        }
    }
    for wrong in [
        "tile/0/1",
        "tile/0/0001",
        "tile/0/001.p/256",
        "tile/0/001.p/0",
        "tile/0/001.p/01",
        "tile/x/001",
        "tile/00/001",
        "tile/0/x000/001",
    ] {
        assert_eq!(Tile::parse(wrong), None, "{wrong}");
    }
}

proptest! {
    #[test]
    fn a_leaf_is_read_as_it_was_written(
        texts in proptest::collection::vec(any::<String>().prop_map(|text| text.chars().take(40).collect::<String>()), 9),
        at in -30_000_000_000_000_000i64..200_000_000_000_000_000,
        slot in 0u64..1 << 53,
        erased in proptest::collection::vec(0u64..1 << 40, 0..4),
        input in proptest::option::of(any::<[u8; 32]>()),
        model in any::<bool>(),
    ) {
        let bench = Bench::new(1);
        let mut facts = facts(&bench.sim.context(), tendon_kernel::sockets::ledger::EntryKind::Decision, Id([7; 16]));
        facts.at = Timestamp(at);
        let fields = [&mut facts.integration, &mut facts.route, &mut facts.reason, &mut facts.caller, &mut facts.policy,
            &mut facts.plan, &mut facts.retention, &mut facts.region];
        for (field, text) in fields.into_iter().zip(&texts) {
            *field = text.as_str().into();
        }
        match &mut facts.model {
            Some(one) if model => one.name = texts[8].as_str().into(),
            other => *other = None,
        }
        let leaf = Leaf { facts, slot, sealed: [9; 32], commits: Commits { input, ..Commits::default() }, erased };
        match leaf.encode() {
            Err(error) => prop_assert_eq!(error.code(), "leaf_too_large"),
            Ok(text) => {
                prop_assert!(text.len() < 2048);
                prop_assert_eq!(Leaf::decode(&text).unwrap(), leaf.clone());
                // Sorted keys, no white space, RFC 8785 escapes: what serde writes of a sorted map.
                let value: std::collections::BTreeMap<String, serde_json::Value> = serde_json::from_slice(&text).unwrap();
                prop_assert_eq!(serde_json::to_vec(&value).unwrap().len(), text.len());
                prop_assert!(value.keys().zip(text.split(|&byte| byte == b'\n')).count() <= 1);
                let spaced = [&text[..1], b" ", &text[1..]].concat();
                prop_assert!(Leaf::decode(&spaced).is_err());
            }
        }
    }
}

#[test]
fn a_proof_holds_offline_and_nothing_in_it_can_be_changed() {
    let bench = Bench::new(21);
    let (parts, context) = (bench.parts(), bench.sim.context());
    let run = async move {
        let book = open_book(parts).await;
        let mut ids = Vec::new();
        for number in 0..300u64 {
            let draft = decision(&context, "Erika", number, None);
            ids.push((draft.facts.id, draft.body.clone()));
            book.commit(vec![draft]).await.unwrap();
        }
        let (id, body) = ids[123].clone();
        let all = Opening { input: true, output: true, explanation: true };
        let opened = book.proof(id, all).await.unwrap();
        let shut = book.proof(id, Opening::default()).await.unwrap();
        let key = book.public_key().to_owned();
        let erasure = facts(&context, tendon_kernel::sockets::ledger::EntryKind::Erasure, Id::new(&context));
        book.erase("Erika", erasure).await.unwrap();
        assert_eq!(book.proof(id, all).await.unwrap_err().kind(), ErrorKind::Gone);
        let after = book.proof(id, Opening::default()).await.unwrap();
        let none = book.proof(Id([1; 16]), all).await.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound);
        (id, body, opened, shut, after, key)
    };
    let (id, body, opened, shut, after, key) = bench.sim.run(run).done();
    let report = verify_proof(&opened.text, &key).unwrap();
    assert_eq!((report.seq, report.facts.id, opened.seq), (123, id, 123));
    assert_eq!(report.input.as_deref().map(str::as_bytes), Some(&*body.input));
    assert_eq!(report.output.as_deref().map(str::as_bytes), Some(&*body.output));
    assert_eq!(report.explanation, None);
    for proof in [&shut, &after] {
        let report = verify_proof(&proof.text, &key).unwrap();
        assert_eq!((report.seq, report.input, report.output), (123, None, None));
        assert!(!proof.text.contains("Erika"));
    }
    let bytes = opened.text.as_bytes();
    for at in 0..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        if let Ok(changed) = String::from_utf8(changed) {
            assert!(verify_proof(&changed, &key).is_err(), "byte {at} of the proof can be changed");
        }
    }
    let other = crate::checkpoint::Signer::new(super::ORIGIN, &tendon_kernel::sockets::secrets::Key([1; 32])).unwrap();
    assert!(verify_proof(&opened.text, other.public_key()).is_err());
}
