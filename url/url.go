// Package url holds the one value that configures everything: a URL such as
//
//	dubbo://10.0.0.7:20880/com.example.Greeter?timeout=800ms&sayHello.retries=0
//
// A URL never changes after Parse; With and its kin return copies. Parameter values are kept as they are written, as
// Apache Dubbo does it: they are neither encoded nor decoded inside the URL, so a value may hold anything but '&' and
// control characters. Durations are Dubbo's plain milliseconds or Go durations (800ms, 5s).
package url

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// MaxLength bounds the text that Parse accepts, in bytes. ZooKeeper refuses packets over 1 MiB, and no node name comes near.
const MaxLength = 64 << 10

// ErrInvalid is what every error of Parse matches.
var ErrInvalid = errors.New("url: invalid URL")

// A URL is an address with parameters. The zero value is the empty URL. It is immutable and safe for concurrent use.
type URL struct {
	scheme, user, password string
	hosts                  []string // host:port each; more than one for registries and static lists
	path                   string   // without leading slash
	params                 []param  // sorted by key
}

type param struct{ key, value string }

// Parse reads scheme://[user[:password]@]host[:port][,host:port…][/path][?key=value&…].
func Parse(s string) (*URL, error) {
	if len(s) > MaxLength {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrInvalid, len(s), MaxLength)
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
		return nil, fmt.Errorf("%w: control character at byte %d", ErrInvalid, i)
	}
	u := &URL{}
	rest, query, _ := strings.Cut(s, "?")
	scheme, rest, ok := strings.Cut(rest, "://")
	if !ok || !validScheme(scheme) {
		return nil, fmt.Errorf("%w %q: want scheme://host:port/path", ErrInvalid, shorten(s))
	}
	u.scheme = scheme
	authority, path, _ := strings.Cut(rest, "/")
	u.path = path
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		u.user, u.password, _ = strings.Cut(authority[:at], ":")
		authority = authority[at+1:]
	}
	if authority != "" {
		for h := range strings.SplitSeq(authority, ",") {
			if err := checkHost(h); err != nil {
				return nil, fmt.Errorf("%w %q: %v", ErrInvalid, shorten(s), err)
			}
			u.hosts = append(u.hosts, h)
		}
	}
	for p := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(p, "=")
		if key != "" {
			u.params = append(u.params, param{key, value})
		}
	}
	u.sortParams()
	return u, nil
}

// MustParse is Parse for literals; it panics on an error.
func MustParse(s string) *URL {
	u, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

// New builds a URL without parameters. host is host:port, or several joined by commas, or empty.
func New(scheme, host, path string) *URL {
	u := &URL{scheme: scheme, path: strings.TrimPrefix(path, "/")}
	if host != "" {
		u.hosts = strings.Split(host, ",")
	}
	return u
}

func validScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.' && c != '_') {
			return false
		}
	}
	return s != ""
}

func checkHost(h string) error {
	if h == "" {
		return errors.New("empty host in the list")
	}
	host, port, err := net.SplitHostPort(h)
	if err != nil {
		if strings.ContainsAny(h, "[]") || strings.Count(h, ":") > 0 {
			return fmt.Errorf("host %q: %v", h, err)
		}
		return nil // a host without a port
	}
	if strings.ContainsAny(host, " ?#@") {
		return fmt.Errorf("host %q has a character that no host has", h)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("host %q: port must be 0 to 65535", h)
	}
	return nil
}

func shorten(s string) string {
	if len(s) > 120 {
		return s[:120] + "…"
	}
	return s
}

// sortParams sorts by key; of equal keys the last one written wins, as in Java.
func (u *URL) sortParams() {
	slices.SortStableFunc(u.params, func(a, b param) int { return strings.Compare(a.key, b.key) })
	kept := u.params[:0]
	for i, p := range u.params {
		if i+1 < len(u.params) && u.params[i+1].key == p.key {
			continue
		}
		kept = append(kept, p)
	}
	u.params = kept
}

// Scheme returns the part before ://, for instance dubbo.
func (u *URL) Scheme() string { return u.scheme }

// User returns the user name and Password the password; both are often empty.
func (u *URL) User() string { return u.user }

// Password returns the password. It is left out of String.
func (u *URL) Password() string { return u.password }

// Address returns the first host:port.
func (u *URL) Address() string {
	if len(u.hosts) == 0 {
		return ""
	}
	return u.hosts[0]
}

// Addresses returns all host:port parts; the caller must not change them.
func (u *URL) Addresses() []string { return u.hosts }

// Host returns the first host without its port.
func (u *URL) Host() string {
	h, _, err := net.SplitHostPort(u.Address())
	if err != nil {
		return u.Address()
	}
	return h
}

// Port returns the first port, or 0.
func (u *URL) Port() int {
	_, p, err := net.SplitHostPort(u.Address())
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(p)
	return n
}

// Path returns the path without its leading slash.
func (u *URL) Path() string { return u.path }

// Interface returns the service's name: the parameter interface, or else the path.
func (u *URL) Interface() string {
	if s := u.Param("interface"); s != "" {
		return s
	}
	return u.path
}

// Service returns Dubbo's service key [group/]interface[:version]; version 0.0.0 counts as none.
func (u *URL) Service() string {
	s := u.Interface()
	if g := u.Param("group"); g != "" {
		s = g + "/" + s
	}
	if v := u.Param("version"); v != "" && v != "0.0.0" {
		s += ":" + v
	}
	return s
}

// Param returns the value of a parameter, or the empty string.
func (u *URL) Param(key string) string {
	v, _ := u.Lookup(key)
	return v
}

// Lookup returns the value of a parameter and whether it is there.
func (u *URL) Lookup(key string) (string, bool) {
	i, ok := slices.BinarySearchFunc(u.params, key, func(p param, k string) int { return strings.Compare(p.key, k) })
	if !ok {
		return "", false
	}
	return u.params[i].value, true
}

// Keys returns the names of all parameters in order.
func (u *URL) Keys() []string {
	keys := make([]string, len(u.params))
	for i, p := range u.params {
		keys[i] = p.key
	}
	return keys
}

// All calls yield for each parameter in order of the keys.
func (u *URL) All(yield func(key, value string) bool) {
	for _, p := range u.params {
		if !yield(p.key, p.value) {
			return
		}
	}
}

func (u *URL) clone() *URL {
	c := *u
	c.params = slices.Clone(u.params)
	return &c
}

// With returns a copy with the parameter set.
func (u *URL) With(key, value string) *URL {
	c := u.clone()
	c.params = append(c.params, param{key, value})
	c.sortParams()
	return c
}

// WithAll returns a copy with all parameters of other set; other's win.
func (u *URL) WithAll(other *URL) *URL {
	c := u.clone()
	c.params = append(c.params, other.params...)
	c.sortParams()
	return c
}

// Without returns a copy without the parameters.
func (u *URL) Without(keys ...string) *URL {
	c := u.clone()
	c.params = slices.DeleteFunc(c.params, func(p param) bool { return slices.Contains(keys, p.key) })
	return c
}

// WithScheme returns a copy with another scheme.
func (u *URL) WithScheme(scheme string) *URL {
	c := *u
	c.scheme = scheme
	return &c
}

// WithAddress returns a copy at another host:port, or several joined by commas.
func (u *URL) WithAddress(address string) *URL {
	c := *u
	c.hosts = nil
	if address != "" {
		c.hosts = strings.Split(address, ",")
	}
	return &c
}

// WithPath returns a copy with another path.
func (u *URL) WithPath(path string) *URL {
	c := *u
	c.path = strings.TrimPrefix(path, "/")
	return &c
}

// WithoutUser returns a copy without user and password.
func (u *URL) WithoutUser() *URL {
	c := *u
	c.user, c.password = "", ""
	return &c
}

// ForMethod returns the parameters as they are in force for a method: sayHello.retries=0 stands in for retries.
func (u *URL) ForMethod(name string) *URL {
	prefix := name + "."
	var c *URL
	for _, p := range u.params {
		if key, ok := strings.CutPrefix(p.key, prefix); ok && key != "" {
			if c == nil {
				c = u.clone()
			}
			c.params = append(c.params, param{key, p.value})
		}
	}
	if c == nil {
		return u
	}
	c.sortParams()
	return c
}

// String returns the whole URL as Dubbo publishes it: parameters sorted, values as they are, the password left out.
func (u *URL) String() string {
	var b strings.Builder
	b.WriteString(u.scheme)
	b.WriteString("://")
	if u.user != "" {
		b.WriteString(u.user)
		b.WriteByte('@')
	}
	b.WriteString(strings.Join(u.hosts, ","))
	if u.path != "" {
		b.WriteByte('/')
		b.WriteString(u.path)
	}
	sep := byte('?')
	for _, p := range u.params {
		b.WriteByte(sep)
		b.WriteString(p.key)
		b.WriteByte('=')
		b.WriteString(p.value)
		sep = '&'
	}
	return b.String()
}

// Equal says whether both are the same URL.
func (u *URL) Equal(v *URL) bool {
	return u.scheme == v.scheme && u.user == v.user && u.password == v.password && u.path == v.path &&
		slices.Equal(u.hosts, v.hosts) && slices.Equal(u.params, v.params)
}
