package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A block is a part of the work of a call. Its functions are recognised by parts of their names.
type block struct {
	name  string
	parts []string
}

// blocks are in the order in which they are tried.
var blocks = []block{
	{"garbage collection", []string{"runtime.gcBgMarkWorker", "runtime.gcAssist", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart", "runtime.gcMark"}},
	{"allocation of what the caller or the handler gets", []string{"runtime.mallocgc", "runtime.newobject", "runtime.makeslice"}},
	{"system calls: write", []string{"syscall.Write", "unix.Writev", "syscall.write"}},
	{"system calls: read", []string{"syscall.Read", "unix.Read", "syscall.read"}},
	{"system calls: waiting for sockets", []string{"EpollWait", "runtime.netpoll", "unix.Epoll"}},
	{"clock", []string{"time.Now", "time.Since", "runtime.nanotime", "time.now"}},
	{"goroutine switches and waking of threads", []string{"runtime.mcall", "runtime.schedule", "runtime.futex", "runtime.goready", "runtime.chansend", "runtime.chanrecv", "runtime.selectgo", "runtime.mstart", "runtime.sysmon", "runtime.gopark", "runtime.Gosched", "runtime.asyncPreempt"}},
	{"decoding", []string{").ReadMsgpack", ").UnmarshalHessian2", "msgpack.(*Reader)", "hessian2.(*Reader)", "protobuf.(*Reader)"}},
	{"encoding", []string{").AppendMsgpack", ").MarshalHessian2", "msgpack.(*Writer)", "hessian2.(*Writer)", "protobuf.(*Writer)", "(*plan).request", "writeAnswer"}},
	{"the send queue (transport.Line)", []string{"transport.(*Line)", "transport.(*Inbound)"}},
	{"pairing, framing, workers (exchange)", []string{"exchange.(*clientConn)", "exchange.(*Client)", "exchange.(*decoder)", "exchange.(*pending)", "exchange.(*workers)", "exchange.(*ServerConn)"}},
	{"finding the method, answering (protocol/dubbo)", []string{"protocol/dubbo."}},
	{"filters, cluster, balancer, stub", []string{"ferry/filter.", "ferry/cluster.", "ferry/loadbalance.", "ferry/monitor.", "ferry/protocol.", "ferryrpc/ferry.", "echoClient"}},
	{"the benchmark itself", []string{"benchmarks/peers", "benchmarks/endtoend", "main."}},
}

const other = "everything else"

// blockOf returns the block that a sample belongs to.
func blockOf(s stack) string {
	for _, b := range blocks {
		for _, f := range s.functions {
			if slices.ContainsFunc(b.parts, func(part string) bool { return strings.Contains(f, part) }) {
				return b.name
			}
		}
	}
	return other
}

// blockTable is the share of each block in Markdown, the largest first.
func blockTable(list []stack) string {
	shares := map[string]int64{}
	var total int64
	for _, s := range list {
		shares[blockOf(s)] += s.value
		total += s.value
	}
	names := make([]string, 0, len(shares))
	for name := range shares {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(shares[b], shares[a]), cmp.Compare(a, b)) })
	var b strings.Builder
	b.WriteString("| block | % of CPU |\n|---|---|\n")
	for _, name := range names {
		fmt.Fprintf(&b, "| %s | %.1f |\n", name, 100*float64(shares[name])/float64(max(total, 1)))
	}
	return b.String()
}
