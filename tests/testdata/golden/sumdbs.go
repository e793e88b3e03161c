package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A key that everybody may know: its seed is 32 times the same byte.
func newSigner(name string, seed byte) (note.Signer, string) {
	secret := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), 32)))
	public := secret.Public().(ed25519.PublicKey)
	verifier, err := note.NewEd25519VerifierKey(name, public)
	if err != nil {
		log.Fatal(err)
	}
	hash := strings.Split(verifier, "+")[1]
	text := fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", name, hash, base64.StdEncoding.EncodeToString(append([]byte{1}, secret.Seed()...)))
	signer, err := note.NewSigner(text)
	if err != nil {
		log.Fatal(err)
	}
	return signer, verifier
}

// verifierKey makes a key of any bytes with the hash that goes with them.
func verifierKey(name string, key []byte) string {
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	return fmt.Sprintf("%s+%x+%s", name, sum[:4], base64.StdEncoding.EncodeToString(key))
}

type keyVector struct {
	Input  string  `json:"input"`
	Name   *string `json:"name"`
	Reason string  `json:"reason"`
}

func keyVectors() []keyVector {
	_, good := newSigner("sum.example.com", 'a')
	_, path := newSigner("sum.example.com/private", 'a')
	_, diaeresis := newSigner("zo\u00eb", 'a')
	parts := strings.SplitN(good, "+", 3)
	point := []byte(strings.Repeat("k", 32))
	inputs := []string{
		good, path, diaeresis,
		parts[0] + "+" + strings.ToUpper(parts[1]) + "+" + parts[2],
		"", "+", "++", parts[0], parts[0] + "+" + parts[1], parts[1] + "+" + parts[2],
		"+" + parts[1] + "+" + parts[2],
		"other.example.com+" + parts[1] + "+" + parts[2],
		parts[0] + "+00000000+" + parts[2],
		parts[0] + "+" + parts[1][1:] + "+" + parts[2],
		parts[0] + "+0" + parts[1] + "+" + parts[2],
		parts[0] + "+" + parts[1] + "+" + parts[2] + "A",
		parts[0] + "+" + parts[1] + "+" + parts[2][:len(parts[2])-4],
		parts[0] + "+" + parts[1] + "+",
		good + " ", " " + good, good + "+x",
		verifierKey("with space", append([]byte{1}, point...)),
		verifierKey("with\u00a0space", append([]byte{1}, point...)),
		verifierKey("sum.example.com", append([]byte{2}, point...)),
		verifierKey("sum.example.com", append([]byte{0}, point...)),
		verifierKey("sum.example.com", append([]byte{1}, point[1:]...)),
		verifierKey("sum.example.com", append([]byte{1, 1}, point...)),
		verifierKey("sum.example.com", []byte{1}),
	}
	var vectors []keyVector
	for _, input := range inputs {
		verifier, err := note.NewVerifier(input)
		vector := keyVector{Input: input, Reason: reason(err)}
		if err == nil {
			name := verifier.Name()
			vector.Name = &name
		}
		vectors = append(vectors, vector)
	}
	return vectors
}

type noteVector struct {
	What   string  `json:"what"`
	Note   string  `json:"note"`
	Text   *string `json:"text"`
	Size   *int64  `json:"size"` // tlog.ParseTree
	Hash   *string `json:"hash"`
	Reason string  `json:"reason"`
}

func noteVectors() any {
	ours, key := newSigner("sum.example.com", 'a')
	ourOther, _ := newSigner("sum.example.com", 'b')
	theirs, _ := newSigner("other.example.com", 'c')
	sign := func(text string, signers ...note.Signer) string {
		signed, err := note.Sign(&note.Note{Text: text}, signers...)
		if err != nil {
			log.Fatal(err)
		}
		return string(signed)
	}
	tree := string(tlog.FormatTree(tlog.Tree{N: 71909756, Hash: tlog.RecordHash([]byte("x\n"))}))
	hash := strings.Split(tree, "\n")[2]
	good := sign(tree, ours)
	line := good[strings.LastIndex(good, "\u2014"):]
	bits := []byte(line)
	bits[len(bits)-10] ^= 1
	inputs := []struct{ what, note string }{
		{"a tree", good},
		{"the empty tree", sign("go.sum database tree\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", ours)},
		{"lines to come", sign(tree+"more\n\nand more\n", ours)},
		{"no text", sign("\n", ours)},
		{"another text", sign("hello\n", ours)},
		{"another version", sign(strings.Replace(tree, "tree\n", "tree v2\n", 1), ours)},
		{"no hash", sign("go.sum database tree\n1\n", ours)},
		{"a short hash", sign("go.sum database tree\n1\nAAAA\n", ours)},
		{"no base64", sign("go.sum database tree\n1\n"+strings.Replace(hash, "=", "!", 1)+"\n", ours)},
		{"a negative size", sign("go.sum database tree\n-1\n"+hash+"\n", ours)},
		{"a leading zero", sign("go.sum database tree\n01\n"+hash+"\n", ours)},
		{"a plus sign", sign("go.sum database tree\n+1\n"+hash+"\n", ours)},
		{"no number", sign("go.sum database tree\n\n"+hash+"\n", ours)},
		{"a number in hex", sign("go.sum database tree\n0x1\n"+hash+"\n", ours)},
		{"a second signature", sign(tree, ours, theirs)},
		{"a second signature, first", sign(tree, theirs, ours)},
		{"another key of the name", sign(tree, ours, ourOther)},
		{"only another key of the name", sign(tree, ourOther)},
		{"only another name", sign(tree, theirs)},
		{"the same signature twice", good + line},
		{"a changed text", strings.Replace(good, "71909756", "71909757", 1)},
		{"a changed signature", good[:len(good)-len(line)] + string(bits)},
		{"a signature of another text", sign("hello\n", ours)[:7] + line},
		{"no signature", tree + "\n"},
		{"no empty line", tree + line},
		{"no newline at the end", strings.TrimSuffix(good, "\n")},
		{"a line behind", good + "example.com/m v1.0.0 h1:AAAA\n"},
		{"an empty line behind", good + "\n"},
		{"a text behind", good + "\n" + tree},
		{"a hyphen for the dash", strings.Replace(good, "\u2014", "-", 1)},
		{"no dash", strings.Replace(good, "\u2014 ", "", 1)},
		{"no name", strings.Replace(good, "\u2014 sum.example.com", "\u2014", 1)},
		{"two spaces", strings.Replace(good, "\u2014 ", "\u2014  ", 1)},
		{"a space behind", strings.TrimSuffix(good, "\n") + " \n"},
		{"a carriage return", strings.ReplaceAll(good, "\n", "\r\n")},
		{"a control character in a text", sign(tree+"a\x00b\n", theirs) + line},
		{"a short signature", tree + "\n\u2014 sum.example.com AAAAAA==\n" + line},
		{"100 signatures", good + strings.Repeat("\u2014 x AAAAAAAA\n", 99)},
		{"101 signatures", good + strings.Repeat("\u2014 x AAAAAAAA\n", 100)},
		{"nothing", ""},
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		log.Fatal(err)
	}
	var vectors []noteVector
	for _, input := range inputs {
		vector := noteVector{What: input.what, Note: input.note}
		opened, err := note.Open([]byte(input.note), note.VerifierList(verifier))
		vector.Reason = reason(err)
		if err == nil {
			vector.Text = &opened.Text
			tree, err := tlog.ParseTree([]byte(opened.Text))
			vector.Reason = reason(err)
			if err == nil {
				hash := tree.Hash.String()
				vector.Size, vector.Hash = &tree.N, &hash
			}
		}
		vectors = append(vectors, vector)
	}
	return map[string]any{"key": key, "notes": vectors}
}

type tileVector struct {
	Input  string `json:"input"`
	Level  *int   `json:"level"` // -1: data
	Number int64  `json:"number"`
	Width  int    `json:"width"`
	Reason string `json:"reason"`
}

func tileVectors() []tileVector {
	inputs := []string{
		"tile/8/0/000", "tile/8/0/255", "tile/8/1/x001/067", "tile/8/2/x123/x456/789", "tile/8/6/000.p/31",
		"tile/8/0/x035/x184/x372/x088/830", "tile/8/0/000.p/1", "tile/8/0/004.p/255", "tile/8/3/x999/999.p/77",
		"tile/8/data/000", "tile/8/data/x001/067.p/12",
		"", "tile", "tile/8", "tile/8/0", "tile/8/0/", "/tile/8/0/000", "tile/8/0/000/", "Tile/8/0/000",
		"tile/8/0/0", "tile/8/0/00", "tile/8/0/0000", "tile/8/0/x000/000", "tile/8/0/x000", "tile/8/0/000/001",
		"tile/8/0/001/x000", "tile/8/0/1000", "tile/8/0/-01", "tile/8/0/+01", "tile/8/0/0x1", "tile/8/0/ 01",
		"tile/8/00/000", "tile/8/-1/000", "tile/8/+0/000", "tile/8/x/000", "tile/08/0/000", "tile//0/000",
		"tile/8/0/000.p/0", "tile/8/0/000.p/01", "tile/8/0/000.p/256", "tile/8/0/000.p/257", "tile/8/0/000.p/-1",
		"tile/8/0/000.p/", "tile/8/0/000.p", "tile/8/0/000.q/1", "tile/8/0/000p/1", "tile/8/0/000.p/1/2",
		"tile/8/0/../0/000", "tile/8/0/000\n", "tile/8/DATA/000", "tile/8/data/data/000",
	}
	var vectors []tileVector
	for _, input := range inputs {
		tile, err := tlog.ParseTilePath(input)
		vector := tileVector{Input: input, Reason: reason(err)}
		if err == nil {
			vector.Level, vector.Number, vector.Width = &tile.L, tile.N, tile.W
		}
		vectors = append(vectors, vector)
	}
	return vectors
}

type treeVector struct {
	Size int64  `json:"size"`
	Hash string `json:"hash"`
	// The proofs of some records by their number, and that the tree continues some smaller ones by their size.
	Records map[int64][]string `json:"records"`
	Trees   map[int64][]string `json:"trees"`
}

// The trees of a log whose record i is "record i\n".
func treeVectors() []treeVector {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			hashes[i] = stored[index]
		}
		return hashes, nil
	})
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	wanted := map[int64][]int64{0: {}, 255: {1, 128, 254, 255}, 256: {0, 1, 128, 255, 256}, 257: {255, 256}, 1000: {0, 255, 256, 511, 768, 999}}
	for size := int64(1); size <= 8; size++ {
		for n := int64(0); n <= size; n++ {
			wanted[size] = append(wanted[size], n)
		}
	}
	var vectors []treeVector
	for size := int64(0); size <= 1000; size++ {
		if size > 0 {
			hashes, err := tlog.StoredHashes(size-1, []byte(fmt.Sprintf("record %d\n", size-1)), reader)
			check(err)
			stored = append(stored, hashes...)
		}
		numbers, ok := wanted[size]
		if !ok {
			continue
		}
		hash, err := tlog.TreeHash(size, reader)
		check(err)
		vector := treeVector{Size: size, Hash: hash.String(), Records: map[int64][]string{}, Trees: map[int64][]string{}}
		for _, n := range numbers {
			if n < size {
				proof, err := tlog.ProveRecord(size, n, reader)
				check(err)
				vector.Records[n] = texts(proof)
			}
			if n > 0 {
				proof, err := tlog.ProveTree(size, n, reader)
				check(err)
				vector.Trees[n] = texts(proof)
			}
		}
		vectors = append(vectors, vector)
	}
	return vectors
}

func texts(hashes []tlog.Hash) []string {
	list := []string{}
	for _, hash := range hashes {
		list = append(list, hash.String())
	}
	return list
}

func sumdbVectors() any {
	return map[string]any{
		"keys":  keyVectors(),
		"notes": noteVectors(),
		"tiles": tileVectors(),
		"trees": treeVectors(),
	}
}
