// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
	"github.com/oauth-operator/oauth-operator/internal/testenv/operator"
)

const (
	floodStarts   = 10_000
	floodBefore   = 1000 // fill what is bounded and kept: connections, buffers, addresses
	floodWithin   = 2 * time.Minute
	floodVisitors = 40 // at the same time
	floodMayGrow  = 10 << 20
)

// floodCostsNothing sends strangers to every page that somebody can start at, each from an address of
// their own, so that the rate limit does not help. All ways to connect are open.
func floodCostsNothing(t *testing.T, e *evidence) {
	w := newWorld(t, e, idp.Options{AccessTokenLifetime: time.Hour, Rotation: true, ReuseDetection: true})
	p := w.startWith(t, operator.Options{Modes: []string{"Pairing", "PairingCode", "Link"}, Args: w.signIn(t)})
	namespace := w.team(t, nil)
	w.asks(t, connection(namespace, "asked"))
	w.connected(t, namespace, 1)
	process := w.oauth(t, w.person(t, "edith", testenv.Edit, namespace), namespace, "asked")
	addresses := starts(namespace, strings.TrimPrefix(address(t, process), w.front.URL))

	writes := w.awaitRest(t)
	flood(t, p.CallbackURL, addresses, floodBefore)
	before := resting(t, p.Pid())
	began := time.Now()
	statuses := flood(t, p.CallbackURL, addresses, floodStarts)
	took := time.Since(began)
	peak := resident(t, p.Pid())
	after := resting(t, p.Pid())
	t.Logf("%d starts in %.1f s; resident %.1f MiB before, %.1f MiB at the end, %.1f MiB at rest (%+.1f MiB); answers %v",
		floodStarts, took.Seconds(), mib(before), mib(peak), mib(after), mib(after-before), statuses)
	if took > floodWithin {
		t.Errorf("the starts took %.1f s: that was no flood", took.Seconds())
	}
	if after-before > floodMayGrow {
		t.Errorf("memory grew by %.1f MiB", mib(after-before))
	}
	if diff := cmp.Diff(writes, w.awaitRest(t)); diff != "" {
		t.Errorf("writes (+):\n%s", diff)
	}
	finishes(t, &idp.Browser{}, process.Printed())
	ends(t, process, 0)
}

// starts makes the path and query of one start after the other. paired is that of an attempt under way.
func starts(namespace, paired string) []func() string {
	state := func() string { return base64.RawURLEncoding.EncodeToString([]byte(rand.Text()[:26] + "000000")) }
	attempt, _, _ := strings.Cut(paired, "?")
	return []func() string{
		func() string { return "/connect/" + namespace + "/asked" },
		func() string { return "/connect/" + namespace + "/" + name() },
		func() string { return "/connect/" + name() + "/" + name() },
		func() string { return "/connect/" + namespace + "/asked?ticket=" + rand.Text() },
		func() string { return "/authorize/" + namespace + "/" + name() + "?state=" + state() },
		func() string { return "/authorize/" + name() + "/" + name() },
		func() string { return attempt + "?state=" + state() },
		func() string { return attempt + "?proof=" + state() },
	}
}

// name is one that nothing has.
func name() string { return strings.ToLower(rand.Text()) }

// flood starts so often and returns how many answers had each status.
func flood(t *testing.T, base string, addresses []func() string, starts int) map[int]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*floodWithin)
	defer cancel()
	transport := &http.Transport{MaxIdleConnsPerHost: floodVisitors}
	defer transport.CloseIdleConnections()
	statuses := map[int]int{}
	var mu sync.Mutex
	var next atomic.Int64
	var visitors sync.WaitGroup
	for range floodVisitors {
		visitors.Go(func() {
			for i := next.Add(1); i <= int64(starts) && ctx.Err() == nil; i = next.Add(1) {
				status, err := start(ctx, transport, base+addresses[int(i)%len(addresses)]())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				statuses[status]++
				mu.Unlock()
			}
		})
	}
	visitors.Wait()
	return statuses
}

func start(ctx context.Context, transport *http.Transport, address string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("X-Forwarded-For", visitor())
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// resting waits until a process holds as much memory as a while before.
func resting(t *testing.T, pid int) int64 {
	t.Helper()
	const while, still = 5 * time.Second, 256 << 10
	deadline := time.Now().Add(patience)
	for last := resident(t, pid); ; {
		pass(t, while)
		now := resident(t, pid)
		if last-now < still && now-last < still || time.Now().After(deadline) {
			return now
		}
		last = now
	}
}

var residentLine = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// resident is what a process has in RAM, in bytes (proc_pid_status(5)).
func resident(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	match := residentLine.FindSubmatch(status)
	if match == nil {
		t.Fatal("the kernel does not say how much memory a process has")
	}
	kib, err := strconv.ParseInt(string(match[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
