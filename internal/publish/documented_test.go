// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// documented is the connection of this name on a page.
func documented(t *testing.T, page, name string) *v1alpha1.OAuthConnection {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(raw), "```yaml\n")[1:] {
		text, _, _ := strings.Cut(block, "```")
		conn := &v1alpha1.OAuthConnection{}
		if err := yaml.UnmarshalStrict([]byte(text), conn); err == nil && conn.Name == name {
			return conn
		}
	}
	t.Fatalf("%s has no connection %s", page, name)
	return nil
}

func TestTheFilesForRedshiftsDriversSurviveEveryToken(t *testing.T) {
	conn := documented(t, "../../examples/redshift/README.md", "redshift-files")
	v := token(`a:b\c+d/e=&f`)
	v.AccessToken = oauth.NewSecret(`a:b\c+d/e=&f`)
	got, err := content(conn, conn.Spec.Secret.Template, v)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"access_token": `a:b\c+d/e=&f`,
		"jdbc.url": "jdbc:redshift://example.eu-central-1.redshift.amazonaws.com:5439/dev?plugin_name=com.amazon.redshift.plugin.IdpTokenAuthPlugin" +
			"&token_type=EXT_JWT&token=a%3Ab%5Cc%2Bd%2Fe%3D%26f",
		"pgpass": `*:*:*:*:a\:b\\c+d/e=&f` + "\n",
	} {
		if string(got[key]) != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	if ini := string(got["odbc.ini"]); !strings.HasPrefix(ini, "[redshift]\n") || !strings.Contains(ini, "\nplugin_name = IdpTokenAuthPlugin\n") || !strings.HasSuffix(ini, "\ntoken = a:b\\c+d/e=&f\n") {
		t.Errorf("odbc.ini is %q", ini)
	}
}
