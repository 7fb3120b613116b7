package interop

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
)

// TestTelnet types the same text on a Java provider's port and on Ferry's, and compares what the answers mean.
func TestTelnet(t *testing.T) {
	t.Parallel()
	for _, line := range lines {
		if !wanted(line) {
			continue
		}
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			telnet(t, java(t, line))
		})
	}
}

const only3 = "peer limitation: 3.x lets nobody list or call services on the dubbo port, and refuses to start with a telnet that lists ls; they are at its port for administration"

func telnet(t *testing.T, peer javaPeer) {
	port := freePort(t)
	commands := "ls,pwd,invoke"
	if peer.line != "27" {
		commands = "status" // it does not even start with those
	}
	provider := peer.start(t, "Provider", "port="+port, "telnet="+commands)
	s := serve(t, "", "ferry", ferry.Param("telnet", "ls,pwd,invoke"))
	theirs, err := net.Dial("tcp", "127.0.0.1:"+port)
	require.NoError(t, err)
	defer theirs.Close()
	ours, err := net.Dial("tcp", s.URLs()[0].Address())
	require.NoError(t, err)
	defer ours.Close()
	for name, texts := range map[string][]struct{ line, means string }{
		"ls": {{"ls", `(?s)PROVIDER:.*\bcom\.ferry\.interop\.Calls\b.*g1/com\.ferry\.interop\.Calls:1\.0\.0`},
			{"ls com.ferry.interop.Calls", `(?s)com\.ferry\.interop\.Calls \(as provider\):.*\boverload\b.*\bwho\b`},
			{"ls com.ferry.interop.Nowhere", "No such service"}},
		"invoke": {{`invoke com.ferry.interop.Calls.overload("a 中",4)`, `result: "String,int a 中 4"` + "\r\nelapsed: [0-9]+ ms\\."},
			{"invoke Calls.sleep(5)", `result: "slept 5"`},
			{"invoke Calls.nothing()", "result: null"},
			{`invoke Calls.older({"name":"Mia","age":30},2)`, `(?s)result: \{.*"age":32.*\}`},
			{"invoke Calls.nowhere()", "No such method nowhere in service Calls"},
			{"invoke Nowhere.who()", "No such service Nowhere"},
			{"invoke Calls.sleep(]", "(?i)invalid"},
			{`invoke Calls.fail("runtime")`, "(?s)Failed to invoke method fail, cause: .*runtime message"}},
		"other text": {{"", "^$"}, {"frobnicate", "Unsupported command: frobnicate"}, {"pwd", "^/$"}},
	} {
		var here, there error
		for _, x := range texts {
			there = errors.Join(there, typed(theirs, x.line, x.means))
			here = errors.Join(here, typed(ours, x.line, x.means))
		}
		if there != nil && peer.line != "27" && typed(theirs, "ls", "Unsupported command: ls") == nil {
			note("telnet/"+name, peer.name, fromFerry, only3)
			there = nil
		}
		report(t, "telnet/"+name+", beside the same on Java's port", peer.name, toFerry, errors.Join(here, there))
	}
	refused := errors.Join(typed(theirs, "log", "Command: log disabled for security reasons"), typed(ours, "cd Calls", "Command: cd disabled for security reasons"))
	report(t, "telnet/only what is listed", peer.name, toFerry, refused)
	provider.stop()
	closeServer(t, s)
}

// typed sends a line and holds what comes up to the prompt to a pattern.
func typed(c net.Conn, line, means string) error {
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, line+"\r\n"); err != nil {
		return err
	}
	in, got := bufio.NewReader(c), ""
	for !strings.HasSuffix(got, "dubbo>") {
		b, err := in.ReadByte()
		if err != nil {
			return fmt.Errorf("%q: %q: %w", line, got, err)
		}
		got += string([]byte{b})
	}
	got = strings.TrimSuffix(strings.TrimSuffix(got, "dubbo>"), "\r\n")
	if !regexp.MustCompile(means).MatchString(got) {
		return fmt.Errorf("%q is answered with %q, not %s", line, got, means)
	}
	return nil
}
