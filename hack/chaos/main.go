// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command chaos tries to make the operator lose a token, and prints what came of it:
//
//	go run ./hack/chaos [-form short|long] [-only scenario,...] [-n N] [-seed S] [-parallel P]
//
// The operator runs as processes of its own (bin/manager-chaos: the operator with the crash points of
// internal/crashpoint compiled in) with the rights of config/rbac, against a real API server and against a
// token endpoint of this program, which rotates refresh tokens, ends a grant whose spent token comes back,
// fails in every way that providers do, and knows the truth about every token. Scenarios share the API
// server; each has an operator's namespace, connections and a provider of its own.
//
// Each scenario prints one line of a table:
//
//	tried      what was done, and how often
//	lost       connections whose good refresh token nobody has any more
//	explained  those of them that said so, with the cause, within a minute of the crash
//	silent     those that did not: the worst that can happen
//	limit      what the operator promises
//
// and the program ends with 1 where a promise is broken. The seed decides about everything but what the
// machine's scheduler adds to it.
//
// A crash loses a token that was spent if it falls between the moment at which the provider processed the
// request and the one at which the new token is on the disk; no program can help that at a provider without
// a grace. Processes note what they reach (CHAOS_TRACE), so that such a loss is told from one that should not
// have been. With SIGKILL what was written is on the disk; that it was synced is for a power failure to show.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

// suite is what scenarios share.
type suite struct {
	env  *testenv.Env
	long bool
	// n overrides how often a scenario tries; 0: its own number.
	n    int
	seed uint64
	dir  string
	// journals: this build of the operator has them.
	journals bool
}

// scenario is one way to break the operator.
type scenario struct {
	name, title string
	run         func(context.Context, *suite, *result) error
	// alone: it takes away what others need, or is about time that they would take.
	alone bool
}

func scenarios() []scenario {
	return []scenario{
		{name: "sigterm", title: "SIGTERMs at random moments while refreshes run", run: sigterm},
		{name: "sigkill-grace", title: "SIGKILLs, the provider has a grace of 60 s", run: sigkillGrace},
		{name: "sigkill-no-grace", title: "SIGKILLs, no grace, a spent token ends the grant", run: sigkillNoGrace},
		{name: "points", title: "killed at every step of a refresh", run: points},
		{name: "api-away", title: "the API server goes away between answer and write", run: apiAway, alone: true},
		{name: "two-leaders", title: "two operators lead at the same time, with clocks 5 min apart", run: twoLeaders},
		{name: "soak", title: "10 % 5xx, 5 % hangs, bursts of 429", run: soak},
		{name: "restart-fresh", title: "restart while every token is fresh", run: restartFresh},
		{name: "failover", title: "the leader dies, ends, or starts again", run: failover, alone: true},
		{name: "conflicts", title: "others write to every object all the time", run: conflicts},
		{name: "herd", title: "everything is due at once after an outage of a provider that throttles", run: herd},
	}
}

func main() {
	broken, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(2)
	}
	if broken {
		os.Exit(1)
	}
}

func run() (broken bool, err error) {
	s := &suite{}
	form := flag.String("form", "short", "short, which takes minutes, or long")
	only := flag.String("only", "", "the scenarios to run, separated by commas; all of them by default")
	flag.IntVar(&s.n, "n", 0, "how often to try, instead of the form's number")
	flag.Uint64Var(&s.seed, "seed", uint64(time.Now().Unix()), "of what is random")
	parallel := flag.Int("parallel", 2, "how many scenarios run at the same time, of those that can")
	flag.Parse()
	chosen, err := choose(*only)
	if err != nil {
		return false, err
	}
	if *form != "short" && *form != "long" {
		return false, fmt.Errorf("-form is %q; it is short or long", *form)
	}
	s.long = *form == "long"
	log.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := s.prepare(ctx); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.env.Stop(), os.RemoveAll(s.dir)) }()

	results := s.performAll(ctx, chosen, *parallel)
	return slices.ContainsFunc(results, func(r *result) bool { return !r.ok() }), print(os.Stdout, s, results)
}

// choose picks scenarios by name, in their order.
func choose(only string) ([]scenario, error) {
	all := scenarios()
	if only == "" {
		return all, nil
	}
	names := strings.Split(only, ",")
	for _, name := range names {
		if !slices.ContainsFunc(all, func(sc scenario) bool { return sc.name == name }) {
			return nil, fmt.Errorf("there is no scenario %q", name)
		}
	}
	return slices.DeleteFunc(all, func(sc scenario) bool { return !slices.Contains(names, sc.name) }), nil
}

// prepare finds the operator's build and starts the control plane.
func (s *suite) prepare(ctx context.Context) error {
	root, err := testenv.Root()
	if err != nil {
		return err
	}
	binary := cmp.Or(os.Getenv("OAUTH_OPERATOR_BINARY"), filepath.Join(root, "bin", "manager-chaos"))
	if err := os.Setenv("OAUTH_OPERATOR_BINARY", binary); err != nil {
		return err
	}
	usage, err := exec.CommandContext(ctx, binary, "--help").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s does not run (make chaos builds it): %w", binary, err)
	}
	if s.journals = strings.Contains(string(usage), "--journal-dir"); !s.journals {
		fmt.Fprintln(os.Stderr, "this build of the operator has no journal: expect losses")
	}
	if s.dir, err = os.MkdirTemp("", "oauth-operator-chaos-"); err != nil {
		return err
	}
	s.env, err = testenv.Start(ctx, testenv.Options{CRDs: true, RBAC: true})
	return err
}

// performAll runs those that can at the same time, then the others one after the other.
func (s *suite) performAll(ctx context.Context, chosen []scenario, parallel int) []*result {
	results := make([]*result, len(chosen))
	var group errgroup.Group
	group.SetLimit(max(parallel, 1))
	for i, sc := range chosen {
		if !sc.alone {
			group.Go(func() error {
				results[i] = s.perform(ctx, sc)
				return nil
			})
		}
	}
	_ = group.Wait() // results have the errors
	for i, sc := range chosen {
		if sc.alone {
			results[i] = s.perform(ctx, sc)
		}
	}
	return results
}

// perform runs a scenario, and says on stderr that it does.
func (s *suite) perform(ctx context.Context, sc scenario) *result {
	r := &result{scenario: sc, random: s.randomFor(sc.name)}
	began := time.Now()
	fmt.Fprintf(os.Stderr, "%s: %s\n", sc.name, sc.title)
	r.err = sc.run(ctx, s, r)
	r.took = time.Since(began)
	fmt.Fprintf(os.Stderr, "%s: %.0f s, %s\n", sc.name, r.took.Seconds(), r.verdict())
	return r
}

// randomFor is a scenario's own source, so that one does not depend on which others run.
func (s *suite) randomFor(name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return rand.New(rand.NewPCG(s.seed, h.Sum64()))
}

// within is a limit as this form judges it: half as long again in the short one, whose machine is slow and
// does other things too.
func (s *suite) within(limit time.Duration) time.Duration {
	if s.long {
		return limit
	}
	return limit + limit/2
}

// times is how often a scenario tries: as asked for, else as its form has it.
func (s *suite) times(short, long int) int {
	switch {
	case s.n > 0:
		return s.n
	case s.long:
		return long
	}
	return short
}
