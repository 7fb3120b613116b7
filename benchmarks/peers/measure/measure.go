// Package measure reads what a process has used (Linux only) and collects latencies.
//
// A Usage is a reading of the process's own counters; the difference of two readings, divided by the calls between
// them, is what a call costs. Reading stops the world for a moment, so it happens before and after the measured calls
// and never among them.
package measure

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what a process has used since it started.
type Usage struct {
	CPU      time.Duration `json:"cpu"`      // user and system time
	GC       time.Duration `json:"gc"`       // the garbage collector's part of it, as the runtime estimates it
	Mallocs  uint64        `json:"mallocs"`  // heap objects allocated
	Bytes    uint64        `json:"bytes"`    // heap bytes allocated
	Writes   uint64        `json:"writes"`   // write and writev calls: on sockets, and those by which event loops wake up
	Segments uint64        `json:"segments"` // TCP segments with data sent over the connections open now
	RSS      uint64        `json:"rss"`      // bytes of memory resident now
}

// Read reads this process's counters.
func Read() (Usage, error) {
	var u Usage
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return u, fmt.Errorf("measure: getrusage: %w", err)
	}
	u.CPU = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	u.GC = collector()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.Mallocs, u.Bytes = m.Mallocs, m.TotalAlloc
	var err error
	if u.Writes, err = field("/proc/self/io", "syscw:"); err != nil {
		return u, err
	}
	if u.RSS, err = field("/proc/self/status", "VmRSS:"); err != nil {
		return u, err
	}
	u.RSS *= 1024
	u.Segments, err = segments()
	return u, err
}

// Since returns what was used between before and u. RSS is not a sum and stays as it is in u.
func (u Usage) Since(before Usage) Usage {
	return Usage{
		CPU: u.CPU - before.CPU, GC: u.GC - before.GC, Mallocs: u.Mallocs - before.Mallocs, Bytes: u.Bytes - before.Bytes,
		Writes: u.Writes - before.Writes, Segments: less(u.Segments, before.Segments), RSS: u.RSS,
	}
}

// less is a - b, and 0 if connections that were counted in b have been closed since.
func less(a, b uint64) uint64 { return a - min(a, b) }

// collector is the CPU time of the garbage collector without what it did while the processors had nothing else to do.
func collector() time.Duration {
	s := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/gc/mark/idle:cpu-seconds"}}
	metrics.Read(s)
	for i := range s {
		if s[i].Value.Kind() != metrics.KindFloat64 {
			return 0
		}
	}
	return time.Duration((s[0].Value.Float64() - s[1].Value.Float64()) * float64(time.Second))
}

// field returns the number behind name in a file of /proc that has one name per line.
func field(file, name string) (uint64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("measure: %w", err)
	}
	s := bufio.NewScanner(bytes.NewReader(b))
	for s.Scan() {
		if f := strings.Fields(s.Text()); len(f) >= 2 && f[0] == name {
			return strconv.ParseUint(f[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("measure: no %s in %s", name, file)
}

// segments adds up the data segments sent by all TCP connections of this process. Over loopback a write of up to
// 64 KiB leaves as one segment, so this counts the writes that /proc/self/io does not see (sendmsg).
func segments() (uint64, error) {
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0, fmt.Errorf("measure: %w", err)
	}
	var sum uint64
	for _, e := range dir {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			sum += uint64(info.Data_segs_out)
		}
	}
	return sum, nil
}
