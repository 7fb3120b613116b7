package fleet

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// Publish exports Types, and Calls three times: plainly, and in two groups and versions.
func Publish(s *ferry.Server, who string) error {
	if err := errors.Join(RegisterTypesTypes(s.Types()), Register(s.Types())); err != nil {
		return err
	}
	nap := ferry.Method("nap", ferry.Timeout(700*time.Millisecond))
	shared := &caller{who: who, seen: new(sync.Map)}
	in := func(where string) *caller { c := *shared; c.where = where; return &c }
	return errors.Join(
		s.Export(sampled(), nil),
		ExportCalls(s, in("none"), nap...),
		ExportCalls(s, in("g1/1.0.0"), append(nap, ferry.Param("group", "g1"), ferry.Param("version", "1.0.0"))...),
		ExportCalls(s, in("g2/2.0.0"), append(nap, ferry.Param("group", "g2"), ferry.Param("version", "2.0.0"))...))
}

// Register makes the classes known that the wire alone says.
func Register(t *serialize.Types) error {
	return errors.Join(t.Add("com.ferry.interop.Color", Color("")), t.Add("com.ferry.interop.Manager", Manager{}),
		t.Add("com.ferry.elsewhere.GoOnly", GoOnly{}))
}

// sampled is TypesService with one handler for all methods: the argument must be the sample of its name.
func sampled() *protocol.Interface {
	out := &protocol.Interface{Name: TypesService.Name}
	for _, m := range TypesService.Methods {
		mine := *m
		mine.New = func() *protocol.Invocation { c := m.New(); c.Method = &mine; return c }
		mine.Serve = func(_ context.Context, _ any, c *protocol.Invocation) error { return answer(c) }
		out.Methods = append(out.Methods, &mine)
	}
	return out
}

func answer(c *protocol.Invocation) error {
	name, got := *c.Args.At(0).(*string), reflect.ValueOf(c.Args.At(1)).Elem().Interface()
	for _, s := range Samples() {
		if s.Method != c.Method.Name || s.Name != name {
			continue
		}
		if !Same(s.Value, got) {
			return fmt.Errorf("the provider got %s, not %s", Show(got), Show(s.Value))
		}
		Set(c.Reply.At(0), s.Sent())
		return nil
	}
	return fmt.Errorf("no sample %q of %s", name, c.Method.Name)
}

// Set stores a value, which may be nil, behind a pointer.
func Set(target, value any) {
	t := reflect.ValueOf(target).Elem()
	if value == nil {
		t.SetZero()
		return
	}
	t.Set(reflect.ValueOf(value))
}

// Show is a value as one short line.
func Show(v any) string {
	const most = 160
	s := strings.ReplaceAll(fmt.Sprintf("%T %+v", v, v), "\n", " ")
	if len(s) > most {
		s = s[:most] + "..."
	}
	return s
}

// caller implements Calls.
type caller struct {
	who, where string
	seen       *sync.Map
}

func (c *caller) Overload(context.Context) (string, error) { return "none", nil }

func (c *caller) OverloadString(_ context.Context, a string) (string, error) {
	return "String " + a, nil
}

func (c *caller) OverloadInt(_ context.Context, a int32) (string, error) {
	return fmt.Sprint("int ", a), nil
}

func (c *caller) OverloadInteger(_ context.Context, a *int32) (string, error) {
	return fmt.Sprint("Integer ", *a), nil
}

func (c *caller) OverloadLong(_ context.Context, a int64) (string, error) {
	return fmt.Sprint("long ", a), nil
}

func (c *caller) OverloadList(_ context.Context, a []string) (string, error) {
	return "List " + strings.Join(a, ","), nil
}

func (c *caller) OverloadTwo(_ context.Context, a string, b int32) (string, error) {
	return fmt.Sprint("String,int ", a, " ", b), nil
}

func (c *caller) Nothing(context.Context) error { return nil }

func (c *caller) OneWay(_ context.Context, token string) error {
	c.seen.Store(token, true)
	return nil
}

func (c *caller) OneWaySeen(_ context.Context, token string) (bool, error) {
	_, ok := c.seen.Load(token)
	return ok, nil
}

func (c *caller) Big(_ context.Context, data []byte) ([]byte, error) { return data, nil }

func (c *caller) Make(_ context.Context, size int32) ([]byte, error) { return make([]byte, size), nil }

func (c *caller) Attachment(ctx context.Context, key string) (string, error) {
	value, _ := ferry.Attachments(ctx).Get(key)
	ferry.ReplyAttachment(ctx, "reply-"+key, "got "+value)
	return value, nil
}

func (c *caller) Where(context.Context) (string, error) { return c.where, nil }

func (c *caller) Fail(_ context.Context, kind string) (string, error) {
	switch kind {
	case "checked":
		return "", &Checked{Message: "checked message", Code: 42}
	case "runtime":
		return "", errors.New("runtime message")
	case "custom":
		return "", &Custom{Message: "custom message", Detail: "more"}
	case "undeclared":
		return "", &Undeclared{Message: "undeclared message"}
	case "cause":
		return "", fmt.Errorf("outer: %w", &Checked{Message: "inner", Code: 7})
	case "empty":
		return "", errors.New("")
	}
	return "", fmt.Errorf("no kind %s", kind)
}

func (c *caller) Sleep(_ context.Context, millis int32) (string, error) {
	<-time.After(time.Duration(millis) * time.Millisecond)
	return fmt.Sprint("slept ", millis), nil
}

func (c *caller) Nap(ctx context.Context, millis int32) (string, error) { return c.Sleep(ctx, millis) }

func (c *caller) Older(_ context.Context, p *Person, years int32) (*Person, error) {
	p.Age += years
	return p, nil
}

func (c *caller) Family(_ context.Context, list []*Person, color Color) ([]*Person, error) {
	for _, p := range list {
		p.Favourite = color
	}
	return list, nil
}

func (c *caller) Later(_ context.Context, name string) (string, error) { return "later " + name, nil }

func (c *caller) WhoFor(context.Context, string) (string, error) { return c.who, nil }

func (c *caller) Who(context.Context) (string, error) { return c.who, nil }
