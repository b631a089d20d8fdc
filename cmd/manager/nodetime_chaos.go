// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build chaos

package main

import (
	"os"
	"time"
)

// nodeTime is the clock of a machine that is wrong by CHAOS_CLOCK_SKEW, a duration such as -5m.
func nodeTime() time.Time {
	skew, _ := time.ParseDuration(os.Getenv("CHAOS_CLOCK_SKEW"))
	return time.Now().Add(skew)
}
