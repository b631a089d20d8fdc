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
	alice, err := d.alice(ctx)
	if err != nil {
		return err
	}
	key := client.ObjectKey{Namespace: testenv.OperatorNamespace, Name: "oauth-" + string(alice.UID)}
	d.story.tell("Not in the Secret that workloads mount. It is in a record in the operator's own namespace:")
	if err := d.terminal.show(ctx, "kubectl -n oauth-operator get secrets"); err != nil {
		return err
	}
	sealed, err := d.terminal.ask(ctx, fmt.Sprintf("kubectl -n %s get secret %s -o jsonpath='{.data.record}'", key.Namespace, key.Name))
	if err != nil {
		return err
	}
	d.story.fact("%.64s…", sealed)
	target, record := &corev1.Secret{}, &corev1.Secret{}
	get := d.kubernetes.Client.Get
	if err := errors.Join(get(ctx, key, record), get(ctx, client.ObjectKeyFromObject(alice), target)); err != nil {
		return err
	}
	issued := d.provider.Issued()
	if found := occurrences(record, issued); found > 0 {
		return fmt.Errorf("the record is not sealed: %d issued values are in it", found)
	}
	if found := occurrences(target, issued); found != 1 {
		return fmt.Errorf("the Secret alice holds %d issued values, not only the access token", found)
	}
	d.story.tell("It is sealed: of the %d codes and tokens that the provider has issued so far, none can be read in the record, and one in Secret alice, the access token.", len(issued))
	return nil
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
	changes, err := watcher.Watch(ctx, &corev1.SecretList{}, client.InNamespace(namespace), client.MatchingFields{"metadata.name": "alice"})
	if err != nil {
		return err
	}
	defer changes.Stop()
	absent := make(chan time.Duration, 1)
	go func() { absent <- absence(changes.ResultChan()) }()
	if err := d.terminal.show(ctx, "kubectl delete secret alice"); err != nil {
		return err
	}
	gone := <-absent
	if gone == 0 {
		return errors.New("the Secret alice did not come back")
	}
	d.story.tell("It was back after %d ms, made from the record:", gone.Milliseconds())
	_, err = d.useTheToken(ctx)
	return err
}

// absence is the time from a Secret's deletion until it holds a token again; zero when it never does.
func absence(changes <-chan watch.Event) time.Duration {
	var deleted time.Time
	for change := range changes {
		secret, ok := change.Object.(*corev1.Secret)
		switch {
		case !ok:
		case change.Type == watch.Deleted:
			deleted = time.Now()
		case !deleted.IsZero() && len(secret.Data["access_token"]) > 0:
			return time.Since(deleted)
		}
	}
	return 0
}
