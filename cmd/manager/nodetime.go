// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !chaos

package main

import "time"

// nodeTime is the clock of this machine.
func nodeTime() time.Time { return time.Now() }
