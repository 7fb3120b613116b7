package idempotent

import (
	"strconv"
	"strings"
)

// A Dialect says how a database writes SQL.
type Dialect uint8

// The dialects. What they differ in: the database's clock, the insert that passes over a key which is there, the type
// of bytes, how an index is made, and whether places are ? or $1.
const (
	SQLite     Dialect = iota + 1 // 3.24 and later
	PostgreSQL                    // 9.5 and later
	MySQL                         // 8 and later, and MariaDB 10.5
)

type dialect struct {
	now      string // milliseconds since 1970 by the database's clock
	bytes    string // type
	insert   string // the verb
	conflict string // what makes an insert pass over a key that is there
	inline   bool   // an index is made with its table
	limited  bool   // DELETE takes ORDER BY and LIMIT
	numbered bool   // places are $1
}

func dialectOf(d Dialect) dialect {
	switch d {
	case SQLite:
		return dialect{now: "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)", bytes: "BLOB", insert: "INSERT", conflict: " ON CONFLICT (id) DO NOTHING"}
	case PostgreSQL: // clock_timestamp and not now: that is when the transaction began
		return dialect{now: "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)", bytes: "BYTEA", insert: "INSERT",
			conflict: " ON CONFLICT (id) DO NOTHING", numbered: true}
	}
	return dialect{now: "CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)", bytes: "LONGBLOB", insert: "INSERT IGNORE", inline: true, limited: true}
}

func (d dialect) schema(table string) []string {
	index := strings.ReplaceAll(table, ".", "_") + "_ends"
	create := "CREATE TABLE IF NOT EXISTS " + table + ` (
	id VARCHAR(43) NOT NULL PRIMARY KEY,
	label VARCHAR(255) NOT NULL,
	state CHAR(1) NOT NULL,
	args CHAR(32) NOT NULL,
	owner VARCHAR(64) NOT NULL,
	attempt INTEGER NOT NULL,
	life VARCHAR(32) NOT NULL,
	token BIGINT NOT NULL,
	began BIGINT NOT NULL,
	lease BIGINT NOT NULL,
	ends BIGINT NOT NULL,
	result ` + d.bytes + ` NULL`
	if d.inline { // keys are case sensitive
		return []string{create + ",\n\tINDEX " + index + " (ends)\n) CHARACTER SET ascii COLLATE ascii_bin"}
	}
	return []string{create + "\n)", "CREATE INDEX IF NOT EXISTS " + index + " ON " + table + " (ends)"}
}

// statements writes the texts. began, lease and ends are times of the database's clock; lease is the lease's end, ends the
// record's.
func (d dialect) statements(table string) statements {
	fill := func(text string) string {
		text = strings.NewReplacer("TABLE", table, "NOW", d.now).Replace(text)
		if !d.numbered {
			return text
		}
		var b strings.Builder
		n := 0
		for _, part := range strings.SplitAfter(text, "?") {
			if rest, ok := strings.CutSuffix(part, "?"); ok {
				n++
				b.WriteString(rest + "$" + strconv.Itoa(n))
				continue
			}
			b.WriteString(part)
		}
		return b.String()
	}
	sweep := "DELETE FROM TABLE WHERE id IN (SELECT id FROM TABLE WHERE ends <= NOW ORDER BY ends LIMIT 1000)"
	if d.limited {
		sweep = "DELETE FROM TABLE WHERE ends <= NOW ORDER BY ends LIMIT 1000"
	}
	return statements{
		insert: fill(d.insert + " INTO TABLE (id, label, state, args, owner, attempt, life, token, began, lease, ends) " +
			"VALUES (?, ?, 'P', ?, ?, 1, ?, ?, NOW, NOW + ?, NOW + ?)" + d.conflict),
		look: fill("SELECT state, args, owner, attempt, life, token, NOW - began, lease - NOW, ends - NOW, result FROM TABLE WHERE id = ?"),
		renew: fill("UPDATE TABLE SET state = 'P', args = ?, owner = ?, attempt = 1, life = ?, token = ?, began = NOW, lease = NOW + ?, ends = NOW + ?, " +
			"result = NULL WHERE id = ? AND owner = ? AND attempt = ? AND ends <= NOW"),
		take: fill("UPDATE TABLE SET state = 'P', owner = ?, attempt = attempt + 1, life = ?, token = ?, began = NOW, lease = NOW + ?, ends = NOW + ?, " +
			"result = NULL WHERE id = ? AND owner = ? AND attempt = ? AND state = ?"),
		finish: fill("UPDATE TABLE SET state = ?, result = ?, ends = NOW + ? WHERE id = ? AND owner = ? AND state = 'P' AND token <= ? " +
			"AND (life = '' OR life = ? OR ? = '')"),
		abandon: fill("DELETE FROM TABLE WHERE id = ? AND owner = ? AND state = 'P'"),
		sweep:   fill(sweep),
	}
}
