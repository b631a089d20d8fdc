// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

func (d *demo) deleteTheConnection(ctx context.Context) error {
	last, err := d.readTheToken(ctx)
	if err != nil {
		return err
	}
	if err := d.terminal.show(ctx, "kubectl delete oauthconnection alice"); err != nil {
		return err
	}
	if err := d.seeTheRevocation(ctx, last); err != nil {
		return err
	}
	d.story.tell("The Secret is gone, and of the records only robot's is left:")
	if err := d.terminal.showRefusal(ctx, "kubectl get secret alice"); err != nil {
		return err
	}
	return d.terminal.show(ctx, "kubectl -n oauth-operator get secrets -l oauth-operator.dev/record=true")
}

func (d *demo) seeTheRevocation(ctx context.Context, last token) error {
	revocations := d.provider.Requests(idp.Revocation)
	if len(revocations) == 0 {
		return errors.New("the provider was not asked to revoke anything")
	}
	d.story.tell("The provider's log has the revocation (RFC 7009), and the API no longer accepts the token:")
	for _, r := range revocations {
		d.story.fact("%s %s by client %s, parameters %s", r.Method, idp.Revocation, r.ClientID, strings.Join(r.Keys, ", "))
	}
	status, _, err := d.callAPI(ctx, last)
	if err != nil {
		return err
	}
	d.story.fact("GET %s with the last token: %d %s", d.provider.URL(idp.API), status, http.StatusText(status))
	if status != http.StatusUnauthorized {
		return fmt.Errorf("the API still accepts a revoked token: HTTP %d", status)
	}
	return nil
}

// lookForSecrets knows every one of them from the provider.
func (d *demo) lookForSecrets(context.Context) error {
	secrets := append(d.provider.Issued(), d.provider.Received()...)
	log := d.operator.Log()
	for _, secret := range secrets {
		if strings.Contains(log, secret) || strings.Contains(d.plugin.Output(), secret) {
			return errors.New("the operator's log, or what kubectl oauth printed, holds a secret")
		}
	}
	d.story.tell("The operator's log of %d lines and kubectl oauth's output have none of the %d codes, tokens, states, verifiers and client secrets that went to or from the provider.",
		strings.Count(log, "\n"), len(secrets))
	return nil
}
