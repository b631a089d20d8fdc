// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"time"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/crashpoint"
	"github.com/oauth-operator/oauth-operator/internal/publish"
)

// publishRetry is how soon a target that somebody else holds, or that the API server refused, is
// tried again: nothing is watched that would tell.
const publishRetry = time.Minute

// publish makes the target Secret say what the record holds.
func (p *pass) publish(ctx context.Context) error {
	if !p.publishable() {
		return nil
	}
	newer, err := p.targetIsNewer(ctx)
	if err != nil {
		return err
	}
	if newer {
		return p.done(v1alpha1.SecretPublishedCondition, v1alpha1.ReasonPublished,
			"Secret "+p.conn.TargetName()+" is left as it is: the stored token is older and came back from a backup")
	}
	err = p.Publisher.Publish(ctx, p.conn, publish.Values{
		AccessToken:         p.record.Token.AccessToken,
		PreviousAccessToken: p.record.Previous,
		TokenType:           p.record.Token.TokenType,
		Expiry:              p.record.Token.Expiry,
		Scopes:              p.record.Token.Scopes,
		Account:             p.record.Account,
		Metadata:            p.record.Metadata,
	})
	if err != nil {
		return publishStop(err)
	}
	crashpoint.Reach(crashpoint.Published, p.conn.UID)
	return p.done(v1alpha1.SecretPublishedCondition, v1alpha1.ReasonPublished,
		"Secret "+p.conn.TargetName()+" holds the access token")
}

// publishable says whether the record's token belongs to this client and, where nobody has consented
// whose account could have been looked at before, to the account that is expected. While the client cannot
// be resolved, what was published stays published.
func (p *pass) publishable() bool {
	if p.record == nil || p.record.Token.AccessToken.IsZero() || p.record.Seed != "" && p.otherAccount() {
		return false
	}
	return p.client == nil || p.client.Fingerprint == p.record.Fingerprint
}

func publishStop(err error) error {
	var cause *publish.Error
	if !errors.As(err, &cause) {
		return err
	}
	return &stop{
		Reason:  cause.Reason,
		Message: cause.Message,
		Stalled: cause.Reason != v1alpha1.ReasonPublishFailed,
		Retry:   publishRetry,
	}
}
