// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// table shows a connection a line.
type table struct {
	now        time.Time
	paint      paint
	namespaces bool
	wide       bool
}

func (t table) print(out io.Writer, items []v1alpha1.OAuthConnection) error {
	w := printers.GetNewTabWriter(out)
	header := []string{"NAME", t.paint.in(plain, "READY"), "REASON", "PROVIDER", "ACCOUNT", "EXPIRES", "REFRESH", "AGE"}
	if t.namespaces {
		header = append([]string{"NAMESPACE"}, header...)
	}
	if t.wide {
		header = append(header, "SECRET", "SCOPES", "MESSAGE")
	}
	if err := row(w, header); err != nil {
		return err
	}
	for i := range items {
		if err := row(w, t.cells(&items[i])); err != nil {
			return err
		}
	}
	return w.Flush()
}

func row(out io.Writer, cells []string) error {
	_, err := fmt.Fprintln(out, strings.Join(cells, "\t"))
	return err
}

func (t table) cells(conn *v1alpha1.OAuthConnection) []string {
	s := &conn.Status
	ready := readyOf(conn)
	mark := markOf(conn, ready)
	cells := []string{
		clean(conn.Name), t.paint.in(mark.colour, clean(string(ready.Status))), dash(clean(ready.Reason)), dash(clean(s.Provider)), dash(clean(s.Account)),
		t.when(s.ExpiresAt), t.when(s.RefreshAt), duration.HumanDuration(t.now.Sub(conn.CreationTimestamp.Time)),
	}
	if t.namespaces {
		cells = append([]string{clean(conn.Namespace)}, cells...)
	}
	if t.wide {
		secret := ""
		if s.Binding != nil {
			secret = s.Binding.Name
		}
		cells = append(cells, dash(clean(secret)), dash(clean(strings.Join(s.Scopes, ","))), dash(clean(ready.Message)))
	}
	return cells
}

// when is a time as seen from now.
func (t table) when(at *metav1.Time) string {
	if at == nil {
		return "-"
	}
	return relative(at.Time, t.now)
}

// readyOf is the Ready condition, Unknown while the operator has set none.
func readyOf(conn *v1alpha1.OAuthConnection) metav1.Condition {
	if c := meta.FindStatusCondition(conn.Status.Conditions, v1alpha1.ReadyCondition); c != nil {
		return *c
	}
	return metav1.Condition{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionUnknown}
}

// mark is how a condition looks.
type mark struct{ text, colour string }

// markOf tells what is done from what is under way, and that from what waits for somebody.
func markOf(conn *v1alpha1.OAuthConnection, c metav1.Condition) mark {
	ready := c.Type == v1alpha1.ReadyCondition
	switch {
	case ready && conn.Spec.Suspend:
		return mark{"--", grey}
	case ready && c.Status == metav1.ConditionTrue && meta.IsStatusConditionTrue(conn.Status.Conditions, v1alpha1.ReconcilingCondition):
		return mark{"..", yellow} // usable, and a step has to be tried again
	case c.Reason == v1alpha1.ReasonIDTokenInvalid || c.Reason == v1alpha1.ReasonResponseInvalid:
		return mark{"!!", yellow} // it works, and somebody has to look
	case c.Status == metav1.ConditionTrue:
		return mark{"ok", green}
	case c.Status == metav1.ConditionUnknown || c.Reason == v1alpha1.ReasonProgressing:
		return mark{"..", yellow}
	}
	return mark{"!!", red}
}

// relative is "in 5h" or "5h ago".
func relative(at, now time.Time) string {
	if at.After(now) {
		return "in " + duration.HumanDuration(at.Sub(now))
	}
	return duration.HumanDuration(now.Sub(at)) + " ago"
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// clean takes what could steer a terminal or break a line out of a text that comes from a provider, from
// another person or from a cluster, which may say anything.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}
