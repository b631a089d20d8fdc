// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strings"
	"sync"
	"unicode"

	"k8s.io/apimachinery/pkg/types"

	"github.com/oauth-operator/oauth-operator/internal/connect"
)

//go:embed pages
var files embed.FS

// answer is a page or a redirect.
type answer struct {
	status     int
	page       string // a file of pages/
	data       any
	formAction string // where the page's form may lead; empty: it has none
	redirect   string
}

// noticePage is what notice.html shows.
type noticePage struct {
	words
	Command string
	// Plugin means that Command starts again by itself, instead of printing an address.
	Plugin bool
	Facts  []fact
}

type fact struct{ Name, Value string }

// noticeAnswer is the page of a notice about a connection.
func (s *Server) noticeAnswer(n notice, about types.NamespacedName) *answer {
	w := wordsOf(n)
	return &answer{status: w.Status, page: "notice.html", data: &noticePage{
		words: w, Command: s.command(w.Next, about), Plugin: s.Modes.Pairing || s.Modes.PairingCode,
	}}
}

// resultAnswer is the page of an attempt that was claimed.
func (s *Server) resultAnswer(r *connect.Result, about types.NamespacedName) *answer {
	a := s.noticeAnswer(r.Verdict, about)
	switch {
	case r.Expected != "":
		a.addFact("Expected", r.Expected)
		a.addFact("You chose", r.Account)
	case r.Account != "":
		a.addFact("Account", r.Account)
	}
	if r.Cause != "" {
		a.addFact("Cause", r.Cause)
	}
	if r.Next != "" {
		a.addFact("What helps", r.Next)
	}
	return a
}

// addFact shows a name and a value.
func (a *answer) addFact(name, value string) {
	if page, ok := a.data.(*noticePage); ok {
		page.Facts = append(page.Facts, fact{name, value})
	}
}

// pages are the parsed templates and their style sheet.
type pages struct {
	templates map[string]*template.Template
	style     string
	source    string    // of the style sheet, in a policy
	buffers   sync.Pool // of *bytes.Buffer: strangers see pages, too
}

func newPages() *pages {
	style, err := files.ReadFile("pages/style.css")
	if err != nil {
		panic(err) // it is embedded
	}
	p := &pages{templates: map[string]*template.Template{}, style: string(style), source: hashSource(string(style))}
	p.buffers.New = func() any { return &bytes.Buffer{} }
	functions := template.FuncMap{
		"style": func() template.CSS { return template.CSS(p.style) }, //nolint:gosec // our own file
		"name":  visible,
	}
	for _, name := range []string{"consent.html", "code.html", "notice.html"} {
		t := template.New(name).Option("missingkey=error").Funcs(functions)
		p.templates[name] = template.Must(t.ParseFS(files, "pages/layout.html", "pages/"+name))
	}
	return p
}

// visible shows the characters that turn the direction of text, with which one name can look like another.
func visible(name string) string {
	return strings.Map(func(r rune) rune {
		if turnsDirection(r) {
			return unicode.ReplacementChar
		}
		return r
	}, name)
}

func turnsDirection(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }

// write sends an answer. The page is rendered as a whole first: no page is cut.
func (p *pages) write(w http.ResponseWriter, r *http.Request, a *answer) {
	secure(w.Header(), p.source, a.formAction)
	if a.redirect != "" {
		w.Header().Set("Location", a.redirect)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	out := p.buffers.Get().(*bytes.Buffer) //nolint:forcetypeassert // there are no others
	defer p.buffers.Put(out)
	out.Reset()
	if err := p.templates[a.page].Execute(out, a.data); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(out.Bytes()) // the person has gone
	}
}
