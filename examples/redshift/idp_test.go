// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
)

// redshift answers one connection as Amazon Redshift does where IAM Identity Center lets people in: it asks
// for a token by authentication request 14, which PostgreSQL does not have, and takes it in a message i.
type redshift struct {
	params map[string]string
	token  string
}

func (r *redshift) serve(t *testing.T, listener net.Listener) error {
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = conn.Close() })
	backend := pgproto3.NewBackend(conn, conn)
	start, err := backend.ReceiveStartupMessage()
	if err != nil {
		return err
	}
	r.params = start.(*pgproto3.StartupMessage).Parameters
	if _, err := conn.Write([]byte{'R', 0, 0, 0, 8, 0, 0, 0, 14}); err != nil {
		return err
	}
	header := make([]byte, 5)
	if _, err := io.ReadFull(conn, header); err != nil {
		return err
	}
	body := make([]byte, binary.BigEndian.Uint32(header[1:])-4)
	if _, err := io.ReadFull(conn, body); err != nil {
		return err
	}
	r.token = string(header[:1]) + ":" + string(body)
	backend.Send(&pgproto3.AuthenticationOk{})
	backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if err := backend.Flush(); err != nil {
		return err
	}
	for {
		message, err := backend.Receive()
		if err != nil {
			return nil // the client left
		}
		switch message.(type) {
		case *pgproto3.Parse:
			backend.Send(&pgproto3.ParseComplete{})
		case *pgproto3.Bind:
			backend.Send(&pgproto3.BindComplete{})
		case *pgproto3.Describe:
			backend.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("current_user"), DataTypeOID: 25, DataTypeSize: -1}}})
		case *pgproto3.Execute:
			backend.Send(&pgproto3.DataRow{Values: [][]byte{[]byte("ada")}})
			backend.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
		case *pgproto3.Sync:
			backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			if err := backend.Flush(); err != nil {
				return err
			}
		}
	}
}

func TestATokenIsGivenAsRedshiftAsksForIt(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, ended := &redshift{}, make(chan error, 1)
	go func() { ended <- server.serve(t, listener) }()

	path := filepath.Join(t.TempDir(), "access_token")
	if err := os.WriteFile(path, []byte("the-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options{
		dsn: "postgres://" + listener.Addr().String() + "/dev?user=ada&sslmode=disable", tokenFile: path,
		tokenType: "ACCESS_TOKEN", namespace: "awsidc",
	}
	config, err := o.pool()
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := ask(t.Context(), pool, "select current_user")
	if err != nil || answer != "ada" {
		t.Errorf("%q, %v", answer, err)
	}
	pool.Close()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if server.token != "i:the-token" {
		t.Errorf("the server got %q", server.token)
	}
	for name, want := range map[string]string{"idp_type": "AwsIdc", "token_type": "ACCESS_TOKEN", "identity_namespace": "awsidc", "plugin_name": "IdpTokenAuthPlugin"} {
		if server.params[name] != want {
			t.Errorf("%s is %q", name, server.params[name])
		}
	}
}

func TestAnAddressThatCannotBeReadIsNotRepeated(t *testing.T) {
	_, err := options{dsn: "postgres://ada:s3cret@%zz"}.pool()
	if err == nil || err.Error() != "the address of the database cannot be read" {
		t.Error(err)
	}
}
