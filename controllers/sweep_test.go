// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"errors"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/publish"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// Whoever may edit connections may take their finalizers away: a quota counts connections, and not the
// records that they leave. Their provider need not answer, either.
func TestRecordsThatATenantLeavesBehindPileUpNowhereAndHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSweeper(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "hangs.example" {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
		}))
		const surplus = 50
		for i := range orphansOfOne + surplus {
			h.leave("hostile", i, "https://hangs.example/")
		}
		for i := range 3 {
			h.leave("team-"+strconv.Itoa(i), 0, "https://answers.example/")
		}
		h.round()
		time.Sleep(sweepAfter)
		began := time.Now()
		h.round()
		if took := time.Since(began); took > time.Minute {
			t.Errorf("the round took %s", took)
		}
		left := h.left()
		if left["team-0"]+left["team-1"]+left["team-2"] != 0 || h.revoked["answers.example"] != 3 {
			t.Errorf("of the others %v are left, %d were revoked", left, h.revoked["answers.example"])
		}
		if left["hostile"] > orphansOfOne || left["hostile"] == 0 {
			t.Errorf("%d are left", left["hostile"])
		}
	})
}

// sweeper is a housekeeper over a fake API server without connections.
type sweeper struct {
	*Housekeeper
	t       *testing.T
	revoked map[string]int // requests by host
}

func newSweeper(t *testing.T, network roundTripper) *sweeper {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	api := fake.NewClientBuilder().WithScheme(scheme).Build()
	keyring, err := seal.Open(t.Context(), seal.SecretSource(api, types.NamespacedName{Namespace: "operator", Name: "keyset"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := NewHousekeepingMetrics(prometheus.NewRegistry(), keyring)
	if err != nil {
		t.Fatal(err)
	}
	s := &sweeper{t: t, revoked: map[string]int{}}
	counted := roundTripper(func(r *http.Request) (*http.Response, error) {
		s.revoked[r.URL.Host]++
		return network(r)
	})
	s.Housekeeper = &Housekeeper{Cache: api, Live: api, Clock: clock.RealClock{}, Metrics: metrics,
		Store:    &tokenstore.Store{Client: api, Namespace: "operator", Keyring: keyring, Holder: "this", Clock: clock.RealClock{}},
		Resolver: &provider.Resolver{Reader: api, Secrets: api, HTTP: &http.Client{Transport: counted}, PublicURL: "https://operator.example", Namespace: "operator"},
	}
	return s
}

// leave stores the record of a connection that is gone.
func (s *sweeper) leave(namespace string, i int, provides string) {
	s.t.Helper()
	at := func(path string) v1alpha1.EndpointURL { return v1alpha1.EndpointURL(provides + path) }
	conn := &v1alpha1.OAuthConnection{Spec: v1alpha1.OAuthConnectionSpec{
		Provider: &v1alpha1.ProviderSpec{Endpoints: &v1alpha1.Endpoints{Authorization: at("authorize"), Token: at("token"), Revocation: at("revoke")}},
		Client:   &v1alpha1.ClientSpec{ID: namespace}, Grant: v1alpha1.GrantAuthorizationCode,
	}}
	conn.Namespace, conn.Name = namespace, strconv.Itoa(i)
	described, err := s.Resolver.Described(s.t.Context(), conn)
	if err != nil {
		s.t.Fatal(err)
	}
	key := tokenstore.Key{Namespace: namespace, Name: conn.Name, UID: types.UID(namespace + "-" + conn.Name)}
	_, err = s.Store.Replace(s.t.Context(), key, &tokenstore.Record{
		Fingerprint: described.Fingerprint, Grant: string(conn.Spec.Grant), AuthorizedAt: time.Now(), Account: conn.Name, Spec: provider.Keep(conn),
		Token: oauth.Token{AccessToken: oauth.NewSecret("access"), RefreshToken: oauth.NewSecret("refresh"), Obtained: time.Now()},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *sweeper) round() {
	s.t.Helper()
	if err := s.sweep(s.t.Context()); err != nil {
		s.t.Error(err)
	}
}

// left counts records by namespace.
func (s *sweeper) left() map[string]int {
	s.t.Helper()
	found := map[string]int{}
	if err := s.Store.Records(s.t.Context(), func(key tokenstore.Key, _ *tokenstore.Record) { found[key.Namespace]++ }); err != nil {
		s.t.Fatal(err)
	}
	return found
}

func TestNothingIsKeptInMemoryOfAConnectionThatIsGoneHoweverItWent(t *testing.T) {
	r := &ConnectionReconciler{Publisher: &publish.Publisher{}}
	r.sightings.note("uid", &tokenstore.Record{})
	gone := &v1alpha1.OAuthConnection{}
	gone.UID = "uid"
	if !r.departed().Delete(event.DeleteEvent{Object: client.Object(gone)}) {
		t.Error("its deletion is not looked at")
	}
	if len(r.sightings.last) != 0 {
		t.Error("it is remembered")
	}
}
