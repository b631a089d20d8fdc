// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// What a tenant hangs on an object, up to 1.5 MB of it, is not kept at every replica.
func TestWhatTenantsHangOnObjectsIsNotKept(t *testing.T) {
	much := strings.Repeat("x", 2*maxAnnotations)
	hung := func() metav1.ObjectMeta {
		return metav1.ObjectMeta{
			Namespace: "team", Name: "github", UID: "uid", ResourceVersion: "1",
			Labels: map[string]string{much: much}, Annotations: map[string]string{"example.com/much": much},
		}
	}
	for _, object := range []client.Object{
		&v1alpha1.OAuthConnection{ObjectMeta: hung()},
		&v1alpha1.OAuthProvider{ObjectMeta: hung()},
		&v1alpha1.OAuthAuthorization{ObjectMeta: hung()},
	} {
		if _, is := object.(*v1alpha1.OAuthAuthorization); is {
			object.SetOwnerReferences([]metav1.OwnerReference{{Name: much}})
			object.SetFinalizers([]string{much})
		}
		kept, err := slim(object)
		if err != nil {
			t.Fatal(err)
		}
		if raw, err := json.Marshal(kept); err != nil || strings.Contains(string(raw), much) {
			t.Errorf("%T: %v: %s", object, err, raw)
		}
		if object.GetUID() != "uid" || object.GetResourceVersion() != "1" || object.GetName() != "github" {
			t.Errorf("%T is not known any more: %v", object, object)
		}
	}
	conn := &v1alpha1.OAuthConnection{ObjectMeta: hung()}
	asked := map[string]string{v1alpha1.RefreshRequestedAnnotation: "1", v1alpha1.DisconnectRequestedAnnotation: "2"}
	maps.Copy(conn.Annotations, asked)
	conn.Finalizers = []string{v1alpha1.Finalizer}
	if _, err := slim(conn); err != nil || !maps.Equal(conn.Annotations, asked) || len(conn.Finalizers) != 1 {
		t.Errorf("%v: what people ask for by annotations is %v, finalizers %v", err, conn.Annotations, conn.Finalizers)
	}
}

// The operator writes what it has read slimmed.
func TestWhatIsNotKeptStaysOnTheObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.apply("github", w.inline(""))
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAuthorizationRequired)
	w.annotate(conn, "example.com/a", "b")
	attempt := &v1alpha1.OAuthAuthorization{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.namespace, GenerateName: "github-", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"a": "b"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "OAuthConnection", Name: conn.Name, UID: conn.UID}},
		},
		Spec: v1alpha1.OAuthAuthorizationSpec{Connection: "github", Requester: "jane", Method: v1alpha1.PairingLoopback, Loopback: &v1alpha1.Loopback{Port: 1}},
	}
	if err := env.Client.Create(t.Context(), attempt); err != nil {
		t.Fatal(err)
	}
	w.awaitAttempt(attempt, v1alpha1.ReasonWaitingForBrowser)
	if len(attempt.Labels) != 1 || len(attempt.Annotations) != 1 || len(attempt.OwnerReferences) != 1 {
		t.Errorf("the attempt lost something: %+v", attempt.ObjectMeta)
	}
	w.annotate(conn, v1alpha1.DisconnectRequestedAnnotation, "1")
	w.eventually("the request is acknowledged", func() (bool, string) {
		err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(conn), conn)
		return err == nil && conn.Status.LastHandledDisconnect == "1", describe(conn)
	})
	if conn.Annotations["example.com/a"] != "b" || len(conn.Finalizers) != 1 {
		t.Errorf("the connection lost something: %+v", conn.ObjectMeta)
	}
}
