package zkembed

import (
	"crypto/sha1"
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
	"unique"
)

// Permissions of an entry.
const (
	permRead = 1 << iota
	permWrite
	permCreate
	permDelete
	permAdmin
	permAll = 1<<iota - 1
)

// An entry grants permissions to an identity.
type entry struct {
	perms int32
	identity
}

// An identity is who somebody is (of a connection) or who is meant (in an entry).
type identity struct{ scheme, id string }

// An acl is an access control list in its wire form. Nodes share equal ones, and few different ones exist.
type acl struct{ unique.Handle[string] }

func makeACL(list []entry) acl {
	return acl{unique.Make(string(appendEntries(nil, list)))}
}

func openACL() acl { return makeACL([]entry{{permAll, identity{"world", "anyone"}}}) }
func readACL() acl { return makeACL([]entry{{permRead, identity{"world", "anyone"}}}) }

func (a acl) entries() []entry {
	d := decoder{b: []byte(a.Value())}
	return d.entries()
}

func appendEntries(b []byte, list []entry) []byte {
	b = appendInt32(b, int32(len(list)))
	for _, e := range list {
		b = appendInt32(b, e.perms)
		b = appendText(b, e.scheme)
		b = appendText(b, e.id)
	}
	return b
}

func (d *decoder) entries() (list []entry) {
	for n := d.int32(); n > 0 && !d.bad; n-- {
		list = append(list, entry{d.int32(), identity{d.text(), d.text()}})
	}
	return list
}

// allow says whether somebody with these identities has one of the permissions.
func (s *Server) allow(a acl, perm int32, ids []identity) bool {
	if a == s.open {
		return true
	}
	for _, e := range a.entries() {
		if e.perms&perm == 0 {
			continue
		}
		if e.identity == (identity{"world", "anyone"}) || slices.ContainsFunc(ids, e.matches) {
			return true
		}
	}
	return false
}

// matches says whether the entry means id.
func (e entry) matches(id identity) bool {
	if e.scheme != id.scheme {
		return false
	}
	switch e.scheme {
	case "digest":
		return e.id == id.id
	case "ip":
		net, ok := parseNet(e.id)
		addr, err := netip.ParseAddr(id.id)
		return ok && err == nil && net.Contains(addr)
	}
	return false
}

// resolve checks a list that a client sets, and puts the client's own identities in the place of the scheme auth.
func (s *Server) resolve(list []entry, ids []identity) (acl, Code) {
	if len(list) == 1 && list[0] == (entry{permAll, identity{"world", "anyone"}}) {
		return s.open, OK
	}
	var out []entry
	for i, e := range list {
		if slices.Contains(list[:i], e) {
			continue
		}
		switch {
		case e.identity == (identity{"world", "anyone"}):
			out = append(out, e)
		case e.scheme == "auth":
			n := len(out)
			for _, id := range ids {
				if id.scheme == "digest" {
					out = append(out, entry{e.perms, id})
				}
			}
			if len(out) == n {
				return acl{}, InvalidACL
			}
		case e.wellFormed():
			out = append(out, e)
		default:
			return acl{}, InvalidACL
		}
	}
	if len(out) == 0 {
		return acl{}, InvalidACL
	}
	return makeACL(out), OK
}

func (e entry) wellFormed() bool {
	switch e.scheme {
	case "digest":
		_, hash, ok := strings.Cut(e.id, ":")
		return ok && hash != "" && !strings.Contains(hash, ":")
	case "ip":
		_, ok := parseNet(e.id)
		return ok
	}
	return false
}

// parseNet reads an address with or without a number of bits.
func parseNet(s string) (netip.Prefix, bool) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, false
		}
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	return p, err == nil
}

// authenticate adds the identity that an auth request proves to those of the connection.
func (c *conn) authenticate(scheme string, proof []byte) Code {
	switch scheme {
	case "digest":
		user, _, _ := strings.Cut(string(proof), ":")
		sum := sha1.Sum(proof)
		c.learn(identity{"digest", user + ":" + base64.StdEncoding.EncodeToString(sum[:])})
		return OK
	case "ip":
		return OK // every connection has this identity from the start
	}
	return AuthFailed
}

func (c *conn) learn(id identity) {
	if !slices.Contains(c.ids, id) {
		c.ids = append(c.ids, id)
	}
}

// masked hides the hashes of digests from those who may read the list but not change it.
func masked(list []entry) []entry {
	for i, e := range list {
		if e.scheme == "digest" {
			user, _, found := strings.Cut(e.id, ":")
			if found {
				list[i].id = user + ":x"
			}
		}
	}
	return list
}
