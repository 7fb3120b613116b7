package dubbo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// commands are what the parameter telnet may list, a part of Dubbo's.
var commands = []string{"ls", "cd", "pwd", "invoke", "exit"}

const prompt = "dubbo>"

// A talker is a port that answers people who type, too.
type talker struct {
	*port
	foreign bool
}

// handler is what the port's server asks: u is the URL of its first service, which decides whether people may type there.
func (pt *port) handler(u *url.URL) (exchange.Handler, error) {
	var p Params
	if err := u.Decode(&p); err != nil {
		return nil, err
	}
	if len(p.Telnet) == 0 {
		return pt, nil
	}
	return &talker{pt, p.TelnetForeign}, nil
}

// checkTelnet refuses commands that there are not.
func (p *Params) checkTelnet() error {
	for _, c := range p.Telnet {
		if !slices.Contains(commands, c) {
			return fmt.Errorf("parameter telnet: %q is no command, have %s", c, strings.Join(commands, ", "))
		}
	}
	return nil
}

// Talk implements exchange.Talker.
func (t *talker) Talk(c *exchange.ServerConn) func(string) (string, bool) {
	if !t.foreign && !local(c.RemoteAddr()) {
		return nil
	}
	s := &session{port: t.port, conn: c}
	return s.answer
}

// local says whether a peer is on this machine.
func local(a net.Addr) bool {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.Network() == "memory"
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// A session is one person's connection.
type session struct {
	port   *port
	conn   *exchange.ServerConn
	chosen string // by cd
	begun  bool
}

// answer runs one line, as Dubbo's TelnetHandlerAdapter does.
func (s *session) answer(line string) (string, bool) {
	quiet := strings.Contains(line, "--no-prompt")
	command, rest, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "--no-prompt", "")), " ")
	rest = strings.TrimSpace(rest)
	first := !s.begun
	s.begun = true
	text, more := "", true
	switch services := s.allowing(command); {
	case command == "":
	case !slices.Contains(commands, command):
		// Whoever begins with something else is no person: a browser that was led here speaks HTTP, and its next lines may be
		// commands.
		text, more = "Unsupported command: "+name(command), !first
	case len(services) == 0:
		text = "Command: " + command + " disabled for security reasons, please enable support by listing the commands through 'telnet'"
	case command == "ls":
		text = s.list(services, rest)
	case command == "cd":
		text = s.choose(services, rest)
	case command == "pwd":
		text = "/" + s.chosen
	case command == "invoke":
		text = s.invoke(services, rest)
	case command == "exit":
		return "", false
	}
	if text != "" {
		text += "\r\n"
	}
	if !quiet {
		text += prompt
	}
	return text, more
}

// allowing are the services of the port that allow a command, sorted.
func (s *session) allowing(command string) []*exporter {
	t := s.port.table
	t.mu.RLock()
	defer t.mu.RUnlock()
	var out []*exporter
	for _, list := range t.services {
		for _, e := range list {
			if slices.Contains(e.params.Telnet, command) && !slices.Contains(out, e) {
				out = append(out, e)
			}
		}
	}
	slices.SortFunc(out, func(a, b *exporter) int { return strings.Compare(a.url.Service(), b.url.Service()) })
	return out
}

// called finds services by what people call them: in full, by interface, or by its last part.
func called(services []*exporter, what string) []*exporter {
	for _, called := range []func(e *exporter) string{
		func(e *exporter) string { return e.url.Service() },
		func(e *exporter) string { return e.service.Interface.Name },
		func(e *exporter) string { i := e.service.Interface.Name; return i[strings.LastIndexByte(i, '.')+1:] },
	} {
		if found := slices.DeleteFunc(slices.Clone(services), func(e *exporter) bool { return !strings.EqualFold(called(e), what) }); len(found) > 0 {
			return found
		}
	}
	return nil
}

func (s *session) list(services []*exporter, rest string) string {
	var b strings.Builder
	words := strings.Fields(rest)
	long := slices.Contains(words, "-l")
	words = slices.DeleteFunc(words, func(w string) bool { return w == "-l" })
	if len(words) > 1 {
		return "Invalid parameter " + name(words[1])
	}
	what := s.chosen
	if len(words) == 1 {
		what = words[0]
	} else if what != "" {
		fmt.Fprintf(&b, "Use default service %s.\r\n", what)
	}
	if what == "" {
		b.WriteString("PROVIDER:\r\n")
		for _, e := range services {
			b.WriteString(e.url.Service())
			if long {
				b.WriteString(" -> " + e.url.Address())
			}
			b.WriteString("\r\n")
		}
		return strings.TrimSuffix(b.String(), "\r\n")
	}
	found := called(services, what)
	if len(found) == 0 {
		return b.String() + "No such service: " + name(what)
	}
	for _, e := range found {
		fmt.Fprintf(&b, "%s (as provider):\r\n", e.url.Service())
		for _, m := range e.service.Interface.Methods {
			b.WriteString("\t" + m.Name)
			if long {
				b.WriteString(m.Descriptor)
			}
			b.WriteString("\r\n")
		}
	}
	return strings.TrimSuffix(b.String(), "\r\n")
}

func (s *session) choose(services []*exporter, what string) string {
	switch {
	case what == "":
		return "Please input service name, eg: \r\ncd XxxService\r\ncd com.xxx.XxxService"
	case what == "/" || what == "..":
		was := s.chosen
		s.chosen = ""
		return "Cancelled default service " + was + "."
	case len(called(services, what)) == 0:
		return "No such service " + name(what)
	}
	s.chosen = what
	return "Used the " + what + " as default.\r\nYou can cancel default service by command: cd /"
}

// invoke runs [service.]method(arguments), whose arguments are the elements of a JSON array.
func (s *session) invoke(services []*exporter, call string) string {
	open := strings.IndexByte(call, '(')
	if open < 0 || !strings.HasSuffix(call, ")") {
		return "Invalid parameters, format: service.method(args)"
	}
	service, method := s.chosen, strings.TrimSpace(call[:open])
	if dot := strings.LastIndexByte(method, '.'); dot >= 0 {
		service, method = method[:dot], method[dot+1:]
	}
	if service == "" {
		return "If you want to invoke like [invoke sayHello(\"xxxx\")], please execute cd command first," +
			" or you can execute it like [invoke IHelloService.sayHello(\"xxxx\")]"
	}
	values, err := arguments("[" + call[open+1:len(call)-1] + "]")
	if err != nil {
		return "Invalid json argument, cause: " + err.Error()
	}
	text := "Use default service " + name(service) + ".\r\n"
	found := called(services, service)
	if len(found) == 0 {
		return text + "No such service " + name(service)
	}
	e := found[0]
	fitting := s.fitting(e, method, values)
	switch {
	case len(fitting) == 0:
		return text + fmt.Sprintf("No such method %s in service %s", name(method), name(service))
	case len(fitting) > 1:
		var which []string
		for _, r := range fitting {
			which = append(which, r.call.Method.Name+"("+r.call.Method.Descriptor+")")
		}
		return text + "Several methods take these arguments: " + strings.Join(which, ", ")
	}
	return text + s.run(e, fitting[0])
}

// arguments reads JSON; whole numbers become int64.
func arguments(text string) ([]any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var values []any
	if err := d.Decode(&values); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something stands behind the arguments")
	}
	for i := range values {
		values[i] = plainly(values[i])
	}
	return values, nil
}

// plainly replaces the numbers of a JSON value by Go's.
func plainly(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = plainly(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plainly(v[k])
		}
	}
	return v
}

// fitting are the methods of a name that take the arguments, each as a request that is ready to run.
func (s *session) fitting(e *exporter, method string, values []any) []*request {
	format := s.port.protocol.byID(serialize.Hessian2ID)
	if format == nil {
		format = e.formats[0]
	}
	var out []*request
	for _, m := range e.service.Interface.Methods {
		if m.Name != method || m.Kind != protocol.Unary && m.Kind != protocol.OneWay {
			continue
		}
		call := m.New()
		want := 0
		if call.Args != nil {
			want = call.Args.Len()
		}
		if want != len(values) {
			continue
		}
		if want > 0 {
			from := make(serialize.Values, want)
			for i := range values {
				from[i] = &values[i]
			}
			if serialize.Convert(format, from, call.Args, s.port.protocol.config.Limits) != nil {
				continue
			}
		}
		out = append(out, &request{port: s.port, conn: s.conn, format: format, version: protocolVersion, target: &target{exporter: e, method: m}, call: call, generic: true})
	}
	return out
}

// run makes the call, through the filters of the service and within its timeout.
func (s *session) run(e *exporter, r *request) (text string) {
	defer func() {
		if v := recover(); v != nil { // of a type's own code; the handler's end in invoke
			text = "Failed to invoke method " + r.call.Method.Name + ", cause: panic: " + firstLine(fmt.Sprint(v))
		}
	}()
	e.calls.Add(callBegins)
	defer e.calls.Add(callEnds)
	if e.gone.Load() || s.conn.Refusing() {
		return "Failed to invoke method " + r.call.Method.Name + ", cause: the service is not here any more"
	}
	begun := time.Now()
	r.call.Attachments.Set("timeout", strconv.FormatInt(e.params.Timeout.Milliseconds(), 10))
	ctx := newCallContext(s.conn, r, begun)
	defer ctx.finish()
	err := r.invoke(ctx)
	took := time.Since(begun).Milliseconds()
	var reply serialize.Row = &protocol.AnyRow{}
	if err == nil && r.call.Reply != nil && r.call.Reply.Len() > 0 {
		reply, err = r.generalized()
	}
	if err != nil {
		return "Failed to invoke method " + r.call.Method.Name + ", cause: " + firstLine(err.Error())
	}
	shown, err := s.port.shown(reply)
	if err != nil {
		return "Failed to invoke method " + r.call.Method.Name + ", cause: the reply cannot be shown: " + firstLine(err.Error())
	}
	return fmt.Sprintf("result: %s\r\nelapsed: %d ms.", shown, took)
}

// shown is a reply as JSON.
func (pt *port) shown(reply serialize.Row) (string, error) {
	format := pt.protocol.byID(serialize.JSONID)
	if format == nil {
		return "", errors.New("this process has no json format")
	}
	w := format.Writer(nil)
	defer w.Free()
	err := w.Write(reply)
	return strings.TrimSpace(string(w.Bytes())), err
}
