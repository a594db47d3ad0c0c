// Verifies an export with Go's golang.org/x/mod/sumdb packages, the first implementation of these formats, and nothing of ours. It runs
// in a directory that holds the exported files only:
//
//   - note.Open on the checkpoint with the log's key and, as verifiers of cosignatures, the policy's witnesses;
//   - every entry of every bundle against its hash, which tlog.TileHashReader reads from the tiles and compares with the root;
//   - tlog.CheckRecord on the inclusion proofs of entries spread over the log;
//   - tlog.CheckTree on consistency proofs from sizes spread over the log.
//
// sumdb names its tiles tile/8/L/N where C2SP tlog-tiles names them tile/L/N; that is the only translation.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "go sumdb: %s: %v\n", what, err)
		os.Exit(1)
	}
}

// witness verifies C2SP tlog-cosignature v1, which sumdb/note does not know.
type witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (w witness) Name() string    { return w.name }
func (w witness) KeyHash() uint32 { return w.hash }
func (w witness) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(sig), msg)
	return ed25519.Verify(w.key, []byte(signed), sig[8:])
}

func newWitness(vkey string) (witness, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return witness{}, fmt.Errorf("malformed vkey %q", vkey)
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != 4 {
		return witness{}, fmt.Errorf("not a cosignature key: %q", vkey)
	}
	hash := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	return witness{parts[0], binary.BigEndian.Uint32(hash[:]), key[1:]}, nil
}

// tiles reads the exported files.
type tiles struct{}

func (tiles) Height() int                    { return 8 }
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (tiles) ReadTiles(want []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range want {
		bytes, err := os.ReadFile(strings.Replace(tile.Path(), "tile/8/", "tile/", 1))
		if err != nil {
			return nil, err
		}
		data = append(data, bytes)
	}
	return data, nil
}

func main() {
	vkey, err := os.ReadFile("log.vkey")
	check(err, "log.vkey")
	log, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	check(err, "log.vkey")
	verifiers := []note.Verifier{log}
	policy, err := os.ReadFile("policy")
	check(err, "policy")
	for _, line := range strings.Split(string(policy), "\n") {
		if items := strings.Fields(line); len(items) > 2 && items[0] == "witness" {
			witness, err := newWitness(items[2])
			check(err, "policy")
			verifiers = append(verifiers, witness)
		}
	}
	signed, err := os.ReadFile("checkpoint")
	check(err, "checkpoint")
	opened, err := note.Open(signed, note.VerifierList(verifiers...))
	check(err, "checkpoint")
	if opened.Sigs[0].Name != log.Name() || len(opened.Sigs) != len(verifiers) {
		check(fmt.Errorf("%d of %d known keys signed", len(opened.Sigs), len(verifiers)), "checkpoint")
	}
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err, "checkpoint, size")
	root, err := tlog.ParseHash(lines[2])
	check(err, "checkpoint, root")
	tree := tlog.Tree{N: size, Hash: root}
	reader := tlog.TileHashReader(tree, tiles{})

	for first := int64(0); first < size; first += 256 {
		checkBundle(reader, first, size)
	}
	proofs := 0
	for _, index := range spread(size) {
		proof, err := tlog.ProveRecord(size, index, reader)
		check(err, fmt.Sprintf("inclusion proof of entry %d", index))
		hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		check(err, fmt.Sprintf("hash of entry %d", index))
		check(tlog.CheckRecord(proof, size, root, index, hashes[0]), fmt.Sprintf("inclusion of entry %d", index))
		old, err := tlog.TreeHash(index+1, reader)
		check(err, fmt.Sprintf("root at size %d", index+1))
		growth, err := tlog.ProveTree(size, index+1, reader)
		check(err, fmt.Sprintf("consistency proof from size %d", index+1))
		check(tlog.CheckTree(growth, size, root, index+1, old), fmt.Sprintf("consistency from size %d", index+1))
		proofs++
	}
	fmt.Printf("go sumdb/note and sumdb/tlog: %s, %d entries, %d signatures, %d inclusion and %d consistency proofs verified\n",
		lines[0], size, len(opened.Sigs), proofs, proofs)
}

// checkBundle compares the entries from first on with their hashes in the tree.
func checkBundle(reader tlog.HashReader, first, size int64) {
	width := size - first
	if width > 256 {
		width = 256
	}
	path := strings.Replace(tlog.Tile{H: 8, L: 0, N: first / 256, W: int(width)}.Path(), "tile/8/0/", "tile/entries/", 1)
	data, err := os.ReadFile(path)
	check(err, path)
	var indexes []int64
	var found []tlog.Hash
	rest := bytes.NewBuffer(data)
	for index := first; index < first+width; index++ {
		length := rest.Next(2)
		if len(length) != 2 || rest.Len() < int(binary.BigEndian.Uint16(length)) {
			check(fmt.Errorf("it ends within entry %d", index), path)
		}
		found = append(found, tlog.RecordHash(rest.Next(int(binary.BigEndian.Uint16(length)))))
		indexes = append(indexes, tlog.StoredHashIndex(0, index))
	}
	if rest.Len() != 0 {
		check(fmt.Errorf("%d bytes behind its entries", rest.Len()), path)
	}
	expected, err := reader.ReadHashes(indexes)
	check(err, path)
	for i := range found {
		if found[i] != expected[i] {
			check(fmt.Errorf("entry %d is not the one in the tree", first+int64(i)), path)
		}
	}
}

// spread picks entries at the ends, around the edges of tiles, and between.
func spread(size int64) []int64 {
	var picked []int64
	for _, index := range []int64{0, 1, 254, 255, 256, 257, 65535, 65536, size/3 - 1, size / 2, size - 2, size - 1} {
		if index >= 0 && index < size {
			picked = append(picked, index)
		}
	}
	for index := int64(0); index < size; index += 997 {
		picked = append(picked, index)
	}
	return picked
}
