package main

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"dubbo.apache.org/dubbo-go/v3"
	"dubbo.apache.org/dubbo-go/v3/client"
	"dubbo.apache.org/dubbo-go/v3/common/constant"
	"dubbo.apache.org/dubbo-go/v3/config_center"
	"dubbo.apache.org/dubbo-go/v3/global"
)

func consume(words map[string]string) error {
	c, err := newClient(words)
	if err != nil {
		return err
	}
	x, err := refer(c, words, reference(words))
	if err != nil {
		return err
	}
	say("READY")
	for in := commands(); in.Scan(); {
		w := strings.Fields(in.Text())
		if err := x.obey(words, w[0], append(w[1:], "")[0]); err != nil {
			return err
		}
		say("DONE")
	}
	return nil
}

// reference is how the words have the service referred to.
func reference(words map[string]string) []client.ReferenceOption {
	of := []client.ReferenceOption{client.WithProtocolDubbo(), client.WithSerialization(format(words)), client.WithRetries(retries(words))}
	if tag := words["tag"]; tag != "" {
		of = append(of, client.WithParam(constant.Tagkey, tag))
	}
	if address := words["url"]; address != "" {
		of = append(of, client.WithURL(address))
	}
	if name := words["balance"]; name != "" {
		of = append(of, client.WithLoadBalance(name))
	}
	if words["generic"] != "" {
		of = append(of, client.WithGeneric())
	}
	return append(of, client.WithFilter(courierName))
}

// obey does what a command says; word is what stands behind it.
func (x *caller) obey(words map[string]string, command, word string) error {
	switch command {
	case "gopher":
		x.cells()
	case "anything":
		x.anything()
	case "calls":
		x.calls(words["protocol"] == "tri")
	case "limits":
		x.limits()
	case "proto":
		return proto(x.client)
	case "json":
		return protoJSON(x.client)
	case "doomed": // fails when its time is over
		go x.call(context.Background(), "sleep", new(string), int32(20_000))
	case "callcells":
		cell("reach", x.reach())
		x.callCells(words["direct"])
	case "genericcells":
		x.genericCells()
	case "types":
		cell("reach", x.reach())
		x.types()
	case "generic":
		x.generic()
	case "who":
		who, err := x.who()
		cell("who", err)
		if err == nil {
			say("WHO %s", who)
		}
	case "spread":
		say("SPREAD %s", spread(x.conn))
	case "picks":
		say("PICKS %s", x.picks(word))
	case "loop":
		n, _ := strconv.Atoi(word)
		x.loops(max(n, 1))
	case "await":
		x.await(word)
	case "more":
		x.more(word)
	case "stop":
		x.ends()
	}
	return nil
}

// retries are none unless the words say so.
func retries(words map[string]string) int {
	n, _ := strconv.Atoi(words["retries"])
	return n
}

// refer refers to Gopher, or to the service that the words name, by the protocol that they name.
func refer(c *client.Client, words map[string]string, of []client.ReferenceOption) (*caller, error) {
	x := &caller{client: c, of: of, seen: map[string]int{}}
	var err error
	switch {
	case words["protocol"] == "tri":
		x.conn, err = c.DialWithInfo(service, tripleMethods(), append(of, client.WithProtocolTriple(), client.WithParam(constant.MaxCallRecvMsgSize, strconv.Itoa(most)))...)
	case words["balance"] != "": // it holds against the one that dubbo-go's providers publish only if the reference has methods
		x.conn, err = c.DialWithInfo(service, tripleMethods(), of...)
	case words["service"] != "":
		return x.dial(words["service"])
	default:
		return x.dial(service)
	}
	return x, err
}

// newClient makes a client that has its rules from the registry's ZooKeeper if the words say so.
func newClient(words map[string]string) (*client.Client, error) {
	of := []client.ClientOption{client.WithClientRequestTimeout(5 * time.Second), client.WithClientNoCheck()}
	if words["registry"] != "" {
		of = append(of, client.WithClientRegistry(registries(words)...))
	}
	if words["rules"] == "" {
		app := &global.ApplicationConfig{Name: words["application"], MetadataType: constant.RemoteMetadataStorageType}
		return client.NewClient(append(of, client.SetApplication(app))...)
	}
	all, err := dubbo.NewInstance(dubbo.WithName(words["application"]), dubbo.WithConfigCenter(config_center.WithZookeeper(), config_center.WithAddress(words["registry"])))
	if err != nil {
		return nil, err
	}
	return all.NewClient(of...)
}

// format is the serialization that the words name.
func format(words map[string]string) string {
	if f := words["serialization"]; f != "" {
		return f
	}
	return constant.Hessian2Serialization
}

type caller struct {
	client     *client.Client
	of         []client.ReferenceOption
	conn       *client.Connection
	stop, done chan struct{}
	callers    sync.WaitGroup

	mu           sync.Mutex // guards the following
	seen         map[string]int
	made, failed int
	panicked     int
	last         string
}

// dial makes a caller of a service with the options of this one and others.
func (x *caller) dial(service string, of ...client.ReferenceOption) (*caller, error) {
	of = slices.Concat(x.of, of)
	conn, err := x.client.Dial(service, of...)
	return &caller{client: x.client, of: of, conn: conn, seen: map[string]int{}}, err
}

func (x *caller) call(ctx context.Context, method string, reply any, args ...any) error {
	return x.conn.CallUnary(ctx, args, reply, method)
}

func (x *caller) who() (who string, err error) {
	err = x.call(context.Background(), "who", &who)
	return who, err
}

// spread makes fifty calls, and says whom they reached.
func spread(conn *client.Connection) string {
	var seen []string
	for range 50 {
		var who string
		if err := conn.CallUnary(context.Background(), nil, &who, "who"); err != nil {
			return "failed: " + err.Error()
		}
		if !slices.Contains(seen, who) {
			seen = append(seen, who)
		}
	}
	slices.Sort(seen)
	return strings.Join(seen, ",")
}

func cell(name string, err error) {
	if err != nil {
		say("CELL %s FAIL %v", name, err)
		return
	}
	say("CELL %s OK", name)
}

// echoed calls a method and holds its reply to the argument.
func echoed[T any](x *caller, method string, v T) {
	var got T
	err := x.call(context.Background(), method, &got, v)
	if err == nil && !same(v, got) {
		err = fmt.Errorf("got %+v, not %+v", got, v)
	}
	cell("gopher/"+method, err)
}

func same(a, b any) bool {
	if t, ok := a.(time.Time); ok {
		return t.Equal(b.(time.Time))
	}
	return reflect.DeepEqual(a, b)
}

func (x *caller) cells() {
	echoed(x, "echoBool", true)
	echoed(x, "echoInt", int32(-70000))
	echoed(x, "echoLong", int64(1)<<40)
	echoed(x, "echoDouble", 1.0/3)
	echoed(x, "echoString", "Hello 中😀")
	echoed(x, "echoBytes", []byte{1, 2, 255})
	echoed(x, "echoStrings", []string{"a", "", "中"})
	echoed(x, "echoMap", map[interface{}]interface{}{"a": "1", "b": "2"})
	born := time.UnixMilli(1700000000123).UTC()
	ann := &Citizen{Name: "Ann", Age: 30, Born: born, Tags: []string{"x", "y"}, Friends: []*Citizen{{Name: "Bob", Born: born}}}
	citizen := new(Citizen)
	err := x.call(context.Background(), "echoCitizen", citizen, ann)
	if err == nil {
		err = alike(ann, citizen)
	}
	cell("gopher/echoCitizen", err)
	var list []interface{}
	err = x.call(context.Background(), "echoCitizens", &list, []*Citizen{ann, {Name: "Cid", Born: born}}, int32(2))
	if err == nil {
		if c, ok := list[len(list)-1].(*Citizen); !ok || c.Name != "Cid" {
			err = fmt.Errorf("got %+v", list)
		}
	}
	cell("gopher/echoCitizens", err)
	echoed(x, "echoDate", born)
	var text string
	err = x.call(context.Background(), "fail", &text, "what went wrong")
	if err == nil || !strings.Contains(err.Error(), "what went wrong") {
		err = fmt.Errorf("wrong failure: %v", err)
	} else {
		err = nil
	}
	cell("gopher/fail", err)
	ctx := context.WithValue(context.Background(), constant.AttachmentKey, map[string]interface{}{"colour": "blau"})
	err = x.call(ctx, "attachment", &text, "colour")
	if err == nil && text != "blau" {
		err = fmt.Errorf("got %q", text)
	}
	cell("gopher/attachment", err)
	start := time.Now()
	err = x.conn.CallUnary(context.Background(), []any{int32(8000)}, &text, "sleep", client.WithCallRequestTimeout(500*time.Millisecond))
	if took := time.Since(start); err == nil || took > 6*time.Second {
		err = fmt.Errorf("no timeout after %v: %v", took, err)
	} else {
		err = nil
	}
	cell("gopher/timeout", err)
}

// alike compares what a citizen is; times by their moment.
func alike(a, b *Citizen) error {
	if a.Name != b.Name || a.Age != b.Age || !a.Born.Equal(b.Born) || !reflect.DeepEqual(a.Tags, b.Tags) || len(a.Friends) != len(b.Friends) ||
		a.Friends[0].Name != b.Friends[0].Name {
		return fmt.Errorf("got %+v, not %+v", b, a)
	}
	return nil
}
