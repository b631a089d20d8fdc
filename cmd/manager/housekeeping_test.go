// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

func TestARecordWhoseConnectionWasForcedAwayIsRevokedAndRemovedAfterTenMinutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn, stays := w.connected("alice", ""), w.connected("stays", "expectedAccount: "+w.user.Email)
	token := string(w.target("alice").Data["access_token"])
	h := newHouse(w)
	if err := h.round(time.Hour); err != nil {
		t.Fatal(err)
	}
	// Another account than that of the connection that stays.
	h.rename(conn, "somebody@else.example")
	w.forceAway(conn)
	for _, after := range []time.Duration{0, 10*time.Minute - time.Second} {
		if err := h.round(after); err != nil {
			t.Fatal(err)
		}
		if len(w.records(conn)) != 1 || w.provider.Count(idp.Revocation) != 0 {
			t.Fatal("the record was swept too early")
		}
	}
	if err := h.round(time.Second); err != nil {
		t.Fatal(err)
	}
	if len(w.records(conn)) != 0 || w.provider.Count(idp.Revocation) != 1 || w.provider.AccessTokenValid(token) {
		t.Errorf("%d records, %d revocations", len(w.records(conn)), w.provider.Count(idp.Revocation))
	}
	if err := h.round(time.Hour); err != nil {
		t.Fatal(err)
	}
	if len(w.records(stays)) != 1 || !w.accepted("stays") || w.provider.Count(idp.Revocation) != 1 {
		t.Error("the other connection was touched")
	}
	if !h.said("the provider ended the grant") {
		t.Error("nothing was said")
	}
}

// rename changes whose grant a record is said to be.
func (h *house) rename(conn *v1alpha1.OAuthConnection, account string) {
	h.Helper()
	key := keyOf(conn)
	record, err := h.Store.Get(h.Context(), key)
	if err != nil {
		h.Fatal(err)
	}
	record.Account = account
	if _, err := h.Store.Amend(h.Context(), key, record); err != nil {
		h.Fatal(err)
	}
}

func keyOf(conn *v1alpha1.OAuthConnection) tokenstore.Key {
	return tokenstore.Key{Namespace: conn.Namespace, Name: conn.Name, UID: conn.UID}
}

func TestAConnectionMadeAgainUnderTheSameNameIsUntouchedWhenTheOldRecordIsSwept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	old := w.connected("alice", "")
	w.forceAway(old)
	if err := env.Client.Delete(t.Context(), w.target("alice")); err != nil {
		t.Fatal(err)
	}
	again := w.connected("alice", "")
	h := newHouse(w)
	h.swept()
	if len(w.records(old)) != 0 {
		t.Error("the old record is still there")
	}
	if len(w.records(again)) != 1 || !w.accepted("alice") {
		t.Error("the new connection was touched")
	}
	// Some providers end all grants of an account to a client at once.
	if w.provider.Count(idp.Revocation) != 0 || !h.said("another connection holds a grant of the same account") {
		t.Error("the grant of the same account was revoked")
	}
	w.refreshed(again)
}

func TestNoRecordIsSweptUnlessAListSaysTwiceThatItsConnectionIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "")
	stale := interceptor.NewClient(mustWatch(t), interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, ok := list.(*v1alpha1.OAuthConnectionList); ok {
				return nil // the cache has none
			}
			return c.List(ctx, list, opts...)
		},
	})
	h := newHouse(w)
	h.Cache = stale
	kindGone := func(list client.ObjectList) error {
		gone := &metav1.PartialObjectMetadataList{}
		gone.SetGroupVersionKind(schema.GroupVersionKind{Group: v1alpha1.GroupVersion.Group, Version: "v1alpha1", Kind: "OAuthNothingList"})
		return env.Client.List(t.Context(), gone) // what the API server says of a kind that it does not know
	}
	for name, c := range map[string]struct {
		list  func(client.ObjectList) error
		fails bool
	}{
		"the cache lags":                   {nil, false},
		"the list fails":                   {func(client.ObjectList) error { return errors.New("no API server") }, true},
		"the kind is missing":              {kindGone, true},
		"the list fails in its first page": {failingOnce(), true},
	} {
		h.list = c.list
		failed := false
		for range 4 {
			if err := h.round(time.Hour); err != nil {
				failed = true
			}
		}
		if failed != c.fails || len(w.records(conn)) != 1 {
			t.Fatalf("%s: failed is %t; there are %d records", name, failed, len(w.records(conn)))
		}
	}

	// A failure between does not make up for the second list that has to say so.
	w.forceAway(conn)
	h.list = nil
	for i, list := range []func(client.ObjectList) error{nil, kindGone} {
		h.list = list
		_ = h.round(time.Hour)
		if len(w.records(conn)) != 1 {
			t.Fatalf("swept in round %d", i)
		}
	}
	h.list = nil
	if err := h.round(time.Minute); err != nil || len(w.records(conn)) != 0 {
		t.Errorf("%v; there are %d records", err, len(w.records(conn)))
	}
}

// failingOnce fails the first time only.
func failingOnce() func(client.ObjectList) error {
	failed := false
	return func(client.ObjectList) error {
		if failed {
			return nil
		}
		failed = true
		return errors.New("cut off")
	}
}

func mustWatch(t *testing.T) client.WithWatch {
	t.Helper()
	direct, err := client.NewWithWatch(env.Config, client.Options{Scheme: testenv.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return direct
}

func TestARecordThatIsBeingWrittenIsNotSwept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "")
	w.forceAway(conn)
	h := newHouse(w)
	if err := h.round(0); err != nil {
		t.Fatal(err)
	}
	h.clock.SetTime(h.clock.Now().Add(10 * time.Minute))
	record, err := h.Store.Get(t.Context(), keyOf(conn))
	if err != nil {
		t.Fatal(err)
	}
	other := &tokenstore.Store{Client: env.Client, Namespace: testenv.OperatorNamespace, Keyring: h.Store.Keyring, Holder: "another", Clock: h.clock}
	if _, err := other.Begin(t.Context(), keyOf(conn), record); err != nil {
		t.Fatal(err)
	}
	if err := h.round(0); err != nil || len(w.records(conn)) != 1 {
		t.Fatalf("%v; there are %d records", err, len(w.records(conn)))
	}
	if err := h.round(tokenstore.IntentLifetime); err != nil || len(w.records(conn)) != 0 {
		t.Errorf("%v; there are %d records", err, len(w.records(conn)))
	}
}

func TestAnOrphanedGrantIsNotRevokedByTheSweeperEither(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "")
	before := w.records(conn)[0].ResourceVersion
	w.patch(conn, "{deletionPolicy: Orphan}") // after the consent: the record follows
	w.eventually("the record knows", func() (bool, string) { return w.records(conn)[0].ResourceVersion != before, before })
	w.forceAway(conn)
	h := newHouse(w)
	h.swept()
	if len(w.records(conn)) != 0 || w.provider.Count(idp.Revocation) != 0 || !w.accepted("alice") || !h.said("deletionPolicy was Orphan") {
		t.Errorf("%d records, %d revocations; the log is %q", len(w.records(conn)), w.provider.Count(idp.Revocation), h.log)
	}
}

func TestARecordOfANamespaceThatIsNotServedStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "")
	w.forceAway(conn)
	h := newHouse(w)
	h.Served = []string{"another"}
	h.swept()
	if len(w.records(conn)) != 1 {
		t.Error("it was swept")
	}
	h.Served = []string{w.namespace}
	h.swept()
	if len(w.records(conn)) != 0 {
		t.Error("it was not swept")
	}
}

// stranded stores the grant of a connection whose namespace is not there any more.
func (h *house) stranded(spec v1alpha1.OAuthConnectionSpec) (tokenstore.Key, string) {
	h.Helper()
	conn := &v1alpha1.OAuthConnection{ObjectMeta: metav1.ObjectMeta{Namespace: h.Served[0], Name: "alice", UID: uuid.NewUUID()}, Spec: spec}
	deleted := metav1.Now()
	conn.DeletionTimestamp = &deleted
	described, err := h.Resolver.Described(h.Context(), conn)
	if err != nil {
		h.Fatal(err)
	}
	refresh := h.refreshToken()
	record := &tokenstore.Record{
		Fingerprint: described.Fingerprint, Grant: string(conn.Spec.Grant), Account: h.user.Email, AuthorizedAt: h.clock.Now(),
		Authorization: uuid.NewUUID(), Spec: provider.Keep(conn),
		Token: oauth.Token{AccessToken: oauth.NewSecret("unknown"), RefreshToken: oauth.NewSecret(refresh), Obtained: h.clock.Now()},
	}
	if _, err := h.Store.Replace(h.Context(), keyOf(conn), record); err != nil {
		h.Fatal(err)
	}
	return keyOf(conn), refresh
}

// honoured says whether the provider still takes a refresh token.
func (w *world) honoured(refresh string) bool {
	w.Helper()
	form := strings.NewReader("grant_type=refresh_token&refresh_token=" + refresh)
	request, err := http.NewRequestWithContext(w.Context(), http.MethodPost, w.provider.URL(idp.Token), form)
	if err != nil {
		w.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(idp.DefaultClient().ID, idp.DefaultClient().Secret)
	response, err := w.provider.HTTPClient().Do(request)
	if err != nil {
		w.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func TestTheGrantOfASharedClientIsRevokedThoughTheNamespaceIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	h := newHouse(w, "gone-"+w.namespace)
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: testenv.OperatorNamespace, Name: w.namespace},
		StringData: map[string]string{"client-secret": idp.DefaultClient().Secret},
	})
	shared := &v1alpha1.ClusterOAuthProvider{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
	shared.Spec.Issuer = v1alpha1.EndpointURL(w.provider.Issuer())
	shared.Spec.Client = &v1alpha1.ClientSpec{ID: idp.DefaultClient().ID, SecretRef: &v1alpha1.SecretKeyRef{Name: w.namespace}}
	shared.Spec.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"served": "yes"}}
	w.create(shared)
	key, refresh := h.stranded(v1alpha1.OAuthConnectionSpec{
		ProviderRef: &v1alpha1.ProviderRef{Kind: "ClusterOAuthProvider", Name: w.namespace}, Grant: v1alpha1.GrantAuthorizationCode,
	})
	h.swept()
	if _, err := h.Store.Get(t.Context(), key); !errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("the record is still there: %v", err)
	}
	if w.honoured(refresh) {
		t.Errorf("the grant lives; the log is %q", h.log)
	}
}

func TestARecordIsRemovedThoughItsClientSecretWentWithTheNamespace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	h := newHouse(w, "gone-"+w.namespace)
	key, refresh := h.stranded(v1alpha1.OAuthConnectionSpec{
		Provider: &v1alpha1.ProviderSpec{Issuer: v1alpha1.EndpointURL(w.provider.Issuer())}, Grant: v1alpha1.GrantAuthorizationCode,
		Client: &v1alpha1.ClientSpec{ID: idp.DefaultClient().ID, SecretRef: &v1alpha1.SecretKeyRef{Name: "client"}},
	})
	h.swept()
	if _, err := h.Store.Get(t.Context(), key); !errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("the record is still there: %v", err)
	}
	if !w.honoured(refresh) || !h.said(`Secret \"client\" not found in namespace gone-`) || !h.said("end it at the provider by hand") {
		t.Errorf("the log is %q", h.log)
	}
}
