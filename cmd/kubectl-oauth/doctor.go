// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

const (
	// checkTimeout bounds one check.
	checkTimeout = 15 * time.Second
	// doctorTimeout bounds them all.
	doctorTimeout = 2 * time.Minute
)

// doctor looks at an installation and at connections, with the rights of the person who asks.
type doctor struct {
	*app
	only   string // the one connection; empty: all of the namespace
	output string
	web    *http.Client // for what is not the API server

	team    string // the namespace
	server  *apiServer
	kube    client.WithWatch
	ahead   time.Duration // by which the API server's clock is ahead of this one
	conns   []v1alpha1.OAuthConnection
	reached map[string]reach // answers of public addresses
}

func newDoctorCommand(a *app) *cobra.Command {
	d := &doctor{app: a, web: newWeb()}
	c := &cobra.Command{
		Use:   "doctor [NAME]",
		Short: "Find what is wrong, and say how to mend it",
		Long: `Find what is wrong, and say how to mend it: in the installation, and with a name in one connection
from its provider to the pods that use its token. Without a name all connections of the namespace are
looked at for faults. Nothing is changed, and nothing secret is printed. Each finding has a mark:
  ok  as it should be       --  could not be looked at, or is yours to judge
  !!  a warning             xx  a fault
The exit code is 1 where there is a fault.

The addresses of the operator and of the provider are asked from this machine, which may see them
otherwise than the operator does.`,
		Example: `  # The installation, and the faults of all connections of the namespace
  kubectl oauth doctor

  # One connection in depth
  kubectl oauth doctor github

  # For a script
  kubectl oauth doctor github -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeConnections,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				d.only = args[0]
			}
			return d.run(c.Context())
		},
	}
	addOutputFlag(c, &d.output, "json", "yaml")
	return c
}

// check is one thing to look at. What it finds has its name.
type check[T any] struct {
	name string
	look func(T, context.Context) []finding
}

// installationChecks are in the order in which one fault explains the next.
func installationChecks() []check[*doctor] {
	return []check[*doctor]{
		{"API server", (*doctor).lookAtServer},
		{"clock", (*doctor).lookAtClock},
		{"kinds", (*doctor).lookAtKinds},
		{"connections", (*doctor).lookForConnections},
		{"operator", (*doctor).lookAtOperator},
		{"policies", (*doctor).lookAtPolicies},
		{"your rights", (*doctor).lookAtRights},
	}
}

// faultChecks can find faults of a connection.
func faultChecks() []check[*patient] {
	return []check[*patient]{
		{"conditions", (*patient).lookAtConditions},
		{"public address", (*patient).lookAtPublicAddress},
		{"client Secret", (*patient).lookAtClientSecret},
		{"target Secret", (*patient).lookAtTarget},
	}
}

// connectionChecks are faultChecks and those that can only warn, from the provider to the pods.
func connectionChecks() []check[*patient] {
	return []check[*patient]{
		{"conditions", (*patient).lookAtConditions},
		{"public address", (*patient).lookAtPublicAddress},
		{"provider", (*patient).lookAtProvider},
		{"redirect URI", (*patient).lookAtRedirect},
		{"client Secret", (*patient).lookAtClientSecret},
		{"target Secret", (*patient).lookAtTarget},
		{"consumers", (*patient).lookAtConsumers},
	}
}

// examine runs checks until one says that the rest makes no sense.
func examine[T any](ctx context.Context, at T, checks []check[T]) (found []finding, ended bool) {
	for _, c := range checks {
		within, cancel := context.WithTimeout(ctx, checkTimeout)
		for _, f := range c.look(at, within) {
			f.Check = c.name
			found = append(found, f)
			ended = ended || f.last
		}
		cancel()
		if ended {
			break
		}
	}
	return found, ended
}

// patient is a connection under examination.
type patient struct {
	*doctor
	conn     *v1alpha1.OAuthConnection
	provider *description // of its provider, made by describe
}

func (d *doctor) run(ctx context.Context) error {
	r, err := d.examination(ctx)
	if err != nil {
		return err
	}
	if d.output != "" {
		err = printValue(d.Out, d.output, r)
	} else {
		err = r.print(d.Out, newPaint(d.Out))
	}
	if err == nil && r.Faults > 0 {
		err = &problem{Text: plural(r.Faults, "fault was found", "faults were found")}
	}
	return err
}

// examination fails only where nothing can be asked at all, or the person ended it.
func (d *doctor) examination(ctx context.Context) (*diagnosis, error) {
	var err error
	if d.team, err = d.namespace(); err != nil {
		return nil, err
	}
	if d.server, err = d.connectServer(); err != nil {
		return nil, err
	}
	r := &diagnosis{Namespace: d.team, Name: d.only, Connections: []examined{}}
	within, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	found, ended := examine(within, d, installationChecks())
	r.add(nil, found)
	for i := range d.conns {
		if ended {
			break
		}
		if within.Err() != nil {
			late := warn("the time is up: %s not looked at", plural(len(d.conns)-i, "connection was", "connections were")).
				mended("look at one: %s", d.command(d.team, "doctor", d.conns[i].Name))
			late.Check = "connections"
			r.add(nil, []finding{late})
			break
		}
		p := &patient{doctor: d, conn: &d.conns[i]}
		checks := faultChecks()
		if d.only != "" {
			checks = connectionChecks()
		}
		found, _ := examine(within, p, checks)
		if d.only == "" {
			found = faultsOf(found)
		}
		r.add(p.conn, found)
	}
	return r, ctx.Err()
}

// now is the API server's time, by which the operator's times are judged.
func (d *doctor) now() time.Time { return d.clock.Now().Add(d.ahead) }

// lookForConnections reads those that are to be looked at.
func (d *doctor) lookForConnections(ctx context.Context) []finding {
	if d.only != "" {
		conn, err := d.connection(ctx, d.only)
		if err != nil {
			p := d.explain(err)
			return []finding{fault(p.Text, p.Hint)}
		}
		d.conns = []v1alpha1.OAuthConnection{*conn}
		return nil
	}
	list := &v1alpha1.OAuthConnectionList{}
	if err := d.kube.List(ctx, list, client.InNamespace(d.team)); err != nil {
		p := d.explain(err)
		return []finding{fault(p.Text, p.Hint)}
	}
	if d.conns = list.Items; len(d.conns) == 0 {
		return []finding{note("there are none in namespace %s", d.team).mended("begin with: %s init --help", d.name)}
	}
	return []finding{ok("%s in namespace %s", plural(len(d.conns), "is", "are"), d.team)}
}

// unseen is what could not be looked at: not permitted, or an error.
func (d *doctor) unseen(what string, err error) finding {
	p := d.explain(err)
	if role := roleFor(err.Error()); role != "" {
		return note("you may not look at %s", what).mended("%s", role)
	}
	return warn("%s could not be looked at: %s", what, clean(p.Text)).mended("%s", p.Hint)
}

// next is a command of this program for the connection.
func (p *patient) next(verb string) string { return p.command(p.conn.Namespace, verb, p.conn.Name) }

// kubectl is a command of kubectl's own in the connection's namespace.
func (p *patient) kubectl(format string, args ...any) string {
	return fmt.Sprintf("kubectl -n %s ", p.conn.Namespace) + fmt.Sprintf(format, args...)
}
