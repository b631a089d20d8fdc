// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// heap is what is in use, in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// grows is by how much the heap grows for each of so many calls, in bytes.
func grows(calls int, call func(i int)) int64 {
	before := heap()
	for i := range calls {
		call(i)
	}
	return (heap() - before) / int64(calls)
}

func TestHugeDescriptionsAreNotKept(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	huge := func(i int) {
		params := v1alpha1.RequestParams{}
		for j := range 32 {
			params[fmt.Sprintf("p%d", j)] = strings.Repeat("é", 1000) + fmt.Sprint(i)
		}
		spec := plain()
		spec.AuthorizationParams, spec.TokenParams, spec.RefreshParams = params, params, params
		e.resolve(t, connection(spec))
	}
	huge(-1)
	// One tenant can write one object anew as often as it likes, and thousands are remembered.
	if each := grows(100, huge); each > 16<<10 {
		t.Errorf("%d bytes are kept of each description that somebody wrote", each)
	}
	runtime.KeepAlive(e)
}

func TestDescriptionsOfManySmallThingsAreKeptOnce(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	many := func(i int) {
		params := func() v1alpha1.RequestParams {
			made := v1alpha1.RequestParams{}
			for j := range 32 {
				made[fmt.Sprintf("p%d", j)] = fmt.Sprint(i)
			}
			return made
		}
		spec := plain()
		spec.AuthorizationParams, spec.TokenParams, spec.ExchangeParams, spec.RefreshParams = params(), params(), params(), params()
		e.resolve(t, connection(spec))
	}
	many(-1)
	if each := grows(500, many); each > 16<<10 {
		t.Errorf("%d bytes are kept of each description that somebody wrote", each)
	}
	runtime.KeepAlive(e)
}

func TestOfMetadataOnlyWhatIsUsedIsKept(t *testing.T) {
	p := newIDP(t)
	issuer := func(i int) string { return fmt.Sprintf("%s/%d", p.URL, i) }
	const issuers = 60
	for i := -1; i < issuers; i++ {
		var others strings.Builder
		for _, name := range []string{"jwks_uri", "introspection_endpoint", "device_authorization_endpoint", "revocation_endpoint", "userinfo_endpoint"} {
			fmt.Fprintf(&others, `%q:"%s/%s",`, name, p.URL, strings.Repeat("a", 1900))
		}
		document := fmt.Sprintf(`{%s"mtls_endpoint_aliases":{%s"x":""},"issuer":%q,"authorization_endpoint":"%s/a","token_endpoint":"%s/t","token_endpoint_auth_methods_supported":["client_secret_post"%s]}`,
			others.String(), others.String(), issuer(i), p.URL, p.URL, strings.Repeat(`,""`, 10_000))
		p.handle(fmt.Sprintf("/%d%s", i, openID), func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, document) })
	}
	e := setup(t, p, secret("team-a", "s", "hush"))
	look := func(i int) {
		resolved := e.resolve(t, connection(v1alpha1.ProviderSpec{Issuer: v1alpha1.EndpointURL(issuer(i))}))
		if resolved.Authentication != "ClientSecretPost" {
			t.Fatalf("the offered method is not used: %s", resolved.Authentication)
		}
	}
	look(-1)
	// One host can be a thousand issuers.
	if each := grows(issuers, look); each > 8<<10 {
		t.Errorf("%d bytes are kept of each issuer's metadata", each)
	}
	runtime.KeepAlive(e)
}

func TestFewProvidersKeysAreKept(t *testing.T) {
	p := newIDP(t)
	// Small keys weigh eight times what they are sent as.
	set := `{"keys":[` + strings.Repeat(`{"kty":"oct","k":"AA"},`, 2700) + `{"kty":"oct","k":"AA"}]}`
	issuer := func(i int) string { return fmt.Sprintf("%s/%d", p.URL, i) }
	const issuers = 200
	for i := range issuers {
		document := fmt.Sprintf(`{"issuer":%q,"authorization_endpoint":"%s/a","token_endpoint":"%s/t","jwks_uri":"%s/keys"}`, issuer(i), p.URL, p.URL, issuer(i))
		p.handle(fmt.Sprintf("/%d%s", i, openID), func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, document) })
		p.handle(fmt.Sprintf("/%d/keys", i), func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, set) })
	}
	e := setup(t, p, secret("team-a", "s", "hush"))
	signed := idToken(t, keys()["P-256"], jose.ES256, map[string]any{"aud": "id"})
	before := heap()
	for i := range issuers {
		resolved := e.resolve(t, connection(v1alpha1.ProviderSpec{Issuer: v1alpha1.EndpointURL(issuer(i))}))
		if resolved.VerifyIDToken(t.Context(), signed, "") == nil {
			t.Fatal("the keys were not asked for")
		}
	}
	if all := heap() - before; all > 64<<20 {
		t.Errorf("%d MiB of keys are kept", all>>20)
	}
	runtime.KeepAlive(e)
}

func BenchmarkConnection(b *testing.B) {
	p := newIDP(b)
	p.document(openID, nil)
	e := setup(b, p)
	e.Secrets = oneSecret{secret("team-a", "s", "hush")}
	conn := connection(v1alpha1.ProviderSpec{Preset: "google", Issuer: v1alpha1.EndpointURL(p.URL)})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Connection(context.Background(), conn); err != nil {
			b.Fatal(err)
		}
	}
}

type oneSecret struct{ *corev1.Secret }

func (o oneSecret) Get(_ context.Context, _ client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	*into.(*corev1.Secret) = *o.Secret
	return nil
}
func (oneSecret) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }
