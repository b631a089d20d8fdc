// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"testing"
	"time"
)

func TestTheOperatorIsNotReadyBeforeItsPagesAreServed(t *testing.T) {
	s := &pageServer{handler: http.NotFoundHandler(), addr: "127.0.0.1:0"}
	if s.ready(nil) == nil {
		t.Error("ready before anybody listens")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Start(ctx) }()
	for deadline := time.Now().Add(10 * time.Second); s.ready(nil) != nil; {
		if time.Now().After(deadline) {
			t.Fatal("never ready")
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
