// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// OperatorUser is the operator's name in audit events.
const OperatorUser = "system:serviceaccount:" + OperatorNamespace + ":" + OperatorServiceAccount

// AuditEvents returns the events that keep accepts, oldest first; a nil keep accepts all.
// It needs Options.AuditLog.
func (e *Env) AuditEvents(keep func(*auditv1.Event) bool) ([]auditv1.Event, error) {
	panic("being written")
}

// Mutation is one kind of write, as the audit log sees it.
type Mutation struct {
	Verb     string // create, update, patch, delete or deletecollection
	Resource string // with its subresource: "secrets", "oauthconnections/status"
}

// MutatingRequests counts the writes of a user ("" for everybody) so far. It first waits until the
// audit log has what the API server has answered.
func (e *Env) MutatingRequests(ctx context.Context, user string) (map[Mutation]int, error) {
	panic("being written")
}
