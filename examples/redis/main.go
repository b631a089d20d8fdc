// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Redis talks to a Redis whose password is an access token: it follows the token's file in a mounted
// Secret, and authenticates again on its open connections when the file changes.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/oauth-operator/oauth-operator/examples/tokenfile"
)

type options struct {
	address, user, tokenFile, key string
	every                         time.Duration
	plaintext                     bool
}

func main() {
	var o options
	flag.StringVar(&o.address, "address", "localhost:6379", "host and port of Redis; Azure Managed Redis listens on 10000")
	flag.StringVar(&o.user, "user", "default", "user to authenticate as; with Microsoft Entra the object id of the principal")
	flag.StringVar(&o.tokenFile, "token-file", "/var/run/oauth/access_token", "the token in the mounted Secret")
	flag.StringVar(&o.key, "key", "oauth-operator-example", "key to count with")
	flag.DurationVar(&o.every, "every", time.Second, "time between two commands")
	flag.BoolVar(&o.plaintext, "plaintext", false, "talk without TLS: for a Redis on the same machine only, the token can be read on the way")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// run counts until ctx ends. A command that fails is told, and does not end it.
func run(ctx context.Context, o options) error {
	var tokens atomic.Int64
	tokens.Store(1)
	streaming, err := newCredentials(ctx, tokenfile.File{Path: o.tokenFile}, o.user, func() { tokens.Add(1) })
	if err != nil {
		return fmt.Errorf("read the token: %w", err)
	}
	client := redis.NewClient(o.client(streaming))
	defer client.Close()

	commands, failures := 0, 0
	for ticker := time.NewTicker(o.every); ; {
		if value, err := client.Incr(ctx, o.key).Result(); ctx.Err() != nil {
			return nil
		} else if err != nil {
			failures++
			fmt.Printf("failed: %v\n", err)
		} else {
			commands++
			fmt.Printf("commands=%d failures=%d tokens=%d value=%d\n", commands, failures, tokens.Load(), value)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (o options) client(streaming *credentials) *redis.Options {
	config := &redis.Options{
		Addr:                         o.address,
		StreamingCredentialsProvider: streaming,
		// Commands wait for a free connection, not for one that is authenticating.
		MinIdleConns: 2,
		// A server that is older, or is not Redis itself, does not know these notifications.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if !o.plaintext {
		host, _, err := net.SplitHostPort(o.address)
		if err != nil {
			host = o.address
		}
		config.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	}
	return config
}
