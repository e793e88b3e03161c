package main

import (
	"fmt"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A foldTable is what Go's unicode package says about case, over all runes. Each list is one string, with spaces between.
type foldTable struct {
	GoVersion      string `json:"goVersion"`
	UnicodeVersion string `json:"unicodeVersion"`
	// Classes are the sets of two or more runes that strings.EqualFold takes for one.
	Classes string `json:"classes"`
	// Unassigned are the ranges "first-last", in hex, for which this version of Unicode has no character.
	Unassigned string `json:"unassigned"`
}

func newFoldTable() foldTable {
	return foldTable{
		GoVersion:      runtime.Version(),
		UnicodeVersion: unicode.Version,
		Classes:        strings.Join(foldClasses(), " "),
		Unassigned:     strings.Join(unassignedRanges(), " "),
	}
}

func foldClasses() (classes []string) {
	seen := map[rune]bool{}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) || seen[r] || unicode.SimpleFold(r) == r {
			continue
		}
		class := string(r)
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			class += string(next)
			seen[next] = true
		}
		classes = append(classes, class)
	}
	return classes
}

func unassignedRanges() (ranges []string) {
	for first := rune(0); first <= unicode.MaxRune; first++ {
		if !unicode.Is(unicode.Cn, first) {
			continue
		}
		last := first
		for last < unicode.MaxRune && unicode.Is(unicode.Cn, last+1) {
			last++
		}
		ranges = append(ranges, fmt.Sprintf("%x-%x", first, last))
		first = last
	}
	return ranges
}
