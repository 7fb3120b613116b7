package triple

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ferryrpc/ferry/protocol"
)

// Names of headers. Keys of an http.Header are written as they are here: HTTP/2 has only lower case, and net/http makes
// canonical keys of what it reads.
const (
	grpcTimeout  = "Grpc-Timeout"
	grpcEncoding = "Grpc-Encoding"
	grpcAccept   = "Grpc-Accept-Encoding"
	grpcStatus   = "Grpc-Status"
	grpcMessage  = "Grpc-Message"
	grpcDetails  = "Grpc-Status-Details-Bin"

	triVersion   = "Tri-Service-Version"
	triGroup     = "Tri-Service-Group"
	triApp       = "Tri-Consumer-Appname"
	triTimeout   = "Tri-Service-Timeout"
	triConvert   = "Tri-Header-Convert"
	triException = "Tri-Exception-Code"

	// ferryOutcome is the trailer in which a Ferry provider says what became of a call that failed.
	ferryOutcome = "Ferry-Outcome"
)

const contentType = "application/grpc+proto"

// ownHeaders are the protocol's and HTTP's own, which are no attachments.
func ownHeader(key string) bool {
	switch key {
	case "Content-Type", "Content-Length", "Te", "User-Agent", "Accept", "Accept-Encoding", "Date", "Trailer", "Host", "Connection", "Origin",
		"Transfer-Encoding", triVersion, triGroup, triApp, triTimeout, triConvert, triException, ferryOutcome:
		return true
	}
	return strings.HasPrefix(key, "Grpc-") || strings.HasPrefix(key, ":") || strings.HasPrefix(key, "Sec-")
}

// maxTimeout is the longest that a caller can ask for; a longer one is no limit.
const maxTimeout = 1 << 62 * time.Nanosecond

// appendTimeout writes d in the form of grpc-timeout: at most eight digits and a unit. It rounds up.
func appendTimeout(b []byte, d time.Duration) []byte {
	const most = 99_999_999
	for _, u := range []struct {
		unit byte
		d    time.Duration
	}{{'n', time.Nanosecond}, {'u', time.Microsecond}, {'m', time.Millisecond}, {'S', time.Second}, {'M', time.Minute}, {'H', time.Hour}} {
		n := (max(d, 1)-1)/u.d + 1
		if n <= most {
			return append(strconv.AppendInt(b, int64(n), 10), u.unit)
		}
	}
	return append(b, "99999999H"...)
}

var errTimeout = errors.New("triple: grpc-timeout is not one to eight digits and a unit")

// parseTimeout reads grpc-timeout.
func parseTimeout(s string) (time.Duration, error) {
	const digits = 8
	if len(s) < 2 || len(s) > digits+1 {
		return 0, errTimeout
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	if err != nil || s[0] == '+' {
		return 0, errTimeout
	}
	unit := map[byte]time.Duration{'n': time.Nanosecond, 'u': time.Microsecond, 'm': time.Millisecond, 'S': time.Second, 'M': time.Minute, 'H': time.Hour}[s[len(s)-1]]
	switch {
	case unit == 0:
		return 0, errTimeout
	case time.Duration(n) > maxTimeout/unit:
		return maxTimeout, nil
	}
	return time.Duration(n) * unit, nil
}

const hexDigits = "0123456789ABCDEF"

// encodeMessage writes a text as grpc-message carries it: all but printable ASCII as %XX of its UTF-8 bytes.
func encodeMessage(s string) string {
	plain := func(c byte) bool { return c >= ' ' && c <= '~' && c != '%' }
	i := 0
	for i < len(s) && plain(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	b := append(make([]byte, 0, len(s)+16), s[:i]...)
	for ; i < len(s); i++ {
		if c := s[i]; plain(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(b)
}

// decodeMessage reads what encodeMessage wrote. Whatever is wrong in it stays as it is; the result is valid UTF-8.
func decodeMessage(s string) string {
	if strings.IndexByte(s, '%') >= 0 {
		b := make([]byte, 0, len(s))
		for i := 0; i < len(s); i++ {
			if s[i] == '%' && i+2 < len(s) {
				if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
					b = append(b, byte(n))
					i += 2
					continue
				}
			}
			b = append(b, s[i])
		}
		s = string(b)
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	return s
}

// decodeBase64 reads the value of a header in -bin, padded or not.
func decodeBase64(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}

// putAttachments puts pairs into headers, whose names get a prefix. Keys get lower-case letters; those that had others are
// named in tri-header-convert, so that a Dubbo peer sees them as they were. A pair that HTTP cannot carry is an error, and
// the others are put.
func putAttachments(h http.Header, prefix string, pairs protocol.Attachments) (err error) {
	var converted []string
	for i := 0; i+1 < len(pairs); i += 2 {
		key, value := pairs[i], pairs[i+1]
		lower := strings.ToLower(key)
		canonical := http.CanonicalHeaderKey(lower)
		binary := strings.HasSuffix(lower, "-bin")
		switch {
		case !token(lower) || ownHeader(canonical):
			err = fmt.Errorf("attachment %q cannot be a header: choose another key", key)
			continue
		case binary:
			value = base64.RawStdEncoding.EncodeToString([]byte(value))
		case !text(value):
			err = fmt.Errorf("attachment %q has a value that cannot be a header's: a key that ends in -bin can", key)
			continue
		}
		h[prefix+canonical] = []string{value}
		if lower != key {
			converted = append(converted, lower, key)
		}
	}
	if converted != nil {
		h[prefix+triConvert] = []string{encodeMessage(convertTable(converted))}
	}
	return err
}

// token says whether a key can be a header's name.
func token(key string) bool {
	for i := 0; i < len(key); i++ {
		if c := key[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("!#$&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return key != ""
}

// text says whether a value can travel as it is: no control characters, and no spaces around it.
func text(value string) bool {
	for i := 0; i < len(value); i++ {
		if value[i] < ' ' || value[i] == 0x7f {
			return false
		}
	}
	return strings.TrimSpace(value) == value
}

// attachments takes the pairs out of headers. A value that was sent several times is joined by commas, as HTTP has it.
func attachments(dst protocol.Attachments, h http.Header) protocol.Attachments {
	names := convertNames(h[triConvert])
	for key, values := range h {
		if ownHeader(key) || len(values) == 0 {
			continue
		}
		lower := strings.ToLower(key)
		value := values[0]
		if strings.HasSuffix(lower, "-bin") {
			b, err := decodeBase64(value)
			if err != nil {
				continue
			}
			value = string(b)
		} else if len(values) > 1 {
			value = strings.Join(values, ",")
		}
		if name, ok := names[lower]; ok {
			lower = name
		}
		dst.Set(lower, value)
	}
	return dst
}
