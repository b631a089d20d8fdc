// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

func (d *demo) seeTheSecret(ctx context.Context) error {
	for _, command := range []string{"kubectl get oauthconnections", "kubectl get oauthconnections -o wide", "kubectl describe secret alice"} {
		if err := d.terminal.show(ctx, command); err != nil {
			return err
		}
	}
	d.story.tell("A Pod mounts it as a volume and reads the file access_token (config/samples/workload.yaml).")
	return nil
}

// seeWhereTheRefreshTokenIs looks for everything the provider has issued in both places.
func (d *demo) seeWhereTheRefreshTokenIs(ctx context.Context) error {
	target, record := &corev1.Secret{}, &corev1.Secret{}
	key, err := d.recordKey(ctx)
	if err != nil {
		return err
	}
	if err := d.kubernetes.Client.Get(ctx, client.ObjectKey{Namespace: "default", Name: "alice"}, target); err != nil {
		return err
	}
	d.story.tell("Not in the Secret that workloads mount. It is in a record in the operator's own namespace:")
	if err := d.terminal.show(ctx, "kubectl -n oauth-operator get secrets"); err != nil {
		return err
	}
	sealed, err := d.terminal.ask(ctx, fmt.Sprintf("kubectl -n %s get secret %s -o jsonpath='{.data.record}'", key.Namespace, key.Name))
	if err != nil {
		return err
	}
	d.story.fact("%.64s…", sealed)
	if err := d.kubernetes.Client.Get(ctx, key, record); err != nil {
		return err
	}
	issued := d.provider.Issued()
	if found := occurrences(record, issued); found > 0 {
		return fmt.Errorf("the record is not sealed: %d issued values are in it", found)
	}
	if found := occurrences(target, issued); found != 1 {
		return fmt.Errorf("Secret alice holds %d issued values, not only the access token", found)
	}
	d.story.tell("It is sealed: of the %d codes and tokens that the provider has issued so far, none can be read in the record, and one in Secret alice, the access token.", len(issued))
	return nil
}

// recordKey is the Secret of alice's record.
func (d *demo) recordKey(ctx context.Context) (client.ObjectKey, error) {
	alice := &v1alpha1.OAuthConnection{}
	err := d.kubernetes.Client.Get(ctx, client.ObjectKey{Namespace: "default", Name: "alice"}, alice)
	return client.ObjectKey{Namespace: testenv.OperatorNamespace, Name: "oauth-" + string(alice.UID)}, err
}

// occurrences counts the values that a Secret holds in the clear.
func occurrences(secret *corev1.Secret, values []string) int {
	count := 0
	for _, value := range values {
		for _, content := range secret.Data {
			if bytes.Contains(content, []byte(value)) {
				count++
			}
		}
	}
	return count
}

func (d *demo) deleteTheSecret(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	watcher, err := client.NewWithWatch(d.kubernetes.Config, client.Options{Scheme: testenv.Scheme()})
	if err != nil {
		return err
	}
	changes, err := watcher.Watch(ctx, &corev1.SecretList{}, client.InNamespace("default"), client.MatchingFields{"metadata.name": "alice"})
	if err != nil {
		return err
	}
	defer changes.Stop()
	if err := d.terminal.show(ctx, "kubectl delete secret alice"); err != nil {
		return err
	}
	gone, err := absence(changes.ResultChan())
	if err != nil {
		return err
	}
	d.story.tell("It was back with its token after %d ms, made from the record: the provider was not asked.", gone.Milliseconds())
	_, err = d.useTheToken(ctx)
	return err
}

// absence is the time from a Secret's deletion until it holds a token again.
func absence(changes <-chan watch.Event) (time.Duration, error) {
	var deleted time.Time
	for change := range changes {
		secret, ok := change.Object.(*corev1.Secret)
		switch {
		case !ok:
		case change.Type == watch.Deleted:
			deleted = time.Now()
		case !deleted.IsZero() && len(secret.Data["access_token"]) > 0:
			return time.Since(deleted), nil
		}
	}
	return 0, errors.New("Secret alice did not come back")
}
