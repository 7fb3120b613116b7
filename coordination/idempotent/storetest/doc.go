// Package storetest runs the stores of idempotent records that need a server or a driver: SQLite in the process, PostgreSQL and
// Redis from Debian, started by the tests. It is a module of its own, so that no driver enters Ferry's go.mod.
package storetest
