// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// vault is an operator's namespace of its own, with a keyset and what is sealed with it.
type vault struct {
	*testing.T
	*keysets
	out   bytes.Buffer
	clock *clocktesting.FakePassiveClock
	house *house
	keys  []tokenstore.Key
}

func newVault(t *testing.T, records int) *vault {
	t.Helper()
	w := &world{T: t, namespace: env.Namespace(t)}
	v := &vault{T: t, house: newHouse(w)}
	v.clock = v.house.clock
	v.keysets = &keysets{live: env.Client, namespace: w.namespace, now: v.clock.Now, out: &v.out}
	v.house.Store = v.replica()
	v.house.Served = []string{"nobody-s"}
	for range records {
		key := tokenstore.Key{Namespace: "team-a", Name: "github", UID: uuid.NewUUID()}
		record := &tokenstore.Record{Authorization: "a", Account: "octocat", Token: oauth.Token{AccessToken: oauth.NewSecret("x"), Obtained: v.clock.Now()}}
		if _, err := v.house.Store.Replace(t.Context(), key, record); err != nil {
			t.Fatal(err)
		}
		v.keys = append(v.keys, key)
	}
	return v
}

// replica is a process that starts.
func (v *vault) replica() *tokenstore.Store {
	v.Helper()
	keyring, err := awaitKeyring(v.Context(), env.Client, v.namespace)
	if err != nil {
		v.Fatal(err)
	}
	return &tokenstore.Store{Client: env.Client, Namespace: v.namespace, Keyring: keyring, Holder: string(uuid.NewUUID()), Clock: v.clock}
}

// opens says how many records a replica can open.
func (v *vault) opens(s *tokenstore.Store) (n int) {
	v.Helper()
	if err := s.Records(v.Context(), func(tokenstore.Key, *tokenstore.Record) { n++ }); err != nil {
		v.Fatal(err)
	}
	return n
}

// rounds are what a leader does within an interval.
func (v *vault) rounds() {
	v.Helper()
	if err := errors.Join(v.house.TendKeys(v.Context()), v.house.round(seal.RereadInterval)); err != nil {
		v.Fatal(err)
	}
}

func (v *vault) deleteKeyset() {
	v.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v.namespace, Name: keysetName}}
	if err := env.Client.Delete(v.Context(), secret); err != nil {
		v.Fatal(err)
	}
}

func TestARotationSealsAllRecordsAnewAndThenTheOldKeyCanGo(t *testing.T) {
	t.Parallel()
	v := newVault(t, 3)
	ticket, err := v.house.Store.Keyring.SealTicket(seal.Ticket{Name: "github", Expires: v.clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.prune(t.Context()); err != nil || !strings.Contains(v.out.String(), "one key only") {
		t.Errorf("with one key: %v; it says %q", err, v.out.String())
	}
	if err := v.rotate(t.Context()); err != nil || !strings.Contains(v.out.String(), "prune-keyset") || !strings.Contains(v.out.String(), "oauth_operator_records_old_key") {
		t.Errorf("%v; it says %q", err, v.out.String())
	}
	if err := v.prune(t.Context()); err == nil || !strings.Contains(err.Error(), "try again then") {
		t.Errorf("right after the rotation: %v", err)
	}
	v.clock.SetTime(v.clock.Now().Add(settledAfter))
	if err := v.prune(t.Context()); err == nil || !strings.Contains(err.Error(), "3 records are still sealed with the older keys") {
		t.Errorf("before the records are sealed anew: %v", err)
	}
	v.rounds()
	if !v.house.said(`"records"=3 "left"=0`) {
		t.Errorf("the log is %q", v.house.log)
	}
	v.rounds()
	if _, err := v.replica().Keyring.OpenTicket(t.Context(), ticket, v.clock.Now()); err != nil {
		t.Errorf("a ticket from before: %v", err)
	}
	if err := v.prune(t.Context()); err != nil || !strings.Contains(v.out.String(), "Dropped 1 older keys") {
		t.Errorf("%v; it says %q", err, v.out.String())
	}
	v.rounds()
	for name, s := range map[string]*tokenstore.Store{"a running replica": v.house.Store, "a restarted one": v.replica()} {
		if n := v.opens(s); n != 3 {
			t.Errorf("%s opens %d records", name, n)
		}
		if _, err := s.Keyring.OpenTicket(t.Context(), ticket, v.clock.Now()); !errors.Is(err, seal.ErrUnsealable) {
			t.Errorf("%s: a ticket of the key that is gone: %v", name, err)
		}
	}
}

func TestARecordThatAnotherReplicaSealedWithTheOldKeyIsNotForgotten(t *testing.T) {
	t.Parallel()
	v := newVault(t, 2)
	late := v.replica()
	if err := v.rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	v.rounds()
	key := tokenstore.Key{Namespace: "team-a", Name: "late", UID: uuid.NewUUID()}
	if _, err := late.Replace(t.Context(), key, &tokenstore.Record{Authorization: "a"}); err != nil {
		t.Fatal(err)
	}
	v.rounds()
	sealed, err := late.Sealed(t.Context())
	if err != nil || len(sealed[v.house.Store.Keyring.Primary()]) != 3 {
		t.Errorf("got %v, %v", sealed, err)
	}
}

func TestTwoRotationsAtOnceDoNotLoseAKey(t *testing.T) {
	t.Parallel()
	v := newVault(t, 1)
	both := &keysets{live: racing{env.Client, func() { _ = v.rotate(t.Context()) }}, namespace: v.namespace, now: v.now, out: &v.out}
	if err := both.rotate(t.Context()); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("got %v", err)
	}
	if n := v.opens(v.replica()); n != 1 {
		t.Error("the record does not open any more")
	}
}

// racing does something before each update.
type racing struct {
	client.Client
	first func()
}

func (r racing) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	r.first()
	return r.Client.Update(ctx, obj, opts...)
}

func TestADeletedKeysetComesBackFromARunningReplicaAndNoFreshOneTakesItsPlace(t *testing.T) {
	t.Parallel()
	v := newVault(t, 1)
	v.deleteKeyset()
	_, err := awaitKeyring(t.Context(), env.Client, v.namespace)
	if !errors.Is(err, seal.ErrKeysetLost) {
		t.Fatalf("a replica that starts: %v", err)
	}
	for _, says := range []string{
		v.namespace + "/" + keysetName, "from its backup", "kubectl -n " + v.namespace + " delete secrets -l oauth-operator.dev/record=true",
	} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%q does not say %q", err, says)
		}
	}
	if err := env.Client.Get(t.Context(), types.NamespacedName{Namespace: v.namespace, Name: keysetName}, &corev1.Secret{}); !apierrors.IsNotFound(err) {
		t.Errorf("a fresh keyset was made: %v", err)
	}
	v.rounds()
	if n := v.opens(v.replica()); n != 1 {
		t.Error("the record does not open any more")
	}
}

func TestAnOlderBackupOfTheKeysetCostsNothingWhileAReplicaRuns(t *testing.T) {
	t.Parallel()
	v := newVault(t, 1)
	backup := &corev1.Secret{}
	name := types.NamespacedName{Namespace: v.namespace, Name: keysetName}
	if err := env.Client.Get(t.Context(), name, backup); err != nil {
		t.Fatal(err)
	}
	if err := v.rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	v.rounds()
	v.deleteKeyset()
	backup.ResourceVersion = ""
	if err := env.Client.Create(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	if n := v.opens(v.replica()); n != 0 {
		t.Fatal("the record opens with the older keyset: this tests nothing")
	}
	// It need not be the leader that knows the key.
	if err := v.house.TendKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := v.opens(v.replica()); n != 1 {
		t.Error("the record does not open with the restored keyset")
	}
}

func TestAGrantIsRevokedOnceHoweverOftenTheTargetCannotBeRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "")
	target := w.target("alice")
	allow := w.denyDeletion(target)
	if err := env.Client.Delete(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	other := w.connected("another", "") // the operator had time to try more than once
	w.refreshed(other)
	if w.provider.Count(idp.Revocation) != 0 || len(w.records(conn)) != 1 {
		t.Error("the grant was given up before the target")
	}
	allow()
	w.gone(conn)
	w.gone(target)
	if n := w.provider.Count(idp.Revocation); n != 1 {
		t.Errorf("the provider was asked %d times, want 1", n)
	}
}

// denyDeletion keeps a Secret from being deleted until the returned function is called.
func (w *world) denyDeletion(secret *corev1.Secret) (allow func()) {
	w.Helper()
	name := "keep-" + w.namespace
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
	policy.Spec.FailurePolicy = ptr.To(admissionregistrationv1.Fail)
	policy.Spec.Validations = []admissionregistrationv1.Validation{{Expression: "false"}}
	policy.Spec.MatchConstraints = &admissionregistrationv1.MatchResources{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: w.namespace}},
		ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
			ResourceNames: []string{secret.Name},
			RuleWithOperations: admissionregistrationv1.RuleWithOperations{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Delete},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"secrets"}},
			},
		}},
	}
	w.create(policy)
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
	binding.Spec.PolicyName, binding.Spec.ValidationActions = name, []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}
	w.create(binding)
	w.eventually("the policy holds", func() (bool, string) {
		err := env.Client.Delete(w.Context(), secret.DeepCopy(), client.DryRunAll)
		return err != nil && !apierrors.IsNotFound(err), "it does not"
	})
	return func() {
		if err := env.Client.Delete(w.Context(), binding); err != nil {
			w.Fatal(err)
		}
	}
}

func TestWhoeverRotatesOrPrunesAKeysetThatIsGoneIsToldWhenItComesBackAndWhenNot(t *testing.T) {
	t.Parallel()
	gone := &keysets{live: env.Client, namespace: env.Namespace(t), now: time.Now, out: &bytes.Buffer{}}
	for name, command := range map[string]func(context.Context) error{"rotate": gone.rotate, "prune": gone.prune} {
		err := command(t.Context())
		if err == nil || !strings.Contains(err.Error(), "again within 5 minutes") || !strings.Contains(err.Error(), "restore it") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
