// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

func sample(data map[string]string) (*v1alpha1.OAuthConnection, Values) {
	conn := &v1alpha1.OAuthConnection{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "github", UID: "u"},
		Spec:       v1alpha1.OAuthConnectionSpec{Secret: v1alpha1.SecretSpec{Template: &v1alpha1.SecretTemplate{Data: data}}},
	}
	v := token("tok-1")
	v.PreviousAccessToken = oauth.NewSecret("tok-0")
	v.Metadata = map[string]string{"realmId": "123"}
	return conn, v
}

func TestTemplatesRender(t *testing.T) {
	for template, want := range map[string]string{
		"plain":                         "plain",
		"{{ .accessToken }}":            "tok-1",
		"{{ .previousAccessToken }}":    "tok-0",
		"{{ .tokenType }} {{ .scope }}": "Bearer read write",
		"{{ .expiry }}":                 "2030-01-02T03:04:05Z",
		"{{ .namespace }}/{{ .name }} {{ .account }}":                         "team-a/github octocat",
		"{{ .metadata.realmId }}":                                             "123",
		`{{ join "," .scopes }}`:                                              "read,write",
		`{{ toJson .scopes }}{{ toJson .account }}`:                           `["read","write"]"octocat"`,
		`{{ .accessToken | b64enc }}`:                                         "dG9rLTE=",
		`{{ "dG9rLTE=" | b64dec }}`:                                           "tok-1",
		`{{ urlquery "a b&c" }}`:                                              "a+b%26c",
		`{{ quote "a\"b" }}`:                                                  `"a\"b"`,
		`{{ "" | default "x" }}{{ "y" | default "x" }}`:                       "xy",
		`{{ replace "o" "0" "octo" }}`:                                        "0ct0",
		`{{ upper "a" }}{{ lower "B" }}{{ trim " c " }}`:                      "Abc",
		`{{ range $i, $s := .scopes }}{{ if $i }};{{ end }}{{ $s }}{{ end }}`: "read;write",
		`{{ range $.scopes }}{{ . }}{{ else }}none{{ end }}`:                  "readwrite",
		`{{ with .account }}{{ . }}{{ end }}{{ if and (eq .name "github") (not (ne .name "github")) (len .scopes) }}!{{ end }}`: "octocat!",
		"machine github.com login {{ .account }} password {{ .accessToken }}\n":                                                 "machine github.com login octocat password tok-1\n",
	} {
		conn, v := sample(map[string]string{"key": template})
		d, err := desire(conn, v)
		if err != nil {
			t.Errorf("%s: %v", template, err)
			continue
		}
		if got := string(d.data["key"]); got != want {
			t.Errorf("%s gives %q, want %q", template, got, want)
		}
	}
}

func TestTemplatesThatAreWrongOrRunWildAreRefused(t *testing.T) {
	long := strings.Repeat("x", 15000)
	for name, row := range map[string]struct{ template, words string }{
		"syntax":            {"{{ .accessToken", "unclosed action"},
		"refresh token":     {"{{ .refreshToken }}", `no entry for key "refreshToken"`},
		"what fields":       {"{{ .AccessToken }}", "; there are .accessToken, .account, "},
		"what metadata":     {"{{ .metadata.realmID }}", `no entry for key "realmID"; there are .metadata.realmId`},
		"what functions":    {`{{ env "HOME" }}`, "; there are and, b64dec, b64enc, default, eq, join, len, "},
		"field of a text":   {"{{ .accessToken.x }}", "can't evaluate field"},
		"environment":       {`{{ env "HOME" }}`, `function "env" not defined`},
		"repeat":            {`{{ repeat 1000000 "x" }}`, `function "repeat" not defined`},
		"until":             {"{{ until 100000000 }}", `function "until" not defined`},
		"dns":               {`{{ getHostByName "a" }}`, `function "getHostByName" not defined`},
		"printf":            {`{{ printf "%1000000d" 1 }}`, `function "printf" is not available`},
		"nested printf":     {`{{ upper (printf "%1000000d" 1) }}`, `function "printf" is not available`},
		"call":              {"{{ call .x }}", `function "call" is not available`},
		"html":              {"{{ html .account }}", `function "html" is not available`},
		"index":             {"{{ index .scopes 7 }}", `function "index" is not available`},
		"counting range":    {"{{ range 10000000000 }}{{ end }}", "range goes over .scopes only"},
		"range of a text":   {"{{ range .accessToken }}{{ end }}", "range goes over .scopes only"},
		"range of a pipe":   {"{{ range (.scopes) }}{{ end }}", "range goes over .scopes only"},
		"nested range":      {"{{ range .scopes }}{{ range $.scopes }}{{ end }}{{ end }}", "not within another range"},
		"hidden range":      {"{{ range .scopes }}{{ if true }}{{ else }}{{ range $.scopes }}{{ end }}{{ end }}{{ end }}", "not within another range"},
		"recursion":         {`{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}`, "define and block"},
		"block":             {`{{ block "a" . }}{{ end }}`, "define and block"},
		"template":          {`{{ template "key" }}`, "is not available"},
		"multiplied text":   {`{{ $a := replace "x" "` + long[:7000] + `" "` + long[:7000] + `" }}`, "too much work"},
		"replace of empty":  {`{{ $a := "x" }}` + strings.Repeat(`{{ $a = replace "" "xxxxxxxxxx" $a }}`, 200), "too much work"},
		"encoded for ever":  {"{{ .accessToken" + strings.Repeat(" | b64enc", 1500) + " }}", "too much work"},
		"quoted for ever":   {`{{ "\"" ` + strings.Repeat(" | quote", 1500) + " }}", "too much work"},
		"hidden in a chain": {`{{ $x := (printf "a").b }}`, `function "printf" is not available`},
		"too long":          {"{{ range .scopes }}" + long + "{{ end }}", "512 KiB"},
		"not base64":        {`{{ b64dec "?" }}`, "not base64"},
		"wrong argument":    {"{{ upper .scopes }}", "wrong type"},
	} {
		conn, v := sample(map[string]string{"key": row.template})
		if name == "too long" {
			v.Scopes = slices.Repeat([]string{"s"}, 50)
		}
		_, err := desire(conn, v)
		if err == nil || !strings.Contains(err.Error(), row.words) || !strings.HasPrefix(err.Error(), "spec.secret.template.data: key:") {
			t.Errorf("%s: error %v, want %q", name, err, row.words)
		}
		if err != nil && strings.Contains(err.Error(), "tok-1") {
			t.Errorf("%s: the token is in the error", name)
		}
	}
}

func TestATemplateThatNeedsMetadataWaitsForIt(t *testing.T) {
	conn, v := sample(map[string]string{"key": "{{ .metadata.realmId }}"})
	v.Metadata = nil
	if _, err := desire(conn, v); err == nil || !strings.Contains(err.Error(), "nothing is kept: the provider's description has no metadata") {
		t.Errorf("error %v", err)
	}
}

func TestATargetIsBoundedOverAllKeys(t *testing.T) {
	data := map[string]string{}
	for _, key := range "abcdefghijklmnopqrstuvwxyzABCDEF" {
		data[string(key)] = strings.Repeat("x", 16384) + "{{ .name }}"
	}
	conn, v := sample(data)
	if _, err := desire(conn, v); err == nil || !strings.Contains(err.Error(), "512 KiB together") {
		t.Errorf("error %v", err)
	}
}

func TestKeysThatATypeNeedsAreNamed(t *testing.T) {
	for name, row := range map[string]struct {
		kind  corev1.SecretType
		data  map[string]string
		words string
	}{
		"docker without":    {corev1.SecretTypeDockerConfigJson, nil, `".dockerconfigjson"`},
		"docker no JSON":    {corev1.SecretTypeDockerConfigJson, map[string]string{".dockerconfigjson": "{{ .accessToken }}"}, "JSON"},
		"docker":            {corev1.SecretTypeDockerConfigJson, map[string]string{".dockerconfigjson": `{"auths":{"ghcr.io":{"password":{{ toJson .accessToken }}}}}`}, ""},
		"basic without":     {corev1.SecretTypeBasicAuth, map[string]string{"token": "x"}, `"password"`},
		"basic with one":    {corev1.SecretTypeBasicAuth, map[string]string{"password": "{{ .accessToken }}"}, ""},
		"servicebinding.io": {"servicebinding.io/oauth2", map[string]string{"token": "x"}, ""},
	} {
		conn, v := sample(row.data)
		conn.Spec.Secret.Template.Type = string(row.kind)
		_, err := desire(conn, v)
		if row.words == "" && err != nil || row.words != "" && (err == nil || !strings.Contains(err.Error(), row.words)) {
			t.Errorf("%s: error %v, want %q", name, err, row.words)
		}
	}
}

func TestTheContentHashFollowsEveryPartOfTheTarget(t *testing.T) {
	hash := func(change func(*v1alpha1.OAuthConnection, *Values)) string {
		conn, v := sample(nil)
		change(conn, &v)
		d, err := desire(conn, v)
		if err != nil {
			t.Fatal(err)
		}
		return d.content
	}
	seen := []string{hash(func(*v1alpha1.OAuthConnection, *Values) {})}
	if again := hash(func(*v1alpha1.OAuthConnection, *Values) {}); again != seen[0] {
		t.Error("the hash is not stable")
	}
	for _, change := range []func(*v1alpha1.OAuthConnection, *Values){
		func(_ *v1alpha1.OAuthConnection, v *Values) { v.AccessToken = oauth.NewSecret("other") },
		func(c *v1alpha1.OAuthConnection, _ *Values) { c.Spec.Secret.Name = "other" },
		func(c *v1alpha1.OAuthConnection, _ *Values) { c.UID = "other" },
		func(c *v1alpha1.OAuthConnection, _ *Values) { c.Spec.Secret.Template.Type = "servicebinding.io/oauth2" },
		func(c *v1alpha1.OAuthConnection, _ *Values) {
			c.Spec.Secret.Template.Metadata = &v1alpha1.SecretMetadata{Labels: map[string]string{"a": "b"}}
		},
		func(c *v1alpha1.OAuthConnection, _ *Values) {
			c.Spec.Secret.Template.Metadata = &v1alpha1.SecretMetadata{Annotations: map[string]string{"a": "b"}}
		},
	} {
		h := hash(change)
		if slices.Contains(seen, h) {
			t.Error("a change does not show in the hash")
		}
		seen = append(seen, h)
	}
}

func FuzzRender(f *testing.F) {
	for _, text := range []string{"{{ .accessToken }}", `{{ range .scopes }}{{ . | quote }}{{ end }}`, `{{ replace "" "x" .account }}`, "{{ define \"a\" }}{{ end }}", "{{ with $x := .scopes }}{{ break }}{{ end }}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 16384 {
			return
		}
		conn, v := sample(nil)
		data, err := render(map[string]string{"key": text}, fields(conn, v))
		if err == nil && len(data["key"]) > maxOutput {
			t.Errorf("%d bytes came out", len(data["key"]))
		}
		if err != nil && strings.Contains(err.Error(), "tok-") && !strings.Contains(text, "tok-") {
			t.Errorf("a token is in the error: %v", err)
		}
	})
}
