// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/wait"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// OperatorUser is the operator's name in audit events.
const OperatorUser = "system:serviceaccount:" + OperatorNamespace + ":" + OperatorServiceAccount

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
`

// maxAuditEvent bounds a line of the log; events at Metadata level are some kilobytes.
const maxAuditEvent = 1 << 20

var errNoAudit = errors.New("the environment was started without Options.AuditLog")

func (e *Env) auditLog() string { return filepath.Join(e.scratch, "audit.log") }

func (e *Env) configureAudit(server *envtest.Arguments) error {
	policy := filepath.Join(e.scratch, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	server.Set("audit-policy-file", policy)
	server.Set("audit-log-path", e.auditLog())
	server.Set("audit-log-maxsize", "102400") // MiB: never rotated away
	return nil
}

// AuditEvents returns the events that keep accepts, oldest first; a nil keep accepts all.
// It needs Options.AuditLog.
func (e *Env) AuditEvents(keep func(*auditv1.Event) bool) ([]auditv1.Event, error) {
	if !e.audited {
		return nil, errNoAudit
	}
	log, err := os.Open(e.auditLog())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer log.Close()
	var events []auditv1.Event
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, maxAuditEvent)
	for lines.Scan() {
		var event auditv1.Event
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return nil, fmt.Errorf("parsing the audit log: %w", err)
		}
		if keep == nil || keep(&event) {
			events = append(events, event)
		}
	}
	return events, lines.Err()
}

// SyncAudit waits until the audit log has what the API server has answered so far.
func (e *Env) SyncAudit(ctx context.Context) error {
	if !e.audited {
		return errNoAudit
	}
	var start int64 // of what the log gains from now on
	if info, err := os.Stat(e.auditLog()); err == nil {
		start = info.Size()
	}
	marker := "audit-marker-" + rand.String(10)
	err := e.Client.Get(ctx, client.ObjectKey{Name: marker}, &corev1.Namespace{})
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	seen := func(context.Context) (bool, error) {
		content, err := os.ReadFile(e.auditLog())
		return int64(len(content)) > start && bytes.Contains(content[start:], []byte(marker)), err
	}
	return wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 30*time.Second, true, seen)
}

// Mutation is one kind of write, as the audit log sees it.
type Mutation struct {
	Verb     string // create, update, patch, delete or deletecollection
	Resource string // with its subresource: "secrets", "oauthconnections/status"
}

// MutatingRequests counts the requests of a user ("" for everybody) that write, refused ones too,
// since the start. It calls SyncAudit first.
func (e *Env) MutatingRequests(ctx context.Context, user string) (map[Mutation]int, error) {
	if err := e.SyncAudit(ctx); err != nil {
		return nil, err
	}
	events, err := e.AuditEvents(func(event *auditv1.Event) bool {
		return user == "" || event.User.Username == user
	})
	counts := map[Mutation]int{}
	for _, event := range events {
		switch event.Verb {
		case "create", "update", "patch", "delete", "deletecollection":
			counts[Mutation{Verb: event.Verb, Resource: resource(&event)}]++
		}
	}
	return counts, err
}

func resource(event *auditv1.Event) string {
	switch ref := event.ObjectRef; {
	case ref == nil:
		return event.RequestURI
	case ref.Subresource != "":
		return ref.Resource + "/" + ref.Subresource
	default:
		return ref.Resource
	}
}
