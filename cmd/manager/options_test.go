// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestAWrongFlagIsNamedWithWhatItCanBe(t *testing.T) {
	complete := []string{"--namespace=oauth-operator", "--public-url=https://oauth.example.com"}
	if _, err := parse(complete); err != nil {
		t.Fatal(err)
	}
	for wrong, says := range map[string]string{
		"--public-url=oauth.example.com":   "https://oauth.example.com",
		"--public-url=https://a.example/b": "without a path",
		"--namespace=":                     "own namespace",
		"--connect-mode=link":              "Link",
		"--link-lifetime=5s":               "1m",
		"--concurrency=0":                  "at least 1",
		"--log-level=trace":                "debug, info or error",
		"--log-format=yaml":                "json or text",
		"--allow-cidr=10.0.0.1":            "10.20.0.0/16",
		"--trusted-proxy=proxy":            "10.20.0.0/16",
		"rotate":                           "rotate-keyset",
	} {
		_, err := parse(append(complete[:len(complete):len(complete)], wrong))
		flag, _, _ := strings.Cut(wrong, "=")
		if err == nil || !strings.Contains(err.Error(), flag) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: the error is %v; it does not say %q", wrong, err, says)
		}
	}
}

func TestTheDocumentationHasEveryFlagAndNoOther(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	flags := pflag.NewFlagSet("manager", pflag.ContinueOnError)
	(&options{}).bind(flags)
	flags.VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(string(page), "| `--"+f.Name+"` |") {
			t.Errorf("docs/operations.md has no row for --%s", f.Name)
		}
	})
	for _, row := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		if flags.Lookup(row[1]) == nil {
			t.Errorf("docs/operations.md has a row for --%s, which does not exist", row[1])
		}
	}
}

func TestTheSecurityModelNamesTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(string(page), -1)
	if len(names) == 0 {
		t.Fatal("docs/security.md names no test")
	}
	sources := testSources(t)
	for _, name := range names {
		if !strings.Contains(sources, "func "+name[1]+"(") {
			t.Errorf("docs/security.md names %s, which does not exist", name[1])
		}
	}
}

// testSources is the text of all tests of the module.
func testSources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
