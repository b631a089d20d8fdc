// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

const (
	// awaitEvery is how often an API server that is away is asked for the keyset.
	awaitEvery = time.Second
	// believeAfter is how long an API server that is starting may refuse what it permits later: it begins
	// to answer before it knows its roles.
	believeAfter = 20 * time.Second
)

// awaitKeyring reads the keyset, and waits where the API server is away: this container's journal may
// hold tokens that only it can save, and one that is started again and again comes back later each time.
func awaitKeyring(ctx context.Context, live client.Client, namespace string) (*seal.Keyring, error) {
	source := seal.SecretSource(live, types.NamespacedName{Namespace: namespace, Name: keysetName}, func(ctx context.Context) (bool, error) {
		return tokenstore.Stored(ctx, live, namespace)
	})
	refusedSince := time.Time{}
	open := func() (*seal.Keyring, error) {
		keyring, err := seal.Open(ctx, source)
		switch {
		case err == nil, away(err):
			refusedSince = time.Time{}
		case refusedSince.IsZero() && refused(err):
			refusedSince = time.Now()
		case !refused(err), time.Since(refusedSince) > believeAfter:
			return nil, backoff.Permanent(err)
		}
		return keyring, err
	}
	notify := func(err error, _ time.Duration) {
		log.Log.Info("waiting for the API server, to read the keyset", "cause", err.Error())
	}
	keyring, err := backoff.Retry(ctx, open, backoff.WithBackOff(backoff.NewConstantBackOff(awaitEvery)),
		backoff.WithMaxElapsedTime(0), backoff.WithNotify(notify))
	if errors.Is(err, seal.ErrKeysetLost) {
		return nil, fmt.Errorf("reading the keyset: %w. Without it no stored grant can be opened. If another replica of the operator runs, wait: "+
			"it creates a Secret that was deleted again within %.0f minutes. Else restore Secret %s/%s from its backup. "+
			"If there is none, all accounts have to be connected again, after: "+
			"kubectl -n %s delete secrets -l %s=true && kubectl -n %s delete secret %s --ignore-not-found",
			err, seal.RereadInterval.Minutes(), namespace, keysetName, namespace, tokenstore.Label, namespace, keysetName)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the keyset: %w", err)
	}
	return keyring, nil
}

// away says that no API server answered, or none that works.
func away(err error) bool {
	_, unreached := errors.AsType[*url.Error](err)
	return unreached || errors.Is(err, context.DeadlineExceeded) || apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) ||
		apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err)
}

// refused says that an API server answered and did not let us.
func refused(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) }
