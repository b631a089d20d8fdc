// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/oauth-operator/oauth-operator/internal/testenv/chromium"
)

func TestInChromiumThePluginsPagesAreFitForPeople(t *testing.T) {
	documented, err := os.ReadFile("../../docs/pages.md")
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]localPage{
		"plugin-stray": strayPage, "plugin-unsent": unsentPage, "plugin-other-browser": otherBrowserPage,
		"plugin-other-response": otherResponsePage, "plugin-pending": pendingPage,
		"plugin-connected": connectedPage, "plugin-not-connected": notConnectedPage,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pages[strings.TrimPrefix(r.URL.Path, "/")].write(w)
	}))
	t.Cleanup(server.Close)
	tab := chromium.Start(t).Tab(t)
	for name, page := range pages {
		if !strings.Contains(string(documented), page.title) {
			t.Errorf("docs/pages.md does not say when people see %q", page.title)
		}
		if strings.Contains(string(documented), "screenshots/"+name+".png") {
			tab.Exhibit(t, name, server.URL+"/"+name)
			continue
		}
		tab.Open(server.URL + "/" + name)
		tab.Inspect(t, name, chromium.Look{Width: chromium.Narrowest})
	}
}
