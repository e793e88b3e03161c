package main

import (
	"encoding/json"
	"time"
)

// What the go command reads an .info into (cmd/go/internal/modfetch.RevInfo).
type info struct {
	Version string
	Time    time.Time
	Origin  *origin `json:",omitempty"`
}

type origin struct {
	VCS       string `json:",omitempty"`
	URL       string `json:",omitempty"`
	Subdir    string `json:",omitempty"`
	Hash      string `json:",omitempty"`
	TagPrefix string `json:",omitempty"`
	TagSum    string `json:",omitempty"`
	Ref       string `json:",omitempty"`
	RepoSum   string `json:",omitempty"`
}

var infos = []string{
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z"}`,
	` { "Version" : "v1.2.3" ,` + "\r\n\t" + `"Time" : "2026-01-02T03:04:05Z" } ` + "\n",
	`{"version":"v1.2.3","time":"2026-01-02T03:04:05Z"}`,
	`{"VERSION":"v1.2.3","TIME":"2026-01-02T03:04:05Z"}`,
	`{"Version":"v1.0.0","Version":"v1.2.3","Time":"2026-01-02T03:04:05Z"}`,
	`{"Version":"v1.0.0","version":"v1.2.3","Time":"2026-01-02T03:04:05Z"}`,
	`{"Version":"v1.2.3","version":null,"Time":"2026-01-02T03:04:05Z"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z","Name":"x","Short":1,"Extra":{"a":[1,2]}}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z","Origin":null}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z","Origin":{}}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z","Origin":{"VCS":"git","URL":"https://git.example.com/m","Hash":"0123456789abcdef0123456789abcdef01234567","Ref":"refs/tags/v1.2.3"}}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z","Origin":{"RepoSum":"r1:c","Ref":"HEAD","TagSum":"t1:b","TagPrefix":"a/","Hash":"1","Subdir":"a","URL":"https://git.example.com/m","VCS":"git"}}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z","origin":{"vcs":"git","url":"https://git.example.com/m","tagprefix":"a/","TAGSUM":"t1:b"}}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z","Origin":{"VCS":"","URL":null,"Metadata":{"x":1}}}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z","Origin":{"VCS":1}}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z","Origin":"git"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z","Origin":[]}`,
	`{"Version":1,"Time":"2026-01-02T03:04:05Z"}`,
	`{"Version":["v1.2.3"],"Time":"2026-01-02T03:04:05Z"}`,
	`{"Version":true,"Time":"2026-01-02T03:04:05Z"}`,
	`{"Version":{},"Time":"2026-01-02T03:04:05Z"}`,
	`{"Version":"v1.2.3","Time":1767323045}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05.000Z"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05.1Z"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05.120Z"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05.123456789Z"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05.1234567891Z"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05.0000000001Z"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05.Z"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05+00:00"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05-00:00"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05+05:30"}`,
	`{"Version":"v1.2.3","Time":"2026-01-01T23:04:05.25-08:00"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05+23:59"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05+0530"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02 03:04:05Z"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02t03:04:05z"}`,
	`{"Version":"v1.2.3","Time":"2026-1-2T3:4:5Z"}`,
	`{"Version":"v1.2.3","Time":"2026-02-29T00:00:00Z"}`,
	`{"Version":"v1.2.3","Time":"2024-02-29T00:00:00Z"}`,
	`{"Version":"v1.2.3","Time":"2026-13-01T00:00:00Z"}`,
	`{"Version":"v1.2.3","Time":"2026-00-01T00:00:00Z"}`,
	`{"Version":"v1.2.3","Time":"2026-04-31T00:00:00Z"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T24:00:00Z"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T23:60:00Z"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T23:59:60Z"}`,
	`{"Version":"v1.2.3","Time":"0001-01-01T00:00:00Z"}`,
	`{"Version":"v1.2.3","Time":"0000-01-01T00:00:00Z"}`,
	`{"Version":"v1.2.3","Time":"0000-01-01T00:00:00+01:00"}`,
	`{"Version":"v1.2.3","Time":"9999-12-31T23:59:59Z"}`,
	`{"Version":"v1.2.3","Time":"9999-12-31T23:59:59-01:00"}`,
	`{"Version":"v1.2.3","Time":"10000-01-01T00:00:00Z"}`,
	`{"Version":"v1.2.3","Time":"-001-01-01T00:00:00Z"}`,
	`{"Version":"v1.2.3","Time":"1969-12-31T23:59:59.5Z"}`,
	`{"Version":"v1.2.3","Time":" 2026-01-02T03:04:05Z"}`,
	`{"Version":"v1.2.3","Time":"yesterday"}`,
	`{"Version":"v1.2.3","Time":""}`,
	`{"Version":"v1.\u0032.3","Time":"2026-01-02T03:04:05Z"}`,
	`{"Version":"a\"b\\c","Time":"2026-01-02T03:04:05Z"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z"}{}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z"},`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z",}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z"`,
	`{'Version':'v1.2.3','Time':'2026-01-02T03:04:05Z'}`,
	`{Version:"v1.2.3",Time:"2026-01-02T03:04:05Z"}`,
	`{"Version":"v1.2.3"}`,
	`{"Version":"v1.2.3","Time":null}`,
	`{"Version":"v1.2.3","TIME":null,"Other":{"Time":1}}`,
	`{"Version":"v1.2.3","Time":[]}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T3:04:05Z"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T3:04:05.5+01:00"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:4:05Z"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05,5Z"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05+24:00"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05-24:60"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05+05:60"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05+05:61"}`,
	`{"Version":"v1.2.3","Time":"2026-01-02T03:04:05+25:00"}`,
	"{\"Version\":\"v1.2.3\",\"Time\":\"2026-01-02T03:04:05Z\"}\r\n\r\n\t ",
	"{\"Version\":\"v1.2.3\",\"Time\":\"2026-01-02T03:04:05Z\"}\v",
	"{\"Version\":\"v1.2.3\",\"Time\":\"2026-01-02T03:04:05Z\"}\u00a0",
	"\ufeff" + `{"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z"}`,
	``, ` `, `[]`, `""`, `1`, `"v1.2.3"`, `not found: x.y`, `<html></html>`, `[{"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z"}]`,
}

type infoVector struct {
	Input string `json:"input"`
	// What Go writes after it has read the input, with the time in UTC.
	Want   *string `json:"want"`
	Reason string  `json:"reason"`
}

func infoVectors() any {
	var vectors []infoVector
	for _, input := range infos {
		vector := infoVector{Input: input}
		var value info
		err := json.Unmarshal([]byte(input), &value)
		if err == nil {
			value.Time = value.Time.UTC()
			var out []byte
			if out, err = json.Marshal(value); err == nil {
				text := string(out)
				vector.Want = &text
			}
		}
		vector.Reason = reason(err)
		vectors = append(vectors, vector)
	}
	return vectors
}
