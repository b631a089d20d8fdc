// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tokenfile reads an access token from a mounted Secret, and tells when it changed. The kubelet
// replaces all files of a mounted Secret at once, by moving a link, so a plain read never sees half of one.
package tokenfile

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"
)

// File is a token in a mounted folder. A mount by subPath never changes; neither does an environment
// variable.
type File struct {
	// Path of the file.
	Path string
	// Every is how often it is looked at; zero means every second.
	Every time.Duration
}

// errEmpty holds nothing of the file.
var errEmpty = errors.New("the token's file is empty")

// Read returns the token that is there now.
func (f File) Read() (string, error) {
	raw, err := os.ReadFile(f.Path)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(raw))
	if token == "" {
		return "", errEmpty
	}
	return token, nil
}

// Follow calls changed with each token that differs from the one before, beginning with one that
// differs from last. It returns when ctx ends. What cannot be read is tried again.
func (f File) Follow(ctx context.Context, last string, changed func(token string)) {
	every := f.Every
	if every <= 0 {
		every = time.Second
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if token, err := f.Read(); err == nil && token != last {
			last = token
			changed(token)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
