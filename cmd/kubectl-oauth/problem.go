// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// problem is an error for people: what is wrong, and what to do next.
type problem struct {
	Text string
	// Hint is empty where nobody can do anything.
	Hint  string
	cause error
}

// Error is what is wrong.
func (p *problem) Error() string { return p.Text }

// Unwrap returns the API server's error, where there is one.
func (p *problem) Unwrap() error { return p.cause }

// report prints an error once.
func (a *app) report(err error) {
	p := a.explain(err)
	fmt.Fprintf(a.ErrOut, "error: %s\n", cleanLines(p.Text))
	if p.Hint != "" {
		fmt.Fprintf(a.ErrOut, "hint: %s\n", cleanLines(p.Hint))
	}
}

// cleanLines is clean for a text of several lines, which errors of the API server are.
func cleanLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

// usage turns a wrong command line into a problem.
func usage(c *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return &problem{Text: err.Error(), Hint: c.CommandPath() + " --help", cause: err}
}

// explain finds out what an error of the libraries means for a person.
func (a *app) explain(err error) *problem {
	var known *problem
	var unreachable *url.Error
	switch {
	case errors.As(err, &known):
		return known
	case clientcmd.IsEmptyConfig(err):
		return &problem{Text: "there is no kubeconfig, so no cluster to talk to", Hint: "set KUBECONFIG, or use --kubeconfig", cause: err}
	case *a.flags.KubeConfig != "" && errors.Is(err, fs.ErrNotExist) && strings.Contains(err.Error(), *a.flags.KubeConfig):
		return &problem{Text: fmt.Sprintf("there is no kubeconfig at %s", *a.flags.KubeConfig), Hint: "choose another --kubeconfig, or leave it out", cause: err}
	case notServed(err):
		return &problem{
			Text:  "oauth-operator is not installed in this cluster, or is too old: the API server does not know its kinds",
			Hint:  "ask the platform team, or look whether this is the right cluster: kubectl config current-context",
			cause: err,
		}
	case apierrors.IsForbidden(err):
		return &problem{Text: err.Error(), Hint: roleFor(err.Error()), cause: err}
	case apierrors.IsUnauthorized(err):
		return &problem{Text: "the API server does not accept your credentials", Hint: "log in again: kubectl auth whoami", cause: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &problem{Text: "the API server did not answer in time", cause: err}
	case errors.As(err, &unreachable):
		return &problem{
			Text:  "the API server cannot be reached: " + unreachable.Err.Error(),
			Hint:  "kubectl config current-context says which cluster is asked",
			cause: err,
		}
	}
	return &problem{Text: err.Error(), cause: err}
}

// notServed tells a kind that the API server lacks from an object that does not exist: the former is
// answered by no handler that speaks Kubernetes.
func notServed(err error) bool {
	return apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// roleFor names the role that allows what the API server's authorizer refused. Policies refuse in
// other words, and no role helps there.
func roleFor(refusal string) string {
	parts := regexp.MustCompile(`cannot (\w+) resource "(\w+)[^"]*" in API group "([^"]*)"`).FindStringSubmatch(refusal)
	switch {
	case parts == nil:
		return ""
	case parts[3] != "oauth-operator.dev":
		return fmt.Sprintf("this is done with your own rights: ask for the right to %s %s here", parts[1], parts[2])
	case slices.Contains([]string{"get", "list", "watch"}, parts[1]):
		return "ask for ClusterRole oauth-operator-view here, or for view, edit or admin, which include it"
	default:
		return "ask for ClusterRole oauth-operator-edit here, or for edit or admin, which include it"
	}
}

// missing says which connections there are instead of the one that was asked for.
func (a *app) missing(ctx context.Context, namespace, name string, err error) error {
	if !apierrors.IsNotFound(err) || notServed(err) {
		return err
	}
	p := &problem{Text: fmt.Sprintf("there is no OAuthConnection %q in namespace %s", name, namespace), cause: err}
	names, listErr := a.connectionNames(ctx)
	near := nearest(names, name)
	switch {
	case listErr != nil:
	case len(names) == 0:
		p.Hint = fmt.Sprintf("this namespace has none; others: %s status -A", a.name)
	case len(near) > 0:
		p.Hint = "did you mean " + strings.Join(near, " or ") + "?"
	default:
		p.Hint = "this namespace has: " + enumerate(names, 8)
	}
	return p
}

// enumerate shows the first names and how many more there are.
func enumerate(names []string, limit int) string {
	if len(names) <= limit {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:limit], ", "), len(names)-limit)
}

// nearest are those that somebody may have meant: at most three, the nearest first.
func nearest(names []string, meant string) []string {
	var near []string
	for _, n := range names {
		if distance(n, meant) <= max(1, len(meant)/3) || strings.HasPrefix(n, meant) {
			near = append(near, n)
		}
	}
	slices.SortStableFunc(near, func(a, b string) int { return distance(a, meant) - distance(b, meant) })
	return near[:min(len(near), 3)]
}

// distance is Levenshtein's: how many letters to change, add or drop.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
