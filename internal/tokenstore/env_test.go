// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenstore

import (
	"context"
	"errors"
	"flag"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

var env *testenv.Env

func TestMain(m *testing.M) {
	flag.Parse()
	// What is fuzzed needs no API server, and every worker of the fuzzer would start one.
	if flag.Lookup("test.fuzz").Value.String() != "" {
		os.Exit(m.Run())
	}
	os.Exit(testenv.Run(m, testenv.Options{}, func(e *testenv.Env) { env = e }))
}

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

var errOutage = errors.New("no API server")

// wiretap counts requests and makes them fail.
type wiretap struct {
	mu    sync.Mutex
	count map[string]int
	// before runs ahead of a request and refuses it with its error.
	before func(verb string) error
	// after runs when the request was served; its error is what the caller gets for an answer.
	after func(verb string) error
}

func (w *wiretap) do(verb string, request func() error) error {
	w.mu.Lock()
	w.count[verb]++
	before, after := w.before, w.after
	w.mu.Unlock()
	if before != nil {
		if err := before(verb); err != nil {
			return err
		}
	}
	err := request()
	if after != nil && err == nil {
		return after(verb)
	}
	return err
}

// set installs hooks; nil takes one away.
func (w *wiretap) set(before, after func(verb string) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before, w.after = before, after
}

// spent returns what was requested since the last call.
func (w *wiretap) spent() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	count := w.count
	w.count = map[string]int{}
	return count
}

func (w *wiretap) funcs() interceptor.Funcs {
	return interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			return w.do("get", func() error { return c.Get(ctx, key, obj, opts...) })
		},
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			return w.do("create", func() error { return c.Create(ctx, obj, opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
			return w.do("update", func() error { return c.Update(ctx, obj, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
			return w.do("delete", func() error { return c.Delete(ctx, obj, opts...) })
		},
	}
}

func outage(string) error { return errOutage }

// on limits a hook to one verb.
func on(verb string, hook func() error) func(string) error {
	return func(v string) error {
		if v != verb {
			return nil
		}
		return hook()
	}
}

// once limits a hook to its first call. The hook may make requests itself.
func once(hook func() error) func() error {
	var called atomic.Bool
	return func() error {
		if called.Swap(true) {
			return nil
		}
		return hook()
	}
}

// cluster is what the replicas of one test share.
type cluster struct {
	t         testing.TB
	namespace string
	keyset    []byte
	clock     *clocktesting.FakePassiveClock
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	keyset, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	return &cluster{t: t, namespace: env.Namespace(t), keyset: keyset, clock: clocktesting.NewFakePassiveClock(noon)}
}

// replica is a process of its own.
func (c *cluster) replica(holder string) (*Store, *wiretap) {
	c.t.Helper()
	direct, err := client.NewWithWatch(env.Config, client.Options{Scheme: testenv.Scheme()})
	if err != nil {
		c.t.Fatal(err)
	}
	keyring, err := seal.Open(c.t.Context(), func(context.Context) ([]byte, error) { return c.keyset, nil })
	if err != nil {
		c.t.Fatal(err)
	}
	tap := &wiretap{count: map[string]int{}}
	return &Store{
		Client:    interceptor.NewClient(direct, tap.funcs()),
		Namespace: c.namespace,
		Keyring:   keyring,
		Holder:    holder,
		Clock:     c.clock,
		Retry:     func() backoff.BackOff { return backoff.NewConstantBackOff(5 * time.Millisecond) },
	}, tap
}

// pair is two replicas and a connection whose consent is stored.
func pair(t testing.TB) (c *cluster, a, b *Store, key Key) {
	t.Helper()
	c, key = newCluster(t), newKey()
	a, _ = c.replica("a")
	b, _ = c.replica("b")
	must(t)(a.Replace(t.Context(), key, consented("c", 0)))
	return c, a, b, key
}

func newKey() Key { return Key{Namespace: "team-a", Name: "github", UID: uuid.NewUUID()} }

// token obtained so many minutes after noon.
func token(minute int) oauth.Token {
	at := noon.Add(time.Duration(minute) * time.Minute)
	return oauth.Token{
		AccessToken:  oauth.NewSecret("sentinel-access-" + at.Format(time.TimeOnly)),
		RefreshToken: oauth.NewSecret("sentinel-refresh-" + at.Format(time.TimeOnly)),
		TokenType:    "Bearer", Obtained: at, Expiry: at.Add(time.Hour), Scopes: []string{"repo"},
	}
}

// consented is the record of a consent, at that minute.
func consented(by string, minute int) *Record {
	return &Record{
		Fingerprint: "fp", Grant: "AuthorizationCode", Token: token(minute), Account: "octocat", RequestedScopes: []string{"repo"},
		Authorization: types.UID(by), AuthorizedAt: noon.Add(time.Duration(minute) * time.Minute),
	}
}

// refreshed is the record with the next token.
func refreshed(r *Record, minute int) *Record {
	next := r.clone()
	next.Token, next.Previous, next.Refreshes = token(minute), r.Token.AccessToken, r.Refreshes+1
	return next
}

// must unpacks the result of a call that has to succeed.
func must(t testing.TB) func(*Record, error) *Record {
	return func(r *Record, err error) *Record {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

// diff compares what is stored of records.
func diff(want, got *Record) string {
	return cmp.Diff(want, got, cmpopts.IgnoreUnexported(Record{}), cmpopts.EquateEmpty())
}

func flush(t testing.TB, s *Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

func secretOf(t testing.TB, s *Store, key Key) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{}
	if err := env.Client.Get(t.Context(), types.NamespacedName{Namespace: s.Namespace, Name: "oauth-" + string(key.UID)}, secret); err != nil {
		t.Fatal(err)
	}
	return secret
}
