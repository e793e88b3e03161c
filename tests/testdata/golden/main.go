// Golden writes what golang.org/x/mod says about the inputs in this folder's
// files, one JSON file for each subject. See README.md.
package main

import (
	"bytes"
	"encoding/json"
	"log"
	"os"
)

func main() {
	log.SetFlags(0)
	write("paths.json", pathVectors())
	write("escapes.json", escapeVectors())
	write("characters.json", characterVectors())
	write("semvers.json", semverVectors())
	write("pseudo_versions.json", pseudoVersionVectors())
	write("go_mods.json", goModVectors())
	write("infos.json", infoVectors())
	write("sumdbs.json", sumdbVectors())
}

func write(name string, vectors any) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(vectors); err != nil {
		log.Fatalf("%s: %v", name, err)
	}
	if err := os.WriteFile(name, out.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
}

// reason is the message of an error, empty for none. Only whether it is empty
// is tested; the message tells a reader which rule the row is about.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// orNull is the value, or null in JSON if there was an error.
func orNull(value string, err error) *string {
	if err != nil {
		return nil
	}
	return &value
}
