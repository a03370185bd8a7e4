// Reads a log's folder with Go's own implementation (golang.org/x/mod/sumdb, which serves the
// checksum database of the Go toolchain) and prints what it makes of it, as JSON:
//
//	log_peer FOLDER VKEY < INDEXES
//
// The checkpoint is opened with the key, every hash that is used is authenticated against it by
// way of the tiles, and for every index on stdin the inclusion proof, and the consistency proof
// from the tree of that size on, are made anew.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type folder string

func (f folder) Height() int { return 8 }

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		// Go's paths name the height of its tiles, which C2SP has fixed to 8 and left out.
		name := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(string(f), name))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

type answer struct {
	Origin      string
	Size        int64
	Inclusion   map[string]tlog.RecordProof
	Consistency map[string]tlog.TreeProof
	Leaves      map[string]tlog.Hash
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	where := folder(os.Args[1])
	key, err := note.NewVerifier(os.Args[2])
	check(err)
	signed, err := os.ReadFile(filepath.Join(string(where), "checkpoint"))
	check(err)
	opened, err := note.Open(signed, note.VerifierList(key))
	check(err)
	var told answer
	var root string
	_, err = fmt.Sscanf(opened.Text, "%s\n%d\n%s\n", &told.Origin, &told.Size, &root)
	check(err)
	hash, err := tlog.ParseHash(root)
	check(err)
	reader := tlog.TileHashReader(tlog.Tree{N: told.Size, Hash: hash}, where)
	again, err := tlog.TreeHash(told.Size, reader)
	check(err)
	if again != hash {
		log.Fatal("the tiles lead to another root")
	}
	told.Inclusion = map[string]tlog.RecordProof{}
	told.Consistency = map[string]tlog.TreeProof{}
	told.Leaves = map[string]tlog.Hash{}
	for {
		var index int64
		if n, _ := fmt.Scan(&index); n == 0 {
			break
		}
		name := fmt.Sprint(index)
		leaf, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		check(err)
		told.Leaves[name] = leaf[0]
		told.Inclusion[name], err = tlog.ProveRecord(told.Size, index, reader)
		check(err)
		if index > 0 {
			told.Consistency[name], err = tlog.ProveTree(told.Size, index, reader)
			check(err)
		}
	}
	check(json.NewEncoder(os.Stdout).Encode(told))
}
