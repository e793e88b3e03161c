// Command zips writes the golden vectors of lib/zip; see README.md.
package main

import (
	"bytes"
	"encoding/json"
	"log"
	"os"
)

func main() {
	log.SetFlags(0)
	write("fold.json", newFoldTable())
	vectors, err := newVectors(zipCases())
	if err != nil {
		log.Fatal(err)
	}
	write("vectors.json", vectors)
}

func write(file string, value any) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
}
