package filter

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// AccessLogParams are the parameters of the filter accesslog.
type AccessLogParams struct {
	AccessLog string `url:"accesslog" doc:"true: a log line per call; a path: a line per call in that file, renamed each day"`
}

const (
	accessTime   = "2006-01-02 15:04:05.00000" // Dubbo's five digits
	accessDay    = "20060102"
	longestEntry = 4096 // bytes of arguments in a line
)

// NewAccessLog returns the provider's filter that writes Dubbo's line for each call:
//
//	[in] -> [out] caller -> provider - group/service:version method(types) [arguments]
//
// to the logger, or to a file that is renamed to path.yyyyMMdd when the day changes. A line that cannot be written is
// reported once to the logger and never fails the call.
func NewAccessLog(e extension.Env, u *url.URL) (protocol.Filter, error) {
	var p AccessLogParams
	if err := u.Decode(&p); err != nil {
		return nil, err
	}
	var write func(line string)
	switch p.AccessLog {
	case "", "false":
		return pass, nil
	case "true", "default":
		log := e.Log()
		write = func(line string) { log.Info("access", "call", line) }
	default:
		f := &dayFile{path: p.AccessLog, env: e}
		if err := f.open(e.Time()); err != nil {
			return nil, fmt.Errorf("filter: accesslog: %w", err)
		}
		write = f.write
	}
	service, address := u.Service(), u.Address()
	return func(next protocol.Invoker) protocol.Invoker {
		return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
			in := e.Time()
			arguments := argumentsOf(c) // before the call, which may change them
			err := next.Invoke(ctx, c)
			caller := "-"
			if a := protocol.Peer(ctx); a != nil {
				caller = a.String()
			}
			write(fmt.Sprintf("[%s] -> [%s] %s -> %s - %s %s(%s) %s", in.Format(accessTime), e.Time().Format(accessTime), caller, address, service,
				c.Method.Name, c.Method.Descriptor, arguments))
			return err
		})
	}, nil
}

// argumentsOf writes the arguments in one line.
func argumentsOf(c *protocol.Invocation) string {
	if c.Args == nil {
		return "[]"
	}
	var b strings.Builder
	b.WriteByte('[')
	for i := range c.Args.Len() {
		if i > 0 {
			b.WriteByte(',')
		}
		v := reflect.ValueOf(c.Args.At(i))
		for v.Kind() == reflect.Pointer && !v.IsNil() {
			v = v.Elem()
		}
		if v.Kind() == reflect.String {
			fmt.Fprintf(&b, "%q", v.String())
		} else {
			fmt.Fprintf(&b, "%+v", v)
		}
		if b.Len() > longestEntry {
			break
		}
	}
	line := strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(b.String())
	if len(line) > longestEntry {
		return strings.ToValidUTF8(line[:longestEntry], "") + "…]"
	}
	return line + "]"
}

// dayFile is a file that gets a new name when the day changes. Several may share a path, in one process or more: each line
// is one write at the end of the file, and who comes second to the renaming sees that it is done.
type dayFile struct {
	path string
	env  extension.Env

	mu     sync.Mutex // guards the following
	file   *os.File
	day    string
	failed bool
}

func (d *dayFile) open(now time.Time) error {
	f, err := os.OpenFile(d.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	d.file, d.day = f, now.Format(accessDay)
	if st, err := f.Stat(); err == nil && st.Size() > 0 {
		d.day = st.ModTime().In(now.Location()).Format(accessDay) // left by an earlier process
	}
	return nil
}

func (d *dayFile) write(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.env.Time()
	err := d.turnLocked(now)
	if err == nil {
		_, err = d.file.WriteString(line + "\n")
	}
	if err != nil && !d.failed {
		d.env.Log().Error("filter: accesslog cannot be written", "path", d.path, "error", err)
	}
	d.failed = err != nil
}

// turnLocked renames the file of another day and opens a new one.
func (d *dayFile) turnLocked(now time.Time) error {
	if d.file != nil && d.day == now.Format(accessDay) {
		return nil
	}
	if d.file != nil {
		ours, err := d.file.Stat()
		there, err2 := os.Stat(d.path)
		if err == nil && err2 == nil && os.SameFile(ours, there) {
			if err := os.Rename(d.path, d.path+"."+d.day); err != nil {
				return err
			}
		}
		_ = d.file.Close()
		d.file = nil
	}
	if err := d.open(now); err != nil {
		return err
	}
	d.day = now.Format(accessDay)
	return nil
}
