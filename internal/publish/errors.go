// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// Error is why a target does not hold what it should. TemplateInvalid waits for a change of the
// connection; SecretConflict and PublishFailed can end without one and are worth trying again.
type Error struct {
	// Reason is a reason of the condition SecretPublished.
	Reason string
	// Message gives the cause and the next command. It never holds a value.
	Message string

	cause error
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the API server's error, where there is one.
func (e *Error) Unwrap() error { return e.cause }

// mayWrite says whether a Secret that exists is the connection's to write.
func (d *desired) mayWrite(live *corev1.Secret) error {
	owner := metav1.GetControllerOf(live)
	adopted := owner == nil && live.Annotations[v1alpha1.AdoptAnnotation] == d.owner.Name
	switch {
	case owner != nil && owner.UID != d.owner.UID:
		return d.conflict("Secret %q belongs to %s %q and is left alone: choose another spec.secret.name", d.name, owner.Kind, owner.Name)
	case owner == nil && !adopted:
		return d.conflict("Secret %q exists already and is left alone: choose another spec.secret.name, or hand it over: kubectl -n %s annotate secret %s %s=%s",
			d.name, d.namespace, d.name, v1alpha1.AdoptAnnotation, d.owner.Name)
	case adopted && live.Type != d.kind:
		return d.conflict("Secret %q was handed over but has type %q, not %q, which cannot be changed: choose another spec.secret.name, or delete it: kubectl -n %s delete secret %s",
			d.name, live.Type, d.kind, d.namespace, d.name)
	case live.DeletionTimestamp != nil:
		return d.unpublished("Secret %q is being deleted and held by a finalizer: kubectl -n %s get secret %s -o jsonpath='{.metadata.finalizers}'", d.name, d.namespace, d.name)
	case live.Immutable != nil && *live.Immutable && !d.sameData(live):
		return d.unpublished("Secret %q was made immutable; delete it and it is created anew: kubectl -n %s delete secret %s", d.name, d.namespace, d.name)
	}
	return nil
}

func (d *desired) conflict(format string, args ...any) error {
	return &Error{Reason: v1alpha1.ReasonSecretConflict, Message: fmt.Sprintf(format, args...)}
}

func (d *desired) unpublished(format string, args ...any) error {
	return &Error{Reason: v1alpha1.ReasonPublishFailed, Message: fmt.Sprintf(format, args...)}
}

// failed gives an error of the API server its words. The server's own text is not passed on: an
// admission webhook could have put the token into it.
func (d *desired) failed(err error) *Error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	e := &Error{Reason: v1alpha1.ReasonPublishFailed, cause: err}
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		e.Message = fmt.Sprintf("namespace %q is being deleted: no Secret can be created in it", d.namespace)
	case apierrors.IsInvalid(err):
		e.Reason = v1alpha1.ReasonTemplateInvalid
		e.Message = fmt.Sprintf("the API server refuses the Secret because of %s: correct spec.secret.template", invalidFields(err))
	case apierrors.IsRequestEntityTooLargeError(err):
		e.Reason = v1alpha1.ReasonTemplateInvalid
		e.Message = "the Secret is too large for the API server: shorten spec.secret.template"
	case apierrors.IsForbidden(err):
		e.Message = fmt.Sprintf("writing Secret %q is forbidden by %s; see kubectl -n %s describe quota and the operator's RBAC", d.name, forbiddenBy(err), d.namespace)
	case apierrors.ReasonForError(err) != metav1.StatusReasonUnknown:
		e.Message = fmt.Sprintf("the API server did not take Secret %q (%s); it is tried again", d.name, apierrors.ReasonForError(err))
	default:
		e.Message = fmt.Sprintf("the API server could not be asked to write Secret %q; it is tried again", d.name)
	}
	return e
}

// invalidFields names the fields that the API server complains of, without their values.
func invalidFields(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return "its content"
	}
	var names []string
	for _, cause := range status.Status().Details.Causes {
		if cause.Field != "" && len(names) < 4 {
			names = append(names, cause.Field)
		}
	}
	if len(names) == 0 {
		return "its content"
	}
	return strings.Join(names, ", ")
}

// forbiddenBy names who said no, where the API server's text has one of its known shapes.
func forbiddenBy(err error) string {
	shapes := []struct{ pattern, words string }{
		{`exceeded quota: ([-a-z0-9.]{1,253})`, "the quota %q"},
		{`admission webhook "([-a-z0-9.]{1,253})" denied`, "the admission webhook %q"},
		{`ValidatingAdmissionPolicy '([-a-z0-9.]{1,253})'`, "the ValidatingAdmissionPolicy %q"},
	}
	for _, shape := range shapes {
		if m := regexp.MustCompile(shape.pattern).FindStringSubmatch(err.Error()); m != nil {
			return fmt.Sprintf(shape.words, m[1])
		}
	}
	return "the API server"
}

// checkKeys says which key a Secret of this type lacks.
func checkKeys(kind corev1.SecretType, data map[string][]byte) error {
	switch kind {
	case corev1.SecretTypeBasicAuth:
		_, username := data[corev1.BasicAuthUsernameKey]
		_, password := data[corev1.BasicAuthPasswordKey]
		if !username && !password {
			return fmt.Errorf("spec.secret.template.data lacks the keys %q and %q: type %s needs one of them", corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey, kind)
		}
	case corev1.SecretTypeDockerConfigJson:
		value, ok := data[corev1.DockerConfigJsonKey]
		if !ok {
			return fmt.Errorf("spec.secret.template.data lacks the key %q, which type %s needs", corev1.DockerConfigJsonKey, kind)
		}
		if !json.Valid(value) {
			return fmt.Errorf("spec.secret.template.data[%q] does not give JSON, which type %s needs", corev1.DockerConfigJsonKey, kind)
		}
	}
	return nil
}
