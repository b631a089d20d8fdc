// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// resting is a connection without a client whose token requests rest on a subject.
func resting(grant v1alpha1.GrantType, subject v1alpha1.SubjectSpec) *v1alpha1.OAuthConnection {
	spec := v1alpha1.ProviderSpec{Endpoints: &v1alpha1.Endpoints{Token: "https://idp.example/token"}}
	conn := connection(spec)
	conn.Spec.Grant, conn.Spec.Client, conn.Spec.Subject = grant, nil, &subject
	return conn
}

func tokenKey(name string) v1alpha1.TokenKeyRef {
	return v1alpha1.TokenKeyRef{Name: name, Key: "client-secret"}
}

func given(t testing.TB, c *oauth.Client) oauth.Secret {
	t.Helper()
	if c.Subject.Token == nil {
		t.Fatal("there is no subject")
	}
	token, err := c.Subject.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTheSubjectIsASecretsToken(t *testing.T) {
	ref := tokenKey("s")
	e := setup(t, nil, secret("team-a", "s", "the-subject\n"))
	conn := resting(v1alpha1.GrantTokenExchange, v1alpha1.SubjectSpec{SecretRef: &ref, TokenType: "urn:a", RequestedTokenType: "urn:b"})
	got := e.resolve(t, conn)
	if given(t, &got.Client).Reveal() != "the-subject" || got.Subject.TokenType != "urn:a" || got.Subject.RequestedTokenType != "urn:b" {
		t.Errorf("got %+v", got.Subject)
	}
	if got.ID != "" || got.Authentication != oauth.None || got.RedirectURI != "" || got.CallbackPath != "" || got.Fingerprint == "" {
		t.Errorf("without a client: %q, %s, %q", got.ID, got.Authentication, got.RedirectURI)
	}
	e.changed(t, "s", "another-subject")
	if next := e.resolve(t, conn); next.Revision == got.Revision || given(t, &next.Client).Reveal() != "another-subject" {
		t.Errorf("another subject is not noticed: revision %q, then %q", got.Revision, next.Revision)
	}
	other := tokenKey("missing")
	conn.Spec.Subject.SecretRef = &other
	if e.refused(t, conn, v1alpha1.ReasonSubjectInvalid, "spec.subject.secretRef:", `Secret "missing" not found`).Retry == 0 {
		t.Error("it is not looked at again")
	}
}

// changed writes another value into a Secret.
func (e *env) changed(t *testing.T, name, value string) {
	t.Helper()
	if err := e.kube.Update(t.Context(), secret("team-a", name, value)); err != nil {
		t.Fatal(err)
	}
}

func TestTheSubjectIsAServiceAccountsToken(t *testing.T) {
	e, tokens := setup(t, nil), &minting{token: "t"}
	e.Tokens = tokens
	ref := &v1alpha1.ServiceAccountRef{Name: "robot", Audience: "https://idp.example"}
	got := e.resolve(t, resting(v1alpha1.GrantTokenExchange, v1alpha1.SubjectSpec{ServiceAccountRef: ref}))
	if given(t, &got.Client).Reveal() != "t" || tokens.asked[0] != "team-a/robot for https://idp.example" {
		t.Errorf("asked %v", tokens.asked)
	}
	tokens.err = oauth.ErrIDToken
	e.refused(t, resting(v1alpha1.GrantTokenExchange, v1alpha1.SubjectSpec{ServiceAccountRef: ref}), v1alpha1.ReasonProgressing, "robot")
}

func TestTheSubjectIsSignedAsDescribed(t *testing.T) {
	key := keys()["RSA"]
	e := setup(t, nil, secret("team-a", "s", pkcs8(key)))
	now := float64(e.clock.Now().Unix())
	jwt := &v1alpha1.SignedJWT{
		KeyRef: tokenKey("s"), KeyID: "k", Algorithm: "RS384", Issuer: "robot@example.iam", Subject: "person@example.com",
		Audience: "https://oauth2.example/token", Claims: map[string]string{"scope": "a b", "exp": "ignored"},
	}
	conn := resting(v1alpha1.GrantJWTBearer, v1alpha1.SubjectSpec{SignedJWT: jwt})
	got := e.resolve(t, conn)
	header, claims := opened(t, given(t, &got.Client), key.Public())
	delete(claims, "jti")
	want := map[string]any{
		"iss": jwt.Issuer, "sub": jwt.Subject, "aud": jwt.Audience, "iat": now, "exp": now + 60, "scope": "a b",
	}
	e.changed(t, "s", pkcs8(keys()["RSA"]))
	if e.resolve(t, conn).Revision == got.Revision {
		t.Error("another key is not noticed")
	}
	if diff := cmp.Diff(want, claims); diff != "" || header.Algorithm != "RS384" || header.KeyID != "k" {
		t.Errorf("%s, header %+v", diff, header)
	}

	jwt.Issuer, jwt.Subject, jwt.Audience = "", "", ""
	e.refused(t, conn, v1alpha1.ReasonSubjectInvalid, "spec.subject.signedJWT.issuer:")
	conn.Spec.Client = &v1alpha1.ClientSpec{ID: "id"}
	_, claims = opened(t, given(t, &e.resolve(t, conn).Client), key.Public())
	if _, named := claims["sub"]; named || claims["iss"] != "id" || claims["aud"] != "https://idp.example/token" {
		t.Errorf("by default: %v", claims)
	}
	jwt.Algorithm = "ES256"
	e.refused(t, conn, v1alpha1.ReasonSubjectInvalid, "spec.subject.signedJWT.algorithm:", "RSA")
	e = setup(t, nil, secret("team-a", "s", "hush"))
	e.refused(t, conn, v1alpha1.ReasonSubjectInvalid, "spec.subject.signedJWT.keyRef:", `Secret "s"`)
	e = setup(t, nil)
	e.refused(t, conn, v1alpha1.ReasonSubjectInvalid, "kubectl -n team-a create secret generic s --from-file=client-secret=…")
	conn.Spec.Subject = &v1alpha1.SubjectSpec{}
	e.refused(t, conn, v1alpha1.ReasonSubjectInvalid, "spec.subject:")
}

func TestASharedProviderWithoutAClientLimitsNoGrant(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "the-subject"), &v1alpha1.ClusterOAuthProvider{
		ObjectMeta: metav1.ObjectMeta{Name: "corp"},
		Spec: v1alpha1.ClusterOAuthProviderSpec{
			OAuthProviderSpec: v1alpha1.OAuthProviderSpec{ProviderSpec: plain()}, NamespaceSelector: &metav1.LabelSelector{},
		},
	})
	ref := tokenKey("s")
	conn := referring("ClusterOAuthProvider", "corp")
	conn.Spec.Grant, conn.Spec.Subject = v1alpha1.GrantTokenExchange, &v1alpha1.SubjectSpec{SecretRef: &ref}
	e.resolve(t, conn)
}

func TestTheSeedIsReadLive(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "refresh-token\n"))
	conn := connection(plain())
	if seed, err := e.Seed(t.Context(), conn); err != nil || !seed.IsZero() {
		t.Errorf("without a seed: %v", err)
	}
	conn.Spec.Seed = &v1alpha1.SeedSpec{SecretRef: tokenKey("s")}
	if seed, err := e.Seed(t.Context(), conn); err != nil || seed.Reveal() != "refresh-token" {
		t.Errorf("got %v", err)
	}
	e.changed(t, "s", strings.Repeat("x", oauth.MaxToken+1))
	_, err := e.Seed(t.Context(), conn)
	wantError(t, err, v1alpha1.ReasonSeedInvalid, "spec.seed.secretRef:", "more than 32 KiB")
	conn.Spec.Seed.SecretRef.Name = "missing"
	_, err = e.Seed(t.Context(), conn)
	wantError(t, err, v1alpha1.ReasonSeedInvalid, "spec.seed.secretRef:", `Secret "missing" not found`, "kubectl -n team-a create secret generic missing")
	conn.Spec.Seed.SecretRef = v1alpha1.TokenKeyRef{Name: "s", Key: "other"}
	_, err = e.Seed(t.Context(), conn)
	wantError(t, err, v1alpha1.ReasonSeedInvalid, `has no key "other"`)
}
