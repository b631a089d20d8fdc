// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command krew builds the kubectl plugin for every platform into dist/: an archive each, their
// checksums, and the manifest for krew. The same commit gives the same archives.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"text/template"
	"time"
)

//go:embed oauth.yaml
var manifest string

// archive is what one platform downloads.
type archive struct{ OS, Arch, Name, Binary, SHA256 string }

func main() {
	version := flag.String("version", "v0.0.0", "the release's tag: a semantic version with a v")
	out := flag.String("out", "dist", "the folder to write to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := release(ctx, *version, *out)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "krew:", err)
		os.Exit(1)
	}
}

func release(ctx context.Context, version, out string) error {
	if !regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`).MatchString(version) {
		return fmt.Errorf("%q is no semantic version such as v1.2.3", version)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	archives, sums := platforms(version), ""
	for i := range archives {
		a := &archives[i]
		if err := a.make(ctx, out); err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
		sums += a.SHA256 + "  " + a.Name + "\n"
		fmt.Println(filepath.Join(out, a.Name))
	}
	filled, err := fill(version, archives)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(out, "checksums.txt"), []byte(sums), 0o644),
		os.WriteFile(filepath.Join(out, "oauth.yaml"), filled, 0o644))
}

func platforms(version string) []archive {
	var all []archive
	for _, system := range []string{"linux", "darwin", "windows"} {
		for _, arch := range []string{"amd64", "arm64"} {
			a := archive{OS: system, Arch: arch, Binary: "kubectl-oauth"}
			if system == "windows" {
				a.Binary += ".exe"
			}
			a.Name = fmt.Sprintf("kubectl-oauth_%s_%s_%s.tar.gz", version, system, arch)
			all = append(all, a)
		}
	}
	return all
}

// make builds the binary and packs it with the licence and the script for completion.
func (a *archive) make(ctx context.Context, out string) error {
	scratch, err := os.MkdirTemp("", "krew-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	binary := filepath.Join(scratch, a.Binary)
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./cmd/kubectl-oauth")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+a.OS, "GOARCH="+a.Arch)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return err
	}
	packed, err := pack(binary, filepath.Join("cmd", "kubectl-oauth", "kubectl_complete-oauth"), "LICENSE")
	if err != nil {
		return err
	}
	a.SHA256 = fmt.Sprintf("%x", sha256.Sum256(packed))
	return os.WriteFile(filepath.Join(out, a.Name), packed, 0o644)
}

// pack makes a tar.gz in which nothing tells of the machine or the hour. The last file is a text, the
// others are executable.
func pack(files ...string) ([]byte, error) {
	var packed bytes.Buffer
	gz := gzip.NewWriter(&packed)
	w := tar.NewWriter(gz)
	for i, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		mode := int64(0o755)
		if i == len(files)-1 {
			mode = 0o644
		}
		header := &tar.Header{Name: filepath.Base(file), Mode: mode, Size: int64(len(raw)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(raw); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(w.Close(), gz.Close()); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

func fill(version string, archives []archive) ([]byte, error) {
	t, err := template.New("oauth.yaml").Option("missingkey=error").Parse(manifest)
	if err != nil {
		return nil, err
	}
	var filled bytes.Buffer
	err = t.Execute(&filled, struct {
		Version  string
		Archives []archive
	}{version, archives})
	return filled.Bytes(), err
}
