// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

const (
	exampleLifetime  = 16 * time.Second
	exampleRefreshes = 3
)

// examplesFollowTheToken runs the programs of examples/ against real servers that take the current token
// only, over several refreshes. Not one command may fail.
func examplesFollowTheToken(t *testing.T, e *evidence) {
	cache, database := newRedis(t), newPostgres(t)
	w := newWorld(t, e, idp.Options{AccessTokenLifetime: exampleLifetime})
	w.start(t)
	namespace := w.team(t, nil)
	programs := buildExamples(t)

	redisMount := w.mounted(t, namespace, "redis", cache.accept)
	redshiftMount := w.mounted(t, namespace, "redshift", database.accept)
	redis := startProgram(t, filepath.Join(programs, "redis"), "-address="+cache.address, "-user="+exampleUser, "-plaintext",
		"-every=50ms", "-token-file="+redisMount.file())
	redshift := startProgram(t, filepath.Join(programs, "redshift"), "-dsn="+database.dsn, "-every=50ms", "-token-file="+redshiftMount.file())
	first := cache.oldest(t)

	eventually(t, patience, func(context.Context) error {
		for _, m := range []*mount{redisMount, redshiftMount} {
			if n := m.changes(); n < exampleRefreshes {
				return fmt.Errorf("%s was refreshed %d times", m.name, n)
			}
		}
		return nil
	})
	// What comes after the last refresh has to work, too.
	redis.more(t, 20)
	redshift.more(t, 20)
	for _, p := range []*program{redis, redshift} {
		if n := p.last("failures"); n != 0 {
			t.Errorf("%s: %d commands failed:\n%s", p.name, n, tail(p.output(), 20))
		}
		t.Logf("%s: %s", p.name, tail(p.output(), 1))
	}
	eventually(t, patience, func(context.Context) error {
		if n := redis.last("tokens"); n <= exampleRefreshes {
			return fmt.Errorf("redis heard of %d tokens", n)
		}
		if n := redshift.last("connections"); n <= exampleRefreshes {
			return fmt.Errorf("redshift made %d connections, and each refresh ended one", n)
		}
		return nil
	})
	if now := cache.oldest(t); now != first {
		t.Errorf("connection %d is gone, %d is the oldest: redis made it anew instead of authenticating again", first, now)
	}
	if n := cache.authentications(t); n < exampleRefreshes {
		t.Errorf("redis authenticated %d times on an open connection", n)
	}
}

func buildExamples(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/", "./redis", "./redshift")
	build.Dir = "../../examples"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// mount is a folder into which a Secret is mounted.
type mount struct {
	name, dir string

	mu       sync.Mutex
	versions int
	version  string
}

func (m *mount) file() string { return filepath.Join(m.dir, "access_token") }

// changes is how often the content was replaced after the first.
func (m *mount) changes() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.versions - 1
}

// mounted makes a connection whose client acts for itself, and mounts its Secret: whenever that changes,
// the server accepts the token, and then the files are there. It returns once they are for the first time.
func (w *world) mounted(t *testing.T, namespace, name string, accept func(context.Context, string) error) *mount {
	t.Helper()
	c := connection(namespace, name)
	c.Spec.Grant = v1alpha1.GrantClientCredentials
	w.create(t, c)
	m := &mount{name: name, dir: t.TempDir()}
	look := func(ctx context.Context) error {
		secret := &corev1.Secret{}
		if err := w.env.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret); err != nil {
			return err
		}
		return m.put(ctx, secret, accept)
	}
	eventually(t, patience, look)
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			if err := look(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("mounting %s: %v", name, err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() { stop(); done.Wait() })
	return m
}

// put does what the kubelet does with a Secret that changed: a new folder, and one link that is moved to it.
func (m *mount) put(ctx context.Context, secret *corev1.Secret, accept func(context.Context, string) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if secret.ResourceVersion == m.version || len(secret.Data["access_token"]) == 0 {
		return nil
	}
	if err := accept(ctx, string(secret.Data["access_token"])); err != nil {
		return err
	}
	folder := "..version_" + strconv.Itoa(m.versions)
	if err := os.Mkdir(filepath.Join(m.dir, folder), 0o700); err != nil {
		return err
	}
	for key, value := range maps.All(secret.Data) {
		if err := os.WriteFile(filepath.Join(m.dir, folder, key), value, 0o600); err != nil {
			return err
		}
	}
	link := filepath.Join(m.dir, "..data_tmp")
	if err := os.Symlink(folder, link); err != nil {
		return err
	}
	if err := os.Rename(link, filepath.Join(m.dir, "..data")); err != nil {
		return err
	}
	for key := range maps.Keys(secret.Data) {
		if err := os.Symlink(filepath.Join("..data", key), filepath.Join(m.dir, key)); err != nil && !os.IsExist(err) {
			return err
		}
	}
	m.versions++
	m.version = secret.ResourceVersion
	return nil
}

// program is an example that runs.
type program struct {
	name string
	mu   sync.Mutex
	said bytes.Buffer
}

// Write keeps what the program says.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.Write(b)
}

func (p *program) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

func startProgram(t *testing.T, path string, args ...string) *program {
	t.Helper()
	p := &program{name: filepath.Base(path)}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = p, p
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ended with %v:\n%s", p.name, err, tail(p.output(), 10))
		}
	})
	p.more(t, 3)
	return p
}

// more waits until so many more commands worked.
func (p *program) more(t *testing.T, n int) {
	t.Helper()
	count := func() int { return max(p.last("commands"), p.last("queries")) }
	goal := count() + n
	eventually(t, patience, func(context.Context) error {
		if now := count(); now < goal {
			return fmt.Errorf("%s did %d of %d commands:\n%s", p.name, now, goal, tail(p.output(), 10))
		}
		return nil
	})
}

// last is a counter as it was printed last; zero before.
func (p *program) last(counter string) int {
	all := regexp.MustCompile(counter+`=(\d+)`).FindAllStringSubmatch(p.output(), -1)
	if len(all) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(all[len(all)-1][1])
	return n
}
