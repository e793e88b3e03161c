package main

import (
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

var semvers = []string{
	// Not versions.
	"", "v", "V1", "V1.0.0", "1", "1.0", "1.0.0", "vv1", "v-1", "v+1", "v1.", "v.1", "v1..0", "v1.0.", "v1.0.0.", "v1.0.0.0", "v1.-1.0", "v1.x", "v1.0.x", "v1.*", "vx", "v1a", "v1.0a", "v1.0.0a", " v1.0.0", "v1.0.0 ", "v1.0.0\n", "v1 .0", "v\u0661.0.0", "v1.0.0\u00e9",
	"v01", "v00", "v01.0.0", "v1.01.0", "v1.0.01", "v1.00", "v1.0.00", "v0x1.0.0", "v1e3", "main", "latest", "abcdef123456",
	"v1-pre", "v1+meta", "v1.2-pre", "v1.2+meta", "v1.2-pre+meta", "v1-0.0", "v1+incompatible", "v2.1+incompatible",
	"v1.0.0-", "v1.0.0+", "v1.0.0-+", "v1.0.0-+meta", "v1.0.0-pre+", "v1.0.0-.", "v1.0.0-a.", "v1.0.0-.a", "v1.0.0-a..b", "v1.0.0+a..b", "v1.0.0+.a", "v1.0.0+a.", "v1.0.0-01", "v1.0.0-00", "v1.0.0-a.01", "v1.0.0-01.a", "v1.0.0-007.x",
	"v1.0.0-a_b", "v1.0.0-a/b", "v1.0.0-a b", "v1.0.0-a~b", "v1.0.0-\u00e9", "v1.0.0+\u00e9", "v1.0.0+a+b", "v1.0.0-a+b+c", "v1.0.0+a_b", "v1.0.0-a!", "v1.0.0-*",
	// Versions.
	"v0", "v1", "v2", "v10", "v0.0", "v0.1", "v1.0", "v1.2", "v1.10", "v0.0.0", "v0.0.1", "v0.1.0", "v1.0.0", "v1.0.1", "v1.0.10", "v1.0.9", "v1.1.0", "v1.9.0", "v1.10.0", "v2.0.0", "v10.0.0",
	"v1.0.0-0", "v1.0.0-1", "v1.0.0-2", "v1.0.0-10", "v1.0.0-9", "v1.0.0-a", "v1.0.0-A", "v1.0.0-Z", "v1.0.0-z", "v1.0.0-aa", "v1.0.0-a.b", "v1.0.0-a-b", "v1.0.0-a0", "v1.0.0--", "v1.0.0---", "v1.0.0--1", "v1.0.0-0a", "v1.0.0-01a", "v1.0.0-00a", "v1.0.0-1-", "v1.0.0-0-0",
	"v1.0.0-alpha", "v1.0.0-alpha.0", "v1.0.0-alpha.1", "v1.0.0-alpha.1.0", "v1.0.0-alpha.beta", "v1.0.0-alpha.9", "v1.0.0-alpha.10", "v1.0.0-beta", "v1.0.0-beta.2", "v1.0.0-beta.11", "v1.0.0-rc.1", "v1.0.0-rc1", "v1.0.0-rc10", "v1.0.0-rc9", "v1.0.0-0.0", "v1.0.0-0.a", "v1.0.0-1.0", "v1.0.0-a.0.b",
	"v1.0.0+meta", "v1.0.0+0", "v1.0.0+01", "v1.0.0+a.01", "v1.0.0+-", "v1.0.0+a-b", "v1.0.0-pre+meta", "v1.0.0-pre", "v1.0.0-pre+0001.x", "v1.0.0+incompatible", "v2.0.0+incompatible", "v2.0.0-pre+incompatible", "v2.0.0+Incompatible", "v2.0.0+incompatible.1", "v2.0.0+x.incompatible", "v0.0.0+incompatible",
	// Numbers that a float cannot hold.
	"v9007199254740991.0.0", "v9007199254740992.0.0", "v9007199254740993.0.0", "v1.9007199254740993.0", "v1.0.9007199254740992", "v1.0.9007199254740993", "v1.0.18446744073709551616", "v1.0.99999999999999999999999999999999", "v1.0.100000000000000000000000000000000", "v1.0.0-9007199254740992", "v1.0.0-9007199254740993", "v1.0.0-99999999999999999999", "v1.0.0-100000000000000000000", "v1.0.0-20260102030405", "v999999999999999999999999999999",
	// Pseudo-versions sort between tags.
	"v0.0.0-20260102030405-abcdef123456", "v0.0.0-20260102030406-abcdef123456", "v1.0.1-0.20260102030405-abcdef123456", "v1.0.0-pre.0.20260102030405-abcdef123456", "v2.0.1-0.20260102030405-abcdef123456+incompatible",
}

type semverVector struct {
	Input            string `json:"input"`
	Valid            bool   `json:"valid"`
	Canonical        string `json:"canonical"`
	Major            string `json:"major"`
	MajorMinor       string `json:"majorMinor"`
	Prerelease       string `json:"prerelease"`
	Build            string `json:"build"`
	CanonicalVersion string `json:"canonicalVersion"` // module.CanonicalVersion
}

func semverVectors() any {
	var vectors []semverVector
	// One string for each version, with "<", "=" or ">" against each version.
	var orders []string
	for _, v := range semvers {
		vectors = append(vectors, semverVector{
			Input:            v,
			Valid:            semver.IsValid(v),
			Canonical:        semver.Canonical(v),
			Major:            semver.Major(v),
			MajorMinor:       semver.MajorMinor(v),
			Prerelease:       semver.Prerelease(v),
			Build:            semver.Build(v),
			CanonicalVersion: module.CanonicalVersion(v),
		})
		order := ""
		for _, w := range semvers {
			order += string("<=>"[semver.Compare(v, w)+1])
		}
		orders = append(orders, order)
	}
	sorted := append([]string{}, semvers...)
	semver.Sort(sorted)
	return map[string]any{"versions": vectors, "orders": orders, "sorted": sorted}
}
