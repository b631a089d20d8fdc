// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
	"github.com/oauth-operator/oauth-operator/internal/testenv/operator"
	"github.com/oauth-operator/oauth-operator/internal/testenv/plugin"
)

// exitInterrupted is what shells say of a program that ended by Ctrl-C.
const exitInterrupted = 130

// interruptsLeaveNothing presses Ctrl-C at every step of a consent. Nobody goes on with what is left in
// the browser.
func interruptsLeaveNothing(t *testing.T, e *evidence) {
	w := newWorld(t, e, idp.Options{AccessTokenLifetime: time.Hour, Rotation: true, ReuseDetection: true})
	p := w.startWith(t, operator.Options{Modes: pairing})
	namespace := w.team(t, nil)
	edith := w.person(t, "edith", testenv.Edit, namespace)
	w.asks(t, connection(namespace, "interrupted"))
	run := func() *plugin.Process { return w.oauth(t, edith, namespace, "interrupted") }

	process := run()
	address(t, process)
	w.interrupted(t, process, namespace, "nothing was connected")

	process = run()
	consent, err := (&idp.Browser{}).Open(t.Context(), address(t, process))
	if err != nil || len(consent.Forms) != 1 {
		t.Fatalf("%v, %+v", err, consent)
	}
	w.interrupted(t, process, namespace, "nothing was connected")
	page, err := consent.Submit(t.Context(), "", nil)
	if err != nil || page.Status != http.StatusNotFound {
		t.Errorf("the page of an interrupted attempt leads on: %v, %+v", err, page)
	}
	if n := w.provider.Count(idp.Authorize); n > 0 {
		t.Errorf("an interrupted attempt leads to the provider")
	}

	process = run()
	browser, callback := w.atTheProvider(t, process)
	w.interrupted(t, process, namespace, "nothing was connected")
	if page, err = browser.Open(t.Context(), callback); err != nil || page.Status < http.StatusBadRequest {
		t.Errorf("the callback of an interrupted attempt is taken: %v, %+v", err, page)
	}
	w.noCodeWasExchanged(t)

	process = run()
	w.interruptedInTheExchange(t, process, namespace)
	w.awaitReady(t, namespace, []string{"interrupted"})
	w.accepted(t, namespace, []string{"interrupted"})
	w.nothingLeft(t, namespace)

	w.stop(t, p)
	process = w.oauth(t, edith, namespace, "interrupted", "--yes")
	w.attempted(t, namespace)
	w.interrupted(t, process, namespace, "stays connected")
}

// interrupted presses Ctrl-C.
func (w *world) interrupted(t *testing.T, process *plugin.Process, namespace, words string) {
	t.Helper()
	if err := process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ends(t, process, exitInterrupted)
	if !strings.Contains(process.Output(), "Interrupted") || !strings.Contains(process.Output(), words) {
		t.Errorf("%q is not in:\n%s", words, process.Output())
	}
	w.nothingLeft(t, namespace)
}

// atTheProvider walks up to the redirect that brings the person back.
func (w *world) atTheProvider(t *testing.T, process *plugin.Process) (*idp.Browser, string) {
	t.Helper()
	browser := &idp.Browser{Until: func(next *url.URL) bool {
		return strings.HasPrefix(next.String(), w.front.URL+"/callback/")
	}}
	page, err := browser.Connect(t.Context(), address(t, process), idp.DefaultUser())
	if err != nil || page.Header.Get("Location") == "" {
		t.Fatalf("the walk does not end before the callback: %v, %+v", err, page)
	}
	browser.Until = nil
	return browser, page.Header.Get("Location")
}

// interruptedInTheExchange presses Ctrl-C while the operator waits for the token. That goes on: the code
// is spent.
func (w *world) interruptedInTheExchange(t *testing.T, process *plugin.Process, namespace string) {
	t.Helper()
	answer := make(chan struct{})
	w.provider.Fault(idp.Token, 1, idp.HangAfterProcessing(answer))
	browser, callback := w.atTheProvider(t, process)
	shown := make(chan error, 1)
	go func() {
		page, err := browser.Open(t.Context(), callback)
		if err == nil && page.Status != http.StatusOK {
			err = errors.New(page.Body)
		}
		shown <- err
	}()
	eventually(t, patience, func(context.Context) error {
		if w.tokenRequests("authorization_code") == 0 {
			return errors.New("the operator does not exchange the code")
		}
		return nil
	})
	w.interrupted(t, process, namespace, "an account may be connected")
	close(answer)
	if err := <-shown; err != nil {
		t.Errorf("the browser is not told that the account is connected: %v", err)
	}
}
