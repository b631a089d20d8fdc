// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

// TestAnInstallationThatIsNotCompleteIsFound takes one thing after the other from an API server of its
// own.
func TestAnInstallationThatIsNotCompleteIsFound(t *testing.T) {
	bare, err := testenv.Start(t.Context(), testenv.Options{CRDs: true, RBAC: true, Policies: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bare.Stop(); err != nil {
			t.Error(err)
		}
	})
	expect := func(c *clinic, want ...string) {
		t.Helper()
		// What was taken away is minded a moment later.
		deadline, diff := time.Now().Add(30*time.Second), "none yet"
		for diff != "" && time.Now().Before(deadline) {
			r, _ := c.examine("github")
			diff = cmp.Diff(want, c.lines(r))
		}
		if diff != "" {
			t.Fatalf("%s\n%s", diff, c.text)
		}
	}
	remove := func(objects ...client.Object) {
		for _, obj := range objects {
			if err := bare.Client.Delete(t.Context(), obj); err != nil {
				t.Fatal(err)
			}
		}
	}

	c := newClinic(t, bare)
	expect(c)
	remove(&admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: requesterPolicy}})
	expect(c, "xx policies: an attempt to connect in another's name is not refused: admission policy oauth-operator-requester is not in force | "+policyHint)

	remove(&admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: referencesPolicy}})
	platform := newClinic(t, bare)
	platform.administrator()
	const missing = "xx operator: no Deployment in this cluster has label app.kubernetes.io/name=oauth-operator: the operator is not installed | " + installHint
	expect(platform, missing,
		"xx policies: admission policy oauth-operator-requester or its binding is missing: people can connect accounts in another's name | "+policyHint,
		"xx policies: admission policy oauth-operator-references or its binding is missing: whoever writes connections can have Secrets sent away that they may not read | "+policyHint)

	remove(&apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "clusteroauthproviders.oauth-operator.dev"}})
	const lacking = "xx policies: an attempt to connect in another's name is not refused: admission policy oauth-operator-requester is not in force | " + policyHint
	expect(c, "xx kinds: the API server does not know ClusterOAuthProvider: the installation is not complete, or too old for this plugin | "+crdHint, lacking)

	for _, kind := range []string{"oauthconnections", "oauthauthorizations", "oauthproviders"} {
		remove(&apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: kind + ".oauth-operator.dev"}})
	}
	expect(c, "xx kinds: the API server does not know the kinds of oauth-operator.dev: oauth-operator is not installed in this cluster | "+installHint)
}

// kindsOf is an API server that serves these versions and kinds, and this OpenAPI document.
func kindsOf(t *testing.T, versions, kinds, document string) *doctor {
	mux := http.NewServeMux()
	for path, body := range map[string]string{
		"/apis/oauth-operator.dev":                     versions,
		"/apis/oauth-operator.dev/v1alpha1":            kinds,
		"/openapi/v3/apis/oauth-operator.dev/v1alpha1": document,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &doctor{app: &app{}, server: &apiServer{server.Client(), base}}
}

// schemaOf is an OpenAPI document with all fields but those left out, and with more.
func schemaOf(without, more string) string {
	var schemas []string
	for _, kind := range []string{"OAuthAuthorization", "OAuthConnection"} {
		var halves []string
		for _, p := range parts() {
			var fields []string
			for _, name := range append(p.known, more) {
				if p.kind == kind && name != without && name != "" {
					fields = append(fields, `"`+name+`":{}`)
				}
			}
			if p.kind == kind {
				halves = append(halves, `"`+p.name+`":{"properties":{`+strings.Join(fields, ",")+`}}`)
			}
		}
		schemas = append(schemas, `"`+kind+`":{"x-kubernetes-group-version-kind":[{"group":"oauth-operator.dev","version":"v1alpha1","kind":"`+kind+
			`"}],"properties":{`+strings.Join(halves, ",")+`}}`)
	}
	return `{"components":{"schemas":{` + strings.Join(schemas, ",") + `}}}`
}

func TestKindsThatDoNotFitThisPluginAreFound(t *testing.T) {
	const v1alpha1 = `{"versions":[{"version":"v1"},{"version":"v1alpha1"}]}`
	const four = `{"resources":[{"kind":"OAuthConnection"},{"kind":"OAuthAuthorization"},{"kind":"OAuthProvider"},{"kind":"ClusterOAuthProvider"}]}`
	for _, test := range []struct {
		name, versions, kinds, document string
		level                           level
		found, mend                     string
	}{
		{"as they should be", v1alpha1, four, schemaOf("", ""), levelOK, "with all fields that this plugin knows", ""},
		{"no document", v1alpha1, four, "{}", levelOK, "the four kinds are served as v1alpha1", ""},
		{"another version", `{"versions":[{"version":"v1"},{"version":"v2"}]}`, four, "{}", levelFault, "serves v1 and v2 in oauth-operator.dev, and this plugin speaks v1alpha1: it is too old", pluginHint},
		{"no connections", v1alpha1, `{}`, "{}", levelFault, "does not know OAuthConnection, OAuthAuthorization, OAuthProvider and ClusterOAuthProvider", crdHint},
		{"an older attempt", v1alpha1, four, schemaOf("response", ""), levelFault, "are older than this plugin: they lack OAuthAuthorization.spec.response", crdHint},
		{"an older connection", v1alpha1, four, schemaOf("expectedAccount", ""), levelWarning, "they lack OAuthConnection.spec.expectedAccount", crdHint},
		{"newer ones", v1alpha1, four, schemaOf("", "device"), levelWarning, "does not know OAuthAuthorization.spec.device, OAuthAuthorization.status.device", pluginHint},
	} {
		t.Run(test.name, func(t *testing.T) {
			found := kindsOf(t, test.versions, test.kinds, test.document).lookAtKinds(t.Context())
			if len(found) != 1 {
				t.Fatalf("found %v", found)
			}
			f := found[0]
			if f.Level != test.level || !strings.Contains(f.Found, test.found) || f.Mend != test.mend {
				t.Errorf("got %+v", f)
			}
		})
	}
}

func TestTheTimeOfAllChecksIsBounded(t *testing.T) {
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hanging.Close()
	d := &doctor{app: &app{}, web: newWeb()}
	d.web.Timeout = 20 * time.Millisecond
	found, mend := unreachable(d.probe(t.Context(), hanging.URL, "text/html").err)
	if !strings.HasPrefix(found, "it does not answer within ") || mend == "" {
		t.Errorf("%s, %s", found, mend)
	}
	if newWeb().Timeout != 5*time.Second || checkTimeout > 15*time.Second || doctorTimeout > 2*time.Minute {
		t.Error("a check may take too long")
	}
}
