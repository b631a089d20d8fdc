// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
	"github.com/oauth-operator/oauth-operator/internal/testenv/operator"
)

// The operator's registrations at every provider: with the public address, with the loopback address of
// people's own machines, and for signing people in.
const (
	clientID       = "e2e"
	nativeClientID = "native"
	signInClientID = "signin"
)

// patience bounds what takes seconds on a machine that is not busy.
const patience = 2 * time.Minute

// world is what one story has for itself.
type world struct {
	env      *testenv.Env
	provider *idp.Provider
	front    *front
	evidence *evidence
	// secret of the client; it has characters that are written in other ways in requests.
	secret string
	// identity is the operator's.
	identity *rest.Config

	// outage is when the API server was away.
	outage struct{ from, to time.Time }

	mu        sync.Mutex
	processes []*operator.Process
}

// newWorld starts an API server, a provider and the public address, and no operator yet. At the end
// of the test all of it is stopped, and what was seen becomes evidence.
func newWorld(t *testing.T, e *evidence, o idp.Options) *world {
	t.Helper()
	w := &world{evidence: e, secret: rand.Text() + "/+:&%"}
	env, err := testenv.Start(t.Context(), testenv.Options{CRDs: true, RBAC: true, Policies: true, AuditLog: true})
	if err != nil {
		t.Fatal(err)
	}
	w.env = env
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	if w.identity, err = env.OperatorConfig(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.front = newFront(e)
	t.Cleanup(w.front.Close)
	o.Clients = []idp.Client{
		{ID: clientID, Secret: w.secret, RedirectBase: w.front.URL},
		{ID: nativeClientID, Secret: w.secret, RedirectBase: "http://127.0.0.1:*"},
		{ID: signInClientID, Secret: w.secret, RedirectBase: w.front.URL},
	}
	if w.provider, err = idp.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.provider.Close)
	stopRecording := w.record(t)
	t.Cleanup(func() {
		w.end(t)
		stopRecording()
		w.testify(t)
	})
	return w
}

// start runs one more operator behind the public address and waits until it is ready.
func (w *world) start(t *testing.T, args ...string) *operator.Process {
	t.Helper()
	return w.startWith(t, operator.Options{Args: args})
}

func (w *world) startWith(t *testing.T, o operator.Options) *operator.Process {
	t.Helper()
	p := w.launch(t, o)
	w.ready(t, p)
	return p
}

// launch runs one more operator, which the public address does not lead to before it is ready.
func (w *world) launch(t *testing.T, o operator.Options) *operator.Process {
	t.Helper()
	o.Config, o.PublicURL = w.identity, w.front.URL
	// The front says who the visitor is: the rate limit for one address is not what is tested.
	o.Args = append([]string{"--trusted-proxy=127.0.0.0/8"}, o.Args...)
	p, err := operator.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.processes = append(w.processes, p)
	w.mu.Unlock()
	return p
}

func (w *world) ready(t *testing.T, p *operator.Process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	w.front.add(p.CallbackURL)
}

// kill ends an operator as a crash does.
func (w *world) kill(t *testing.T, p *operator.Process) {
	t.Helper()
	w.leave(p)
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
}

// stop ends an operator as a rollout does and says how long that took.
func (w *world) stop(t *testing.T, p *operator.Process) time.Duration {
	t.Helper()
	w.leave(p)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	began := time.Now()
	if err := p.Stop(ctx); err != nil {
		t.Errorf("an operator did not end well: %v", err)
	}
	return time.Since(began)
}

// leave takes a process out of the world while it still runs.
func (w *world) leave(p *operator.Process) {
	w.front.remove(p.CallbackURL)
	if text, err := metrics(p); err == nil {
		w.evidence.add("metrics", text)
	}
	w.evidence.log(p.Log)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.processes = slices.DeleteFunc(w.processes, func(running *operator.Process) bool { return running == p })
}

// end stops what still runs. Of a story that failed it shows what the operators said.
func (w *world) end(t *testing.T) {
	w.mu.Lock()
	running := slices.Clone(w.processes)
	w.mu.Unlock()
	for _, p := range running {
		w.stop(t, p)
		if t.Failed() {
			t.Logf("the end of an operator's log:\n%s", tail(p.Log(), 40))
		}
	}
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// metrics scrapes a process.
func metrics(p *operator.Process) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.MetricsURL, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

// sample is the sum of a metric's series whose line the pattern matches up to its value.
func sample(text, pattern string) float64 {
	sum := 0.0
	for _, match := range regexp.MustCompile(`(?m)^`+pattern+` (\S+)$`).FindAllStringSubmatch(text, -1) {
		var value float64
		if _, err := fmt.Sscan(match[1], &value); err == nil {
			sum += value
		}
	}
	return sum
}

// awaitLeader waits until a process leads.
func (w *world) awaitLeader(t *testing.T, p *operator.Process) {
	t.Helper()
	eventually(t, patience, func(context.Context) error {
		text, err := metrics(p)
		if err == nil && sample(text, `leader_election_master_status\{.*\}`) != 1 {
			err = fmt.Errorf("process %d does not lead", p.Pid())
		}
		return err
	})
}

// eventually tries until f has no error, and fails the test with the last one.
func eventually(t *testing.T, limit time.Duration, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %s: %v", limit, err)
		case <-tick.C:
		}
	}
}

// pass lets time go by: the promise is about a stretch of it.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}
