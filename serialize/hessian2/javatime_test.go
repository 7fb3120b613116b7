package hessian2

import (
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

func TestTimesFromJava(t *testing.T) {
	s := New(nil)
	zoned := func(name string, fields ...string) func(w *Writer) {
		return func(w *Writer) {
			w.Object(NewClass(handles+"java8."+name, fields...))
			for _, f := range fields {
				switch f {
				case "dateTime":
					w.localDateTime(LocalDateTime{LocalDate{2024, 5, 6}, LocalTime{7, 8, 9, 10}})
				case "offset":
					w.Object(classOffset)
					w.Int(7200)
				case "zoneId":
					w.String("Europe/Paris")
				default:
					w.List("", 0)
				}
			}
		}
	}
	field := func(class, name string) func(w *Writer) {
		return func(w *Writer) {
			w.Object(NewClass(class, "other", name))
			w.Null()
			w.Date(time.UnixMilli(1500).UTC())
		}
	}
	paris := time.Date(2024, 5, 6, 5, 8, 9, 10, time.UTC)
	for name, c := range map[string]struct {
		write func(w *Writer)
		want  time.Time
	}{
		"zoned":     {zoned("ZonedDateTimeHandle", "zoneId", "offset", "dateTime", "unknown"), paris},
		"offset":    {zoned("OffsetDateTimeHandle", "dateTime", "offset"), paris},
		"timestamp": {field("java.sql.Timestamp", "value"), time.UnixMilli(1500)},
		"calendar":  {field(handles+"CalendarHandle", "date"), time.UnixMilli(1500)},
		"instant":   {func(w *Writer) { w.Instant(time.Unix(-7, 5)) }, time.Unix(-7, 5)},
		"minutes":   {func(w *Writer) { w.Date(time.Unix(-120, 0)) }, time.Unix(-120, 0)},
		"far":       {func(w *Writer) { w.Date(time.UnixMilli(math.MaxInt64 / 2)) }, time.UnixMilli(math.MaxInt64 / 2)},
		"millis":    {func(w *Writer) { w.Date(time.Unix(5, 999_999)) }, time.Unix(5, 0)},
	} {
		w := s.NewWriter(nil)
		c.write(w)
		var typed time.Time
		rest, err := decode(s, w.Bytes(), &typed)
		require.NoError(t, err, name)
		require.Zero(t, rest, name)
		require.True(t, c.want.Equal(typed), "%s: %v", name, typed)
		var v any
		_, err = decode(s, w.Bytes(), &v)
		require.NoError(t, err, name)
		require.True(t, c.want.Equal(v.(time.Time)), name)
	}
	w := s.NewWriter(nil)
	zoned("ZonedDateTimeHandle", "dateTime", "offset", "zoneId")(w)
	var v time.Time
	_, err := decode(s, w.Bytes(), &v)
	require.NoError(t, err)
	zone, offset := v.Zone()
	require.Equal(t, "Europe/Paris", zone)
	require.Equal(t, 7200, offset)

	w = s.NewWriter(nil)
	w.Object(classZoned)
	w.Null()
	w.Object(classOffset)
	w.Int(1 << 20)
	w.Null()
	_, err = decode(s, w.Bytes(), &v)
	require.ErrorIs(t, err, serialize.ErrMalformed)
}

func TestDurations(t *testing.T) {
	s := New(nil)
	for _, d := range []time.Duration{0, 1, -1, time.Second, -time.Second, 90*time.Minute + 1, -90*time.Minute - 1} {
		b, err := encode(s, d)
		require.NoError(t, err)
		var v any
		_, err = decode(s, b, &v)
		require.NoError(t, err)
		require.Equal(t, d, v)
	}
	w := s.NewWriter(nil)
	w.Object(classDuration)
	w.Long(math.MaxInt64 / 1000)
	w.Int(0)
	var v any
	_, err := decode(s, w.Bytes(), &v)
	require.ErrorIs(t, err, serialize.ErrMalformed)
}

func TestBigNumbers(t *testing.T) {
	s := New(nil)
	for _, text := range []string{"0", "1", "-1", "4294967295", "4294967296", "-18446744073709551616", "123456789012345678901234567890123456789"} {
		in, ok := new(big.Int).SetString(text, 10)
		require.True(t, ok)
		b, err := encode(s, in)
		require.NoError(t, err)
		var v any
		_, err = decode(s, b, &v)
		require.NoError(t, err)
		require.Equal(t, text, v.(*big.Int).String())
		var out *big.Int
		_, err = decode(s, b, &out)
		require.NoError(t, err)
		require.Equal(t, text, out.String())
	}
	for text, want := range map[Decimal]string{"12.30": "123/10", "1E+3": "1000/1", "-0.5": "-1/2"} {
		r, ok := text.Rat()
		require.True(t, ok)
		require.Equal(t, want, r.String())
	}
	for _, bad := range []Decimal{"", "x", "1e999999999", "1e-999999999", "1e99999999999999999999"} {
		_, ok := bad.Rat()
		require.False(t, ok, bad)
	}
	for _, n := range []any{int32(5), int64(-5), 0.25, "7.50", Decimal("1.10")} {
		b, err := encode(s, n)
		require.NoError(t, err)
		var d Decimal
		_, err = decode(s, b, &d)
		require.NoError(t, err)
		require.NotEmpty(t, d)
	}
	u, err := ParseUUID("065ec58d-a89f-4b64-9c9f-d223ea2e73b6")
	require.NoError(t, err)
	require.Equal(t, "065ec58d-a89f-4b64-9c9f-d223ea2e73b6", u.String())
	for _, bad := range []string{"", "065ec58da89f4b649c9fd223ea2e73b6", "065ec58d-a89f-4b64-9c9f-d223ea2e73bx"} {
		_, err := ParseUUID(bad)
		require.ErrorIs(t, err, serialize.ErrMalformed)
	}
}
