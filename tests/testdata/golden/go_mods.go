package main

import (
	"strings"

	"golang.org/x/mod/modfile"
)

var goMods = []string{
	// The module line.
	"module example.com/m\n",
	"module example.com/m",
	"module example.com/m\r\n\r\ngo 1.24\r\n",
	"\n\n  module\texample.com/m  \n",
	"// A comment\n// and another\nmodule example.com/m // why\n",
	"module example.com/m//why\n",
	"module example.com/m/ /why\n",
	"module \"example.com/m\"\n",
	"module \"example.com/m\" // why\n",
	"module \"example.com/\\x6d\"\n",
	"module \"example.com/\\u006d\\155\"\n",
	"module \"example.com/\\q\"\n",
	"module \"example.com/m\n",
	"module \"example.com/m\" x\n",
	"module \"\"\n",
	"module `example.com/m`\n",
	"module `example.com/m` // why\n",
	"module `example.com/m\n`\n",
	"module 'example.com/m'\n",
	"module example.com/\"m\"\n",
	"module \"example.com//m\"\n",
	"module `example.com//m`\n",
	"module (\n\texample.com/m\n)\n",
	"module ( // why\n\t// more\n\n\texample.com/m // why\n)\ngo 1.24\n",
	"module (\n\t\"example.com/m\"\n)\n",
	"module (\n\texample.com/m\n\texample.com/n\n)\n",
	"module (\n)\n",
	"module ()\n",
	"module ( )\ngo 1.24\n",
	"module () // why\n",
	"module () x\n",
	"module ( example.com/m )\n",
	"module (\n\texample.com/m\n",
	"module (\n\texample.com/m )\n)\n",
	"module (\n\texample.com/m\n) x\n",
	"module x (\n\texample.com/m\n)\n",
	"module\n",
	"module \n",
	"module // why\n",
	"module\texample.com/m\n",
	"module\"example.com/m\"\n",
	"modulexample.com/m\n",
	"modules example.com/m\n",
	"Module example.com/m\n",
	"module example.com/m example.com/n\n",
	"module example.com/m v1.0.0\n",
	"module example.com/m\nmodule example.com/n\n",
	"module example.com/m\nmodule example.com/m\n",
	"module example.com/m/v2\n",
	"module gopkg.in/yaml.v3\n",
	"module m\n",
	"module ../m\n",
	"module example.com/m@v1.0.0\n",
	"module example.com/\u00e9\n",
	"module example.com/[m]\n",
	"module example.com/m,n\n",
	"module [\n",
	"module example.com/m\x00\n",
	"module example.com/m\x0b\n",
	"module example.com/m\u00a0\n",
	"module example.com/m\u200b\n",
	"module \u2028example.com/m\n",
	"\ufeffmodule example.com/m\n",
	"\ufeff\nmodule example.com/m\n",
	"module example.com/m\rgo 1.24\n",
	"/* why */ module example.com/m\n",
	"module example.com/m /* why */\n",
	"module example.com/m/*why*/\n",
	"//module example.com/n\nmodule example.com/m\n",
	"require (\n\tmodule v1.0.0\n)\nmodule example.com/m\n",
	"replace (\n\tmodule => ../m\n)\nmodule example.com/m\n",
	"go 1.24\nmodule example.com/m\n",
	// The first line that starts with module, where the rest is no go.mod.
	"module\n\"\nmodule example.com/m\n",
	"module \nmodule example.com/m\n\"",
	"module // why\nmodule example.com/m\n\"",
	"modules x\n\"\nmodule example.com/m\n",
	"\"\n\u00a0\v\f\u2003module\u0085\u3000example.com/m\u00a0\v\r\n",
	"\"\n\ufeffmodule example.com/m\n",
	"\"\nmodule example.com/m\ufeff\n",
	"\"\nx module example.com/m\n",
	"\"\nmodule example.com/m\u2028go 1.24\n",
	"\"\nmodule example.com/m x // why // not\n",
	"\"\nmodule \"example.com/m\" x\n",
	"\"\nmodule \"example.com//m\"\nmodule example.com/m\n",
	"\"\nmodule \"example.com/\\x6d\"\n",
	"\"\nmodule `example.com/m`\n",
	"\"\nmodule ``\nmodule example.com/m\n",
	"\"\nmodule 'example.com/m'\n",
	"\"\nmodule /x\n",
	"\"\nmodule (\n\texample.com/m\n)\n",
	// The go line.
	"", "\n", "// only a comment", "go 1.24\n", "go 1.24", "go 1.21rc2\n", "go 1.23.0\n", "go 1.23.0-x\n", "go 1.24 // why\n", "go \"1.24\"\n", "go v1.24\n", "go v1.24.1x\n", "go 1\n", "go 2\n", "go 1.x\n", "go 1.024\n", "go 01.24\n", "go 1.24.\n", "go 1.24.01\n", "go 1.24.0.1\n", "go 1.24beta\n", "go 1.24-pre\n", "go go1.24\n", "go 1.24 1.25\n", "go\n", "go 1.20\ngo 1.24\n", "go (\n\t1.24\n)\n", "go ()\n", "go default\n", "go 0.9\n", "go 1.99999999999999999999\n", "go 1.24\n)\n", "go 1.24\u00e9\n",
	"go 1.20\ngo (\n\t1.24\n)\n", "go 1.24,\n", "go ,\n", "toolchain go1.24.0\ngo 1.24\n", "toolchain nonsense here\ngo 1.24\n",
	// retract
	"module example.com/m\nretract v1.0.0\n",
	"module example.com/m\nretract v1.0.0 // why\n",
	"module example.com/m\nretract [v1.0.0, v1.1.0]\n",
	"module example.com/m\nretract [v1.0.0,v1.1.0]// why\n",
	"module example.com/m\nretract [ v1.0.0 , v1.1.0 ] x y z\n",
	"module example.com/m\nretract (\n\tv1.0.0 // why\n\n\t// more\n\t[v1.1.0, v1.2.0]\n\t\"v1.3.0\"\n)\nretract v1.4.0\n",
	"module example.com/m\nretract()\nretract (\n)\n",
	"module example.com/m\nretract\n",
	"module example.com/m\nretract [v1.0.0\n",
	"module example.com/m\nretract [v1.0.0, v1.1.0\n",
	"module example.com/m\nretract [v1.0.0 v1.1.0]\n",
	"module example.com/m\nretract [v1.0.0]\n",
	"module example.com/m\nretract [v1.0.0,]\n",
	"module example.com/m\nretract [,v1.0.0]\n",
	"module example.com/m\nretract []\n",
	"module example.com/m\nretract (v1.0.0)\n",
	"module example.com/m\nretract (v1.0.0\n",
	"module example.com/m\nretract v1.0.0 x\n",
	"module example.com/m\nretract v1\nretract v1.2\nretract main\nretract v1.0.0+meta\n",
	"module example.com/m\nretract [v1.0.0, \"v1.1.0\"]\n",
	"module example.com/m\nretract 'v1.0.0'\nretract v1.1.0\n",
	"module example.com/m\nretract `v1.0.0`\nretract v1.1.0\n",
	"module example.com/m\nretract \"v1.\\q\"\nretract v1.1.0\n",
	"module example.com/m\nretract ['v1.0.0', v1.1.0]\nretract v1.1.0\n",
	"module example.com/m\nretract [v1.1.0, v1.0.0]\n",
	"module example.com/m\nretract v1.0.0 (\n\tv1.1.0\n)\n",
	"module example.com/m\nretract (\n\tv1.0.0\n\t( v1.1.0\n\t(\n)\n",
	"module example.com/m\nretract > v1.0.0\n",
	"module example.com/m\nretract (\n\tv1.0.0,\n\t[v1.1.0, v1.2.0],\n)\n",
	// Other lines count only if a dependency's would.
	"module example.com/m\ngo 1.24\nrequire example.com/n v1.0.0\n",
	"module example.com/m\ngo 1.24\nrequire example.com/n v1.0.0 // indirect\n",
	"module example.com/m\ngo 1.24\nrequire (\n\texample.com/n v1.0.0\n\texample.com/o/v2 v2.0.0\n\t\"example.com/p\" \"v3.0.0+incompatible\"\n)\n",
	"module example.com/m\ngo 1.24\nrequire example.com/n\n",
	"module example.com/m\ngo 1.24\nrequire example.com/n v1.0.0 x\n",
	"module example.com/m\ngo 1.24\nrequire example.com/n main\n",
	"module example.com/m\ngo 1.24\nrequire example.com/n v1\n",
	"module example.com/m\ngo 1.24\nrequire example.com/n v1.0.0+meta\n",
	"module example.com/m\ngo 1.24\nrequire example.com/n v2.0.0\n",
	"module example.com/m\ngo 1.24\nrequire example.com/n v2.0.0+meta\n",
	"module example.com/m\ngo 1.24\nrequire example.com/n/v2 v1.0.0\n",
	"module example.com/m\ngo 1.24\nrequire example.com/n/v1 v1.0.0\n",
	"module example.com/m\ngo 1.24\nrequire gopkg.in/n v1.0.0\n",
	"module example.com/m\ngo 1.24\nrequire gopkg.in/n.v1 v0.0.0-20260102030405-abcdef123456\n",
	"module example.com/m\ngo 1.24\nrequire nonsense v1.0.0\n",
	"module example.com/m\ngo 1.24\nrequire \"\" v1.0.0\n",
	"module example.com/m\ngo 1.24\nrequire `example.com/n` v1.0.0\n",
	"module example.com/m\ngo 1.24\nrequire x (\n\tnonsense\n)\n",
	"module example.com/m\ngo 1.24\nrequire ()\n",
	"module example.com/m\ngo 1.24\nrequire (\n\t()\n)\n",
	"module example.com/m\ngo 1.24\nreplace nonsense\nexclude nonsense\ntool a b c\ngodebug x\n",
	"module example.com/m\ngo 1.24\nreplace (\n\tnonsense\n)\n",
	"module example.com/m\ngo 1.24\nignore ./a\n",
	"module example.com/m\ngo 1.24\nignore ./a ./b\n",
	"module example.com/m\ngo 1.24\nignore 'a'\n",
	"module example.com/m\ngo 1.24\nignore (\n\t./a\n\t\"b c\"\n)\n",
	"module example.com/m\ngo 1.24\nunknown line here\nfuture (\n\tthing [a, b]\n)\n",
	"module example.com/m\ngo 1.24\nunknown x (\n\tthing\n)\n",
	"module example.com/m\ngo 1.24\n(\n",
	"module example.com/m\ngo 1.24\n)\n",
	"module example.com/m\ngo 1.24\n( (\n\tx\n)\n",
	"module example.com/m\ngo 1.24\n[ ] { } ,\n",
	"module example.com/m\ngo 1.24\n{\n",
	"module example.com/m\ngo 1.24\n\"quoted\" line\n",
	"module example.com/m\ngo 1.24\n\"not closed\n",
	"module example.com/m\ngo 1.24\n\"ends in \\\n",
	"module example.com/m\ngo 1.24\n\"over\\\nlines\"\n",
	"module example.com/m\ngo 1.24\n`raw\\`\n",
	"module example.com/m\ngo 1.24\nx `raw\nstring`\n",
	"module example.com/m\ngo 1.24\nx /y/ / //\n",
	"module example.com/m\ngo 1.24\nx *//\n",
	"module example.com/m\ngo 1.24\nx y/*z\n",
	"module example.com/m\ngo 1.24\nx /* y */\n",
	"module example.com/m\ngo 1.24\nx\\y\n",
	"module example.com/m\ngo 1.24\nx\x01\n",
	"module example.com/m\ngo 1.24\n\u00a0\n",
	"module example.com/m\ngo 1.24\nx \u4e16\u754c \U0001f600 e\u0301 \u20ac\n",
	"module example.com/m\ngo 1.24\nx \u00ad\n",
	"module example.com/m\ngo 1.24\nx \ue000\n",
	"module example.com/m\ngo 1.24\nx \ufffd\n",
	"module example.com/m\ngo 1.24\n// \x01 \u00a0 anything in a comment \u200b\n",
	"module example.com/m\ngo 1.24\nblock (\n\tx\n",
	"module example.com/m\ngo 1.24\nblock (\n\tx\n) // why",
	"module example.com/m\ngo 1.24\nblock (\n\tx\n)",
	"module example.com/m\ngo 1.24\nblock (\n\tx\n) y\n",
	"module example.com/m\ngo 1.24\nblock ( // why\n\n// why\n\tx // why\n)\n",
	"module example.com/m\ngo 1.24\nblock (\n\tx ) y\n\t( z\n)\n",
	"module example.com/m\ngo 1.24\nblock (",
	"module example.com/m\ngo 1.24\nblock () y (\n\tx\n)\n",
	"module example.com/m\ngo 1.24\nblock ( ) (\n\tx\n)\n",
	"module example.com/m\ngo 1.24\nblock ( ( )\n",
	"module example.com/m\ngo 1.24\nx y) z\n",
	"# module example.com/m\n",
	"package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(`module x.y/z`) }\n",
	"{\"module\": \"example.com/m\"}\n",
	"<<<<<<< HEAD\nmodule example.com/m\n=======\nmodule example.com/n\n>>>>>>> x\n",
	// Comments on a retraction, and who they are about.
	"module example.com/m\n// above\nretract v1.0.0\n",
	"module example.com/m\n// above\n// and more\nretract v1.0.0 // behind\n",
	"module example.com/m\n// apart\n\nretract v1.0.0\n",
	"module example.com/m\n// apart\n\n// above\nretract v1.0.0\n",
	"module example.com/m\n// first\n//\n//  indented  \n//\nretract v1.0.0\n",
	"module example.com/m\n\t // above \r\nretract v1.0.0\t//behind\r\n",
	"module example.com/m\nretract v1.0.0 // its own\n// below\n",
	"module example.com/m\nretract v1.0.0 // its own\n\n// above\nretract v1.1.0\n",
	"module example.com/m // about the module\nretract v1.0.0\n",
	"module example.com/m\n//// slashes\nretract v1.0.0 // a // b\n",
	"module example.com/m\n// \u00a0 wide spaces \u3000\nretract v1.0.0 // \ufeff no space\n",
	"module example.com/m\n// block\nretract (\n\tv1.0.0\n\tv1.1.0 // own\n\tv1.2.0\n)\n",
	"module example.com/m\n// block\nretract ( // parenthesis\n\tv1.0.0\n) // end\n",
	"module example.com/m\n// block\nretract (\n\n\n\tv1.0.0\n)\n",
	"module example.com/m\n// block\nretract ( // parenthesis\n\n\tv1.0.0\n)\n",
	"module example.com/m\n// block\nretract (\n\tv1.0.0\n\n\tv1.1.0\n\tv1.2.0\n)\n",
	"module example.com/m\n// block\nretract (\n\tv1.0.0 // own\n\n\tv1.1.0\n\tv1.2.0\n)\n",
	"module example.com/m\n// block\nretract (\n\tv1.0.0\n \t \n\tv1.1.0\n)\n",
	"module example.com/m\n// block\nretract (\n\tv1.0.0\n\t// above\n\n\tv1.1.0\n)\n",
	"module example.com/m\n// block\nretract (\n\t// above\n\tv1.0.0\n\tv1.1.0\n)\n",
	"module example.com/m\n// block\nretract (\n\t//\n\tv1.0.0\n\tv1.1.0 //\n)\n",
	"module example.com/m\n// block\n\nretract (\n\tv1.0.0\n)\n",
	"module example.com/m\n// block\nretract (\n\t[v1.0.0, v1.1.0] x // own\n)\n// next\nretract v1.2.0\n",
	"module example.com/m\n// block\nretract () // end\nretract v1.0.0\n",
	"module example.com/m\n// bad\nretract [v1.0.0\n// good\nretract v1.0.0\n",
	"module example.com/m\n// two words\nretract x (\n\tv1.0.0\n)\nretract v1.0.0\n",
	"// above\nretract v1.0.0\nmodule example.com/m\n",
	// Deprecated modules.
	"// Deprecated: use n.\nmodule example.com/m\n",
	"module example.com/m // Deprecated: use n.\n",
	"// Deprecated: use n\n// or o.\nmodule example.com/m\n",
	"// Deprecated: use n\n//\n// More.\nmodule example.com/m\n",
	"// About.\n//\n// Deprecated: use n.\nmodule example.com/m\n",
	"// About.\n// Deprecated: use n.\nmodule example.com/m\n",
	"// Deprecated: use n.\n\nmodule example.com/m\n",
	"// About.\n\n// Deprecated: use n.\nmodule example.com/m // behind\n",
	"// About.\n//\nmodule example.com/m // Deprecated: use n.\n",
	"// About.\nmodule example.com/m // Deprecated: use n.\n",
	"// Deprecated:\nmodule example.com/m\n",
	"// Deprecated:    \nmodule example.com/m\n",
	"// Deprecated:\n//\n// Deprecated: use n.\nmodule example.com/m\n",
	"// Deprecated:\n// use n.\nmodule example.com/m\n",
	"// Deprecated:use n.\nmodule example.com/m\n",
	"// deprecated: use n.\nmodule example.com/m\n",
	"// DEPRECATED: use n.\nmodule example.com/m\n",
	"// Deprecated use n.\nmodule example.com/m\n",
	"//Deprecated: use n.\nmodule example.com/m\n",
	"// Deprecated: use n.\nmodule (\n\texample.com/m\n)\n",
	"module (\n\t// Deprecated: use n.\n\texample.com/m\n)\n",
	"// block\nmodule (\n\texample.com/m // Deprecated: use n.\n)\n",
	"// Deprecated: use n.\nmodule \"example.com/m\"\n\n// more\nretract v1.0.0 // why\n",
	"// Deprecated: use n.\nmodule example.com/m\nmodule example.com/n\n",
	"// Deprecated: use n.\nmodule example.com/m\nrequire x\n",
	"// Deprecated: use n.\ngo 1.24\nmodule example.com/m\n",
}

type retraction struct {
	Low       string `json:"low"`
	High      string `json:"high"`
	Rationale string `json:"rationale"`
}

type goModVector struct {
	Input      string `json:"input"`
	ModulePath string `json:"modulePath"` // by ModulePath
	Parsed     *goMod `json:"parsed"`     // by ParseLax, null if it has an error
	Reason     string `json:"reason"`
}

type goMod struct {
	ModulePath  string       `json:"modulePath"`
	GoVersion   string       `json:"goVersion"`
	Retractions []retraction `json:"retractions"`
	Deprecated  string       `json:"deprecated"`
}

func goModVectors() any {
	var vectors []goModVector
	for _, input := range goMods {
		vector := goModVector{Input: input, ModulePath: modfile.ModulePath([]byte(input))}
		file, err := modfile.ParseLax("go.mod", []byte(input), nil)
		if err == nil {
			parsed := goMod{Retractions: []retraction{}}
			if file.Module != nil {
				parsed.ModulePath = file.Module.Mod.Path
				parsed.Deprecated = file.Module.Deprecated
			}
			if file.Go != nil {
				parsed.GoVersion = file.Go.Version
			}
			for _, r := range file.Retract {
				parsed.Retractions = append(parsed.Retractions, retraction{r.Low, r.High, r.Rationale})
			}
			vector.Parsed = &parsed
		}
		vector.Reason = strings.SplitN(reason(err), "\n", 2)[0]
		vectors = append(vectors, vector)
	}
	return vectors
}
