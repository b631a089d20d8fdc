// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// documented renders the objects that people copy: every block of YAML with an apiVersion in the pages of
// the project.
func (v *verifier) documented(context.Context) ([]byte, error) {
	var out bytes.Buffer
	for _, folder := range []string{"README.md", "docs", "examples"} {
		err := filepath.WalkDir(filepath.Join(v.root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".md") {
				return err
			}
			page, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, block := range yamlBlocks(string(page)) {
				out.WriteString("---\n# " + path + "\n" + block + "\n")
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if out.Len() == 0 {
		return nil, errors.New("no page shows an object")
	}
	return out.Bytes(), nil
}

var fence = regexp.MustCompile("(?ms)^( *)```yaml\n(.*?)^ *```$")

// yamlBlocks are the blocks of a page that are objects, without the indentation of the list they stand in.
func yamlBlocks(page string) []string {
	var blocks []string
	for _, match := range fence.FindAllStringSubmatch(page, -1) {
		lines := strings.Split(match[2], "\n")
		for i, line := range lines {
			lines[i] = strings.TrimPrefix(line, match[1])
		}
		if block := strings.Join(lines, "\n"); strings.Contains(block, "apiVersion: ") {
			blocks = append(blocks, block)
		}
	}
	return blocks
}
