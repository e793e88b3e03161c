package main

import (
	"log"
	"time"

	"golang.org/x/mod/module"
)

var pseudoVersions = []string{
	// Pseudo-versions.
	"v0.0.0-20260102030405-abcdef123456", "v1.0.0-20260102030405-abcdef123456", "v2.0.0-20260102030405-abcdef123456", "v10.0.0-20260102030405-abcdef123456", "v99999999999999999999.0.0-20260102030405-abcdef123456",
	"v0.0.1-0.20260102030405-abcdef123456", "v1.2.3-0.20260102030405-abcdef123456", "v1.0.0-0.20260102030405-abcdef123456", "v1.2.0-0.20260102030405-abcdef123456", "v1.2.10-0.20260102030405-abcdef123456", "v1.2.100-0.20260102030405-abcdef123456", "v1.2.1000000000000000000000-0.20260102030405-abcdef123456",
	"v1.2.3-pre.0.20260102030405-abcdef123456", "v1.2.3-rc.1.0.20260102030405-abcdef123456", "v1.2.3-0.0.20260102030405-abcdef123456", "v1.2.3-0.0.0.20260102030405-abcdef123456", "v1.2.3-a-b.0.20260102030405-abcdef123456", "v1.0.0-pre.0.20260102030405-abcdef123456", "v1.2.3--.0.20260102030405-abcdef123456",
	"v1.2.3-20200101000000-abcdefabcdef.0.20260102030405-abcdef123456", "v0.0.0-20200101000000-abcdefabcdef.0.20260102030405-abcdef123456", "v1.2.3-0.20200101000000-abcdefabcdef.0.20260102030405-abcdef123456",
	"v2.0.1-0.20260102030405-abcdef123456+incompatible", "v2.0.0-20260102030405-abcdef123456+incompatible", "v2.0.0-pre.0.20260102030405-abcdef123456+incompatible", "v2.0.0-0.20260102030405-abcdef123456+incompatible", "v1.2.4-0.20260102030405-abcdef123456+meta", "v1.2.4-0.20260102030405-abcdef123456+a.b-c.01", "v0.0.0-20260102030405-abcdef123456+meta",
	"v0.0.0-20260102030405-a", "v0.0.0-20260102030405-0", "v0.0.0-20260102030405-00", "v0.0.0-20260102030405-ABCDEF", "v0.0.0-20260102030405-zzz", "v0.0.0-20260102030405-abcdef1234567890abcdef1234567890abcdef12", "v0.0.0-20260102030405-000000000000",
	// With a time that is none.
	"v0.0.0-00000000000000-abcdef123456", "v0.0.0-00010101000000-000000000000", "v0.0.0-00000101000000-abcdef123456", "v0.0.0-99991231235959-abcdef123456", "v0.0.0-99999999999999-abcdef123456", "v0.0.0-20261301000000-abcdef123456", "v0.0.0-20260001000000-abcdef123456", "v0.0.0-20260100000000-abcdef123456", "v0.0.0-20260230000000-abcdef123456", "v0.0.0-20250229000000-abcdef123456", "v0.0.0-20240229000000-abcdef123456", "v0.0.0-19000229000000-abcdef123456", "v0.0.0-20000229000000-abcdef123456", "v0.0.0-20260431000000-abcdef123456", "v0.0.0-20260102240000-abcdef123456", "v0.0.0-20260102236000-abcdef123456", "v0.0.0-20260102235960-abcdef123456", "v0.0.0-20260102235959-abcdef123456", "v0.0.0-19691231235959-abcdef123456", "v0.0.0-00991231235959-abcdef123456",
	// Of another shape.
	"", "v0.0.0", "v1.2.3", "v1.2.3-pre", "v0.0.0-20260102030405", "v0.0.0-2026010203040-abcdef123456", "v0.0.0-202601020304055-abcdef123456", "v0.0.0-20260102030405-", "v0.0.0-20260102030405-abc-def", "v0.0.0-20260102030405-abc.def", "v0.0.0-20260102030405-abc_def", "v0.0.0.20260102030405-abcdef123456", "v0.0.0-x20260102030405-abcdef123456", "v0.0.0-20260102T030405-abcdef123456",
	"v0.0-20260102030405-abcdef123456", "v0-20260102030405-abcdef123456", "0.0.0-20260102030405-abcdef123456", "v00.0.0-20260102030405-abcdef123456", "v0.1.0-20260102030405-abcdef123456", "v1.2.3-20260102030405-abcdef123456", "v1.0.1-20260102030405-abcdef123456", "v1.2.3-pre.20260102030405-abcdef123456", "v1.2.3-pre-20260102030405-abcdef123456", "v1.2.3-1.20260102030405-abcdef123456", "v1.2.3-pre0.20260102030405-abcdef123456", "v1.2.3-pre.00.20260102030405-abcdef123456", "v1.2.3-pre.0-20260102030405-abcdef123456", "v1.2.3-0-20260102030405-abcdef123456", "v1.2.3-0.0.0-20260102030405-abcdef123456", "v1.2.03-0.20260102030405-abcdef123456", "v1.2.3-01.0.20260102030405-abcdef123456", "v1.2.3-..0.20260102030405-abcdef123456",
	"v0.0.0-20260102030405-abcdef123456+", "v0.0.0-20260102030405-abcdef123456+a..b", "v0.0.0-20260102030405-abcdef123456+a+b", "v1.2.3+meta-0.20260102030405-abcdef123456", "v1.2.3+20260102030405-abc-def", "v0.0.0-20260102030405-abcdef123456\n", " v0.0.0-20260102030405-abcdef123456", "v0.0.0-\u0662\u0660260102030405-abcdef123456", "main", "abcdef123456",
}

// made by PseudoVersion. The last column of an input is the commit's time.
var pseudoVersionInputs = [][4]string{
	{"", "", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v0", "", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v1", "", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v2", "", "abcdef123456", "2026-01-02T03:04:05+05:30"},
	{"v2", "", "abcdef123456", "2026-01-02T03:04:05.999999999Z"},
	{"", "", "abcdef123456", "1969-12-31T23:59:59Z"},
	{"", "", "abcdef123456", "0001-01-01T00:00:00Z"},
	{"", "", "abcdef123456", "9999-12-31T23:59:59Z"},
	{"", "v0.0.0", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v1", "v1.2.3", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v1", "v1.2", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v1", "v1", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v1", "v1.2.9", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v1", "v1.2.99", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v1", "v1.2.9007199254740992", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v1", "v1.2.99999999999999999999999", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v1", "v1.2.3-pre", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v1", "v1.2.3-0", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v1", "v1.2.3-rc.1", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v1", "v1.2.3+meta", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v1", "v1.2.3-pre+meta.01", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v2", "v2.0.0+incompatible", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v2", "v2.0.0-pre+incompatible", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v3", "v1.2.3", "abcdef123456", "2026-01-02T03:04:05Z"}, // The base decides.
	{"v1", "nonsense", "abcdef123456", "2026-01-02T03:04:05Z"},
	{"v1", "v1.2.3-0.20250102030405-aaaaaaaaaaaa", "abcdef123456", "2026-01-02T03:04:05Z"},
}

type pseudoVersionVector struct {
	Input    string  `json:"input"`
	Is       bool    `json:"is"`
	Base     *string `json:"base"`
	Time     *string `json:"time"`
	Revision *string `json:"revision"`
}

type madePseudoVersion struct {
	Major    string `json:"major"`
	Base     string `json:"base"`
	Revision string `json:"revision"`
	Time     string `json:"time"`
	Want     string `json:"want"`
}

func pseudoVersionVectors() any {
	var vectors []pseudoVersionVector
	for _, input := range pseudoVersions {
		t, timeErr := module.PseudoVersionTime(input)
		vectors = append(vectors, pseudoVersionVector{
			Input:    input,
			Is:       module.IsPseudoVersion(input),
			Base:     orNull(module.PseudoVersionBase(input)),
			Time:     orNull(t.Format(time.RFC3339), timeErr),
			Revision: orNull(module.PseudoVersionRev(input)),
		})
	}
	var made []madePseudoVersion
	for _, row := range pseudoVersionInputs {
		t, err := time.Parse(time.RFC3339Nano, row[3])
		if err != nil {
			log.Fatal(err)
		}
		made = append(made, madePseudoVersion{row[0], row[1], row[2], row[3], module.PseudoVersion(row[0], row[1], t, row[2])})
	}
	return map[string]any{"parse": vectors, "format": made}
}
