package main

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
)

// Sizes of the end record and of a header in the directory, without the texts at their ends.
const (
	endSize    = 22
	headerSize = 46
)

// An entry is one file of a zip, field by field, so that every field can be wrong. The directory and the local header
// have the same fields, but for the signature.
type entry struct {
	name           string
	flags          uint16
	method         uint16
	crc            uint32
	compressedSize uint32
	size           uint32
	extra          []byte
	comment        string
	attributes     uint32
	offset         uint32 // of the local header; filled in where it is 0

	localSignature string
	body           []byte
	descriptor     []byte
}

// An end is the end record and what stands between it and the directory.
type end struct {
	count   uint16
	size    uint32
	offset  uint32
	comment string
	before  []byte // zip64 records
}

// file is a stored entry of the module's, or what edits make of it.
func file(name, content string, edits ...func(*entry)) entry {
	return raw(prefix+name, content, edits...)
}

// raw is a stored entry whose name is name and nothing else.
func raw(name, content string, edits ...func(*entry)) entry {
	e := entry{
		name:           name,
		flags:          1 << 11, // the name is UTF-8
		crc:            checksum(content),
		compressedSize: uint32(len(content)),
		size:           uint32(len(content)),
		localSignature: "PK\x03\x04",
		body:           []byte(content),
	}
	for _, edit := range edits {
		edit(&e)
	}
	return e
}

func deflated(e *entry) {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestCompression)
	w.Write(e.body)
	w.Close()
	e.method = 8
	e.body = out.Bytes()
	e.compressedSize = uint32(out.Len())
}

func described(e *entry) {
	e.flags |= 1 << 3
	e.descriptor = pack("PK\x07\x08", e.crc, e.compressedSize, e.size)
}

// archive lays out a zip: entries, directory, end.
func archive(entries []entry, edits ...func(*end)) []byte {
	var out, directory bytes.Buffer
	for _, e := range entries {
		if e.offset == 0 {
			e.offset = uint32(out.Len())
		}
		fields := pack(uint16(20), e.flags, e.method, uint32(0), e.crc, e.compressedSize, e.size, uint16(len(e.name)))
		directory.Write(pack("PK\x01\x02", uint16(3<<8|20), fields, uint16(len(e.extra)), uint16(len(e.comment)),
			uint32(0), e.attributes, e.offset, e.name, e.extra, e.comment))
		out.Write(pack(e.localSignature, fields, uint16(0), e.name, e.body, e.descriptor))
	}
	z := end{count: uint16(len(entries)), size: uint32(directory.Len()), offset: uint32(out.Len())}
	for _, edit := range edits {
		edit(&z)
	}
	out.Write(directory.Bytes())
	out.Write(pack(z.before, "PK\x05\x06", uint32(0), z.count, z.count, z.size, z.offset, uint16(len(z.comment)), z.comment))
	return out.Bytes()
}

// zip64 moves what the end record says about the directory to a zip64 record.
func zip64(z *end) {
	z.before = zip64Records(*z, z.offset+z.size)
	z.count, z.size, z.offset = 0xffff, 0xffffffff, 0xffffffff
}

// zip64Records says in a zip64 record at offset what z says, and adds the locator of that record.
func zip64Records(z end, offset uint32) []byte {
	return pack("PK\x06\x06", uint64(44), uint16(45), uint16(45), uint32(0), uint32(0), uint64(z.count), uint64(z.count),
		uint64(z.size), uint64(z.offset), "PK\x06\x07", uint32(0), uint64(offset), uint32(1))
}

// pack writes strings and bytes as they are, and numbers in little-endian order.
func pack(values ...any) []byte {
	var out []byte
	for _, value := range values {
		switch v := value.(type) {
		case string:
			out = append(out, v...)
		case []byte:
			out = append(out, v...)
		case uint16:
			out = binary.LittleEndian.AppendUint16(out, v)
		case uint32:
			out = binary.LittleEndian.AppendUint32(out, v)
		case uint64:
			out = binary.LittleEndian.AppendUint64(out, v)
		default:
			panic("pack: not a number, string or bytes")
		}
	}
	return out
}

func checksum(text string) uint32 {
	return crc32.ChecksumIEEE([]byte(text))
}
