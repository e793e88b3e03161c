package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"
)

const (
	modulePath    = "example.com/Mod"
	moduleVersion = "v1.2.3"
	prefix        = modulePath + "@" + moduleVersion + "/"
)

// A vector is a zip and what golang.org/x/mod says of it.
type vector struct {
	About string `json:"about"`
	Zip   []byte `json:"zip"`
	// H1 is empty where Error is not.
	H1 string `json:"h1"`
	// Error is of CheckZip, HashZip or Unzip, the first that has one.
	Error string `json:"error"`
}

func newVectors(cases []vector) ([]vector, error) {
	dir, err := os.MkdirTemp("", "zips-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for i := range cases {
		h1, err := verdict(cases[i].Zip, filepath.Join(dir, fmt.Sprint(i)))
		cases[i].H1 = h1
		if err != nil {
			cases[i].H1 = ""
			cases[i].Error = strings.ReplaceAll(err.Error(), dir, "")
		}
	}
	return cases, nil
}

func verdict(content []byte, file string) (string, error) {
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return "", err
	}
	m := module.Version{Path: modulePath, Version: moduleVersion}
	if _, err := zip.CheckZip(m, file); err != nil {
		return "", err
	}
	h1, err := dirhash.HashZip(file, dirhash.Hash1)
	if err != nil {
		return "", err
	}
	return h1, zip.Unzip(file+".d", m, file)
}

func zipCases() []vector {
	of := func(about string, entries ...entry) vector {
		return vector{About: about, Zip: archive(entries)}
	}
	bytesOf := func(about string, zip []byte) vector {
		return vector{About: about, Zip: zip}
	}
	goMod := file("go.mod", "module example.com/Mod\n")
	source := file("a.go", "package a\n")
	long := strings.Repeat("package a\n", 100)
	both := []entry{goMod, source}
	plain := archive(both)

	return []vector{
		// What a module zip may be.
		of("no entries"),
		of("a go.mod", goMod),
		of("files, not sorted, in directories", file("z.go", "z"), goMod, file("a/b/c.go", "c"), file("a/b.go", "b"), file("a-b.go", "-")),
		of("an empty file", file("empty", "")),
		of("an empty file, deflated", file("empty", "", deflated)),
		of("deflated", file("a.go", long, deflated)),
		of("deflated, with a data descriptor", file("a.go", long, deflated, described), file("b.go", long, deflated, described)),
		of("stored, with a data descriptor", file("a.go", long, described), file("b.go", long, described)),
		of("a data descriptor without signature", file("a.go", long, deflated, described, func(e *entry) { e.descriptor = e.descriptor[4:] }), goMod),
		of("names that UTF-16 would sort differently", file("\uff21.txt", "1"), file("\U00010400.txt", "2"), file("\u00e9.txt", "3"), file("z", "4")),
		of("UTF-8 without the flag that says so", file("\u00fcber.md", "", func(e *entry) { e.flags = 0 })),
		of("another name in a Unicode path field", file("a.go", "", unicodePath("b.go"))),
		of("a comment", file("a.go", "", func(e *entry) { e.comment = "of an entry" })),
		bytesOf("a comment at the end", archive(both, func(z *end) { z.comment = strings.Repeat("of the zip ", 300) })),
		of("a symbolic link", file("link", "/etc/passwd", func(e *entry) { e.attributes = 0o120777 << 16 })),
		of("a program", file("run.sh", "#!/bin/sh\n", func(e *entry) { e.attributes = 0o100755 << 16 })),
		of("vendored files", goMod, file("vendor/modules.txt", ""), file("vendor/b/b.go", "")),
		of("names like go.mod", file("go.mod.txt", ""), file("a/go.sum", ""), file("xgo.mod", "")),
		of("a directory named go.mod", file("go.mod/", ""), file("go.mod/a.go", "")),
		of("directories", raw(prefix, ""), raw(prefix, ""), file("a/", ""), file("a/b.go", ""), file("a/", "")),
		of("a directory that is compressed to two bytes", file("a/", "", deflated)),
		of("a directory that is compressed to nothing", file("a/", "", func(e *entry) { e.method = 8 })),
		bytesOf("zip64 records", archive(both, zip64)),
		of("zip64 sizes", file("a.go", long, zip64Sizes(uint64(len(long)), uint64(len(long))))),
		of("files in another order than in the directory", goMod,
			file("a.go", "", func(e *entry) { e.offset = sizeOf(goMod) + sizeOf(file("b.go", "")) }),
			file("b.go", "", func(e *entry) { e.offset = sizeOf(goMod) })),
		bytesOf("a gap between entries", archive([]entry{goMod, file("a.go", "", func(e *entry) { e.descriptor = []byte("nothing points here") }), file("b.go", "")})),
		of("no checksum and no data descriptor", file("a.go", long, deflated, func(e *entry) { e.crc = 0 })),
		of("bytes behind the end of the deflated data", file("a.go", long, deflated, appendBody("behind"))),

		// Names.
		of("another module", raw("example.com/other@v1.2.3/a.go", "")),
		of("another version", raw("example.com/Mod@v1.2.4/a.go", "")),
		of("another case", raw("example.com/mod@v1.2.3/a.go", "")),
		of("no version", raw("example.com/Mod/a.go", "")),
		of("a name that the prefix is the start of", raw("example.com/Mod@v1.2.3a.go", "")),
		of("no name", raw("", "")),
		of("a name with ..", file("../a.go", "")),
		of("a name with .", file("a/./b.go", "")),
		of("a name with two slashes", file("a//b.go", "")),
		of("a name that starts with a slash", file("/a.go", "")),
		of("a directory with two slashes", file("a//", "")),
		of("a directory ..", file("a/../", "")),
		of("a name with a backslash", file("a\\b.go", "")),
		of("a name with a colon", file("a:b.go", "")),
		of("a name with a newline", file("a\n.go", "")),
		of("a name with a zero byte", file("a.go\x00.txt", "")),
		of("a name with a byte order mark", file("\ufeffa.go", "")),
		of("a byte order mark before the prefix", raw("\ufeff"+prefix+"a.go", "")),
		of("a name that is not UTF-8", file("\xff.go", "")),
		of("a name that is not UTF-8: a surrogate", file("\xed\xa0\x80.go", "")),
		of("a name that Windows reserves", file("a/aux.go", "")),
		of("a name that ends with a dot", file("a./b.go", "")),
		of("a combining accent", file("e\u0301.go", "")),

		// Collisions.
		of("two files of one name", source, source),
		of("two files that differ by case", file("a.go", ""), file("A.go", "")),
		of("two files that differ by case, in a directory", file("d/a.go", ""), file("d/A.go", "")),
		of("two directories that differ by case", file("d/a.go", ""), file("D/b.go", "")),
		of("a directory entry and one that differs by case", file("d/", ""), file("D/", "")),
		of("a file and a directory", file("a", ""), file("a/b", "")),
		of("a directory and a file", file("a/b", ""), file("a", "")),
		of("a file and a directory that differ by case", file("a", ""), file("A/b", "")),
		of("a file and a directory entry", file("a", ""), file("a/", "")),
		of("the kelvin sign", file("k", ""), file("\u212a", "")),
		of("a long s", file("s", ""), file("\u017f", "")),
		of("sigmas", file("\u03c3", ""), file("\u03c2", "")),
		of("sharp s, two letters", file("stra\u00dfe", ""), file("strasse", "")),
		of("a dotless i", file("i", ""), file("\u0131", "")),

		// go.mod.
		of("go.mod in capitals", file("GO.MOD", "")),
		of("go.mod in both", goMod, file("Go.mod", "")),
		of("go.mod in a directory", goMod, file("a/go.mod", "")),
		of("go.mod in a directory, in capitals", file("a/Go.Mod", "")),
		of("go.mod larger than 16 MiB", file("go.mod", "", declare(16<<20+1))),
		of("LICENSE larger than 16 MiB", file("LICENSE", "", declare(16<<20+1))),
		of("more than 500 MiB in one file", file("a.go", "", declare(500<<20+1))),
		of("more than 500 MiB together", file("a.go", "", declare(250<<20)), file("b.go", "", declare(250<<20+1))),

		// Content that is not what the headers say.
		of("fewer bytes than declared, stored", file("a.go", long, func(e *entry) { e.size++ })),
		of("more bytes than declared, stored", file("a.go", long, func(e *entry) { e.size-- })),
		of("fewer bytes than declared, deflated", file("a.go", long, deflated, func(e *entry) { e.size++ })),
		of("more bytes than declared, deflated", file("a.go", long, deflated, func(e *entry) { e.size-- })),
		of("some bytes, declared to be none", file("a.go", long, deflated, func(e *entry) { e.size = 0 })),
		of("a wrong checksum, stored", file("a.go", long, func(e *entry) { e.crc++ })),
		of("a wrong checksum, deflated", file("a.go", long, deflated, func(e *entry) { e.crc++ })),
		of("a wrong checksum in the data descriptor", file("a.go", long, deflated, described, func(e *entry) { e.descriptor[4]++ })),
		of("a wrong checksum in the directory", file("a.go", long, deflated, described, func(e *entry) { e.crc++ })),
		of("a checksum of 0 in directory and data descriptor", file("a.go", long, deflated, func(e *entry) { e.crc = 0 }, described)),
		of("no data descriptor where there should be one", file("a.go", long, func(e *entry) { e.flags |= 1 << 3 })),
		of("deflated data that is not", file("a.go", long, func(e *entry) { e.method = 8 })),
		of("deflated data that is cut off", file("a.go", long, deflated, func(e *entry) { e.body, e.compressedSize = e.body[:9], 9 })),
		of("no deflated data", file("a.go", "", func(e *entry) { e.method = 8 })),
		of("a compression method that Go does not know", file("a.go", long, func(e *entry) { e.method = 12 })),
		of("a directory with content", file("a/", "content")),
		of("an encrypted entry", file("a.go", long, func(e *entry) { e.flags |= 1 })),

		// The container.
		bytesOf("nothing", []byte{}),
		bytesOf("text", []byte(strings.Repeat("This is not a zip. ", 10))),
		bytesOf("cut off", plain[:len(plain)-1]),
		bytesOf("no start", plain[10:]),
		bytesOf("bytes before the zip", append([]byte("#!/bin/sh\n"), plain...)),
		of("bytes before the zip, counted in its offsets", file("a.go", "", func(e *entry) {
			e.localSignature = "#!/bin/sh\n" + e.localSignature
			e.offset = 10
		})),
		bytesOf("bytes behind the zip", append(plain[:len(plain):len(plain)], "behind"...)),
		of("no local header", file("a.go", "", func(e *entry) { e.localSignature = "PK\x00\x00" })),
		of("a directory without a local header", goMod, file("a/", "", func(e *entry) { e.localSignature = "PK\x00\x00" })),
		of("a local header behind the end", file("a.go", "", func(e *entry) { e.offset = 1 << 20 })),
		of("content that reaches behind the end", file("a.go", "", func(e *entry) { e.compressedSize, e.size = 1<<20, 1<<20 })),
		of("entries that overlap", file("a.go", "", deflated), file("b.go", long, deflated), file("c.go", long, deflated, func(e *entry) { e.offset = sizeOf(file("a.go", "", deflated)) })),
		of("an extra field that is too long", file("a.go", "", func(e *entry) { e.extra = pack(uint16(0x5455), uint16(9), "short") })),
		of("a zip64 field that is too short", file("a.go", long, zip64Sizes(uint64(len(long)), 0), func(e *entry) { e.extra = pack(uint16(1), uint16(8), e.extra[4:12]) })),
		of("zip64 sizes that are huge", file("a.go", long, zip64Sizes(1<<63, 1<<63))),
		bytesOf("more headers than the end record counts", archive(both, func(z *end) { z.count-- })),
		bytesOf("fewer headers than the end record counts", archive(both, func(z *end) { z.count++ })),
		bytesOf("a directory that is longer than the end record says", archive(both, func(z *end) { z.size-- })),
		bytesOf("a zip64 record that is not where its locator says", archive(both, func(z *end) {
			z.before = zip64Records(*z, z.offset)
			z.count = 0xffff
		})),
		bytesOf("a zip64 record that counts more entries than can be", archive(nil, func(z *end) {
			z.before = zip64Records(end{count: 0xffff}, 0)
			copy(z.before[32:], pack(uint64(1<<40)))
			z.count = 0xffff
		})),
		// archive/zip takes the directory to end where the end record begins, and moves all offsets by the difference.
		bytesOf("two directories, by the size in the end record", twoDirectories(betweenDirectories, func(z *end, hidden end) {
			z.size += z.offset - hidden.offset
		})),
		bytesOf("two directories, by a zip64 record that nothing asks for", twoDirectories(0, func(z *end, hidden end) {
			z.before = zip64Records(hidden, z.offset+z.size)
		})),
	}
}

// unicodePath is the field by which Info-ZIP gives the name in UTF-8 when the header has it in another encoding.
func unicodePath(name string) func(*entry) {
	return func(e *entry) {
		field := pack("\x01", checksum(e.name), prefix+name)
		e.extra = pack(uint16(0x7075), uint16(len(field)), field)
	}
}

func zip64Sizes(size, compressedSize uint64) func(*entry) {
	return func(e *entry) {
		e.size, e.compressedSize = 0xffffffff, 0xffffffff
		e.extra = pack(uint16(1), uint16(16), size, compressedSize)
	}
}

func appendBody(more string) func(*entry) {
	return func(e *entry) {
		e.body = append(e.body, more...)
		e.compressedSize += uint32(len(more))
	}
}

// declare makes the directory claim a size. Deflated, because a stored entry has one size only.
func declare(size uint32) func(*entry) {
	return func(e *entry) {
		deflated(e)
		e.size = size
	}
}

func sizeOf(e entry) uint32 {
	z := archive([]entry{e})
	return uint32(len(z)) - endSize - headerSize - uint32(len(e.name))
}

// twoDirectories is a zip that shows one file and holds the directory of another, hidden one. In the hidden directory
// the file is at base.
func twoDirectories(base uint32, edit func(z *end, hidden end)) []byte {
	zip := archive([]entry{hiddenFile})
	zip = zip[:len(zip)-endSize]
	directory := end{count: 1, offset: sizeOf(hiddenFile), size: uint32(len(zip)) - sizeOf(hiddenFile)}
	binary.LittleEndian.PutUint32(zip[directory.offset+42:], base)
	shown := shownFile
	shown.offset = uint32(len(zip))
	return append(zip, archive([]entry{shown}, func(z *end) {
		z.offset += shown.offset
		edit(z, directory)
	})...)
}

var (
	hiddenFile = file("hidden.go", "package hidden\n")
	shownFile  = file("shown.go", "package shown\n")
	// betweenDirectories is how far the hidden directory is in front of the other.
	betweenDirectories = headerSize + uint32(len(hiddenFile.name)) + sizeOf(shownFile)
)
