package main

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/mod/module"
)

// characterVectors says of every ASCII character where it may stand. Beyond
// ASCII, all that Go's Unicode tables know is either a letter or another
// character: ranges of code points in hexadecimal, both ends included.
func characterVectors() any {
	return map[string]any{
		"inFirstElement": allowed(func(c string) error { return module.CheckPath("a" + c + "z.b") }),
		"inPathElement":  allowed(func(c string) error { return module.CheckPath("x.y/a" + c + "z") }),
		"inFileName":     allowed(func(c string) error { return module.CheckFilePath("a" + c + "z") }),
		"inVersion": allowed(func(c string) error {
			_, err := module.EscapeVersion("a" + c + "z")
			return err
		}),
		"unicodeVersion": unicode.Version,
		"letters":        ranges(fitsFileName),
		"others":         ranges(func(r rune) bool { return isAssigned(r) && !fitsFileName(r) }),
	}
}

func allowed(check func(string) error) string {
	var characters strings.Builder
	for r := rune(0); r < 128; r++ {
		if check(string(r)) == nil {
			characters.WriteRune(r)
		}
	}
	return characters.String()
}

func ranges(contains func(rune) bool) string {
	var out []string
	for r := rune(128); r <= unicode.MaxRune; r++ {
		if !contains(r) {
			continue
		}
		first := r
		for r < unicode.MaxRune && contains(r+1) {
			r++
		}
		out = append(out, fmt.Sprintf("%x-%x", first, r))
	}
	return strings.Join(out, " ")
}

func fitsFileName(r rune) bool {
	return module.CheckFilePath("a"+string(r)+"z") == nil
}

// isAssigned reports whether r is a character, a lone surrogate not being one.
func isAssigned(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf, unicode.Co)
}
