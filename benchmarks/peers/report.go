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

	"github.com/ferryrpc/ferry/benchmarks/peers/codec"
)

// report is the JSON file: everything that the table and the chart are made from.
type report struct {
	Made      time.Time         `json:"made"`
	Machine   machine           `json:"machine"`
	Modules   map[string]string `json:"modules"` // versions of the frameworks
	Reps      int               `json:"reps"`
	Warm      string            `json:"warm"`
	Duration  string            `json:"duration"`
	Goals     []judgement       `json:"goals"`
	Codecs    []codec.Result    `json:"codecs,omitempty"`
	Idle      []idle            `json:"idle,omitempty"`
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

func newReport(pl plan, m measured) report {
	r := report{
		Made: time.Now().UTC().Truncate(time.Second), Machine: thisMachine(), Modules: modules(),
		Reps: pl.reps, Warm: pl.warm.String(), Duration: pl.duration.String(),
		Codecs: m.codecs, Idle: m.idle, Runs: m.runs,
	}
	r.digest()
	return r
}

// digest makes from what was measured what follows from it.
func (r *report) digest() {
	r.Summaries, r.Goals = summarize(r.Runs), judge(r.Runs, r.Codecs)
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

// named are the modules whose versions the report names.
var named = []string{
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
		for _, path := range named {
			if d.Path == path {
				out[path] = d.Version
			}
		}
	}
	return out
}

// write makes name.json, name.md with text and name.svg in dir.
func (r report) write(dir, name, text, picture string) error {
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
	if err := os.WriteFile(base+".md", []byte(text), 0o644); err != nil {
		return fmt.Errorf("peers: %w", err)
	}
	if err := os.WriteFile(base+".svg", []byte(picture), 0o644); err != nil {
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
	r.digest()
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
