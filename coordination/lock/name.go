package lock

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
)

// The parts of a contender's name between its guid and its number.
const (
	exclusiveMark = "lock-"
	writeMark     = "__WRIT__"
	readMark      = "__READ__"
	leaseMark     = "lease-"
)

const maxPath = 1024 // bytes

// newPrefix returns the beginning of a name that nobody else uses, in Curator's form.
func newPrefix() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("_c_%x-%x-%x-%x-%x-", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// A contender is what its name says of a child.
type contender struct {
	name   string
	mark   string
	number int32
}

func (n contender) shared() bool { return n.mark == readMark }

// digits is the number as the servers write it.
func (n contender) digits() string { return fmt.Sprintf("%010d", n.number) }

// parseName reads a child's name; false when it is none of a contender. Others may keep nodes there.
func parseName(name string) (contender, bool) {
	for _, mark := range [...]string{exclusiveMark, writeMark, readMark} {
		i := strings.LastIndex(name, mark)
		if i < 0 {
			continue
		}
		digits := name[i+len(mark):]
		if len(digits) < 10 || digits[0] == '+' {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 32)
		if err != nil {
			continue
		}
		return contender{name, mark, int32(n)}, true
	}
	return contender{}, false
}

// before says whether n was created before m under the same parent. The servers count with 32 bits, so that the number
// after the largest is the smallest: the difference is what counts.
func (n contender) before(m contender) bool { return n.number-m.number < 0 }

// predecessor returns the nearest child before own that excludes it; present says whether own is among the children.
func predecessor(children []string, own contender) (name string, present bool) {
	var nearest contender
	for _, child := range children {
		if child == own.name {
			present = true
			continue
		}
		n, ok := parseName(child)
		if !ok || !n.before(own) || own.shared() && n.shared() {
			continue
		}
		if nearest.name == "" || nearest.before(n) {
			nearest = n
		}
	}
	return nearest.name, present
}

func trimSlash(path string) string { return strings.Trim(path, "/") }

// checkPath says why a path cannot be a lock's.
func checkPath(path string) error {
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("%w: %q is relative, it must begin with /", ErrPath, path)
	}
	if len(path) > maxPath {
		return fmt.Errorf("%w: it has %d bytes, the limit is %d", ErrPath, len(path), maxPath)
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		switch n, ok := parseName(segment); {
		case segment == "":
			return fmt.Errorf("%w: %q has an empty part", ErrPath, path)
		case segment == "." || segment == "..":
			return fmt.Errorf("%w: %q has a part %q", ErrPath, path, segment)
		case strings.ContainsFunc(segment, unfit):
			return fmt.Errorf("%w: %q has characters that ZooKeeper refuses", ErrPath, path)
		case ok && strings.HasPrefix(segment, "_c_"):
			return fmt.Errorf("%w: %q lies in %s, a node of another lock", ErrPath, path, n.name)
		}
	}
	if strings.HasPrefix(path, "/zookeeper/") || path == "/zookeeper" {
		return fmt.Errorf("%w: %q belongs to ZooKeeper", ErrPath, path)
	}
	return nil
}

// unfit says whether ZooKeeper refuses a character in paths.
func unfit(r rune) bool {
	return r <= 0x1f || r >= 0x7f && r <= 0x9f || r >= 0xd800 && r <= 0xf8ff || r >= 0xfff0
}
