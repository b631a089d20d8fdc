// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// barWidth is how many characters a token's life has.
const barWidth = 30

// screen shows one connection.
type screen struct {
	conn     *v1alpha1.OAuthConnection
	warnings []event
	// blind says that the person may not read events.
	blind   bool
	now     time.Time
	paint   paint
	command func(namespace string, words ...string) string
	wide    bool

	out strings.Builder
}

func (s *screen) print(out io.Writer) error {
	s.title()
	s.steps()
	s.facts()
	s.failures()
	s.next()
	_, err := io.WriteString(out, s.out.String())
	return err
}

func (s *screen) line(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

// field is a labelled line; without a value there is none.
func (s *screen) field(label, value string) {
	if value != "" {
		s.line("%-10s%s", label, value)
	}
}

func (s *screen) title() {
	conn := s.conn
	about := ""
	if conn.Status.Provider != "" {
		about = ", " + clean(conn.Status.Provider)
	}
	s.line("%s in namespace %s%s", conn.Name, conn.Namespace, about)
	switch {
	case conn.DeletionTimestamp != nil:
		s.line("%s", s.paint.in(yellow, "It is being deleted, since "+s.moment(conn.DeletionTimestamp.Time)+"."))
	case len(conn.Status.Conditions) == 0:
		s.line("%s", s.paint.in(yellow, "The operator has not looked at it yet. Is it running?"))
	case conn.Status.ObservedGeneration < conn.Generation:
		s.line("%s", s.paint.in(yellow, "The operator has not looked at its last change yet."))
	}
	s.line("")
}

// steps are the chain that leads to Ready. A step that was not reached has no condition.
func (s *screen) steps() {
	var stops []string
	for _, name := range []string{
		v1alpha1.ClientResolvedCondition, v1alpha1.AuthorizedCondition, v1alpha1.TokenFreshCondition,
		v1alpha1.SecretPublishedCondition, v1alpha1.ReadyCondition,
	} {
		c := meta.FindStatusCondition(s.conn.Status.Conditions, name)
		if c == nil {
			c = &metav1.Condition{Type: name, Status: metav1.ConditionUnknown, Message: "not reached yet"}
		}
		message := withoutRepeats(c.Message, stops)
		m := markOf(s.conn, *c)
		if m.text != "ok" && c.Reason != "" {
			message = c.Reason + ": " + message
			stops = append(stops, c.Message)
		}
		s.line("  %s  %-17s%s", s.paint.in(m.colour, m.text), name, clean(message))
	}
	s.line("")
}

// withoutRepeats drops what an earlier line said: Ready repeats the message of the step that keeps it.
func withoutRepeats(message string, said []string) string {
	for _, earlier := range said {
		if message == earlier {
			return "see above"
		}
		message = strings.TrimSuffix(message, "; "+earlier)
	}
	return message
}

func (s *screen) facts() {
	st := &s.conn.Status
	s.field("Account", s.account())
	s.field("Scopes", s.scopes())
	if st.Binding != nil {
		s.field("Secret", clean(st.Binding.Name))
	}
	s.token()
	if st.RefreshTokenExpiresAt != nil {
		s.field("Grant", s.grantEnds())
	}
	if s.conn.Spec.Grant == v1alpha1.GrantAuthorizationCode && (s.wide || st.LastRefreshTime == nil) {
		s.field("Redirect", clean(st.RedirectURI))
	}
	if s.wide {
		s.field("UID", clean(string(s.conn.UID)))
	}
}

// grantEnds is marked in the last days: nothing but a person helps then.
func (s *screen) grantEnds() string {
	ends := s.tense(s.conn.Status.RefreshTokenExpiresAt, "ends", "ended")
	if meta.IsStatusConditionTrue(s.conn.Status.Conditions, v1alpha1.GrantExpiringCondition) {
		ends = s.paint.in(yellow, "!! "+ends) + ", however often it is renewed"
	}
	return ends
}

func (s *screen) account() string {
	account, expected := clean(s.conn.Status.Account), clean(s.conn.Spec.ExpectedAccount)
	switch {
	case account != "":
		return account
	case expected != "":
		return "nobody has connected it; " + expected + " has to"
	case !s.conn.Spec.Grant.NeedsPerson():
		return "the client itself (" + clean(string(s.conn.Spec.Grant)) + ")"
	case s.conn.Status.LastRefreshTime == nil:
		return "nobody has connected it"
	default:
		return "the provider does not tell"
	}
}

// scopes are those granted, and marked those that were asked for and not granted. Providers rename
// some in their answer: while the operator is content with a grant, none is missing.
func (s *screen) scopes() string {
	granted := s.conn.Status.Scopes
	var words, missing []string
	for _, scope := range granted {
		words = append(words, clean(scope))
	}
	for _, scope := range s.conn.Spec.Scopes {
		if !slices.Contains(granted, string(scope)) {
			missing = append(missing, clean(string(scope)))
		}
	}
	authorized := meta.FindStatusCondition(s.conn.Status.Conditions, v1alpha1.AuthorizedCondition)
	switch {
	case len(missing) == 0:
	case s.conn.Status.LastRefreshTime == nil:
		return strings.Join(missing, ", ") + " (asked for)"
	case authorized == nil || authorized.Reason != v1alpha1.ReasonAuthorized:
		words = append(words, s.paint.in(red, "!! not granted: "+strings.Join(missing, ", ")))
	}
	return strings.Join(words, ", ")
}

func (s *screen) token() {
	st := &s.conn.Status
	if st.LastRefreshTime == nil {
		return
	}
	obtained := "obtained " + s.moment(st.LastRefreshTime.Time)
	if st.RefreshCount > 0 {
		obtained += ", renewed " + plural(int(st.RefreshCount), "time", "times")
	}
	if st.ExpiresAt == nil {
		s.field("Token", "no expiry is known; "+obtained)
	} else {
		s.field("Token", s.bar()+"  "+s.left())
		s.field("", s.tense(st.ExpiresAt, "expires", "expired"))
	}
	if st.RefreshAt != nil {
		s.field("", s.nextRefresh())
	}
	if st.ExpiresAt != nil {
		s.field("", obtained)
	}
}

func (s *screen) nextRefresh() string {
	at := s.conn.Status.RefreshAt
	if n := s.conn.Status.ConsecutiveFailures; n > 0 {
		return plural(int(n), "refresh has failed", "refreshes in a row have failed") + ", " + s.tense(at, "next try", "next try was due")
	}
	return s.tense(at, "next refresh", "next refresh was due")
}

// tense is a time with the words for what is to come, or for what is over.
func (s *screen) tense(at *metav1.Time, comes, over string) string {
	if !at.After(s.now) {
		comes = over
	}
	return comes + " " + s.moment(at.Time)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func (s *screen) left() string {
	st := &s.conn.Status
	whole := st.ExpiresAt.Sub(st.LastRefreshTime.Time)
	left := st.ExpiresAt.Sub(s.now)
	if left <= 0 {
		return s.paint.in(red, "expired")
	}
	return fmt.Sprintf("%s of %s left", duration.HumanDuration(left), duration.HumanDuration(whole))
}

// bar draws the token's life: = is over, > is now, | is the next refresh.
func (s *screen) bar() string {
	st := &s.conn.Status
	begin, end := st.LastRefreshTime.Time, st.ExpiresAt.Time
	place := func(t time.Time) int {
		share := float64(t.Sub(begin)) / float64(max(end.Sub(begin), 1))
		return min(max(int(share*barWidth), 0), barWidth-1)
	}
	cells := []byte(strings.Repeat(".", barWidth))
	now, colour := place(s.now), green
	if !s.now.Before(end) {
		now, colour = barWidth, red
	}
	copy(cells, strings.Repeat("=", now))
	if st.RefreshAt != nil && st.RefreshAt.After(s.now) {
		cells[place(st.RefreshAt.Time)] = '|'
	}
	if now < barWidth {
		cells[now] = '>'
	}
	return "[" + s.paint.in(colour, string(cells)) + "]"
}

// moment is a time both ways: as seen from now, and by the clock of the person's zone.
func (s *screen) moment(t time.Time) string {
	return fmt.Sprintf("%s (%s)", relative(t, s.now), t.In(s.now.Location()).Format("2006-01-02 15:04:05 MST"))
}

func (s *screen) failures() {
	if s.blind {
		s.line("\nYou may not read this namespace's events, which tell of the last failures.")
		return
	}
	if len(s.warnings) == 0 {
		return
	}
	s.line("\nLast failures")
	for _, w := range s.warnings {
		times := ""
		if w.times > 1 {
			times = fmt.Sprintf(" (%d times)", w.times)
		}
		s.line("  %-9s %s%s: %s", relative(w.last, s.now), clean(w.reason), times, clean(w.note))
	}
}

// next is the command that helps, where the messages above do not name it.
func (s *screen) next() {
	conn := s.conn
	var command string
	switch readyOf(conn).Reason {
	case "":
		command = findOperator
	case v1alpha1.ReasonAuthorizationRequired, v1alpha1.ReasonReauthorizationRequired, v1alpha1.ReasonRecordUnreadable:
		command = s.command(conn.Namespace, "connect", conn.Name)
	case v1alpha1.ReasonClientRejected, v1alpha1.ReasonRequestRejected, v1alpha1.ReasonRefreshFailed, v1alpha1.ReasonTokenExpired:
		command = s.command(conn.Namespace, "refresh", conn.Name)
	case v1alpha1.ReasonSuspended:
		command = resume(conn)
	}
	if command == "" && meta.IsStatusConditionTrue(conn.Status.Conditions, v1alpha1.GrantExpiringCondition) {
		command = s.command(conn.Namespace, "connect", conn.Name)
	}
	if overdue(conn, s.now) { // the conditions are those that a stopped operator left
		command = s.command(conn.Namespace, "doctor", conn.Name)
	}
	if command != "" && conn.DeletionTimestamp == nil {
		s.line("\nNext: %s", command)
	}
}
