package zkembed

import (
	"slices"
	"strings"
)

// Owners of nodes that are not ephemeral. An ephemeral's owner is its session, 0 is a plain node.
const (
	ownerContainer = int64(-1 << 63)
	ownerTTL       = int64(-1 << 56) // the low 40 bits are the milliseconds to live
	maxTTL         = int64(1<<40 - 1)
)

// A node knows its name and its parent, not its path: thousands of long provider names are kept once.
type node struct {
	name                string
	parent              *node
	data                []byte // never changed in place
	acl                 acl
	czxid, mzxid, pzxid int64
	ctime, mtime        int64 // milliseconds since 1970
	version, aversion   int32
	creates             int32 // children ever created below it: the next sequence number
	owner               int64
	kids                *children // nil without any
}

type children struct {
	by   map[string]*node
	list []byte // the names as a vector, ready to be sent; nil after a change
}

func (n *node) ephemeral() bool { return n.owner > 0 }
func (n *node) ttl() bool       { return n.owner < 0 && n.owner != ownerContainer }
func (n *node) mortal() bool    { return n.owner < 0 } // removed by the server itself

func (n *node) size() int {
	if n.kids == nil {
		return 0
	}
	return len(n.kids.by)
}

func (n *node) path() string {
	if n.parent == nil {
		return "/"
	}
	var names []string
	for ; n.parent != nil; n = n.parent {
		names = append(names, n.name)
	}
	slices.Reverse(names)
	return "/" + strings.Join(names, "/")
}

// appendStat appends the Stat record. On the wire cversion counts creations and deletions of children.
func (n *node) appendStat(b []byte) []byte {
	for _, v := range [...]int64{n.czxid, n.mzxid, n.ctime, n.mtime} {
		b = appendInt64(b, v)
	}
	b = appendInt32(b, n.version)
	b = appendInt32(b, 2*n.creates-int32(n.size()))
	b = appendInt32(b, n.aversion)
	b = appendInt64(b, max(n.owner, 0)) // clients do not see which nodes are containers or have a time to live
	b = appendInt32(b, int32(len(n.data)))
	b = appendInt32(b, int32(n.size()))
	return appendInt64(b, n.pzxid)
}

// appendNames appends the names of the children, sorted. Consumers of a service ask for the same list one after another,
// so it is kept until it changes.
func (n *node) appendNames(b []byte) []byte {
	if n.kids == nil {
		return appendInt32(b, 0)
	}
	if n.kids.list == nil {
		names := make([]string, 0, len(n.kids.by))
		for name := range n.kids.by {
			names = append(names, name)
		}
		slices.Sort(names)
		n.kids.list = appendTexts(nil, names)
	}
	return append(b, n.kids.list...)
}

// A tree is all nodes.
type tree struct {
	root       *node
	count      int
	bytes      int64 // names and data, roughly
	ephemerals int
	mortals    map[*node]struct{} // containers and TTL nodes
}

func newTree(open acl) tree {
	t := tree{root: &node{acl: open, data: []byte{}}, mortals: map[*node]struct{}{}, count: 2} // ZooKeeper counts its root twice
	system := &node{name: "zookeeper", acl: open, data: []byte{}}
	t.attach(t.root, system)
	t.attach(system, &node{name: "quota", acl: open, data: []byte{}})
	t.attach(system, &node{name: "config", acl: readACL(), aversion: -1, data: []byte{}})
	return t
}

// find returns the node at path, nil if there is none.
func (t *tree) find(path string) *node {
	n := t.root
	if path == "/" || path == "" {
		return n
	}
	if path[0] != '/' {
		return nil
	}
	for rest, more := path[1:], true; more; {
		if n.kids == nil {
			return nil
		}
		var name string
		name, rest, more = strings.Cut(rest, "/")
		if n = n.kids.by[name]; n == nil {
			return nil
		}
	}
	return n
}

// attach hangs n below parent.
func (t *tree) attach(parent, n *node) {
	n.parent = parent
	if parent.kids == nil {
		parent.kids = &children{by: map[string]*node{}}
	}
	parent.kids.by[n.name] = n
	parent.kids.list = nil
	t.account(n, 1)
	if n.mortal() {
		t.mortals[n] = struct{}{}
	}
}

// detach takes n, which has no children, from its parent. n still knows the parent, so that it can be attached again.
func (t *tree) detach(n *node) {
	k := n.parent.kids
	delete(k.by, n.name)
	k.list = nil
	if len(k.by) == 0 {
		n.parent.kids = nil
	}
	t.account(n, -1)
	delete(t.mortals, n)
}

func (t *tree) account(n *node, sign int) {
	t.count += sign
	t.bytes += int64(sign * (len(n.name) + len(n.data)))
	if n.ephemeral() {
		t.ephemerals += sign
	}
}

// split cuts a path into its parent's and the last name. ok is false if there is no slash in it or a NUL.
func split(path string) (parent, name string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 || strings.IndexByte(path, 0) >= 0 {
		return "", "", false
	}
	return path[:i], path[i+1:], true
}

// parentOf is the path whose child watches tell of a change at path.
func parentOf(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "/"
}

// valid says whether a node may have this path.
func valid(path string) bool {
	if path == "/" {
		return true
	}
	if path == "" || path[0] != '/' {
		return false
	}
	for name := range strings.SplitSeq(path[1:], "/") {
		if name == "" || name == "." || name == ".." {
			return false
		}
	}
	for _, r := range path {
		// Java looks at UTF-16 units, so what needs two of them is refused with the surrogates.
		if r < 0x1f || r > 0x7f && r < 0x9f || r > 0xd800 && r < 0xf8ff || r > 0xfff0 && r != 0xffff {
			return false
		}
	}
	return true
}
