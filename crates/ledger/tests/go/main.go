// Verifies a ledger with nothing of Tendon's: golang.org/x/mod/sumdb/tlog and note, over the files as they are.
//
// Usage: go run . FOLDER KEY OLDER
//
// FOLDER is a ledger's folder, KEY its public key, OLDER a file with an older signed checkpoint. Verified are both
// signatures, every tile that proofs need, the inclusion of every leaf, and that the older checkpoint was only extended.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// tiles reads tiles from the folder; tlog-tiles leaves the height out of the path that sumdb has.
type tiles struct{ folder string }

func (t tiles) Height() int { return height }

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(wanted))
	for i, tile := range wanted {
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
		data, err := os.ReadFile(filepath.Join(t.folder, path))
		if os.IsNotExist(err) && tile.W < 1<<height {
			full := tile
			full.W = 1 << height
			path = strings.Replace(full.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
			data, err = os.ReadFile(filepath.Join(t.folder, path))
			if err == nil {
				data = data[:tile.W*tlog.HashSize]
			}
		}
		if err != nil {
			return nil, err
		}
		out[i] = data
	}
	return out, nil
}

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func checkpoint(path string, verifiers note.Verifiers) tlog.Tree {
	text, err := os.ReadFile(path)
	check(err, "read the checkpoint")
	signed, err := note.Open(text, verifiers)
	check(err, "verify the checkpoint's signature")
	lines := strings.Split(signed.Text, "\n")
	var size int64
	_, err = fmt.Sscanf(lines[1], "%d", &size)
	check(err, "read the checkpoint's size")
	hash, err := tlog.ParseHash(lines[2])
	check(err, "read the checkpoint's root")
	return tlog.Tree{N: size, Hash: hash}
}

// leaves reads all leaves from the entry bundles.
func leaves(folder string, size int64) [][]byte {
	var out [][]byte
	for n := int64(0); n*256 < size; n++ {
		width := int(min(size-n*256, 256))
		tile := tlog.Tile{H: height, L: -1, N: n, W: width}
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/data", height), "tile/entries", 1)
		data, err := os.ReadFile(filepath.Join(folder, path))
		check(err, "read a bundle of entries")
		for len(data) > 0 {
			length := int(binary.BigEndian.Uint16(data))
			out = append(out, data[2:2+length])
			data = data[2+length:]
		}
	}
	return out
}

func main() {
	folder, key, older := os.Args[1], os.Args[2], os.Args[3]
	verifier, err := note.NewVerifier(key)
	check(err, "read the key")
	verifiers := note.VerifierList(verifier)
	tree := checkpoint(filepath.Join(folder, "checkpoint"), verifiers)
	old := checkpoint(older, verifiers)
	reader := tlog.TileHashReader(tree, tiles{folder})

	all := leaves(folder, tree.N)
	if int64(len(all)) != tree.N {
		check(fmt.Errorf("%d leaves in bundles, %d in the checkpoint", len(all), tree.N), "count the leaves")
	}
	for n, leaf := range all {
		proof, err := tlog.ProveRecord(tree.N, int64(n), reader)
		check(err, fmt.Sprintf("prove leaf %d", n))
		err = tlog.CheckRecord(proof, tree.N, tree.Hash, int64(n), tlog.RecordHash(leaf))
		check(err, fmt.Sprintf("check leaf %d", n))
	}
	proof, err := tlog.ProveTree(tree.N, old.N, reader)
	check(err, "prove consistency")
	check(tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash), "check consistency")
	fmt.Printf("leaves=%d older=%d\n", tree.N, old.N)
}
