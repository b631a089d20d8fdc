// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/publish"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/records"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

const (
	fieldManager = "oauth-operator"
	recordKey    = "record"
	tokenKey     = "access_token"

	// baselineMax refreshes are enough for a rate.
	baselineMax = 3000
)

// plainRate is what the plain client reached.
type plainRate struct {
	refreshes float64       // per second
	cpu       time.Duration // per refresh
}

// plain writes what a refresh writes and does nothing else: with client-go, as the operator's user,
// to the same objects, in the same kinds of requests.
type plain struct {
	secrets     *kubernetes.Clientset
	connections dynamic.NamespaceableResourceInterface
	objects     []objects
}

// objects are what one refresh writes to.
type objects struct {
	record, target *corev1.Secret
	connection     *v1alpha1.OAuthConnection
}

// baseline measures the plain client. It changes half of the connections, or fewer where there are
// many, then puts all back, so that the operator finds what it left.
func (b *bench) baseline(ctx context.Context, r *results) error {
	p, err := newPlain(b.identity)
	if err != nil {
		return err
	}
	if p.objects, err = b.load(ctx); err != nil {
		return err
	}
	half := min(len(p.objects), baselineMax) / 2
	before, err := cpuTime(os.Getpid())
	if err != nil {
		return err
	}
	started := time.Now()
	for _, change := range []bool{true, false} {
		err := records.Each(ctx, b.concurrency, half, func(ctx context.Context, i int) error {
			return p.refresh(ctx, &p.objects[i], change)
		})
		if err != nil {
			return err
		}
	}
	took := time.Since(started)
	after, err := cpuTime(os.Getpid())
	if err != nil {
		return err
	}
	r.baselines = append(r.baselines, plainRate{
		refreshes: float64(2*half) / took.Seconds(),
		cpu:       (after - before) / time.Duration(2*half),
	})
	return nil
}

func newPlain(identity *rest.Config) (*plain, error) {
	binary := rest.CopyConfig(identity)
	binary.ContentType = "application/vnd.kubernetes.protobuf"
	secrets, err := kubernetes.NewForConfig(binary)
	if err != nil {
		return nil, err
	}
	others, err := dynamic.NewForConfig(identity)
	if err != nil {
		return nil, err
	}
	return &plain{secrets: secrets, connections: others.Resource(v1alpha1.GroupVersion.WithResource("oauthconnections"))}, nil
}

// load reads the objects of every connection.
func (b *bench) load(ctx context.Context) ([]objects, error) {
	var connections v1alpha1.OAuthConnectionList
	var stored, targets corev1.SecretList
	if err := b.env.Client.List(ctx, &connections); err != nil {
		return nil, err
	}
	if err := b.env.Client.List(ctx, &stored, client.InNamespace(testenv.OperatorNamespace), client.HasLabels{tokenstore.Label}); err != nil {
		return nil, err
	}
	if err := b.env.Client.List(ctx, &targets, client.HasLabels{publish.ConnectionLabel}); err != nil {
		return nil, err
	}
	byConnection := map[string]*objects{}
	for i := range connections.Items {
		conn := &connections.Items[i]
		byConnection[conn.Namespace+"/"+conn.Name] = &objects{connection: conn}
	}
	for i := range stored.Items {
		if key, ok := tokenstore.ForConnection(&stored.Items[i]); ok && byConnection[key.String()] != nil {
			byConnection[key.String()].record = &stored.Items[i]
		}
	}
	for i := range targets.Items {
		if key, ok := publish.ForConnection(&targets.Items[i]); ok && byConnection[key.String()] != nil {
			byConnection[key.String()].target = &targets.Items[i]
		}
	}
	list := make([]objects, 0, len(byConnection))
	for key, o := range byConnection {
		if o.record == nil || o.target == nil {
			return nil, fmt.Errorf("connection %s has no record or no target", key)
		}
		list = append(list, *o)
	}
	return list, nil
}

// refresh makes the four writes. Each of them changes something: the API server answers others
// without storing them.
func (p *plain) refresh(ctx context.Context, o *objects, change bool) error {
	sealed := o.record.Data[recordKey]
	for _, data := range [][]byte{noise(len(sealed)), sealed} {
		o.record.Data[recordKey] = data
		stored, err := p.secrets.CoreV1().Secrets(o.record.Namespace).Update(ctx, o.record, metav1.UpdateOptions{FieldManager: fieldManager})
		if err != nil {
			return err
		}
		o.record.ResourceVersion = stored.ResourceVersion
	}
	target := applied(o.target, change)
	apply := metav1.ApplyOptions{FieldManager: fieldManager, Force: true}
	if _, err := p.secrets.CoreV1().Secrets(o.target.Namespace).Apply(ctx, target, apply); err != nil {
		return err
	}
	status, err := json.Marshal(map[string]any{"status": renewed(o.connection, change)})
	if err != nil {
		return err
	}
	_, err = p.connections.Namespace(o.connection.Namespace).Patch(ctx, o.connection.Name, types.MergePatchType, status,
		metav1.PatchOptions{FieldManager: fieldManager}, "status")
	return err
}

// applied is a target as the operator applies it, with its token or with another one of its length.
func applied(target *corev1.Secret, change bool) *applycorev1.SecretApplyConfiguration {
	owner := metav1.GetControllerOf(target)
	reference := applymetav1.OwnerReference().WithAPIVersion(owner.APIVersion).WithKind(owner.Kind).
		WithName(owner.Name).WithUID(owner.UID).WithController(true)
	body := applycorev1.Secret(target.Name, target.Namespace).WithUID(target.UID).WithOwnerReferences(reference).
		WithType(target.Type).WithLabels(target.Labels).WithAnnotations(target.Annotations).WithData(target.Data)
	if change {
		body.Data = maps.Clone(target.Data)
		body.Data[tokenKey] = noise(len(target.Data[tokenKey]))
	}
	return body
}

// renewed is the part of a status that a refresh changes.
func renewed(conn *v1alpha1.OAuthConnection, change bool) map[string]any {
	later := func(t *metav1.Time) *metav1.Time {
		if t == nil || !change {
			return t
		}
		return &metav1.Time{Time: t.Add(tokenLifetime)}
	}
	count := conn.Status.RefreshCount
	if change {
		count++
	}
	return map[string]any{
		"refreshCount":    count,
		"expiresAt":       later(conn.Status.ExpiresAt),
		"refreshAt":       later(conn.Status.RefreshAt),
		"lastRefreshTime": later(conn.Status.LastRefreshTime),
	}
}

func noise(length int) []byte {
	data := make([]byte, length)
	_, _ = rand.Read(data) // never fails
	return data
}
