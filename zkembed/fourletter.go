package zkembed

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

const version = "3.8.0-embedded, built on 01/01/2026 00:00 GMT"

// fourLetter answers the administrator's commands, which come in the place of a first packet's length. ok is false if
// word is none of them.
func (s *Server) fourLetter(word string) (answer string, ok bool) {
	var b strings.Builder
	s.mu.Lock()
	defer s.mu.Unlock()
	switch word {
	case "ruok":
		b.WriteString("imok")
	case "isro":
		b.WriteString("rw")
	case "srvr":
		fmt.Fprintf(&b, "Zookeeper version: %s\n", version)
		s.summaryLocked(&b)
	case "stat":
		fmt.Fprintf(&b, "Zookeeper version: %s\nClients:\n", version)
		for _, c := range s.clientsLocked() {
			fmt.Fprintf(&b, " /%s[1](queued=0,recved=%d,sent=%d)\n", c.remote, c.received.Load(), c.sent.Load())
		}
		b.WriteString("\n")
		s.summaryLocked(&b)
	case "cons":
		s.consLocked(&b)
	case "conf":
		s.confLocked(&b)
	case "mntr":
		s.mntrLocked(&b)
	case "dump":
		s.dumpLocked(&b)
	case "wchs":
		conns, paths, total := s.watchCountLocked()
		fmt.Fprintf(&b, "%d connections watching %d paths\nTotal watches:%d\n", conns, paths, total)
	default:
		return "", false
	}
	return b.String(), true
}

func (s *Server) clientsLocked() []*conn {
	list := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *conn) int { return strings.Compare(a.remote, b.remote) })
	return list
}

func (s *Server) summaryLocked(b *strings.Builder) {
	fmt.Fprintf(b, "Latency min/avg/max: 0/0.0/0\nReceived: %d\nSent: %d\nConnections: %d\nOutstanding: 0\n",
		s.received.Load(), s.sent.Load(), len(s.conns))
	fmt.Fprintf(b, "Zxid: 0x%x\nMode: standalone\nNode count: %d\n", s.zxid, s.tree.count)
}

func (s *Server) consLocked(b *strings.Builder) {
	for _, c := range s.clientsLocked() {
		fmt.Fprintf(b, " /%s[1](queued=0,recved=%d,sent=%d", c.remote, c.received.Load(), c.sent.Load())
		if x := c.session; x != nil {
			fmt.Fprintf(b, ",sid=0x%x,lop=NA,est=0,to=%d,lcxid=0x0,lzxid=0x%x,lresp=0,llat=0,minlat=0,avglat=0,maxlat=0",
				x.id, x.timeout.Milliseconds(), s.zxid)
		}
		b.WriteString(")\n")
	}
	b.WriteString("\n")
}

func (s *Server) confLocked(b *strings.Builder) {
	_, port, _ := net.SplitHostPort(s.listeners[0].addr)
	fmt.Fprintf(b, "clientPort=%s\ndataDir=\ntickTime=%d\nmaxClientCnxns=%d\nminSessionTimeout=%d\nmaxSessionTimeout=%d\nserverId=0\n",
		port, s.o.Tick.Milliseconds(), s.o.MaxConns, s.o.MinSession.Milliseconds(), s.o.MaxSession.Milliseconds())
}

func (s *Server) mntrLocked(b *strings.Builder) {
	_, _, watches := s.watchCountLocked()
	for _, v := range []struct {
		name  string
		value any
	}{
		{"version", version},
		{"server_state", "standalone"},
		{"avg_latency", "0.0"},
		{"min_latency", 0},
		{"max_latency", 0},
		{"packets_received", s.received.Load()},
		{"packets_sent", s.sent.Load()},
		{"num_alive_connections", len(s.conns)},
		{"outstanding_requests", 0},
		{"znode_count", s.tree.count},
		{"watch_count", watches},
		{"ephemerals_count", s.tree.ephemerals},
		{"approximate_data_size", s.tree.bytes},
		{"global_sessions", len(s.sessions.by)},
		{"uptime", s.clock.now().Milliseconds()},
	} {
		fmt.Fprintf(b, "zk_%s\t%v\n", v.name, v.value)
	}
}

func (s *Server) dumpLocked(b *strings.Builder) {
	ids := make([]int64, 0, len(s.sessions.by))
	for id := range s.sessions.by {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	fmt.Fprintf(b, "SessionTracker dump:\nSession Sets (%d)/(%d):\n", len(s.sessions.due), len(ids))
	owners := 0
	for _, id := range ids {
		x := s.sessions.by[id]
		fmt.Fprintf(b, "1 expire at tick %d:\n\t0x%x\n", x.due, id)
		if len(x.nodes) > 0 {
			owners++
		}
	}
	fmt.Fprintf(b, "ephemeral nodes dump:\nSessions with Ephemerals (%d):\n", owners)
	for _, id := range ids {
		if x := s.sessions.by[id]; len(x.nodes) > 0 {
			fmt.Fprintf(b, "0x%x:\n\t%s\n", id, strings.Join(x.paths(""), "\n\t"))
		}
	}
}

func (s *Server) watchCountLocked() (conns, paths, total int) {
	for c := range s.conns {
		if len(c.watches) > 0 {
			conns++
		}
	}
	return conns, len(s.data.by) + len(s.child.by), s.data.size() + s.child.size()
}
