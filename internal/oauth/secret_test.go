// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const sentinel = "s3ntinel-value"

func TestSecretIsNeverPrinted(t *testing.T) {
	type outer struct {
		Exported   oauth.Secret
		unexported oauth.Secret
	}
	secret := oauth.NewSecret(sentinel)
	nested := outer{Exported: secret, unexported: secret}
	token := &oauth.Token{AccessToken: secret, RefreshToken: secret, IDToken: secret}

	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		for _, value := range []any{secret, &secret, nested, &nested, token, *token, []oauth.Secret{secret}} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
	}
	for _, value := range []any{secret, nested, token, map[string]oauth.Secret{"a": secret}} {
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(encoded)
	}
	var logged bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
		slog.New(handler).Info("m", "secret", secret, "token", token, "nested", nested)
	}
	out.Write(logged.Bytes())
	for _, form := range []string{sentinel, fmt.Sprintf("%x", sentinel)} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the secret was printed:\n%s", out.String())
		}
	}
}

func TestSecretComparesAndHashesItsText(t *testing.T) {
	a, b := oauth.NewSecret("a"), oauth.NewSecret("a")
	if !a.Equal(b) || a.Equal(oauth.NewSecret("b")) || !cmp.Equal(a, b) {
		t.Error("Equal does not compare the text")
	}
	if a.Hash() != "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb" {
		t.Errorf("Hash is %s", a.Hash())
	}
	if !oauth.NewSecret("").IsZero() || !(oauth.Secret{}).Equal(oauth.NewSecret("")) || a.IsZero() {
		t.Error("IsZero does not tell the empty text")
	}
}
