package lock

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// These tests hold our locks against Apache Curator itself, Debian's libcurator-recipes-java, in a process of its own, or the
// version on the class path that FERRY_CURATOR names.

// curatorPath is the class path of Curator.
func curatorPath(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("FERRY_CURATOR"); path != "" {
		return path
	}
	recipes, err := filepath.Glob("/usr/share/java/curator-recipes-*.jar")
	require.NoError(t, err)
	require.Len(t, recipes, 1, "Apache Curator is not installed, run `make deps` (apt-get install libcurator-recipes-java)")
	all := recipes
	for _, jar := range []string{"curator-framework", "curator-client", "guava", "jackson-databind", "jackson-core", "jackson-annotations", "slf4j-api",
		"slf4j-nop", "zookeeper", "zookeeper-jute", "netty-codec", "netty-resolver", "netty-transport-native-unix-common", "netty-tcnative"} {
		all = append(all, "/usr/share/java/"+jar+".jar")
	}
	return strings.Join(all, ":")
}

// compilePeer returns the class path of the Java program.
func compilePeer(t *testing.T) string {
	t.Helper()
	path, dir := curatorPath(t), t.TempDir()
	said, err := exec.CommandContext(t.Context(), "javac", "-proc:none", "-d", dir, "-cp", path, filepath.Join("testdata", "Peer.java")).CombinedOutput()
	require.NoError(t, err, "%s", said)
	return dir + ":" + path
}

// A curator is a Java process with one session. Its owners are threads, as Curator's locks belong to threads.
type curator struct {
	cmd *exec.Cmd
	in  io.WriteCloser

	mu      sync.Mutex // guards the following
	answers map[string]chan string
}

func startCurator(t *testing.T, classes, addr string, session time.Duration) *curator {
	t.Helper()
	j := &curator{answers: map[string]chan string{}, cmd: exec.Command("java", "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
		"-cp", classes, "Peer", addr, strconv.FormatInt(session.Milliseconds(), 10))}
	j.cmd.Stderr = os.Stderr
	var err error
	j.in, err = j.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := j.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, j.cmd.Start())
	over := make(chan struct{})
	go func() {
		defer close(over)
		for s := bufio.NewScanner(out); s.Scan(); {
			owner, answer, _ := strings.Cut(s.Text(), " ")
			j.of(owner) <- answer
		}
	}()
	t.Cleanup(func() {
		_ = j.in.Close() // its end, unless it was killed
		<-over
		_ = j.cmd.Wait() // how it ended was the test's wish
	})
	j.says(t, "peer", "ready")
	return j
}

func (j *curator) of(owner string) chan string {
	j.mu.Lock()
	defer j.mu.Unlock()
	ch := j.answers[owner]
	if ch == nil {
		ch = make(chan string, 16)
		j.answers[owner] = ch
	}
	return ch
}

// tell gives an owner something to do.
func (j *curator) tell(t *testing.T, owner, format string, args ...any) {
	t.Helper()
	_, err := fmt.Fprintf(j.in, "%s %s\n", owner, fmt.Sprintf(format, args...))
	require.NoError(t, err)
}

// says waits for an owner's answer.
func (j *curator) says(t *testing.T, owner, answer string) {
	t.Helper()
	select {
	case got := <-j.of(owner):
		require.Equal(t, answer, got)
	case <-time.After(30 * time.Second):
		require.Fail(t, "no answer", "%s was to say %q", owner, answer)
	}
}

// silent makes sure that an owner has said nothing yet.
func (j *curator) silent(t *testing.T, owner string) {
	t.Helper()
	select {
	case said := <-j.of(owner):
		require.Fail(t, "too early", "%s said %q", owner, said)
	default:
	}
}

// do tells and waits.
func (j *curator) do(t *testing.T, owner, answer, format string, args ...any) {
	t.Helper()
	j.tell(t, owner, format, args...)
	j.says(t, owner, answer)
}
