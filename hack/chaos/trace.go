// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/oauth-operator/oauth-operator/internal/crashpoint"
)

// trace is when a process reached each point last, by connection.
type trace map[types.UID]map[crashpoint.Point]time.Time

// readTrace reads what a process that is over has reached. Its last line may be cut short.
func readTrace(file string) (trace, error) {
	t := trace{}
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var nano int64
		var point, subject string
		if n, err := fmt.Sscan(lines.Text(), &nano, &point, &subject); err != nil || n != 3 {
			continue
		}
		uid := types.UID(subject)
		if t[uid] == nil {
			t[uid] = map[crashpoint.Point]time.Time{}
		}
		t[uid][crashpoint.Point(point)] = time.Unix(0, nano)
	}
	return t, lines.Err()
}

// reached says whether a connection was at the point after this moment.
func (t trace) reached(uid types.UID, point crashpoint.Point, after time.Time) bool {
	at, ok := t[uid][point]
	return ok && at.After(after)
}
