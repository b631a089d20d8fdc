// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9/auth"

	"github.com/oauth-operator/oauth-operator/examples/tokenfile"
)

// credentials give go-redis the user and the token of a file as password. Whenever the file changes, each
// open connection authenticates again with what it holds then.
type credentials struct {
	file tokenfile.File
	user string
	// changed is called after each change, before any connection hears of it.
	changed func()

	mu        sync.Mutex
	current   auth.Credentials
	listeners map[auth.CredentialsListener]bool
}

// newCredentials reads the first token, and follows the file until ctx ends.
func newCredentials(ctx context.Context, file tokenfile.File, user string, changed func()) (*credentials, error) {
	token, err := file.Read()
	if err != nil {
		return nil, err
	}
	c := &credentials{
		file: file, user: user, changed: changed,
		current:   auth.NewBasicCredentials(user, token),
		listeners: map[auth.CredentialsListener]bool{},
	}
	go file.Follow(ctx, token, c.replace)
	return c, nil
}

// Subscribe implements auth.StreamingCredentialsProvider.
func (c *credentials) Subscribe(listener auth.CredentialsListener) (auth.Credentials, auth.UnsubscribeFunc, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners[listener] = true
	return c.current, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.listeners, listener)
		return nil
	}, nil
}

// replace tells every connection of a new token.
func (c *credentials) replace(token string) {
	c.changed()
	next := auth.NewBasicCredentials(c.user, token)
	c.mu.Lock()
	c.current = next
	listeners := make([]auth.CredentialsListener, 0, len(c.listeners))
	for l := range c.listeners {
		listeners = append(listeners, l)
	}
	c.mu.Unlock()
	for _, l := range listeners {
		l.OnNext(next)
	}
}
