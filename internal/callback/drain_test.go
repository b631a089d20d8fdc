// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

func TestTheProcessDoesNotEndBetweenTheProvidersAnswerAndTheSave(t *testing.T) {
	r := newRig(t)
	b := &idp.Browser{}
	address := r.atCallback(t, b, r.conn)
	answer := make(chan struct{})
	r.idp.Fault(idp.Token, 1, idp.HangAfterProcessing(answer))
	arrived := make(chan error, 1)
	go func() {
		_, err := b.Open(t.Context(), address)
		arrived <- err
	}()
	for r.idp.Count(idp.Token) == 0 {
		time.Sleep(time.Millisecond)
	}
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.Store.Flush(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Flush gives %v while a code is exchanged: after a lost lease nothing else waits", err)
	}
	close(answer)
	if err := errors.Join(<-arrived, r.Store.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
}
