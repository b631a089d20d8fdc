// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/oauth-operator/oauth-operator/internal/journal"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// identity names this process: id among all that lead or led, holder among all that ever ran. A container
// that starts again has the id of the one before, which its journal proves to be dead: it takes its lease
// and its attempts back at once.
type identity struct {
	journal    *journal.Journal // nil without --journal-dir
	id, holder string
}

func identify(ctx context.Context, dir string) (*identity, error) {
	self := &identity{id: journal.NewID()}
	if dir != "" {
		files, err := journal.Open(ctx, dir)
		if err != nil {
			return nil, err
		}
		self.journal, self.id = files, files.ID()
	}
	self.holder = self.id + "/" + string(uuid.NewUUID())
	return self, nil
}

// replay takes up what a former process left, and tells of the journal from then on.
func (i *identity) replay(ctx context.Context, store *tokenstore.Store, registry prometheus.Registerer) error {
	if i.journal == nil {
		return nil
	}
	found := store.Replay(ctx)
	failed := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "oauth_operator_journal_failed",
		Help: "1 while the journal cannot be written: a crash may lose a token that the API server has not taken yet.",
	}, func() float64 {
		if i.journal.Failed() {
			return 1
		}
		return 0
	})
	unread := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "oauth_operator_journal_unread_files",
		Help: "Files that were found in the journal at the start and not read: torn ones are removed, sealed ones are kept for the keyset that opens them.",
	}, []string{"cause"})
	unread.WithLabelValues("torn").Set(float64(found.Torn))
	unread.WithLabelValues("sealed").Set(float64(found.Sealed))
	return errors.Join(registry.Register(failed), registry.Register(unread))
}

// patient is a context for what has to be read before the journal can be: where there is something to
// save, the end of the process waits for it.
func (i *identity) patient(ctx context.Context) context.Context {
	if i.journal != nil && len(i.journal.Files()) > 0 {
		return context.WithoutCancel(ctx)
	}
	return ctx
}
