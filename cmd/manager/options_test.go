// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

func TestAWrongFlagIsNamedWithWhatItCanBe(t *testing.T) {
	complete := []string{"--namespace=oauth-operator", "--public-url=https://oauth.example.com"}
	if _, err := parse(complete); err != nil {
		t.Fatal(err)
	}
	for wrong, says := range map[string]string{
		"--public-url=oauth.example.com":   "https://oauth.example.com",
		"--public-url=https://a.example/b": "without a path",
		"--public-url=http://a.example":    "plant cookies",
		"--namespace=":                     "own namespace",
		"--connect-mode=link":              "Link",
		"--link-lifetime=5s":               "1m",
		"--concurrency=0":                  "at least 1",
		"--log-level=trace":                "debug, info or error",
		"--log-format=yaml":                "json or text",
		"--allow-cidr=10.0.0.1":            "10.20.0.0/16",
		"--trusted-proxy=proxy":            "10.20.0.0/16",
		"rotate":                           "rotate-keyset",
		"prune":                            "prune-keyset",
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
	_, table, _ := strings.Cut(string(page), "| threat | decision | kept by |\n|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")
	if len(rows) < 20 {
		t.Fatalf("docs/security.md has %d threats", len(rows))
	}
	link := regexp.MustCompile("\\[`(Test[A-Za-z0-9]+)`\\]\\(\\.\\./([a-z0-9A-Z/_-]+_test\\.go)\\)")
	for _, row := range rows {
		tests := link.FindAllStringSubmatch(row, -1)
		if len(tests) == 0 {
			t.Errorf("no test keeps this: %s", row)
		}
		for _, test := range tests {
			source, err := os.ReadFile("../../" + test[2])
			if err != nil || !strings.Contains(string(source), "func "+test[1]+"(") {
				t.Errorf("%s is not in %s", test[1], test[2])
			}
		}
	}
}

func TestDeviceCodesAreOffUnlessThePlatformTeamSwitchesThemOn(t *testing.T) {
	for flag, want := range map[string]bool{"": false, "--connect-mode=Pairing,PairingCode": false, "--connect-mode=Pairing,DeviceCode": true} {
		flags := []string{"--namespace=oauth-operator"}
		if flag != "" {
			flags = append(flags, flag)
		}
		o, err := parse(flags)
		if err != nil {
			t.Fatal(err)
		}
		if got := o.modes().Allows(v1alpha1.PairingDevice); got != want {
			t.Errorf("%v: allowed %t, want %t", flags, got, want)
		}
	}
}
