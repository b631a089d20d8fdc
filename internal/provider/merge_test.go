// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/egress"
)

// written fills every field of a description with something of its own.
func written(t *testing.T, v reflect.Value, text string) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int64:
		v.SetInt(int64(len(text)) * int64(time.Second))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		written(t, v.Elem(), text)
	case reflect.Struct:
		for i := range v.NumField() {
			written(t, v.Field(i), text)
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{text: text}).Convert(v.Type()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		written(t, v.Index(0), text)
	default:
		t.Fatalf("%s is not known here", v.Kind())
	}
}

func TestEveryFieldThatIsSetWinsOverThePreset(t *testing.T) {
	preset, spec := &v1alpha1.ProviderSpec{}, &v1alpha1.ProviderSpec{}
	written(t, reflect.ValueOf(preset).Elem(), "Preset")
	written(t, reflect.ValueOf(spec).Elem(), "Written-By-Hand")
	before := preset.DeepCopy()
	got := merge(preset, spec)
	want := spec.DeepCopy()
	both := func(m map[string]string) { m["Preset"] = "Preset" }
	for _, m := range []map[string]string{
		want.AuthorizationParams, want.TokenParams, want.ExchangeParams, want.RefreshParams, want.AuthorizationRequest.Rename,
		want.TokenRequest.Headers, want.TokenRequest.Rename, want.RevocationRequest.Headers, want.RevocationRequest.Rename,
	} {
		both(m)
	}
	want.Metadata = append(preset.DeepCopy().Metadata, want.Metadata...)
	want.Errors = append(want.Errors, preset.Errors...)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, preset); diff != "" {
		t.Errorf("the preset has changed: %s", diff)
	}
}

func TestEveryFieldThatIsNotSetIsThePresets(t *testing.T) {
	preset := &v1alpha1.ProviderSpec{}
	written(t, reflect.ValueOf(preset).Elem(), "Preset")
	want := preset.DeepCopy()
	want.Preset, want.Parameters = "", nil
	if diff := cmp.Diff(want, merge(preset, &v1alpha1.ProviderSpec{})); diff != "" {
		t.Error(diff)
	}
	empty := &v1alpha1.ProviderSpec{
		Endpoints: &v1alpha1.Endpoints{}, Scopes: &v1alpha1.ScopeRules{}, Refresh: &v1alpha1.RefreshRules{},
		AuthorizationRequest: &v1alpha1.AuthorizationRequestRules{}, AuthorizationResponse: &v1alpha1.AuthorizationResponseRules{},
		TokenRequest: &v1alpha1.TokenRequestRules{}, TokenResponse: &v1alpha1.TokenResponseRules{}, RevocationRequest: &v1alpha1.RevocationRequestRules{},
	}
	if diff := cmp.Diff(want, merge(preset, empty)); diff != "" {
		t.Error(diff)
	}
}

func TestHeadersAndMetadataOfOneNameAreOne(t *testing.T) {
	preset := &v1alpha1.ProviderSpec{
		TokenRequest: &v1alpha1.TokenRequestRules{Headers: v1alpha1.RequestHeaders{"Notion-Version": "1"}},
		Metadata:     []v1alpha1.MetadataRule{{Name: "a", Value: "body.a"}, {Name: "b", Value: "body.b"}},
		Refresh:      &v1alpha1.RefreshRules{IdleTimeout: &metav1.Duration{Duration: time.Hour}},
	}
	got := merge(preset, &v1alpha1.ProviderSpec{
		TokenRequest: &v1alpha1.TokenRequestRules{Headers: v1alpha1.RequestHeaders{"notion-version": "2"}},
		Metadata:     []v1alpha1.MetadataRule{{Name: "a", Value: "callback.a"}},
	})
	if diff := cmp.Diff(v1alpha1.RequestHeaders{"Notion-Version": "2"}, got.TokenRequest.Headers); diff != "" {
		t.Error(diff)
	}
	want := []v1alpha1.MetadataRule{{Name: "a", Value: "callback.a"}, {Name: "b", Value: "body.b"}}
	if diff := cmp.Diff(want, got.Metadata); diff != "" {
		t.Error(diff)
	}
}

// FuzzAddressesThatAreWritten holds checkSpec to what it promises of any text.
func FuzzAddressesThatAreWritten(f *testing.F) {
	for _, seed := range []string{"https://a.example/{dc}", "https://{dc}.example", "https://{token}@x/", "https://{", "https://}{dc}", "{dc}", "https://a/{{dc}}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		spec := &v1alpha1.ProviderSpec{
			Endpoints: &v1alpha1.Endpoints{Token: v1alpha1.EndpointURL(address)},
			Metadata:  []v1alpha1.MetadataRule{{Name: "dc", Value: "body.dc", Pattern: "eu"}},
		}
		if checkSpec(egress.Policy{}, spec, origin{}) != nil {
			return
		}
		r := &Resolved{at: origin{}}
		x, err := newExpressions()
		if err != nil {
			t.Fatal(err)
		}
		if r.rules, err = x.metadataRules(spec.Metadata, origin{}); err != nil {
			t.Fatal(err)
		}
		filled, err := r.filled("endpoints.token", address, map[string]string{"dc": "eu"})
		if err != nil {
			return
		}
		if address != "" && checkAddress(egress.Policy{}, filled, true) != nil {
			t.Errorf("%q became %q", address, filled)
		}
	})
}
