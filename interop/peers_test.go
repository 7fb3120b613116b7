package interop

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if words := os.Getenv(processOf); words != "" {
		if err := provide(strings.Fields(words)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if code == 0 && whole() {
		if err := write(filepath.Join("..", "docs", "interop.md")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// whole says whether nothing was left out of the run.
func whole() bool {
	for _, a := range os.Args {
		if strings.HasPrefix(a, "-test.run=") && a != "-test.run=" {
			return false
		}
	}
	return os.Getenv("INTEROP_PEERS") == ""
}

// lines are the lines of Java versions, newest first; each is a profile of interop/java/pom.xml.
var lines = []string{"33", "32", "27"}

// wanted says whether a peer takes part in this run.
func wanted(peer string) bool {
	only := os.Getenv("INTEROP_PEERS")
	return only == "" || slices.Contains(strings.Split(only, ","), peer)
}

// A javaPeer is one built version of the Java programs.
type javaPeer struct {
	line, name, classpath string
	tri                   bool // its services are at tri://, and its cells begin with tri
}

// overTri is the same peer at tri://.
func (p javaPeer) overTri() javaPeer {
	p.tri = true
	return p
}

func (p javaPeer) scheme() string {
	if p.tri {
		return "tri"
	}
	return "dubbo"
}

// cell is what a cell is called.
func (p javaPeer) cell(name string) string {
	if p.tri {
		return "tri " + name
	}
	return name
}

// built are the programs, by line. Maven's repository is not for several at a time.
var built = struct {
	sync.Mutex
	peers map[string]javaPeer
}{peers: map[string]javaPeer{}}

// java builds the programs against one Dubbo line unless they are built already.
func java(t *testing.T, line string) javaPeer {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if p, ok := built.peers[line]; ok {
		return p
	}
	target := filepath.Join("java", "target", line)
	if !fresh(target) {
		maven(t, line)
	}
	cp, err := os.ReadFile(filepath.Join(target, "classpath"))
	require.NoError(t, err)
	version := regexp.MustCompile(`/dubbo-(\d[\d.]*)\.jar`).FindSubmatch(cp)
	require.NotNil(t, version, "no dubbo jar in the class path")
	classes, err := filepath.Abs(filepath.Join(target, "classes"))
	require.NoError(t, err)
	p := javaPeer{line: line, name: "java " + string(version[1]), classpath: classes + ":" + string(cp)}
	built.peers[line] = p
	return p
}

// maven compiles the programs, first with what is on this machine, then with what the network has.
func maven(t *testing.T, line string) {
	t.Helper()
	args := []string{"-B", "-q", "-P" + line, "process-classes"}
	var out []byte
	var err error
	for _, how := range [][]string{{"-o"}, nil, nil} { // a download may fail once
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		mvn := exec.CommandContext(ctx, "mvn", append(args, how...)...)
		mvn.Dir = "java"
		out, err = mvn.CombinedOutput()
		cancel()
		if err == nil {
			return
		}
	}
	require.NoError(t, err, "mvn: %s", out)
}

// fresh says whether the class path is there, with its jars, and newer than every source.
func fresh(target string) bool {
	made, err := os.Stat(filepath.Join(target, "classpath"))
	if err != nil {
		return false
	}
	cp, err := os.ReadFile(filepath.Join(target, "classpath"))
	for jar := range strings.SplitSeq(string(cp), ":") {
		if _, e := os.Stat(strings.TrimSpace(jar)); e != nil {
			return false
		}
	}
	for _, sources := range []string{"java", filepath.Join("fleet", "idl")} {
		_ = filepath.WalkDir(sources, func(path string, d os.DirEntry, e error) error {
			if e == nil && d.IsDir() && d.Name() == "target" {
				return filepath.SkipDir
			}
			if i, e := os.Stat(path); e == nil && !i.IsDir() && i.ModTime().After(made.ModTime()) {
				err = os.ErrNotExist
			}
			return nil
		})
	}
	return err == nil
}

// options are the flags of every Java program: a small quick machine, the doors that Hessian needs on a modern one, no
// network interface but loopback, and a home folder of its own for Dubbo's caches.
func options(home string) []string {
	out := []string{"-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Duser.home=" + home,
		"-Ddubbo.application.logger=jdk", "-Ddubbo.network.interface.ignored=.*", "-Djava.net.preferIPv4Stack=true",
		"-Ddubbo.application.register-mode=interface", "-Ddubbo.application.dump.enable=false",
		"-Djava.util.logging.SimpleFormatter.format=%1$tT.%1$tL %4$s %3$s %5$s%6$s%n"}
	for _, p := range []string{"java.lang", "java.math", "java.util", "java.time", "java.util.concurrent", "java.lang.reflect", "java.text", "java.net"} {
		out = append(out, "--add-opens=java.base/"+p+"=ALL-UNNAMED")
	}
	return append(out, "--add-opens=java.sql/java.sql=ALL-UNNAMED")
}

// A program is a running peer.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
	log   string
	ended chan struct{}
}

// start runs a Java program and waits until it is ready. Words that begin with -D are for the virtual machine.
func (p javaPeer) start(t *testing.T, class string, words ...string) *program {
	t.Helper()
	home := t.TempDir()
	flags := options(home)
	if p.tri {
		words = append([]string{"protocol=tri"}, words...)
	}
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool {
		if strings.HasPrefix(w, "-D") {
			flags = append(flags, w) // the last one of a name counts
		}
		return strings.HasPrefix(w, "-D")
	})
	return launch(t, home, "java", slices.Concat(flags, []string{"-cp", p.classpath, "com.ferry.interop." + class}, words))
}

// launch runs a peer; its errors go to a file that is shown when the test fails.
func launch(t *testing.T, dir, name string, args []string) *program {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	p := &program{t: t, cmd: exec.Command(name, args...), lines: make(chan string, 1000), log: log.Name(), ended: make(chan struct{})}
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.in, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.ended)
		defer log.Close()
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
		close(p.lines)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.stop()
		if b, err := os.ReadFile(p.log); err == nil && t.Failed() {
			keep := filepath.Join(os.TempDir(), "interop-"+strings.ReplaceAll(t.Name(), "/", "-")+"-"+strconv.Itoa(p.cmd.Process.Pid)+".log")
			_ = os.WriteFile(keep, b, 0o644)
			t.Log("the log of the peer is " + keep)
		}
	})
	p.until("READY")
	return p
}

// until collects lines up to one that begins with word.
func (p *program) until(word string) []string {
	p.t.Helper()
	var got []string
	limit := time.After(2 * time.Minute)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				b, _ := os.ReadFile(p.log)
				p.t.Fatalf("the peer ended before %s: %s", word, tail(string(b)))
			}
			if strings.HasPrefix(line, word) {
				return got
			}
			got = append(got, line)
		case <-limit:
			p.t.Fatalf("no %s from the peer: %q", word, got)
		}
	}
}

func tail(s string) string { return s[max(0, len(s)-3000):] }

// tell gives the peer a command and returns what it answers.
func (p *program) tell(command string) []string {
	p.t.Helper()
	_, err := io.WriteString(p.in, command+"\n")
	require.NoError(p.t, err)
	return p.until("DONE")
}

// stop ends the peer as an operator would, and waits for it.
func (p *program) stop() {
	_ = p.in.Close()
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		p.t.Error("the peer did not end in time")
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// cells reports what a consumer program said about its cells.
func cells(t *testing.T, peer javaPeer, direction string, answer []string) {
	t.Helper()
	require.NotEmpty(t, answer)
	for _, line := range answer {
		rest, ok := strings.CutPrefix(line, "CELL ")
		if !ok {
			continue
		}
		if name, ok := strings.CutSuffix(rest, " OK"); ok {
			report(t, peer.cell(name), peer.name, direction, nil)
			continue
		}
		name, why, _ := strings.Cut(rest, " FAIL ")
		judge(t, name, peer, direction, fmt.Errorf("%s", why))
	}
}

// freePort is a port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}
