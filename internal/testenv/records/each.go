// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package records

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// Each runs do for 0 to n-1, workers of them at a time, until the first error: connections and their
// records are written in thousands.
func Each(ctx context.Context, workers, n int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i := range n {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return do(ctx, i)
		})
	}
	return group.Wait()
}
