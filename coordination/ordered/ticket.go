package ordered

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ticket writes the attachment of a numbered call, whose form the package's documentation has.
func ticket(epoch, client string, seq, base uint64, key string) string {
	const digits = 20
	var number [digits]byte
	var b strings.Builder
	b.Grow(len(epoch) + len(client) + 2*digits + len(key) + len(" ")*4)
	b.WriteString(epoch)
	b.WriteByte(' ')
	b.WriteString(client)
	b.WriteByte(' ')
	b.Write(strconv.AppendUint(number[:0], seq, 10))
	b.WriteByte(' ')
	b.Write(strconv.AppendUint(number[:0], base, 10))
	b.WriteByte(' ')
	b.WriteString(key)
	return b.String()
}

var errTicket = errors.New("it is not <epoch> <client> <seq> <base> <key>")

// readTicket reads what ticket wrote. The texts are parts of s.
func readTicket(s string) (a arrival, err error) {
	const longest = 64
	var seq, base string
	fields := [...]*string{&a.epoch, &a.client, &seq, &base}
	rest := s
	for _, f := range fields {
		var found bool
		if *f, rest, found = strings.Cut(rest, " "); !found {
			return arrival{}, fmt.Errorf("%w: %s %q: %w", ErrKey, attachCall, shown(s), errTicket)
		}
	}
	a.key = rest
	var err1, err2 error
	a.seq, err1 = strconv.ParseUint(seq, 10, 63)
	a.base, err2 = strconv.ParseUint(base, 10, 63)
	if err1 != nil || err2 != nil || a.base == 0 || a.seq < a.base || a.client == "" || len(a.client) > longest {
		return arrival{}, fmt.Errorf("%w: %s %q is no place in a line", ErrKey, attachCall, shown(s))
	}
	return a, nil
}
