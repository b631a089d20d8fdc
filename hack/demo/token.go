// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// token is an access token as a workload reads it. It is never printed.
type token string

// String tells two tokens apart.
func (t token) String() string {
	sum := sha256.Sum256([]byte(t))
	return fmt.Sprintf("(%d characters, not shown; SHA-256 %s…)", len(t), hex.EncodeToString(sum[:4]))
}

const (
	readToken    = `kubectl get secret alice -o go-template='{{.data.access_token | base64decode}}'`
	seeRefreshes = `kubectl get oac alice -o custom-columns=REFRESHES:.status.refreshCount,EXPIRES:.status.expiresAt`
	awaitRefresh = `kubectl wait --for=jsonpath='{.status.refreshCount}'=%d oac/alice --timeout=60s`
)

func (d *demo) useTheTokenThroughTwoRefreshes(ctx context.Context) (err error) {
	d.story.tell("What a workload does: read the file of the mounted Secret, call the API.")
	if d.first, err = d.useTheToken(ctx); err != nil {
		return err
	}
	if err := d.terminal.show(ctx, seeRefreshes); err != nil {
		return err
	}
	d.story.tell("Nobody does anything now. The operator renews the token at about half of its %d seconds.", int(tokenLifetime.Seconds()))
	if err := d.awaitTwoRefreshes(ctx); err != nil {
		return err
	}
	d.story.tell("The same Secret holds another token now, and the API accepts it:")
	latest, err := d.useTheToken(ctx)
	if err != nil {
		return err
	}
	if latest == d.first {
		return errors.New("the token is the same as before the refreshes")
	}
	if err := d.terminal.show(ctx, seeRefreshes); err != nil {
		return err
	}
	return d.seeTheFirstTokenExpire(ctx)
}

func (d *demo) awaitTwoRefreshes(ctx context.Context) error {
	alice, err := d.alice(ctx)
	if err != nil {
		return err
	}
	for next := alice.Status.RefreshCount + 1; next <= alice.Status.RefreshCount+2; next++ {
		asked := time.Now()
		if err := d.terminal.show(ctx, fmt.Sprintf(awaitRefresh, next)); err != nil {
			return err
		}
		d.story.fact("after %.0f s", time.Since(asked).Seconds())
	}
	return nil
}

// useTheToken reads the token from the Secret and calls the provider's API with it.
func (d *demo) useTheToken(ctx context.Context) (token, error) {
	held, err := d.readTheToken(ctx)
	if err != nil {
		return "", err
	}
	status, body, err := d.callAPI(ctx, held)
	if err != nil {
		return "", err
	}
	d.story.fact("GET %s with it: %d %s %s", d.provider.URL(idp.API), status, http.StatusText(status), body)
	if status != http.StatusOK {
		return "", fmt.Errorf("the API refused the token of Secret alice: HTTP %d", status)
	}
	return held, nil
}

func (d *demo) readTheToken(ctx context.Context) (token, error) {
	value, err := d.terminal.ask(ctx, readToken)
	if err != nil {
		return "", err
	}
	d.story.fact("%s", token(value))
	return token(value), nil
}

// seeTheFirstTokenExpire is why a workload wants the refreshes.
func (d *demo) seeTheFirstTokenExpire(ctx context.Context) error {
	var status int
	expired := func(ctx context.Context) (done bool, err error) {
		status, _, err = d.callAPI(ctx, d.first)
		return status == http.StatusUnauthorized, err
	}
	if err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, expired); err != nil {
		return fmt.Errorf("the API still accepts the first token: %w", err)
	}
	d.story.tell("The first token has expired by now. Without the operator the workload would have this:")
	d.story.fact("GET %s with the first token: %d %s", d.provider.URL(idp.API), status, http.StatusText(status))
	return nil
}

// callAPI asks the provider's protected resource who the token belongs to.
func (d *demo) callAPI(ctx context.Context, held token) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.provider.URL(idp.API), nil)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Authorization", "Bearer "+string(held))
	response, err := d.provider.HTTPClient().Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	return response.StatusCode, strings.TrimSpace(string(content)), err
}
