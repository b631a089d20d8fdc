// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func TestTheManifestsNameWhatTheProviderKnows(t *testing.T) {
	ids, secrets, issuer := map[string]string{}, map[string]string{}, ""
	for _, object := range objects(t) {
		switch object.GetKind() {
		case "OAuthProvider":
			issuer, _, _ = unstructured.NestedString(object.Object, "spec", "issuer")
		case "OAuthConnection":
			secret, _, _ := unstructured.NestedString(object.Object, "spec", "client", "secretRef", "name")
			ids[secret], _, _ = unstructured.NestedString(object.Object, "spec", "client", "id")
		case "Secret":
			secrets[object.GetName()], _, _ = unstructured.NestedString(object.Object, "stringData", "client-secret")
		}
	}
	got, want := map[string]string{}, map[string]string{}
	for secret, id := range ids {
		got[id] = secrets[secret]
	}
	for _, client := range registrations("http://" + defaultCallback) {
		want[client.ID] = client.Secret
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if issuer != "http://"+defaultProvider {
		t.Errorf("issuer %s", issuer)
	}
}

func objects(t *testing.T) []unstructured.Unstructured {
	t.Helper()
	files, err := filepath.Glob("manifests/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no manifests", err)
	}
	var all []unstructured.Unstructured
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
		for {
			var object unstructured.Unstructured
			if err := documents.Decode(&object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(file, err)
			}
			all = append(all, object)
		}
	}
	return all
}

func TestAnotherProviderAddressMovesTheManifests(t *testing.T) {
	folder, err := addresses{provider: "127.0.0.1:1"}.manifests("../..", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(folder, "1-provider.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), "issuer: http://127.0.0.1:1\n") {
		t.Errorf("not moved:\n%s", content)
	}
}

func TestATakenAddressIsNamedWithTheWayOut(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	err = addresses{provider: listener.Addr().String(), callback: "127.0.0.1:0"}.free(t.Context())
	for _, part := range []string{listener.Addr().String(), providerVariable + "="} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
}

func TestWhatIsPrintedHasNoStateCodeOrToken(t *testing.T) {
	var out bytes.Buffer
	s := &story{out: &out}
	s.fact("%s", withoutState("http://127.0.0.1:18082/authorize/default/alice-x?state=SENTINEL"))
	s.fact("%s", token("SENTINEL"))
	s.fail(errors.New(`Get "http://127.0.0.1:18082/callback/ns/default/alice?code=SENTINEL&state=SENTINEL": EOF`), "")
	if strings.Contains(out.String(), "SENTINEL") {
		t.Error(out.String())
	}
	if !strings.Contains(out.String(), "/callback/ns/default/alice?…") {
		t.Errorf("the address is not named:\n%s", out.String())
	}
}

func TestTextIsWrapped(t *testing.T) {
	var out bytes.Buffer
	(&story{out: &out}).tell("%s", strings.Repeat("word ", 60))
	for line := range strings.Lines(out.String()) {
		if len(line) > textWidth+1 || !strings.HasPrefix(line, indent+"word") {
			t.Errorf("%q", line)
		}
	}
}
