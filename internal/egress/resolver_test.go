// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// resolveTo makes every name resolve to the given addresses, one per look-up, the last one for good.
func resolveTo(t *testing.T, answers ...string) {
	t.Helper()
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	zone := &zone{answers: answers}
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go zone.serve(ours)
		return theirs, nil
	}}
}

// zone answers DNS queries for IPv4 addresses.
type zone struct {
	mu      sync.Mutex
	answers []string
}

func (z *zone) next() [4]byte {
	z.mu.Lock()
	defer z.mu.Unlock()
	answer := z.answers[0]
	if len(z.answers) > 1 {
		z.answers = z.answers[1:]
	}
	return netip.MustParseAddr(answer).As4()
}

// serve answers one query as DNS over TCP frames it (RFC 1035 section 4.2.2).
func (z *zone) serve(conn net.Conn) {
	defer conn.Close()
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return
	}
	query := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, query); err != nil {
		return
	}
	var message dnsmessage.Message
	if err := message.Unpack(query); err != nil {
		return
	}
	message.Header = dnsmessage.Header{ID: message.ID, Response: true}
	message.Additionals = nil
	if question := message.Questions[0]; question.Type == dnsmessage.TypeA {
		message.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: question.Name, Type: question.Type, Class: question.Class},
			Body:   &dnsmessage.AResource{A: z.next()},
		}}
	}
	answer, err := message.Pack()
	if err != nil {
		return
	}
	_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
}
