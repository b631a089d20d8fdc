// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

// exampleUser is whom the examples authenticate as.
const exampleUser = "example"

// needs finds a server's program, or skips the story where it need not be there.
func needs(t *testing.T, program string, folders ...string) string {
	t.Helper()
	for _, folder := range folders {
		found, err := filepath.Glob(filepath.Join(folder, program))
		if err == nil && len(found) > 0 {
			return found[len(found)-1]
		}
	}
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("EXAMPLES_REQUIRED") != "" {
		t.Fatalf("there is no %s, and EXAMPLES_REQUIRED is set", program)
	}
	t.Skipf("there is no %s on this machine: install it to run the examples against it", program)
	return ""
}

// reservedPort is one that nobody listens at.
func reservedPort(t *testing.T) int {
	t.Helper()
	addr, err := testenv.ReserveAddr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return int(netip.MustParseAddrPort(addr).Port())
}

// serve runs a server until the test ends.
func serve(t *testing.T, cmd *exec.Cmd) *bytes.Buffer {
	t.Helper()
	said := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(cmd.Path), tail(said.String(), 20))
		}
	})
	return said
}

// redisServer is a Redis whose user's password is the current token.
type redisServer struct {
	address, cli string
	port         int
	last         string
}

func newRedis(t *testing.T) *redisServer {
	t.Helper()
	path := needs(t, "redis-server")
	r := &redisServer{cli: needs(t, "redis-cli"), port: reservedPort(t)}
	r.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port))
	serve(t, exec.Command(path, "--bind", "127.0.0.1", "--port", strconv.Itoa(r.port), "--save", "", "--dir", t.TempDir()))
	eventually(t, patience, func(ctx context.Context) error { _, err := r.ask(ctx, "PING"); return err })
	return r
}

// ask is the administrator's command.
func (r *redisServer) ask(ctx context.Context, command ...string) (string, error) {
	out, err := exec.CommandContext(ctx, r.cli, append([]string{"-e", "-p", strconv.Itoa(r.port)}, command...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", command[0], err, out)
	}
	return string(out), nil
}

// accept lets the user in with this token. The one before still counts, as it does until its expiry; the
// one before that does not any more.
func (r *redisServer) accept(ctx context.Context, token string) error {
	rules := []string{"ACL", "SETUSER", exampleUser, "on", "~*", "+@all", "resetpass", ">" + token}
	if r.last != "" {
		rules = append(rules, ">"+r.last)
	}
	_, err := r.ask(ctx, rules...)
	r.last = token
	return err
}

// oldest is the number of the user's connection that is open for the longest time.
func (r *redisServer) oldest(t *testing.T) int {
	t.Helper()
	out, err := r.ask(t.Context(), "CLIENT", "LIST")
	if err != nil {
		t.Fatal(err)
	}
	oldest := math.MaxInt
	for _, line := range strings.Split(out, "\n") {
		id := regexp.MustCompile(`^id=(\d+) .* user=` + exampleUser + ` `).FindStringSubmatch(line)
		if id != nil {
			n, _ := strconv.Atoi(id[1])
			oldest = min(oldest, n)
		}
	}
	return oldest
}

// authentications is how often AUTH was said: a new connection says HELLO instead.
func (r *redisServer) authentications(t *testing.T) int {
	t.Helper()
	out, err := r.ask(t.Context(), "INFO", "commandstats")
	if err != nil {
		t.Fatal(err)
	}
	calls := regexp.MustCompile(`cmdstat_auth:calls=(\d+)`).FindStringSubmatch(out)
	if calls == nil {
		return 0
	}
	n, _ := strconv.Atoi(calls[1])
	return n
}

// postgresServer is a PostgreSQL whose role's password is the current token.
type postgresServer struct {
	dsn, psql, socket string
	port              int
}

func newPostgres(t *testing.T) *postgresServer {
	t.Helper()
	const programs = "/usr/lib/postgresql/*/bin"
	initdb, server := needs(t, "initdb", programs), needs(t, "postgres", programs)
	p := &postgresServer{psql: needs(t, "psql"), port: reservedPort(t)}
	as := unprivileged(t)
	// Its socket's path may have 100 characters, and others have to reach it.
	dir, err := os.MkdirTemp("", "pg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	p.socket = dir
	data := filepath.Join(dir, "data")
	run := func(cmd *exec.Cmd) *exec.Cmd {
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		return cmd
	}
	if out, err := run(exec.Command(initdb, "-D", data, "-U", "admin", "--auth-local=trust", "--auth-host=scram-sha-256", "-N")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	serve(t, run(exec.Command(server, "-D", data, "-k", dir, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-p", strconv.Itoa(p.port))))
	eventually(t, patience, func(ctx context.Context) error { return p.say(ctx, "select 1") })
	if err := p.say(t.Context(), "create role "+exampleUser+" login"); err != nil {
		t.Fatal(err)
	}
	p.dsn = fmt.Sprintf("postgres://%s@127.0.0.1:%d/postgres?sslmode=disable", exampleUser, p.port)
	return p
}

// unprivileged is whom a server runs as that refuses root; nil where the test is not root.
func unprivileged(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(nobody.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// say is the administrator's statement. It goes by standard input: no process list shows a token.
func (p *postgresServer) say(ctx context.Context, statement string) error {
	cmd := exec.CommandContext(ctx, p.psql, "-h", p.socket, "-p", strconv.Itoa(p.port), "-U", "admin", "-v", "ON_ERROR_STOP=1", "-q", "postgres")
	cmd.Stdin = strings.NewReader(statement + ";\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// accept makes the token the role's only password, and ends every session that began with another.
func (p *postgresServer) accept(ctx context.Context, token string) error {
	if strings.ContainsAny(token, `'\`) {
		return fmt.Errorf("a token that cannot be quoted")
	}
	if err := p.say(ctx, "alter role "+exampleUser+" password '"+token+"'"); err != nil {
		return err
	}
	time.AfterFunc(time.Second, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = p.say(ctx, "select pg_terminate_backend(pid) from pg_stat_activity where usename = '"+exampleUser+"' and backend_start < now() - interval '1 second'")
	})
	return nil
}
