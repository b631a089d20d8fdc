// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/sets"
)

// target is what is remembered of a connection's Secret, so that rest costs nothing and the
// operator knows its own writes when it sees them.
type target struct {
	name    string
	secret  types.UID
	content string              // of the last write, noted before it is sent
	writing bool                // that write was not answered yet, or not well
	version string              // resourceVersion in which the target was last known to be as desired
	removed sets.Set[types.UID] // Secrets that this process deletes
}

// held is a copy of what is remembered, empty where nothing is.
func (p *Publisher) held(connection types.UID) target {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.targets[connection]; t != nil {
		return *t
	}
	return target{}
}

// remember changes what is remembered.
func (p *Publisher) remember(connection types.UID, change func(*target)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.targets == nil {
		p.targets = map[types.UID]*target{}
	}
	t := p.targets[connection]
	if t == nil {
		t = &target{}
		p.targets[connection] = t
	}
	change(t)
}

// writing notes a write before it is sent: its event can arrive before its answer.
func (p *Publisher) writing(want *desired, secret types.UID) {
	p.remember(want.uid(), func(t *target) {
		if t.secret != secret {
			t.version = ""
		}
		t.name, t.secret, t.content, t.writing = want.name, secret, want.content, true
	})
}

// wrote notes that the Secret is as desired in this version.
func (p *Publisher) wrote(want *desired, secret metav1.Object) {
	p.remember(want.uid(), func(t *target) {
		t.name, t.secret, t.content, t.writing = want.name, secret.GetUID(), want.content, false
		t.version = secret.GetResourceVersion()
	})
}

// Forget drops what is remembered of a connection that is gone.
func (p *Publisher) Forget(connection types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.targets, connection)
}

// Foreign says whether an event of a labelled Secret is somebody else's work, so that the
// connection must be looked at. before is nil for a creation, after for a deletion.
func (p *Publisher) Foreign(before, after metav1.Object) bool {
	if after == nil {
		return !p.ownRemoval(before)
	}
	if before != nil && before.GetResourceVersion() == after.GetResourceVersion() {
		return false // the cache's periodic replay
	}
	owner := metav1.GetControllerOf(after)
	if owner == nil {
		return true
	}
	held := p.held(owner.UID)
	if held.name != after.GetName() || after.GetLabels()[ConnectionLabel] != string(owner.UID) {
		return true
	}
	if !newer(after, held.version) {
		return false
	}
	content := after.GetAnnotations()[contentAnnotation]
	changed := before == nil || before.GetAnnotations()[contentAnnotation] != content
	return !held.writing || !changed || content != held.content
}

// ownRemoval says whether this process deleted the Secret or let it go. It says so once.
func (p *Publisher) ownRemoval(secret metav1.Object) bool {
	owner := metav1.GetControllerOf(secret)
	if owner == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.targets[owner.UID]
	if t == nil || !t.removed.Has(secret.GetUID()) {
		return false
	}
	t.removed.Delete(secret.GetUID())
	return true
}

// newer says whether the object was changed after the version. Where that cannot be told, it was.
func newer(object metav1.Object, version string) bool {
	order, err := resourceversion.CompareResourceVersion(object.GetResourceVersion(), version)
	return err != nil || order > 0
}
