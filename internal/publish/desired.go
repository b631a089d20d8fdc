// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// contentAnnotation is the hash of everything that the operator sets on a target. A write of the
// operator changes it, or changes nothing.
const contentAnnotation = "oauth-operator.dev/content"

const connectionKind = "OAuthConnection"

// desired is what a target Secret should be. Keys, labels and annotations that others add to it
// are theirs.
type desired struct {
	namespace, name string
	owner           metav1.OwnerReference
	labels          map[string]string
	annotations     map[string]string
	kind            corev1.SecretType
	data            map[string][]byte
	content         string
}

// desire works out the target of a connection. An error speaks of the template.
func desire(conn *v1alpha1.OAuthConnection, v Values) (*desired, error) {
	template := conn.Spec.Secret.Template
	if template == nil {
		template = &v1alpha1.SecretTemplate{}
	}
	d := &desired{
		namespace:   conn.Namespace,
		name:        conn.TargetName(),
		owner:       ownerReference(conn),
		labels:      map[string]string{},
		annotations: map[string]string{},
		kind:        corev1.SecretTypeOpaque,
	}
	if template.Type != "" {
		d.kind = corev1.SecretType(template.Type)
	}
	if m := template.Metadata; m != nil {
		maps.Copy(d.labels, m.Labels)
		maps.Copy(d.annotations, m.Annotations)
	}
	d.labels[ConnectionLabel] = string(conn.UID)
	var err error
	if d.data, err = content(conn, template, v); err != nil {
		return nil, err
	}
	if err := checkKeys(d.kind, d.data); err != nil {
		return nil, err
	}
	return d, d.seal()
}

// seal adds the annotation that carries the hash of all the rest.
func (d *desired) seal() error {
	plain, err := d.applied("")
	if err != nil {
		return err
	}
	sum := sha256.Sum256(plain)
	d.content = hex.EncodeToString(sum[:])
	d.annotations[contentAnnotation] = d.content
	return nil
}

// ownerReference makes the connection the controller of its target, so that the target goes with
// it. Deletion of the connection does not wait for that: its finalizer sees to the order.
func ownerReference(conn *v1alpha1.OAuthConnection) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(),
		Kind:       connectionKind,
		Name:       conn.Name,
		UID:        conn.UID,
		Controller: ptr.To(true),
	}
}

// content is the data of the target: the template's keys, or the default ones.
func content(conn *v1alpha1.OAuthConnection, template *v1alpha1.SecretTemplate, v Values) (map[string][]byte, error) {
	data := map[string][]byte{}
	if len(template.Data) > 0 {
		var err error
		if data, err = render(template.Data, fields(conn, v)); err != nil {
			return nil, err
		}
	} else {
		data["access_token"] = []byte(v.AccessToken.Reveal())
		data["token_type"] = []byte(v.TokenType)
		data["scope"] = []byte(strings.Join(v.Scopes, " "))
		if !v.Expiry.IsZero() {
			data["expiry"] = []byte(expiry(v))
		}
	}
	if _, set := data["previous_access_token"]; !set && conn.Spec.Secret.KeepPrevious && !v.PreviousAccessToken.IsZero() {
		data["previous_access_token"] = []byte(v.PreviousAccessToken.Reveal())
	}
	return data, nil
}

// fields are what a template can speak of.
func fields(conn *v1alpha1.OAuthConnection, v Values) map[string]any {
	return map[string]any{
		"accessToken":         v.AccessToken.Reveal(),
		"previousAccessToken": v.PreviousAccessToken.Reveal(),
		"tokenType":           v.TokenType,
		"expiry":              expiry(v),
		"scope":               strings.Join(v.Scopes, " "),
		"scopes":              v.Scopes,
		"account":             v.Account,
		"metadata":            kept(v),
		"name":                conn.Name,
		"namespace":           conn.Namespace,
	}
}

// kept is never nil: of what is missing a template says that it is.
func kept(v Values) map[string]string {
	if v.Metadata == nil {
		return map[string]string{}
	}
	return v.Metadata
}

// expiry is empty where the provider did not say it.
func expiry(v Values) string {
	if v.Expiry.IsZero() {
		return ""
	}
	return v.Expiry.UTC().Format(time.RFC3339)
}

func (d *desired) key() types.NamespacedName {
	return types.NamespacedName{Namespace: d.namespace, Name: d.name}
}

// uid is the connection's.
func (d *desired) uid() types.UID { return d.owner.UID }

// secret is the desired target as an object to create.
func (d *desired) secret() *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       d.namespace,
			Name:            d.name,
			Labels:          d.labels,
			Annotations:     d.annotations,
			OwnerReferences: []metav1.OwnerReference{d.owner},
		},
		Type: d.kind,
		Data: d.data,
	}
}

// applied is the desired target as the body of a server-side apply to the Secret with this UID.
// With the UID the API server refuses another Secret of the same name, and to create one.
func (d *desired) applied(secret types.UID) ([]byte, error) {
	owner := applymetav1.OwnerReference().WithAPIVersion(d.owner.APIVersion).WithKind(d.owner.Kind).
		WithName(d.owner.Name).WithUID(d.owner.UID).WithController(true)
	body := applycorev1.Secret(d.name, d.namespace).WithOwnerReferences(owner).WithType(d.kind)
	body.Labels, body.Annotations, body.Data = d.labels, d.annotations, d.data
	if secret != "" {
		body.WithUID(secret)
	}
	return json.Marshal(body)
}

// intact says whether the live Secret holds all that is desired.
func (d *desired) intact(live *corev1.Secret) bool {
	owner := metav1.GetControllerOfNoCopy(live)
	return owner != nil && owner.UID == d.owner.UID && live.Type == d.kind && includes(live.Labels, d.labels) &&
		includes(live.Annotations, d.annotations) && d.sameData(live)
}

func (d *desired) sameData(live *corev1.Secret) bool {
	for key, value := range d.data {
		got, ok := live.Data[key]
		if !ok || !bytes.Equal(got, value) {
			return false
		}
	}
	return true
}

// includes says whether all has every entry of some.
func includes(all, some map[string]string) bool {
	for key, value := range some {
		if got, ok := all[key]; !ok || got != value {
			return false
		}
	}
	return true
}
