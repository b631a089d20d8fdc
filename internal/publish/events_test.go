// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// events collects what Foreign says of each event of a namespace.
type events struct {
	mu      sync.Mutex
	own     int
	foreign int
	deleted int
}

func (r *rig) collect(t *testing.T) *events {
	t.Helper()
	e := &events{}
	note := func(old, new metav1.Object, deleted bool) {
		o := old
		if o == nil {
			o = new
		}
		if o.GetNamespace() != r.namespace {
			return
		}
		foreign := r.Foreign(old, new)
		e.mu.Lock()
		defer e.mu.Unlock()
		if foreign {
			e.foreign++
		} else {
			e.own++
		}
		if deleted {
			e.deleted++
		}
	}
	_, err := r.informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { note(nil, o.(metav1.Object), false) },
		UpdateFunc: func(o, n any) { note(o.(metav1.Object), n.(metav1.Object), false) },
		DeleteFunc: func(o any) {
			if unknown, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
				o = unknown.Obj
			}
			note(o.(metav1.Object), nil, true)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *events) await(t *testing.T, own, foreign int) {
	t.Helper()
	eventually(t, func() error {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.own+e.foreign < own+foreign {
			return fmt.Errorf("%d own and %d foreign events, want %d and %d", e.own, e.foreign, own, foreign)
		}
		return nil
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.own != own || e.foreign != foreign {
		t.Fatalf("%d own and %d foreign events, want %d and %d", e.own, e.foreign, own, foreign)
	}
}

func TestOwnWritesDoNotWakeTheReconcilerAndForeignOnesDo(t *testing.T) {
	r := newRig(t, true)
	conn := r.connection(t, "github", v1alpha1.SecretSpec{})
	r.publish(t, conn, token("one"))
	r.seen(t, "github")
	e := r.collect(t) // starts with the Secret that is there, in the version that was written
	e.await(t, 1, 0)
	for i := range 20 {
		r.publish(t, conn, token(fmt.Sprint("next ", i)))
	}
	e.await(t, 21, 0)

	edited := r.secret(t, "github")
	edited.Labels["mine"] = "true"
	if err := env.Client.Update(t.Context(), edited); err != nil {
		t.Fatal(err)
	}
	e.await(t, 21, 1)
	if err := env.Client.Delete(t.Context(), edited); err != nil {
		t.Fatal(err)
	}
	e.await(t, 21, 2)

	r.publish(t, conn, token("next 19"))
	r.seen(t, "github")
	eventually(t, func() error {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.own < 22 {
			return errors.New("the creation was not seen")
		}
		return nil
	})
	if err := r.Withdraw(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.deleted != 2 {
			return errors.New("the deletion was not seen")
		}
		return nil
	})
	if e.foreign > 3 { // the second half of a creation may be looked at once more
		t.Errorf("%d foreign events: the own deletion counts as foreign", e.foreign)
	}
}
