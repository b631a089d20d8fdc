// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Redshift queries a database whose password is an access token: Amazon Redshift with a token of an
// identity provider, or any PostgreSQL. Every connection is made with the token that the mounted Secret
// holds at that moment, and a connection that ended is replaced without a failed query.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oauth-operator/oauth-operator/examples/tokenfile"
)

type options struct {
	dsn, tokenFile, query string
	tokenType, namespace  string
	every, lifetime       time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.dsn, "dsn", "", "address of the database, without a password: postgres://user@host:5439/dev?sslmode=verify-full")
	flag.StringVar(&o.tokenFile, "token-file", "/var/run/oauth/access_token", "the token in the mounted Secret")
	flag.StringVar(&o.tokenType, "token-type", "", "for Redshift with IAM Identity Center: ACCESS_TOKEN for its own tokens, EXT_JWT for those of a trusted token issuer; empty: the token is a PostgreSQL password")
	flag.StringVar(&o.namespace, "identity-namespace", "", "for Redshift with IAM Identity Center: the namespace of the identity provider, where there is more than one")
	flag.StringVar(&o.query, "query", "select current_user", "query to run")
	flag.DurationVar(&o.every, "every", time.Second, "time between two queries")
	flag.DurationVar(&o.lifetime, "lifetime", 10*time.Minute, "how long a connection is used at most: shorter than the token lives")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// run queries until ctx ends. A query that fails is told, and does not end it.
func run(ctx context.Context, o options) error {
	config, err := o.pool()
	if err != nil {
		return err
	}
	var connections atomic.Int64
	config.AfterConnect = func(context.Context, *pgx.Conn) error { connections.Add(1); return nil }
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()

	queries, failures := 0, 0
	for ticker := time.NewTicker(o.every); ; {
		if answer, err := ask(ctx, pool, o.query); ctx.Err() != nil {
			return nil
		} else if err != nil {
			failures++
			fmt.Printf("failed: %v\n", err)
		} else {
			queries++
			fmt.Printf("queries=%d failures=%d connections=%d answer=%s\n", queries, failures, connections.Load(), answer)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// pool makes connections with the token of the moment, one at a time.
func (o options) pool() (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(o.dsn)
	if err != nil {
		return nil, errors.New("the address of the database cannot be read") // pgx' own error may hold a password
	}
	file := tokenfile.File{Path: o.tokenFile}
	config.MaxConns = 1
	config.MaxConnLifetime = o.lifetime
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		token, err := file.Read()
		c.Password = token
		return err
	}
	if o.tokenType != "" {
		config.ConnConfig.AfterNetConnect = speakIDP
		params := config.ConnConfig.RuntimeParams
		params["plugin_name"], params["idp_type"], params["token_type"] = "IdpTokenAuthPlugin", "AwsIdc", o.tokenType
		if o.namespace != "" {
			params["identity_namespace"] = o.namespace
		}
		// No prepared statement outlives its query: they count against Redshift's session.
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	return config, nil
}

// attempts bounds how often a query is asked again on another connection.
const attempts = 5

// ask runs a query that changes nothing, so that it can be asked again where its connection had ended, or
// the token was replaced between reading it and showing it.
func ask(ctx context.Context, pool *pgxpool.Pool, query string) (answer string, err error) {
	for try := range attempts {
		if err = pool.QueryRow(ctx, query).Scan(&answer); err == nil || !passing(err) {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return "", err
		case <-time.After(time.Duration(try+1) * 200 * time.Millisecond):
		}
	}
	return "", err
}

// passing says whether an error is the connection's end rather than the query's fault.
func passing(err error) bool {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return true // the connection broke
	}
	switch refused.Code {
	case "28P01", "28000", // the password was replaced
		"57P01", "57P02", "57P03": // the server ended the connection, or starts
		return true
	}
	return false
}
