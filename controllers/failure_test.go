// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

func TestARefusedClientIsLookedForWhereItWasWritten(t *testing.T) {
	own := &v1alpha1.ClientSpec{ID: "web", SecretRef: &v1alpha1.SecretKeyRef{Name: "hush", Key: "client-secret"}}
	for name, row := range map[string]struct {
		spec  v1alpha1.OAuthConnectionSpec
		words []string
		how   oauth.Authentication
		id    string // "-": none
	}{
		"the connection's own": {spec: v1alpha1.OAuthConnectionSpec{Client: own},
			words: []string{"spec.client.id", "key client-secret of Secret hush", "kubectl -n team-a edit secret hush", "30s"}},
		"its own, beside a provider object": {spec: v1alpha1.OAuthConnectionSpec{Client: own, ProviderRef: &v1alpha1.ProviderRef{Name: "corp"}},
			words: []string{"kubectl -n team-a edit secret hush"}},
		"a public one": {spec: v1alpha1.OAuthConnectionSpec{Client: &v1alpha1.ClientSpec{ID: "web"}},
			words: []string{"client id", "spec.client names no secretRef", "kubectl -n team-a edit oauthconnection github"}},
		"a provider object's": {spec: v1alpha1.OAuthConnectionSpec{ProviderRef: &v1alpha1.ProviderRef{Kind: "OAuthProvider", Name: "corp"}},
			words: []string{"OAuthProvider corp", "kubectl -n team-a describe oauthprovider corp", "30s"}},
		"a cluster provider's": {spec: v1alpha1.OAuthConnectionSpec{ProviderRef: &v1alpha1.ProviderRef{Kind: "ClusterOAuthProvider", Name: "corp"}},
			words: []string{"ask the platform team", "ClusterOAuthProvider corp", "30s"}},
		"a certificate": {spec: v1alpha1.OAuthConnectionSpec{Client: own}, how: oauth.TLS,
			words: []string{"spec.client.id", "knows the certificate in Secret hush", "kubectl -n team-a describe secret hush", "30s"}},
		"a key": {spec: v1alpha1.OAuthConnectionSpec{Client: own}, how: oauth.PrivateKeyJWT,
			words: []string{"spec.client.keyID", "the public key of key client-secret of Secret hush", "assertionAudience", "30s"}},
		"none at all": {spec: v1alpha1.OAuthConnectionSpec{Subject: &v1alpha1.SubjectSpec{SignedJWT: &v1alpha1.SignedJWT{}}}, id: "-",
			words: []string{"no client is named", "spec.client", "spec.subject.signedJWT", "kubectl -n team-a edit oauthconnection github"}},
		"none at all, beside a provider object": {spec: v1alpha1.OAuthConnectionSpec{
			ProviderRef: &v1alpha1.ProviderRef{Name: "corp"}, Subject: &v1alpha1.SubjectSpec{SignedJWT: &v1alpha1.SignedJWT{}}}, id: "-",
			words: []string{"no client is named"}},
	} {
		p := walkAt(noon, func(p *pass) {
			p.conn.Spec, p.client.Authentication, p.client.ID = row.spec, row.how, "web"
			if row.id == "-" {
				p.client.ID = ""
			}
		})
		message := p.clientRejectedMessage("invalid_client")
		for _, part := range append(row.words, "Example refused the client (invalid_client)") {
			if !strings.Contains(message, part) {
				t.Errorf("%s: the message is %q; it does not say %q", name, message, part)
			}
		}
	}
}

func TestWhatIsLeftOfATokenIsSpentOnSeveralTries(t *testing.T) {
	for _, row := range []struct {
		kind        oauth.Kind
		failures    int32
		left        time.Duration
		least, most time.Duration
	}{
		{oauth.Transient, 9, 10 * time.Hour, 4 * time.Minute, 6 * time.Minute},
		{oauth.Transient, 9, 4 * time.Minute, time.Minute, time.Minute},
		{oauth.Unreachable, 9, time.Second, 4 * time.Second, 6 * time.Second},
		{oauth.Unexpected, 1, 4 * time.Minute, 4 * time.Second, 6 * time.Second},
		{oauth.Transient, 9, -time.Second, 4 * time.Minute, 6 * time.Minute},
		{oauth.Throttled, 9, time.Minute, 4 * time.Minute, 6 * time.Minute},
	} {
		p := walkAt(noon, func(p *pass) {
			p.record.Token.Expiry = noon.Add(row.left)
			p.record.Failure = &tokenstore.Failure{Count: row.failures - 1, Kind: row.kind, Since: noon.Add(-time.Hour)}
		})
		if got := p.nextTry(&oauth.Error{Kind: row.kind}).RetryAt.Sub(noon); got < row.least || got > row.most {
			t.Errorf("%s, %d failures, %s left: tried again after %s", row.kind, row.failures, row.left, got)
		}
	}
	p := walkAt(noon, func(p *pass) { p.record.Token.Expiry, p.record.Failure = time.Time{}, nil })
	if got := p.nextTry(&oauth.Error{Kind: oauth.Unreachable}).RetryAt.Sub(noon); got > 6*time.Second || got < 4*time.Second {
		t.Errorf("a token without an expiry: tried again after %s", got)
	}
}

func TestARefusedSubjectIsNamedAndItsSecretLookedAt(t *testing.T) {
	for name, row := range map[string]struct {
		subject *v1alpha1.SubjectSpec
		says    string
		polled  bool
	}{
		"none":             {nil, "check spec.scopes", false},
		"a Secret":         {&v1alpha1.SubjectSpec{SecretRef: &v1alpha1.TokenKeyRef{Name: "mine", Key: "token"}}, "key token of Secret mine (spec.subject.secretRef", true},
		"an own JWT":       {&v1alpha1.SubjectSpec{SignedJWT: &v1alpha1.SignedJWT{}}, "spec.subject.signedJWT (issuer, subject, audience", true},
		"the API server's": {&v1alpha1.SubjectSpec{ServiceAccountRef: &v1alpha1.ServiceAccountRef{Name: "robot", Audience: "a"}}, "audience a and subject system:serviceaccount:team-a:robot", false},
	} {
		p := walkAt(noon, func(p *pass) {
			p.conn.Spec.Grant, p.conn.Spec.Subject, p.record.Failure = v1alpha1.GrantTokenExchange, row.subject, failed(oauth.Misconfigured, 0)
		})
		halt := stopOf(t, p.failureStop())
		if !strings.Contains(halt.Message, row.says) || !strings.Contains(halt.Message, "refresh-requested-at") {
			t.Errorf("%s: the message is %q; it does not say %q", name, halt.Message, row.says)
		}
		if !halt.Stalled || (halt.Retry == secretPoll) != row.polled || (halt.Retry != 0) != row.polled {
			t.Errorf("%s: looked at again after %s", name, halt.Retry)
		}
	}
}
