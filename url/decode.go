package url

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Key is one parameter that a struct's tags declare.
type Key struct {
	Name, Default, Doc string
	Kind               string // text, flag, number, duration, list
}

var durationType = reflect.TypeFor[time.Duration]()

// Decode fills the fields of the struct that into points to from the URL's parameters. It is for constructors, not for calls.
//
//	Retries int           `url:"retries" default:"2" doc:"repeats after the first attempt"`
//	Timeout time.Duration `url:"timeout" default:"1000" doc:"…"`
//
// Fields are string, bool, int, int64, float64, time.Duration (a plain number is milliseconds, as in Dubbo) and
// []string (a comma list). An absent or empty parameter takes the tag's default. Embedded structs are entered.
// A value that does not fit is an error that names parameter and value.
func (u *URL) Decode(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("url: Decode wants a pointer to a struct, not %T", into)
	}
	return u.decodeStruct(v.Elem())
}

func (u *URL) decodeStruct(v reflect.Value) error {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			if err := u.decodeStruct(v.Field(i)); err != nil {
				return err
			}
			continue
		}
		key, ok := f.Tag.Lookup("url")
		if !ok {
			continue
		}
		text := u.Param(key)
		if text == "" {
			text = f.Tag.Get("default")
		}
		if text == "" {
			continue
		}
		if err := set(v.Field(i), text); err != nil {
			return fmt.Errorf("url: parameter %s=%s: %w", key, shorten(text), err)
		}
	}
	return nil
}

func set(v reflect.Value, text string) error {
	switch {
	case v.Type() == durationType:
		d, err := ParseDuration(text)
		if err != nil {
			return err
		}
		v.SetInt(int64(d))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("want true or false")
		}
		v.SetBool(b)
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("want a whole number")
		}
		v.SetInt(n)
	case v.CanFloat():
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("want a number")
		}
		v.SetFloat(n)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String:
		v.Set(reflect.ValueOf(SplitList(text)))
	default:
		return fmt.Errorf("field type %s cannot be a parameter", v.Type())
	}
	return nil
}

// SplitList splits a comma list and drops blanks around and between.
func SplitList(text string) []string {
	var out []string
	for s := range strings.SplitSeq(text, ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// ParseDuration reads Dubbo's plain milliseconds or a Go duration.
func ParseDuration(text string) (time.Duration, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		const most = int64(1<<63-1) / int64(time.Millisecond)
		if n > most || n < -most {
			return 0, fmt.Errorf("duration out of range")
		}
		return time.Duration(n) * time.Millisecond, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("want milliseconds such as 800 or a duration such as 800ms")
	}
	return d, nil
}

// FormatDuration writes a duration as Dubbo's plain milliseconds, rounded up so that a positive one never becomes 0.
func FormatDuration(d time.Duration) string {
	ms := d / time.Millisecond
	if d > ms*time.Millisecond {
		ms++
	}
	return strconv.FormatInt(int64(ms), 10)
}

// Declared returns the parameters that the tags of a struct, or a pointer to one, declare.
func Declared(sample any) []Key {
	t := reflect.TypeOf(sample)
	if t == nil {
		return nil
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var keys []Key
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			keys = append(keys, Declared(reflect.New(f.Type).Interface())...)
			continue
		}
		if name, ok := f.Tag.Lookup("url"); ok {
			keys = append(keys, Key{Name: name, Default: f.Tag.Get("default"), Doc: f.Tag.Get("doc"), Kind: kindOf(f.Type)})
		}
	}
	return keys
}

func kindOf(t reflect.Type) string {
	switch {
	case t == durationType:
		return "duration"
	case t.Kind() == reflect.Bool:
		return "flag"
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Slice:
		return "list"
	}
	return "number"
}

// Published returns a copy in which the values of the named duration parameters, and of their method forms
// (sayHello.timeout), are Dubbo's plain milliseconds, as Java reads nothing else.
func (u *URL) Published(durations map[string]bool) *URL {
	c := u.clone()
	for i, p := range c.params {
		key := p.key[strings.LastIndexByte(p.key, '.')+1:]
		if !durations[key] && !durations[p.key] {
			continue
		}
		if d, err := ParseDuration(p.value); err == nil {
			c.params[i].value = FormatDuration(d)
		}
	}
	return c
}

// Nearest returns the name among known that is closest to name by edit distance, if one is close enough to be meant.
func Nearest(name string, known []string) (string, bool) {
	best, distance := "", len(name)/2+2
	sorted := slices.Sorted(slices.Values(known))
	for _, k := range sorted {
		if d := edits(strings.ToLower(name), strings.ToLower(k)); d < distance {
			best, distance = k, d
		}
	}
	return best, best != ""
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
