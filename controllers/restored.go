// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// statusSlack is how much older than status.lastRefreshTime a grant may be: that is cut to seconds, and
// may be of a replica whose clock is ahead of the one that a new consent came to.
const statusSlack = 3 * time.Second

// sighting is how far a connection's grant had got when this process saw it last.
type sighting struct {
	authorizedAt, obtained time.Time
	refreshes              int64
}

// sightings tell a record that somebody put back. The zero value is empty.
type sightings struct {
	mu   sync.Mutex
	last map[types.UID]sighting
}

func (s *sightings) note(uid types.UID, r *tokenstore.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = map[types.UID]sighting{}
	}
	s.last[uid] = sighting{r.AuthorizedAt, r.Token.Obtained, r.Refreshes}
}

func (s *sightings) forget(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, uid)
}

// newer is when a newer token than r's was obtained: of the same consent, or of a later one. It is zero where
// none was seen.
func (s *sightings) newer(uid types.UID, r *tokenstore.Record) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.last[uid]
	if r.AuthorizedAt.Before(seen.authorizedAt) || r.AuthorizedAt.Equal(seen.authorizedAt) && r.Refreshes < seen.refreshes {
		return seen.obtained
	}
	return time.Time{}
}

// noticeRestored compares a record that was just read with what was known before. One that is older came
// back from a backup, and its refresh token with it, which may be spent.
func (p *pass) noticeRestored(ctx context.Context) error {
	newer := p.newerKnown()
	if newer.IsZero() {
		p.sightings.note(p.conn.UID, p.record)
		return nil
	}
	next := *p.record
	next.Doubt = &tokenstore.Doubt{Since: newer, Cause: tokenstore.DoubtRestored}
	saved, err := p.Store.Amend(ctx, p.key, &next)
	if err != nil {
		return err
	}
	p.record = saved
	p.sightings.note(p.conn.UID, saved)
	p.Metrics.restored.Inc()
	p.event(corev1.EventTypeWarning, "BackupRestored", "Reconcile",
		p.feared()+"; be ready to connect again if the provider refuses it: "+p.howToConnect())
	return nil
}

// newerKnown is when a newer token than the record's was obtained, as far as this process or the status
// knows; counters tell, because clocks and what is made to look old do not. A new consent is newer than all.
// An attempt that was cut off after its status was written explains itself, and what the keeper holds is
// newer than what is stored.
func (p *pass) newerKnown() time.Time {
	r := p.record
	if p.actsForItself() || !renewable(r) || r.Token.Obtained.IsZero() || r.Ended != "" || r.Doubt != nil || r.Intent != nil || p.Store.Pending(p.conn.UID) {
		return time.Time{}
	}
	if seen := p.sightings.newer(p.conn.UID, r); !seen.IsZero() {
		return seen
	}
	status := &p.conn.Status
	if told := status.LastRefreshTime; told != nil && r.Refreshes < status.RefreshCount && r.LastUsed().Add(statusSlack).Before(told.Time) {
		return told.Time
	}
	return time.Time{}
}

// targetIsNewer says whether the target Secret is to be left as it is: it holds a token that was obtained
// after the one which came back from a backup, and which the provider may honour still.
func (p *pass) targetIsNewer(ctx context.Context) (bool, error) {
	if d := p.record.Doubt; d == nil || d.Cause != tokenstore.DoubtRestored {
		return false, nil
	}
	target := &metav1.PartialObjectMetadata{}
	target.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := p.Publisher.Client.Get(ctx, client.ObjectKey{Namespace: p.conn.Namespace, Name: p.conn.TargetName()}, target)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil && metav1.IsControlledBy(target, p.conn), err
}
