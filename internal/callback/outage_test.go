// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"errors"
	"sync/atomic"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

var errOutage = errors.New("connection refused")

// outage is an API server that does not take writes for a while.
type outage struct {
	client.Client
	down atomic.Bool
}

func newOutage(c client.Client) *outage {
	o := &outage{Client: c}
	o.down.Store(true)
	return o
}

func (o *outage) over() { o.down.Store(false) }

func (o *outage) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	if o.down.Load() {
		return errOutage
	}
	return o.Client.Create(ctx, obj, opts...)
}

func (o *outage) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	if o.down.Load() {
		return errOutage
	}
	return o.Client.Update(ctx, obj, opts...)
}

// statusOutage is an outage that writes of status feel too.
type statusOutage struct{ *outage }

func (o statusOutage) Status() client.SubResourceWriter {
	return failingStatus{o.Client.Status()}
}

type failingStatus struct{ client.SubResourceWriter }

func (failingStatus) Update(context.Context, client.Object, ...client.SubResourceUpdateOption) error {
	return errOutage
}
