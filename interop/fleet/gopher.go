package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/serialize/hessian2"
)

// Gopher is the service of the dubbo-go programs: what dubbo-go can say, in the Java types that it says it with. All echo.
//
//ferry:service com.ferry.interop.Gopher
type Gopher interface {
	EchoBool(ctx context.Context, v bool) (bool, error)
	EchoInt(ctx context.Context, v int32) (int32, error)
	EchoLong(ctx context.Context, v int64) (int64, error)
	EchoDouble(ctx context.Context, v float64) (float64, error)
	EchoString(ctx context.Context, v string) (string, error)
	EchoBytes(ctx context.Context, v []byte) ([]byte, error)
	//ferry:method echoStrings(java.lang.String[]) java.lang.String[]
	EchoStrings(ctx context.Context, v []string) ([]string, error)
	EchoMap(ctx context.Context, v map[string]string) (map[string]string, error)
	EchoCitizen(ctx context.Context, v *Citizen) (*Citizen, error)
	EchoCitizens(ctx context.Context, v []*Citizen, n int32) ([]*Citizen, error)
	EchoList(ctx context.Context, v []any, n int32) ([]any, error)
	EchoDate(ctx context.Context, v time.Time) (time.Time, error)
	EchoAny(ctx context.Context, v any, n int32) (any, error)
	Fail(ctx context.Context, message string) (string, error)
	Sleep(ctx context.Context, millis int32) (string, error)
	Attachment(ctx context.Context, key string) (string, error)
	Who(ctx context.Context) (string, error)
	WhoFor(ctx context.Context, key string) (string, error)
	Make(ctx context.Context, n int32) ([]byte, error)
	Note(ctx context.Context, text string) (string, error)
	Noted(ctx context.Context) (string, error)
}

// Citizen is a class that dubbo-go knows.
//
//ferry:class com.ferry.interop.Citizen
type Citizen struct {
	Name    string
	Age     int32
	Born    time.Time
	Tags    []string
	Friends []*Citizen
}

func (*gopher) EchoCitizens(_ context.Context, v []*Citizen, _ int32) ([]*Citizen, error) {
	return v, nil
}

// PublishGopher exports Gopher.
func PublishGopher(s *ferry.Server, who string) error {
	return ExportGopher(s, &gopher{who, new(atomic.Value)})
}

// Anything are values for EchoAny that dubbo-go has types for, too.
func Anything() map[string]any {
	loop := &Citizen{Name: "Loop", Born: time.UnixMilli(0), Tags: []string{"a"}}
	loop.Friends = []*Citizen{loop}
	return map[string]any{"text of 70,000": strings.Repeat("z", 70000), "emoji": "😀 中", "int": int32(-5), "long": int64(1) << 40, "double": 2.5,
		"boolean": true, "bytes": []byte{1, 255}, "list": []any{"a", int32(1), []any{"x", nil}}, "map": map[any]any{"k": int64(1), "none": nil},
		"date": time.UnixMilli(1700000000123), "decimal": hessian2.Decimal("12.30"), "cycle": loop}
}

type gopher struct {
	who  string
	last *atomic.Value // the last note
}

func (*gopher) EchoBool(_ context.Context, v bool) (bool, error)            { return v, nil }
func (*gopher) EchoInt(_ context.Context, v int32) (int32, error)           { return v, nil }
func (*gopher) EchoLong(_ context.Context, v int64) (int64, error)          { return v, nil }
func (*gopher) EchoDouble(_ context.Context, v float64) (float64, error)    { return v, nil }
func (*gopher) EchoString(_ context.Context, v string) (string, error)      { return v, nil }
func (*gopher) EchoBytes(_ context.Context, v []byte) ([]byte, error)       { return v, nil }
func (*gopher) EchoStrings(_ context.Context, v []string) ([]string, error) { return v, nil }
func (*gopher) EchoCitizen(_ context.Context, v *Citizen) (*Citizen, error) { return v, nil }

func (*gopher) EchoList(_ context.Context, v []any, _ int32) ([]any, error) { return v, nil }

func (*gopher) EchoDate(_ context.Context, v time.Time) (time.Time, error) { return v, nil }

func (*gopher) EchoMap(_ context.Context, v map[string]string) (map[string]string, error) {
	return v, nil
}

func (*gopher) EchoAny(_ context.Context, v any, _ int32) (any, error) { return v, nil }

func (*gopher) Fail(_ context.Context, message string) (string, error) {
	return "", errors.New(message)
}

func (*gopher) Sleep(_ context.Context, millis int32) (string, error) {
	<-time.After(time.Duration(millis) * time.Millisecond)
	return fmt.Sprint("slept ", millis), nil
}

func (*gopher) Attachment(ctx context.Context, key string) (string, error) {
	return ferry.Attachments(ctx).Value(key), nil
}

func (g *gopher) Who(context.Context) (string, error) { return g.who, nil }

func (g *gopher) WhoFor(context.Context, string) (string, error) { return g.who, nil }

func (*gopher) Make(_ context.Context, n int32) ([]byte, error) { return make([]byte, n), nil }

func (g *gopher) Note(_ context.Context, text string) (string, error) {
	g.last.Store(text)
	return text, nil
}

func (g *gopher) Noted(context.Context) (string, error) {
	text, _ := g.last.Load().(string)
	return text, nil
}
