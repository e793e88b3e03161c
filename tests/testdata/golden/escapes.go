package main

import "golang.org/x/mod/module"

var escapedPaths = []string{
	"", "!", "!!", "x.y/z", "x.y/!z", "x.y/!z!w", "x.y/z!", "x.y/!", "x.y/!!z", "x.y/!Z", "x.y/Z", "X.y/z", "!x.y/z", "x.y/!1", "x.y/!-", "x.y/! z", "x.y/!/z", "x.y/z!w", "x.y!/z",
	"github.com/!azure/azure-sdk-for-go", "github.com/!google!cloud!platform/cloudsql-proxy", "github.com/Azure/azure-sdk-for-go", "github.com/%21azure/z", "x.y/\u00e9", "x.y/!\u00e9", "x.y/\u212a",
	"x.y//z", "x.y/z/", "/x.y", "x.y/../z", "x.y/v1", "x.y/v2", "x.y/!v2", "x.y/!c!o!n", "x.y/!con", "x.y/z~1", "gopkg.in/!z.v2", "gopkg.in/!z", "x.y/z@v1.0.0", "x.y/a+b", "x.y/a b", "x.y/a\x00", "x.y/a\n",
}

var escapedVersions = []string{
	"", "!", "!!", "v1.0.0", "v1.0.0-!r!c1", "v1.0.0-RC1", "v1.0.0-!", "v1.0.0-!1", "v1.0.0-!R", "v1.2.3+incompatible", "v1.2.3+!meta", "main", "!m!a!i!n", "latest", "abcdef123456", "feature/x", "a/b", "a\\b",
	".", "..", "...", ".a", "a.", "-a", "--upload-pack=x", "a b", " ", "a\x00b", "a\nb", "a:b", "a*b", "a@b", "a{b}", "a^b", "a~1", "HEAD~1", "!h!e!a!d", "con", "!c!o!n", "con.x", "nul", "com1", "\u00e9", "\u212a", "v1.0.0\u00e9", "a%20b", "a,b", "a=b", "a;b", "a'b", "a\"b", "a`b", "a<b", "a|b", "a?b", "#", "$a", "(a)", "[a]",
}

var plainVersions = []string{
	"", "v1.0.0", "v1.0.0-RC1", "v1.0.0-Rc.One", "v1.2.3+incompatible", "v1.2.3+Meta", "main", "MAIN", "Feature", "feature/x", "/", "a/", "!", "a!b", ".", "..", ".a", "a.", "-a", "a b", "a\x00b", "a\nb", "a:b", "a~1", "HEAD~1", "HEAD^", "HEAD^{}", "@", "con", "CON.x", "com9", "lpt0", "\u00e9", "v1\u00e9", "\u212a", "\U0001f600", "a\\b", "a*b",
}

type unescapeVector struct {
	Input string  `json:"input"`
	Want  *string `json:"want"`
}

func vectorsOf(inputs []string, f func(string) (string, error)) []unescapeVector {
	var vectors []unescapeVector
	for _, input := range inputs {
		vectors = append(vectors, unescapeVector{input, orNull(f(input))})
	}
	return vectors
}

func escapeVectors() any {
	return map[string]any{
		"unescapePath":    vectorsOf(escapedPaths, module.UnescapePath),
		"unescapeVersion": vectorsOf(escapedVersions, module.UnescapeVersion),
		"escapeVersion":   vectorsOf(plainVersions, module.EscapeVersion),
	}
}
