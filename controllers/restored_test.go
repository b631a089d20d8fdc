// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// at is a record of a consent so many minutes before noon, after so many renewals, the last as long ago.
func at(consent, refreshes, obtained int) *tokenstore.Record {
	ago := func(minutes int) time.Time { return noon.Add(-time.Duration(minutes) * time.Minute) }
	return &tokenstore.Record{
		Fingerprint: "f", Grant: "AuthorizationCode", AuthorizedAt: ago(consent), Refreshes: int64(refreshes),
		Token: oauth.Token{AccessToken: oauth.NewSecret("access"), RefreshToken: oauth.NewSecret("refresh"), Obtained: ago(obtained), Expiry: ago(obtained - 60)},
	}
}

func TestARecordThatIsOlderThanWhatWasKnownCameBackFromABackup(t *testing.T) {
	told := func(p *pass, count int64, minutes int) {
		p.conn.Status.RefreshCount = count
		p.conn.Status.LastRefreshTime = timeOrNil(noon.Add(-time.Duration(minutes) * time.Minute))
	}
	for name, c := range map[string]struct {
		found  *tokenstore.Record
		before func(*pass)
		want   int // minutes before noon that the newer one was obtained; zero: none is known
	}{
		"nothing was known":                    {found: at(100, 1, 50), before: func(*pass) {}},
		"the status knows a newer one":         {found: at(100, 1, 50), before: func(p *pass) { told(p, 3, 10) }, want: 10},
		"the process saw a newer one":          {found: at(100, 1, 50), before: func(p *pass) { p.sightings.note("", at(100, 2, 20)) }, want: 20},
		"the process saw a later consent":      {found: at(100, 9, 50), before: func(p *pass) { p.sightings.note("", at(30, 0, 30)) }, want: 30},
		"the status is late":                   {found: at(100, 3, 10), before: func(p *pass) { told(p, 2, 50) }},
		"a new consent, and the status is old": {found: at(10, 0, 10), before: func(p *pass) { told(p, 9, 50) }},
		"a new consent after many renewals":    {found: at(10, 0, 10), before: func(p *pass) { p.sightings.note("", at(100, 9, 20)) }},
		"a new consent at a replica whose clock is behind": {found: at(10, 0, 10), before: func(p *pass) {
			told(p, 9, 10)
			p.conn.Status.LastRefreshTime = timeOrNil(noon.Add(-10*time.Minute + 2*time.Second))
		}},
		"a new consent while the token before it was renewed": {found: func() *tokenstore.Record {
			r := at(9, 0, 9) // the account's name was asked for between the answer and the save
			r.Token.Obtained = noon.Add(-9*time.Minute - 20*time.Second)
			return r
		}(), before: func(p *pass) {
			told(p, 9, 9)
			p.conn.Status.LastRefreshTime = timeOrNil(noon.Add(-9*time.Minute - 10*time.Second))
		}},
		"a renewal after the clock was set back": {found: at(100, 4, 50), before: func(p *pass) { told(p, 3, 10); p.sightings.note("", at(100, 3, 10)) }},
		"an attempt that was cut off once its status was written": {found: func() *tokenstore.Record {
			r := at(100, 1, 50)
			r.Intent = &tokenstore.Intent{Holder: "dead", Deadline: noon.Add(time.Minute)}
			return r
		}(), before: func(p *pass) { told(p, 2, 10) }},
		"one that is doubted already": {found: func() *tokenstore.Record {
			r := at(100, 1, 50)
			r.Doubt = restored()
			return r
		}(), before: func(p *pass) { told(p, 2, 10) }},
		"a client that acts for itself": {found: at(100, 1, 50), before: func(p *pass) { told(p, 2, 10); p.conn.Spec.Grant = v1alpha1.GrantClientCredentials }},
	} {
		t.Run(name, func(t *testing.T) {
			p := walkAt(noon, func(p *pass) { p.record = c.found })
			p.Store = &tokenstore.Store{Holder: "this"}
			c.before(p)
			got := p.newerKnown()
			if want := noon.Add(-time.Duration(c.want) * time.Minute); c.want == 0 && !got.IsZero() || c.want != 0 && !got.Equal(want) {
				t.Errorf("newer: %s, want %s", got, want)
			}
		})
	}
}

func TestABackupIsNoticedOnceAndItsTokenNotPutOverANewerOne(t *testing.T) {
	d := newDoubtful(t, func(p *pass) { p.record.Token.Expiry = noon.Add(10 * time.Hour) })
	d.look(0)
	older := *d.record
	d.answers[tokenPath] = renewed
	d.conn.Annotations = map[string]string{v1alpha1.RefreshRequestedAnnotation: "1"}
	d.look(0)
	target := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "github", UID: "t",
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d.conn, v1alpha1.GroupVersion.WithKind("OAuthConnection"))}}}
	if err := d.api.Create(t.Context(), target); err != nil {
		t.Fatal(err)
	}

	// What stood there a moment ago, over what stands there now.
	back := *d.record
	back.Token, back.Refreshes = older.Token, older.Refreshes
	d.stored(d.Store.Amend(t.Context(), d.key, &back))
	d.says(d.look(time.Second), v1alpha1.ReasonAtRisk, "came back from a backup: it is older than the token obtained at "+clockTime(noon),
		"to try it now: kubectl -n team-a annotate", "kubectl oauth connect github -n team-a")
	d.look(time.Second)
	if n := d.announced("BackupRestored"); n != 1 || d.counted("oauth_operator_restored_records_total") != 1 {
		t.Errorf("%d events", n)
	}
	if newer, err := d.targetIsNewer(t.Context()); err != nil || !newer {
		t.Errorf("the target would be written over (%v)", err)
	}
	if err := d.api.Delete(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	if newer, err := d.targetIsNewer(t.Context()); err != nil || newer {
		t.Errorf("a missing target would stay missing (%v)", err)
	}

	d.answers[tokenPath] = reused
	d.conn.Annotations[v1alpha1.RefreshRequestedAnnotation] = "2"
	c := d.look(time.Second)
	d.says(c, v1alpha1.ReasonReauthorizationRequired, "restored from a backup")
	if strings.Contains(c.Message, "killed") {
		t.Error(c.Message)
	}
}
