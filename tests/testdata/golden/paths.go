package main

import "golang.org/x/mod/module"

var modulePaths = []string{
	// Whole paths.
	"", ".", "..", "/", "//", "-", "~", "a", "a.b", "a.", ".a", "x.y", "x.y/", "/x.y", "x.y//z", "x.y/z/", "x.y/z//",
	"x.y/./z", "x.y/../z", "x.y/.../z", "x.y/z/..", "./x.y", "../x.y", "x.y/.z", "x.y/z.", "x.y/z..", "x.y/z..w",
	"x.y/.git", "x.y/_", "x.y/-", "x.y/-z", "x.y/z-", "x.y/_z", "x.y/~z", "x.y/z~", "x.y/z w", " x.y/z", "x.y/z ",
	"x.y/z\n", "x.y/\tz", "x.y/z\x00", "x.y/z\x7f", `x.y\z`, "x.y/z@v1.0.0", "x.y/z+w", "x.y/z%20w", "x.y/z!w", "x.y/!z",
	"x.y/z:w", "x.y:8080/z", "https://x.y/z", "user@x.y/z", "x.y/z?w=1", "x.y/z#w", "x.y/(z)", "x.y/[z]", "x.y/{z}",
	"x.y/z,w", "x.y/z;w", "x.y/z=w", "x.y/z'w", "x.y/z\"w", "x.y/z`w", "x.y/z*", "x.y/<z>", "x.y/z|w", "x.y/z^w", "x.y/$z", "x.y/z&w",
	"github.com/Azure/azure-sdk-for-go", "github.com/a/b", "GitHub.com/a/b", "example.com/UPPER/Mixed_Case.go",
	"localhost/z", "localhost", "com/x.y", "x_y.z/w", "x~y.z/w", "-x.y/z", "x-.y/z", "x.-y/z", "127.0.0.1/z", "1.2", "0.0/0",
	"cmd", "std", "unsafe", "fmt", "main", "golang.org/toolchain", "golang.org/x/mod", "rsc.io/quote/v3",
	// Other scripts, and characters that look like what they are not.
	"x.y/\u00e9", "x.y/e\u0301", "\u00fc.de/z", "x.y/\u4e16\u754c", "x.y/\U0001f600", "x.y/\u200bz", "x.y/\ufeffz", "x.y/z\u00a0", "x.y/\u2215z",
	"x.y/\u212aelvin", "x.y/\u017fz", "x.y/\uff21", "x.y/\u0660", "x.y/\ufffd",
	// Windows names.
	"x.y/con", "x.y/CON", "x.y/cOn", "x.y/con.txt", "x.y/con.tar.gz", "x.y/.con", "x.y/xcon", "x.y/con_", "x.y/con-", "x.y/con~", "x.y/con~1",
	"x.y/prn/z", "x.y/aux.z/w", "x.y/nul", "x.y/NUL.", "x.y/com", "x.y/com0", "x.y/com1", "x.y/COM9", "x.y/com10", "x.y/com1.z",
	"x.y/lpt0", "x.y/lpt1", "x.y/LPT9/z", "x.y/lpt10", "x.y/conin$", "x.y/clock$", "con.x/z", "aux.com/z", "com1.example/z", "nul.nul/nul", "x.y/\u212aon",
	// Windows short names.
	"x.y/z~1", "x.y/z~12", "x.y/z~0", "x.y/z~1x", "x.y/z~x1", "x.y/~1", "x.y/~", "x.y/z~~1", "x.y/z~1~", "x.y/z~1.w", "x.y/z.w~1", "x.y/z.~1", "x.y/z~1/w",
	"x~1.y/z", "x.y~1/z", "x.y/longer~1",
	// Major versions.
	"x.y/v0", "x.y/v1", "x.y/v2", "x.y/v9", "x.y/v10", "x.y/v01", "x.y/v02", "x.y/v00", "x.y/v2.", "x.y/v2.0", "x.y/v2.3", "x.y/v.2", "x.y/v.", "x.y/v1.2.3",
	"x.y/v", "x.y/V2", "x.y/v2x", "x.y/xv2", "x.y/v-2", "x.y/v2-0", "x.y/v_2", "x.y/v+2", "x.y/vv2", "x.y/2", "x.y/2.0", "x.y/v2/z", "x.y/v1/z", "x.y/v0/v2", "x.y/v2/v3", "x.y/v2/v1",
	"x.y/v99999999999999999999", "x.y/v9007199254740993", "x.y/v\u0662", "x.yv2", "x.v2", "v2.x", "v2", "/v2", "x.y/z.v2", "x.y/z.v1", "x.y/z.v2-unstable", "x.y/z/v2-unstable",
	// gopkg.in.
	"gopkg.in", "gopkg.in/", "gopkg.in/z", "gopkg.in/yaml.v2", "gopkg.in/yaml.v0", "gopkg.in/yaml.v1", "gopkg.in/yaml.v01", "gopkg.in/yaml.v00", "gopkg.in/yaml.v10", "gopkg.in/yaml.v",
	"gopkg.in/user/z.v3", "gopkg.in/z.v2-unstable", "gopkg.in/z.v0-unstable", "gopkg.in/z.v1-unstable", "gopkg.in/z.v01-unstable", "gopkg.in/z.v-unstable", "gopkg.in/z.v2-unstable-unstable",
	"gopkg.in/z.v2-UNSTABLE", "gopkg.in/z.v2.3", "gopkg.in/z.v2/w", "gopkg.in/z/v2", "gopkg.in/z-v2", "gopkg.in/zv2", "gopkg.in/.v2", "gopkg.in/v2", "gopkg.in/z.V2", "gopkg.in/z.v2/v3",
	"gopkg.in/z.w.v2", "gopkg.in/z.v1.v2", "gopkg.in/z.v99999999999999999999", "xgopkg.in/z", "gopkg.in.x/z", "gopkg.inx/z.v2", "gopkg.in/z.v2-", "gopkg.in/-z.v2", "gopkg.in/Z.v2",
}

var filePaths = []string{
	"", ".", "..", "/", "//", "a", "A", "-", "-a", ".a", "a.", "a..", ".gitignore", "..a", "a..b", "...", "a/b", "a//b", "/a", "a/", "a/./b", "a/../b", "a/.b", "a/b.", "-a/-b",
	"README.md", "go.mod", "GO.MOD", "a b", " a", "a ", "a\tb", "a\nb", "a\x00b", "a\x7fb", `a\b`, "a:b", "a*b", "a?b", "a<b", "a>b", "a|b", "a\"b", "a'b", "a`b", "a;b",
	"!#$%&()+,-.=@[]^_{}~ ", "a@v1.0.0", "a,b", "a=b", "[id].tsx", "{a}", "~", "a~1", "a~1.txt", "PROGRA~1", "v1", "x/v1", "x/v01",
	"\u00e9", "e\u0301", "\u4e16\u754c.go", "\u0645\u0644\u0641", "\u212a", "\u017f", "\u0660", "\u00b2", "\u00aa", "\u02b0", "\U0001f600", "a\u200bb", "a\u00a0b", "\ufeffa", "\ufffd", "\U00010400", "\U0002a6d6", "\u3400", "\u2160", "\u24b6",
	"con", "CON", "con.go", "Con.tar.gz", "a/con/b", "a/con.d/b", "acon", "con_", "con ", "con .txt", "aux", "prn", "nul", "com0", "com1", "com9.log", "com10", "lpt1", "lpt9", "lpt0", "com\u00b9", "conin$", "\u0441on", "nul.", ".con", "a.con",
}

type pathVector struct {
	Input   string  `json:"input"`
	Reason  string  `json:"reason"`  // of CheckPath
	Escaped *string `json:"escaped"` // by EscapePath
	// Prefix and PathMajor by SplitPathVersion; null if it is not ok.
	Prefix    *string `json:"prefix"`
	PathMajor *string `json:"pathMajor"`
}

type filePathVector struct {
	Input  string `json:"input"`
	Reason string `json:"reason"` // of CheckFilePath
}

type pathMajorVector struct {
	PathMajor string   `json:"pathMajor"`
	Fits      []string `json:"fits"` // the versions for which CheckPathMajor has no error
	Unfit     []string `json:"unfit"`
}

func pathVectors() any {
	var paths []pathVector
	for _, input := range modulePaths {
		escaped, escapeErr := module.EscapePath(input)
		vector := pathVector{
			Input:   input,
			Reason:  reason(module.CheckPath(input)),
			Escaped: orNull(escaped, escapeErr),
		}
		if prefix, pathMajor, ok := module.SplitPathVersion(input); ok {
			vector.Prefix, vector.PathMajor = &prefix, &pathMajor
		}
		paths = append(paths, vector)
	}
	var files []filePathVector
	for _, input := range filePaths {
		files = append(files, filePathVector{input, reason(module.CheckFilePath(input))})
	}
	var majors []pathMajorVector
	for _, pathMajor := range []string{"", "/v2", "/v3", "/v10", ".v0", ".v1", ".v2", ".v1-unstable", ".v2-unstable", ".v-unstable"} {
		vector := pathMajorVector{PathMajor: pathMajor, Fits: []string{}, Unfit: []string{}}
		for _, version := range majorVersions {
			if module.MatchPathMajor(version, pathMajor) {
				vector.Fits = append(vector.Fits, version)
			} else {
				vector.Unfit = append(vector.Unfit, version)
			}
		}
		majors = append(majors, vector)
	}
	return map[string]any{"modulePaths": paths, "filePaths": files, "pathMajors": majors}
}

var majorVersions = []string{
	"", "main", "v", "v0", "v1", "v2", "v1.2", "v2.0", "v0.0.0", "v0.1.0", "v1.0.0", "v1.0.0-pre", "v1.0.0+meta", "v1.0.0+incompatible", "v2.0.0", "v2.0.0-pre", "v2.0.0+incompatible", "v2.0.0+meta",
	"v2.0.0-pre+incompatible", "v2.0.0+incompatible.x", "v3.4.5", "v10.0.0", "v10.0.0+incompatible", "v02.0.0", "2.0.0",
	"v0.0.0-20260102030405-abcdef123456", "v0.0.0-pre", "v0.0.0-", "v1.0.0-20260102030405-abcdef123456", "v2.0.0-20260102030405-abcdef123456", "v2.0.1-0.20260102030405-abcdef123456+incompatible",
}
