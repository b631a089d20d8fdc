// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"

	"github.com/oauth-operator/oauth-operator/internal/connect"
)

func TestWithoutAGoodTicketAllPagesAreTheSame(t *testing.T) {
	r := newRig(t)
	sealTicket := func(namespace, name, uid string, life time.Duration) string {
		text, err := r.Keyring.SealTicket(seal.Ticket{Namespace: namespace, Name: name, UID: uid, Expires: r.clock.Now().Add(life)})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	there := r.PublicURL + "/connect/" + r.conn.Namespace + "/github"
	good := sealTicket(r.conn.Namespace, "github", string(r.conn.UID), time.Hour)
	for name, address := range map[string]string{
		"none":                there,
		"empty":               there + "?ticket=",
		"garbage":             there + "?ticket=garbage",
		"cut":                 there + "?ticket=" + good[:len(good)-2],
		"expired":             there + "?ticket=" + sealTicket(r.conn.Namespace, "github", string(r.conn.UID), -time.Second),
		"of another name":     there + "?ticket=" + sealTicket(r.conn.Namespace, "gitlab", string(r.conn.UID), time.Hour),
		"of another space":    there + "?ticket=" + sealTicket("other", "github", string(r.conn.UID), time.Hour),
		"no such connection":  r.PublicURL + "/connect/" + r.conn.Namespace + "/missing",
		"not there, stranger": r.PublicURL + "/connect/" + r.conn.Namespace + "/missing?ticket=" + good,
	} {
		page := open(t, &idp.Browser{}, address)
		expect(t, page, noTicket)
		if !strings.Contains(page.Body, " -n "+r.conn.Namespace+"<") || !strings.Contains(page.Body, "kubectl oauth connect ") {
			t.Errorf("%s: the page does not say how to get an address: %s", name, page.Body)
		}
	}
	if r.counted("rejected") != 9 {
		t.Errorf("%d visits are counted", r.counted("rejected"))
	}
}

func TestATicketOfAnEarlierConnectionOfTheNameIsRefused(t *testing.T) {
	r := newRig(t)
	start := r.start(t, r.conn)
	if err := env.Client.Delete(t.Context(), r.conn); err != nil {
		t.Fatal(err)
	}
	expect(t, open(t, &idp.Browser{}, start), connect.ConnectionGone)
}

func TestATicketIsGoodForOneConsent(t *testing.T) {
	r := newRig(t)
	start := r.start(t, r.conn)
	if page, err := new(idp.Browser).Connect(t.Context(), start, idp.DefaultUser()); err != nil || page.Status != http.StatusOK {
		t.Fatalf("the first consent: %v, %v", page, err)
	}
	// Who finds the address in a log or a history must not replace the account.
	expect(t, open(t, &idp.Browser{}, start), noTicket)
}

func TestConnectionsThatCannotBeConnectedSayWhy(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*v1alpha1.OAuthConnection)
		want   notice
	}{
		"suspended":    {func(c *v1alpha1.OAuthConnection) { c.Spec.Suspend = true }, connect.ConnectionSuspended},
		"no secret":    {func(c *v1alpha1.OAuthConnection) { c.Spec.Client.SecretRef.Name = "missing" }, connect.NotReady},
		"wrong issuer": {func(c *v1alpha1.OAuthConnection) { c.Spec.Provider.Issuer += "/other" }, connect.NotReady},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			b := &idp.Browser{}
			consent := open(t, b, r.start(t, r.conn))
			address := r.atCallback(t, b, r.conn)
			r.update(t, row.change)
			expect(t, open(t, b, r.start(t, r.conn)), row.want)
			page, err := consent.Submit(t.Context(), "", nil)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, page, row.want)
			if page = open(t, b, address); page.Status == http.StatusOK {
				t.Errorf("the callback was taken: %s", page.Body)
			}
			r.expectUntouched(t)
		})
	}
}

func TestAConnectionWhoseClientActsForItselfNeedsNoPerson(t *testing.T) {
	r := newRig(t)
	conn := r.conn.DeepCopy()
	conn.ObjectMeta = metav1.ObjectMeta{Namespace: r.conn.Namespace, Name: "machine"}
	conn.Spec.Grant = v1alpha1.GrantClientCredentials
	if err := env.Client.Create(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	expect(t, open(t, &idp.Browser{}, r.start(t, conn)), connect.NoPersonNeeded)
}

func TestACallbackAfterAChangeOfTheClientIsRefused(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.OAuthConnection){
		"client": func(c *v1alpha1.OAuthConnection) { c.Spec.Client.ID = "another" },
		"endpoint": func(c *v1alpha1.OAuthConnection) {
			c.Spec.Provider.Endpoints = &v1alpha1.Endpoints{Token: "http://127.0.0.1:1/token"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			b := &idp.Browser{}
			address := r.atCallback(t, b, r.conn)
			r.update(t, change)
			expect(t, open(t, b, address), connect.ClientChanged)
			r.expectUntouched(t)
		})
	}
}

func TestForgedAndForeignResponsesConsumeNothing(t *testing.T) {
	r := newRig(t)
	other := r.connection(t, r.conn.Namespace, "gitlab")
	b := &idp.Browser{}
	address := r.atCallback(t, b, r.conn)
	ofOther := r.atCallback(t, b, other)
	parsed, _ := url.Parse(ofOther)
	foreignState := parsed.Query().Get("state")
	for name, row := range map[string]struct {
		browser *idp.Browser
		address string
		want    notice
	}{
		"no state":                {b, with(t, address, "state", ""), connect.BadResponse},
		"short state":             {b, with(t, address, "state", "abc"), connect.BadResponse},
		"unknown state":           {b, with(t, address, "state", strings.Repeat("a", 43)), unknownFlow},
		"state of another flow":   {b, with(t, address, "state", foreignState), connect.BadResponse},
		"two states":              {b, address + "&state=" + foreignState, connect.BadResponse},
		"two codes":               {b, address + "&code=x", connect.BadResponse},
		"no code":                 {b, with(t, address, "code", ""), connect.BadResponse},
		"code and error":          {b, address + "&error=access_denied", connect.BadResponse},
		"another client's path":   {b, strings.Replace(address, "/github?", "/gitlab?", 1), connect.BadResponse},
		"a provider's path":       {b, strings.Replace(address, "/callback/ns/"+r.conn.Namespace+"/github", "/callback/cluster/github", 1), connect.BadResponse},
		"another issuer":          {b, with(t, address, "iss", "https://evil.example"), connect.WrongIssuer},
		"an issuer with a slash":  {b, with(t, address, "iss", r.idp.Issuer()+"/"), connect.WrongIssuer},
		"no cookie":               {&idp.Browser{}, address, unknownFlow},
		"an error and no cookie":  {&idp.Browser{}, with(t, address, "code", "", "error", "access_denied"), unknownFlow},
		"another person's denial": {&idp.Browser{}, with(t, ofOther, "code", "", "error", "access_denied"), unknownFlow},
	} {
		page := open(t, row.browser, row.address)
		t.Run(name, func(t *testing.T) { expect(t, page, row.want) })
	}
	r.expectUntouched(t)
	expect(t, open(t, b, address), connect.Connected)
	expect(t, open(t, b, ofOther), connect.Connected)
}

func TestACookieServesItsOwnFlowOnly(t *testing.T) {
	r := newRig(t)
	b := &idp.Browser{}
	address := r.atCallback(t, b, r.conn)
	mine := b.Cookies(r.PublicURL)[0]
	second := &idp.Browser{}
	r.atCallback(t, second, r.conn)
	theirs := second.Cookies(r.PublicURL)[0]
	flipped := mine.Value[:len(mine.Value)/2] + "A" + mine.Value[len(mine.Value)/2+1:]
	if flipped == mine.Value {
		flipped = mine.Value[:len(mine.Value)/2] + "B" + mine.Value[len(mine.Value)/2+1:]
	}
	for name, value := range map[string]string{
		"of a second browser": theirs.Value,
		"tampered with":       flipped,
		"cut":                 mine.Value[:len(mine.Value)-1],
		"empty":               "",
		"no base64":           "%%%",
		"too long":            mine.Value + strings.Repeat("A", 4096),
		"a ticket":            r.start(t, r.conn)[strings.Index(r.start(t, r.conn), "=")+1:],
	} {
		resp, body := get(t, http.MethodGet, address, &http.Cookie{Name: mine.Name, Value: value})
		if resp.StatusCode != wordsOf(unknownFlow).Status || title(body) != wordsOf(unknownFlow).Title {
			t.Errorf("%s: status %d: %s", name, resp.StatusCode, title(body))
		}
	}
	r.expectUntouched(t)
	expect(t, open(t, b, address), connect.Connected)
}

func TestASecondBrowserCannotFinishWhatTheFirstBegan(t *testing.T) {
	r := newRig(t)
	address := r.atCallback(t, &idp.Browser{}, r.conn)
	second := &idp.Browser{}
	r.atCallback(t, second, r.conn) // with flows of its own
	expect(t, open(t, second, address), unknownFlow)
	r.expectUntouched(t)
}

func TestTenMinutesAreEnough(t *testing.T) {
	r := newRig(t)
	b := &idp.Browser{}
	address := r.atCallback(t, b, r.conn)
	r.clock.SetTime(r.clock.Now().Add(connect.Lifetime))
	expect(t, open(t, b, address), connect.FlowExpired)
	r.expectUntouched(t)
}

func TestADeletedAttemptCannotBeFinished(t *testing.T) {
	r := newRig(t)
	b := &idp.Browser{}
	address := r.atCallback(t, b, r.conn)
	attempt := r.attempts(t)[0]
	if err := env.Client.Delete(t.Context(), &attempt); err != nil {
		t.Fatal(err)
	}
	expect(t, open(t, b, address), connect.FlowExpired)
	r.expectUntouched(t)
}

func TestAMissingIssuerIsRefusedWhereTheProviderPromisedOne(t *testing.T) {
	r := newRig(t)
	b := &idp.Browser{}
	address := r.atCallback(t, b, r.conn) // this provider does, in its metadata
	expect(t, open(t, b, with(t, address, "iss", "")), connect.WrongIssuer)
	r.expectUntouched(t)
	expect(t, open(t, b, with(t, address, "iss", r.idp.Issuer())), connect.Connected)
}

func TestReplaysAtThreeReplicasCauseOneExchange(t *testing.T) {
	r := newRig(t)
	replicas := []string{r.url}
	for range 2 {
		replicas = append(replicas, r.serve(t, newServer(t, r)))
	}
	b := &idp.Browser{}
	address := r.atCallback(t, b, r.conn)
	cookie := b.Cookies(r.PublicURL)[0]
	var wg sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for i := range 100 {
		wg.Go(func() {
			resp, body := get(t, http.MethodGet, strings.Replace(address, r.PublicURL, replicas[i%3], 1), cookie)
			mu.Lock()
			defer mu.Unlock()
			statuses[resp.StatusCode]++
			if resp.StatusCode != http.StatusOK && title(body) != wordsOf(connect.AlreadyUsed).Title {
				t.Errorf("status %d: %s", resp.StatusCode, title(body))
			}
		})
	}
	wg.Wait()
	if n := r.idp.Count(idp.Token); n != 1 || statuses[http.StatusOK] != 1 || statuses[http.StatusConflict] != 99 {
		t.Errorf("%d exchanges, statuses %v", n, statuses)
	}
	if record := r.record(t, r.conn); record == nil || !r.idp.AccessTokenValid(record.Token.AccessToken.Reveal()) {
		t.Error("the account is not connected")
	}
}

func TestAnotherReplicaFinishesWhatOneBegan(t *testing.T) {
	r := newRig(t)
	b := &idp.Browser{}
	address := r.atCallback(t, b, r.conn)
	restarted := r.serve(t, newServer(t, r))
	resp, body := get(t, http.MethodGet, strings.Replace(address, r.PublicURL, restarted, 1), b.Cookies(r.PublicURL)...)
	if resp.StatusCode != http.StatusOK || title(body) != wordsOf(connect.Connected).Title {
		t.Errorf("status %d: %s", resp.StatusCode, title(body))
	}
}

func TestAnOutageAtTheClaimConsumesNothing(t *testing.T) {
	r := newRig(t)
	b := &idp.Browser{}
	address := r.atCallback(t, b, r.conn)
	live := r.Client
	down := newOutage(live)
	r.Client = statusOutage{down}
	expect(t, open(t, b, address), connect.Unavailable)
	r.expectUntouched(t)
	r.Client = live
	expect(t, open(t, b, address), connect.Connected)
}
