// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
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
