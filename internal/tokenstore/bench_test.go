// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenstore

import (
	"flag"
	"testing"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// journalDir lets the benchmark use another disk than that of temporary files.
var journalDir = flag.String("journal-dir", "", "directory for BenchmarkSave's journal")

// BenchmarkSave is what a renewal pays for its second write, alone and 64 at once:
//
//	go test -run xxx -bench Save ./internal/tokenstore
func BenchmarkSave(b *testing.B) {
	for _, journalled := range []bool{false, true} {
		name := "without journal"
		if journalled {
			name = "with journal"
		}
		s := benchStore(b, journalled)
		b.Run(name+"/alone", func(b *testing.B) { saves(b, s, b.Loop) })
		b.Run(name+"/64 at once", func(b *testing.B) {
			b.SetParallelism(32) // times GOMAXPROCS
			b.RunParallel(func(pb *testing.PB) { saves(b, s, pb.Next) })
		})
	}
}

func benchStore(b *testing.B, journalled bool) *Store {
	c := newCluster(b)
	if !journalled {
		s, _ := c.replica("a")
		return s
	}
	dir := *journalDir
	if dir == "" {
		dir = b.TempDir()
	}
	s, _ := c.container(dir)
	return s
}

// saves renews one connection's token again and again.
func saves(b *testing.B, s *Store, next func() bool) {
	key := newKey()
	r, err := s.Replace(b.Context(), key, consented("c", 0))
	for i := 1; next(); i++ {
		if err != nil {
			b.Error(err)
			return
		}
		changed := r.clone()
		changed.Token.AccessToken = oauth.NewSecret(token(i).AccessToken.Reveal() + string(make([]byte, 1<<10)))
		r, err = s.Save(b.Context(), key, changed)
	}
}
