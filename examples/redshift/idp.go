// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
)

// Amazon Redshift asks for a token of an identity provider by an authentication request that PostgreSQL
// does not have, and takes it in a message of its own. Its Python driver shows both
// (redshift_connector/core.py). To pgx it looks like being asked for a password in the clear; TLS is
// around it.
const (
	authenticationIDP       = 14
	authenticationCleartext = 3
	messageToken            = 'i'
	messagePassword         = 'p'
	messageAuthentication   = 'R'
	headerLength            = 5 // a letter, and four bytes of length that count themselves
)

// speakIDP is a pgconn.Config's AfterNetConnect.
func speakIDP(_ context.Context, _ *pgconn.Config, conn net.Conn) (net.Conn, error) {
	return &idpConn{Conn: conn}, nil
}

// idpConn translates the one request and the one answer. Everything else passes.
type idpConn struct {
	net.Conn
	started  bool   // the first message from the server was seen
	pending  []byte // of it, what was not handed on yet
	expected bool   // the next message to the server is the token
}

// Read hands on what the server sends.
func (c *idpConn) Read(b []byte) (int, error) {
	if !c.started {
		first := make([]byte, headerLength+4)
		n, err := io.ReadFull(c.Conn, first[:headerLength])
		if err == nil && first[0] == messageAuthentication {
			var rest int
			rest, err = io.ReadFull(c.Conn, first[headerLength:])
			n += rest
			if kind := first[headerLength:]; err == nil && binary.BigEndian.Uint32(kind) == authenticationIDP {
				binary.BigEndian.PutUint32(kind, authenticationCleartext)
				c.expected = true
			}
		}
		c.pending = first[:n]
		if err != nil && n == 0 {
			return 0, err
		}
		c.started = true
	}
	if len(c.pending) > 0 {
		n := copy(b, c.pending)
		c.pending = c.pending[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// Write hands on what pgx sends. It sends a message in one piece.
func (c *idpConn) Write(b []byte) (int, error) {
	if !c.expected || len(b) <= headerLength || b[0] != messagePassword {
		return c.Conn.Write(b)
	}
	c.expected = false
	token := b[headerLength : len(b)-1] // without the zero at the end
	message := make([]byte, headerLength, headerLength+len(token))
	message[0] = messageToken
	binary.BigEndian.PutUint32(message[1:], uint32(len(token)+4)) // #nosec G115 -- a token
	if _, err := c.Conn.Write(append(message, token...)); err != nil {
		return 0, err
	}
	return len(b), nil
}
