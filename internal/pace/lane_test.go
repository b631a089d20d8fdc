// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"testing"
	"time"
)

func TestALaneOpensWhenBothTheProviderAndItsSpeedLetIt(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, x := range map[string]struct {
		held, want time.Duration
	}{
		"the speed is the last":        {held: 300 * time.Millisecond, want: time.Second},
		"what was asked for is it":     {held: 3 * time.Second, want: 3 * time.Second},
		"what was asked for is over":   {held: -time.Second, want: time.Second},
		"both let it at the same time": {held: time.Second, want: time.Second},
	} {
		l := &lane{endpoint: &endpoint{held: now.Add(x.held)}}
		l.tempo.limit(now, 1) // its one request is spent
		if got := l.opensAt(now).Sub(now); got != x.want {
			t.Errorf("%s: it opens after %s, want %s", name, got, x.want)
		}
	}
}
