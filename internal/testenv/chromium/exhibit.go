// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package chromium

import (
	"bytes"
	_ "embed" // audit.js
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const (
	// screenshotsVariable names the directory that Exhibit writes to; empty: none.
	screenshotsVariable = "SCREENSHOTS"
	// Narrowest is a window in which pages still fit: 320 CSS pixels (WCAG 2.2, 1.4.10).
	Narrowest      = 320
	desktop, phone = 640, 390
	gap            = 24
)

//go:embed audit.js
var audit string

// Audit lists what would keep people from using the page as it is shown now: contrast below WCAG AA, small
// buttons, no focus ring, sideways scrolling, missing landmarks.
func (tab *Tab) Audit() []string {
	tab.t.Helper()
	return Eval[[]string](tab, audit)
}

// Exhibit opens a page and fails the test for what an audit finds: in a light and a dark window, on a phone
// and on the narrowest screen. With SCREENSHOTS=<directory> it writes one picture of the first three
// there, by the name.
func (tab *Tab) Exhibit(t *testing.T, name, address string) {
	t.Helper()
	tab.Open(address)
	directory := os.Getenv(screenshotsVariable)
	var shots []image.Image
	for _, look := range []Look{{Width: desktop}, {Width: desktop, Dark: true}, {Width: phone}} {
		tab.Inspect(t, name, look)
		if directory == "" {
			continue
		}
		shot, err := png.Decode(bytes.NewReader(tab.Screenshot()))
		if err != nil {
			t.Fatal(err)
		}
		shots = append(shots, shot)
	}
	tab.Inspect(t, name, Look{Width: Narrowest, Dark: true})
	if complaints := tab.Complaints(); len(complaints) > 0 {
		t.Errorf("%s: the browser says %q", name, complaints)
	}
	if directory == "" {
		return
	}
	if err := write(filepath.Join(directory, name+".png"), sheet(shots)); err != nil {
		t.Fatal(err)
	}
}

// Inspect fails the test for what an audit finds in the open page.
func (tab *Tab) Inspect(t *testing.T, name string, look Look) {
	t.Helper()
	tab.Show(look)
	for _, fault := range tab.Audit() {
		t.Errorf("%s, %+v: %s", name, look, fault)
	}
}

// sheet puts pictures side by side, with few enough colours for a small file.
func sheet(shots []image.Image) image.Image {
	var size image.Point
	for _, shot := range shots {
		size.X += shot.Bounds().Dx() + gap
		size.Y = max(size.Y, shot.Bounds().Dy())
	}
	whole := image.NewRGBA(image.Rect(0, 0, size.X-gap, size.Y))
	left := 0
	for _, shot := range shots {
		at := image.Rect(left, 0, left+shot.Bounds().Dx(), shot.Bounds().Dy())
		draw.Draw(whole, at, shot, shot.Bounds().Min, draw.Src)
		left += shot.Bounds().Dx() + gap
	}
	small := image.NewPaletted(whole.Bounds(), commonest(whole))
	draw.Draw(small, small.Bounds(), whole, image.Point{}, draw.Src)
	return small
}

// commonest are the colours that an image has most of. Pages have few, and the edges of their letters.
func commonest(whole *image.RGBA) color.Palette {
	const most = 64
	counts := map[color.RGBA]int{}
	for y := range whole.Bounds().Dy() {
		for x := range whole.Bounds().Dx() {
			counts[whole.RGBAAt(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int { return counts[b] - counts[a] })
	palette := color.Palette{color.RGBA{}}
	for _, c := range colours[:min(len(colours), most)] {
		palette = append(palette, c)
	}
	return palette
}

func write(path string, picture image.Image) error {
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, picture); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}
