package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// report is the JSON file: everything that the table and the chart are made from.
type report struct {
	Made      time.Time         `json:"made"`
	Machine   machine           `json:"machine"`
	Modules   map[string]string `json:"modules"` // versions of the frameworks
	Reps      int               `json:"reps"`
	Warm      string            `json:"warm"`
	Duration  string            `json:"duration"`
	Runs      []run             `json:"runs"`
	Summaries []summary         `json:"summaries"`
}

// machine is what the figures depend on.
type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

func newReport(pl plan, runs []run) report {
	return report{
		Made: time.Now().UTC().Truncate(time.Second), Machine: thisMachine(), Modules: modules(),
		Reps: pl.reps, Warm: pl.warm.String(), Duration: pl.duration.String(), Runs: runs, Summaries: summarize(runs),
	}
}

func thisMachine() machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		release, _, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), "-")
		m.Kernel = "Linux " + release
	}
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			m.CPU = strings.TrimSpace(v)
			break
		}
	}
	return m
}

// measured are the modules whose versions the report names.
var measured = []string{
	"github.com/cloudwego/kitex", "github.com/lesismal/arpc", "github.com/smallnest/rpcx", "google.golang.org/grpc",
	"dubbo.apache.org/dubbo-go/v3", "github.com/apache/dubbo-go-hessian2", "google.golang.org/protobuf", "github.com/panjf2000/gnet/v2",
}

func modules() map[string]string {
	out := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return out
	}
	for _, d := range info.Deps {
		for _, path := range measured {
			if d.Path == path {
				out[path] = d.Version
			}
		}
	}
	return out
}

// write makes name.json, name.md and name.svg in dir.
func (r report) write(dir, name string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("peers: %w", err)
	}
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	base := filepath.Join(dir, name)
	if err := os.WriteFile(base+".json", append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("peers: %w", err)
	}
	if err := os.WriteFile(base+".md", []byte(overview(r)+"\n"+details(r)), 0o644); err != nil {
		return fmt.Errorf("peers: %w", err)
	}
	if err := os.WriteFile(base+".svg", []byte(chart(r)), 0o644); err != nil {
		return fmt.Errorf("peers: %w", err)
	}
	return nil
}

// readReport loads what write made. The summaries are made again from the runs.
func readReport(file string) (report, error) {
	var r report
	b, err := os.ReadFile(file)
	if err != nil {
		return r, fmt.Errorf("peers: %w", err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("peers: %s: %w", file, err)
	}
	r.Summaries = summarize(r.Runs)
	return r, nil
}

// The overview goes between these lines of a README.
const (
	markBegin = "<!-- peers: begin -->"
	markEnd   = "<!-- peers: end -->"
)

// insert replaces what stands between the marks of a file by text.
func insert(file, text string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("peers: %w", err)
	}
	head, rest, ok := strings.Cut(string(b), markBegin)
	_, foot, ok2 := strings.Cut(rest, markEnd)
	if !ok || !ok2 {
		return fmt.Errorf("peers: %s has no lines %q and %q", file, markBegin, markEnd)
	}
	return os.WriteFile(file, []byte(head+markBegin+"\n"+text+markEnd+foot), 0o644)
}
