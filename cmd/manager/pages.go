// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// pageServer serves the callback pages. It runs on every replica, not only on the leader.
type pageServer struct {
	handler http.Handler
	addr    string
	certDir string

	listening atomic.Bool
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (*pageServer) NeedLeaderElection() bool { return false }

// longestRequest is a callback at its slowest: the code exchange takes 30 s at most, the account's
// name 10 s, the save 10 s. People in the middle of one are waited for at the end.
const longestRequest = time.Minute

// Start implements manager.Runnable.
func (s *pageServer) Start(ctx context.Context) error {
	listener, err := s.listen(ctx)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      longestRequest,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
	s.listening.Store(true)
	drained := make(chan error, 1)
	go func() {
		<-ctx.Done()
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), longestRequest)
		defer cancel()
		drained <- server.Shutdown(bounded)
	}()
	log.FromContext(ctx).Info("serving the callback pages", "address", listener.Addr().String(), "tls", s.certDir != "")
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-drained
}

// ready is a healthz.Checker: people are sent to this process from now on.
func (s *pageServer) ready(*http.Request) error {
	if !s.listening.Load() {
		return errors.New("the callback server does not listen yet")
	}
	return nil
}

func (s *pageServer) listen(ctx context.Context) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.addr)
	if err != nil || s.certDir == "" {
		return listener, err
	}
	watcher, err := certwatcher.New(filepath.Join(s.certDir, "tls.crt"), filepath.Join(s.certDir, "tls.key"))
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	go func() {
		if err := watcher.Start(ctx); err != nil {
			log.FromContext(ctx).Error(err, "watching the callback server's certificate")
		}
	}()
	return tls.NewListener(listener, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: watcher.GetCertificate,
		NextProtos:     []string{"h2", "http/1.1"},
	}), nil
}
