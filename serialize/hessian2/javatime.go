package hessian2

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ferryrpc/ferry/serialize"
)

// java.time crosses the wire as handle objects of hessian-lite. A Go time.Time can be written as any of them; reading for a
// time.Time takes whatever the wire has, a java.util.Date or a handle.

const handles = "com.alibaba.com.caucho.hessian.io."

// Descriptions of the classes; they are never changed.
var (
	classLocalDate     = NewClass(handles+"java8.LocalDateHandle", "year", "month", "day")
	classLocalTime     = NewClass(handles+"java8.LocalTimeHandle", "hour", "minute", "second", "nano")
	classLocalDateTime = NewClass(handles+"java8.LocalDateTimeHandle", "date", "time")
	classInstant       = NewClass(handles+"java8.InstantHandle", "seconds", "nanos")
	classDuration      = NewClass(handles+"java8.DurationHandle", "seconds", "nanos")
	classOffset        = NewClass(handles+"java8.ZoneOffsetHandle", "seconds")
	classZoned         = NewClass(handles+"java8.ZonedDateTimeHandle", "dateTime", "offset", "zoneId")
	classCalendar      = NewClass(handles+"CalendarHandle", "date", "type")
	classSQL           = NewClass("java.sql.Timestamp", "value")
)

// LocalDate is a java.time.LocalDate.
type LocalDate struct{ Year, Month, Day int32 }

// LocalTime is a java.time.LocalTime.
type LocalTime struct{ Hour, Minute, Second, Nano int32 }

// LocalDateTime is a java.time.LocalDateTime.
type LocalDateTime struct {
	Date LocalDate
	Time LocalTime
}

// In returns the midnight that begins the day in a time zone.
func (d LocalDate) In(l *time.Location) time.Time {
	return time.Date(int(d.Year), time.Month(d.Month), int(d.Day), 0, 0, 0, 0, l)
}

// In returns the time on 1 January 1970 in a time zone.
func (t LocalTime) In(l *time.Location) time.Time {
	return LocalDateTime{LocalDate{1970, 1, 1}, t}.In(l)
}

// In returns the point in time that the clocks of a time zone show.
func (t LocalDateTime) In(l *time.Location) time.Time {
	return time.Date(int(t.Date.Year), time.Month(t.Date.Month), int(t.Date.Day),
		int(t.Time.Hour), int(t.Time.Minute), int(t.Time.Second), int(t.Time.Nano), l)
}

// Local returns what calendar and clock of t's own time zone show.
func Local(t time.Time) LocalDateTime {
	y, m, d := t.Date()
	return LocalDateTime{
		LocalDate{int32(y), int32(m), int32(d)},
		LocalTime{int32(t.Hour()), int32(t.Minute()), int32(t.Second()), int32(t.Nanosecond())},
	}
}

// MarshalHessian2 implements Marshaler.
func (d *LocalDate) MarshalHessian2(w *Writer) error {
	w.localDate(*d)
	return nil
}

// UnmarshalHessian2 implements Unmarshaler.
func (d *LocalDate) UnmarshalHessian2(r *Reader) error {
	var v [3]int64
	if r.integers(classLocalDate, v[:]) {
		*d = LocalDate{int32(v[0]), int32(v[1]), int32(v[2])}
	}
	return r.err
}

// MarshalHessian2 implements Marshaler.
func (t *LocalTime) MarshalHessian2(w *Writer) error {
	w.localTime(*t)
	return nil
}

// UnmarshalHessian2 implements Unmarshaler.
func (t *LocalTime) UnmarshalHessian2(r *Reader) error {
	var v [4]int64
	if r.integers(classLocalTime, v[:]) {
		*t = LocalTime{int32(v[0]), int32(v[1]), int32(v[2]), int32(v[3])}
	}
	return r.err
}

// MarshalHessian2 implements Marshaler.
func (t *LocalDateTime) MarshalHessian2(w *Writer) error {
	w.localDateTime(*t)
	return nil
}

// UnmarshalHessian2 implements Unmarshaler.
func (t *LocalDateTime) UnmarshalHessian2(r *Reader) error {
	fields, ok := r.Object(classLocalDateTime)
	for _, f := range fields {
		switch f {
		case 0:
			r.Fail(t.Date.UnmarshalHessian2(r))
		case 1:
			r.Fail(t.Time.UnmarshalHessian2(r))
		default:
			r.Skip()
		}
	}
	if ok {
		r.EndObject()
	}
	return r.err
}

// integers reads an object whose fields are whole numbers; false is a null or an error.
func (r *Reader) integers(c *Class, out []int64) bool {
	fields, ok := r.Object(c)
	for _, f := range fields {
		if f >= 0 {
			out[f] = r.integer(math.MinInt64, math.MaxInt64, "number of "+c.Name)
		} else {
			r.Skip()
		}
	}
	if ok {
		r.EndObject()
	}
	return ok && r.err == nil
}

// LocalDate writes the date of t in its own time zone as a java.time.LocalDate; the zero time is a null.
func (w *Writer) LocalDate(t time.Time) {
	if t.IsZero() {
		w.Null()
		return
	}
	w.localDate(Local(t).Date)
}

// LocalTime writes the time of day of t in its own time zone as a java.time.LocalTime; the zero time is a null.
func (w *Writer) LocalTime(t time.Time) {
	if t.IsZero() {
		w.Null()
		return
	}
	w.localTime(Local(t).Time)
}

// LocalDateTime writes t in its own time zone as a java.time.LocalDateTime; the zero time is a null.
func (w *Writer) LocalDateTime(t time.Time) {
	if t.IsZero() {
		w.Null()
		return
	}
	w.localDateTime(Local(t))
}

func (w *Writer) localDate(d LocalDate) {
	w.Object(classLocalDate)
	w.Int(d.Year)
	w.Int(d.Month)
	w.Int(d.Day)
}

func (w *Writer) localTime(t LocalTime) {
	w.Object(classLocalTime)
	w.Int(t.Hour)
	w.Int(t.Minute)
	w.Int(t.Second)
	w.Int(t.Nano)
}

func (w *Writer) localDateTime(t LocalDateTime) {
	w.Object(classLocalDateTime)
	w.localDate(t.Date)
	w.localTime(t.Time)
}

// Instant writes t as a java.time.Instant, to the nanosecond; the zero time is a null.
func (w *Writer) Instant(t time.Time) {
	if t.IsZero() {
		w.Null()
		return
	}
	w.Object(classInstant)
	w.Long(t.Unix())
	w.Int(int32(t.Nanosecond()))
}

// Duration writes d as a java.time.Duration.
func (w *Writer) Duration(d time.Duration) {
	sec, nanos := int64(d/time.Second), int32(d%time.Second)
	if nanos < 0 {
		sec, nanos = sec-1, nanos+int32(time.Second)
	}
	w.Object(classDuration)
	w.Long(sec)
	w.Int(nanos)
}

// Duration reads a java.time.Duration, or a number of nanoseconds; a null is 0.
func (r *Reader) Duration() time.Duration {
	b, ok := r.tag("duration")
	if !ok {
		return 0
	}
	if numberSize(b) > 0 {
		return time.Duration(r.Long())
	}
	var v [2]int64
	if !r.integers(classDuration, v[:]) {
		return 0
	}
	if limit := int64(math.MaxInt64/time.Second) - 1; v[0] > limit || v[0] < -limit || v[1] < 0 || v[1] >= int64(time.Second) {
		r.fail(serialize.ErrMalformed, fmt.Sprintf("duration of %d s, which is out of range", v[0]))
		return 0
	}
	return time.Duration(v[0])*time.Second + time.Duration(v[1])
}

// Date reads a point in time: a java.util.Date, java.sql date or Calendar, or a java.time handle. A null is the zero time. A date
// without a time is its midnight in UTC, a time without a date is on 1 January 1970, and what has no time zone is UTC.
func (r *Reader) Date() time.Time {
	b, ok := r.tag("date")
	if !ok || r.Null() {
		return time.Time{}
	}
	switch {
	case b == tagDateMillis:
		if v := r.take(9, "date"); v != nil {
			return time.UnixMilli(int64(binary.BigEndian.Uint64(v[1:]))).UTC()
		}
		return time.Time{}
	case b == tagDateMins:
		if v := r.take(5, "date"); v != nil {
			return time.Unix(60*int64(int32(binary.BigEndian.Uint32(v[1:]))), 0).UTC()
		}
		return time.Time{}
	case b == tagRef:
		if !r.again() {
			return time.Time{}
		}
		return r.Date()
	}
	i, ok := r.peekClass()
	if !ok {
		return time.Time{}
	}
	class := r.className(&r.classes[i])
	switch v, _ := r.temporal(class); v := v.(type) {
	case time.Time:
		return v
	case LocalDate:
		return v.In(time.UTC)
	case LocalTime:
		return v.In(time.UTC)
	case LocalDateTime:
		return v.In(time.UTC)
	}
	r.fail(serialize.ErrMalformed, "date, found a "+class)
	return time.Time{}
}

// temporal reads an object of a Java class that is a time; false is any other class, and then nothing has been read.
func (r *Reader) temporal(class string) (any, bool) {
	switch class {
	case "java.sql.Timestamp", "java.sql.Date", "java.sql.Time":
		return r.dateField(classSQL), true
	case handles + "CalendarHandle":
		return r.dateField(classCalendar), true
	}
	name, ok := strings.CutPrefix(class, handles+"java8.")
	if !ok {
		return nil, false
	}
	switch name {
	case "LocalDateHandle":
		var d LocalDate
		r.Fail(d.UnmarshalHessian2(r))
		return d, true
	case "LocalTimeHandle":
		var t LocalTime
		r.Fail(t.UnmarshalHessian2(r))
		return t, true
	case "LocalDateTimeHandle":
		var t LocalDateTime
		r.Fail(t.UnmarshalHessian2(r))
		return t, true
	case "InstantHandle":
		var v [2]int64
		r.integers(classInstant, v[:])
		return time.Unix(v[0], v[1]).UTC(), true
	case "OffsetDateTimeHandle", "ZonedDateTimeHandle":
		return r.zoned(), true
	}
	return nil, false
}

// dateField reads an object whose first field is a date.
func (r *Reader) dateField(c *Class) (t time.Time) {
	fields, ok := r.Object(c)
	for _, f := range fields {
		if f == 0 {
			t = r.Date()
		} else {
			r.Skip()
		}
	}
	if ok {
		r.EndObject()
	}
	return t
}

// zoned reads a java.time.ZonedDateTime or OffsetDateTime. The zone gets the offset that was written along: a name from a
// peer is not looked up in this machine's files.
func (r *Reader) zoned() time.Time {
	var l LocalDateTime
	var offset [1]int64
	name := ""
	fields, ok := r.Object(classZoned)
	for _, f := range fields {
		switch f {
		case 0:
			r.Fail(l.UnmarshalHessian2(r))
		case 1:
			r.integers(classOffset, offset[:])
		case 2:
			name = r.String()
		default:
			r.Skip()
		}
	}
	if ok {
		r.EndObject()
	}
	if offset[0] < -18*3600 || offset[0] > 18*3600 {
		r.fail(serialize.ErrMalformed, fmt.Sprintf("zone offset of %d s", offset[0]))
		return time.Time{}
	}
	return l.In(time.FixedZone(name, int(offset[0])))
}

// standard reads an object of a JDK class that has a Go counterpart; false is any other class, and then nothing has been read.
func (r *Reader) standard(class string) (any, bool) {
	switch class {
	case classBigInteger.Name:
		return r.BigInt(), true
	case classBigDecimal.Name:
		return Decimal(r.Decimal()), true
	case classUUID.Name:
		return r.UUID(), true
	case classDuration.Name:
		return r.Duration(), true
	}
	return r.temporal(class)
}
