import assert from "node:assert/strict";
import { goOfSemver, semverOfGo, semverOfToolchain } from "./go_version.ts";

Deno.test("semverOfGo() and goOfSemver() are opposites", async (t) => {
  const rows = [
    { go: "go1", semver: "v1.0.0" },
    { go: "go1.1", semver: "v1.1.0" },
    { go: "go1.20", semver: "v1.20.0" },
    { go: "go1.20.14", semver: "v1.20.14" },
    // From 1.21 on the first release has a patch number.
    { go: "go1.21.0", semver: "v1.21.0" },
    { go: "go1.21rc2", semver: "v1.21.0-rc.2" },
    { go: "go1.9beta1", semver: "v1.9.0-beta.1" },
    { go: "go1.20-pre4", semver: "v1.20.0-pre.4" },
    { go: "go1.26.8", semver: "v1.26.8" },
  ];
  for (const { go, semver } of rows) {
    await t.step(go, () => {
      assert.equal(semverOfGo(go), semver);
      assert.equal(goOfSemver(semver), go);
    });
  }
});

Deno.test("semverOfGo() takes what `go version` prints besides, and nothing else", async (t) => {
  const rows = [
    { input: "go1.21", want: "v1.21.0" },
    { input: "go1.22.3 X:nocoverageredesign", want: "v1.22.3" },
    { input: "go1.0", want: null },
    { input: "go2", want: null },
    { input: "1.22.3", want: null },
    { input: "v1.22.3", want: null },
    { input: "go1.22.3.4", want: null },
    { input: "go1.22alpha1", want: null },
    { input: "devel go1.23-abcdef", want: null },
    { input: "", want: null },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => assert.equal(semverOfGo(input), want));
  }
});

Deno.test("semverOfToolchain() finds the Go version in a version of the toolchain", async (t) => {
  const rows = [
    { input: "v0.0.1-go1.22.3.linux-amd64", want: "v1.22.3" },
    { input: "v0.0.1-go1.21rc2.windows-arm64", want: "v1.21.0-rc.2" },
    { input: "v0.0.1-go1.21.0.freebsd-386", want: "v1.21.0" },
    { input: "v0.0.1-go1.20.linux-amd64", want: "v1.20.0" },
    // https://go.dev/doc/toolchain#version: a vendor's own build.
    { input: "v0.0.1-go1.22.3-bigcorp.linux-amd64", want: "v1.22.3" },
    { input: "v0.0.1-go1.22.3", want: null },
    { input: "v0.0.1", want: null },
    { input: "v0.0.2-go1.22.3.linux-amd64", want: null },
    { input: "go1.22.3", want: null },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => assert.equal(semverOfToolchain(input), want));
  }
});
