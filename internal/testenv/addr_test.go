// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv_test

import (
	"net"
	"testing"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

func TestAReservedAddressIsGivenToNobodyElse(t *testing.T) {
	given := map[string]bool{}
	for range 500 {
		addr, err := testenv.ReserveAddr(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if given[addr] {
			t.Fatalf("%s is given twice, the second time after %d others", addr, len(given))
		}
		given[addr] = true
	}
	for addr := range given {
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatalf("a server cannot listen there: %v", err)
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
