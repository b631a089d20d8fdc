// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestTheManifestNamesAnArchiveForEveryPlatform(t *testing.T) {
	archives := platforms("v1.2.3")
	for i := range archives {
		archives[i].SHA256 = strings.Repeat("0", 64)
	}
	raw, err := fill("v1.2.3", archives)
	if err != nil {
		t.Fatal(err)
	}
	var plugin struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct{ Name string }
		Spec       struct {
			Version, Homepage, ShortDescription, Description, Caveats string
			Platforms                                                 []struct {
				Selector         struct{ MatchLabels map[string]string }
				URI, SHA256, Bin string
			}
		}
	}
	if err := yaml.UnmarshalStrict(raw, &plugin); err != nil {
		t.Fatalf("%v:\n%s", err, raw)
	}
	if plugin.Metadata.Name != "oauth" || plugin.Spec.Version != "v1.2.3" || len(plugin.Spec.ShortDescription) > 50 {
		t.Errorf("got %+v", plugin)
	}
	if len(plugin.Spec.Platforms) != 6 {
		t.Fatalf("got %d platforms", len(plugin.Spec.Platforms))
	}
	for _, p := range plugin.Spec.Platforms {
		labels := p.Selector.MatchLabels
		if !strings.HasSuffix(p.URI, "/v1.2.3/kubectl-oauth_v1.2.3_"+labels["os"]+"_"+labels["arch"]+".tar.gz") || len(p.SHA256) != 64 {
			t.Errorf("got %+v", p)
		}
		if windows := labels["os"] == "windows"; windows != strings.HasSuffix(p.Bin, ".exe") {
			t.Errorf("%s is the binary for %s", p.Bin, labels["os"])
		}
	}
}

func TestTheSameFilesGiveTheSameArchive(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kubectl-oauth")
	var archives [][]byte
	for range 2 {
		if err := os.WriteFile(file, []byte("program"), 0o600); err != nil {
			t.Fatal(err)
		}
		packed, err := pack(file)
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, packed)
	}
	if !slices.Equal(archives[0], archives[1]) {
		t.Error("they differ")
	}
}

func TestOnlyASemanticVersionIsReleased(t *testing.T) {
	for _, version := range []string{"", "1.2.3", "v1.2", "v1.2.3-5-gabc dirty", "latest"} {
		if err := release(t.Context(), version, t.TempDir()); err == nil {
			t.Errorf("%q is accepted", version)
		}
	}
}
