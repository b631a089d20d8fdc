// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// What the design asks for.
const (
	targetRatio  = 0.8
	targetCPU    = 2 * time.Millisecond
	targetMemory = 150 << 20 // at targetScale connections
	targetScale  = 10_000
	// writesPerRefresh is what never losing a token takes: the intent, the new record, the target
	// and the status.
	writesPerRefresh = 4
)

// results are what the phases measured.
type results struct {
	connections, concurrency int

	empty, resting, stormy memory
	firstPublication       time.Duration

	restart                time.Duration
	tokenRequestsAtRestart int
	writesAtRestart        map[request]float64
	quiet                  time.Duration
	writesAtRest           map[request]float64

	baselines []plainRate // before and after the storm
	refreshes float64     // per second
	cpu       time.Duration
	requests  map[request]float64

	load     float64 // refreshes per second
	lateness []time.Duration
}

// row is a line of the table; a zero ratio is left out.
type row struct {
	metric, value, reference string
	ratio                    float64
}

func (r *results) print(w io.Writer) error {
	fmt.Fprintf(w, "\n%d connections in %d namespaces, %d worked on at a time; %d cores for the API server, etcd,\n"+
		"the operator (a process), the token endpoint and the baseline (goroutines of the benchmark).\n\n",
		r.connections, namespaces, r.concurrency, runtime.NumCPU())
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "METRIC\tVALUE\tBASELINE OR TARGET\tRATIO")
	for _, part := range [][]row{r.throughput(), r.cost(), r.memory(), r.time(), r.rest()} {
		for _, row := range part {
			ratio := ""
			if row.ratio > 0 {
				ratio = fmt.Sprintf("%.2f", row.ratio)
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", row.metric, row.value, row.reference, ratio)
		}
	}
	return table.Flush()
}

func (r *results) throughput() []row {
	plain := r.plain()
	return []row{
		{"refreshes per second, all due at once", fmt.Sprintf("%.1f", r.refreshes),
			fmt.Sprintf("%.1f by a plain client (%.1f before, %.1f after); ratio at least %.1f",
				plain.refreshes, r.baselines[0].refreshes, r.baselines[1].refreshes, targetRatio),
			r.refreshes / plain.refreshes},
	}
}

// plain is the mean of both baselines.
func (r *results) plain() plainRate {
	var mean plainRate
	for _, b := range r.baselines {
		mean.refreshes += b.refreshes / float64(len(r.baselines))
		mean.cpu += b.cpu / time.Duration(len(r.baselines))
	}
	return mean
}

func (r *results) cost() []row {
	per := map[request]float64{}
	var all, writes float64
	for kind, count := range r.requests {
		per[kind] = count / float64(r.connections)
		all += per[kind]
		if kind.writes() {
			writes += per[kind]
		}
	}
	rows := []row{
		{"operator's CPU per refresh", milliseconds(r.cpu), fmt.Sprintf("below %s; %s by a plain client", milliseconds(targetCPU), milliseconds(r.plain().cpu)), float64(r.cpu) / float64(targetCPU)},
		{"API requests per refresh", fmt.Sprintf("%.2f", all), "", 0},
		{"  of them writes", fmt.Sprintf("%.2f", writes), fmt.Sprint(writesPerRefresh), writes / writesPerRefresh},
	}
	for _, kind := range sorted(per) {
		if per[kind] >= 0.005 {
			rows = append(rows, row{"  " + kind.String(), fmt.Sprintf("%.2f", per[kind]), "", 0})
		}
	}
	return rows
}

func (r *results) memory() []row {
	whole := row{"resident memory at rest", mebibytes(r.resting.resident), fmt.Sprintf("%s at %d", mebibytes(targetMemory), targetScale), 0}
	if r.connections == targetScale {
		whole.ratio = float64(r.resting.resident) / targetMemory
	}
	perThousand := (r.resting.resident - r.empty.resident) * 1000 / int64(r.connections)
	return []row{
		whole,
		{"  per 1,000 connections", mebibytes(perThousand), "above " + mebibytes(r.empty.resident) + " without any", 0},
		{"  peak after the restart", mebibytes(r.resting.peak), "", 0},
		{"  peak when all were due at once", mebibytes(r.stormy.peak), "", 0},
	}
}

func (r *results) time() []row {
	load := fmt.Sprintf("at %.0f refreshes per second", r.load)
	return []row{
		{"first publication of all, from process start", seconds(r.firstPublication), "", 0},
		{"restart with fresh tokens: all known after", seconds(r.restart), "from process start", 0},
		{"  token requests meanwhile", fmt.Sprint(r.tokenRequestsAtRestart), "0", 0},
		{"  writes meanwhile, without leases", list(r.writesAtRestart), "0", 0},
		{"lateness of refreshes, p50", milliseconds(percentile(r.lateness, 0.5)), load, 0},
		{"lateness of refreshes, p99.9", milliseconds(percentile(r.lateness, 0.999)), fmt.Sprintf("of %d", len(r.lateness)), 0},
	}
}

func (r *results) rest() []row {
	return []row{{fmt.Sprintf("writes at rest in %s, without leases", r.quiet), list(r.writesAtRest), "0", 0}}
}

// list says how many requests there were, and which.
func list(counts map[request]float64) string {
	if len(counts) == 0 {
		return "0"
	}
	var texts []string
	for _, kind := range sorted(counts) {
		texts = append(texts, fmt.Sprintf("%.0f %s", counts[kind], kind))
	}
	return strings.Join(texts, ", ")
}

func sorted(counts map[request]float64) []request {
	return slices.SortedFunc(maps.Keys(counts), func(a, b request) int { return cmp.Compare(a.String(), b.String()) })
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func mebibytes(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
