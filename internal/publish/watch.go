// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"slices"
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// ConnectionLabel on a target Secret is the UID of its connection. It selects what is watched; who
// owns a Secret is said by its owner reference alone.
const ConnectionLabel = v1alpha1.ConnectionUIDLabel

// ownerIndex is the field that finds Secrets by the UID of the connection that controls them.
const ownerIndex = "connection-uid"

// ForConnection names the connection that controls a target Secret.
func ForConnection(secret metav1.Object) (types.NamespacedName, bool) {
	owner := connectionOf(secret)
	if owner == nil {
		return types.NamespacedName{}, false
	}
	return types.NamespacedName{Namespace: secret.GetNamespace(), Name: owner.Name}, true
}

// connectionOf is the controlling owner reference, where it speaks of an OAuthConnection.
func connectionOf(secret metav1.Object) *metav1.OwnerReference {
	owner := metav1.GetControllerOfNoCopy(secret)
	if owner == nil || owner.Kind != connectionKind {
		return nil
	}
	gv, err := schema.ParseGroupVersion(owner.APIVersion)
	if err != nil || gv.Group != v1alpha1.GroupVersion.Group {
		return nil
	}
	return owner
}

// IndexFields adds the index that Publisher.Metadata needs.
func IndexFields(ctx context.Context, indexer client.FieldIndexer) error {
	return indexer.IndexField(ctx, metadata(types.NamespacedName{}), ownerIndex, func(secret client.Object) []string {
		owner := connectionOf(secret)
		if owner == nil {
			return nil
		}
		return []string{string(owner.UID)}
	})
}

// CacheOptions are what the manager's cache needs for the kind Secret: of those that carry
// ConnectionLabel, what is used here, and the labels and annotations that others name.
func CacheOptions(others ...string) cache.ByObject {
	return cache.ByObject{Label: Selector(), Transform: onlyUsed(sets.New(others...).Insert(ConnectionLabel, contentAnnotation))}
}

// maxKept is the longest value of an annotation that is cached; what is longer is none of ours.
const maxKept = 512

// onlyUsed drops the rest: an annotation can hold a quarter of a MiB, and that of kubectl apply holds
// the Secret's content.
func onlyUsed(used sets.Set[string]) toolscache.TransformFunc {
	drop := func(key, value string) bool { return !used.Has(key) || len(value) > maxKept }
	return func(in any) (any, error) {
		object, ok := in.(metav1.Object)
		if !ok { // the last known state of something that is gone
			return in, nil
		}
		object.SetManagedFields(nil)
		object.SetFinalizers(nil)
		object.SetOwnerReferences(slices.DeleteFunc(object.GetOwnerReferences(), func(o metav1.OwnerReference) bool { return o.Controller == nil || !*o.Controller }))
		object.SetLabels(shared(object.GetLabels(), drop))
		object.SetAnnotations(shared(object.GetAnnotations(), drop))
		return in, nil
	}
}

// shared copies what is not dropped. Every object was decoded with texts of its own for the same few
// keys; the copy has one of each.
func shared(all map[string]string, drop func(key, value string) bool) map[string]string {
	kept := map[string]string{}
	for key, value := range all {
		if !drop(key, value) {
			kept[unique.Make(key).Value()] = value
		}
	}
	return kept
}

// Selector selects Secrets that carry ConnectionLabel.
func Selector() labels.Selector {
	exists, err := labels.NewRequirement(ConnectionLabel, selection.Exists, nil)
	if err != nil {
		panic(err) // the label is a constant
	}
	return labels.NewSelector().Add(*exists)
}

// cached are the metadata of the Secrets that the connection owns, as far as the cache has seen them.
func (p *Publisher) cached(ctx context.Context, conn *v1alpha1.OAuthConnection) ([]metav1.PartialObjectMetadata, error) {
	if p.Metadata == nil {
		return nil, nil
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	err := p.Metadata.List(ctx, list, client.InNamespace(conn.Namespace),
		client.MatchingFields{ownerIndex: string(conn.UID)}, client.UnsafeDisableDeepCopy)
	return list.Items, err
}

// find returns the entry of this name, or nil.
func find(list []metav1.PartialObjectMetadata, name string) *metav1.PartialObjectMetadata {
	for i := range list {
		if list[i].Name == name {
			return &list[i]
		}
	}
	return nil
}

// metadata is an empty PartialObjectMetadata of a Secret.
func metadata(key types.NamespacedName) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	m.Namespace, m.Name = key.Namespace, key.Name
	return m
}
