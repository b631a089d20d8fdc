// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"net"
)

// ReserveAddr is a loopback address for a server that is about to start, in another process: for a minute the
// kernel gives its port neither to who asks for any port nor to an outgoing connection.
func ReserveAddr(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	addr := listener.Addr().String()
	return addr, errors.Join(linger(ctx, listener), listener.Close())
}

// linger leaves a connection in TIME_WAIT at the listener's port: it was closed from the listener's side first.
// A server can listen there all the same, for servers set SO_REUSEADDR.
func linger(ctx context.Context, listener net.Listener) error {
	out, err := (&net.Dialer{}).DialContext(ctx, "tcp", listener.Addr().String())
	if err != nil {
		return err
	}
	in, err := listener.Accept()
	if err != nil {
		return errors.Join(err, out.Close())
	}
	return errors.Join(in.Close(), out.Close())
}
