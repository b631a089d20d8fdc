// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// tick is the unit of CPU time in /proc: USER_HZ is 100 on every Linux that Go supports.
const tick = 10 * time.Millisecond

// cpuTime is what a process has used so far, in user and kernel mode (proc_pid_stat(5)).
func cpuTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name in parentheses may hold spaces; state is the first field after it, utime the 12th.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat is cut short", pid)
	}
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// memory is what a process has in RAM now, and what it had at most, in bytes.
type memory struct{ resident, peak int64 }

func memoryOf(pid int) (memory, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, err
	}
	var m memory
	for line := range bytes.Lines(status) {
		for name, value := range map[string]*int64{"VmRSS:": &m.resident, "VmHWM:": &m.peak} {
			fields := bytes.Fields(line)
			if len(fields) != 3 || string(fields[0]) != name {
				continue
			}
			kilobytes, err := strconv.ParseInt(string(fields[1]), 10, 64)
			if err != nil {
				return memory{}, err
			}
			*value = kilobytes << 10
		}
	}
	return m, nil
}
